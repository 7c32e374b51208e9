"""Networks of different depth, width and kernels, trained in one compiled program.

They are padded to a common size. What pads them is masked: it is zero in every output
and in every gradient, so that each network is trained as it would be alone.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from bojax._typing import PyTree
from bojax.nas.morphisms import Specification, State

if TYPE_CHECKING:
    import optax


class Room(NamedTuple):
    """The size to which networks are padded: programs are compiled for it alone.

    Args:
        depth: the largest number of layers.
        width: the largest number of channels.
        kernel: the largest filter.
        skips: all that any network has.
    """

    depth: int
    width: int
    kernel: int
    skips: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, specifications: Sequence[Specification]) -> "Room":
        """The least that has room for all of them."""
        layers = [layer for s in specifications for layer in s.layers]
        return cls(
            depth=max(len(s.layers) for s in specifications),
            width=max(layer.width for layer in layers),
            kernel=max(layer.kernel for layer in layers),
            skips=tuple(sorted({pair for s in specifications for pair in s.skips})),
        )


class Population(eqx.Module):
    """Padded networks, one along the leading axis of every array.

    Args:
        weights: by name, as in `morphisms.State`.
        masks: of the weights that are not padding.
        exists: which layers a network has.
        room: the size of each.
    """

    weights: State
    masks: dict[str, Bool[Array, "k ..."]]
    exists: Bool[Array, "k depth"]
    room: Room = eqx.field(static=True)

    def logits(self, x: Float[Array, "n h w c"]) -> Float[Array, "k n classes"]:
        """Of every network."""
        each = jax.vmap(_apply, in_axes=(0, 0, 0, None, None))
        return each(self.weights, self.masks, self.exists, self.room, x)


def stack(
    specifications: Sequence[Specification],
    states: Sequence[State],
    room: Room | None = None,
) -> Population:
    """Networks as a population.

    Args:
        specifications: of each network; images and classes are those of all.
        states: their weights.
        room: the size to pad them to; by default the least that holds them.

    Raises:
        ValueError: if there are none, they do not fit in the room, or they differ in
            their images or classes.

    Example:
        >>> import jax
        >>> from bojax.nas.morphisms import Layer, init
        >>> nets = [Specification(1, (Layer(3, width),), 10) for width in (4, 8)]
        >>> population = stack(nets, [init(net, jax.random.key(0)) for net in nets])
        >>> population.logits(jax.numpy.zeros((5, 8, 8, 1))).shape
        (2, 5, 10)
    """
    if not specifications or len(specifications) != len(states):
        raise ValueError(
            "specifications: expected at least one, and a state for each, "
            f"got {len(specifications)} and {len(states)} states"
        )
    ends = {(s.inputs, s.classes) for s in specifications}
    if len(ends) > 1:
        raise ValueError(
            f"specifications: expected the same images and classes, got {sorted(ends)}"
        )
    needed = Room.of(specifications)
    room = needed if room is None else room
    fits = all(n <= r for n, r in zip(needed[:3], room[:3], strict=True))
    if not fits or not set(needed.skips) <= set(room.skips):
        raise ValueError(f"room: expected room for {needed}, got {room}")
    first = specifications[0]
    shapes = _shapes(room, first.inputs, first.classes)
    padded = [
        {name: _pad(state.get(name), shape) for name, shape in shapes.items()}
        for state in states
    ]
    weights, masks = (
        {name: jnp.stack([net[name][part] for net in padded]) for name in shapes}
        for part in (0, 1)
    )
    depths = np.array([len(s.layers) for s in specifications])
    exists = jnp.asarray(np.arange(room.depth) < depths[:, None])
    return Population(weights, masks, exists, room)


def unstack(
    population: Population, specifications: Sequence[Specification]
) -> list[State]:
    """The networks' weights without padding."""
    states = []
    for k, specification in enumerate(specifications):
        state = {}
        for name, weights in population.weights.items():
            mask = np.asarray(population.masks[name][k])
            if mask.any():
                box = tuple(slice(i.min(), i.max() + 1) for i in np.nonzero(mask))
                state[name] = weights[k][box]
        if len(specification.layers) != int(population.exists[k].sum()):
            raise ValueError(
                f"specifications: expected {int(population.exists[k].sum())} layers of "
                f"network {k}, got {len(specification.layers)}"
            )
        states.append(state)
    return states


@eqx.filter_jit
def train(
    population: Population,
    optimizer: "optax.GradientTransformation",
    images: Float[Array, "n h w c"],
    labels: Int[Array, " n"],
    batches: Int[Array, "steps b"],
    memory: PyTree | None = None,
) -> tuple[Population, PyTree]:
    """Descends the cross entropy of every network, each as if it were alone.

    Args:
        population: the networks.
        optimizer: of optax; its state is each network's own.
        images: all of them.
        labels: their classes.
        batches: rows of the images, one batch a step, the same for all networks.
        memory: what the last call returned, to go on from there.

    Returns:
        The networks after the last step, and the optimizers' states.
    """
    import optax

    masks, exists, room = population.masks, population.exists, population.room

    def loss(weights, mask, exist, rows):
        logits = _apply(weights, mask, exist, room, images[rows])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows])
        return jnp.mean(losses)

    def advance(weights, memory, mask, exist, rows):
        slope = jax.grad(loss)(weights, mask, exist, rows)
        updates, memory = optimizer.update(slope, memory, weights)
        return optax.apply_updates(weights, updates), memory

    def step(carry, rows):
        each = jax.vmap(advance, in_axes=(0, 0, 0, 0, None))
        weights, memory = carry
        return each(weights, memory, masks, exists, rows), None

    if memory is None:
        memory = jax.vmap(optimizer.init)(population.weights)
    start = (population.weights, memory)
    end: Any = jax.lax.scan(step, start, batches)[0]
    return Population(end[0], masks, exists, room), end[1]


def _shapes(room: Room, inputs: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Of all weights of a network that fills the room."""
    width, kernel = room.width, room.kernel
    shapes: dict[str, tuple[int, ...]] = {
        "dense": (width, classes),
        "dense_bias": (classes,),
    }
    for l in range(1, room.depth + 1):
        reads = inputs if l == 1 else width
        shapes[f"kernel{l}"] = (kernel, kernel, reads, width)
        shapes[f"bias{l}"] = (width,)
    for i, l in room.skips:
        shapes[f"skip{i}_{l}"] = (1, 1, width if i else inputs, width)
    return shapes


def _pad(weights: Array | None, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Filters in the middle, channels first; and where they are."""
    if weights is None:
        return jnp.zeros(shape), jnp.zeros(shape, bool)
    images = len(shape) == 4
    border = [
        ((s - n) // 2,) * 2 if images and axis < 2 else (0, s - n)
        for axis, (n, s) in enumerate(zip(weights.shape, shape, strict=True))
    ]
    return jnp.pad(weights, border), jnp.pad(jnp.ones(weights.shape, bool), border)


def _apply(
    weights: State,
    masks: dict[str, Bool[Array, "..."]],
    exists: Bool[Array, " depth"],
    room: Room,
    x: Float[Array, "n h w c"],
) -> Float[Array, "n classes"]:
    """One network's logits; a layer that does not exist hands on what it reads."""
    w = {name: jnp.where(masks[name], value, 0) for name, value in weights.items()}
    h = [x]
    for l in range(1, room.depth + 1):
        total = _convolve(h[-1], w[f"kernel{l}"]) + w[f"bias{l}"]
        for i, target in room.skips:
            if target == l:
                total = total + h[i] @ w[f"skip{i}_{l}"][0, 0]
        value = jax.nn.relu(total)
        h.append(value if l == 1 else jnp.where(exists[l - 1], value, h[-1]))
    return jnp.mean(h[-1], axis=(1, 2)) @ w["dense"] + w["dense_bias"]


def _convolve(
    x: Float[Array, "n h w c"], kernel: Float[Array, "k k c o"]
) -> Float[Array, "n h w o"]:
    """As one matrix product, of which many, under vmap, are one batched product."""
    size, (_, height, width, _) = kernel.shape[0], x.shape
    border = size // 2
    padded = jnp.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    starts = itertools.product(range(size), repeat=2)
    patches = [padded[:, i : i + height, j : j + width] for i, j in starts]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
