"""`python -m benchmarks.convergence`: when `Converged` ends a run, and what is left.

A run of `BayesOpt` on functions of known optimum is ended once the bound on its regret
has been under the tolerance three times in a row. What counts is how often the regret
is then under the tolerance indeed, and how many evaluations were saved.
"""

import itertools
import pathlib

import jax.numpy as jnp
import numpy as np

import bojax
from bojax import problems

PATH = pathlib.Path(__file__).parent / "results" / "convergence.md"
SETTINGS = ((1, 1e-4), (2, 1e-4), (2, 1e-3))
"""Searches that must have converged, and below what gain the next one begins."""
NAMES = ("branin", "camelback", "hartmann3", "rosenbrock5", "hartmann6", "ackley5")
TOLERANCE, NUM_TRIALS, SEEDS = 1e-3, 120, range(10)


def run(
    problem: problems.Problem, num_searches: int, restart_below: float, seed: int
) -> tuple[int, bool, float]:
    """Evaluations, whether the run converged, and its regret, in tolerances."""
    tolerance = TOLERANCE * problem.range

    def objective(config: dict) -> float:
        return float(problem.fn(jnp.asarray(problem.space.encode(config))))

    result = bojax.minimize(
        objective,
        problem.space,
        NUM_TRIALS,
        strategy=bojax.strategies.BayesOpt(problem.space, restart_below=restart_below),
        key=seed,
        callbacks=[bojax.Converged(tolerance, num_searches=num_searches)],
        progress=False,
    )
    ended = result.message.startswith("converged")
    return len(result.trials), ended, (result.fun - problem.optimum) / tolerance


def main() -> None:
    lines = [
        "# When a run is ended, and what is left",
        "",
        f"Made by `python -m benchmarks.convergence`: {len(SEEDS)} runs of each",
        f"function, at most {NUM_TRIALS} evaluations, a tolerance of {TOLERANCE:g} of",
        "the range, one or two searches that must have converged (`num_searches`),",
        "and how little must be expected before the next one begins (`restart_below`).",
        "Evaluations of the runs that were ended; of these, those whose",
        "regret was under the tolerance; and the regret of all, in tolerances.",
        "",
        "| function | searches | below | ended | evaluations, median (range) | rightly "
        "| regret, median (largest) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, (searches, below) in itertools.product(NAMES, SETTINGS):
        problem = problems.get(name)
        runs = [run(problem, searches, below, seed) for seed in SEEDS]
        ended = [(count, regret) for count, converged, regret in runs if converged]
        counts = [count for count, _ in ended]
        regrets = [regret for *_, regret in runs]
        rightly = sum(regret <= 1 for _, regret in ended)
        span = "-"
        if counts:
            span = f"{np.median(counts):.0f} ({min(counts)} to {max(counts)})"
        lines.append(
            f"| {name} | {searches} | {below:g} | {len(ended)} of {len(runs)} "
            f"| {span} | {rightly} of {len(ended)} | {np.median(regrets):.2g} "
            f"({max(regrets):.2g}) |"
        )
        print(lines[-1], flush=True)
    PATH.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
