"""Searches on tables of networks: `python -m benchmarks.searches.architectures`.

Every evaluation sees one of the table's trainings at random. The network with the best
value seen is chosen, and scored by the mean of its trainings.
"""

import argparse
import pathlib
import time

import jax
import numpy as np

import bojax
from bojax import problems, strategies

RESULTS = pathlib.Path(__file__).parent / "results"
EVALUATIONS = 100
SEARCHES = {
    "random": strategies.Random,
    "REINFORCE": strategies.Reinforce,
    "REA, population 20, tournament 5": strategies.RegularizedEvolution,
    "REA, population 10, tournament 3": lambda space: strategies.RegularizedEvolution(
        space, 10, 3
    ),
    "TPE": strategies.TPE,
    "BayesOpt": strategies.BayesOpt,
}


def scores(table: problems.Table, search: str, repeats: int) -> np.ndarray:
    """Accuracy of the chosen network, in percent, of each repeat."""
    keys = jax.random.split(jax.random.key(0), repeats)
    history = bojax.simulate(SEARCHES[search](table.space), table, EVALUATIONS, keys)
    chosen = np.argmin(np.asarray(history.y), axis=1)
    x = np.asarray(history.x)[np.arange(repeats), chosen]
    return -np.asarray(jax.vmap(table.mean)(x))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches.architectures")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--model-repeats", type=int, default=0, help="of BayesOpt")
    arguments = parser.parse_args()
    lines = [
        f"# Tables of networks, {EVALUATIONS} evaluations",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "Mean and standard deviation over the repeats, standard error of the mean.",
        "",
        "| table | search | repeats | accuracy, % | standard error | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in ("nasbench201", "nasbench_macro"):
        table = problems.table(name)
        for search in SEARCHES:
            repeats = arguments.repeats
            if search == "BayesOpt":
                repeats = arguments.model_repeats
            if not repeats:
                continue
            start = time.perf_counter()
            score = scores(table, search, repeats)
            seconds = time.perf_counter() - start
            lines.append(
                f"| {name} | {search} | {repeats} | {score.mean():.3f} ± "
                f"{score.std():.3f} | {score.std() / np.sqrt(repeats):.3f} | "
                f"{seconds:.0f} |"
            )
            print(lines[-1], flush=True)
        lines.append(f"| {name} | best in the table | | {-table.optimum:.3f} | | |")
    (RESULTS / "architectures.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
