"""A long run of emcee on curves of LC-PFN's prior, for comparison: resumable.

100 walkers of the stretch move, 2,000 steps of which 500 are burnt, in the thirteen
parameters of the prior itself, from the best of many draws of the prior. The score is
the mean log predictive density of the points that were not seen. Needs emcee.

    python -m benchmarks.curves.walkers 0 400
"""

import csv
import sys

import numpy as np
from scipy.special import ndtri

from benchmarks.curves.data import RESULTS, lcpfn_curves

CUTOFFS = 10, 20, 40, 80
WALKERS, STEPS, BURN = 100, 2000, 500
FILE = RESULTS / "emcee.csv"
X = np.arange(1.0, 101.0)
LOG_X = np.log(X)
DIMENSIONS = 13

_UNIFORM = {  # low, width; the rest is log-normal
    "a1": (-0.6, 1.2),
    "c1": (0.0, 1.25),
    "a2": (-0.5, 1.0),
    "c2": (0.0, 1.0),
    "a3": (0.0, 1.0),
    "b3": (0.0, 2.0),
    "w1": (0.0, 1.0),
    "w2": (0.0, 1.0),
    "w3": (0.0, 1.0),
}


def curves(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free curves [p, 100] and noise [p] of parameters [p, 13]."""
    a1, c1, a2, c2, a3, b3, w1, w2, w3 = (
        (low + width * z[:, i])[:, None]
        for i, (low, width) in enumerate(_UNIFORM.values())
    )
    log_alpha, log_k, log_delta = 2 * z[:, 9], z[:, 10] - 2, 0.5 * z[:, 11]
    with np.errstate(over="ignore", under="ignore"):
        power = np.exp(-np.exp(log_alpha)[:, None] * LOG_X)
        growth = np.exp(log_k[:, None] + np.exp(log_delta)[:, None] * LOG_X)
        decay = np.exp(-growth)
    mean = (
        w1 * (c1 - a1 * power)
        + w2 * (c2 - a2 / np.log(X + 1))
        + w3 * (a3 - (a3 - b3) * decay)
    )
    return mean, np.exp(z[:, 12] - 4)


def log_posterior(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    inside = np.all((z[:, :9] > 0) & (z[:, :9] < 1), axis=1)
    mean, sigma = curves(z)
    inside &= np.all((mean >= 0) & (mean <= 1), axis=1) & (mean[:, -1] > mean[:, 0])
    residual = (y - mean[:, : len(y)]) / sigma[:, None]
    value = (
        -0.5 * np.sum(residual**2, axis=1)
        - len(y) * np.log(sigma)
        - 0.5 * np.sum(z[:, 9:] ** 2, axis=1)
    )
    return np.where(inside & np.isfinite(value), value, -np.inf)


def start(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The best of draws from the prior, by the walkers' own posterior."""
    draws = rng.random((20_000, DIMENSIONS))
    draws[:, 9:] = ndtri(draws[:, 9:])
    value = log_posterior(draws, y)
    return draws[np.argsort(-value)[:WALKERS]]


def score(observed: np.ndarray, cutoff: int, seed: int) -> float:
    import emcee

    rng = np.random.default_rng(seed)
    y = observed[:cutoff]
    np.random.seed(seed)  # noqa: NPY002  emcee draws from here
    sampler = emcee.EnsembleSampler(
        WALKERS, DIMENSIONS, log_posterior, args=[y], vectorize=True
    )
    sampler.run_mcmc(start(y, rng), STEPS, skip_initial_state_check=True)
    kept = sampler.get_chain(discard=BURN, thin=5, flat=True)
    mean, sigma = curves(kept)
    residual = (observed[cutoff:] - mean[:, cutoff:]) / sigma[:, None]
    log_density = -0.5 * residual**2 - np.log(sigma)[:, None] - 0.5 * np.log(2 * np.pi)
    top = log_density.max(axis=0)
    return float(np.mean(top + np.log(np.mean(np.exp(log_density - top), axis=0))))


def main(first: int, last: int) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    done = set()
    if FILE.exists():
        with FILE.open() as lines:
            done = {(int(r[0]), int(r[1])) for r in csv.reader(lines) if r[0].isdigit()}
    else:
        FILE.write_text("curve,cutoff,log_density\n")
    observed = lcpfn_curves()
    for curve in range(first, last):
        for cutoff in CUTOFFS:
            if (curve, cutoff) not in done:
                value = score(observed[curve], cutoff, seed=1000 * curve + cutoff)
                with FILE.open("a") as lines:
                    lines.write(f"{curve},{cutoff},{value:.4f}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
