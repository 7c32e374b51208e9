"""Recommendations: the least measured where exact, the least expected under noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.data import Outcome
from bojax.strategies import BayesOpt, Random

SPACE = bojax.Space({"a": bojax.Float(0, 1)})
KEY = jax.random.key(0)
X = jnp.linspace(0, 1, 11)[:, None]
LUCKY = 9


def state_of(strategy, y, **kind):
    state = strategy.init(KEY, 16, num_constraints=kind.pop("num_constraints", 0))
    return strategy.observe(state, X[: len(y)], Outcome(jnp.asarray(y), **kind))


@pytest.fixture(scope="module")
def bayes():
    return BayesOpt(SPACE)


def valley(lucky):
    """A valley around 0.3, and one value far from it that is lower than all."""
    y = 4 * (X[:, 0] - 0.3) ** 2
    return y.at[LUCKY].set(-0.05) if lucky else y


def test_the_luckiest_value_is_not_recommended_under_noise(bayes):
    state = state_of(bayes, valley(True), variance=0.3)
    found = bayes.recommend(state)
    assert bool(found.noisy)
    assert abs(float(found.x[0]) - 0.3) < 0.15
    assert int(bayes.recommend(state, noisy=False).row) == LUCKY


def test_without_evidence_of_noise_it_is_the_least_value_measured(bayes):
    found = bayes.recommend(state_of(bayes, valley(True)))
    assert not bool(found.noisy)
    assert int(found.row) == LUCKY


def test_declared_noise_on_exact_values_loses_nothing(bayes):
    found = bayes.recommend(state_of(bayes, valley(False)), noisy=True)
    assert int(found.row) == 3


def test_without_a_model_repeats_are_averaged():
    strategy = Random(SPACE)
    state = strategy.init(KEY, 8)
    x = jnp.array([[0.1], [0.1], [0.9]])
    state = strategy.observe(state, x, jnp.array([-1.0, 3.0, 0.5]))
    found = strategy.recommend(state)
    assert bool(found.noisy)
    assert float(found.x[0]) == pytest.approx(0.9)


def test_failures_are_never_recommended_and_nothing_is_found_among_them_alone():
    strategy = Random(SPACE)
    found = strategy.recommend(state_of(strategy, [np.nan, 2.0, 1.0, np.nan]))
    assert int(found.row) == 2
    assert not bool(strategy.recommend(state_of(strategy, [np.nan])).found)
    assert not bool(strategy.recommend(strategy.init(KEY)).found)


def test_what_is_infeasible_is_recommended_only_if_everything_is():
    strategy = Random(SPACE)

    def row(constraints):
        g = jnp.asarray(constraints)[:, None]
        state = state_of(strategy, [1.0, 2.0, 3.0], constraints=g, num_constraints=1)
        return int(strategy.recommend(state).row)

    assert row([0.5, -0.5, -1.0]) == 1
    assert row([0.5, 0.2, 0.9]) == 1
    assert row([np.nan, 0.2, 0.9]) == 1


def test_several_objectives_have_no_best_point():
    strategy = Random(SPACE)
    with pytest.raises(ValueError, match="num_objectives: expected 1"):
        strategy.recommend(strategy.init(KEY, num_objectives=2))


def test_a_study_returns_what_is_recommended():
    study = bojax.Study(SPACE, Random(SPACE), noisy=True, direction="maximize")
    for a, value in ((0.1, 5.0), (0.1, -5.0), (0.9, 1.0)):
        study.observe({"a": a}, value)
    assert study.best.config == {"a": 0.9}
    study.observe({"a": 0.9}, -9.0)
    assert study.best.config == {"a": 0.1}
    exact = bojax.Study(SPACE, Random(SPACE), noisy=False)
    for a, value in ((0.1, 5.0), (0.1, -5.0), (0.9, 1.0)):
        exact.observe({"a": a}, value)
    assert exact.best.value == -5.0
    with pytest.raises(TypeError, match="noisy: expected a bool"):
        bojax.Study(SPACE, Random(SPACE), noisy="yes")
