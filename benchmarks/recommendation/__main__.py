"""`python -m benchmarks.recommendation run`, then `report`.

Noise of a standard deviation of one per cent of the range is added to test functions
(three per cent on Hartmann-6 and Ackley), or none. After 60 evaluations by `BayesOpt`
(with the default's prior of the noise, and with one of little noise) or `TuRBO` over
20 seeds, the true regret of the point of the luckiest observation, of the point
recommended by evidence, and of that recommended with `noisy=True`.
"""

import argparse
import functools
import importlib.metadata
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from benchmarks import rows
from benchmarks.regret.contenders import little_noise
from benchmarks.statistics import mean_interval
from bojax import problems, strategies
from bojax.surrogates import GP

RESULTS = pathlib.Path(__file__).parent / "results"
RUNS = RESULTS / "runs.csv"
NUM_TRIALS, SEEDS = 60, range(20)
NOISE = {"branin": 0.01, "hartmann6": 0.03, "ackley5": 0.03}
"""Standard deviations, in shares of the range."""
STRATEGIES = {
    "BayesOpt": strategies.BayesOpt,
    "BayesOpt, little noise": lambda space: strategies.BayesOpt(
        space, GP(space, priors=little_noise(space.num_columns))
    ),
    "TuRBO": strategies.TuRBO,
}
"""The second believes that there is next to none: why the default does not."""
POINTS = ("luckiest", "by_evidence", "declared")


def stored() -> dict[tuple[str, str, str, int], list[float]]:
    """True regrets of `POINTS`, in shares of the range, by what was run."""
    return {
        (row["strategy"], row["problem"], row["noise"], int(row["seed"])): [
            float(row[point]) for point in POINTS
        ]
        for row in rows.read(RUNS)
    }


@functools.cache
def _objective(name: str, deviation: float):
    problem = problems.get(name)

    def objective(x, key):
        return problem.fn(x) + deviation * jax.random.normal(key, dtype=x.dtype)

    return objective


def run() -> None:
    """Do and store the runs that are not stored yet."""
    cases = itertools.product(STRATEGIES, NOISE, ("none", "some"), SEEDS)
    for case in [case for case in cases if case not in stored()]:
        strategy, name, noise, seed = case
        problem = problems.get(name)
        deviation = NOISE[name] * problem.range if noise == "some" else 0.0
        found = []
        with jax.enable_x64(True):
            for recommend in (True, "noisy"):
                history = bojax.simulate(
                    STRATEGIES[strategy](problem.space),
                    _objective(name, deviation),
                    NUM_TRIALS,
                    jax.random.key(seed),
                    recommend=recommend,
                )
                assert history.recommended is not None
                if not found:
                    found.append(history.x[jnp.nanargmin(history.y)])
                found.append(history.recommended)
            values = np.asarray(jax.vmap(problem.fn)(jnp.stack(found)))
        regret = (values - problem.optimum) / problem.range
        row = (*case, *(f"{value:.4g}" for value in regret))
        rows.append(RUNS, ("strategy", "problem", "noise", "seed", *POINTS), row)
        print(*row, flush=True)


def report() -> str:
    """Means of the regrets, and paired differences to the luckiest, as markdown."""
    runs = stored()
    lines = [
        "# What is recommended under noise",
        "",
        "Made by `python -m benchmarks.recommendation report`: "
        f"{NUM_TRIALS} evaluations, {len(SEEDS)} seeds, double precision. True regret "
        "in per cent of the range, mean over the seeds; in brackets the 95 % bootstrap "
        "interval of the paired difference to the luckiest observation.",
        "",
        "| strategy | function | noise, % of range | luckiest | by evidence | "
        "noisy=True |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for strategy, name, noise in itertools.product(STRATEGIES, NOISE, ("some", "none")):
        cases = [(strategy, name, noise, seed) for seed in SEEDS]
        regrets = [runs[case] for case in cases if case in runs]
        if not regrets:
            continue
        table = 100 * np.array(regrets)
        cells = [f"{table[:, 0].mean():.3g}"]
        for column in (1, 2):
            _, (low, high) = mean_interval([table[:, column] - table[:, 0]])
            mean = table[:, column].mean()
            cells.append(f"{mean:.3g} [{low:+.2g}, {high:+.2g}]")
        deviation = f"{100 * NOISE[name]:g}" if noise == "some" else "0"
        cells = [strategy, name, deviation, *cells]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Ran with jax {importlib.metadata.version('jax')}.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommendation")
    parser.add_argument("command", choices=("run", "report"))
    if parser.parse_args().command == "run":
        run()
        return
    text = report()
    print(text)
    (RESULTS / "recommendation.md").write_text(text)


if __name__ == "__main__":
    main()
