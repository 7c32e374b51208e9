"""Tables of trainings, from the folder that the environment's BOJAX_DATA names."""

import numpy as np

from benchmarks.regret.case import Case
from bojax import problems

NAMES = ("slice_localization", "phoneme", "nasbench201")
NUM_TRIALS = 100


def table(name: str) -> Case:
    """A table; each evaluation returns one of the repeats.

    Raises:
        ValueError: if no folder was named.
        FileNotFoundError: if the folder lacks the table.
    """
    data = problems.table(name)
    values = np.asarray(data.values, np.float64)
    means = np.nanmean(values, axis=0)
    count = data.space.num_levels

    def level(x: np.ndarray) -> tuple[int, ...]:
        return tuple(np.clip(np.floor(x * count), 0, count - 1).astype(int))

    def measure(x: np.ndarray, seed: int, number: int) -> float:
        repeats = values[(slice(None), *level(x))]
        rng = np.random.default_rng([seed, number])
        return float(rng.choice(repeats[np.isfinite(repeats)]))

    optimum = float(np.nanmin(means))

    def regret(x: np.ndarray, y: float, seed: int) -> float:
        return float(means[level(x)]) - optimum

    # Finding the very best is common, and has no logarithm.
    floor = 1e-4 * float(np.nanmedian(means) - optimum)
    return Case(name, data.space, measure, regret, floor, NUM_TRIALS, noisy=True)


def tables() -> dict[str, Case]:
    """The three of the suite."""
    return {name: table(name) for name in NAMES}
