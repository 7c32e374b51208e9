"""Entropy search and Thompson sampling beside LogEI: `python -m` this.

Branin and Hartmann-6, 60 evaluations of which the first 2d are uniform and the same for
all, defaults of BayesOpt but for the acquisition, double precision, one thread. An ask
is timed by its CPU time, the first (which compiles) apart from the rest.
"""

import argparse
import csv
import importlib.metadata
import pathlib
import time

import jax
import numpy as np

from benchmarks.regret.protocol import (
    NUM_TRIALS,
    evaluate,
    initial_points,
    log_regret,
)
from bojax import acquisitions, problems, strategies

PROBLEMS = ("branin", "hartmann6")
ACQUISITIONS = ("LogEI", "Thompson", "MES", "JES")
CAPACITY = 64
RESULTS = pathlib.Path(__file__).parent / "results"


def one_run(name: str, acquisition: str, seed: int) -> dict:
    """A run's regret, and the CPU seconds of its asks."""
    problem = problems.get(name)
    strategy = strategies.BayesOpt(
        problem.space, acquisition=getattr(acquisitions, acquisition)
    )
    x0 = initial_points(problem, seed)
    y, seconds = list(evaluate(problem, x0)), []
    with jax.enable_x64(True):
        state = strategy.init(jax.random.key(seed), capacity=CAPACITY)
        state = strategy.observe(state, jax.numpy.asarray(x0), jax.numpy.asarray(y))
        while len(y) < NUM_TRIALS:
            start = time.process_time()
            points, state = jax.block_until_ready(strategy.ask(state))
            seconds.append(time.process_time() - start)
            value = evaluate(problem, np.asarray(points.x))
            state = strategy.tell(state, points, jax.numpy.asarray(value))
            y.append(value[0])
    regret = log_regret(problem, np.array([min(y) - problem.optimum]))[0]
    return {
        "problem": name,
        "acquisition": acquisition,
        "seed": seed,
        "log10_regret": round(float(regret), 3),
        "first_ask_ms": round(1e3 * seconds[0]),
        "warm_ask_ms": round(1e3 * float(np.median(seconds[1:])), 2),
    }


def report(runs: list[dict]) -> str:
    """The table of all runs."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib")
    )
    lines = [
        "# Entropy search and Thompson sampling beside LogEI",
        "",
        *__doc__.split("\n\n", 1)[1].strip().splitlines(),
        "",
        f"`python -m benchmarks.acquisitions.entropy`; {versions}.",
        "",
        "| problem | acquisition | seeds | log10 regret: median | least | greatest | "
        "warm ask, CPU ms: median | first ask, CPU ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in PROBLEMS:
        for acquisition in ACQUISITIONS:
            of = [
                run
                for run in runs
                if (run["problem"], run["acquisition"]) == (name, acquisition)
            ]
            if not of:
                continue
            regret = [float(run["log10_regret"]) for run in of]
            warm = np.median([float(run["warm_ask_ms"]) for run in of])
            first = max(float(run["first_ask_ms"]) for run in of)
            lines.append(
                f"| {name} | {acquisition} | {len(of)} | {np.median(regret):.2f} | "
                f"{min(regret):.2f} | {max(regret):.2f} | {warm:.1f} | {first:.0f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    path = RESULTS / "entropy.csv"
    runs = list(csv.DictReader(path.open())) if path.exists() else []
    done = {(run["problem"], run["acquisition"], int(run["seed"])) for run in runs}
    for name in PROBLEMS:
        for acquisition in ACQUISITIONS:
            for seed in range(parser.parse_args().seeds):
                if (name, acquisition, seed) in done:
                    continue
                runs.append(one_run(name, acquisition, seed))
                print(runs[-1], flush=True)
                with path.open("w") as file:
                    writer = csv.DictWriter(file, runs[0])
                    writer.writeheader()
                    writer.writerows(runs)
    (RESULTS / "entropy.md").write_text(report(runs))


if __name__ == "__main__":
    main()
