"""One recorded study run again under a stopping rule, one trial after the other."""

import dataclasses
import math
import time
import zlib
from typing import Any

import numpy as np

from benchmarks.stopping.data import load

NUM_TRIALS = 40
SEEDS = {"dev": range(20), "acceptance": range(2000, 2020)}
"""Rules are tuned on the first and accepted on the second."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What came of one study, or, added up, of several studies of one set.

    Args:
        events: trials whose value after a full run beats the best of those before.
        false_stops: how many of them were stopped.
        epochs: epochs that were run.
        full: epochs of the same trials where none is stopped.
        loss: how much worse the best value is than without the rule, as a share of the
            way from the median of the set's final values to their best; a sum.
        studies: how many.
    """

    events: int
    false_stops: int
    epochs: int
    full: int
    loss: float
    studies: int = 1

    def __add__(self, other: "Summary") -> "Summary":
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Summary(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @property
    def saved(self) -> float:
        """Share of the epochs that were saved."""
        return 1 - self.epochs / self.full


@dataclasses.dataclass(frozen=True)
class Replay:
    """One study, trial by trial.

    Args:
        ends: the epoch at which each trial ended.
        stopped: whether the rule ended it.
        events: whether its final value would have been a new best.
        summary: the same in numbers.
        decisions: how often the rule was asked.
        seconds: how long it took to answer, all told.
    """

    ends: np.ndarray
    stopped: np.ndarray
    events: np.ndarray
    summary: Summary
    decisions: int
    seconds: float


def study(name: str, seed: int, num_trials: int = NUM_TRIALS) -> np.ndarray:
    """Curves [num_trials, t] drawn from a set, in random order."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    curves = load(name)
    return curves[rng.permutation(len(curves))[:num_trials]]


def scale(name: str) -> float:
    """From the median of a set's final values to the best of them.

    Where most trials learn nothing their quartiles all but coincide, so that the
    interquartile range would not do.
    """
    final = load(name)[:, -1]
    return float(np.nanmedian(final) - np.nanmin(final))


def lifetime(curve: np.ndarray) -> int:
    """Epochs that a full run takes: it fails at its first value that is not finite."""
    finite = np.isfinite(curve)
    return len(curve) if finite.all() else int(np.argmin(finite)) + 1


def replay(
    curves: np.ndarray,
    rule: Any,
    first: int = 1,
    every: int = 1,
    scale: float = 1.0,
    quick: bool = True,
) -> Replay:
    """A study under a rule, with the bookkeeping of `bojax.Study`.

    A stopped trial counts with the last value measured, a failed one not at all; the
    curves of all others become `finished`, as far as they went.

    Args:
        curves: one row for each trial, in their order; lower is better.
        rule: has `decide(curve, best, finished)`. With an attribute `wants_seen` it
            also gets `seen`, the curves of all earlier trials as far as they went; with
            `whole_curves`, only those of trials that ran to their end as `finished`. A
            rule with `first_stop` answers for all epochs of a trial at once.
        first: the epoch at which it is first asked about a trial.
        every: how many epochs lie between two of its decisions. There is none at the
            last epoch.
        scale: the unit of the loss.
        quick: use `first_stop` where the rule has it.
    """
    best, finished, seen = math.inf, [], []
    ends, stopped, events, full = [], [], [], []
    decisions, seconds = 0, 0.0
    quick = quick and hasattr(rule, "first_stop")
    whole = getattr(rule, "whole_curves", False)
    for curve in curves:
        length = lifetime(curve)
        failed = not np.isfinite(curve[length - 1])
        asked = range(first, length, every)
        extra = {"seen": seen} if getattr(rule, "wants_seen", False) else {}
        known = [c for c in finished if len(c) == len(curve)] if whole else finished
        start, end = time.perf_counter(), None
        if quick:
            end = rule.first_stop(curve, asked, best, known, **extra)
        else:
            for epoch in asked:
                decisions += 1
                decision = rule.decide(
                    curve[:epoch].copy(), best, finished=list(known), **extra
                )
                if decision.stop:
                    end = epoch
                    break
        seconds += time.perf_counter() - start
        final = math.nan if failed else curve[-1]
        events.append(math.isfinite(best) and bool(final < best))
        stopped.append(end is not None)
        ends.append(length if end is None else end)
        full.append(length)
        told = curve[ends[-1] - 1]
        best = min(best, told) if np.isfinite(told) else best
        seen.append(curve[: ends[-1]])
        if end is not None or not failed:
            finished.append(curve[: ends[-1]])
    stopped, events = np.array(stopped), np.array(events)
    summary = Summary(
        events=int(events.sum()),
        false_stops=int((events & stopped).sum()),
        epochs=sum(ends),
        full=sum(full),
        loss=(best - float(np.nanmin(curves[:, -1]))) / scale,
    )
    return Replay(np.array(ends), stopped, events, summary, decisions, seconds)
