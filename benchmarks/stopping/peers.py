"""The rules to beat, written after what they do elsewhere, and the settings to sweep.

Each has `decide`, the protocol of `bojax.tuning.StoppingRule`, and `first_stop`, the
same for all epochs of a trial at once, which makes sweeps take minutes. A test-sized
check that the two agree: `python -m benchmarks.stopping --check`.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from bojax import Decision

Curves = Sequence[np.ndarray]


def _first(epochs: range, stop: np.ndarray) -> int | None:
    """The first of the epochs at which `stop`, for epochs 1, 2, ..., is true."""
    return next((epoch for epoch in epochs if stop[epoch - 1]), None)


@dataclasses.dataclass(frozen=True)
class Percentile:
    """Optuna's PercentilePruner; its MedianPruner at 50.

    A trial goes on while the best of its values so far is no worse than this percentile
    of the values of the trials that ran to their end, at the same epoch.
    """

    whole_curves = True
    percentile: float = 50.0
    startup: int = 5
    warmup: int = 1
    interval: int = 1

    def _silent(self, finished: Curves) -> bool:
        return len(finished) < max(1, self.startup)

    def decide(self, curve, best, finished=()):
        epoch = len(curve)
        due = epoch >= self.warmup and (epoch - self.warmup) % self.interval == 0
        if self._silent(finished) or not due:
            return Decision()
        others = [other[epoch - 1] for other in finished]
        return Decision(stop=min(curve) > np.percentile(others, self.percentile))

    def first_stop(self, curve, epochs, best, finished):
        if self._silent(finished):
            return None
        bound = np.percentile(np.array(finished), self.percentile, axis=0)
        stop = np.minimum.accumulate(curve) > bound
        late = np.arange(1, len(curve) + 1) - self.warmup
        return _first(epochs, stop & (late >= 0) & (late % self.interval == 0))


@dataclasses.dataclass(frozen=True)
class SuccessiveHalving:
    """Optuna's SuccessiveHalvingPruner, the asynchronous kind.

    At epochs resource, resource x factor, resource x factor^2, ... a trial goes on if
    it is among the best 1 / factor of all that ever got there; while these are fewer
    than the factor, if it is their best. What Optuna calls min_early_stopping_rate
    multiplies the resource by a power of the factor, so that it needs no sweep of its
    own.
    """

    resource: int = 1
    factor: int = 4
    wants_seen = True
    whole_curves = True

    def _rungs(self, epochs: int) -> list[int]:
        rungs = (self.resource * self.factor**power for power in itertools.count())
        return list(itertools.takewhile(lambda rung: rung <= epochs, rungs))

    def _fails(self, curve: np.ndarray, rung: int, seen: Curves) -> bool:
        values = [other[rung - 1] for other in seen if len(other) >= rung]
        values = sorted(value for value in (*values, curve[rung - 1]) if value == value)
        return curve[rung - 1] > values[max(0, len(values) // self.factor - 1)]

    def decide(self, curve, best, finished=(), seen=()):
        reached = len(curve) in self._rungs(len(curve))
        return Decision(stop=reached and self._fails(curve, len(curve), seen))

    def first_stop(self, curve, epochs, best, finished, seen):
        for rung in self._rungs(epochs.stop - 1):
            if rung in epochs and self._fails(curve, rung, seen):
                return rung
        return None


@dataclasses.dataclass(frozen=True)
class LastValue:
    """Stops where the last value is worse than the best by a margin.

    The margin is in interquartile ranges of the final values of the trials that ran to
    their end.
    """

    whole_curves = True
    margin: float = 1.0
    startup: int = 5
    warmup: int = 1

    def _bound(self, best: float, finished: Curves) -> float:
        if len(finished) < self.startup:
            return math.inf
        low, high = np.percentile([other[-1] for other in finished], (25, 75))
        return best + self.margin * (high - low)

    def decide(self, curve, best, finished=()):
        late = len(curve) >= self.warmup
        return Decision(stop=late and bool(curve[-1] > self._bound(best, finished)))

    def first_stop(self, curve, epochs, best, finished):
        late = np.arange(1, len(curve) + 1) >= self.warmup
        return _first(epochs, late & (curve > self._bound(best, finished)))


@dataclasses.dataclass(frozen=True)
class Residuals:
    """Stops where hardly one finished trial still improved by what this one lacks.

    The probability of ending better is (1 + k) / (1 + n), where k of the n trials that
    ran to their end improved by enough from this epoch to their last.
    """

    whole_curves = True
    threshold: float = 0.05
    warmup: int = 1

    def decide(self, curve, best, finished=()):
        gains = [other[-1] - other[len(curve) - 1] for other in finished]
        enough = sum(bool(curve[-1] + gain < best) for gain in gains)
        probability = (1 + enough) / (1 + len(gains))
        late = len(curve) >= self.warmup
        return Decision(stop=late and probability < self.threshold)

    def first_stop(self, curve, epochs, best, finished):
        if not finished:
            return None
        finished = np.array(finished)
        enough = (curve + finished[:, -1:] - finished < best).sum(axis=0)
        late = np.arange(1, len(curve) + 1) >= self.warmup
        probability = (1 + enough) / (1 + len(finished))
        return _first(epochs, late & (probability < self.threshold))


# Numbers of epochs are shares of the whole run, so that one setting suits all sets.
_EARLY = (0.02, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8)
PEERS = {
    "percentile": (
        Percentile,
        {
            "percentile": (25, 50, 65, 80, 90, 100),
            "startup": (1, 5, 10),
            "warmup": _EARLY,
            "interval": (0.02, 0.2),
        },
    ),
    "successive-halving": (
        SuccessiveHalving,
        {"resource": (*_EARLY, 0.9), "factor": (2, 3, 4, 6, 8)},
    ),
    "last-value": (
        LastValue,
        {
            "margin": (0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
            "startup": (2, 5, 10),
            "warmup": _EARLY,
        },
    ),
    "residuals": (
        Residuals,
        {
            "threshold": (0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
            "warmup": _EARLY,
        },
    ),
}
_SHARES = ("warmup", "interval", "resource")


def settings(peer: str) -> list[dict]:
    """All settings of a peer that are swept."""
    grid = PEERS[peer][1]
    return [
        dict(zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]


def build(peer: str, setting: dict, horizon: int):
    """A peer for runs of so many epochs."""
    return PEERS[peer][0](
        **{
            name: max(1, round(value * horizon)) if name in _SHARES else value
            for name, value in setting.items()
        }
    )
