"""CPU seconds of learning curves on one core, compilation apart: `python -m` this.

Warm figures are medians of repeats in this process. First calls are processes of their
own, with an empty cache of compiled programs and then with the one that left.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.curves import data
from bojax import curves

REPEATS = 7
FIRST = """
import time
began = time.process_time()
import numpy as np
from bojax import curves
imported = time.process_time()
y = 0.2 + 0.7 / np.arange(1.0, 21)
curves.fit(y, 50, model=getattr(curves, {model!r}))
print(imported - began, time.process_time() - imported)
"""


def median(action) -> float:
    """Median CPU seconds of an action after a first one."""
    action()
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        action()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def first_calls(model: str) -> list[tuple[float, float]]:
    """Seconds of the import and of the first fit: without a cache, and with it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        found = []
        for _ in range(2):
            command = [sys.executable, "-c", FIRST.format(model=model)]
            out = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            imported, fitted = map(float, out.stdout.split())
            found.append((imported, fitted))
    return found


def warm() -> list[tuple[str, float]]:
    """(what, milliseconds)."""
    observed = data.lcpfn_curves()[:100]
    accuracy = 1 - data.load("metaqnn_svhn")
    resnets = data.load("deep_resnets_cifar10")
    found = []

    def add(name, action, count=1):
        found.append((name, 1e3 * median(action) / count))
        print(f"{name}: {found[-1][1]:.2f} ms", flush=True)

    for method in ("importance", "smc"):
        for cutoff in (20, 80):
            add(
                f"LCPFN_PRIOR, {method}, {cutoff} of 100 steps, one of a batch of 100",
                lambda m=method, c=cutoff: curves.fit(
                    observed[:, :c],
                    100,
                    model=curves.LCPFN_PRIOR,
                    method=m,
                    direction="maximize",
                ),
                100,
            )
    add(
        "DOMHAN, smc, 8 of 20 steps, one of a batch of 16",
        lambda: curves.fit(
            accuracy[:16, :8],
            20,
            model=curves.DOMHAN,
            method="smc",
            direction="maximize",
        ),
        16,
    )
    for name in ("LCPFN_PRIOR", "DOMHAN", "ROBUST"):
        add(
            f"{name}, auto, a single curve, 20 of 50 steps",
            lambda n=name: curves.fit(resnets[0, :20], 50, model=getattr(curves, n)),
        )
    for name in ("LCPFN_PRIOR", "ROBUST"):
        posterior = curves.fit(resnets[0, :20], 50, model=getattr(curves, name))
        add(
            f"{name}, update by one epoch",
            lambda p=posterior: p.update(resnets[0, 20]),
        )
    rule = curves.PredictiveStopping(horizon=50)
    for count in (0, 3, 20):
        finished = list(resnets[100 : 100 + count])
        add(
            f"PredictiveStopping.decide at epoch 20, {count} finished",
            lambda f=finished: rule.decide(resnets[0, :20], 0.05, f),
        )
    return found


def main() -> None:
    lines = [
        "# CPU time of learning curves",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| warm | ms |",
        "| --- | --- |",
        *(f"| {name} | {value:.1f} |" for name, value in warm()),
        "",
        "| first call | import | without a cache | with one |",
        "| --- | --- | --- | --- |",
    ]
    for model in ("ROBUST", "LCPFN_PRIOR", "DOMHAN"):
        (imported, cold), (_, cached) = first_calls(model)
        lines.append(f"| {model}, auto | {imported:.1f} | {cold:.1f} | {cached:.1f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"First calls in seconds. NumPy {np.__version__}; XLA_FLAGS: "
        f"{os.environ['XLA_FLAGS']}; one BLAS thread; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores.",
    ]
    path = pathlib.Path(data.RESULTS) / "speed.md"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
