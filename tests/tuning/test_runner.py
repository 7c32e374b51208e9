import functools
import inspect
import math

import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.tuning import Study
from bojax.tuning.runner import run_trial, takes_trial


class Counter:
    def __call__(self, config):
        return 1.0


@pytest.mark.parametrize(
    ("fun", "wants"),
    [
        (lambda config: 0, False),
        (lambda config, trial: 0, True),
        (lambda config, trial=None: 0, True),
        (lambda config, epochs=10: 0, False),
        (lambda config, epochs=10, trial=None: 0, False),
        (lambda config, /, other: 0, True),
        (lambda *args: 0, False),
        (lambda config, **kwargs: 0, False),
        (lambda config=None: 0, False),
        (functools.partial(lambda scale, config: 0, 2.0), False),
        (functools.partial(lambda config, trial, scale: 0, scale=2.0), True),
        (Counter(), False),
        (np.sum, False),
        (dict, False),
    ],
    ids=lambda value: str(inspect.signature(value)) if value not in (
        True, False, dict) else str(value),
)  # fmt: skip
def test_the_trial_is_passed_to_those_who_want_it(fun, wants):
    assert takes_trial(fun) is wants


@pytest.mark.parametrize(
    "fun",
    [
        lambda: 0,
        lambda config, trial, third: 0,
        lambda config, *, rate: 0,
        lambda **kwargs: 0,
    ],
    ids=lambda fun: str(inspect.signature(fun)),
)
def test_functions_of_other_arguments_are_type_errors(fun):
    with pytest.raises(TypeError, match=r"fun: expected a function of .*got one of \("):
        takes_trial(fun)


def test_an_objective_is_a_function():
    with pytest.raises(TypeError, match="fun: expected a function, got dict"):
        takes_trial({})


class After:
    """Stops each trial at one step."""

    def __init__(self, step):
        self.step = step

    def decide(self, curve, best, finished=None):
        return bojax.Decision(stop=len(curve) == self.step, reason="far enough")


@pytest.fixture
def run(space, strategy):
    """Runs one trial of an objective."""

    def run(fun, stopping=None, **options):
        study = Study(space, strategy, stopping=stopping, **options)
        trial = study.ask()
        run_trial(study, trial, fun, takes_trial(fun))
        return trial

    return run


def test_a_function_returns_its_value(run):
    trial = run(lambda config: jnp.float32(0.5))
    assert (trial.state, trial.value, trial.curve) == ("done", 0.5, [])


def test_a_second_parameter_gets_the_trial(run):
    def fun(config, trial):
        assert config == trial.config
        assert trial.state == "running"
        return trial.number

    assert run(fun).value == 0


def test_a_generator_reports_each_step_and_ends_with_the_last(run):
    def fun(config):
        yield 3.0
        yield np.float32(1.0)
        yield bojax.Outcome(2.0, variance=0.25)

    trial = run(fun)
    assert trial.curve == [(1, 3.0), (2, 1.0), (3, 2.0)]
    assert (trial.state, trial.value, trial.variance) == ("done", 2.0, 0.25)


def test_what_a_generator_returns_is_its_value(run):
    def fun(config):
        yield 3.0
        return 0.125

    assert run(fun).value == 0.125


def test_any_function_may_return_a_generator(run):
    assert run(lambda config: (float(i) for i in range(3))).value == 2.0


def test_a_rule_closes_the_generator(run):
    closed = []

    def fun(config):
        try:
            for epoch in range(100):
                yield 1.0 / (epoch + 1)
        except GeneratorExit:
            closed.append(epoch)
            raise

    trial = run(fun, After(4))
    assert closed == [3]
    assert (trial.state, trial.value) == ("stopped", 0.25)
    assert len(trial.curve) == 4
    assert trial.decision.reason == "far enough"


def yields_constraints(config):
    for step in range(3):
        yield bojax.Outcome(1.0 - step, constraints=[step - 1.0])


@pytest.mark.parametrize(
    ("stopping", "state", "value", "constraints"),
    [(None, "done", -1.0, (1.0,)), (After(2), "stopped", 0.0, (0.0,))],
)
def test_outcomes_are_yielded_with_their_constraints(
    run, stopping, state, value, constraints
):
    trial = run(yields_constraints, stopping, num_constraints=1)
    assert (trial.state, trial.value, trial.constraints) == (state, value, constraints)
    assert trial.curve == [(1, 1.0), (2, 0.0), (3, -1.0)][: len(trial.curve)]


def yields_numbers(config):
    yield math.nan
    yield 0.5
    return bojax.Outcome(0.25, constraints=[-1.0])


def test_numbers_may_be_yielded_before_the_constraints_are_known(run):
    trial = run(yields_numbers, num_constraints=1)
    assert (trial.state, trial.value, trial.constraints) == ("done", 0.25, (-1.0,))


def test_where_a_rule_may_stop_it_constraints_are_due_at_each_step(run):
    with pytest.raises(TypeError, match="yielded: expected an Outcome with 1 constr"):
        run(yields_numbers, After(9), num_constraints=1)


def raises_at_once(config):
    raise ZeroDivisionError("at once")


def raises_later(config):
    yield 0.5
    raise ZeroDivisionError("later")


def raises_stop_iteration(config):
    raise StopIteration("not an end")


def raises_when_closed(config):
    try:
        while True:
            yield 0.5
    finally:
        raise ZeroDivisionError("when closed")


def goes_on_when_closed(config):
    try:
        while True:
            yield 0.5
    except GeneratorExit:
        yield 0.25


@pytest.mark.parametrize(
    ("fun", "text", "steps"),
    [
        (raises_at_once, "ZeroDivisionError: at once", 0),
        (raises_later, "ZeroDivisionError: later", 1),
        (raises_stop_iteration, "StopIteration: not an end", 0),
        (raises_when_closed, "ZeroDivisionError: when closed", 3),
        (goes_on_when_closed, "generator ignored GeneratorExit", 3),
    ],
)
def test_what_the_objective_raises_is_recorded(run, fun, text, steps):
    trial = run(fun, After(3))
    assert trial.state == "failed"
    assert math.isnan(trial.value)
    assert trial.error.strip().endswith(text)
    assert len(trial.curve) == steps


def test_the_traceback_begins_with_the_objective(run):
    lines = run(raises_later).error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in raises_later")


def yields_text(config):
    yield 0.5
    yield "0.25"


def yields_nothing(config):
    return
    yield


@pytest.mark.parametrize(
    ("fun", "match"),
    [
        (lambda config: None, "returned: expected one number .* got NoneType: None"),
        (lambda config: "0.1", "returned: expected one number .* got str: '0.1'"),
        (lambda config: [0.1], r"returned: expected one number .* got list: \[0.1\]"),
        (yields_text, "yielded: expected one number .* got str: '0.25'"),
        (yields_nothing, "returned: expected one number .* got NoneType: None"),
    ],
)
def test_a_value_that_is_none_ends_in_a_type_error(space, strategy, fun, match):
    study = Study(space, strategy)
    trial = study.ask()
    with pytest.raises(TypeError, match=match):
        run_trial(study, trial, fun, False)
    assert trial.state == "failed"
    assert "expected one number" in trial.error


def test_a_rule_that_raises_is_not_the_objectives_fault(space, strategy):
    class Broken:
        def decide(self, curve, best, finished=None):
            raise KeyError("rule")

    closed = []

    def fun(config):
        try:
            yield 1.0
        finally:
            closed.append(True)

    study = Study(space, strategy, stopping=Broken())
    trial = study.ask()
    with pytest.raises(KeyError, match="rule"):
        run_trial(study, trial, fun, False)
    assert trial.state == "failed"
    assert trial.curve == [(1, 1.0)]
    assert closed == [True]


def test_an_interrupt_closes_the_generator_and_leaves_the_trial_running(
    space, strategy
):
    closed = []

    def fun(config):
        try:
            yield 1.0
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    study = Study(space, strategy)
    trial = study.ask()
    with pytest.raises(KeyboardInterrupt):
        run_trial(study, trial, fun, False)
    assert closed == [True]
    assert trial.state == "running"
    assert trial.curve == [(1, 1.0)]


def test_the_users_code_runs_in_the_users_precision(run):
    class Watching(After):
        def decide(self, curve, best, finished=None):
            seen.append(jnp.zeros(()).dtype)
            return super().decide(curve, best, finished)

    seen = []

    def fun(config, trial):
        for _ in range(3):
            seen.append(jnp.zeros(()).dtype)
            yield 1.0

    run(fun, Watching(2))
    assert seen == [jnp.float32] * 4
