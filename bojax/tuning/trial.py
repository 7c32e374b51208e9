"""One evaluation of the objective, seen from the host, and what it may return."""

import dataclasses
import functools
import math
import pathlib
import tempfile
import time
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from bojax.data import Decision, Outcome, Points

FAILED = math.nan
"""The value of a trial that failed: a NaN, by name."""

_OBJECTIVE_STREAM = 0xB07A_0B1E


def trial_key(
    key: PRNGKeyArray, number: int | np.integer | Int[Array, ""]
) -> PRNGKeyArray:
    """The objective's own key in trial `number` of a run with this key.

    Apart from every draw of the strategy, which uses `fold_in(key, i)`, i < 2^31.
    """
    return jax.random.fold_in(
        jax.random.fold_in(key, np.uint32(_OBJECTIVE_STREAM)), number
    )


class Folders:
    """The folders of a study's trials, each made when it is first asked for."""

    def __init__(self, base: str | pathlib.Path | None):
        self._given = base

    @functools.cached_property
    def base(self) -> pathlib.Path:
        """The folder above them all: the one given, or a new temporary one."""
        return pathlib.Path(self._given or tempfile.mkdtemp(prefix="bojax-"))

    def make(self, number: int) -> pathlib.Path:
        """The folder of this trial."""
        folder = self.base / f"trial-{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@dataclasses.dataclass(eq=False, kw_only=True)
class Trial:
    """One evaluation of the objective.

    Made by `Study.ask` and `Study.observe`, never by hand. All values are in the
    user's own sense: accuracies stay accuracies.

    Args:
        number: its place in `Study.trials`, from 0.
        config: the parameters' values; inactive ones are absent. A dict of your own to
            change while the trial runs: once told, it is again what was asked for.
        state: "running" until it is told, then "done", "stopped" by a stopping rule, or
            "failed": it raised, or its value was not finite.
        value: what was told; None while running, NaN when failed. Of several
            objectives, a tuple.
        variance: known variance of the noise in `value`; None where unknown.
        constraints: measured constraints, met where <= 0.
        cost: of the evaluation; None where unknown.
        curve: the reported `(step, value)` pairs, in order.
        decision: what the stopping rule said of the last report.
        error: why it failed, the traceback where there is one.
        duration: seconds from asking to telling.
    """

    number: int
    config: dict[str, Any]
    state: Literal["running", "done", "stopped", "failed"] = "running"
    value: Any = None
    variance: Any = None
    constraints: tuple[float, ...] = ()
    cost: float | None = None
    curve: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    decision: Decision | None = None
    error: str | None = None
    duration: float | None = None
    _asked: dict[str, Any] = dataclasses.field(repr=False)
    _is_full: bool = dataclasses.field(repr=False)
    _study_key: PRNGKeyArray = dataclasses.field(repr=False)
    _folders: Folders = dataclasses.field(repr=False)
    _points: Points | None = dataclasses.field(repr=False)
    _began: float = dataclasses.field(default_factory=time.time, repr=False)

    @functools.cached_property
    def key(self) -> PRNGKeyArray:
        """A JAX key for this trial alone; the same in every run with the same key."""
        return trial_key(self._study_key, self.number)

    @property
    def folder(self) -> pathlib.Path:
        """A folder of its own, made at the first access.

        `trial-0007` under the study's `folder`, which is a temporary one by default
        that nobody cleans up but the operating system.
        """
        return self._folders.make(self.number)

    @property
    def feasible(self) -> bool:
        """Whether it succeeded and met every constraint."""
        return self.state in ("done", "stopped") and all(
            g <= 0 for g in self.constraints
        )

    @property
    def finished(self) -> bool:
        """Whether its value is known."""
        return self.state != "running"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was told of a trial, in the user's sense.

    Args:
        values: of each objective.
        variances: known variance of the noise of each; zero where unknown.
        constraints: of each constraint, met where <= 0.
        cost: of the evaluation; NaN where unknown.
    """

    values: tuple[float, ...]
    variances: tuple[float, ...]
    constraints: tuple[float, ...] = ()
    cost: float = math.nan

    @property
    def succeeded(self) -> bool:
        """Whether everything is finite."""
        return all(map(math.isfinite, self.values + self.constraints))


def measured(
    name: str, value: Any, num_objectives: int = 1, num_constraints: int = 0
) -> Measured:
    """What was told, checked: numbers of any library, as many as there should be.

    A single value that is not finite stands for a trial that failed altogether, of
    which neither several objectives nor constraints need be told.

    Args:
        name: who says so, for the error message.
        value: a number, several of them, or an `Outcome` that holds such.
        num_objectives: how many values there should be.
        num_constraints: how many constraints.

    Raises:
        TypeError: if something is not a number, or there are not as many as expected.
        ValueError: if it is a provisional `Outcome`, or one with a negative variance or
            a cost that is not positive.
    """
    outcome = value if isinstance(value, Outcome) else Outcome(0.0)
    y = value.y if isinstance(value, Outcome) else value
    if not np.all(outcome.done):
        raise ValueError(
            f"{name}: expected a final Outcome, got one with done=False; a value that "
            "is not final goes to Study.report, or is yielded"
        )
    if _is_one(y) and not math.isfinite(failure := _number(name, y)):
        values, variances = (failure,) * num_objectives, (0.0,) * num_objectives
        return Measured(values, variances, (math.nan,) * num_constraints)
    values = _numbers(name, y, num_objectives, "objective")
    variances = (0.0,) * num_objectives
    if outcome.variance is not None:
        told, label = outcome.variance, f"{name}: variance"
        if _is_one(told):
            variances = (_number(label, told),) * num_objectives
        else:
            variances = _numbers(label, told, num_objectives, "objective")
        for variance in variances:
            if not 0 <= variance < math.inf:
                raise ValueError(f"{name}: expected a variance >= 0, got {variance}")
    constraints = ()
    if num_constraints or outcome.constraints is not None:
        told = () if outcome.constraints is None else outcome.constraints
        label = f"{name}: constraints"
        constraints = _numbers(label, told, num_constraints, "constraint")
    cost = math.nan
    if outcome.cost is not None:
        cost = _number(f"{name}: cost", outcome.cost)
        if not 0 < cost < math.inf:
            raise ValueError(f"{name}: expected a cost > 0, got {cost}")
    return Measured(values, variances, constraints, cost)


def _is_one(value: Any) -> bool:
    return not isinstance(value, list | tuple) and not getattr(value, "shape", ())


def _numbers(name: str, value: Any, count: int, unit: str) -> tuple[float, ...]:
    if _is_one(value):
        if count == 1:
            return (_number(name, value),)
        raise TypeError(
            f"{name}: expected {count} numbers, one for each {unit}, "
            f"got {_shortened(repr(value))}"
        )
    if not (count == 1 and unit == "objective"):
        listed = list(value)
        if len(listed) != count:
            raise TypeError(
                f"{name}: expected {count} numbers, one for each {unit}, "
                f"got {len(listed)}: {_shortened(repr(value))}"
            )
        return tuple(_number(name, one) for one in listed)
    # One objective is told as a number, not as a list of one.
    return (_number(name, value),)


def _number(name: str, value: Any) -> float:
    # Texts and truth values convert to floats too, but are slips of the pen; so are
    # arrays with axes.
    is_text = isinstance(value, str | bytes | bool)
    is_bool = getattr(getattr(value, "dtype", None), "kind", "") == "b"
    if not (is_text or is_bool or getattr(value, "shape", ())):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(
        f"{name}: expected one number (a float, NaN or an Outcome), "
        f"got {type(value).__name__}: {_shortened(repr(value))}"
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
