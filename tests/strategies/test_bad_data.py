"""Data that no model likes: BayesOpt asks on, soundly, or says what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import BayesOpt

SPACE = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)})
FINITE = bojax.Space({"a": bojax.Int(1, 3), "kind": bojax.Categorical("p", "q")})
CAPACITY = 128
SPREAD = np.random.default_rng(0).random((100, 2))
PLANE = SPREAD.sum(axis=1)

BAD = {
    "constant": (SPREAD, np.full(100, 3.0)),
    "huge": (SPREAD, 1e300 * (PLANE - 1)),
    "huge beside small": (SPREAD, np.where(np.arange(100) == 7, 1e300, PLANE)),
    "tiny": (SPREAD, 1e-300 * PLANE),
    "far from zero": (SPREAD, 1e12 + PLANE),
    "100 identical points": (np.full((100, 2), 0.3), np.full(100, 1.0)),
    "100 identical points, noisy": (np.full((100, 2), 0.3), PLANE),
    "points that nearly coincide": (0.3 + 1e-9 * SPREAD, PLANE),
    "all failed but two": (SPREAD, np.where(np.arange(100) < 2, PLANE, np.nan)),
    "all failed": (SPREAD, np.full(100, np.nan)),
    "infinite": (SPREAD, np.where(np.arange(100) == 7, np.inf, PLANE)),
}


@pytest.fixture(scope="module")
def strategy():
    return BayesOpt(SPACE)


@pytest.mark.parametrize("name", BAD)
def test_the_next_points_are_sound_whatever_the_data(strategy, name):
    x, y = BAD[name]
    with jax.enable_x64(True):
        state = strategy.init(jax.random.key(0), CAPACITY)
        state = strategy.observe(state, jnp.asarray(x), jnp.asarray(y))
        points, state = strategy.ask(state, 2)
    asked = np.asarray(points.x)
    assert np.all((asked >= 0) & (asked <= 1))
    assert len(np.unique(asked, axis=0)) == 2
    assert not bool(state.overflow)


@pytest.mark.parametrize("name", ["constant", "huge", "100 identical points"])
def test_a_study_goes_on_and_its_best_is_one_that_was_measured(name):
    x, y = BAD[name]
    study = bojax.Study(SPACE, BayesOpt(SPACE, num_initial=2))
    for point, value in zip(x[:10], y[:10], strict=True):
        study.observe(dict(zip("ab", point.tolist(), strict=True)), float(value))
    trial = study.ask()
    study.tell(trial, float(y[11]))
    assert study.best.value == np.min([*y[:10], y[11]])


def test_a_batch_larger_than_the_space_begins_again_once_all_were_asked():
    strategy = BayesOpt(FINITE, num_initial=2)
    state = strategy.init(jax.random.key(0), 16)
    state = strategy.observe(
        state, jnp.asarray(FINITE.enumerate(6)[:2]), jnp.array([1.0, 2.0])
    )
    points, state = strategy.ask(state, 7)
    asked = np.asarray(points.x)
    # The four that were left come first, each once.
    seen = np.unique(np.concatenate([asked[:4], FINITE.enumerate(6)[:2]]), axis=0)
    assert len(seen) == 6
    for x in asked:
        np.testing.assert_allclose(FINITE.project(x), x)
