"""Sobol search fills the space evenly, also where it cannot follow its sequence."""

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax._sobol import sobol
from bojax.strategies import Sobol

PLANE = {"a": bojax.Float(0.0, 1.0), "b": bojax.Float(1e-3, 1.0, log=True)}
NUMBERS = bojax.Space(PLANE)


def asked(space, q, seed=0):
    strategy = Sobol(space)
    points, _ = strategy.ask(strategy.init(jax.random.key(seed), capacity=1), q)
    return np.asarray(points.x)


def test_every_stratum_has_one_point():
    x = asked(NUMBERS, 64)
    for column in x.T:
        assert sorted(np.floor(64 * column).astype(int)) == list(range(64))
    # Squares of an eighth, too: that is what the first two dimensions promise.
    cells = np.floor(8 * x).astype(int)
    assert len(np.unique(8 * cells[:, 0] + cells[:, 1])) == 64


def test_point_i_is_point_i_of_the_sequence_asked_for_together_or_alone():
    strategy = Sobol(NUMBERS)
    key = jax.random.key(3)
    state = strategy.init(key, capacity=8)
    expected = sobol(key, jnp.arange(4), 2)
    together, _ = strategy.ask(state, 4)
    np.testing.assert_allclose(together.x, expected, atol=1e-6)
    for i in range(4):
        points, state = strategy.ask(state)
        np.testing.assert_allclose(points.x[0], expected[i], atol=1e-6)


def test_levels_and_categories_come_equally_often():
    space = bojax.Space(
        {
            "kind": bojax.Categorical("p", "q", "r", "s"),
            "depth": bojax.Int(1, 8),
            "rate": bojax.Float(0.0, 1.0, when={"kind": ("p", "q")}),
        }
    )
    x = asked(space, 64)
    assert np.bincount(np.floor(4 * x[:, 0]).astype(int)).tolist() == [16] * 4
    assert np.bincount(np.floor(8 * x[:, 1]).astype(int)).tolist() == [8] * 8
    lacking = x[:, 0] > 0.5
    assert np.all(x[lacking, 2] == 0.5)
    strata = np.floor(32 * x[~lacking, 2]).astype(int)
    assert len(np.unique(strata)) > 20


def band(values):
    return jnp.abs(values["a"] - 0.5) - 0.1


def test_infeasible_points_are_replaced_and_feasible_ones_stay():
    space = bojax.Space(PLANE, constraints=[band])
    x = asked(space, 32)
    assert np.all(np.abs(x[:, 0] - 0.5) <= 0.1 + 1e-6)
    assert len(np.unique(x, axis=0)) == 32
    free = asked(NUMBERS, 32)
    inside = np.abs(free[:, 0] - 0.5) < 0.1 - 1e-6
    assert 3 < inside.sum() < 10
    np.testing.assert_allclose(x[inside], free[inside], atol=1e-6)


def test_tried_points_of_a_large_finite_space_are_replaced():
    space = bojax.Space({"a": bojax.Int(1, 70), "b": bojax.Int(1, 70)})
    assert space.enumerate(4096) is None
    assert len(np.unique(asked(space, 300), axis=0)) == 300
