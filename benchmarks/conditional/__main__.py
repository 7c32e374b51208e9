"""`python -m benchmarks.conditional run --contenders masked,imputed`, then `report`.

On `problems.branches`, which was fixed before any model was tried on it: evaluations
until the regret is one per cent of the range, at most 200, over 20 seeds. A run that
does not get there is censored: in the ratio a censored denominator counts as 200,
which favors it, and a censored numerator as 400, which does not.
"""

import argparse
import importlib.metadata
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from benchmarks import rows
from benchmarks.statistics import mean_interval
from bojax import problems, strategies
from bojax.space import Space
from bojax.surrogates import GP
from bojax.surrogates.kernels import Mixed, Scale

RESULTS = pathlib.Path(__file__).parent / "results"
BUDGET, SEEDS, TOLERANCE = 200, range(100, 120), 0.01


def _unconditional(space: Space) -> Space:
    """The same columns, all of which exist everywhere."""
    text = json.loads(space.to_json())
    for parameter in text["parameters"]:
        parameter["when"] = {}
    return Space.from_json(json.dumps(text))


def _imputed(space: Space) -> strategies.BayesOpt:
    """The same GP, to which a parameter that does not exist has the value 1/2."""
    kernel = Scale(jnp.zeros(()), Mixed.of(_unconditional(space)))
    return strategies.BayesOpt(space, surrogate=GP(space, kernel=kernel))


CONTENDERS = {
    "masked": strategies.BayesOpt,
    "imputed": _imputed,
    "tpe": strategies.TPE,
    "random": strategies.Random,
}


def stored(name: str) -> dict[int, np.ndarray]:
    """The least regret after each evaluation, in shares of the range, by seed."""
    return {
        int(row["seed"]): np.array([float(v) for v in row["regret"].split()])
        for row in rows.read(RESULTS / f"{name}.csv")
    }


def run(name: str) -> None:
    """Do and store the runs of one contender that are not stored yet."""
    problem = problems.branches()
    with jax.enable_x64(True):
        strategy = CONTENDERS[name](problem.space)

        # One function for all seeds: each of its own would be compiled anew.
        def objective(x, key):
            return problem.fn(x)

        for seed in SEEDS:
            if seed in stored(name):
                continue
            began = time.process_time()
            history = bojax.simulate(strategy, objective, BUDGET, jax.random.key(seed))
            regret = (np.asarray(history.best_y) - problem.optimum) / problem.range
            row = (seed, " ".join(f"{v:.3g}" for v in regret))
            rows.append(RESULTS / f"{name}.csv", ("seed", "regret"), row)
            needed, _ = until(regret)
            print(
                name, seed, needed, f"{time.process_time() - began:.0f} s", flush=True
            )


def until(regret: np.ndarray) -> tuple[int, bool]:
    """Evaluations until the tolerance, and whether it was not reached: the budget."""
    reached = np.flatnonzero(regret <= TOLERANCE)
    return (int(reached[0]) + 1, False) if len(reached) else (len(regret), True)


def ratio(name: str, reference: str) -> tuple[float, float, float, int]:
    """Geometric mean of the paired ratio of evaluations, its 95 % bootstrap interval.

    Returns:
        The ratio, the ends of its interval, and the number of pairs.
    """
    ours, theirs = stored(name), stored(reference)
    logs = []
    for seed in sorted(ours.keys() & theirs.keys()):
        (n, missed), (m, _) = until(ours[seed]), until(theirs[seed])
        logs.append(np.log((2 * n if missed else n) / m))
    mean, (low, high) = mean_interval([np.array(logs)])
    return float(np.exp(mean)), np.exp(low), np.exp(high), len(logs)


def report() -> str:
    """All contenders, as markdown."""
    lines = [
        "# Evaluations until one per cent of the range, on a conditional space",
        "",
        "Made by `python -m benchmarks.conditional report`: `problems.branches`, "
        f"{len(SEEDS)} seeds, at most {BUDGET} evaluations, double precision. "
        "The ratio is that of the evaluations of a contender to those of the GP on "
        "imputed values, paired by seed: geometric mean and 95 % bootstrap interval. "
        "A censored run counts as 200 in the denominator, as 400 in the numerator.",
        "",
        "| contender | runs | censored | median evaluations | quartiles "
        "| ratio to imputed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in CONTENDERS:
        runs = [until(regret) for regret in stored(name).values()]
        if not runs:
            continue
        counts = np.array([n for n, _ in runs])
        missed = sum(missed for _, missed in runs)
        low, middle, high = np.quantile(counts, (0.25, 0.5, 0.75))
        cell = "-"
        if name != "imputed" and stored("imputed"):
            value, least, most, _ = ratio(name, "imputed")
            cell = f"{value:.2f} [{least:.2f}, {most:.2f}]"
        lines.append(
            f"| {name} | {len(runs)} | {missed} | {middle:.0f} | {low:.0f} to "
            f"{high:.0f} | {cell} |"
        )
    lines += ["", f"Ran with jax {importlib.metadata.version('jax')}.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conditional")
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    arguments = parser.parse_args()
    if arguments.command == "run":
        for name in arguments.contenders.split(","):
            run(name)
        return
    text = report()
    print(text)
    (RESULTS / "conditional.md").write_text(text)


if __name__ == "__main__":
    main()
