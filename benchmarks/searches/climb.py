"""A hill-climb by morphisms: `python -m benchmarks.searches.climb`.

Scikit-learn's digits: 600 images to train on, 400 to choose by, 797 to be judged by.
Each round the children of the best network so far, and that network itself, are trained
for a few epochs; the best of them on the images to choose by goes on. With inheritance
a child starts from what its parent has learned, by an exact morphism; without, the same
children start from random weights. Every epoch of every child counts. All children of a
round are trained in one program, which is compiled once (`bojax.nas.train`).

Adam's rate falls along a cosine from 2e-2 in every round, for all climbs the same. On
seeds 3 and 4, which are not reported, 5e-3 was worse for all of them, and between 1e-2
and 4e-2 those from scratch did not differ by more than the seeds do.
"""

import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import rows
from bojax.nas import morphisms
from bojax.nas.morphisms import Layer, Specification
from bojax.nas.population import Room, stack, train, unstack

RESULTS = pathlib.Path(__file__).parent / "results"
PATH = RESULTS / "climb.csv"
SEEDS, CHILDREN, BATCH, RATE = range(10, 15), 4, 50, 2e-2
FIRST = Specification(1, (Layer(3, 8), Layer(1, 8)), 10)
SKIPS = ((0, 2), (0, 3), (1, 3))
ROOM = Room(depth=3, width=16, kernel=3, skips=SKIPS)
FIELDS = ("climb", "seed", "epochs", "validation", "test", "seconds")

CLIMBS = {
    "inherited, 4 epochs": (True, 4, 36),
    "from scratch, 8 epochs": (False, 8, 6),
    "from scratch, 24 epochs": (False, 24, 6),
}
"""Whether weights are inherited, epochs of each network in a round, and rounds."""


def digits(seed: int) -> list[tuple[jax.Array, jax.Array]]:
    """Images and classes, in three parts."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    images = images[order].reshape(-1, 8, 8, 1).astype(np.float32) / 16
    cuts = (slice(0, 600), slice(600, 1000), slice(1000, 1797))
    return [(jnp.asarray(images[c]), jnp.asarray(labels[order][c])) for c in cuts]


def morphed(
    specification: Specification, state: morphisms.State, key: jax.Array
) -> tuple[Specification, morphisms.State]:
    """Larger by one random morphism of those for which there is room."""
    layers = specification.layers
    options = []
    for l, layer in enumerate(layers, 1):
        if 2 * layer.width <= ROOM.width:
            options.append((morphisms.widen, l, 2 * layer.width, key))
        if layer.kernel < ROOM.kernel:
            options.append((morphisms.grow_kernel, l, ROOM.kernel))
        if len(layers) < ROOM.depth:
            options.append((morphisms.deepen, l))
        options += [
            (morphisms.add_skip, i, l)
            for i in range(l - 1)
            if (i, l) not in specification.skips
        ]
    if not options:
        return specification, state
    choice = int(jax.random.randint(key, (), 0, len(options)))
    morphism, *arguments = options[choice]
    return morphism(specification, state, *arguments)


@jax.jit
def accuracies(population, images: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.mean(jnp.argmax(population.logits(images), -1) == labels, axis=1)


def climb(
    inherited: bool, epochs: int, rounds: int, seed: int
) -> list[tuple[int, float, float]]:
    """Epochs so far, and the accuracies of the best network, after each round."""
    learn, choose, judge = digits(seed)
    key, found, spent = jax.random.key(seed), [], 0
    best = (FIRST, morphisms.init(FIRST, jax.random.fold_in(key, 999)))
    steps = len(learn[1]) // BATCH * epochs
    schedule = optax.cosine_decay_schedule(RATE, steps)
    optimizer = optax.adam(schedule)
    for number in range(rounds):
        keys = jax.random.split(jax.random.fold_in(key, number), CHILDREN + 2)
        family = [best, *(morphed(*best, k) for k in keys[:CHILDREN])]
        if not inherited:
            family = [
                (s, morphisms.init(s, jax.random.fold_in(keys[-1], i)))
                for i, (s, _) in enumerate(family)
            ]
        rng = np.random.default_rng([seed, number])
        order = [rng.permutation(len(learn[1])) for _ in range(epochs)]
        batches = jnp.asarray(np.concatenate(order).reshape(steps, BATCH))
        specifications = [s for s, _ in family]
        population = stack(specifications, [w for _, w in family], ROOM)
        population, _ = train(population, optimizer, *learn, batches)
        spent += epochs * len(family)
        validation = np.asarray(accuracies(population, *choose))
        test = np.asarray(accuracies(population, *judge))
        winner = int(np.argmax(validation))
        best = (
            specifications[winner],
            unstack(population, specifications)[winner],
        )
        found.append((spent, float(validation[winner]), float(test[winner])))
    return found


def run() -> None:
    done = {(row["climb"], int(row["seed"])) for row in rows.read(PATH)}
    for seed in SEEDS:
        for name, how in CLIMBS.items():
            if (name, seed) in done:
                continue
            start = time.process_time()
            found = climb(*how, seed)
            seconds = time.process_time() - start
            own = [
                (name, seed, spent, f"{a:.4f}", f"{b:.4f}", f"{seconds:.0f}")
                for spent, a, b in found
            ]
            rows.append(PATH, FIELDS, *own)
            print(name, seed, found[-1], f"{seconds:.0f} s", flush=True)


def curves(name: str, column: str) -> dict[int, list[tuple[int, float]]]:
    """Epochs and accuracy after each round, by seed."""
    found: dict[int, list[tuple[int, float]]] = {}
    for row in rows.read(PATH):
        if row["climb"] == name:
            point = (int(row["epochs"]), float(row[column]))
            found.setdefault(int(row["seed"]), []).append(point)
    return found


def share(reference: str, column: str) -> list[float]:
    """Epochs with inheritance until the best accuracy without, as a share of all.

    Of all the epochs of the climb without; infinite where it is not reached.
    """
    inherited = curves(next(iter(CLIMBS)), column)
    shares = []
    for seed, curve in curves(reference, column).items():
        goal = max(value for _, value in curve)
        ours = [e for e, value in inherited.get(seed, []) if value >= goal]
        shares.append(min(ours, default=np.inf) / curve[-1][0])
    return shares


def report() -> str:
    lines = [
        "# A hill-climb by morphisms",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        f"{CHILDREN} children a round and {len(SEEDS)} seeds; means over the seeds of",
        "the accuracy at the end. In the last two columns, the median and by seed, the",
        "epochs with inheritance until the best accuracy that the row ever had, as a",
        "share of all of the row's epochs.",
        "",
        "| climb | epochs in all | validation, % | test, % | share, validation "
        "| share, test |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, (inherited, _, _) in CLIMBS.items():
        ends = [
            [curve[-1][1] for curve in curves(name, column).values()]
            for column in ("validation", "test")
        ]
        spent = next(iter(curves(name, "test").values()))[-1][0]
        cells = [f"{100 * np.mean(end):.2f}" for end in ends]
        for column in ("validation", "test"):
            shares = [] if inherited else share(name, column)
            each = ", ".join(f"{value:.2f}" for value in shares)
            cells.append(f"{np.median(shares):.2f} ({each})" if shares else "")
        lines.append(f"| {name} | {spent} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    if sys.argv[1:] != ["report"]:
        run()
    text = report()
    print(text)
    (RESULTS / "climb.md").write_text(text)


if __name__ == "__main__":
    main()
