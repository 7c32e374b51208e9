"""The main job in one call: the best configuration of a Python function."""

import contextlib
import dataclasses
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from bojax.space import Space
from bojax.strategies import Strategy
from bojax.tuning.convergence import Converged
from bojax.tuning.runner import run_trial, takes_trial
from bojax.tuning.study import StoppingRule, Study
from bojax.tuning.trial import Trial

_HOPELESS = 5

Callback = Callable[[Study, Trial], Any]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run found. The names are those of SciPy's `OptimizeResult`.

    Args:
        x: the best configuration that met all constraints, under noise the one expected
            to be the best and to meet them, at full fidelity, see `Study.best`; None if
            there is none, or if there are several objectives: see `pareto`.
        fun: the value measured there, in the objective's own sense; NaN where there is
            no `x`. Of a noisy objective other trials may have better values.
        trials: all trials, in order; one that was interrupted is still "running".
        success: whether the run ended as planned and some trial succeeded.
        message: why the run ended.
        pareto: the trials that no other beats in every objective, see `Study.front`; of
            one objective, the best one.
        direction: "minimize" or "maximize"; for several objectives a tuple of these.
    """

    x: dict[str, Any] | None
    fun: float
    trials: tuple[Trial, ...]
    success: bool
    message: str
    pareto: tuple[Trial, ...] = ()
    direction: str | tuple[str, ...] = "minimize"

    @property
    def x_iters(self) -> list[dict[str, Any]]:
        """The configurations of the finished trials."""
        return [dict(trial._asked) for trial in self.trials if trial.finished]

    @property
    def func_vals(self) -> Float[np.ndarray, "n ..."]:
        """The values of the finished trials, NaN where one failed."""
        return np.array([trial.value for trial in self.trials if trial.finished], float)

    def __repr__(self) -> str:
        states = [trial.state for trial in self.trials]
        counts = [
            f"{states.count(state)} {state}"
            for state in ("done", "stopped", "failed", "running")
            if state in states
        ]
        found = f"    fun: {self.fun:.6g}\n      x: {self.x}\n"
        if not isinstance(self.direction, str):
            count = len(self.pareto)
            found = f" pareto: {count} {'trial' if count == 1 else 'trials'}\n"
        return (
            f"message: {self.message}\n"
            f"success: {self.success}\n"
            f"{found}"
            f" trials: {len(states)} ({', '.join(counts)})"
        )


def minimize(
    fun: Callable,
    space: Space,
    num_trials: int,
    key: Any = 0,
    strategy: Strategy | None = None,
    stopping: StoppingRule | None = None,
    x0: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    timeout: float | int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    folder: str | os.PathLike | None = None,
    num_objectives: int = 1,
    num_constraints: int = 0,
    noisy: Any = None,
) -> Result:
    """The configuration with the lowest value of a Python function.

    A trial that raises, or whose value is not finite, failed: it is recorded and the
    run goes on, unless the first five all fail. Ctrl-C returns the result so far. Any
    other exception, of a callback or of `sys.exit` for instance, leaves with the result
    so far as its attribute `result`.

    Args:
        fun: the objective: a function of the configuration, a dict of its own, that
            returns a number, or a generator function that yields one after each step of
            a training. With a second parameter it gets the `Trial`: its number, key and
            folder.
        space: where to search.
        num_trials: how many trials to run, those of `x0` included.
        key: an integer, or a JAX key. The same key and values give the same run.
        strategy: how to search; `bojax.strategies.BayesOpt(space)` by default.
        stopping: a rule that may end a generator's trial early, see
            `bojax.tuning.study.StoppingRule`, such as
            `bojax.curves.PredictiveStopping(horizon=100)`.
        x0: a configuration, or several, to try first.
        timeout: seconds after which no new trial starts. A running one is finished.
        callbacks: called as `callback(study, trial)` after each trial, failed ones
            included. `StopIteration` ends the run, for the reason that is its text; see
            `bojax.Converged` for one that does where nothing more is to be gained.
        progress: whether to show a bar with the best value, on stderr.
        folder: where the trials' folders go; a temporary folder by default.
        num_objectives: how many values the objective returns, as a list or an
            `Outcome`. Of several, `pareto` of the result has the best trials.
        num_constraints: how many constraints it measures, returned in an `Outcome`.
            With `stopping` a generator yields one at each step: any may be the last.
        noisy: whether two evaluations of one configuration may differ: then the result
            is the best configuration as far as the model believes, not the luckiest.
            None: by evidence, see `Study.best`.

    Returns:
        The best configuration, its value, and all trials.

    Raises:
        TypeError: if an argument is of the wrong type; if the objective returns
            anything but as many numbers as it should.
        ValueError: if an argument is out of range, before any trial runs.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(-1, 1)})
        >>> result = minimize(
        ...     lambda config: config["a"] ** 2, space, num_trials=20,
        ...     strategy=bojax.strategies.Sobol(space), progress=False,
        ... )
        >>> result.fun < 0.01
        True
    """
    study = Study(
        space,
        strategy,
        key,
        _directions("minimize", num_objectives),
        stopping,
        folder,
        num_constraints,
        noisy,
    )
    return _run(study, fun, num_trials, x0, timeout, callbacks, progress)


def maximize(
    fun: Callable,
    space: Space,
    num_trials: int,
    key: Any = 0,
    strategy: Strategy | None = None,
    stopping: StoppingRule | None = None,
    x0: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    timeout: float | int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    folder: str | os.PathLike | None = None,
    num_objectives: int = 1,
    num_constraints: int = 0,
    noisy: Any = None,
) -> Result:
    """The configuration with the highest value: `minimize` for accuracies.

    The arguments are those of `minimize`. All values stay in the objective's own sense.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Int(1, 3)})
        >>> strategy = bojax.strategies.Random(space)
        >>> maximize(lambda c: c["a"], space, 3, strategy=strategy, progress=False).fun
        3.0
    """
    study = Study(
        space,
        strategy,
        key,
        _directions("maximize", num_objectives),
        stopping,
        folder,
        num_constraints,
        noisy,
    )
    return _run(study, fun, num_trials, x0, timeout, callbacks, progress)


def _run(study, fun, num_trials, x0, timeout, callbacks, progress) -> Result:
    with_trial = takes_trial(fun)
    _check_options(num_trials, x0, timeout, callbacks)
    configs = [x0] if isinstance(x0, Mapping) else list(x0)
    if len(configs) > num_trials:
        raise ValueError(
            f"x0: expected at most num_trials={num_trials} configurations, "
            f"got {len(configs)}"
        )
    for callback in callbacks:
        if isinstance(callback, Converged):
            callback.check(study)
    for config in configs:
        study.enqueue(config)

    began = time.monotonic()
    planned, message = True, f"all {num_trials} trials were run"
    try:
        with _bar(num_trials, progress) as show:
            for _ in range(num_trials):
                if timeout is not None and time.monotonic() - began >= timeout:
                    message = f"the timeout of {timeout:g} seconds has passed"
                    break
                trial = study.ask()
                run_trial(study, trial, fun, with_trial)
                show(study)
                try:
                    for callback in callbacks:
                        callback(study, trial)
                except StopIteration as stop:
                    message = str(stop) or "a callback ended the run"
                    break
                if len(study.trials) >= _HOPELESS and _all_failed(study):
                    planned, message = False, _despair(study)
                    break
        return _result(study, planned, message)
    except KeyboardInterrupt:
        return _result(study, False, "interrupted")
    except BaseException as error:  # as `sys.exit` raises one
        result = _result(study, False, f"{type(error).__name__}: {error}")
        error.result = result  # pyright: ignore[reportAttributeAccessIssue]
        error.add_note(
            f"The {len(result.trials)} trials so far are in the attribute `result` of "
            "this exception."
        )
        raise


def _directions(direction: str, num_objectives: Any) -> str | list[str]:
    is_integer = isinstance(num_objectives, int | np.integer)
    if not is_integer or isinstance(num_objectives, bool) or num_objectives < 1:
        raise ValueError(
            f"num_objectives: expected a number >= 1, got {num_objectives!r}"
        )
    return direction if num_objectives == 1 else [direction] * int(num_objectives)


def _check_options(num_trials: Any, x0: Any, timeout: Any, callbacks: Any) -> None:
    is_integer = isinstance(num_trials, int | np.integer)
    if not is_integer or isinstance(num_trials, bool):
        raise TypeError(f"num_trials: expected an integer, got {num_trials!r}")
    if num_trials < 1:
        raise ValueError(f"num_trials: expected at least 1, got {num_trials}")
    if not isinstance(x0, Mapping | Sequence) or isinstance(x0, str):
        raise TypeError(f"x0: expected one configuration or several, got {x0!r}")
    if timeout is not None and not isinstance(timeout, int | float | np.number):
        raise TypeError(f"timeout: expected seconds or None, got {timeout!r}")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout: expected seconds > 0, got {timeout}")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise TypeError(
            "callbacks: expected a sequence of functions (study, trial), "
            f"got {callbacks!r}"
        )


def _result(study: Study, planned: bool, message: str) -> Result:
    try:
        best, front = study.best, study.front
    except Exception:
        if planned:
            raise
        # It is the model that fails: what is left is the best value measured.
        best, front = study._best, [study._best] if study._best else []
    if planned and not front:
        message += f", and {_lack(study)}"
    return Result(
        x=None if best is None else dict(best._asked),
        fun=math.nan if best is None else best.value,
        trials=tuple(study.trials),
        success=planned and bool(front),
        message=message,
        pareto=tuple(front),
        direction=study.direction,
    )


def _lack(study: Study) -> str:
    """Why no trial is the best."""
    succeeded = [t for t in study.trials if t.state in ("done", "stopped")]
    violated = [trial for trial in succeeded if trial._is_full]
    if not succeeded:
        return "all failed"
    if not violated:
        return "none succeeded at full fidelity"
    least = min(violated, key=lambda trial: max(trial.constraints))
    return f"none met all constraints; the one nearest to it was trial {least.number}"


def _all_failed(study: Study) -> bool:
    return all(trial.state == "failed" for trial in study.trials)


def _despair(study: Study) -> str:
    error = (study.trials[-1].error or "").strip().splitlines()
    return (
        f"the first {len(study.trials)} trials all failed, the last one with: "
        f"{error[-1] if error else 'no error'}"
    )


@contextlib.contextmanager
def _bar(num_trials: int, progress: bool) -> Iterator[Callable[[Study], None]]:
    """A progress bar with the incumbent; gives a function to call after each trial."""
    if not progress:
        yield lambda study: None
        return
    with warnings.catch_warnings():  # on notebooks without widgets
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        bar = tqdm(total=num_trials, unit="trial", dynamic_ncols=True)

    def show(study: Study) -> None:
        failed = sum(trial.state == "failed" for trial in study.trials)
        parts = [] if study._best is None else [f"best {study._best.value:.5g}"]
        if study.num_objectives > 1:
            parts = [f"front {len(study.front)}"]
        parts += [f"{failed} failed"] if failed else []
        bar.set_postfix_str(", ".join(parts), refresh=False)
        bar.update()

    with contextlib.closing(bar):
        yield show
