"""A run in the hands of its user: ask for a trial, evaluate it, tell its value."""

import dataclasses
import math
import os
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast, overload, runtime_checkable

import numpy as np
from jaxtyping import Float

from bojax import strategies
from bojax.data import Decision, Outcome, Points
from bojax.space import Fidelity, Space
from bojax.strategies import Strategy
from bojax.strategies.base import as_key
from bojax.tuning.search import Search
from bojax.tuning.trial import Folders, Measured, Trial, measured


@runtime_checkable
class StoppingRule(Protocol):
    """What `stopping=` takes: anything with this method."""

    def decide(
        self,
        curve: Float[np.ndarray, " t"],
        best: float,
        finished: Sequence[Float[np.ndarray, " t"]] | None = None,
    ) -> Decision:
        """Whether a trial with this learning curve should go on.

        Lower is better in all of its arguments and in `Decision.mean`: the study flips
        the signs where it maximizes.

        Args:
            curve: the values at steps 1, 2, ...; NaN where none was reported.
            best: the best value of a finished trial that met all constraints, at full
                fidelity; infinite before the first.
            finished: the curves of the trials that have a value; that of a stopped one
                ends early.
        """
        ...


class Study:
    """A search, its trials and their values.

    Trials may be asked for, told and reported in any order, several at a time, and
    from several threads. What is asked for and not yet told is pending: strategies
    know of it. A study can be pickled between calls and goes on where it was.

    Args:
        space: where to search.
        strategy: how to search; `bojax.strategies.BayesOpt(space)` by default.
        key: an integer, or a JAX key. The same key and values give the same run.
        direction: "minimize" or "maximize"; for several objectives a list of these.
        stopping: a rule with the method `decide(curve, best, finished) -> Decision`,
            see `StoppingRule`; it is consulted at each report.
        folder: where the trials' folders go; a temporary folder by default.
        num_constraints: how many constraints each trial measures: it is told an
            `Outcome` with as many numbers in `constraints`, met where they are <= 0.
        noisy: whether the objective is noisy, see `best`. None: by evidence.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if the direction is unknown, the strategy searches elsewhere, or a
            stopping rule is given for several objectives.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> study = Study(space, bojax.strategies.Random(space), direction="maximize")
        >>> study.enqueue({"a": 0.5})
        >>> for _ in range(3):
        ...     trial = study.ask()
        ...     study.tell(trial, -((trial.config["a"] - 0.5) ** 2))
        >>> study.best.number, study.best.config
        (0, {'a': 0.5})
    """

    def __init__(
        self,
        space: Space,
        strategy: Strategy | None = None,
        key: Any = 0,
        direction: str | Sequence[str] = "minimize",
        stopping: StoppingRule | None = None,
        folder: str | os.PathLike | None = None,
        num_constraints: int = 0,
        noisy: Any = None,
    ):
        _check_type("space", space, Space)
        if noisy is not None and not isinstance(noisy, bool | np.bool_):
            raise TypeError(f"noisy: expected a bool or None, got {noisy!r}")
        given = (direction,) if isinstance(direction, str) else direction
        directions = tuple(given) if isinstance(given, Iterable) else ()
        known = all(d in ("minimize", "maximize") for d in directions)
        if not directions or not known:
            raise ValueError(
                'direction: expected "minimize" or "maximize", or a list of these, '
                f"got {direction!r}"
            )
        if not isinstance(num_constraints, int | np.integer) or num_constraints < 0:
            raise ValueError(
                f"num_constraints: expected a number >= 0, got {num_constraints!r}"
            )
        if strategy is None:
            strategy = strategies.BayesOpt(space)
        _check_type("strategy", strategy, Strategy)
        if strategy.space != space:
            raise ValueError(
                "strategy: expected one of the space to search, got one of "
                f"{strategy.space!r}"
            )
        is_rule = isinstance(stopping, StoppingRule) and not isinstance(stopping, type)
        if stopping is not None and not is_rule:
            raise TypeError(
                "stopping: expected an object with a method decide(curve, best, "
                f"finished), got {stopping!r}"
            )
        if stopping is not None and len(directions) > 1:
            raise ValueError(
                "stopping: expected None for several objectives, of which no learning "
                f"curve tells which is better, got {stopping!r}"
            )
        if folder is not None and not isinstance(folder, str | os.PathLike):
            raise TypeError(f"folder: expected a path, got {folder!r}")
        self.space = space
        self.strategy = strategy
        self.direction = direction if isinstance(direction, str) else directions
        self.num_constraints = int(num_constraints)
        self.stopping = stopping
        self.noisy = None if noisy is None else bool(noisy)
        self._recommended: tuple[int, Trial | None] | None = None
        self._signs = np.array([1.0 if d == "minimize" else -1.0 for d in directions])
        self._sign = float(self._signs[0])
        self._key = as_key("key", key)
        self._folders = Folders(None if folder is None else os.fspath(folder))
        self._trials: list[Trial] = []
        self._best: Trial | None = None
        self._best_y = math.inf
        self._curves: list[Float[np.ndarray, " t"]] = []
        self._queue: list[tuple[dict, Float[np.ndarray, " d"]]] = []
        self._search = Search(
            strategy, self._key, len(directions), self.num_constraints
        )
        self._lock = threading.RLock()

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, running ones included, in the order of their numbers."""
        return list(self._trials)

    @property
    def num_objectives(self) -> int:
        """How many values each trial has."""
        return len(self._signs)

    @property
    def best(self) -> Trial | None:
        """The trial to go home with; None before any that meets all constraints.

        That is the one of the best value at full fidelity; stopped ones count. Where
        nothing succeeded at full fidelity it is None too. Of several objectives
        there is no best one: see `front`. Of a noisy objective it is the one of the
        best value expected, not that of the luckiest, of those expected to meet the
        constraints, see `Strategy.recommend`; its `value` and `constraints` are still
        those measured, and it may not be `feasible` by them. Without `noisy`, an
        objective is noisy if a variance was told, a configuration had two values, or
        the model found noise.
        """
        with self._lock:
            if self._best is None or not self._is_noisy():
                return self._best
            finished = sum(trial.finished for trial in self._trials)
            if self._recommended is None or self._recommended[0] != finished:
                self._catch_up()  # where a tell was interrupted
                row = self._search.recommended()
                found = None if row is None else self._trials[row]
                self._recommended = finished, found
            return self._recommended[1]

    def _is_noisy(self) -> bool:
        if self.noisy is not None:
            return self.noisy
        values: dict[bytes, float] = {}
        for trial in self._trials:
            if trial.state == "done" and trial.value is not None:
                point = self.space.encode(trial._asked).tobytes()
                if (
                    trial.variance
                    or values.setdefault(point, trial.value) != trial.value
                ):
                    return True
        return self._search.fitted_noise()

    @property
    def front(self) -> list[Trial]:
        """The trials that no other one beats in every objective, and that are feasible.

        Of those at full fidelity. Of one objective, the best one: under noise the one
        expected to be the best and to meet the constraints, see `best`.
        """
        trials = [t for t in self._trials if t.feasible and t._is_full]
        if len(self._signs) == 1 or not trials:
            best = self.best
            return [] if best is None else [best]
        y = self._signs * np.array([trial.value for trial in trials])
        beats = np.all(y[:, None] <= y, axis=2) & np.any(y[:, None] < y, axis=2)
        return [trials[i] for i in np.flatnonzero(~beats.any(axis=0))]

    @overload
    def ask(self) -> Trial: ...
    @overload
    def ask(self, n: int) -> list[Trial]: ...
    def ask(self, n: int | None = None) -> Trial | list[Trial]:
        """The next trial, or a list of `n`, to be evaluated and told.

        Enqueued configurations come first.

        Raises:
            ValueError: if `n` is not positive.
        """
        count = 1 if n is None else n
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"n: expected a number of trials >= 1, got {n!r}")
        with self._lock:
            trials = self._ask(int(count))
        return trials[0] if n is None else trials

    def tell(self, trial: Trial, value: Any) -> None:
        """The value of a trial that was asked for.

        A value that is not finite is a failure, and so is `bojax.FAILED`: it is
        recorded and never the best. Where the stopping rule had the last word, the
        trial counts as stopped: its value is `value`, the last one measured, but the
        strategy is told what the rule predicts for its end, with the prediction's
        variance, if that is finite.

        Args:
            trial: from `ask`, not told yet.
            value: a number, for several objectives a list of them, or an `Outcome` that
                also has constraints, the noise's variance, or the cost.

        Raises:
            TypeError: if the value is not as many numbers as there are objectives and
                constraints. The trial keeps running.
            ValueError: if the trial is not from this study, or was told before.
        """
        told = self._measured("value", value)
        with self._lock:
            self._check_running(trial)
            trial.duration = max(0.0, time.time() - trial._began)
            columns = self._record(trial, told)
            self._search.tell(cast(Points, trial._points), *columns)
            self._catch_up()

    def report(self, trial: Trial, step: int, value: Any) -> Decision:
        """An intermediate value of a running trial, and what the stopping rule says.

        Args:
            trial: from `ask`, not told yet.
            step: how far it is, for instance in epochs: from 1, growing.
            value: the measure that will also be told, so far: a number, or an `Outcome`
                with one, which alone is kept.

        Returns:
            The decision, its mean in the user's sense. Without a stopping rule, and
            where the value is not finite: go on.

        Raises:
            TypeError: if the value is not one number, or an `Outcome` has constraints,
                but not as many as there should be.
            ValueError: if the trial is not running or the step does not grow.
        """
        value = self._measured_so_far("value", value).values[0]
        with self._lock:
            self._check_running(trial)
            last = trial.curve[-1][0] if trial.curve else 0
            if not isinstance(step, int | np.integer) or step <= last:
                raise ValueError(f"step: expected an integer > {last}, got {step!r}")
            trial.curve.append((int(step), value))
            finished = list(self._curves)
        decision = Decision()
        if self.stopping is not None and math.isfinite(value):
            decision = self.stopping.decide(
                self._dense(trial), self._best_y, finished=finished
            )
            _check_type("stopping: what decide returns", decision, Decision)
            decision = dataclasses.replace(decision, mean=self._sign * decision.mean)
        trial.decision = decision
        return decision

    def enqueue(self, config: Mapping[str, Any]) -> None:
        """Puts a configuration in line: `ask` returns it before any new one.

        Raises:
            ValueError: if it is not a configuration of the space.
        """
        x = self.space.encode(config)
        with self._lock:
            self._queue.append((dict(config), x))

    def observe(self, config: Mapping[str, Any], value: Any) -> Trial:
        """A configuration and its value, measured elsewhere, as a finished trial.

        Raises:
            TypeError: if the value is not as many numbers as there should be.
            ValueError: if it is not a configuration of the space.
        """
        x = self.space.encode(config)
        told = self._measured("value", value)
        with self._lock:
            self._catch_up(room=1)
            trial = self._new_trial(dict(config))
            columns = self._record(trial, told)
            self._search.observe(x[None], *columns)
            self._trials.append(trial)
            self._catch_up()
        return trial

    def _ask(self, count: int) -> list[Trial]:
        self._catch_up(room=count)
        queued = self._queue[:count]
        state, configs, points = self._search.state, [], []
        if queued:
            x = np.stack([x for _, x in queued])
            reserved, state = self._search.reserve(state, x)
            points += reserved
            configs += [config for config, _ in queued]
        if count > len(queued):
            new, state = self._search.ask(state, count - len(queued))
            if not np.all(getattr(state.numpy().memory, "trusted", True)):
                warnings.warn(
                    "the surrogate's covariance could not be factorized: what is asked "
                    "now is not the model's choice. Values or points that are nearly "
                    "equal are a usual reason",
                    stacklevel=3,
                )
            points += new
            configs += [self.space.decode(point.x[0]) for point in new]
        start = len(self._trials)
        trials = []
        for offset, (config, point) in enumerate(zip(configs, points, strict=True)):
            trials.append(self._new_trial(config, start + offset, point))
        self._search.state = state
        self._trials += trials
        del self._queue[: len(queued)]
        return trials

    def _new_trial(self, config: dict, number: int | None = None, points=None) -> Trial:
        number = len(self._trials) if number is None else number
        return Trial(
            number=number,
            config=dict(config),
            _asked=config,
            _is_full=self._is_full(config),
            _study_key=self._key,
            _folders=self._folders,
            _points=points,
        )

    def _is_full(self, config: dict) -> bool:
        """Whether every fidelity is at its highest, as near as for a recommendation."""
        return all(
            parameter.find(parameter.high) - parameter.find(config[name]) <= 1e-6
            for name, parameter in self.space.columns
            if isinstance(parameter, Fidelity)
        )

    def _measured(self, name: str, value: Any) -> Measured:
        return measured(name, value, len(self._signs), self.num_constraints)

    def _measured_so_far(self, name: str, value: Any) -> Measured:
        """Of a trial in progress one number is due; the constraints need not be."""
        has_constraints = isinstance(value, Outcome) and value.constraints is not None
        count = self.num_constraints if has_constraints else 0
        return measured(name, value, num_constraints=count)

    def _record(self, trial: Trial, told: Measured) -> tuple[np.ndarray, ...]:
        """Finishes a trial; returns what the strategy is to be told of it."""
        several, decision = len(self._signs) > 1, trial.decision
        trial.config = dict(trial._asked)
        trial.constraints = told.constraints
        trial.cost = None if math.isnan(told.cost) else told.cost
        if any(told.variances):
            trial.variance = told.variances if several else told.variances[0]
        values, variances = self._signs * told.values, np.array(told.variances)
        if not told.succeeded:
            trial.state = "failed"
            trial.value = (math.nan,) * len(values) if several else math.nan
            what, wrong = "value was", told.values
            if np.all(np.isfinite(values)):
                what, wrong = "constraints were", told.constraints
            shown = ", ".join(map(str, wrong))
            trial.error = trial.error or f"the {what} {shown}"
            values, variances = np.full_like(values, math.nan), np.zeros_like(values)
        else:
            trial.value = told.values if several else told.values[0]
            trial.state = "done"
            better = not several and bool(values[0] < self._best_y)
            if better and trial.feasible and trial._is_full:
                self._best, self._best_y = trial, float(values[0])
            if trial.curve:
                self._curves.append(self._dense(trial))
            if decision is not None and decision.stop:
                trial.state = "stopped"
                if math.isfinite(decision.mean) and math.isfinite(decision.std):
                    values = np.array([self._sign * decision.mean])
                    variances = np.array([decision.std**2])
        constraints = np.array(told.constraints, float)
        return values[None], variances[None], constraints[None], np.array([told.cost])

    def _catch_up(self, room: int = 0) -> None:
        self._search.catch_up(len(self._trials) + room)

    def _check_running(self, trial: Trial) -> None:
        _check_type("trial", trial, Trial)
        number = trial.number
        if not (number < len(self._trials) and self._trials[number] is trial):
            raise ValueError(
                f"trial: expected one that this study asked for, got trial {number} of "
                "another"
            )
        if trial.finished:
            raise ValueError(
                f"trial: expected one that is running, got trial {number}, which is "
                f"{trial.state}"
            )

    def _dense(self, trial: Trial) -> Float[np.ndarray, " t"]:
        """The curve at steps 1, 2, ..., minimized, NaN where nothing was reported."""
        curve = np.full(trial.curve[-1][0], math.nan)
        for step, value in trial.curve:
            curve[step - 1] = self._sign * value
        return curve

    def __repr__(self) -> str:
        best = "none" if self._best is None else f"{self._sign * self._best_y:g}"
        return (
            f"Study({type(self.strategy).__name__}, {self.direction}, "
            f"{len(self._trials)} trials, best {best})"
        )

    def __getstate__(self) -> dict:
        with self._lock:
            kept = dict(self.__dict__)
        del kept["_lock"]
        return kept

    def __setstate__(self, kept: dict) -> None:
        self.__dict__.update(kept)
        self._lock = threading.RLock()


def _check_type(name: str, value: Any, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(
            f"{name}: expected a {expected.__name__}, got {type(value).__name__}"
        )
