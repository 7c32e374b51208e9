import math
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import Random
from bojax.tuning import FAILED, Result


@pytest.fixture
def minimize(space, strategy):
    """`bojax.minimize` on the small space by random search, silently."""

    def minimize(fun, num_trials=4, **options):
        options = {"strategy": strategy, "progress": False, **options}
        return bojax.minimize(fun, options.pop("space", space), num_trials, **options)

    return minimize


def square(config):
    return config["a"] ** 2


def clock(monkeypatch):
    """A clock for timeouts that moves only when told to."""
    now = [1000.0]
    module = sys.modules["bojax.tuning.minimize"]
    fake = type("Clock", (), {"monotonic": staticmethod(lambda: now[0])})
    monkeypatch.setattr(module, "time", fake)
    return now


def test_the_best_of_all_trials_is_the_result(minimize):
    result = minimize(square, 12)
    assert len(result.trials) == 12
    assert result.success
    assert result.message == "all 12 trials were run"
    values = [trial.config["a"] ** 2 for trial in result.trials]
    assert result.func_vals.tolist() == values
    assert result.fun == min(values)
    assert result.x == result.trials[int(np.argmin(values))].config
    assert result.x_iters == [trial.config for trial in result.trials]


def test_the_same_key_gives_the_same_run(minimize):
    one, same, other = (minimize(square, key=key) for key in (1, 1, 2))
    assert one.x_iters == same.x_iters
    assert one.x_iters != other.x_iters


def test_maximize_is_minimize_of_the_negative(space, strategy, minimize):
    options = {"strategy": strategy, "progress": False}
    highest = bojax.maximize(square, space, 6, **options)
    lowest = minimize(lambda config: -square(config), 6)
    assert highest.x == lowest.x
    assert highest.fun == -lowest.fun
    assert highest.func_vals.tolist() == (-lowest.func_vals).tolist()


def takes_out(config):
    return config.pop("a") ** 2


def scales_in_place(config):
    config["a"] *= 100
    return config["a"]


@pytest.mark.parametrize("change", [takes_out, scales_in_place])
def test_an_objective_may_change_its_configuration(minimize, change):
    x0 = {"a": 0.5, "b": "u"}
    result = minimize(change, x0=x0)
    assert result.trials[0].config == result.x_iters[0] == x0
    assert change(dict(result.x)) == result.fun


def test_callbacks_may_add_to_the_configuration(minimize):
    def log(study, trial):
        trial.config["value"] = trial.value

    result = minimize(square, callbacks=[log])
    assert square(result.x) == result.fun
    assert all(set(x) <= {"a", "b", "c"} for x in [result.x, *result.x_iters])


class Clueless(Random):
    """A strategy whose recommendation fails."""

    def expected(self, state):
        raise ArithmeticError("no idea")


def test_no_trial_is_lost_where_the_recommendation_fails(minimize, space):
    with pytest.raises(ArithmeticError, match="no idea") as caught:
        minimize(square, strategy=Clueless(space), noisy=True)
    result = caught.value.result
    assert not result.success
    assert result.fun == min(result.func_vals)
    assert len(result.x_iters) == 4


def test_x0_is_tried_first(minimize):
    config = {"a": 0.0, "b": "u"}
    result = minimize(square, x0=[config, {"a": 0.5, "b": "u"}])
    assert result.x_iters[:2] == [config, {"a": 0.5, "b": "u"}]
    assert len(result.trials) == 4
    assert (result.x, result.fun) == (config, 0.0)
    assert minimize(square, x0=config).x_iters[0] == config


def test_failures_are_recorded_and_the_run_goes_on(minimize):
    def fun(config, trial):
        if trial.number % 3 == 0:
            raise ZeroDivisionError("no luck")
        return math.nan if trial.number % 3 == 1 else 1.0

    result = minimize(fun, 9)
    states = [trial.state for trial in result.trials]
    assert states == ["failed", "failed", "done"] * 3
    assert "ZeroDivisionError: no luck" in result.trials[0].error
    assert "in fun" in result.trials[0].error
    assert result.fun == 1.0
    assert result.success
    np.testing.assert_array_equal(result.func_vals, [math.nan, math.nan, 1.0] * 3)


def test_five_failures_from_the_start_end_the_run(minimize):
    def fun(config):
        raise ZeroDivisionError("no luck")

    result = minimize(fun, 20)
    assert len(result.trials) == 5
    assert not result.success
    assert result.x is None
    assert math.isnan(result.fun)
    assert result.message.startswith("the first 5 trials all failed")
    assert "ZeroDivisionError: no luck" in result.message
    assert "NaN" not in minimize(lambda config: FAILED, 20).message
    assert "nan" in minimize(lambda config: FAILED, 20).message


def test_a_success_among_the_first_five_saves_the_run(minimize):
    result = minimize(lambda config, trial: 1.0 if trial.number == 4 else FAILED, 12)
    assert len(result.trials) == 12
    assert result.success


def test_few_trials_that_all_fail_are_no_success(minimize):
    result = minimize(lambda config: FAILED, 2)
    assert not result.success
    assert result.message == "all 2 trials were run, and all failed"


@pytest.mark.parametrize("value", [None, "0.1", [0.1, 0.2]])
@pytest.mark.parametrize("at", [0, 2])
def test_a_value_that_is_none_is_a_type_error_with_every_trial_kept(
    minimize, value, at
):
    def fun(config, trial):
        return value if trial.number == at else 1.0

    with pytest.raises(TypeError, match="fun: what the objective returned") as caught:
        minimize(fun)
    result = caught.value.result
    assert isinstance(result, Result)
    assert not result.success
    assert [trial.state for trial in result.trials] == ["done"] * at + ["failed"]
    assert any("attribute `result`" in note for note in caught.value.__notes__)


def test_an_interrupt_returns_the_result_so_far(minimize):
    def fun(config, trial):
        yield 1.0
        if trial.number == 2:
            raise KeyboardInterrupt
        yield 0.5

    result = minimize(fun)
    assert [trial.state for trial in result.trials] == ["done", "done", "running"]
    assert result.trials[2].curve == [(1, 1.0)]
    assert not result.success
    assert result.message == "interrupted"
    assert result.fun == 0.5
    assert len(result.x_iters) == len(result.func_vals) == 2


def test_an_objective_that_exits_leaves_the_result_with_its_exception(minimize):
    def fun(config, trial):
        return sys.exit("out of memory") if trial.number == 2 else 1.0

    with pytest.raises(SystemExit, match="out of memory") as caught:
        minimize(fun)
    states = [trial.state for trial in caught.value.result.trials]
    assert states == ["done", "done", "running"]


def test_callbacks_see_the_study_after_each_trial(minimize):
    seen = []

    def callback(study, trial):
        assert study.trials[-1] is trial
        seen.append((trial.number, trial.state, jnp.zeros(()).dtype))

    def fun(config, trial):
        return FAILED if trial.number == 1 else 1.0

    minimize(fun, 3, callbacks=[callback, callback])
    expected = [(0, "done"), (1, "failed"), (2, "done")]
    assert seen == [(*pair, jnp.float32) for pair in expected for _ in range(2)]


def test_a_callback_can_end_the_run(minimize):
    def callback(study, trial):
        if trial.number == 1:
            raise StopIteration

    result = minimize(square, 10, callbacks=[callback])
    assert len(result.trials) == 2
    assert result.success
    assert result.message == "a callback ended the run"


def test_a_callback_can_be_interrupted(minimize):
    def callback(study, trial):
        raise KeyboardInterrupt

    result = minimize(square, callbacks=[callback])
    assert len(result.trials) == 1
    assert result.message == "interrupted"


def test_a_callback_that_raises_leaves_the_result_with_its_exception(minimize):
    def callback(study, trial):
        raise KeyError("callback")

    with pytest.raises(KeyError, match="callback") as caught:
        minimize(square, callbacks=[callback])
    assert [trial.state for trial in caught.value.result.trials] == ["done"]


def test_a_callback_can_enqueue_and_observe(minimize):
    def callback(study, trial):
        if trial.number == 0:
            study.observe({"a": 0.0, "b": "u"}, 0.0)
            study.enqueue({"a": 0.5, "b": "u"})

    result = minimize(square, 3, callbacks=[callback])
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3]
    assert result.x == {"a": 0.0, "b": "u"}
    assert result.x_iters[2] == {"a": 0.5, "b": "u"}


def test_after_the_timeout_no_trial_starts(minimize, monkeypatch):
    now = clock(monkeypatch)

    def fun(config):
        now[0] += 10
        return 1.0

    result = minimize(fun, 100, timeout=25)
    assert len(result.trials) == 3  # the third began after 20 seconds
    assert result.success
    assert result.message == "the timeout of 25 seconds has passed"


def test_a_stopping_rule_ends_trials_early(minimize):
    class Slower:
        def decide(self, curve, best, finished=None):
            return bojax.Decision(stop=bool(curve[-1] > best), mean=1.0, std=0.5)

    def fun(config, trial):
        for epoch in range(5):
            yield 1.0 + trial.number - 0.1 * epoch

    result = minimize(fun, 3, stopping=Slower())
    assert [trial.state for trial in result.trials] == ["done", "stopped", "stopped"]
    assert [len(trial.curve) for trial in result.trials] == [5, 1, 1]
    assert "1 done, 2 stopped" in repr(result)


def test_a_folder_holds_those_of_the_trials(minimize, tmp_path):
    def fun(config, trial):
        (trial.folder / "log").touch()
        return 0.0

    minimize(fun, 2, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "trial-0000",
        "trial-0001",
    ]


def test_the_bar_shows_the_incumbent_on_stderr(minimize, capsys):
    minimize(lambda config, trial: FAILED if trial.number else 0.25, 3, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "3/3" in captured.err
    assert "best 0.25, 2 failed" in captured.err
    minimize(square, 2)
    assert capsys.readouterr().err == ""


def test_a_result_prints_what_matters(minimize):
    result = minimize(square, x0={"a": 0.0, "b": "u"})
    assert repr(result) == (
        "message: all 4 trials were run\n"
        "success: True\n"
        "    fun: 0\n"
        "      x: {'a': 0.0, 'b': 'u'}\n"
        " trials: 4 (4 done)"
    )


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"num_trials": 0}, ValueError, "num_trials: expected at least 1, got 0"),
        ({"num_trials": 2.5}, TypeError, "num_trials"),
        ({"num_trials": True}, TypeError, "num_trials: expected an integer, got True"),
        ({"fun": 3}, TypeError, "fun"),
        ({"fun": lambda: 0}, TypeError, "fun: expected a function of the configur"),
        ({"x0": {"a": 2.0, "b": "u"}}, ValueError, "a"),
        ({"x0": [{"a": 0.0, "b": "u"}, {"a": 0.0}]}, ValueError, "b"),
        ({"x0": [{"a": 0.0, "b": "u"}] * 5}, ValueError, "x0: expected at most num_"),
        ({"x0": [3]}, TypeError, "x0|config"),
        ({"x0": 3}, TypeError, "x0"),
        ({"key": "seed"}, TypeError, "key: expected an integer"),
        ({"callbacks": [3]}, TypeError, "callbacks"),
        ({"callbacks": print}, TypeError, "callbacks"),
        ({"timeout": 0}, ValueError, "timeout: expected seconds > 0, got 0"),
        ({"timeout": math.nan}, ValueError, "timeout: expected seconds > 0, got nan"),
        ({"timeout": "1 h"}, TypeError, "timeout"),
        ({"space": {"a": (0, 1)}}, TypeError, "space"),
        ({"strategy": "gp"}, TypeError, "strategy"),
        (
            {"strategy": Random(bojax.Space({"a": bojax.Float(0.0, 1.0)}))},
            ValueError,
            "strategy: expected one of the space to search",
        ),
        ({"stopping": 3}, TypeError, "stopping"),
    ],
    # Without addresses in memory: every process must collect the same names.
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value))[:60],
)
def test_bad_arguments_are_named_before_any_trial_runs(minimize, options, error, match):
    ran = []

    def fun(config):
        ran.append(config)
        return 0.0

    with pytest.raises(error, match=match):
        minimize(**{"fun": fun, **options})
    assert ran == []


def test_ctrl_c_returns_the_result_of_a_real_process():
    program = """
import os, signal, bojax
# As at a terminal: a process that starts in the background ignores the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
def fun(config, trial):
    if trial.number == 2:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(10**9):
            pass
    return 1.0
space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
strategy = bojax.strategies.Random(space)
result = bojax.minimize(fun, space, 5, strategy=strategy, progress=False)
print(len(result.func_vals), result.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "2 interrupted\n", done.stderr
