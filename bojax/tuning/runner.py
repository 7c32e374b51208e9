"""Driving one trial: calls the objective, follows a generator, records what came."""

import contextlib
import inspect
import itertools
import math
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any

from bojax.tuning.study import Study
from bojax.tuning.trial import FAILED, Trial, measured

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def takes_trial(fun: Any) -> bool:
    """Whether an objective wants the trial beside the configuration.

    It does where a second parameter has no default, or is named `trial`.

    Raises:
        TypeError: if it cannot be called with one or two arguments.
    """
    if not callable(fun):
        raise TypeError(f"fun: expected a function, got {type(fun).__name__}")
    try:
        parameters = inspect.signature(fun).parameters.values()
    except ValueError:  # functions written in C may not say
        return False
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    required = [
        p for p in parameters if p.default is p.empty and p.kind not in _VARIADIC
    ]
    fits = len(required) <= 2 and all(p in positional for p in required)
    if not fits or not any(
        p.kind in (*_POSITIONAL, p.VAR_POSITIONAL) for p in parameters
    ):
        raise TypeError(
            "fun: expected a function of the configuration, or of the configuration "
            f"and the trial, got one of {inspect.signature(fun)}"
        )
    named = len(positional) > 1 and positional[1].name == "trial"
    return named or len(required) == 2


def run_trial(study: Study, trial: Trial, fun: Callable, with_trial: bool) -> None:
    """Evaluates the objective for one trial and tells the study.

    A plain function returns the value. A generator function yields the value so far
    after each step, and is closed where the stopping rule says so; its value is what it
    yielded last, or what it returns, if anything. Where constraints are measured, what
    a stopping rule may make the last is an `Outcome` that has them.

    An exception of the objective is recorded with the trial, which failed.

    Raises:
        TypeError: if what the objective returns or yields is not as many numbers as
            there should be, or lacks constraints where a rule may stop the trial; it is
            recorded as failed.
    """
    config = dict(trial.config)  # objectives pop from it, scale it in place
    args = (config, trial) if with_trial else (config,)
    try:
        value = _evaluate(study, trial, fun, args)
        counts = study.num_objectives, study.num_constraints
        measured("fun: what the objective returned", value, *counts)
        study.tell(trial, value)
    except _Raised as raised:
        trial.error = _report_of(raised.error)
        study.tell(trial, FAILED)
    except Exception as error:
        if not trial.finished:
            trial.error = str(error)
            study.tell(trial, FAILED)
        raise


def _evaluate(study: Study, trial: Trial, fun: Callable, args: tuple) -> Any:
    with _objective():
        value = fun(*args)
    if not isinstance(value, Generator):
        return value
    steps, value = value, None
    try:
        for step in itertools.count(1):
            with _objective():
                try:
                    value = next(steps)
                except StopIteration as end:
                    return value if end.value is None else end.value
            _check_yielded(study, value)
            if study.report(trial, step, value).stop:
                return value
    finally:
        with _objective():
            steps.close()


def _check_yielded(study: Study, value: Any) -> None:
    name = "fun: what the objective yielded"
    told = study._measured_so_far(name, value)
    lacks = len(told.constraints) < study.num_constraints
    if study.stopping is not None and lacks and math.isfinite(told.values[0]):
        raise TypeError(
            f"{name}: expected an Outcome with {study.num_constraints} constraints, "
            "because the stopping rule may end the trial at any step, "
            f"got {value!r}"
        )


def _report_of(error: Exception) -> str:
    """The traceback, from the objective's first frame on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


class _Raised(Exception):
    """The objective raised this."""

    def __init__(self, error: Exception):
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def _objective() -> Iterator[None]:
    """Tells exceptions of the user's objective from those of everything else."""
    try:
        yield
    except Exception as error:
        raise _Raised(error) from error
