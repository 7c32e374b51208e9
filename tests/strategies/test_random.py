"""Random search is uniform."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

import bojax
from bojax.strategies import Random


def asked(space, q, seed=0):
    strategy = Random(space)
    points, _ = strategy.ask(strategy.init(jax.random.key(seed), capacity=1), q)
    return np.asarray(points.x)


def uniform(cells, count):
    """Chi-square of equally likely cells, of which all are counted."""
    observed = np.bincount(cells, minlength=count)
    assert len(observed) == count
    return stats.chisquare(observed).pvalue


def test_numbers_are_uniform_and_independent_of_each_other():
    x = asked(
        bojax.Space(
            {"a": bojax.Float(0.0, 1.0), "b": bojax.Float(1e-4, 1.0, log=True)}
        ),
        4000,
    )
    cells = np.floor(8 * x).astype(int)
    assert uniform(8 * cells[:, 0] + cells[:, 1], 64) > 1e-3
    # One after another, too.
    assert uniform(8 * cells[:-1, 0] + cells[1:, 0], 64) > 1e-3


def test_choices_and_conditions_are_uniform():
    space = bojax.Space(
        {
            "kind": bojax.Categorical("p", "q", "r"),
            "a": bojax.Float(0.0, 1.0, when={"kind": "q"}),
            "depth": bojax.Int(1, 5),
        }
    )
    x = asked(space, 3000)
    kind = np.floor(3 * x[:, 0]).astype(int)
    assert uniform(kind, 3) > 1e-3
    assert uniform(np.floor(5 * x[:, 2]).astype(int), 5) > 1e-3
    assert np.all(x[kind != 1, 1] == 0.5)
    assert stats.kstest(x[kind == 1, 1], "uniform").pvalue > 1e-3


def below_the_diagonal(values):
    return values["b"] - values["a"]


def test_the_feasible_part_is_uniform():
    space = bojax.Space(
        {"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)},
        constraints=[below_the_diagonal],
    )
    x = asked(space, 1500)
    assert np.all(x[:, 1] <= x[:, 0])
    # Under the diagonal a has the distribution a^2, and b / a is uniform.
    assert stats.kstest(x[:, 0] ** 2, "uniform").pvalue > 1e-3
    assert stats.kstest(x[:, 1] / x[:, 0], "uniform").pvalue > 1e-3


def test_a_large_finite_space_is_not_listed_but_seldom_repeats():
    space = bojax.Space({"a": bojax.Int(1, 100), "b": bojax.Int(1, 100)})
    assert space.enumerate(4096) is None
    strategy = Random(space)
    points, _ = strategy.ask(strategy.init(jax.random.key(0), capacity=1), 400)
    # Without a second try, 400 of 10,000 would hold about eight repeats.
    assert len(np.unique(np.asarray(points.x), axis=0)) == 400


def test_a_draw_depends_on_its_number_alone():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    strategy = Random(space)
    state = strategy.init(jax.random.key(7), capacity=8)
    together, _ = strategy.ask(state, 3)
    alone = []
    for _ in range(3):
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, jnp.ones(1))
        alone.append(points.x)
    np.testing.assert_array_equal(together.x, jnp.concatenate(alone))
