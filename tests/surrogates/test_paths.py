"""Random features against their kernels, and functions against their posterior."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.data import Dataset
from bojax.nas import Cell, PathKernel
from bojax.surrogates import GP, kernels
from bojax.surrogates.features import features
from tests.contracts.test_kernels import KERNELS, points

TREE = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "depth": bojax.Int(1, 4),
        "act": bojax.Categorical("s", "t", "u", when={"kind": ("p", "q")}),
        "rate": bojax.Float(0.0, 1.0, when={"kind": ("q",)}),
    }
)


def tree():
    kernel = kernels.Mixed.of(TREE)
    return dataclasses.replace(kernel, log_absence=jnp.array([-0.4, 0.8]))


def tree_points(kernel):
    return TREE.sample(jax.random.key(3), 9)


CASES = {name: (make, points) for name, make in KERNELS.items()}
CASES["Mixed, a tree"] = tree, tree_points
# Sums inside of products need halves that are independent.
CASES["Product of sums"] = (
    lambda: kernels.Product(KERNELS["Sum"](), KERNELS["Sum"]()),
    points,
)


@eqx.filter_jit
def products(kernel, x, key, count):
    """Mean over features of the products at all pairs, and its standard error."""

    def wave(x):
        amplitude, phase = features(kernel, key, count)(x)
        amplitude, phase = jnp.broadcast_arrays(amplitude, phase)
        return amplitude * jnp.stack([jnp.cos(phase), jnp.sin(phase)])

    waves = jax.vmap(wave)(x)
    each = jnp.einsum("ipl,jpl->ijl", waves, waves)
    return jnp.mean(each, -1), jnp.std(each, -1) / jnp.sqrt(count)


@pytest.mark.parametrize("name", CASES)
def test_products_of_features_average_to_the_kernel(name):
    make, of = CASES[name]
    kernel = make()
    x = of(kernel)
    mean, error = products(kernel, x, jax.random.key(0), 20_000)
    deviation = np.abs(mean - kernels.gram(kernel, x, x))
    # Five standard errors, for hundreds of entries; single precision for no error.
    assert np.all(deviation <= 5 * error + 1e-3)


def test_a_kernel_without_features_is_named():
    cell = Cell(nodes=3)
    gp = GP(cell.space, kernel=PathKernel.of(cell))
    posterior = gp.condition(Dataset.of(jnp.full((1, 3), 0.5), jnp.zeros(1)))
    with pytest.raises(TypeError, match=r"kernel: .*Mixed.*got PathKernel"):
        posterior.sample(jax.random.key(0), 1)


def test_counts_are_positive_integers_of_any_kind():
    gp = GP(bojax.Space({"a": bojax.Float(0.0, 1.0)}))
    posterior = gp.condition(Dataset.of(jnp.full((1, 1), 0.5), jnp.zeros(1)))
    with pytest.raises(ValueError, match="s: expected at least 1, got 0"):
        posterior.sample(jax.random.key(0), 0)
    with pytest.raises(ValueError, match="num_features: expected at least 1, got -1"):
        posterior.sample(jax.random.key(0), 1, num_features=-1)
    assert len(posterior.sample(jax.random.key(0), np.int64(3), np.int64(16))) == 3


def conditioned(gp, space, pending=0, noise=1e-2, seed=0):
    """A posterior with known variances, and rows that are only believed."""
    rng = np.random.default_rng(seed)
    n = 8
    x = space.sample(jax.random.key(seed), n)
    y = jnp.asarray(3 + 2 * rng.normal(size=n))
    data = Dataset.of(x, y, jnp.asarray(rng.uniform(0, 0.5, size=n)), capacity=10)
    waiting = (jnp.arange(10) < pending) & data.mask
    data = dataclasses.replace(data, mask=data.mask & ~waiting)
    gp = eqx.tree_at(lambda gp: gp.parameters.log_noise, gp, jnp.log(noise))
    return eqx.filter_jit(gp.condition)(data, waiting)


@eqx.filter_jit
def moments(posterior, x, key):
    """Sample means and covariances of draws under many sets of features."""

    def one(key):
        values = jax.vmap(posterior.sample(key, 64, 64))(x)
        residual = values - posterior(x).mean[:, None]
        return jnp.mean(residual, 1), residual @ residual.T / 64

    mean, covariance = jax.vmap(one)(jax.random.split(key, 128))
    error = lambda z: jnp.std(z, axis=0) / jnp.sqrt(128)
    exact = posterior(x).covariance
    return (
        (jnp.mean(mean, 0), error(mean)),
        (jnp.mean(covariance, 0) - exact, error(covariance)),
    )


GPS = {
    "tree": lambda: (GP(TREE), TREE),
    "warped": lambda: (
        GP(
            (
                space := bojax.Space(
                    {"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)}
                )
            ),
            mean="linear",
            warping=True,
        ),
        space,
    ),
}


@pytest.mark.parametrize("pending", [0, 3])
@pytest.mark.parametrize("name", GPS)
def test_draws_have_the_moments_of_the_posterior(name, pending):
    gp, space = GPS[name]()
    if name == "warped":
        warp = lambda gp: gp.parameters.warping.log_warp_a
        gp = eqx.tree_at(warp, gp, jnp.array([0.5, -0.5]))
    posterior = conditioned(gp, space, pending)
    assert int(posterior.believed.sum()) == pending
    x = space.sample(jax.random.key(5), 7)
    mean, covariance = moments(posterior, x, jax.random.key(1))
    assert np.all(np.abs(mean[0]) <= 5 * mean[1])
    # Unbiased for any number of features: it is linear in the features' kernel.
    assert np.all(np.abs(covariance[0]) <= 5 * covariance[1])


def test_without_what_is_believed_draws_vary_more():
    posterior = conditioned(*GPS["tree"](), pending=3)
    at = posterior.data.x[6]  # the believed rows are the last
    spread = lambda posterior: np.std(
        eqx.filter_jit(posterior.sample)(jax.random.key(0), 512)(at)
    )
    assert spread(posterior.observed) > 1.2 * spread(posterior)


def test_without_noise_they_pass_through_the_data():
    with jax.enable_x64(True):
        space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
        x = jnp.linspace(0, 1, 6)[:, None]
        gp = eqx.tree_at(lambda gp: gp.parameters.log_noise, GP(space), jnp.log(1e-8))
        posterior = gp.condition(Dataset.of(x, jnp.sin(6 * x[:, 0])))
        values = jax.vmap(posterior.sample(jax.random.key(0), 50))(x)
        # Posterior deviations at the data are under that of the noise.
        deviation = 1e-4 * posterior.scale
        assert np.all(np.abs(values - posterior.data.y[:, None]) < 6 * deviation)


def test_some_of_the_functions_and_their_slopes(x64):
    posterior = conditioned(*GPS["warped"]())
    paths = eqx.filter_jit(posterior.sample)(jax.random.key(0), 3, 32)
    assert len(paths) == 3
    x = jnp.array([0.3, 0.6])
    np.testing.assert_allclose(paths[1:](x), paths(x)[1:], rtol=1e-4)
    each = jnp.concatenate([path(x) for path in (*paths, paths[-1])])
    np.testing.assert_allclose(each, paths(x)[np.array([0, 1, 2, 2])], rtol=1e-4)
    with pytest.raises(IndexError, match="index: expected one of 3, got 3"):
        paths[3]
    slope = jax.jit(jax.jacobian(paths))(x)
    assert slope.shape == (3, 2)
    h = 1e-6 if x64 else 1e-2
    step = jnp.array([h, 0.0])
    change = (paths(x + step) - paths(x - step)) / (2 * h)
    np.testing.assert_allclose(
        change, slope[:, 0], rtol=1e-5 if x64 else 0.05, atol=0.05
    )
