"""Ends trainings that will not win."""

import concurrent.futures
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import numpy as np
from jaxtyping import Float

from bojax.curves.fit import as_curve, fit
from bojax.curves.models import ROBUST, Model
from bojax.data import Decision

_FEWEST = 3  # values that say anything about a curve
_KEPT = 64  # predictions in the background that are remembered


class _Asked:
    """A question that is answered in the background."""

    future: concurrent.futures.Future

    def __init__(self, curve: np.ndarray, best: float):
        self.curve, self.best = curve.copy(), best

    def begins(self, curve: np.ndarray) -> bool:
        """Whether it was asked about the beginning of this curve."""
        t = len(self.curve)
        return t <= len(curve) and np.array_equal(self.curve, curve[:t], equal_nan=True)

    def same(self, other: "_Asked") -> bool:
        """Whether it has the same answer."""
        return self.best == other.best and len(self.curve) == len(other.curve)


class _Background:
    """One thread that predicts, started at the first question.

    It has no settings, so that any two are equal, and a copy starts with no thread.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._worker: concurrent.futures.ThreadPoolExecutor | None = None
        self._asked: list[_Asked] = []

    def __call__(
        self, predict: Callable[..., Decision], curve: np.ndarray, best: float, *rest
    ) -> Decision:
        """The newest decision on this training that is ready; asks for a newer one."""
        now = _Asked(curve, best)
        with self._lock:
            mine = [asked for asked in self._asked if asked.begins(curve)]
            ready = [asked for asked in mine if asked.future.done()]
            newest = max(
                reversed(ready), key=lambda asked: len(asked.curve), default=None
            )
            waiting = len(ready) < len(mine)
            if not waiting and (newest is None or not newest.same(now)):
                if self._worker is None:
                    self._worker = concurrent.futures.ThreadPoolExecutor(1)
                now.future = self._worker.submit(predict, now.curve, best, *rest)
                self._asked.append(now)
            self._forget({asked for asked in ready if asked is not newest})
            if newest is not None and newest.future.exception():
                self._forget({newest})  # it is raised once
        # Incumbents get better: what had no chance then has none now.
        if newest is not None and best <= newest.best:
            return newest.future.result()
        return Decision(reason="still predicting")

    def _forget(self, old: set[_Asked]) -> None:
        """These, and what was answered long ago."""
        done = [asked for asked in self._asked if asked.future.done()]
        old = old.union(done[:-_KEPT])
        self._asked = [asked for asked in self._asked if asked not in old]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Background)

    def __hash__(self) -> int:
        return hash(_Background)

    def __reduce__(self) -> tuple:
        return _Background, ()


class PredictiveStopping(eqx.Module):
    """Stops a training that is all but certain not to beat the best one so far.

    A bound on that probability must not be fixed. Before its first value is seen, a
    training beats the best of k others with probability about 1 / (k + 1), so that
    sooner or later winners too would start below a fixed bound. A training is stopped
    where

        P(it beats the best | its curve so far) < threshold / (k + 1).

    The probability, if calibrated, is a martingale, so (Ville's inequality) whenever
    the rule stops, and however often it is asked,

        P(stopped, would have won) <= threshold / (k + 1) = threshold P(would have won).

    Hence `threshold` is the share of winners that may be lost. k counts the trainings
    that the incumbent has beaten, those that were stopped included.

    No training is stopped while there is no incumbent, before three values, at a step
    without a value, at the last step, where it is the best so far, or where the
    prediction is in doubt.

    Args:
        horizon: the last step of a training.
        threshold: the share of winners that may be lost.
        every: decide at the steps that are multiples of it.
        target: what counts of a training: "final", its value at the horizon, or "best",
            the best on the way there.
        model: the prior of a curve, which counts until five trainings have finished;
            None means `bojax.curves.ROBUST`.
        background: predict in a thread, so that no training waits: a decision comes as
            soon as it is ready, a few steps late.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> import numpy as np
        >>> rule = PredictiveStopping(horizon=30)
        >>> steps = np.arange(1, 31)
        >>> finished = [0.1 + 0.01 * i + 0.5 / steps for i in range(12)]
        >>> rule.decide(0.9 + 0.1 / steps[:8], best=0.1, finished=finished).stop
        True

    References:
        Domhan, Springenberg and Hutter (2015), "Speeding up automatic hyperparameter
        optimization of deep neural networks by extrapolation of learning curves",
        section 4: stopping by the probability of beating the best.
    """

    horizon: int = eqx.field(static=True)
    threshold: float | int = eqx.field(static=True, default=0.05)
    every: int = eqx.field(static=True, default=1)
    target: Literal["final", "best"] = eqx.field(static=True, default="final")
    model: Model | None = None
    background: bool = eqx.field(static=True, default=False)
    _aside: _Background = eqx.field(
        static=True, init=False, repr=False, default_factory=_Background
    )

    def __check_init__(self):
        _check_count("horizon", self.horizon, 2)
        _check_count("every", self.every, 1)
        threshold = self.threshold
        is_number = isinstance(threshold, int | float | np.number)
        if not is_number or not 0 < threshold < 1:
            raise ValueError(f"threshold: expected one in (0, 1), got {threshold!r}")
        if self.target not in ("final", "best"):
            raise ValueError(f'target: expected "final" or "best", got {self.target!r}')
        if self.model is not None and not isinstance(self.model, Model):
            raise ValueError(f"model: expected a Model of curves, got {self.model!r}")
        if not isinstance(self.background, bool):
            raise ValueError(
                f"background: expected True or False, got {self.background!r}"
            )

    def decide(
        self,
        curve: Float[np.ndarray, " t"],
        best: float | int,
        finished: Sequence[Float[np.ndarray, " _"]] | None = None,
    ) -> Decision:
        """Whether a training with this curve should go on. Lower is better.

        Args:
            curve: its values at steps 1, 2, ...; NaN where none was reported.
            best: the value to beat; infinite, or NaN, before there is one.
            finished: curves of the trainings that have ended, to learn from. NaN that
                lasts to the end is a failure, and before it a step at which none was
                reported. One that ended before the horizon, because it was stopped,
                only counts; of a longer one the values up to the horizon are used.

        Raises:
            ValueError: if a curve is not a sequence of numbers.
        """
        curve = as_curve("curve", curve)
        curves = [as_curve("finished", each) for each in finished or ()]
        if reason := self._abstains(curve, best):
            return Decision(reason=reason)
        if self.background:
            return self._aside(self._predict, curve, float(best), curves)
        return self._predict(curve, float(best), curves)

    def _abstains(self, curve: Float[np.ndarray, " t"], best: float | int) -> str:
        """Why there is nothing to be predicted."""
        known = curve[np.isfinite(curve)]
        if len(curve) >= self.horizon:
            return "at its end"
        if len(known) < _FEWEST:
            return f"fewer than {_FEWEST} values"
        if not math.isfinite(best):
            return "nothing to beat yet"
        if not math.isfinite(curve[-1]):
            return "no value at this step"
        if curve[-1] < best or (self.target == "best" and known.min() <= best):
            return "the best so far"
        if len(curve) % self.every:
            return f"decided every {self.every} steps"
        return ""

    def _predict(
        self,
        curve: Float[np.ndarray, " t"],
        best: float,
        finished: list[Float[np.ndarray, " _"]],
    ) -> Decision:
        whole = [each for each in finished if len(each) >= self.horizon]
        posterior = fit(
            curve,
            horizon=self.horizon,
            key=len(curve),
            model=ROBUST if self.model is None else self.model,
            finished=whole or None,
            direction="minimize",
        )
        if self.target == "final":
            where = f"at {self.horizon}"
            probability = posterior.prob_better(best, self.horizon)
        else:
            where = f"by {self.horizon}"
            probability = posterior.prob_ever_better(best)
        probability = _number(probability)
        count = max(len(finished), 1) + 1
        stop = probability < self.threshold / count
        sign = "<" if stop else ">="
        reason = (
            f"P(better than {best:.6g} {where}) = {probability:.2g} {sign} "
            f"{self.threshold:g} / {count}"
        )
        if math.isnan(probability) or not np.all(posterior.converged):
            stop, reason = False, "the prediction is in doubt"
        return Decision(
            stop=stop,
            probability=probability,
            mean=_number(posterior.mean(self.horizon)),
            std=_number(posterior.std(self.horizon)),
            reason=reason,
        )


def _check_count(name: str, value: Any, least: int) -> None:
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (is_integer and value >= least):
        raise ValueError(f"{name}: expected an integer >= {least}, got {value!r}")


def _number(answer: Any) -> float:
    """Answers are numbers, or arrays of one."""
    return float(np.ravel(answer)[0])
