import copy
import math
import pickle
import re
import threading

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import bojax
from bojax.data import Status
from bojax.strategies import BayesOpt, Random, Sobol
from bojax.tuning import FAILED, Study


@pytest.fixture
def study(space, strategy):
    return Study(space, strategy)


def table(study):
    """The rows in use of the strategy's table: status, y, variance, number."""
    trials = study._search.state.numpy().trials
    used = slice(0, int(trials.size))
    assert not trials.overflow
    return (
        trials.status[used].tolist(),
        trials.y[used, 0].tolist(),
        trials.variance[used, 0].tolist(),
        trials.number[used].tolist(),
    )


def test_what_is_asked_is_pending_until_it_is_told(study):
    first, second = study.ask(2)
    third = study.ask()
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert first.state == "running"
    assert not first.finished
    study.tell(third, 0.25)
    status, y, _, numbers = table(study)
    assert status == [Status.PENDING, Status.PENDING, Status.DONE]
    assert y[2] == 0.25
    assert numbers == [0, 1, 2]
    study.tell(first, 0.5)
    study.tell(second, 1.0)
    assert table(study)[:2] == ([Status.DONE] * 3, [0.5, 1.0, 0.25])
    assert (third.state, third.value) == ("done", 0.25)
    assert third.finished
    assert third.duration is not None
    assert 0 <= third.duration < 60
    assert study.best is third


def test_configurations_are_decoded_and_lie_in_the_space(study, space):
    for trial in study.ask(20):
        assert space.decode(space.encode(trial.config)) == pytest.approx(trial.config)
        assert ("c" in trial.config) == (trial.config["b"] == "v")


def test_maximization_is_told_minimized_and_shown_as_it_is(space, strategy):
    study = Study(space, strategy, direction="maximize")
    for value in (0.5, 0.75, 0.25):
        study.tell(study.ask(), value)
    assert table(study)[1] == [-0.5, -0.75, -0.25]
    assert [trial.value for trial in study.trials] == [0.5, 0.75, 0.25]
    assert study.best is study.trials[1]


@pytest.mark.parametrize("value", [FAILED, math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_failure_that_is_recorded(study, value):
    trial = study.ask()
    study.tell(trial, value)
    assert trial.state == "failed"
    assert math.isnan(trial.value)
    assert str(value) in trial.error
    assert study.best is None
    status, y, *_ = table(study)
    assert status == [Status.DONE]
    assert math.isnan(y[0])


def test_the_variance_of_an_outcome_reaches_the_strategy(study):
    trial = study.ask()
    study.tell(trial, bojax.Outcome(0.5, variance=0.01))
    assert table(study)[2] == [0.01]
    assert trial.variance == 0.01


@pytest.mark.parametrize("value", [None, "0.1", [0.1, 0.2], True])
def test_a_wrong_value_is_refused_and_the_trial_runs_on(study, value):
    trial = study.ask()
    with pytest.raises(TypeError, match="value: expected one number"):
        study.tell(trial, value)
    with pytest.raises(TypeError, match="value: expected one number"):
        study.report(trial, 1, value)
    study.tell(trial, 1.0)
    assert trial.value == 1.0
    assert trial.curve == []


def test_a_trial_is_told_once_and_to_its_own_study(study, space, strategy):
    trial = study.ask()
    other = Study(space, strategy)
    for stranger in (other, study):
        if stranger is study:
            study.tell(trial, 1.0)
            match = "expected one that is running, got trial 0, which is done"
        else:
            match = "expected one that this study asked for"
        with pytest.raises(ValueError, match=match):
            stranger.tell(trial, 2.0)
        with pytest.raises(ValueError, match=match):
            stranger.report(trial, 1, 2.0)
    assert trial.value == 1.0
    assert other.trials == []


def test_enqueued_configurations_come_first_and_exactly_as_given(study):
    configs = [{"a": 0.1, "b": "u"}, {"a": 0.3, "b": "v", "c": 0.007}]
    for config in configs:
        study.enqueue(config)
    configs[0]["a"] = 7.0  # what was enqueued is a copy
    trials = study.ask(3)
    assert trials[0].config == {"a": 0.1, "b": "u"}
    assert trials[1].config == {"a": 0.3, "b": "v", "c": 0.007}
    assert table(study)[3] == [0, 1, 2]
    study.tell(trials[1], 1.0)
    assert table(study)[0] == [Status.PENDING, Status.DONE, Status.PENDING]


def test_a_configuration_may_be_changed_until_it_is_told(study):
    config = {"a": 0.1, "b": "u"}
    study.enqueue(config)
    trial = study.ask()
    study.tell(trial, trial.config.pop("a"))
    assert trial.config == config
    trial.config["value"] = trial.value  # as a log would have it
    assert study.best is trial
    study.observe(config, 0.2)
    assert study.best.value == 0.1


def test_the_queue_is_in_order_over_several_asks(study):
    for a in (0.1, 0.2, 0.3):
        study.enqueue({"a": a, "b": "u"})
    assert [study.ask().config["a"] for _ in range(3)] == [0.1, 0.2, 0.3]
    assert "a" in study.ask().config


def test_enqueued_points_do_not_shift_the_draws_of_the_rest(space, strategy):
    plain = Study(space, strategy).ask(3)
    study = Study(space, strategy)
    study.enqueue({"a": 0.0, "b": "u"})
    assert [trial.config for trial in study.ask(3)][1:] == [
        trial.config for trial in plain
    ][1:]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"a": 2.0, "b": "u"}, "a"),
        ({"a": 0.0}, "b"),
        ({"a": 0.0, "b": "u", "z": 1}, "z"),
        ({"a": 0.0, "b": "u", "c": 0.1}, "c"),
        ({"a": "0", "b": "u"}, "a"),
    ],
)
def test_configurations_outside_of_the_space_are_refused_at_once(study, config, named):
    with pytest.raises((ValueError, TypeError), match=named):
        study.enqueue(config)
    with pytest.raises((ValueError, TypeError), match=named):
        study.observe(config, 1.0)
    assert study.trials == []


def test_observations_are_finished_trials(study):
    study.tell(study.ask(), 1.0)
    observed = study.observe({"a": 0.5, "b": "u"}, 0.25)
    failed = study.observe({"a": 0.6, "b": "u"}, FAILED)
    trial = study.ask()
    assert [observed.number, failed.number, trial.number] == [1, 2, 3]
    assert [observed.state, failed.state] == ["done", "failed"]
    assert study.best is observed
    status, _, _, numbers = table(study)
    assert status == [Status.DONE] * 3 + [Status.PENDING]
    assert numbers == [0, -1, -1, 1]


def test_the_table_grows_before_it_is_full(study):
    trials = study.ask(30) + study.ask(3)
    for trial in trials:
        study.tell(trial, float(trial.number))
    study.observe({"a": 0.5, "b": "u"}, 33.0)
    study.ask(40)
    status, y, *_ = table(study)
    assert len(status) == 74
    assert y[:34] == list(range(34))


def test_growth_changes_no_draw(space, strategy):
    grown = Study(space, strategy)
    one_by_one = [grown.ask().config for _ in range(40)]
    assert [trial.config for trial in Study(space, strategy).ask(40)] == one_by_one


def test_the_same_key_gives_the_same_run_and_another_another(space, strategy):
    def configs(key):
        return [trial.config for trial in Study(space, strategy, key=key).ask(3)]

    assert configs(3) == configs(3) == configs(jax.random.key(3))
    assert configs(3) == configs(np.int64(3))
    assert configs(3) != configs(4)


def test_a_trial_has_a_key_of_its_own(space, strategy):
    def words(key):
        trials = Study(space, strategy, key=key).ask(3)
        return [tuple(jax.random.key_data(trial.key).tolist()) for trial in trials]

    assert words(0) == words(0)
    assert len(set(words(0) + words(1))) == 6


def test_a_trial_has_a_folder_of_its_own(space, strategy, tmp_path):
    study = Study(space, strategy, folder=tmp_path)
    first, second = study.ask(2)
    assert list(tmp_path.iterdir()) == []
    (second.folder / "weights").write_text("1")
    assert (tmp_path / "trial-0001" / "weights").exists()
    assert not (tmp_path / "trial-0000").exists()
    assert first.folder != second.folder


@pytest.mark.parametrize("make", [Random, Sobol])
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda study: pickle.loads(pickle.dumps(study))]
)
def test_a_study_pickled_halfway_goes_on_as_if_nothing_was(space, make, copied):
    study = Study(space, make(space), key=5)
    study.enqueue({"a": 0.5, "b": "u"})
    pending = study.ask(4)[1]
    study.tell(study.trials[2], 1 / 3)
    study.enqueue({"a": 0.25, "b": "u"})
    twin = copied(study)
    assert repr(twin) == repr(study)
    assert twin.best is twin.trials[2]
    twin.tell(twin.trials[pending.number], 0.1)
    study.tell(pending, 0.1)
    assert [t.config for t in twin.ask(3)] == [t.config for t in study.ask(3)]
    assert str(table(twin)) == str(table(study))


def test_a_replay_of_what_was_asked_and_told_rebuilds_the_state(space):
    study = Study(space, Sobol(space), key=1)
    values = {}
    for trial in study.ask(3):
        values[trial.number] = trial.config["a"]
    for number in (2, 0):
        study.tell(study.trials[number], values[number])
    replayed = Study(space, Sobol(space), key=1)
    trials = replayed.ask(3)
    for number in (2, 0):
        replayed.tell(trials[number], values[number])
    left, right = study._search.state.numpy(), replayed._search.state.numpy()
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        if one is not left.key:
            np.testing.assert_array_equal(one, other)
    assert study.ask().config == replayed.ask().config


def test_a_tell_that_was_interrupted_is_made_good_by_the_next_call(study, monkeypatch):
    first, second = study.ask(2)
    with monkeypatch.context() as patch:
        patch.setattr("bojax.tuning.search.in_double", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study.tell(first, 0.5)
    assert first.value == 0.5
    study.tell(second, 0.25)
    assert table(study)[:2] == ([Status.DONE] * 2, [0.5, 0.25])


def interrupt(*args):
    raise KeyboardInterrupt


def test_several_threads_may_use_a_study(study):
    def work():
        for _ in range(5):
            trial = study.ask()
            study.tell(trial, float(trial.number))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert table(study)[1] == list(range(20))
    assert len({str(trial.config) for trial in study.trials}) == 20


class Rule:
    """Stops what is worse than the best after `patience` steps; remembers its input."""

    def __init__(self, patience=2, **fields):
        self.patience = patience
        self.fields = fields
        self.seen = []

    def decide(self, curve, best, finished=None):
        self.seen.append((curve.tolist(), best, [c.tolist() for c in finished]))
        stop = len(curve) >= self.patience and curve[-1] > best
        return bojax.Decision(stop=bool(stop), **self.fields)


def test_reports_are_kept_and_shown_to_the_rule_minimized(space, strategy):
    rule = Rule()
    study = Study(space, strategy, direction="maximize", stopping=rule)
    first, second = study.ask(2)
    for step, value in ((1, 0.5), (2, 0.75)):
        assert not study.report(first, step, value).stop
    study.tell(first, 0.75)
    assert first.curve == [(1, 0.5), (2, 0.75)]
    assert not study.report(second, 1, 0.25).stop
    assert study.report(second, step=3, value=0.5).stop
    assert str(rule.seen[-1]) == str(([-0.25, math.nan, -0.5], -0.75, [[-0.5, -0.75]]))
    assert rule.seen[0][1:] == (math.inf, [])


def test_without_a_rule_a_report_says_go_on(study):
    trial = study.ask()
    decision = study.report(trial, 1, 0.5)
    np.testing.assert_equal(vars(decision), vars(bojax.Decision()))
    assert trial.decision is decision


def test_the_rule_is_not_asked_about_values_that_are_not_finite(space, strategy):
    rule = Rule()
    study = Study(space, strategy, stopping=rule)
    trial = study.ask()
    assert not study.report(trial, 1, math.nan).stop
    assert rule.seen == []
    study.report(trial, 2, 1.0)
    assert str(rule.seen[0][0]) == "[nan, 1.0]"


@pytest.mark.parametrize("step", [0, -1, 2, 1.5, "3"])
def test_steps_are_positive_integers_that_grow(study, step):
    trial = study.ask()
    study.report(trial, 2, 1.0)
    with pytest.raises((ValueError, TypeError), match="step"):
        study.report(trial, step, 0.5)
    assert trial.curve == [(2, 1.0)]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_a_stopped_trial_the_strategy_learns_the_prediction(
    space, strategy, direction
):
    sign = 1.0 if direction == "minimize" else -1.0
    rule = Rule(1, mean=0.5, std=0.1)
    study = Study(space, strategy, direction=direction, stopping=rule)
    study.tell(study.ask(), sign * 0.25)
    trial = study.ask()
    decision = study.report(trial, 1, sign * 1.0)
    assert decision.stop
    assert decision.mean == sign * 0.5
    study.tell(trial, sign * 1.0)
    assert (trial.state, trial.value) == ("stopped", sign * 1.0)
    assert table(study)[1] == [0.25, 0.5]
    assert table(study)[2] == pytest.approx([0, 0.01])
    # The incumbent has beaten it: the rule sees its curve, as far as it went.
    study.report(study.ask(), 1, 0.0)
    assert rule.seen[-1][2] == [[1.0]]


def test_without_a_prediction_the_strategy_learns_the_last_value(space, strategy):
    study = Study(space, strategy, stopping=Rule(1))
    study.tell(study.ask(), 0.25)
    trial = study.ask()
    study.report(trial, 1, 1.0)
    study.tell(trial, 1.0)
    assert trial.state == "stopped"
    assert table(study)[1] == [0.25, 1.0]


def test_a_stopped_trial_may_be_the_best(space, strategy):
    class Always:
        def decide(self, curve, best, finished=None):
            return bojax.Decision(stop=True)

    study = Study(space, strategy, stopping=Always())
    trial = study.ask()
    study.report(trial, 1, 1.0)
    study.tell(trial, 1.0)
    assert study.best is trial


def test_a_stopped_trial_can_fail(space, strategy):
    study = Study(space, strategy, stopping=Rule(1, mean=0.5, std=0.1))
    study.tell(study.ask(), 0.25)
    trial = study.ask()
    study.report(trial, 1, 1.0)
    study.tell(trial, math.nan)
    assert trial.state == "failed"
    assert math.isnan(table(study)[1][1])


def test_a_rule_that_decides_nothing_is_a_type_error(space, strategy):
    class Silent:
        def decide(self, curve, best, finished=None):
            return None

    study = Study(space, strategy, stopping=Silent())
    with pytest.raises(TypeError, match=r"stopping.*Decision.*NoneType"):
        study.report(study.ask(), 1, 0.5)


OTHER = bojax.Space({"a": bojax.Float(0.0, 1.0)})


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"space": {"a": (0, 1)}}, TypeError, "space"),
        ({"strategy": "random"}, TypeError, "strategy"),
        ({"strategy": Random}, TypeError, "strategy"),
        ({"strategy": Random(OTHER)}, ValueError, "strategy: .*one of the space"),
        ({"direction": "max"}, ValueError, "direction: .*'max'"),
        ({"direction": ["minimize", "up"]}, (TypeError, ValueError), "direction"),
        ({"noisy": 1}, TypeError, "noisy: expected a bool or None, got 1"),
        ({"key": 0.5}, TypeError, "key: .*0.5"),
        ({"key": True}, TypeError, "key: .*True"),
        ({"key": jax.random.split(jax.random.key(0))}, TypeError, "key: expected"),
        ({"key": jnp.zeros(2, jnp.uint32)}, TypeError, "key: expected"),
        ({"stopping": "early"}, TypeError, "stopping"),
        ({"stopping": Rule}, TypeError, "stopping"),
        ({"folder": 3}, TypeError, "folder"),
    ],
    # Without addresses in memory: every process must collect the same names.
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value))[:60],
)
def test_bad_arguments_are_named(space, strategy, arguments, error, match):
    arguments = {"space": space, "strategy": strategy, **arguments}
    with pytest.raises(error, match=match):
        Study(**arguments)


@pytest.mark.parametrize("direction", [None, 3, [["minimize"]]])
def test_what_is_no_direction_is_named(space, strategy, monkeypatch, direction):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"direction: expected .*, got"):
        Study(space, strategy, direction=direction)


@pytest.mark.parametrize("noisy", [np.True_, np.False_])
def test_whether_it_is_noisy_may_be_a_bool_of_numpy(space, strategy, noisy):
    assert Study(space, strategy, noisy=noisy).noisy is bool(noisy)


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_a_number_of_trials_is_positive(study, n):
    with pytest.raises((ValueError, TypeError), match="n"):
        study.ask(n)
    assert study.trials == []


def test_the_default_strategy_is_bayesian(space):
    study = Study(space)
    assert isinstance(study.strategy, BayesOpt)
    assert study.strategy.space == space


def test_it_prints_what_it_is(study):
    assert repr(study) == "Study(Random, minimize, 0 trials, best none)"
    study.tell(study.ask(), 0.5)
    assert repr(study) == "Study(Random, minimize, 1 trials, best 0.5)"
