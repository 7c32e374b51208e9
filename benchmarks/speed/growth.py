"""Cost of an ask against the number of observations, to 2,000: `python -m` this.

Hartmann-6, the default BayesOpt by the pure layer in double precision, one thread,
tables padded as a study pads them. At each size: the first ask after compilation, which
fits afresh, then the median of warm asks, tells apart. The exponent is that of
the line through the logarithms of the warm figures.
"""

import argparse
import os
import pathlib
import time

import jax
import numpy as np
import scipy.stats
import threadpoolctl

from benchmarks.regret.protocol import evaluate
from bojax import problems, strategies
from bojax._numerics import bucket

RESULTS = pathlib.Path(__file__).parent / "results"
SIZES = (30, 60, 125, 250, 500, 1000, 2000)


def measure(n: int, asks: int) -> tuple[float, float, float]:
    """CPU seconds of compilation, of the fit afresh, and of a warm ask."""
    problem = problems.get("hartmann6")
    x = scipy.stats.qmc.Sobol(6, rng=0).random(2048)[: n - 1]
    with jax.enable_x64(True):
        strategy = strategies.BayesOpt(problem.space)
        state = strategy.init(jax.random.key(0), capacity=bucket(n + asks))
        state = strategy.observe(state, x, evaluate(problem, x))

        def ask(state):
            start = time.process_time()
            points, state = jax.block_until_ready(strategy.ask(state))
            seconds = time.process_time() - start
            value = evaluate(problem, np.asarray(points.x))
            return seconds, strategy.tell(state, points, jax.numpy.asarray(value))

        first, _ = ask(state)
        afresh, state = ask(state)
        warm = []
        for _ in range(asks):
            seconds, state = ask(state)
            warm.append(seconds)
    return first - afresh, afresh, float(np.median(warm))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.growth")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--asks", type=int, default=5)
    arguments = parser.parse_args()
    sizes = [int(n) for n in arguments.sizes.split(",")]
    rows, warm = [], []
    with threadpoolctl.threadpool_limits(1):
        for n in sizes:
            compiled, afresh, seconds = measure(n, arguments.asks)
            warm.append(seconds)
            rows.append(
                f"| {n} | {bucket(n + arguments.asks)} | {1e3 * seconds:.1f} "
                f"| {1e3 * afresh:.0f} | {compiled:.1f} |"
            )
            print(rows[-1], flush=True)

    def exponent(start: int) -> str:
        kept = [(n, s) for n, s in zip(sizes, warm, strict=True) if n >= start]
        if len(kept) < 2:
            return "-"
        slope, _ = np.polyfit(*np.log(np.array(kept)).T, 1)
        return f"{slope:.2f}"

    lines = [
        "# Cost of an ask against the number of observations",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| n | padded | warm ask, CPU ms | ask that fits afresh, CPU ms | compilation, "
        "CPU s |",
        "|" + " --- |" * 5,
        *rows,
        "",
        f"Exponent: {exponent(0)} over all sizes, {exponent(250)} from n = 250.",
        "",
        f"XLA_FLAGS: {os.environ['XLA_FLAGS']}; one BLAS thread; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end.",
    ]
    print("\n".join(lines))
    (RESULTS / "growth.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
