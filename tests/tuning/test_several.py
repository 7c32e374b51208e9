"""Several objectives and constraints, through `Study` and `minimize`."""

import math
import pickle

import numpy as np
import pytest

import bojax
from bojax.strategies import BayesOpt
from bojax.tuning import FAILED, Study


@pytest.fixture
def two(space, strategy):
    """Two objectives, of which the second is maximized."""
    return Study(space, strategy, direction=["minimize", "maximize"])


def numbers(trials):
    return [trial.number for trial in trials]


def test_the_front_is_what_nothing_beats_in_every_objective(two):
    for value in [(1.0, 1.0), (2.0, 2.0), (2.0, 1.0), (0.5, 0.0), (2.0, 2.0)]:
        two.tell(two.ask(), value)
    assert numbers(two.front) == [0, 1, 3, 4]
    assert two.best is None
    assert two.num_objectives == 2
    assert two.trials[0].value == (1.0, 1.0)
    np.testing.assert_array_equal(
        two._search.state.numpy().trials.y[:5],
        [[1, -1], [2, -2], [2, -1], [0.5, 0], [2, -2]],
    )


def test_only_what_met_its_constraints_is_in_the_front(space, strategy):
    study = Study(space, strategy, direction=["minimize"] * 2, num_constraints=2)
    told = [
        ([0.0, 0.0], [0.1, -1.0]),
        ([1.0, 2.0], [0.0, -1.0]),
        ([2.0, 1.0], [-1.0, -1.0]),
        ([3.0, 3.0], [-1.0, -1.0]),
    ]
    for values, constraints in told:
        study.tell(study.ask(), bojax.Outcome(values, constraints=constraints))
    assert numbers(study.front) == [1, 2]
    assert [trial.feasible for trial in study.trials] == [False, True, True, True]
    assert study.trials[0].constraints == (0.1, -1.0)


def test_of_one_objective_the_front_is_the_best_that_is_feasible(space, strategy):
    study = Study(space, strategy, num_constraints=1)
    assert study.front == []
    for value, constraint in [(1.0, 0.5), (3.0, -0.5), (2.0, -0.5)]:
        study.tell(study.ask(), bojax.Outcome(value, constraints=constraint))
    assert study.best is study.trials[2]
    assert study.front == [study.trials[2]]


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ([1.0], "value: expected 2 numbers, one for each objective, got 1"),
        ([1.0, 2.0, 3.0], "value: expected 2 numbers, one for each objective, got 3"),
        (np.arange(3.0), "value: expected 2 numbers, one for each objective, got 3"),
        (1.0, "value: expected 2 numbers, one for each objective, got 1.0"),
        ([1.0, "2"], "value: expected one number .*got str"),
        (bojax.Outcome([1.0, 2.0], constraints=[0.0]), "value: constraints: expected"),
    ],
    ids=["fewer", "more", "array", "one", "text", "constraint"],
)
def test_a_wrong_count_is_named_and_the_trial_runs_on(two, value, match):
    trial = two.ask()
    with pytest.raises(TypeError, match=match):
        two.tell(trial, value)
    assert trial.state == "running"
    assert trial.value is None
    two.tell(trial, [1.0, 2.0])
    assert trial.state == "done"


def test_missing_constraints_are_named_and_the_trial_runs_on(space, strategy):
    study = Study(space, strategy, num_constraints=2)
    trial = study.ask()
    for value in (1.0, bojax.Outcome(1.0, constraints=[0.0])):
        with pytest.raises(
            TypeError, match="constraints: expected 2 numbers, one for each constraint"
        ):
            study.tell(trial, value)
        assert trial.state == "running"
    study.tell(trial, bojax.Outcome(1.0, constraints=[0.0, -1.0]))
    assert trial.feasible


@pytest.mark.parametrize("value", [FAILED, [1.0, math.nan], [math.inf, 0.0]])
def test_what_is_not_finite_failed_altogether(two, value):
    two.tell(two.ask(), value)
    trial = two.trials[0]
    assert trial.state == "failed"
    assert np.isnan(trial.value).tolist() == [True, True]
    assert "value was" in trial.error
    assert two.front == []
    two.tell(two.ask(), [1.0, 1.0])
    assert numbers(two.front) == [1]


def test_a_constraint_that_is_not_finite_is_a_failure(space, strategy):
    study = Study(space, strategy, num_constraints=1)
    study.tell(study.ask(), bojax.Outcome(1.0, constraints=[math.nan]))
    assert study.trials[0].state == "failed"
    assert study.trials[0].error == "the constraints were nan"


def test_a_pickled_study_goes_on_where_it_was(space, strategy):
    def play(study, count):
        for _ in range(count):
            trial = study.ask()
            a = trial.config["a"]
            study.tell(trial, bojax.Outcome([a**2, (a - 1) ** 2], constraints=[-a]))

    make = {"direction": ["minimize"] * 2, "num_constraints": 1, "key": 3}
    whole, half = Study(space, strategy, **make), Study(space, strategy, **make)
    play(whole, 8)
    play(half, 4)
    half = pickle.loads(pickle.dumps(half))
    play(half, 4)
    assert [t.value for t in half.trials] == [t.value for t in whole.trials]
    assert numbers(half.front) == numbers(whole.front)
    assert half.front


def test_minimize_returns_the_front(space, strategy):
    def fun(config):
        return [config["a"] ** 2, (config["a"] - 0.5) ** 2]

    result = bojax.minimize(
        fun, space, 12, strategy=strategy, num_objectives=2, progress=False
    )
    assert result.success
    assert result.x is None
    assert math.isnan(result.fun)
    assert result.func_vals.shape == (12, 2)
    inside = [t.number for t in result.trials if 0 <= t.config["a"] <= 0.5]
    assert set(inside) <= set(numbers(result.pareto))
    assert f"pareto: {len(result.pareto)} trials" in repr(result)
    again = pickle.loads(pickle.dumps(result.pareto[0].value))
    assert again == result.pareto[0].value


def test_a_front_of_one_trial_prints_as_a_front(space, strategy):
    result = bojax.minimize(
        lambda config: [1.0, 2.0],
        space,
        1,
        strategy=strategy,
        num_objectives=2,
        progress=False,
    )
    assert "pareto: 1 trial\n" in repr(result)
    assert "fun" not in repr(result)


def test_maximize_is_minimize_of_the_negatives(space, strategy):
    options = {"strategy": strategy, "num_objectives": 2, "progress": False}
    highest = bojax.maximize(lambda c: [c["a"], -c["a"]], space, 5, **options)
    lowest = bojax.minimize(lambda c: [-c["a"], c["a"]], space, 5, **options)
    assert highest.x_iters == lowest.x_iters
    assert numbers(highest.pareto) == numbers(lowest.pareto) == list(range(5))


def test_objectives_of_differing_length_end_the_run_with_every_trial_kept(
    space, strategy
):
    def fun(config, trial):
        return [1.0] if trial.number == 2 else [1.0, 2.0]

    with pytest.raises(
        TypeError, match="expected 2 numbers, one for each obj"
    ) as caught:
        bojax.minimize(
            fun, space, 4, strategy=strategy, num_objectives=2, progress=False
        )
    states = [trial.state for trial in caught.value.result.trials]
    assert states == ["done", "done", "failed"]


@pytest.mark.parametrize("count", [0, -1, True])
def test_a_wrong_number_of_objectives_is_named(space, strategy, count):
    with pytest.raises(ValueError, match="num_objectives: expected a number >= 1"):
        bojax.minimize(
            len, space, 4, strategy=strategy, num_objectives=count, progress=False
        )


def test_a_wrong_number_of_constraints_is_named(space, strategy):
    with pytest.raises(ValueError, match="num_constraints: expected a number >= 0"):
        Study(space, strategy, num_constraints=-1)


def test_stopping_rules_are_for_one_objective(space, strategy):
    class Never:
        def decide(self, curve, best, finished=None):
            return bojax.Decision()

    with pytest.raises(ValueError, match="stopping: expected None for several obj"):
        Study(space, strategy, direction=["minimize"] * 2, stopping=Never())


LINE = bojax.Space({"a": bojax.Float(0.0, 1.0)})


@pytest.mark.long
@pytest.mark.parametrize("reference", [None, [-9.0, -9.0]])
def test_the_model_finds_the_ends_of_a_front(reference):
    """With a reference of its own, and with one that nothing can reach."""
    strategy = BayesOpt(LINE, num_initial=3, reference=reference)
    result = bojax.minimize(
        lambda c: [(c["a"] - 0.2) ** 2, (c["a"] - 0.6) ** 2],
        LINE,
        10,
        strategy=strategy,
        num_objectives=2,
        progress=False,
    )
    assert len(result.trials) == 10
    if reference is None:
        chosen = [trial.config["a"] for trial in result.trials[3:]]
        assert sum(0.15 < a < 0.65 for a in chosen) >= 6
    # Nothing is gained below a reference that nothing reaches, and nothing breaks.
    assert np.all(np.isfinite(result.func_vals))
    assert len({trial.config["a"] for trial in result.trials}) == 10


def test_a_reference_of_the_wrong_length_is_named():
    strategy = BayesOpt(LINE, reference=[1.0])
    with pytest.raises(ValueError, match="reference: expected 2 numbers, one for each"):
        Study(LINE, strategy, direction=["minimize"] * 2)
    with pytest.raises(ValueError, match="reference: expected finite numbers"):
        BayesOpt(LINE, reference=[1.0, math.nan])
