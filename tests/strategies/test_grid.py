"""Grid search visits every point of its grid once, in random order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import Grid

SPACE = bojax.Space(
    {
        "a": bojax.Float(0.0, 1.0),
        "depth": bojax.Int(1, 9),
        "kind": bojax.Categorical(*"pqrs"),
        "only_q": bojax.Float(1e-4, 1.0, log=True, when={"kind": "q"}),
    }
)


def asked(strategy, q, seed=0):
    points, _ = strategy.ask(strategy.init(jax.random.key(seed), capacity=1), q)
    return np.asarray(points.x)


def rows(x):
    return {tuple(row) for row in np.round(np.asarray(x, float), 5).tolist()}


def test_the_grid_has_the_ends_every_category_and_each_point_once():
    points = Grid(SPACE, resolution=3).points
    # a, depth: 3 each; kind: p, r, s without and q with three values of only_q.
    assert len(points) == len(rows(points)) == 3 * 3 * (3 + 3)
    decoded = [SPACE.decode(point) for point in points]
    assert {config["a"] for config in decoded} == {0.0, 0.5, 1.0}
    assert {config["depth"] for config in decoded} == {1, 5, 9}
    assert {config["kind"] for config in decoded} == set("pqrs")
    rates = sorted({config["only_q"] for config in decoded if "only_q" in config})
    np.testing.assert_allclose(rates, [1e-4, 1e-2, 1.0], rtol=1e-6)


def test_visits_every_point_once_and_begins_again():
    strategy = Grid(SPACE, resolution=3)
    count = len(strategy.points)
    x = asked(strategy, count + 5)
    assert rows(x[:count]) == rows(strategy.points)
    assert len(rows(x[count:])) == 5
    assert rows(x[count:]) < rows(strategy.points)


def test_the_order_is_random_and_belongs_to_the_key():
    strategy = Grid(SPACE, resolution=3)
    first, again, other = (asked(strategy, 20, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    # A fifth of a grid in its own order would hold one value of its first column.
    assert len(np.unique(first[:, 0])) == 3


def at_most_one(values):
    return values["a"] + values["b"] - 1.0


def test_infeasible_points_are_left_out():
    space = bojax.Space(
        {"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)},
        constraints=[at_most_one],
    )
    strategy = Grid(space, resolution=5)
    points = strategy.points
    assert len(points) == 15
    assert np.all(points.sum(axis=1) <= 1)
    assert rows(asked(strategy, 15)) == rows(points)


def test_choices_have_no_order_and_all_belong_to_the_grid():
    space = bojax.Space(
        {"kind": bojax.Categorical(*range(9)), "a": bojax.Float(0.0, 1.0)}
    )
    assert len(Grid(space, resolution=2).points) == 18


def test_many_levels_are_spread_evenly_ends_included():
    points = Grid(bojax.Space({"a": bojax.Int(0, 2**22)}), resolution=5).points
    values = [bojax.Space({"a": bojax.Int(0, 2**22)}).decode(p)["a"] for p in points]
    assert values == [0, 2**20, 2**21, 3 * 2**20, 2**22]


def test_a_grid_can_be_asked_for_under_a_trace():
    strategy = Grid(bojax.Space({"a": bojax.Float(0.0, 1.0)}), resolution=4)

    @jax.jit
    def run(key):
        state = strategy.init(key, capacity=4)
        points, _ = strategy.ask(state, 4)
        return points.x

    x = run(jax.random.key(0))
    np.testing.assert_allclose(jnp.sort(x[:, 0]), np.linspace(0, 1, 4), atol=1e-6)


def test_a_resolution_that_is_too_small_or_too_large_is_an_error():
    with pytest.raises(ValueError, match="resolution: expected at least 2, got 1"):
        Grid(SPACE, resolution=1)
    wide = bojax.Space({f"x{j}": bojax.Float(0.0, 1.0) for j in range(9)})
    with pytest.raises(ValueError, match=r"at most 1000000 points, got 1953125 with"):
        Grid(wide, resolution=5)
    thin = bojax.Space({"a": bojax.Float(0.0, 1.0)}, constraints=[near_a_third])
    with pytest.raises(ValueError, match="resolution: expected a grid with a feasible"):
        Grid(thin, resolution=5)
    assert len(Grid(thin, resolution=4).points) == 1


def near_a_third(values):
    return jnp.abs(values["a"] - 1 / 3) - 0.02
