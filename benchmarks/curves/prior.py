"""LC-PFN's prior against the curves it was drawn for: `python -m` this.

The score is the mean log predictive density of the points that were not seen. Curves 1
to 100 were there while the samplers were made, 101 to 400 accept them. Each is set
beside emcee on the same curve, from `benchmarks.curves.walkers`. Milliseconds a curve
are of a warm call with all curves of a row, `first` are seconds of the first call, both
of the processor.
"""

import csv
import os
import time

import numpy as np

from benchmarks.curves.data import RESULTS, lcpfn_curves
from benchmarks.curves.walkers import CUTOFFS, FILE
from bojax import curves

METHODS = "importance", "smc", "auto"
PARTS = {"1 to 100": slice(0, 100), "101 to 400": slice(100, 400)}
HORIZON = 100


def emcee() -> dict[tuple[int, int], float]:
    with FILE.open() as lines:
        rows = list(csv.DictReader(lines))
    return {
        (int(row["curve"]), int(row["cutoff"])): float(row["log_density"])
        for row in rows
    }


def score(observed: np.ndarray, cutoff: int, method: str):
    """Mean log density of each curve, which are in doubt, and seconds twice."""
    seconds = []
    for _ in range(2):
        began = time.process_time()
        posterior = curves.fit(
            observed[:, :cutoff],
            HORIZON,
            model=curves.LCPFN_PRIOR,
            method=method,
            direction="maximize",
        )
        seconds.append(time.process_time() - began)
    rest = np.arange(cutoff + 1, HORIZON + 1)
    density = posterior.log_density(rest, observed[:, cutoff:])
    return density.mean(axis=1), ~np.asarray(posterior.converged), seconds


def main() -> None:
    observed, peer = lcpfn_curves(), emcee()
    lines = [
        "# LC-PFN's prior: mean log predictive density of what was not seen",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| curves | cutoff | method | score | above emcee [standard error] | in doubt "
        "| ms a curve | first |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, part in PARTS.items():
        numbers = range(*part.indices(len(observed)))
        for cutoff in CUTOFFS:
            theirs = np.array([peer[number, cutoff] for number in numbers])
            for method in METHODS:
                ours, doubt, (first, warm) = score(observed[part], cutoff, method)
                gain = ours - theirs
                error = gain.std() / len(gain) ** 0.5
                lines.append(
                    f"| {name} | {cutoff} % | {method} | {ours.mean():.3f} "
                    f"| {gain.mean():+.3f} [{error:.3f}] | {doubt.mean():.0%} "
                    f"| {1e3 * warm / len(ours):.1f} | {first:.1f} |"
                )
                print(lines[-1], flush=True)
    lines += [
        "",
        f"XLA_FLAGS: {os.environ['XLA_FLAGS']}; one BLAS thread; load "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end.",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "prior.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
