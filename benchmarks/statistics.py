"""What a comparison needs: ranks, their intervals, paired tests, and a correction."""

import numpy as np
import scipy.stats

_RESAMPLES = 10_000


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of each contender in each run; 1 is the least score, ties share the mean.

    Args:
        scores: [..., contenders].
    """
    return scipy.stats.rankdata(scores, axis=-1)


def mean_interval(groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean over groups of their means, and its 95 % bootstrap interval.

    Rows are resampled within each group: those of two problems are unrelated.

    Args:
        groups: one array [rows, columns] each, whose rows pair the columns; or [rows].

    Returns:
        The mean [columns], and the two ends of its interval [2, columns].
    """
    rng = np.random.default_rng(0)
    total = 0.0
    for rows in groups:
        drawn = rng.integers(len(rows), size=(_RESAMPLES, len(rows)))
        # Each resample is a weighted mean: the weights are how often a row was drawn.
        weights = np.apply_along_axis(np.bincount, 1, drawn, minlength=len(rows))
        total = total + weights @ rows / len(rows)
    means = np.mean([rows.mean(axis=0) for rows in groups], axis=0)
    return means, np.quantile(total / len(groups), (0.025, 0.975), axis=0)


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where all are equal.

    Zero differences count, split between the signs (Pratt, 1959).
    """
    if not np.any(differences):
        return 1.0
    return float(scipy.stats.wilcoxon(differences, zero_method="zsplit").pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p values: the chance of one false claim among all is what they bound.

    References:
        Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p)
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted
