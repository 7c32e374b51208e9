"""Accuracy against parameters: `python -m benchmarks.searches.fronts run`.

NAS-Bench-Macro, 100 evaluations, each of which sees one of the table's trainings at
random and the network's parameters. The hypervolume is that of the networks evaluated,
by the mean of their trainings, above 80 % and below 3 million parameters; of the whole
table it is 32.03 percent points times millions.
"""

import argparse
import pathlib
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import rows
from benchmarks.searches.architectures import layers
from bojax import acquisitions, pareto, problems, strategies
from bojax.surrogates import GP
from bojax.surrogates.kernels import Scale

RESULTS = pathlib.Path(__file__).parent / "results"
PATH = RESULTS / "fronts.csv"
EVALUATIONS, AT = 100, (20, 40, 60, 80, 100)
FIELDS = ("search", "seed", *(f"volume{n}" for n in AT), "seconds")
CORNER = (-80.0, 3.0)


def bayes(acquisition: type, chain: bool) -> Callable:
    """Of two objectives, with the kernel of chains or with that of any space."""

    def make(table: problems.Table) -> strategies.BayesOpt:
        kernel = Scale(jnp.asarray(np.zeros(())), layers(table)) if chain else None
        gp = GP(table.space, kernel)
        return strategies.BayesOpt(table.space, gp, acquisition, reference=CORNER)

    return make


SEARCHES: dict[str, Callable[[problems.Table], strategies.Strategy]] = {
    "random": lambda table: strategies.Random(table.space),
    "NSGA-II": lambda table: strategies.NSGA2(table.space),
    "ParEGO": bayes(acquisitions.ParEGO, chain=False),
    "ParEGO, chain kernel": bayes(acquisitions.ParEGO, chain=True),
    "qLogNEHVI": bayes(acquisitions.QLogNEHVI, chain=False),
    "qLogNEHVI, chain kernel": bayes(acquisitions.QLogNEHVI, chain=True),
}


@eqx.filter_jit
def visited(
    strategy: strategies.Strategy, table: problems.Table, seed: jax.Array
) -> jax.Array:
    """The networks of a run, in their order."""
    key = jax.random.key(seed)
    parameters = jnp.asarray(table.parameters)

    def step(state, number):
        points, state = strategy.ask(state)
        x = points.x[0]
        accuracy = table(x, jax.random.fold_in(key, number))
        y = jnp.stack([accuracy, parameters[tuple(table.level(x))] / 1e6])
        return strategy.tell(state, points, y[None]), x

    start = strategy.init(key, EVALUATIONS, num_objectives=2)
    return jax.lax.scan(step, start, jnp.arange(EVALUATIONS))[1]


def volumes(table: problems.Table, x: np.ndarray) -> list[float]:
    """The hypervolume after each of `AT`."""
    level = tuple(np.asarray(table.level(x)).T)
    mean = np.asarray(table.values, float).mean(axis=0)[level]
    parameters = np.asarray(table.parameters, float)[level] / 1e6
    y = np.stack([mean, parameters], axis=1)
    return [float(pareto.hypervolume(y[:n], np.array(CORNER))) for n in AT]


def stored() -> dict[str, dict[int, np.ndarray]]:
    """Hypervolumes after each of `AT`, and seconds, by search and seed."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for row in rows.read(PATH):
        values = np.array([float(row[field]) for field in FIELDS[2:]])
        found.setdefault(row["search"], {})[int(row["seed"])] = values
    return found


def run(search: str, seeds: range) -> None:
    """Do and store the runs that are not stored yet."""
    table = problems.table("nasbench_macro")
    done = stored().get(search, {})
    for seed in seeds:
        if seed in done:
            continue
        start = time.process_time()
        x = visited(SEARCHES[search](table), table, jnp.asarray(np.int32(seed)))
        values = volumes(table, np.asarray(x))
        cells = [f"{value:.4f}" for value in values]
        cells.append(f"{time.process_time() - start:.1f}")
        rows.append(PATH, FIELDS, (search, seed, *cells))
    print(search, flush=True)


def report() -> str:
    """All searches, as markdown."""
    lines = [
        "# Accuracy against parameters",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "Mean and standard error over the seeds; CPU seconds of the median run, the",
        "first compiles.",
        "",
        f"| search | seeds | {' | '.join(str(n) for n in AT)} | CPU seconds |",
        "| --- | --- |" + " --- |" * (len(AT) + 1),
    ]
    for search, runs in stored().items():
        values = np.array(list(runs.values()))
        error = values.std(axis=0) / len(values) ** 0.5
        cells = [
            f"{m:.2f} ± {e:.2f}"
            for m, e in zip(values.mean(axis=0)[:-1], error[:-1], strict=True)
        ]
        lines.append(
            f"| {search} | {len(values)} | {' | '.join(cells)} | "
            f"{np.median(values[:, -1]):.1f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches.fronts")
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES))
    arguments = parser.parse_args()
    if arguments.command == "run":
        for search in arguments.searches:
            run(search, range(arguments.seeds))
    text = report()
    print(text)
    (RESULTS / "fronts.md").write_text(text)


if __name__ == "__main__":
    main()
