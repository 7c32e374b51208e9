"""Network morphisms: a larger network that computes the same, and can be trained on.

Pure functions from a specification and a state to new ones, of networks

    h_l = relu(W_l * h_(l-1) + b_l + sum of S_il * h_i),   logits = V mean(h_L) + c

with convolutions W that keep the size of the image, and skips S of kernel one.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class Layer(NamedTuple):
    """A convolution: the size of its filter, odd, and the channels that it writes."""

    kernel: int
    width: int


class Specification(NamedTuple):
    """What a network is.

    Args:
        inputs: channels of an image.
        layers: from the first to the last.
        classes: logits.
        skips: pairs i < l - 1: layer l, from 1, also reads h_i; 0 is the image.
    """

    inputs: int
    layers: tuple[Layer, ...]
    classes: int
    skips: tuple[tuple[int, int], ...] = ()

    def channels(self, i: int) -> int:
        """Of h_i."""
        return self.layers[i - 1].width if i else self.inputs


State = dict[str, Array]
"""Weights by name: `kernel1`, `bias1`, `skip0_3`, `dense`, `dense_bias`."""


def init(specification: Specification, key: PRNGKeyArray) -> State:
    """Random weights (He's), and biases of zero.

    Example:
        >>> import jax
        >>> sorted(init(Specification(1, (Layer(3, 4),), 10), jax.random.key(0)))
        ['bias1', 'dense', 'dense_bias', 'kernel1']
    """
    last = specification.channels(len(specification.layers))
    shapes: dict[str, tuple[int, ...]] = {"dense": (last, specification.classes)}
    for l, (kernel, width) in enumerate(specification.layers, 1):
        shapes[f"kernel{l}"] = (kernel, kernel, specification.channels(l - 1), width)
    for i, l in specification.skips:
        shapes[_skip(i, l)] = (
            1,
            1,
            specification.channels(i),
            specification.channels(l),
        )
    state = {
        name: jax.random.normal(jax.random.fold_in(key, number), shape)
        * math.sqrt(2 / math.prod(shape[:-1]))
        for number, (name, shape) in enumerate(sorted(shapes.items()))
    }
    for l, layer in enumerate(specification.layers, 1):
        state[f"bias{l}"] = jnp.zeros(layer.width)
    return state | {"dense_bias": jnp.zeros(specification.classes)}


def apply(
    specification: Specification, state: State, x: Float[Array, "n h w c"]
) -> Float[Array, "n k"]:
    """The network's logits."""
    h = [x]
    for l in range(1, len(specification.layers) + 1):
        total = _convolve(h[-1], state[f"kernel{l}"]) + state[f"bias{l}"]
        for i, target in specification.skips:
            if target == l:
                total = total + _convolve(h[i], state[_skip(i, l)])
        h.append(jax.nn.relu(total))
    return jnp.mean(h[-1], axis=(1, 2)) @ state["dense"] + state["dense_bias"]


def widen(
    specification: Specification,
    state: State,
    layer: int,
    width: int,
    key: PRNGKeyArray,
    noise: float = 0.1,
    shared: bool = False,
) -> tuple[Specification, State]:
    """More channels in one layer: near copies of random ones, of which nobody reads.

    The weights with which they are read are zero, and their gradients are not: so the
    network is exactly the same, and every new channel goes a way of its own. With
    `shared` a copy and its original share what the original sent on instead. That is
    exact without noise only, and then their gradients are the same too: **copies never
    part**.

    Args:
        specification: of the network.
        state: its weights.
        layer: which one, from 1.
        width: its new number of channels.
        key: of the choice of channels, and of the noise.
        noise: by which the filters of the copies differ from the originals, relative to
            the filters' spread.
        shared: whether copies take over a share of what their originals sent on.

    Raises:
        ValueError: if there is no such layer, or the width is less than it was.

    References:
        Chen, Goodfellow and Shlens (2016), Net2Net, section 2.2, for `shared`.
    """
    _check_layer(specification, layer)
    old = specification.layers[layer - 1]
    if width < old.width:
        raise ValueError(f"width: expected at least {old.width}, got {width}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise: expected a number >= 0, got {noise}")
    key_choice, key_noise = jax.random.split(key)
    extra = jax.random.randint(key_choice, (width - old.width,), 0, old.width)
    origin = jnp.concatenate([jnp.arange(old.width), extra])
    new = jnp.arange(width) >= old.width
    share = jnp.where(new, 0.0, 1.0)
    if shared:
        share = 1 / jnp.zeros(old.width).at[origin].add(1)[origin]
    state = dict(state)
    kernel, bias = f"kernel{layer}", f"bias{layer}"
    filters = state[kernel][..., origin]
    spread = noise * jnp.std(filters) * jax.random.normal(key_noise, filters.shape)
    state[kernel] = filters + jnp.where(new, spread, 0).astype(filters.dtype)
    state[bias] = state[bias][origin]
    last = layer == len(specification.layers)
    readers = ["dense"] if last else [f"kernel{layer + 1}"]
    for i, l in specification.skips:
        if l == layer:
            state[_skip(i, l)] = state[_skip(i, l)][..., origin]
        if i == layer:
            readers.append(_skip(i, l))
    for name in readers:
        weights = state[name]
        part = share.astype(weights.dtype)[:, None]
        state[name] = jnp.take(weights, origin, axis=weights.ndim - 2) * part
    return _replaced(specification, layer, old._replace(width=width)), state


def deepen(
    specification: Specification, state: State, layer: int, kernel: int = 3
) -> tuple[Specification, State]:
    """A new layer after this one, the identity: what it reads is never negative.

    Args:
        specification: of the network.
        state: its weights.
        layer: after which, from 1.
        kernel: of the new one.

    Raises:
        ValueError: if there is no such layer, or the kernel is even.

    References:
        Chen, Goodfellow and Shlens (2016), Net2Net, section 2.3.
    """
    _check_layer(specification, layer)
    _check_kernel(kernel, 1)
    width = specification.layers[layer - 1].width
    dtype = state["dense"].dtype
    moved = {}
    for name, weights in state.items():
        for kind in ("kernel", "bias"):
            number = name.removeprefix(kind)
            if number.isdigit() and int(number) > layer:
                name = f"{kind}{int(number) + 1}"
        if not name.startswith("skip"):
            moved[name] = weights
    skips = []
    for i, l in specification.skips:
        # What read the layer reads it still; what it read, it reads still.
        skips.append((i + (i > layer), l + (l > layer)))
        moved[_skip(*skips[-1])] = state[_skip(i, l)]
    middle = kernel // 2
    identity = jnp.zeros((kernel, kernel, width, width), dtype)
    moved[f"kernel{layer + 1}"] = identity.at[middle, middle].set(jnp.eye(width))
    moved[f"bias{layer + 1}"] = jnp.zeros(width, dtype)
    layers = specification.layers
    layers = (*layers[:layer], Layer(kernel, width), *layers[layer:])
    return specification._replace(layers=layers, skips=tuple(skips)), moved


def grow_kernel(
    specification: Specification, state: State, layer: int, kernel: int
) -> tuple[Specification, State]:
    """A larger filter in one layer, zero around the old one.

    Raises:
        ValueError: if there is no such layer, or the kernel is even or smaller.
    """
    _check_layer(specification, layer)
    old = specification.layers[layer - 1]
    _check_kernel(kernel, old.kernel)
    border = (kernel - old.kernel) // 2
    pad = ((border, border), (border, border), (0, 0), (0, 0))
    name = f"kernel{layer}"
    state = state | {name: jnp.pad(state[name], pad)}
    return _replaced(specification, layer, old._replace(kernel=kernel)), state


def add_skip(
    specification: Specification, state: State, source: int, layer: int
) -> tuple[Specification, State]:
    """A skip of weight zero, whose gradient is not.

    Args:
        specification: of the network.
        state: its weights.
        source: which h is read, 0 the image.
        layer: what reads it.

    Raises:
        ValueError: if there is no such layer, the source is no earlier one than its
            predecessor's, or the skip exists.
    """
    _check_layer(specification, layer)
    if not 0 <= source < layer - 1:
        raise ValueError(f"source: expected 0 to {layer - 2}, got {source}")
    if (source, layer) in specification.skips:
        raise ValueError(f"source: expected a new skip, got {source} to {layer} again")
    shape = (1, 1, specification.channels(source), specification.channels(layer))
    state = state | {_skip(source, layer): jnp.zeros(shape, state["dense"].dtype)}
    skips = (*specification.skips, (source, layer))
    return specification._replace(skips=skips), state


def _convolve(x: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _skip(i: int, l: int) -> str:
    return f"skip{i}_{l}"


def _replaced(specification: Specification, layer: int, new: Layer) -> Specification:
    layers = list(specification.layers)
    layers[layer - 1] = new
    return specification._replace(layers=tuple(layers))


def _check_layer(specification: Specification, layer: int) -> None:
    if not 1 <= layer <= len(specification.layers):
        raise ValueError(
            f"layer: expected 1 to {len(specification.layers)}, got {layer}"
        )


def _check_kernel(kernel: int, least: int) -> None:
    if kernel < least or kernel % 2 == 0:
        raise ValueError(f"kernel: expected an odd size >= {least}, got {kernel}")
