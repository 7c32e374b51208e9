"""How many programs a second are evaluated, warm: `python -m benchmarks.zero.rate`.

The workload is the published demo: 4 features, 10 tasks of 100 training and 100
validation examples, functions of 10, 2 and 8 instructions of six operations, evolved
with a population of 1000 and tournaments of 10 for 500,000 evaluations. Training steps
count each task's. Compilation is apart. The JAX backend trains and validates 4096
random programs in full, in double precision, on one thread.

Rates are per second by the clock and, since other work may share the machine, per
second of CPU; with two islands the latter counts both cores' seconds.
"""

import os
import statistics
import time

# One core for the JAX backend; read when XLA starts.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)

import numpy as np

from benchmarks.zero.machine import write
from bojax.zero import DEMO, EVERYTHING, evaluate, evolve, tasks
from bojax.zero.search_space import random_population

SEEDS = range(5)
EVALUATIONS = 500_000


def evolution(name: str, data, space=DEMO, count=EVALUATIONS, **options) -> str:
    """A row: the median rate over seeds, its range, steps, and the stages' shares."""
    evolve(data, 99, space, max_evaluations=2000, progress=False, **options)
    rates, by_cpu, steps, shares = [], [], [], []
    for seed in SEEDS:
        cpu = time.process_time()
        found = evolve(
            data, seed, space, max_evaluations=count, progress=False, **options
        )
        by_cpu.append(found.savings.evaluations / (time.process_time() - cpu))
        rates.append(found.savings.evaluations / found.seconds)
        steps.append(found.savings.train_steps / found.seconds)
        shares.append(np.array(found.savings[1:6]) / found.savings.evaluations)
    share = " / ".join(f"{value:.0%}" for value in np.median(shares, axis=0))
    return (
        f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to "
        f"{max(rates):,.0f} | {statistics.median(by_cpu):,.0f} "
        f"| {statistics.median(steps):.2g} | {share} |"
    )


def main() -> None:
    demo = tasks.linear_regression(0)
    began = time.perf_counter()
    evolve(demo, max_evaluations=10, progress=False)
    first = time.perf_counter() - began
    plain = {"remove_dead_code": False, "equivalence": False}
    wide = tasks.linear_regression(0, num_features=16)
    lines = [
        "# Programs evaluated per second",
        "",
        (__doc__ or "").split("\n\n", 1)[1].strip(),
        "",
        "## numba",
        "",
        f"Medians over {len(SEEDS)} seeds. The shares are those of evaluations that "
        "ended by: the same canonical form / equivalent errors / failing early / the "
        "hurdle / in full.",
        "",
        "| what | programs/s | range | per CPU second | training steps/s | shares |",
        "|" + " --- |" * 6,
        evolution("demo, one core", demo),
        evolution("demo, two islands, two cores", demo, num_islands=2),
        evolution(
            "demo, two islands, migration", demo, num_islands=2, migrate_every=10_000
        ),
        evolution("demo, equivalence alone", demo, remove_dead_code=False),
        evolution("demo, dead code removed alone", demo, equivalence=False),
        evolution("demo, everything in full", demo, count=200_000, **plain),
        evolution(
            "16 features, 65 operations, up to 21/21/45 instructions",
            wide,
            EVERYTHING,
            100_000,
            population_size=100,
        ),
        evolution(
            "the same, in full",
            wide,
            EVERYTHING,
            20_000,
            population_size=100,
            **plain,
        ),
        "",
        f"First call in this process: {first:.1f} s (most of a minute where nothing "
        "compiled is kept on disk).",
        "",
        "## JAX",
        "",
        "| what | programs/s | per CPU second | first call |",
        "| --- | --- | --- | --- |",
    ]
    population = random_population(DEMO, 4096, 0)
    for name, backend in (("jax", "jax"), ("numba, for comparison", "numba")):
        seconds, by_cpu = [], []
        for _ in range(6):
            began, cpu = time.perf_counter(), time.process_time()
            evaluate(population, demo, backend)
            seconds.append(time.perf_counter() - began)
            by_cpu.append(time.process_time() - cpu)
        rate, cpu_rate = (
            len(population) / statistics.median(each[1:]) for each in (seconds, by_cpu)
        )
        lines.append(f"| {name} | {rate:,.0f} | {cpu_rate:,.0f} | {seconds[0]:.1f} s |")
    write("rate.md", lines)


if __name__ == "__main__":
    main()
