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
        config: the parameters' values; inactive ones are absent.
        state: "running" until it is told, then "done", "stopped" by a stopping rule, or
            "failed": it raised, or its value was not finite.
        value: what was told; None while running, NaN when failed.
        variance: known variance of the noise in `value`; None where unknown.
        curve: the reported `(step, value)` pairs, in order.
        decision: what the stopping rule said of the last report.
        error: why it failed, the traceback where there is one.
        duration: seconds from asking to telling.
    """

    number: int
    config: dict[str, Any]
    state: Literal["running", "done", "stopped", "failed"] = "running"
    value: float | None = None
    variance: float | None = None
    curve: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    decision: Decision | None = None
    error: str | None = None
    duration: float | None = None
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
    def finished(self) -> bool:
        """Whether its value is known."""
        return self.state != "running"


def measured(name: str, value: Any) -> tuple[float, float | None]:
    """A value that was told, and the variance of its noise if that is known.

    Args:
        name: who says so, for the error message.
        value: a number of any library, or an `Outcome` that holds one.

    Raises:
        TypeError: if it is not one number.
        ValueError: if it is a provisional `Outcome`.
    """
    if not isinstance(value, Outcome):
        return _number(name, value), None
    if not np.all(value.done):
        raise ValueError(
            f"{name}: expected a final Outcome, got one with done=False; a value that "
            "is not final goes to Study.report, or is yielded"
        )
    variance = None
    if value.variance is not None:
        variance = _number(f"{name}: variance", value.variance)
        if not 0 <= variance < math.inf:
            raise ValueError(f"{name}: expected a variance >= 0, got {variance}")
    return _number(name, value.y), variance


def _number(name: str, value: Any) -> float:
    # Texts and truth values convert to floats too, but are slips of the pen; so are
    # arrays with axes, until there are several objectives.
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
