"""Evidence, priors and samplers: against dense algebra, and against themselves."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from bojax.curves.inference.collapse import Moments, Normal, collapse
from bojax.curves.inference.evidence import Data, columns_of, explain
from bojax.curves.inference.importance import importance, make_pool, weigh
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
            spread = jnp.quantile(value, jnp.asarray([0.1, 0.5, 0.9]))
            return rank, draws.pareto_k, median, jnp.std(value), spread

        y = curves[:, :LENGTH] + noise
        keys = jax.random.split(key, num)
        return jax.lax.map(one, (y, curves[:, -1], keys), batch_size=4)

    return [np.asarray(each) for each in ranks(jax.random.key(7))]


@pytest.mark.long
@pytest.mark.parametrize("method", [importance, smc], ids=["importance", "smc"])
def test_it_is_calibrated_on_its_own_prior(method):
    rank, k, *_ = calibration(method, LCPFN_PRIOR)
    assert scipy.stats.kstest(rank, "uniform").pvalue > 1e-3
    assert np.mean(k < 0.7) > 0.6


@pytest.mark.long
def test_the_ensemble_is_calibrated_on_its_own_prior():
    rank, *_ = calibration(smc, DOMHAN)
    assert scipy.stats.kstest(rank, "uniform").pvalue > 1e-3


@pytest.mark.long
def test_importance_and_smc_agree_where_weights_have_no_tail():
    _, k, one, spread, _ = calibration(importance, LCPFN_PRIOR)
    _, _, other, *_ = calibration(smc, LCPFN_PRIOR)
    good = k < 0.5
    # Each median is of some hundred effective draws: an error of 1.25 / 10 deviations.
    off = np.abs(one - other)[good] / spread[good]
    assert np.median(off) < 0.15
    assert np.quantile(off, 0.9) < 0.5


@pytest.mark.parametrize("model", [LCPFN_PRIOR, ROBUST], ids=type)
def test_padding_and_what_is_masked_change_nothing(model):
    rng = np.random.default_rng(2)
    y = rng.normal(size=LENGTH)
    y[[3, 9]], y[12:] = np.nan, np.nan
    padded = data_of(y)
    junk = eqx.tree_at(lambda d: d.y, padded, jnp.where(padded.mask, padded.y, 1e6))
    cut = [jnp.asarray(each[:12]) for each in (y, ~np.isnan(y), padded.steps)]
    short = eqx.tree_at(lambda d: (d.y, d.mask, d.steps), padded, cut)
    shape = jnp.asarray(rng.normal(size=model.num_shapes))
    noise = Noise(jnp.asarray(0.4), jnp.asarray(0.7), jnp.asarray([6.2, 11.8]))

    @jax.jit
    def explained(data):
        columns = columns_of(model, shape, data.steps, data.horizon)
        return explain(model, columns, model.coefficients(shape), noise, data)

    first = explained(padded)
    for other in (explained(junk), explained(short)):
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_pool_weighs_as_each_of_its_members_does():
    rng = np.random.default_rng(3)
    y = 0.5 + 0.1 * rng.normal(size=LENGTH)
    y[[2, 14, 15]] = np.nan
    data = data_of(y)

    @jax.jit
    def both(data):
        key = jax.random.key(0)
        pool = make_pool(LCPFN_PRIOR, data.steps, data.horizon, key, 8, 2)
        evidence, posterior = weigh(LCPFN_PRIOR, pool, data)

        def one(shape, noise, columns):
            prior = LCPFN_PRIOR.coefficients(shape)
            noise = LCPFN_PRIOR.noise(noise, data.horizon)
            value, found = explain(LCPFN_PRIOR, columns, prior, noise, data)
            return value, found.mean

        alone = jax.vmap(one)(pool.shape, pool.noise[:, 1], pool.columns)
        return (evidence[:, 1], posterior.mean[:, 1]), alone

    (evidence, mean), (value, one) = both(data)
    np.testing.assert_allclose(evidence, value, rtol=1e-8)
    np.testing.assert_allclose(mean, one, rtol=1e-6, atol=1e-9)


def test_pareto_k_counts_no_weight_at_all_and_no_constant():
    draws = scipy.stats.genpareto(0.5).rvs(4000, random_state=0)
    log = jnp.log(jnp.asarray(draws))
    k = float(pareto_k(log))
    np.testing.assert_allclose(pareto_k(log + 1e4), k, rtol=1e-6)
    # The tail is of the same draws where others than the largest have no weight.
    less = jnp.where(log < jnp.median(log), -jnp.inf, log)
    np.testing.assert_allclose(pareto_k(less), k, rtol=1e-9)
    assert pareto_k(log.at[7].set(jnp.nan)) == jnp.inf


@functools.cache
def corrected():
    mean, factor = lcpfn._moments()
    white = np.random.default_rng(4).normal(size=(40_000, 4))
    drawn = mean + white @ factor.T
    admitted = jnp.linspace(0.1, 0.9, 8)
    log = jax.jit(jax.vmap(lambda c: LCPFN_PRIOR.log_correction(c, admitted)))(drawn)
    return drawn, np.exp(np.asarray(log))


def test_the_correction_turns_the_normal_into_the_prior():
    drawn, ratio = corrected()
    mean, factor = lcpfn._moments()
    count = math.sqrt(len(drawn))
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / count
    for column, expected in zip(drawn.T, mean, strict=True):
        product = ratio * (column - expected)
        assert abs(product.mean()) < 5 * product.std() / count
    second = (ratio[:, None] * (drawn - mean)).T @ (drawn - mean) / len(drawn)
    np.testing.assert_allclose(second, factor @ factor.T, atol=0.01)
    for curve in ([0.5, 1.1, 0.9], [0.5, -0.1, 0.9], [0.5, 0.6, 0.4]):
        log = LCPFN_PRIOR.log_correction(jnp.asarray(mean), jnp.asarray(curve))
        assert log == -jnp.inf


def test_the_correction_has_the_generators_probabilities():
    drawn, ratio = corrected()
    z = jnp.asarray(np.random.default_rng(5).normal(size=(40_000, 13)))
    made = np.asarray(jax.jit(jax.vmap(LCPFN_PRIOR.generate))(z)[1])
    regions = [
        lambda c: c[:, 0] > 1.0,
        lambda c: c[:, 1] > 0.15,
        lambda c: np.abs(c[:, 2]) < 0.05,
        lambda c: c[:, 3] < 0,
        lambda c: c[:, 3] > 0.5,
        lambda c: (c[:, 0] < 0.6) & (c[:, 3] < 0.1),
        lambda c: (c[:, 1] < -0.1) & (c[:, 2] > 0.1) & (c[:, 3] > 0.2),
    ]
    for number, inside in enumerate(regions):
        by_weight, by_count = ratio * inside(drawn), inside(made)
        error = np.hypot(by_weight.std(), by_count.std()) / math.sqrt(len(made))
        off = abs(by_weight.mean() - by_count.mean())
        assert off < 5 * error, f"region {number}: {off / error:.1f} errors"


@pytest.mark.long
def test_importance_and_smc_agree_on_quantiles_of_four_curves():
    def quantiles(method):
        rows = calibration(method, LCPFN_PRIOR)
        return rows[4], rows[1], rows[3]

    one, k, spread = quantiles(importance)
    other, _, _ = quantiles(smc)
    four = np.argsort(k)[:4]
    assert k[four].max() < 0.7
    off = np.abs(one - other)[four] / spread[four, None]
    # Tails of some fifty effective draws each: 1.7 sqrt(2 / 50), twice.
    assert off.max() < 0.7
