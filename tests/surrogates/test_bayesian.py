"""Hyperparameters sampled by NUTS, held against importance sampling."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import bojax
from bojax.data import Dataset
from bojax.surrogates import GP, Bayesian, MultiTask, saas
from bojax.surrogates.priors import by_leaf, optuna, short

LINE = bojax.Space({"a": bojax.Float(0.0, 1.0)})


def line(n=8, capacity=8):
    x = np.random.default_rng(0).uniform(size=(n, 1))
    noise = 0.2 * np.random.default_rng(1).normal(size=n)
    y = jnp.asarray(np.sin(6 * x[:, 0]) + noise)
    return Dataset.of(jnp.asarray(x), y, capacity=capacity)


def log_density(gp, unravel, data):
    """Of the leaves, unbounded: density times Jacobian, minus infinity outside."""

    def density(theta):
        parameters = unravel(theta)
        inside, total = True, gp.replace(parameters).log_likelihood(data)
        for leaf, prior in by_leaf(parameters, gp.priors):
            inside &= jnp.all((leaf >= prior.lower) & (leaf <= prior.upper))
            total += jnp.sum(prior.log_density(leaf) + prior.log_jacobian(leaf))
        return jnp.where(inside, total, -jnp.inf)

    return density


@pytest.mark.parametrize("priors", [short, optuna])
def test_quantiles_are_those_of_importance_sampling(priors):
    with jax.enable_x64(True):
        gp, data = GP(LINE, priors=priors(1)), line()
        model = Bayesian(gp, num_warmup=300, num_samples=2000, thinning=1)
        fitted = model.fit(data, jax.random.key(0))
        samples = np.asarray(
            jax.vmap(lambda p: ravel_pytree(p)[0])(fitted.parameters.samples)
        )
        theta, unravel = ravel_pytree(gp.parameters)
        # Proposals: a normal twice as wide as what was sampled, with heavy tails.
        center, root = samples.mean(0), 1.7 * np.linalg.cholesky(np.cov(samples.T))
        rng, count, degrees = np.random.default_rng(0), 40_000, 5
        white = rng.normal(size=(count, theta.size))
        white /= np.sqrt(rng.chisquare(degrees, size=(count, 1)) / degrees)
        proposals = center + white @ root.T
        density = eqx.filter_jit(
            lambda x: jax.lax.map(log_density(gp, unravel, data), x, batch_size=2000)
        )(jnp.asarray(proposals))
        squares = np.sum(white**2, axis=1)
        proposed = -0.5 * (degrees + theta.size) * np.log1p(squares / degrees)
        log_weight = np.asarray(density) - proposed
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        effective = 1 / np.sum(weight**2)
        assert effective > 2000
        for level in (0.1, 0.5, 0.9):
            for j in range(theta.size):
                cut = np.quantile(samples[:, j], level)
                share = np.sum(weight[proposals[:, j] <= cut])
                # Both are estimates; the chain's samples depend on one another.
                error = np.sqrt(level * (1 - level) * (1 / effective + 1 / 400))
                assert abs(share - level) < 4 * error


def test_fixed_hyperparameters_stay_and_bounds_are_kept():
    gp = GP(LINE, priors=bojax.surrogates.priors.botorch(1))
    model = Bayesian(gp, num_warmup=20, num_samples=20, thinning=2)
    assert model.parameters.inverse_mass.shape == (3, 3)
    samples = model.fit(line(), jax.random.key(0)).parameters.samples
    np.testing.assert_array_equal(samples.kernel.log_variance, 0)
    for leaf, prior in by_leaf(samples, gp.priors):
        assert bool(jnp.all((leaf >= prior.lower) & (leaf <= prior.upper)))
    assert np.ptp(samples.log_noise) > 0


def test_a_fit_that_goes_on_keeps_the_mass_matrix():
    model = Bayesian(GP(LINE), num_warmup=160, num_samples=16, thinning=4)
    first = model.fit(line(), jax.random.key(0))
    second = first.fit(line(), jax.random.key(1), False)
    mass = [m.parameters.inverse_mass for m in (model, first, second)]
    assert np.abs(mass[1] - mass[0]).max() > 1e-3
    np.testing.assert_array_equal(mass[1], mass[2])
    assert first.parameters.step_size != second.parameters.step_size
    again = first.fit(line(), jax.random.key(1), False)
    for a, b in zip(
        jax.tree.leaves(second.parameters),
        jax.tree.leaves(again.parameters),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_saas_tells_the_columns_that_matter():
    space = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(8)})
    with jax.enable_x64(True):
        x = np.random.default_rng(0).uniform(size=(30, 8))
        y = np.sin(5 * x[:, 2]) + 2 * (x[:, 5] - 0.4) ** 2
        data = Dataset.of(jnp.asarray(x), jnp.asarray(y))
        model = saas(space, num_warmup=200, num_samples=64, thinning=8)
        samples = model.fit(data, jax.random.key(0)).parameters.samples
        kernel = samples.kernel.kernel
        rho = kernel.log_global_shrinkage[:, None] + kernel.log_local_shrinkage
        lengthscale = np.median(np.exp(-0.5 * rho), axis=0)
    assert sorted(np.argsort(lengthscale)[:2]) == [2, 5]
    assert np.sort(lengthscale)[2] > 5 * lengthscale[2]


def test_wraps_a_multitask():
    model = Bayesian(
        MultiTask(GP(LINE), [line()]), num_warmup=8, num_samples=4, thinning=2
    )
    mixture = model.fit(line(), jax.random.key(0)).condition(line())
    assert len(mixture) == 2
    assert np.isfinite(mixture.marginal(jnp.array([0.3]))[0])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="thinning: expected at least 1, got 0"):
        Bayesian(GP(LINE), thinning=0)
    with pytest.raises(ValueError, match="num_samples: expected a multiple of thin"):
        Bayesian(GP(LINE), num_samples=10, thinning=4)
