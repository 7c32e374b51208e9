"""Every cell of a small space on digits: `python -m benchmarks.searches.cells`.

The cells have four nodes and none, a skip, a 1x1 or a 3x3 convolution on each of the
six edges: 4,096 in all, of which 169 have no path from input to output and the others
compute 1,010 different things (`Cell.canonical`). Each of those is trained three times
on scikit-learn's digits: 600 images to learn from, 400 to choose by, 797 to be judged
by. The network is that of `Cell.build` with eight channels; Adam for 16 epochs in
batches of 50, its rate falling from 0.02 to nothing along a cosine. The operations are
masks, so that one compiled program trains all of them. It writes the table that
`bojax.problems.cells` reads.
"""

import argparse
import functools
import itertools
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import threadpoolctl
from jaxtyping import Array, Bool, Float, Int, Key

from benchmarks.searches.climb import digits
from bojax.nas import Cell

PATH = pathlib.Path(__file__).parents[2] / "bojax" / "problems" / "_cells.npz"
CELL = Cell(nodes=4, operations=("none", "skip", "conv1", "conv3"), channels=8)
REPEATS, EPOCHS, BATCH, RATE = 3, 16, 50, 2e-2
MOMENTUM, EPSILON = 0.9, 1e-5  # of the averages that normalize when judged

Weights = dict[str, Float[Array, "..."]]
"""Filters `[outputs, 9 inputs]` of the stem and of each node, for all edges from it."""


class Operations(NamedTuple):
    """What is on each edge, ordered as in `CELL.edges`.

    Args:
        skip: whether the node is handed on.
        taps: which of the nine places a filter has; none without a convolution.
    """

    skip: Bool[np.ndarray | Array, "*k edges"]
    taps: Bool[np.ndarray | Array, "*k edges 9"]

    @classmethod
    def of(cls, config: dict) -> "Operations":
        """Those of a cell, but for edges that lead nowhere."""
        kinds = [CELL.useful(config).get(edge) for edge in CELL.edges]
        taps = {"conv1": np.arange(9) == 4, "conv3": np.ones(9, bool)}
        return cls(
            np.array([kind == "skip" for kind in kinds]),
            np.array([taps.get(kind or "", np.zeros(9, bool)) for kind in kinds]),
        )


class Result(NamedTuple):
    """Images classified wrongly.

    Args:
        curve: of those to choose by, after each epoch.
        test: of those to be judged by, at the end.
    """

    curve: Int[Array, "*k epochs"]
    test: Int[Array, "*k"]


def init(key: Key[Array, ""]) -> Weights:
    """Random filters for every edge, as if all had nine taps."""
    c, weights = CELL.channels, {}
    shapes = {"stem": (c, 9)}
    for node in range(CELL.nodes - 1):
        shapes[f"node{node}"] = ((CELL.nodes - 1 - node) * c, 9 * c)
    for name, own in zip(shapes, jax.random.split(key, len(shapes)), strict=True):
        rows, columns = shapes[name]
        weights[name] = jax.random.normal(own, (rows, columns)) / columns**0.5
        weights[f"{name}_scale"], weights[f"{name}_shift"] = (
            jnp.ones(rows),
            jnp.zeros(rows),
        )
    dense = jax.random.normal(jax.random.fold_in(key, 9), (c, CELL.classes)) / c**0.5
    return weights | {"dense": dense, "bias": jnp.zeros(CELL.classes)}


Moments = dict[str, Float[Array, "2 outputs"]]
"""Mean and variance of what each convolution gives."""


def apply(
    weights: Weights,
    operations: Operations,
    images: Float[Array, "1 n h w"],
    averages: Moments | None = None,
) -> tuple[Float[Array, "n classes"], Moments]:
    """Logits, and the moments by which was normalized: the batch's own, or averages."""
    moments: Moments = {}

    def convolve(x: Float[Array, "c n h w"], name: str, taps: Bool[Array, "e 9"]):
        kernel = weights[name].reshape(len(taps), -1, 9, x.shape[0])
        # As many weights as an edge has are to have variance one over their number.
        grow = jnp.sqrt(9 / jnp.maximum(taps.sum(1), 1))
        kernel = kernel * (taps * grow[:, None])[:, None, :, None]
        z = _product(x, kernel.reshape(len(weights[name]), -1))
        if averages is None:
            mean, variance = jnp.mean(z, (1, 2, 3)), jnp.var(z, (1, 2, 3))
        else:
            mean, variance = averages[name]
        moments[name] = jnp.stack([mean, variance])
        scale = weights[f"{name}_scale"] * jax.lax.rsqrt(variance + EPSILON)
        shift = weights[f"{name}_shift"] - mean * scale
        return jax.nn.relu(z * scale[:, None, None, None] + shift[:, None, None, None])

    last = CELL.nodes - 1
    values = [convolve(images, "stem", jnp.ones((1, 9), bool))] + [0.0] * last
    for node in range(last):
        edges = np.array([e for e, (i, _) in enumerate(CELL.edges) if i == node])
        taps = operations.taps[edges]
        parts = jnp.split(convolve(values[node], f"node{node}", taps), len(edges))
        for e, part in zip(edges, parts, strict=True):
            target = CELL.edges[e][1]
            there = operations.skip[e] * values[node]
            values[target] += there + jnp.any(operations.taps[e]) * part
    features = jnp.mean(values[last], axis=(2, 3)).T
    return features @ weights["dense"] + weights["bias"], moments


def _product(
    x: Float[Array, "c n h w"], kernel: Float[Array, "o 9c"]
) -> Float[Array, "o n h w"]:
    """A convolution as one matrix product: for networks this small the fastest."""
    _, n, height, width = x.shape
    padded = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = itertools.product(range(3), repeat=2)
    patches = [padded[:, :, i : i + height, j : j + width] for i, j in places]
    flat = jnp.concatenate(patches).reshape(-1, n * height * width)
    return (kernel @ flat).reshape(-1, n, height, width)


@functools.cache
def data() -> list[tuple[Float[np.ndarray, "1 n 8 8"], Int[np.ndarray, " n"]]]:
    """Images and classes: to learn from, to choose by, to be judged by."""
    with jax.ensure_compile_time_eval():
        return [(np.moveaxis(x, -1, 0), np.asarray(y)) for x, y in digits(0)]


@jax.jit
def train(operations: Operations, keys: Key[Array, " k"]) -> Result:
    """Trains cells, each from random weights, in random batches of its own.

    Args:
        operations: of each cell, along a leading axis.
        keys: one for each.
    """
    (images, labels), choose, judge = jax.tree.map(jnp.asarray, data())
    steps = len(labels) // BATCH
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, EPOCHS * steps))

    def one(given: tuple[Operations, Key[Array, ""]]) -> Result:
        own, key = given

        def loss(weights: Weights, rows: Int[Array, " b"]):
            logits, moments = apply(weights, own, images[:, rows])
            entropy = optax.softmax_cross_entropy_with_integer_labels
            return jnp.mean(entropy(logits, labels[rows])), moments

        def step(carry, rows: Int[Array, " b"]):
            weights, averages, memory = carry
            slope, moments = jax.grad(loss, has_aux=True)(weights, rows)
            averages = jax.tree.map(
                lambda a, b: MOMENTUM * a + (1 - MOMENTUM) * b, averages, moments
            )
            updates, memory = optimizer.update(slope, memory)
            return (optax.apply_updates(weights, updates), averages, memory), None

        def wrong(carry, images, labels) -> Int[Array, ""]:
            logits, _ = apply(carry[0], own, images, carry[1])
            return jnp.sum(jnp.argmax(logits, -1) != labels)

        def epoch(carry, key: Key[Array, ""]):
            rows = jax.random.permutation(key, len(labels)).reshape(steps, BATCH)
            carry, _ = jax.lax.scan(step, carry, rows)
            return carry, wrong(carry, *choose)

        start, *order = jax.random.split(key, EPOCHS + 1)
        weights = init(start)
        _, moments = apply(weights, own, images[:, :BATCH])
        carry = (weights, moments, optimizer.init(weights))
        carry, curve = jax.lax.scan(epoch, carry, jnp.stack(order))
        return Result(curve, wrong(carry, *judge))

    return jax.lax.map(one, (operations, keys))


def forms() -> tuple[list[dict], Int[np.ndarray, "*levels"]]:
    """A cell of each canonical form, and which form each has; -1 without a path."""
    number: dict[str, int] = {}
    found, index = [], []
    for kinds in itertools.product(CELL.operations, repeat=len(CELL.edges)):
        config = dict(zip(CELL.space.names, kinds, strict=True))
        try:
            form = CELL.canonical(config)
        except ValueError:
            index.append(-1)
            continue
        if form not in number:
            number[form] = len(found)
            found.append(config)
        index.append(number[form])
    shape = (len(CELL.operations),) * len(CELL.edges)
    return found, np.array(index, np.int16).reshape(shape)


def retrain(configs: list[dict], repeat: int, numbers: list[int]) -> Result:
    """The training of these cells, the given numbers among all forms."""
    own = [Operations.of(config) for config in configs]
    key = jax.random.key(repeat)
    return train(
        Operations(*(np.stack(parts) for parts in zip(*own, strict=True))),
        jax.vmap(lambda number: jax.random.fold_in(key, number))(jnp.array(numbers)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches.cells")
    parser.add_argument("--path", type=pathlib.Path, default=PATH)
    path = parser.parse_args().path
    start = time.process_time()
    configs, index = forms()
    curves, test = [], []
    with threadpoolctl.threadpool_limits(1):
        for repeat in range(REPEATS):
            found = retrain(configs, repeat, list(range(len(configs))))
            curves.append(np.asarray(found.curve, np.uint16))
            test.append(np.asarray(found.test, np.uint16))
            seconds = time.process_time() - start
            print(f"repeat {repeat}: {seconds:.0f} CPU s", flush=True)
    np.savez_compressed(
        path,
        operations=np.array(CELL.operations),
        names=np.array(CELL.space.names),
        form=index,
        parameters=np.array(
            [CELL.cost(config, 8, 8).parameters for config in configs], np.uint16
        ),
        curves=np.stack(curves),
        test=np.stack(test),
        images=np.array([len(labels) for _, labels in data()], np.uint16),
    )
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
