"""Whole loops compiled, beside as many studies one after the other: `python -m` this.

64 seeds of 50 trials on Hartmann-6, the default BayesOpt in double precision, each way
in a fresh process. Cold is the first call of the process after the imports, compilation
included; warm is the median of three more. `simulate` runs its keys one after the other
on one device; on two, each device runs half of them. Memory is XLA's own count of what
the compiled program takes beside its arguments and results.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

RESULTS = pathlib.Path(__file__).parent / "results"
DEVICES = {"studies": 1, "simulate": 1, "simulate on two devices": 2, "vmap": 1}


def measure(way: str, num_seeds: int, num_trials: int) -> dict:
    """Wall and CPU seconds of each call, and the median of what they found."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    import bojax
    from bojax import problems, strategies
    from bojax.tuning import simulate

    problem = problems.get("hartmann6")
    keys = jax.random.split(jax.random.key(0), num_seeds)

    def objective(x, key):
        return problem.fn(x)

    def in_turn() -> np.ndarray:
        value = jax.jit(problem.fn)
        best = []
        for key in keys:
            study = bojax.Study(problem.space, key=key)
            for _ in range(num_trials):
                trial = study.ask()
                x = problem.space.encode(trial.config)
                with jax.enable_x64(True):
                    study.tell(trial, float(value(x)))
            best.append(study.best.value)
        return np.array(best)

    def compiled() -> np.ndarray:
        with jax.enable_x64(True):
            where = keys
            if len(jax.devices()) > 1:
                mesh = Mesh(np.array(jax.devices()), ("runs",))
                where = jax.device_put(keys, NamedSharding(mesh, PartitionSpec("runs")))
            run = in_step if way == "vmap" else run_of
            history = run(where)
            return np.asarray(history.best_y[:, -1])

    def run_of(key):
        strategy = strategies.BayesOpt(problem.space)
        return simulate(strategy, objective, num_trials, key)

    in_step = jax.jit(jax.vmap(run_of))
    call = in_turn if way == "studies" else compiled
    times = []
    for _ in range(4 if way != "vmap" else 2):
        wall, cpu = time.perf_counter(), time.process_time()
        best = call()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return {"times": times, "median": float(np.median(best))}


def memory(num_trials: int, lanes: int) -> int:
    """Bytes that the program of one run takes, or that of some under vmap."""
    import jax

    from bojax import problems, strategies
    from bojax.tuning import simulate

    problem = problems.get("hartmann6")
    with jax.enable_x64(True):
        strategy = strategies.BayesOpt(problem.space)
        keys = jax.random.split(jax.random.key(0), lanes)

        def run(key):
            return simulate(strategy, lambda x, _: problem.fn(x), num_trials, key)

        compiled = jax.jit(jax.vmap(run) if lanes > 1 else lambda k: run(k[0]))
        return compiled.lower(keys).compile().memory_analysis().temp_size_in_bytes


def child(devices: int, *arguments: str) -> dict:
    """What a fresh process measures."""
    flags = f"--xla_force_host_platform_device_count={devices} "
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.loops", "--child", *arguments],
        env=os.environ | {"XLA_FLAGS": flags + os.environ["XLA_FLAGS"]},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.loops")
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, *sizes = arguments.child
        found = {"memory": memory}.get(way, lambda *s: measure(way, *s))
        print(json.dumps(found(*map(int, sizes))))
        return
    seeds, trials = str(arguments.seeds), str(arguments.trials)
    rows = []
    for way, devices in DEVICES.items():
        found = child(devices, way, seeds, trials)
        (wall, cpu), *warm = found["times"]
        warm_wall, warm_cpu = np.median(warm, axis=0)
        rate = arguments.seeds * arguments.trials / warm_wall
        figures = [wall, cpu, warm_wall, warm_cpu]
        cells = [*(f"{value:.1f}" for value in figures), f"{rate:.0f}"]
        rows.append(f"| {way} | {' | '.join(cells)} | {found['median']:.4f} |")
        print(rows[-1], file=sys.stderr, flush=True)
    sizes = [(trials, "1"), (trials, seeds), ("200", "1"), ("500", "1")]
    bytes_ = [(n, lanes, child(1, "memory", n, lanes)) for n, lanes in sizes]
    lines = [
        "# Whole loops",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| way | cold, s | cold, CPU s | warm, s | warm, CPU s | trials a second, warm "
        "| median best |",
        "|" + " --- |" * 7,
        *rows,
        "",
        "| trials | runs at once | MiB |",
        "| --- | --- | --- |",
        *(f"| {n} | {lanes} | {b / 2**20:.1f} |" for n, lanes, b in bytes_),
        "",
        f"XLA_FLAGS: {os.environ['XLA_FLAGS']}; one BLAS thread; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end.",
    ]
    print("\n".join(lines))
    (RESULTS / "loops.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
