"""What forecasts are worth: scores of samples [n, s] at truths [n]."""

import numpy as np

LEVELS = (0.5, 0.8, 0.95)


def crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each row, lower is better.

        E|X - y| - 1/2 E|X - X'|

    The expectations are those of the empirical distribution.

    References:
        Gneiting and Raftery (2007), equation 21.
    """
    samples = np.sort(samples, 1)
    s = samples.shape[1]
    rank = 2 * np.arange(1, s + 1) - s - 1
    return np.abs(samples - truth[:, None]).mean(1) - samples @ rank / s**2


def covered(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether the central intervals of `LEVELS` hold the truth, [n, levels]."""
    tails = (1 - np.array(LEVELS)) / 2
    low, high = (
        np.quantile(samples, q, axis=1, method="hazen").T for q in (tails, 1 - tails)
    )
    # Curves repeat values, and a sum may miss its own terms by a rounding.
    slack = 1e-9 * (1 + np.abs(truth))[:, None]
    return (low - slack <= truth[:, None]) & (truth[:, None] <= high + slack)


def log_score(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Log density at the truth, by a normal kernel of Silverman's width."""
    s = samples.shape[1]
    spread = np.diff(np.quantile(samples, (0.25, 0.75), axis=1), axis=0)[0] / 1.34
    width = 0.9 * np.maximum(np.minimum(samples.std(1), spread), 1e-12) * s**-0.2
    off = (truth[:, None] - samples) / width[:, None]
    density = np.log(np.exp(-0.5 * off**2).mean(1) + 1e-300)
    return density - np.log(width) - 0.5 * np.log(2 * np.pi)
