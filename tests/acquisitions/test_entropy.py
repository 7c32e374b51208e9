"""Entropy search against numerical integration, dense algebra and BoTorch."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

import bojax
from bojax.acquisitions import JES, MES, Belief, sample_minima
from bojax.acquisitions.entropy import truncated_variance, truncation_information
from bojax.data import Dataset, Trials
from bojax.surrogates import GP, Several, kernels

SQUARE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
LENGTHSCALES = np.array([0.3, 0.5])
NOISE = 0.02


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def observations():
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(7, 2))
    y = np.sin(7 * x[:, 0]) + x[:, 1]
    return x, (y - y.mean()) / y.std()


@eqx.filter_jit
def posterior_of(x, y, noise=NOISE):
    space = SQUARE
    kernel = kernels.Matern52(jnp.log(jnp.asarray(LENGTHSCALES)))
    gp = GP(space, kernel)
    gp = eqx.tree_at(lambda gp: gp.parameters.log_noise, gp, jnp.log(noise))
    return gp.condition(Dataset.of(x, y))


@eqx.filter_jit
def each(acquisition, x):
    return jax.vmap(acquisition)(x[:, None])


def optima(s=6):
    """Some places, and values there of which some are hardly below the mean."""
    rng = np.random.default_rng(5)
    return rng.uniform(size=(s, 2)), rng.uniform(-2.6, -1.4, size=s)


def test_information_is_the_entropy_lost(x64):
    """By the trapezoid rule, exact for smooth densities that end at nothing."""
    z = np.linspace(-40, 40, 400_001)
    worst = 0.0
    for gamma in (-8.0, -4.1, -3.9, -1.0, 0.0, 2.0, 5.0):
        for rho2 in (1e-3, 0.3, 0.9, 0.999):
            u = (gamma - np.sqrt(rho2) * z) / np.sqrt(1 - rho2)
            log_density = scipy.stats.norm.logpdf(z) + scipy.special.log_ndtr(u)
            log_density -= scipy.special.log_ndtr(gamma)
            entropy = -np.trapezoid(np.exp(log_density) * log_density, z)
            expected = 0.5 * np.log(2 * np.pi * np.e) - entropy
            given = truncation_information(jnp.array(gamma), jnp.array(rho2))
            worst = max(worst, abs(float(given) - expected))
    assert worst < (1e-7 if x64 else 3e-5)


def test_information_without_noise_is_the_formula_of_2017(double):
    gamma = np.linspace(-6, 8, 29)
    ratio = np.exp(scipy.stats.norm.logpdf(gamma) - scipy.special.log_ndtr(gamma))
    expected = 0.5 * gamma * ratio - scipy.special.log_ndtr(gamma)
    given = truncation_information(jnp.asarray(gamma), jnp.ones(29))
    np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_variance_of_a_truncated_normal(x64):
    gamma = np.array([-1e4, -100.0, -10.0, -4.01, -3.99, -1.0, 0.0, 3.0, 9.0])
    given = np.asarray(truncated_variance(jnp.asarray(gamma)))
    # Far below, that of an exponential of rate t: 1 / t^2 (1 - 6 / t^2 + ...).
    tail = gamma < -50
    np.testing.assert_allclose(given[tail], gamma[tail] ** -2.0, rtol=1e-3)
    exact = [scipy.stats.truncnorm.var(-np.inf, g) for g in gamma[~tail]]
    np.testing.assert_allclose(given[~tail], exact, rtol=1e-7 if x64 else 1e-4)


def test_joint_search_is_what_dense_algebra_says(double):
    x, y = observations()
    minimizers, minima = optima()
    query = np.random.default_rng(6).uniform(size=(5, 2))
    posterior = posterior_of(x, y)
    acquisition = JES(posterior, jnp.asarray(minimizers), jnp.asarray(minima))
    for row, given in zip(query, each(acquisition, jnp.asarray(query)), strict=True):
        gains = []
        for place, least in zip(minimizers, minima, strict=True):
            joint = posterior(jnp.asarray(np.stack([row, place])))
            (m, m_least), k = np.asarray(joint.mean), np.asarray(joint.covariance)
            mean = m + k[0, 1] / k[1, 1] * (least - m_least)
            left = k[0, 0] - k[0, 1] ** 2 / k[1, 1]
            sigma = np.sqrt(left)
            truncated = scipy.stats.truncnorm.var((least - mean) / sigma, np.inf)
            ratio = (k[0, 0] + NOISE) / (left * truncated + NOISE)
            gains.append(0.5 * np.log(ratio))
        np.testing.assert_allclose(given, np.mean(gains), rtol=1e-6)


def test_searches_agree_with_botorch(double, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch", reason="BoTorch is not installed")
        pytest.importorskip("botorch", reason="BoTorch is not installed")
        _compare_with_botorch(torch, monkeypatch)


def _compare_with_botorch(torch, monkeypatch):
    from botorch.acquisition import joint_entropy_search
    from botorch.acquisition.joint_entropy_search import qJointEntropySearch
    from botorch.acquisition.max_value_entropy_search import (
        qLowerBoundMaxValueEntropy,
        qMaxValueEntropy,
    )

    tensor = lambda a: torch.as_tensor(np.asarray(a), dtype=torch.float64)
    x, y = observations()
    query = np.random.default_rng(6).uniform(size=(5, 2))
    minimizers, minima = optima()

    def both(noise):
        model, posterior = _botorch_model(x, -y, noise), posterior_of(x, y, noise)
        theirs = model.posterior(tensor(query))
        mean, variance = jax.vmap(posterior.marginal)(jnp.asarray(query))
        np.testing.assert_allclose(-mean, theirs.mean[:, 0].detach(), rtol=1e-5)
        np.testing.assert_allclose(variance, theirs.variance[:, 0].detach(), rtol=1e-5)
        return model, posterior

    def value(cls, *args, **options):
        acquisition = cls(*args, **options)
        if cls is not qJointEntropySearch:
            acquisition.posterior_max_values = tensor(-minima[:, None])
        return acquisition(tensor(query[:, None])).detach().numpy()

    model, posterior = both(NOISE)
    given = np.asarray(each(MES(posterior, jnp.asarray(minima)), jnp.asarray(query)))
    candidates = tensor(np.random.default_rng(7).uniform(size=(20, 2)))
    options = {"num_mv_samples": len(minima)}
    # Theirs integrates over quasi-random draws of y; the bound is a bound.
    draws = value(qMaxValueEntropy, model, candidates, num_y_samples=4096, **options)
    np.testing.assert_allclose(given, draws, atol=5e-3)
    bound = value(qLowerBoundMaxValueEntropy, model, candidates, **options)
    assert np.all(bound <= given + 1e-9)
    np.testing.assert_allclose(given, bound, atol=0.1)

    # Theirs conditions on a minimum with noise 1e-4, but for its mean with the noise of
    # an observation: of either there is next to none here.
    monkeypatch.setattr(joint_entropy_search, "MIN_INFERRED_NOISE_LEVEL", 1e-9)
    model, posterior = both(1e-6)
    acquisition = JES(posterior, jnp.asarray(minimizers), jnp.asarray(minima))
    expected = value(
        qJointEntropySearch, model, tensor(minimizers), tensor(-minima[:, None])
    )
    np.testing.assert_allclose(
        each(acquisition, jnp.asarray(query)), expected, rtol=1e-4
    )


def _botorch_model(x, y, noise):
    import torch
    from botorch.models import SingleTaskGP
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import MaternKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.means import ZeroMean

    kernel = MaternKernel(nu=2.5, ard_num_dims=2)
    kernel.lengthscale = torch.as_tensor(LENGTHSCALES)
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(1e-9))
    model = SingleTaskGP(
        torch.as_tensor(x),
        torch.as_tensor(y[:, None]),
        likelihood=likelihood,
        covar_module=kernel,
        mean_module=ZeroMean(),
        outcome_transform=None,
    ).double()
    model.likelihood.noise = noise
    return model.eval()


@eqx.filter_jit
def minima_of(posterior, space, key):
    paths = posterior.sample(key, 16, 64)
    return paths, *sample_minima(paths, space, key)


def test_no_value_on_a_grid_is_below_a_minimum():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    x = jnp.array([[0.1], [0.4], [0.8]])
    posterior = GP(space).condition(Dataset.of(x, jnp.array([0.0, -1.0, 1.0])))
    paths, at, value = minima_of(posterior, space, jax.random.key(0))
    grid = jax.jit(jax.vmap(paths))(jnp.linspace(0, 1, 2001)[:, None])
    assert np.all(value <= jnp.min(grid, axis=0) + 1e-3)
    np.testing.assert_allclose(
        value, jnp.diagonal(jax.vmap(paths)(at)), rtol=1e-3, atol=1e-4
    )


def late(values):
    return values["rate"] - 0.6


MIXED = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q"),
        "depth": bojax.Int(1, 4),
        "rate": bojax.Float(0.0, 1.0),
        "decay": bojax.Float(0.0, 1.0, when={"kind": ("q",)}),
    },
    constraints=[late],
)


def test_minima_are_points_of_the_space():
    x = MIXED.sample(jax.random.key(1), 6)
    posterior = GP(MIXED).condition(Dataset.of(x, jnp.arange(6.0)))
    paths, at, value = minima_of(posterior, MIXED, jax.random.key(0))
    np.testing.assert_array_equal(jax.vmap(MIXED.project)(at), at)
    assert np.all(jax.vmap(MIXED.feasible)(at))
    assert np.all(value <= jnp.min(jax.vmap(paths)(x), axis=0) + 1e-4)


def test_finite_spaces_are_searched_in_full():
    space = bojax.Space({"a": bojax.Int(1, 6), "b": bojax.Categorical("u", "v")})
    everything = jnp.asarray(space.enumerate(20))
    posterior = GP(space).condition(Dataset.of(everything[:3], jnp.arange(3.0)))
    paths, _, value = minima_of(posterior, space, jax.random.key(0))
    least = jnp.min(jax.vmap(paths)(everything), axis=0)
    np.testing.assert_allclose(value, least, rtol=1e-5)


def belief(posterior, space):
    objectives = Several(jax.tree.map(lambda leaf: leaf[None], posterior))
    return Belief(objectives, None, None, Trials.empty(4, 2), jax.random.key(0), space)


def test_minima_are_sought_at_full_fidelity():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0), "s": bojax.Fidelity(0.1, 1.0)})
    x = jnp.array([[0.2, 0.0], [0.6, 1.0], [0.9, 0.4]])
    posterior = GP(space).condition(Dataset.of(x, jnp.array([-1.0, 0.5, 0.3])))
    found = JES.of(belief(posterior, space), num_minima=4).minimizers
    np.testing.assert_array_equal(space.at_full_fidelity(found), found)


@pytest.mark.parametrize("cls", [MES, JES])
def test_made_from_a_belief_it_knows_more_of_what_is_pending(cls, double):
    x, y = observations()
    at = jnp.array([[0.62, 0.1]])
    kernel = kernels.Matern52(jnp.log(jnp.asarray(LENGTHSCALES)))
    gp = eqx.tree_at(lambda gp: gp.parameters.log_noise, GP(SQUARE, kernel), -7.0)

    @eqx.filter_jit
    def value(pending):
        data = Dataset.of(jnp.concatenate([x, at]), jnp.append(y, 0.0))
        data = eqx.tree_at(lambda data: data.mask, data, jnp.arange(8) < 7)
        posterior = gp.condition(data, pending & (jnp.arange(8) == 7))
        return cls.of(belief(posterior, SQUARE), num_minima=16)(at)

    assert 0 <= value(jnp.array(True)) < 0.3 * value(jnp.array(False))


def test_what_is_wrong_is_named():
    x, y = observations()
    posterior = posterior_of(jnp.asarray(x), jnp.asarray(y))
    with pytest.raises(ValueError, match="belief: expected one with a space"):
        MES.of(belief(posterior, None))
    with pytest.raises(ValueError, match="s: expected at least 1, got 0"):
        JES.of(belief(posterior, SQUARE), num_minima=0)
    with pytest.raises(ValueError, match="minima: expected 2, one a minimizer, got 1"):
        JES(posterior, jnp.zeros((2, 2)), jnp.zeros(1))


def test_the_noise_is_that_of_the_place(double):
    """Known noise as great at the same place teaches as little."""
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    x, y = jnp.array([[0.0], [0.6], [1.0]]), jnp.array([0.0, 0.5, 1.0])
    gp = GP(space, noise="heteroscedastic")
    gp = eqx.tree_at(lambda gp: gp.parameters.excess.log_excess, gp, jnp.log(4.0))

    @eqx.filter_jit
    def values(gp):
        given = gp.condition(Dataset.of(x, y))
        # The same posterior, whose noise is all constant.
        total = given.noise(x[:1])[0] / given.scale**2
        where = lambda p: (p.parameters.log_noise, p.parameters.excess)
        constant = eqx.tree_at(where, given, (jnp.log(total), None))
        query, at, least = jnp.array([[0.3]]), jnp.array([[0.2]]), jnp.array([-0.5])
        return [
            jnp.stack([MES(each, least)(query), JES(each, at, least)(query)])
            for each in (given, constant)
        ]

    np.testing.assert_allclose(*values(gp), rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("name", ["Thompson", "MES", "JES"])
def test_a_whole_run_in_batches_finds_the_minimum_of_branin(name, double):
    problem = bojax.problems.get("branin")
    strategy = bojax.strategies.BayesOpt(
        problem.space, acquisition=getattr(bojax.acquisitions, name)
    )
    state = strategy.init(jax.random.key(0), capacity=64)
    evaluate = jax.jit(jax.vmap(problem.fn))
    for _ in range(12):
        points, state = strategy.ask(state, 4)
        assert len(np.unique(points.x, axis=0)) == 4
        state = strategy.tell(state, points, evaluate(points.x))
    assert float(jnp.nanmin(state.trials.y)) < 0.41
