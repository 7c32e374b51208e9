"""`python -m benchmarks.precision run`, then `report`: float32 beside float64.

`BayesOpt` by `simulate`, 60 evaluations, 20 paired seeds. Regrets under 1e-5 of the
range count as that: single precision cannot tell values apart that are closer.
"""

import argparse
import importlib.metadata
import pathlib

import jax
import numpy as np

import bojax
from benchmarks import rows
from benchmarks.statistics import mean_interval
from bojax import problems, strategies

RESULTS = pathlib.Path(__file__).parent / "results"
RUNS = RESULTS / "runs.csv"
NAMES, NUM_TRIALS, SEEDS, FLOOR = (
    ("branin", "hartmann6", "ackley5"),
    60,
    range(20),
    1e-5,
)


def stored() -> dict[tuple[str, str, int], float]:
    """Regret at the end in shares of the range, by function, precision and seed."""
    return {
        (row["problem"], row["precision"], int(row["seed"])): float(row["regret"])
        for row in rows.read(RUNS)
    }


def run() -> None:
    """Do and store the runs that are not stored yet."""
    for name in NAMES:
        problem = problems.get(name)
        objective = _Objective(problem)
        for precision in ("float32", "float64"):
            for seed in SEEDS:
                if (name, precision, seed) in stored():
                    continue
                with jax.enable_x64(precision == "float64"):
                    history = bojax.simulate(
                        strategies.BayesOpt(problem.space),
                        objective,
                        NUM_TRIALS,
                        jax.random.key(seed),
                    )
                    x = np.asarray(history.x)[np.nanargmin(history.y)]
                with jax.enable_x64(True):
                    # The true value of what was found, whatever precision said of it.
                    value = float(problem.fn(jax.numpy.asarray(x, float)))
                regret = (value - problem.optimum) / problem.range
                fields = ("problem", "precision", "seed", "regret")
                rows.append(RUNS, fields, (name, precision, seed, f"{regret:.4g}"))
                print(name, precision, seed, f"{regret:.3g}", flush=True)


class _Objective:
    """The function of a problem; equal to itself alone, so that it compiles once."""

    def __init__(self, problem: problems.Problem):
        self.fn = problem.fn

    def __call__(self, x, key):
        return self.fn(x)


def report() -> str:
    """Means of log regret and the interval of their paired difference, as markdown."""
    runs = stored()
    lines = [
        "# Regret in single and in double precision",
        "",
        f"Made by `python -m benchmarks.precision report`: BayesOpt, {NUM_TRIALS} "
        f"evaluations, {len(SEEDS)} paired seeds. Mean of log10 of simple regret in "
        f"shares of the range, no less than {FLOOR:g}; the difference is float32 less "
        "float64, with its 95 % bootstrap interval.",
        "",
        "| function | float32 | float64 | difference | pairs |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in NAMES:
        pairs = np.array(
            [
                [runs[name, precision, seed] for precision in ("float32", "float64")]
                for seed in SEEDS
                if (name, "float32", seed) in runs and (name, "float64", seed) in runs
            ]
        )
        if not len(pairs):
            continue
        logs = np.log10(np.maximum(pairs, FLOOR))
        difference, (low, high) = mean_interval([logs[:, 0] - logs[:, 1]])
        single, double = logs.mean(axis=0)
        lines.append(
            f"| {name} | {single:.2f} | {double:.2f} | {difference:+.2f} "
            f"[{low:+.2f}, {high:+.2f}] | {len(pairs)} |"
        )
    lines += ["", f"Ran with jax {importlib.metadata.version('jax')}.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision")
    parser.add_argument("command", choices=("run", "report"))
    if parser.parse_args().command == "run":
        run()
        return
    text = report()
    print(text)
    (RESULTS / "precision.md").write_text(text)


if __name__ == "__main__":
    main()
