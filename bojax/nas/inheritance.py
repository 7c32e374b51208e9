"""Morphisms of the networks of a `Chain`: a larger one that computes the same.

Whatever is new in a network is read with weights of zero, so that at first it does not
count; its own weights are as random as ever, so that it can be trained.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.nas.base import Config
from bojax.nas.chain import Chain, skip_name

if TYPE_CHECKING:
    from flax import nnx

    from bojax.nas.blocks import Convolution
    from bojax.nas.networks import ChainNetwork

_PARTS = ("kind", "kernel", "width", "ratio")


def deepened(
    chain: Chain,
    config: Config,
    after: int,
    kind: str = "plain",
    kernel: int = 3,
    ratio: int = 2,
) -> Config:
    """The configuration with one block more, as wide as the one that it follows.

    Args:
        chain: the space.
        config: the architecture.
        after: which block it follows, from 1.
        kind: of the new block.
        kernel: of the new block.
        ratio: of the new block, if its kind has one.

    Raises:
        ValueError: if there is no such block, or the result is not of the space.

    Example:
        >>> chain = Chain(depth=2, widths=(8, 16))
        >>> config = {"depth": 1, "kind1": "plain", "kernel1": 3, "width1": 8}
        >>> deepened(chain, config, 1, kernel=5)["kernel2"]
        5
    """
    depth = config.get("depth", 1)
    if not 1 <= after <= depth:
        raise ValueError(f"after: expected 1 to {depth}, got {after}")
    new: Config = {"depth": depth + 1}
    for old in range(1, depth + 1):
        for part in _PARTS:
            if f"{part}{old}" in config:
                new[f"{part}{_place(old, after)}"] = config[f"{part}{old}"]
    place, width = after + 1, config[f"width{after}"]
    new |= {f"kind{place}": kind, f"kernel{place}": kernel, f"width{place}": width}
    if kind != "plain":
        new[f"ratio{place}"] = ratio
    if any(name.startswith("skip") for name in chain.space.names):
        taken = {(_place(i, after), _place(j, after)) for i, j in _skips(config)}
        for j in range(2, depth + 2):
            for i in range(j - 1):
                new[skip_name(i, j)] = (i, j) in taken
    chain.space.encode(new)
    return new


def inherit(
    chain: Chain,
    config: Config,
    network: "ChainNetwork",
    larger: Config,
    rngs: "nnx.Rngs",
    after: int | None = None,
) -> "ChainNetwork":
    """The network of a larger architecture that computes what a smaller one computes.

    Blocks may be wider, with larger kernels, wider in the middle, and read more of the
    earlier ones: any of that at once; and one block may be new. The two are equal in
    evaluation mode, to rounding; the given network stays as it is.

    Args:
        chain: the space of both.
        config: the architecture of `network`.
        network: made by `chain.build`, and trained for all one knows.
        larger: the other architecture.
        rngs: of the new weights.
        after: if it has one block more, which block that one follows, and is as wide
            as; see `deepened`.

    Returns:
        The network of `larger`, in evaluation or training mode like any new one.

    Raises:
        ValueError: if something in `larger` is smaller than it was, or such that no
            weights of it compute the same; the message says what.

    Example:
        >>> from flax import nnx
        >>> chain = Chain(depth=2, widths=(8, 16))
        >>> config = {"depth": 1, "kind1": "plain", "kernel1": 3, "width1": 8}
        >>> network = chain.build(config, nnx.Rngs(0))
        >>> wide = inherit(chain, config, network, config | {"width1": 16}, nnx.Rngs(1))
        >>> wide.dense.kernel.shape
        (16, 10)

    References:
        Wei, Wang, Rui and Chen (2016), Network morphism; Chen, Goodfellow and Shlens
        (2016), Net2Net. Zeros where the new is read, as in both, and in the last
        normalization of a new residual block.
    """
    from flax import nnx

    _check(chain, config, larger, after)
    old_blocks, new_blocks = chain.blocks(config), chain.blocks(larger)
    child = chain.build(larger, rngs)
    dtype = network.dense.kernel[...].dtype
    nnx.update(child, jax.tree.map(lambda w: w.astype(dtype), nnx.state(child)))
    for j, (old_block, _) in enumerate(old_blocks, 1):
        place = _place(j, after)
        source, target = network.blocks[j - 1], child.blocks[place - 1]
        new_block = new_blocks[place - 1][0]
        layers = zip(
            source.layers,
            target.layers,
            old_block.convolutions,
            new_block.convolutions,
            strict=True,
        )
        for pair in layers:
            _copy(*pair)
        _shortcut(source, target, old_block.shortcut, new_block.shortcut, j)
        given = {str(_place(int(i), after)): s for i, s in network.skips[j - 1].items()}
        for i, layer in child.skips[place - 1].items():
            if i in given:
                _copy(given[i], layer, _shape(given[i]), _shape(layer))
            else:
                _silence(layer)
    if after is not None:
        _identity(child.blocks[after], config[f"kind{after}"])
        for layer in child.skips[after].values():
            _silence(layer)
    old: Any = network.dense
    new: Any = child.dense
    kernel = old.kernel[...]
    new.kernel[...] = jnp.zeros_like(new.kernel[...]).at[: len(kernel)].set(kernel)
    new.bias[...] = old.bias[...]
    return child


class _Shape(NamedTuple):
    """Channels of a convolution that reads everything."""

    inputs: int
    outputs: int
    groups: int = 1


def _shape(layer: Any) -> _Shape:
    kernel = layer.convolution.kernel[...]
    return _Shape(kernel.shape[2], kernel.shape[3])


def _copy(
    source: Any,
    target: Any,
    old: "Convolution | _Shape",
    new: "Convolution | _Shape",
) -> None:
    """The weights of a layer into a larger one; old outputs read old inputs only."""
    theirs, ours = source.convolution.kernel[...], target.convolution.kernel[...]
    border = (ours.shape[0] - theirs.shape[0]) // 2
    size = theirs.shape[0]
    center = (slice(border, border + size),) * 2
    ours = ours.at[..., : old.outputs].set(0)
    reads = slice(None) if new.groups > 1 else slice(0, old.inputs)
    ours = ours.at[(*center, reads, slice(0, old.outputs))].set(theirs)
    target.convolution.kernel[...] = ours
    for name in ("scale", "bias", "mean", "var"):
        values = getattr(source.normalization, name)[...]
        variable = getattr(target.normalization, name)
        variable[...] = variable[...].astype(values.dtype).at[: old.outputs].set(values)


def _shortcut(source: Any, target: Any, old: Any, new: Any, block: int) -> None:
    """What is added to a block, which may be its input or a convolution of it."""
    if not isinstance(old, bool) and not isinstance(new, bool):
        _copy(source.shortcut, target.shortcut, old, new)
    elif old is True and not isinstance(new, bool):
        width = source.layers[-1].convolution.kernel[...].shape[-1]
        kernel = target.shortcut.convolution.kernel[...]
        kernel = kernel.at[..., :width].set(0)
        kernel = kernel.at[0, 0, :width, :width].set(jnp.eye(width, dtype=kernel.dtype))
        target.shortcut.convolution.kernel[...] = kernel
        _unit(target.shortcut.normalization, width)
    elif old is not new:
        raise ValueError(
            f"larger: expected block {block} to add {_added(old)}, as before, "
            f"got {_added(new)}"
        )


def _added(shortcut: Any) -> str:
    if isinstance(shortcut, bool):
        return "its input" if shortcut else "nothing"
    return "a convolution of its input"


def _identity(block: Any, before: str) -> None:
    """Makes the block one that hands on what it reads."""
    last = list(block.layers)[-1]
    if block.identity:
        # What is added to its input is of scale zero, whose slope is not.
        _silence(last)
        return
    if before != "plain":
        raise ValueError(
            "larger: expected no plain block after one that hands on negative values, "
            f"got one after {before!r}"
        )
    kernel = last.convolution.kernel[...]
    middle = kernel.shape[0] // 2
    eye = jnp.eye(kernel.shape[-1], dtype=kernel.dtype)
    last.convolution.kernel[...] = jnp.zeros_like(kernel).at[middle, middle].set(eye)
    _unit(last.normalization, kernel.shape[-1])


def _unit(normalization: Any, width: int) -> None:
    """Makes the first channels of a new normalization hand on what they read."""
    scale = normalization.scale[...]
    unit = jnp.sqrt(normalization.var[...] + normalization.epsilon)
    normalization.scale[...] = jnp.where(jnp.arange(len(scale)) < width, unit, scale)


def _silence(layer: Any) -> None:
    """Makes a new layer say nothing, until its scale is trained."""
    scale = layer.normalization.scale
    scale[...] = jnp.zeros_like(scale[...])


def _place(block: int, after: int | None) -> int:
    """Where a block is once there is a new one; 0, the image, stays."""
    return block if after is None or block <= after else block + 1


def _skips(config: Config) -> list[tuple[int, int]]:
    depth = config.get("depth", 1)
    pairs = ((i, j) for j in range(2, depth + 1) for i in range(j - 1))
    return [(i, j) for i, j in pairs if config.get(skip_name(i, j), False)]


def _check(chain: Chain, config: Config, larger: Config, after: int | None) -> None:
    """Whether nothing is smaller than it was."""
    depth, new_depth = config.get("depth", 1), larger.get("depth", 1)
    if new_depth != depth + (after is not None):
        raise ValueError(
            f"larger: expected {depth + (after is not None)} blocks, got {new_depth}"
        )
    if after is not None and not 1 <= after <= depth:
        raise ValueError(f"after: expected 1 to {depth}, got {after}")
    old_blocks, new_blocks = chain.blocks(config), chain.blocks(larger)
    if after is not None:
        width, new_width = larger[f"width{after}"], larger[f"width{after + 1}"]
        if new_width != width:
            raise ValueError(
                f"larger: expected width{after + 1} to be {width}, as wide as the "
                f"block it follows, got {new_width}"
            )
    for j in range(1, depth + 1):
        place = _place(j, after)
        if larger[f"kind{place}"] != config[f"kind{j}"]:
            raise ValueError(
                f"larger: expected kind{place} to be {config[f'kind{j}']!r} as before, "
                f"got {larger[f'kind{place}']!r}"
            )
        for part in ("kernel", "width"):
            if larger[f"{part}{place}"] < config[f"{part}{j}"]:
                raise ValueError(
                    f"larger: expected {part}{place} of at least {config[f'{part}{j}']}"
                    f", as before, got {larger[f'{part}{place}']}"
                )
        old, new = (
            [layer.outputs for layer in block.convolutions]
            for block in (old_blocks[j - 1][0], new_blocks[place - 1][0])
        )
        if any(n < o for n, o in zip(new, old, strict=True)):
            raise ValueError(
                f"larger: expected block {place} to be no narrower in the middle, with "
                f"channels {old}, got {new}"
            )
    lost = {(_place(i, after), _place(j, after)) for i, j in _skips(config)}
    if lost := lost - set(_skips(larger)):
        raise ValueError(
            f"larger: expected {skip_name(*min(lost))} as before, got none"
        )
