"""Parzen estimators are densities on the tree of a space."""

import equinox as eqx
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


estimator = eqx.filter_jit(Parzen.of)


@eqx.filter_jit
def log_densities(density, x):
    return jax.vmap(density.log_density)(x)


def estimate(space, n, weight=None, seed=0):
    x = space.sample(jax.random.key(seed), n)
    return estimator(space, x, jnp.ones(n, x.dtype) if weight is None else weight)


def relative(density, x):
    return np.exp(np.asarray(log_densities(density, x), float))


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


@pytest.mark.parametrize(
    ("joint", "widths"),
    # At least 1 / (1 + 4 kernels) wide, which is more than 0.2 / 3^(1 / 5).
    [(False, (0.3, 0.3, 0.2)), (True, (0.2, 0.2, 0.2))],
)
def test_a_kernel_is_a_truncated_normal(joint, widths):
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    x = jnp.array([[0.2], [0.5], [0.6]])
    density = estimator(space, x, jnp.ones(3), joint)
    grid = np.linspace(0, 1, 7)
    expected = np.ones(7)
    for center, gap in zip((0.2, 0.5, 0.6), widths, strict=True):
        normal = stats.truncnorm(-center / gap, (1 - center) / gap, center, gap)
        expected += normal.pdf(grid)
    np.testing.assert_allclose(
        relative(density, jnp.asarray(grid)[:, None]), expected / 4, rtol=1e-9
    )


def test_joint_densities_of_more_columns_have_wider_kernels():
    names = [f"x{i}" for i in range(6)]
    x = jnp.linspace(0, 1, 40)[:, None]
    widths = []
    for count in (1, 6):
        space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in names[:count]})
        density = estimator(space, jnp.tile(x, (1, count)), jnp.ones(40))
        widths.append(float(density.width[0, 0]))
    np.testing.assert_allclose(widths, [0.2 / 40**0.2, 0.2 / 40**0.1], rtol=1e-6)


def test_what_is_known_stays_and_the_rest_follows_what_is_conditional_on_it():
    density = estimate(FINITE, 6)
    known = FINITE.depth == 0
    points = [{"kind": "q", "depth": 3, "units": units} for units in range(1, 8)]
    points = jnp.asarray(np.stack([FINITE.encode(point) for point in points]))
    scale = FINITE.columns[2].parameter.scale
    base = np.diff([scale.edge(level) for level in range(8)])
    chance = base * relative(density, points)
    marginal = np.exp(float(density.log_density(points[0], known)))
    np.testing.assert_allclose(chance.sum(), marginal, rtol=1e-9)

    keys = jax.random.split(jax.random.key(2), 20_000)
    draw = jax.jit(jax.vmap(lambda key: density.sample(key, points[0], known)))
    x = np.asarray(draw(keys))
    assert np.all(x[:, known] == np.asarray(points[0])[known])
    which = np.argmin(np.abs(x[:, 2:] - np.asarray(points)[:, 2]), axis=1)
    observed = np.bincount(which, minlength=7)
    expected = chance / chance.sum() * len(keys)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_trials_of_another_branch_say_nothing_of_a_column():
    x = np.stack(
        [
            TREE.encode({"kind": "p", "depth": 2, "rate": 0.01}),
            TREE.encode({"kind": "r", "depth": 2}),
            TREE.encode({"kind": "r", "depth": 4}),
        ]
    )
    weight = jnp.array([0.0, 1.0, 1.0])
    density = estimator(TREE, jnp.asarray(x), weight)
    at = [
        TREE.encode({"kind": "p", "depth": 2, "rate": rate}) for rate in (1e-4, 0.01, 1)
    ]
    values = relative(density, jnp.asarray(np.stack(at)))
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_padding_changes_nothing():
    x = TREE.sample(jax.random.key(0), 6)
    short = estimator(TREE, x, jnp.ones(6))
    padded = jnp.concatenate([x, TREE.sample(jax.random.key(1), 5)])
    long = estimator(TREE, padded, jnp.where(jnp.arange(11) < 6, 1.0, 0.0))
    at = TREE.sample(jax.random.key(2), 20)
    np.testing.assert_allclose(relative(long, at), relative(short, at), rtol=1e-12)
    for method in ("sample", "sample_marginals"):
        key = jax.random.key(4)
        np.testing.assert_allclose(
            *(eqx.filter_jit(getattr(each, method))(key) for each in (long, short)),
            atol=1e-12,
        )


def test_marginals_are_the_density_where_there_is_one_column():
    space = bojax.Space({"a": bojax.Int(1, 9)})
    density = estimate(space, 5)
    x = jnp.asarray(space.enumerate(9))
    marginals = jax.jit(jax.vmap(density.log_marginals))(x)
    np.testing.assert_allclose(marginals[:, 0], log_densities(density, x))


def test_without_trials_it_is_uniform():
    density = estimate(TREE, 4, weight=jnp.zeros(4))
    np.testing.assert_allclose(
        relative(density, TREE.sample(jax.random.key(2), 9)), 1, rtol=1e-12
    )
