"""Acquisitions under noise: `python -m benchmarks.acquisitions.noise`.

BayesOpt with its defaults but for the acquisition, on functions observed with normal
noise, 60 evaluations a run, 20 seeds of the dev set, in double precision. The score is
the regret without noise of the recommendation: the evaluated point of best posterior
mean after a fit to the whole run, not the luckiest observation. The same key gives
every acquisition the same initial points and noise. Runs that the table of results
holds are not made again.
"""

import argparse
import functools
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import bojax
from benchmarks import rows
from benchmarks.regret.protocol import SEEDS
from bojax import acquisitions, problems
from bojax._numerics import bucket
from bojax.strategies import BayesOpt

NUM_TRIALS = 60
CASES = {
    "hartmann6, 0.1": ("hartmann6", 0.1),
    "hartmann6, 0.5": ("hartmann6", 0.5),
    "branin, 3": ("branin", 3.0),
    "branin, 15": ("branin", 15.0),
}
"""Function and standard deviation of its noise."""

RESULTS = pathlib.Path(__file__).parent / "results"


def plug_in(belief: acquisitions.Belief) -> acquisitions.LogEI:
    """LogEI beyond the best posterior mean instead of the best observation."""
    posterior = belief.posterior
    return acquisitions.LogEI(posterior, posterior.marginal(posterior.incumbent)[0])


CONTENDERS = {
    "LogEI": acquisitions.LogEI,
    "LogEI, plug-in": plug_in,
    "QLogEI": acquisitions.QLogEI,
    "QLogNEI": acquisitions.QLogNEI,
    "QUCB": acquisitions.QUCB,
    "UCBPE": acquisitions.UCBPE,
    "MACE": acquisitions.MACE,
}


@functools.cache
def objective(name: str, deviation: float):
    """The function with noise, one object a case."""
    fn = problems.get(name).fn

    def noisy(x, key):
        return fn(x) + deviation * jax.random.normal(key, dtype=x.dtype)

    return noisy


@functools.cache
def runs(case: str, contender: str):
    """Compiled: a key to the regret of the recommendation, and of the best point."""
    name, deviation = CASES[case]
    problem = problems.get(name)
    strategy = BayesOpt(problem.space, acquisition=CONTENDERS[contender])

    @jax.jit
    def run(key):
        history = bojax.simulate(strategy, objective(name, deviation), NUM_TRIALS, key)
        state = strategy.init(key, bucket(NUM_TRIALS))
        state = strategy.observe(state, history.x, history.y)
        belief, _ = strategy.believe(state.memory.whole, state.trials, key)
        true = jax.vmap(problem.fn)(history.x) - problem.optimum
        # Under constant numbers of ties the first, as everywhere.
        recommended = problem.fn(belief.posterior.incumbent) - problem.optimum
        luckiest = true[jnp.argmin(history.y)]
        return recommended, luckiest, jnp.min(true)

    return run


FIELDS = ("case", "acquisition", "seed", "recommended", "luckiest", "best", "seconds")


def measure(path: pathlib.Path, names: list[str], cases: list[str]) -> None:
    """Append every run that is missing."""
    done = {
        (row["case"], row["acquisition"], int(row["seed"])) for row in rows.read(path)
    }
    for case in cases:
        for name in names:
            for seed in SEEDS["dev"]:
                if (case, name, seed) in done:
                    continue
                start = time.process_time()
                with jax.enable_x64(True):
                    regrets = runs(case, name)(jax.random.key(seed))
                    regrets = [f"{float(regret):.6g}" for regret in regrets]
                seconds = f"{time.process_time() - start:.2f}"
                row = (case, name, seed, *regrets, seconds)
                rows.append(path, FIELDS, row)
            print(f"{case}: {name}", file=sys.stderr, flush=True)


def report(rows: list[dict]) -> str:
    """Medians and quartiles, and each acquisition paired with LogEI."""
    lines = [
        "| noisy function | acquisition | runs | recommended: median | quartiles "
        "| luckiest: median | log10 ratio to LogEI: mean, 95% interval |",
        "|" + " --- |" * 7,
    ]
    for case in dict.fromkeys(row["case"] for row in rows):
        found: dict[str, dict[int, tuple[float, float]]] = {}
        for row in rows:
            if row["case"] == case:
                pair = float(row["recommended"]), float(row["luckiest"])
                found.setdefault(row["acquisition"], {})[int(row["seed"])] = pair
        for name, runs in found.items():
            recommended, luckiest = np.array(list(runs.values())).T
            low, middle, high = np.quantile(recommended, [0.25, 0.5, 0.75])
            seeds = sorted(set(runs) & set(found.get("LogEI", {})))
            ratio = np.array(
                [np.log10(runs[s][0] / found["LogEI"][s][0]) for s in seeds]
            )
            paired = ""
            if name != "LogEI" and len(seeds) > 1:
                error = scipy.stats.sem(ratio) * scipy.stats.t.ppf(
                    0.975, len(ratio) - 1
                )
                paired = f"{ratio.mean():+.2f} +- {error:.2f}"
            lines.append(
                f"| {case} | {name} | {len(runs)} | {middle:.3g} | {low:.3g} to "
                f"{high:.3g} | {np.median(luckiest):.3g} | {paired} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.acquisitions.noise")
    parser.add_argument("--acquisitions", default="|".join(CONTENDERS))
    parser.add_argument("--cases", default="|".join(CASES))
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "noise.csv"
    measure(path, arguments.acquisitions.split("|"), arguments.cases.split("|"))
    about = __doc__.split("\n\n", 1)[1].strip()
    text = f"# Acquisitions under noise\n\n{about}\n\n{report(rows.read(path))}\n"
    (RESULTS / "noise.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
