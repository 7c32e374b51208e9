"""Networks trained in one program, beside one by one: `python -m` this.

Eight networks of one to four layers and 4 to 16 channels, on scikit-learn's digits:
two epochs of 600 images with Adam, batches of 50; one thread. Alone each network has a
program of its own, without padding; together they have one, padded to four layers of 16
channels. CPU seconds, of the first call, which compiles, and the median of three warm
ones.
"""

import functools
import os
import pathlib
import time

os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.searches.climb import BATCH, digits
from bojax.nas import morphisms
from bojax.nas.morphisms import Layer, Specification
from bojax.nas.population import stack, train

RESULTS = pathlib.Path(__file__).parent / "results"
OPTIMIZER = optax.adam(1e-2)
NETWORKS = [
    Specification(1, tuple(Layer(3, width) for width in widths), 10)
    for widths in (
        (4,),
        (16,),
        (8, 8),
        (4, 16),
        (16, 8, 4),
        (8, 8, 16),
        (4, 8, 8, 16),
        (16, 16, 16, 16),
    )
]


@functools.partial(jax.jit, static_argnums=0)
def alone(specification, state, images, labels, batches):
    """The training of one network, without padding."""

    def loss(state, rows):
        logits = morphisms.apply(specification, state, images[rows])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows])
        return jnp.mean(losses)

    def step(carry, rows):
        state, memory = carry
        slope = jax.grad(loss)(state, rows)
        updates, memory = OPTIMIZER.update(slope, memory, state)
        return (optax.apply_updates(state, updates), memory), None

    return jax.lax.scan(step, (state, OPTIMIZER.init(state)), batches)[0][0]


def times(call) -> tuple[float, float]:
    """CPU seconds of the first call, and the median of three more."""
    seconds = []
    for _ in range(4):
        start = time.process_time()
        jax.block_until_ready(call())
        seconds.append(time.process_time() - start)
    return seconds[0], float(np.median(seconds[1:]))


def main() -> None:
    (images, labels), *_ = digits(0)
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(len(labels)) for _ in range(2)])
    batches = jnp.asarray(order.reshape(-1, BATCH))
    states = [morphisms.init(net, jax.random.key(0)) for net in NETWORKS]
    population = stack(NETWORKS, states)

    def each():
        return [
            alone(net, state, images, labels, batches)
            for net, state in zip(NETWORKS, states, strict=True)
        ]

    def together():
        return train(population, OPTIMIZER, images, labels, batches)

    rows = {"one program each": times(each), "one program": times(together)}
    lines = [
        "# Networks trained in one program",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| | first call, s | warm, s |",
        "| --- | --- | --- |",
        *(f"| {name} | {a:.2f} | {b:.2f} |" for name, (a, b) in rows.items()),
        f"| ratio | {rows['one program each'][0] / rows['one program'][0]:.1f} | "
        f"{rows['one program each'][1] / rows['one program'][1]:.1f} |",
        "",
    ]
    print("\n".join(lines))
    (RESULTS / "population.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
