"""Parzen estimators are densities on the tree of a space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.strategies.parzen import Parzen

NUMBERS = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(1e-3, 1.0)})
TREE = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "depth": bojax.Int(1, 5),
        "units": bojax.Int(1, 100, log=True, when={"kind": "q"}),
        "rate": bojax.Float(1e-4, 1.0, log=True, when={"kind": ("p", "q")}),
    }
)
FINITE = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "depth": bojax.Int(1, 4),
        "units": bojax.Int(1, 7, log=True, when={"kind": "q"}),
    }
)


def estimate(space, n, weight=None, seed=0):
    x = space.sample(jax.random.key(seed), n)
    return Parzen.of(space, x, jnp.ones(n, x.dtype) if weight is None else weight)


def relative(density, x):
    return np.exp(np.asarray(jax.vmap(density.log_density)(x), float))


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("space", [NUMBERS, TREE], ids=["numbers", "tree"])
def test_it_is_normalized_relative_to_the_uniform_density(space):
    density = estimate(space, 9)
    draws = 40_000
    ratio = relative(density, space.sample(jax.random.key(3), draws))
    error = ratio.std() / np.sqrt(draws)
    assert abs(ratio.mean() - 1) < 4 * error
    assert error < 0.02


def test_on_a_finite_space_it_sums_to_one_and_draws_follow_it():
    density = estimate(FINITE, 6)
    points = jnp.asarray(FINITE.enumerate(100))
    # What uniform draws do: each category a third, each level its width of the column.
    width = np.diff([FINITE.columns[2].parameter.scale.edge(i) for i in range(8)])
    base = []
    for x in np.asarray(points):
        config = FINITE.decode(x)
        own = width[config["units"] - 1] if "units" in config else 1
        base.append(own / 3 / 4)
    chance = np.array(base) * relative(density, points)
    np.testing.assert_allclose(chance.sum(), 1, rtol=1e-10)
    keys = jax.random.split(jax.random.key(1), 20_000)
    x = jax.jit(jax.vmap(density.sample))(keys)
    which = jnp.argmin(jnp.sum((x[:, None] - points) ** 2, axis=2), axis=1)
    observed = np.bincount(np.asarray(which), minlength=len(points))
    assert stats.chisquare(observed, chance * len(keys)).pvalue > 1e-3


def test_a_kernel_is_a_truncated_normal_as_wide_as_its_larger_gap():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    x = jnp.array([[0.2], [0.5], [0.6]])
    density = Parzen.of(space, x, jnp.ones(3))
    grid = np.linspace(0, 1, 7)
    expected = np.ones(7)
    for center, gap in ((0.2, 0.3), (0.5, 0.3), (0.6, 0.2)):
        # At least 1 / (1 + 4 kernels) wide.
        normal = stats.truncnorm(-center / gap, (1 - center) / gap, center, gap)
        expected += normal.pdf(grid)
    np.testing.assert_allclose(
        relative(density, jnp.asarray(grid)[:, None]), expected / 4, rtol=1e-9
    )


def test_trials_of_another_branch_say_nothing_of_a_column():
    x = np.stack(
        [
            TREE.encode({"kind": "p", "depth": 2, "rate": 0.01}),
            TREE.encode({"kind": "r", "depth": 2}),
            TREE.encode({"kind": "r", "depth": 4}),
        ]
    )
    weight = jnp.array([0.0, 1.0, 1.0])
    density = Parzen.of(TREE, jnp.asarray(x), weight)
    at = [
        TREE.encode({"kind": "p", "depth": 2, "rate": rate}) for rate in (1e-4, 0.01, 1)
    ]
    values = relative(density, jnp.asarray(np.stack(at)))
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_padding_changes_nothing():
    x = TREE.sample(jax.random.key(0), 6)
    short = Parzen.of(TREE, x, jnp.ones(6))
    padded = jnp.concatenate([x, TREE.sample(jax.random.key(1), 5)])
    long = Parzen.of(TREE, padded, jnp.where(jnp.arange(11) < 6, 1.0, 0.0))
    at = TREE.sample(jax.random.key(2), 20)
    np.testing.assert_allclose(relative(long, at), relative(short, at), rtol=1e-12)
    for method in ("sample", "sample_marginals"):
        key = jax.random.key(4)
        np.testing.assert_allclose(
            getattr(long, method)(key), getattr(short, method)(key), atol=1e-12
        )


def test_marginals_are_the_density_where_there_is_one_column():
    space = bojax.Space({"a": bojax.Int(1, 9)})
    density = estimate(space, 5)
    for x in space.enumerate(9):
        x = jnp.asarray(x)
        np.testing.assert_allclose(density.log_marginals(x)[0], density.log_density(x))


def test_without_trials_it_is_uniform():
    density = estimate(TREE, 4, weight=jnp.zeros(4))
    np.testing.assert_allclose(
        relative(density, TREE.sample(jax.random.key(2), 9)), 1, rtol=1e-12
    )
