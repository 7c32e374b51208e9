"""Evidence, priors and samplers: against dense algebra, and against themselves."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from bojax.curves.inference.collapse import Moments, Normal, collapse
from bojax.curves.inference.evidence import Data, columns_of, explain
from bojax.curves.inference.importance import importance, make_pool
from bojax.curves.inference.pareto import pareto_k
from bojax.curves.inference.smc import smc
from bojax.curves.models import DOMHAN, LCPFN_PRIOR, ROBUST, Noise, lcpfn
from bojax.curves.models.base import OUTLIER, draw_prior

LENGTH, HORIZON = 16, 32
GRID = np.arange(1.0, HORIZON + 1)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def data_of(y):
    return Data(
        jnp.asarray(y),
        ~jnp.isnan(jnp.asarray(y)),
        jnp.arange(1.0, LENGTH + 1),
        jnp.zeros(()),
        jnp.asarray(float(HORIZON)),
        jnp.asarray(GRID),
    )


@pytest.mark.parametrize("size", [4, 8])
def test_collapse_is_the_dense_normal(size):
    rng = np.random.default_rng(size)
    x, y = rng.normal(size=(12, size)), rng.normal(size=12)
    mean = rng.normal(size=size)
    factor = np.tril(rng.normal(size=(size, size))) + 2 * np.eye(size)
    sigma = 0.3
    moments = Moments(*map(jnp.asarray, (x.T @ x, x.T @ y, y @ y, 12.0)))
    prior = Normal(jnp.asarray(mean), jnp.asarray(factor))
    evidence, posterior = jax.jit(collapse)(moments, prior, jnp.asarray(sigma))
    cov = x @ factor @ factor.T @ x.T + sigma**2 * np.eye(12)
    dense = scipy.stats.multivariate_normal(x @ mean, cov)
    np.testing.assert_allclose(evidence, dense.logpdf(y), rtol=1e-9)
    gain = factor @ factor.T @ x.T @ np.linalg.inv(cov)
    np.testing.assert_allclose(posterior.mean, mean + gain @ (y - x @ mean), rtol=1e-8)
    np.testing.assert_allclose(
        posterior.factor @ posterior.factor.T,
        factor @ factor.T - gain @ x @ factor @ factor.T,
        atol=1e-8,
    )


def test_noise_that_is_correlated_has_gaps_and_outliers_is_the_dense_normal():
    rng = np.random.default_rng(0)
    y = rng.normal(size=LENGTH)
    y[[3, 4, 9, 14, 15]] = np.nan
    data = data_of(y)
    shape = jnp.asarray(rng.normal(size=ROBUST.num_shapes))
    noise = Noise(jnp.asarray(0.4), jnp.asarray(0.7), jnp.asarray([6.2, 11.8]))
    columns = columns_of(ROBUST, shape, data.steps, data.horizon)
    prior = ROBUST.coefficients(shape)
    evidence, _ = explain(ROBUST, columns, prior, noise, data)

    seen = ~np.isnan(y)
    steps = np.asarray(data.steps)
    # The noise, by its definition: from the residual before, one after another.
    order = np.flatnonzero(seen)
    lower = np.zeros((len(order),) * 2)
    for i, place in enumerate(order):
        decay = 0.0 if i == 0 else 0.7 ** (steps[place] - steps[order[i - 1]])
        stray = OUTLIER if steps[place] in (6.0, 12.0) else 1.0
        lower[i] = decay * lower[i - 1] if i else 0.0
        lower[i, i] = 0.4 * stray * math.sqrt(1 - decay**2)
    x = np.asarray(columns)[seen]
    spread = x @ np.asarray(prior.factor)
    dense = scipy.stats.multivariate_normal(
        x @ np.asarray(prior.mean), spread @ spread.T + lower @ lower.T
    )
    np.testing.assert_allclose(evidence, dense.logpdf(y[seen]), rtol=1e-9)


@pytest.mark.parametrize("k", [0.2, 0.5, 1.0])
def test_pareto_k_is_the_shape_of_the_tail(k):
    rng = np.random.default_rng(0)
    draws = scipy.stats.genpareto(k).rvs(size=(200, 4000), random_state=rng)
    found = np.asarray(jax.vmap(pareto_k)(jnp.log(jnp.asarray(draws))))
    # The tail has 190 weights: its maximum-likelihood estimate spreads (1 + k) / 14,
    # and a prior worth ten of them pulls to one half.
    expected = (190 * k + 5) / 200
    error = 5 * (1 + k) / math.sqrt(190) / math.sqrt(200)
    assert abs(found.mean() - expected) < error + 0.03  # Zhang and Stephens' own bias


def test_pareto_k_of_weights_that_say_nothing():
    assert pareto_k(jnp.zeros(100)) == -jnp.inf
    assert pareto_k(jnp.full(100, jnp.nan)) == jnp.inf
    assert pareto_k(jnp.full(100, -jnp.inf)) == jnp.inf
    one = jnp.full(1000, -50.0).at[3].set(0.0)
    assert pareto_k(one) > 0.7


def test_the_exact_prior_of_lcpfns_coefficients_integrates_to_one():
    mean, factor = lcpfn._moments()
    rng = np.random.default_rng(0)
    wide = 1.5 * factor
    white = rng.normal(size=(40_000, 4))
    drawn = mean + white @ wide.T
    exact = np.asarray(jax.vmap(lcpfn._log_density)(jnp.asarray(drawn)))
    normal = -0.5 * (white**2).sum(1) - np.log(np.diag(wide)).sum()
    ratio = np.exp(exact - normal + 2 * math.log(2 * math.pi))
    error = ratio.std() / math.sqrt(len(ratio))
    # Four nodes for each weight: the quadrature itself is good to some per cent.
    assert abs(ratio.mean() - 1) < 5 * error + 0.05


def test_the_generator_has_the_moments_that_stand_in_for_it():
    z = jnp.asarray(np.random.default_rng(1).normal(size=(100_000, 13)))
    drawn = np.asarray(jax.vmap(LCPFN_PRIOR.generate)(z)[1])
    mean, factor = lcpfn._moments()
    error = drawn.std(0) / math.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(0) - mean) < 5 * error)
    np.testing.assert_allclose(np.cov(drawn.T), factor @ factor.T, atol=0.005)


@functools.cache
def calibration(method, model):
    """Ranks of the truth at the horizon among draws, for curves of the prior."""
    num = 96
    steps, horizon = jnp.arange(1.0, LENGTH + 1), jnp.asarray(float(HORIZON))

    @jax.jit
    def ranks(key):
        first, second, third = jax.random.split(key, 3)
        latents, _, curves, _ = draw_prior(
            model, first, jnp.asarray(GRID), horizon, num
        )
        sigma = jax.vmap(lambda u: model.noise(u[model.num_shapes :], horizon).sigma)(
            latents
        )
        noise = jax.random.normal(second, (num, LENGTH)) * sigma[:, None]
        pool = make_pool(model, steps, horizon, third, 512, 8)

        def one(arguments):
            y, truth, key = arguments
            mask = jnp.ones(LENGTH, bool)
            data = Data(y, mask, steps, jnp.zeros(()), horizon, jnp.asarray(GRID))
            draws = method(model, pool, data, key, num_draws=512)
            end = jax.vmap(lambda s: model.columns(s, horizon, horizon))(draws.shape)
            value = jnp.sum(end * draws.coefficients, axis=1)
            rank = (jnp.sum(value < truth) + 0.5) / 513
            median = jnp.median(value)
            return rank, draws.pareto_k, median, jnp.std(value)

        y = curves[:, :LENGTH] + noise
        keys = jax.random.split(key, num)
        return jax.lax.map(one, (y, curves[:, -1], keys), batch_size=4)

    return [np.asarray(each) for each in ranks(jax.random.key(7))]


@pytest.mark.slow
@pytest.mark.parametrize("method", [importance, smc], ids=["importance", "smc"])
def test_it_is_calibrated_on_its_own_prior(method):
    rank, k, _, _ = calibration(method, LCPFN_PRIOR)
    assert scipy.stats.kstest(rank, "uniform").pvalue > 1e-3
    assert np.mean(k < 0.7) > 0.6


@pytest.mark.long
def test_the_ensemble_is_calibrated_on_its_own_prior():
    rank, _, _, _ = calibration(smc, DOMHAN)
    assert scipy.stats.kstest(rank, "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_importance_and_smc_agree_where_weights_have_no_tail():
    _, k, one, spread = calibration(importance, LCPFN_PRIOR)
    _, _, other, _ = calibration(smc, LCPFN_PRIOR)
    good = k < 0.5
    # Each median is of some hundred effective draws: an error of 1.25 / 10 deviations.
    off = np.abs(one - other)[good] / spread[good]
    assert np.median(off) < 0.15
    assert np.quantile(off, 0.9) < 0.5
