"""A problem as contenders see it, and the recorder that calls it for them."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from benchmarks.regret import protocol
from bojax.space import Space


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem on the unit cube, to be minimized.

    Args:
        name: of all suites the only one of this name.
        space: its columns; of a column of k values, [i / k, (i + 1) / k) is the i-th.
        measure: (x, seed, number of the evaluation) to the value that is measured.
        regret: (x, measured value, seed) to how much worse the point is than the
            optimum, without noise.
        floor: regret below this counts as this.
        num_trials: the budget.
        noisy: whether values are measured with noise.
    """

    name: str
    space: Space
    measure: Callable[[np.ndarray, int, int], float]
    regret: Callable[[np.ndarray, float, int], float]
    floor: float
    num_trials: int
    noisy: bool = False

    @property
    def levels(self) -> list[int]:
        """How many values each column has; 0 where it is continuous."""
        return [int(k) for k in self.space.num_levels]

    @property
    def categorical(self) -> list[bool]:
        """Which columns have no order."""
        return [bool(b) for b in self.space.is_categorical]

    def numbers(self, x: np.ndarray) -> list[float | int]:
        """A point as peers see it: the index of each value, or a number in [0, 1]."""
        return [
            min(int(u * k), k - 1) if k else float(u)
            for u, k in zip(x, self.levels, strict=True)
        ]

    def point(self, numbers) -> np.ndarray:
        """The point of the unit cube that `numbers` gives so."""
        return np.array(
            [
                (int(v) + 0.5) / k if k else float(v)
                for v, k in zip(numbers, self.levels, strict=True)
            ]
        )


def initial_points(case: Case, seed: int, of_d: int = 2) -> np.ndarray:
    """2d uniform points, or another multiple, the same for every contender."""
    x = protocol.initial_points(case, seed, of_d)
    # Of columns of a few values, their centers.
    return np.array([case.point(case.numbers(row)) for row in x])


class Objective:
    """A case at one seed: to be called at points of the unit cube, remembers all.

    Args:
        case: the problem.
        seed: of the noise, or the instance.
    """

    def __init__(self, case: Case, seed: int):
        self.case, self.seed = case, seed
        self.x: list[np.ndarray] = []
        self.y: list[float] = []
        self.seconds: list[float] = []
        self.elsewhere = 0.0
        """Seconds of CPU that the contender has taken in another process."""
        # Whole nanoseconds: rounding would have time run backward.
        self._away = 0
        self._start = time.process_time_ns()

    @property
    def left(self) -> int:
        """How many evaluations are left."""
        return self.case.num_trials - len(self.y)

    def __call__(self, x: np.ndarray) -> float:
        """The value at a point, to be minimized."""
        if not self.left:
            raise RuntimeError(f"more than {self.case.num_trials} evaluations")
        called = time.process_time_ns()
        x = np.clip(np.asarray(x, np.float64), 0, 1)
        value = self.case.measure(x, self.seed, len(self.y))
        self.x.append(x)
        self.y.append(value)
        self.seconds.append(self._elapsed(called))
        self._away += time.process_time_ns() - called
        return value

    def elapsed(self) -> float:
        """Seconds of CPU that the contender has taken so far, evaluations apart."""
        return self._elapsed(time.process_time_ns())

    def _elapsed(self, now: int) -> float:
        return (now - self._start - self._away) / 1e9 + self.elsewhere

    def regrets(self, chosen: int | None) -> tuple[np.ndarray, float]:
        """Regret of the least value so far, after each evaluation; and of the choice.

        Args:
            chosen: the evaluation whose point the contender goes home with; by default
                that of the least value.
        """
        best = [int(np.argmin(self.y[: i + 1])) for i in range(len(self.y))]
        regret = [
            self.case.regret(x, y, self.seed)
            for x, y in zip(self.x, self.y, strict=True)
        ]
        chosen = best[-1] if chosen is None else chosen
        return np.array([regret[i] for i in best]), regret[chosen]


Run = Callable[[Objective, np.ndarray, int], int | None]
"""(objective, x0 [2d, d], seed): evaluates x0 first, then until nothing is left.

Returns the evaluation that the contender recommends; None: that of the least value.
"""
