"""Warm ask of the default BayesOpt beside Optuna's GPSampler: `python -m` this.

Hartmann-6, in turns within one process, one thread each. Around each number of
observations there are several rounds. In a round all start from the same points (half
of them Sobol points, half what Optuna's TPE then asked for), go on by asks that are not
timed, then by asks that are. The lead differs by round, so that what a strategy does
only every so often falls among the timed asks about as often as in a long run.
"""

import argparse
import csv
import importlib.metadata
import os
import pathlib
import sys
import time

import jax
import numpy as np
import scipy.stats
import threadpoolctl

import bojax
from benchmarks.regret.protocol import evaluate
from bojax import problems, strategies
from bojax._numerics import bucket

PROBLEM = problems.get("hartmann6")
# Number of observations in the middle of the timed asks: (rounds, timed asks a round).
SIZES = {60: (4, 6), 200: (4, 4), 500: (2, 4)}
RESULTS = pathlib.Path(__file__).parent / "results"


class Optuna:
    """GPSampler without start-up trials of its own, else its defaults."""

    packages = ("optuna", "torch", "greenlet")

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int):
        import optuna
        import torch

        torch.set_num_threads(1)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        axes = {
            f"x{i}": optuna.distributions.FloatDistribution(0, 1)
            for i in range(x.shape[1])
        }
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=0)
        self.study = optuna.create_study(sampler=sampler)
        for point, value in zip(x, y, strict=True):
            params = dict(zip(axes, map(float, point), strict=True))
            self.study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=axes, value=float(value)
                )
            )
        self.axes = axes

    def ask(self) -> np.ndarray:
        self.trial = self.study.ask(self.axes)
        return np.array([self.trial.params[name] for name in self.axes])

    def tell(self, value: float) -> None:
        self.study.tell(self.trial, value)


class Pure:
    """BayesOpt by the pure layer, in double precision, padded as Study pads."""

    packages = ("jax", "jaxlib")

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int):
        with jax.enable_x64(True):
            self.strategy = strategies.BayesOpt(PROBLEM.space)
            capacity = bucket(len(y) + 1)
            state = self.strategy.init(jax.random.key(seed), capacity=capacity)
            x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
            self.state = self.strategy.observe(state, x, y)

    def ask(self) -> np.ndarray:
        with jax.enable_x64(True):
            needed = bucket(int(self.state.trials.size) + 1)
            if needed > self.state.trials.capacity:
                self.state = self.strategy.grow(self.state, needed)
            self.points, self.state = self.strategy.ask(self.state)
            return np.asarray(self.points.x[0])

    def tell(self, value: float) -> None:
        with jax.enable_x64(True):
            y = jax.numpy.asarray([value])
            self.state = self.strategy.tell(self.state, self.points, y)
            jax.block_until_ready(self.state.trials.y)


class Study:
    """BayesOpt by `bojax.Study`: what people call."""

    packages = ("jax", "jaxlib")

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int):
        self.study = bojax.Study(PROBLEM.space, key=seed)
        for point, value in zip(x, y, strict=True):
            self.study.observe(PROBLEM.space.decode(point), float(value))

    def ask(self) -> np.ndarray:
        self.trial = self.study.ask()
        return PROBLEM.space.encode(self.trial.config)

    def tell(self, value: float) -> None:
        self.study.tell(self.trial, value)


CONTENDERS = {"optuna": Optuna, "pure": Pure, "study": Study}


def lacking(name: str) -> list[str]:
    """The distributions that a contender needs and that are not installed."""
    found = importlib.metadata.packages_distributions()
    installed = {name for names in found.values() for name in names}
    return [
        package for package in CONTENDERS[name].packages if package not in installed
    ]


def trajectory(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and values of a run of `n` evaluations, by neither of those compared."""
    import optuna

    d = PROBLEM.space.num_columns
    x = list(scipy.stats.qmc.Sobol(d, rng=seed).random(512)[: n // 2])
    y = list(evaluate(PROBLEM, np.array(x)))
    other = Optuna(np.array(x), np.array(y), seed)
    other.study.sampler = optuna.samplers.TPESampler(seed=seed)
    while len(x) < n:
        x.append(other.ask())
        y.append(evaluate(PROBLEM, x[-1][None])[0])
        other.tell(float(y[-1]))
    return np.array(x), np.array(y)


def timed(contender) -> dict[str, float]:
    """One ask and one tell, in milliseconds of CPU; the ask by the wall clock too."""
    wall, start = time.perf_counter(), time.process_time()
    x = contender.ask()
    asked, wall = time.process_time(), time.perf_counter() - wall
    value = float(evaluate(PROBLEM, x[None])[0])
    evaluated = time.process_time()
    contender.tell(value)
    told = time.process_time()
    return {
        "cpu_ms": 1e3 * (asked - start),
        "wall_ms": 1e3 * wall,
        "tell_cpu_ms": 1e3 * (told - evaluated),
    }


def measure(names: list[str], n: int) -> list[dict]:
    """Every timed ask around `n` observations, as a row."""
    rows = []
    rounds, count = SIZES[n]
    start = n - count // 2
    for number in range(rounds):
        lead = 1 + round((number + 0.5) / rounds * n / 4)
        x, y = trajectory(start - lead, seed=number)
        runs = {name: CONTENDERS[name](x, y, number) for name in names}
        for i in range(lead + count):
            # In turns, each first as often as the others.
            for name in map(str, np.roll(names, i)):
                kind = "warm" if i >= lead else "lead"
                kind = ("cold" if number else "first") if i == 0 else kind
                row = {"contender": name, "n": n, "round": number, "kind": kind}
                rows.append(row | {"rows": len(y) + i} | timed(runs[name]))
        print(f"n = {n}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return rows


def table(rows: list[dict], names: list[str]) -> str:
    """The rows summed up, as markdown."""
    lines = [
        "| n | contender | asks | CPU ms: median | mean | p95 | wall ms: median | mean "
        "| p95 | tell, CPU ms: mean | cold ask, CPU ms | first ask, CPU ms |",
        "|" + " --- |" * 12,
    ]
    ratios = []
    for n in dict.fromkeys(row["n"] for row in rows):
        summary = {}
        for name in names:
            mine = [r for r in rows if (r["n"], r["contender"]) == (n, name)]
            warm = [r for r in mine if r["kind"] == "warm"]
            cold = [r["cpu_ms"] for r in mine if r["kind"] == "cold"]
            first = [r["cpu_ms"] for r in mine if r["kind"] == "first"]
            figures = []
            for clock in ("cpu_ms", "wall_ms"):
                values = [r[clock] for r in warm]
                figures += [
                    np.median(values),
                    np.mean(values),
                    np.quantile(values, 0.95),
                ]
            summary[name] = figures
            figures = [
                *figures,
                np.mean([r["tell_cpu_ms"] for r in warm]),
                np.mean(cold),
                first[0],
            ]
            cells = [f"{value:.3g}" for value in figures]
            lines.append(
                "| " + " | ".join([str(n), name, str(len(warm)), *cells]) + " |"
            )
        for name in names:
            if name != "optuna" and "optuna" in names:
                ratio = np.array(summary["optuna"]) / np.array(summary[name])
                median, mean, p95, *_ = ratio
                ratios.append(
                    f"- n = {n}: Optuna's CPU time over that of {name}: "
                    f"median {median:.1f}, mean {mean:.1f}, p95 {p95:.1f}"
                )
    return "\n".join([*lines, "", *ratios])


def conditions(names: list[str]) -> str:
    """Versions and threads, as found."""
    packages = dict.fromkeys(p for name in names for p in CONTENDERS[name].packages)
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages)
    lines = [f"- {versions}"]
    pools = {
        f"{pool['internal_api']} {pool['num_threads']}"
        for pool in threadpoolctl.threadpool_info()
    }
    lines.append(f"- threads: {', '.join(sorted(pools))}")
    if "torch" in sys.modules:
        lines[-1] += f", torch {sys.modules['torch'].get_num_threads()}"
    lines.append(f"- XLA_FLAGS: {os.environ['XLA_FLAGS']}")
    # CPU time too grows where others use the caches and cores.
    lines.append(
        f"- load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end"
    )
    return "\n".join(lines)


def save(name: str, rows: list[dict], names: list[str]) -> None:
    """Write what has been measured so far, in full and summed up."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        )
    about = __doc__.split("\n\n", 1)[1].strip()
    parts = ["# Warm ask, Hartmann-6", about, table(rows, names), conditions(names)]
    (RESULTS / f"{name}.md").write_text("\n\n".join(parts) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.ask")
    parser.add_argument("--contenders", default="optuna,pure,study")
    parser.add_argument("--sizes", default="60,200,500")
    parser.add_argument("--name", default="ask", help="of the files in results/")
    arguments = parser.parse_args()
    names = []
    for name in arguments.contenders.split(","):
        if lack := lacking(name):
            print(f"{name}: not installed: {', '.join(lack)}", file=sys.stderr)
        else:
            names.append(name)
    sizes = [int(n) for n in arguments.sizes.split(",")]
    rows = []
    with threadpoolctl.threadpool_limits(1):
        for n in sizes:
            rows += measure(names, n)
            save(arguments.name, rows, names)
    print((RESULTS / f"{arguments.name}.md").read_text())


if __name__ == "__main__":
    main()
