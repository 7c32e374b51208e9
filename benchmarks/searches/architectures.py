"""Searches on tables of networks: `python -m benchmarks.searches.architectures run`.

Every evaluation sees one of the table's trainings at random. The network with the best
value seen is chosen, and scored by the mean of its trainings; so is the network that
the search recommends, which under noise need not be the same.
"""

import argparse
import functools
import pathlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from benchmarks import rows
from bojax import problems, strategies
from bojax.nas import Aligned, ChainKernel, PathKernel
from bojax.surrogates import GP
from bojax.surrogates.kernels import Columns, Kernel, Scale

RESULTS = pathlib.Path(__file__).parent / "results"
PATH = RESULTS / "architectures.csv"
FIELDS = ("table", "search", "seed", "chosen", "recommended", "seconds")
EVALUATIONS, MOST_SEEDS = 100, 200
OPERATIONS = {"skip_connect": "skip", "nor_conv_1x1": "conv1", "nor_conv_3x3": "conv3"}

# Within these runs of NAS-Bench-Macro no layer halves the image, so that it is all one
# which of them does nothing.
RUNS = (("layer3", "layer4"), ("layer6", "layer7"))


def paths(table: problems.Table) -> Kernel:
    """Of cells with four nodes."""
    parameter = table.space.columns[0].parameter
    operations = [OPERATIONS.get(name, name) for name in parameter.values]
    half = jnp.asarray(np.log([0.5]))
    kernel = PathKernel(nodes=4, operations=tuple(operations), log_lengthscale=half)
    if table.space == problems.cells().space:
        return kernel
    # The edges of NAS-Bench-201 are in the order of where they end.
    return Columns(kernel, (0, 1, 3, 2, 4, 5))


def layers(table: problems.Table) -> Kernel:
    """Of NAS-Bench-Macro."""
    kernel = ChainKernel.of(table.space, [(name,) for name in table.space.names])
    return Aligned.of(kernel, table.space, RUNS, "identity")


def bayes(
    make: Callable[[problems.Table], Kernel], table: problems.Table
) -> strategies.BayesOpt:
    gp = GP(table.space, Scale(jnp.asarray(np.zeros(())), make(table)))
    return strategies.BayesOpt(table.space, gp)


SEARCHES: dict[str, Callable[[problems.Table], strategies.Strategy]] = {
    "random": lambda table: strategies.Random(table.space),
    "REINFORCE": lambda table: strategies.Reinforce(table.space),
    "REA, population 20, tournament 5": lambda table: strategies.RegularizedEvolution(
        table.space
    ),
    "REA, population 10, tournament 3": lambda table: strategies.RegularizedEvolution(
        table.space, 10, 3
    ),
    "TPE": lambda table: strategies.TPE(table.space),
    "BayesOpt": lambda table: strategies.BayesOpt(table.space),
    "BayesOpt, path kernel": functools.partial(bayes, paths),
    "BayesOpt, chain kernel": functools.partial(bayes, layers),
}
ONLY = {
    "BayesOpt, path kernel": ("nasbench201", "cells"),
    "BayesOpt, chain kernel": ("nasbench_macro",),
}
"""Searches made for some of the tables."""

TABLES = ("nasbench201", "nasbench_macro", "cells")


def read(name: str) -> problems.Table:
    """A table of the folder in `BOJAX_DATA`, or that of the package."""
    return problems.cells() if name == "cells" else problems.table(name)


def accuracy(name: str, value: np.ndarray) -> np.ndarray:
    """In percent; values are accuracies negated, or errors in the package's table."""
    return 100 - value if name == "cells" else -value


def stored() -> dict[tuple[str, str], dict[int, np.ndarray]]:
    """Accuracies, in percent, of the chosen and the recommended network; and seconds.

    By table and search, then by seed.
    """
    found: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    for row in rows.read(PATH):
        values = np.array([float(row[field]) for field in FIELDS[3:]])
        runs = found.setdefault((row["table"], row["search"]), {})
        runs[int(row["seed"])] = values
    return found


def run(name: str, search: str, seeds: list[int]) -> None:
    """Do and store the runs of these seeds."""
    table = read(name)
    keys = jax.random.split(jax.random.key(0), MOST_SEEDS)[np.array(seeds)]
    start = time.process_time()
    history = bojax.simulate(
        SEARCHES[search](table), table, EVALUATIONS, keys, recommend="noisy"
    )
    best = np.nanargmin(np.asarray(history.y), axis=1)
    chosen = np.asarray(history.x)[np.arange(len(seeds)), best]
    score = [
        accuracy(name, np.asarray(jax.vmap(table.mean)(x)))
        for x in (chosen, history.recommended)
    ]
    seconds = (time.process_time() - start) / len(seeds)
    own = [
        (name, search, seed, *(f"{value:.4f}" for value in values), f"{seconds:.2f}")
        for seed, *values in zip(seeds, *score, strict=True)
    ]
    rows.append(PATH, FIELDS, *own)


def report() -> str:
    """All searches, as markdown."""
    lines = [
        f"# Tables of networks, {EVALUATIONS} evaluations",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "Mean, standard deviation over the runs and standard error of the mean.",
        "The chain kernel was chosen among four on seeds 0 to 15: seeds from 20 on",
        "are the fair ones. CPU seconds include compilation, on a shared machine.",
        "",
        "| table | search | seeds | accuracy of the best seen, % | of the recommended, "
        "% | CPU seconds a run |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    runs = stored()
    for name in TABLES:
        for search in SEARCHES:
            own = runs.get((name, search), {})
            parts = [sorted(own)]
            if search in ONLY and name != "cells":
                parts = [[s for s in own if s < 20], [s for s in own if s >= 20]]
            for seeds in parts:
                if not seeds:
                    continue
                values = np.array([own[seed] for seed in seeds])
                cells = [
                    f"{v.mean():.3f} ± {v.std():.3f} ({v.std() / len(v) ** 0.5:.3f})"
                    for v in values[:, :2].T
                ]
                lines.append(
                    f"| {name} | {search} | {min(seeds)} to {max(seeds)} | "
                    f"{' | '.join(cells)} | {values[:, 2].mean():.2f} |"
                )
        best = accuracy(name, np.array(read(name).optimum))
        lines.append(f"| {name} | best in the table | | {best:.3f} | | |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches.architectures")
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--model-seeds", type=int, default=40, help="of BayesOpt")
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES))
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    arguments = parser.parse_args()
    if arguments.command == "run":
        for name in arguments.tables:
            for search in arguments.searches:
                if name not in ONLY.get(search, TABLES):
                    continue
                count = arguments.seeds
                if search.startswith("BayesOpt"):
                    count = arguments.model_seeds
                done = stored().get((name, search), {})
                # In batches of twenty, so that little is lost where a run is stopped.
                for first in range(0, count, 20):
                    seeds = [s for s in range(first, min(first + 20, count))]
                    if seeds := [seed for seed in seeds if seed not in done]:
                        run(name, search, seeds)
                        print(name, search, seeds[-1], flush=True)
    text = report()
    print(text)
    (RESULTS / "architectures.md").write_text(text)


if __name__ == "__main__":
    main()
