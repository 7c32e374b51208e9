"""Mixtures of posteriors, and acquisitions averaged over them."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import acquisitions
from bojax.acquisitions import Average, Belief, average
from bojax.data import Dataset, Status, Trials
from bojax.surrogates import GP, Mixture, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
GP_PRIOR = GP(SPACE)
S = 3


def dataset(seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(size=(6, 2)), rng.normal(size=6)
    return Dataset.of(jnp.asarray(x), jnp.asarray(y), capacity=8)


def parameters():
    shift = jnp.linspace(-1.0, 1.0, S)
    return jax.tree.map(
        lambda leaf: leaf + 0.7 * shift.reshape((S,) + (1,) * leaf.ndim),
        GP_PRIOR.parameters,
    )


@eqx.filter_jit
def mixture(data):
    condition = lambda p: GP_PRIOR.replace(p).condition(data)
    return Mixture(jax.vmap(condition)(parameters()))


def component(mixture, i):
    return jax.tree.map(lambda leaf: leaf[i], mixture.components)


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_moments_are_those_of_draws_from_random_components():
    posterior = mixture(dataset())
    x = jnp.asarray(np.random.default_rng(3).uniform(size=(3, 2)))
    normal = posterior(x)
    key, count = jax.random.key(0), 40_000
    draws = np.concatenate(
        [
            component(posterior, i)(x).sample(jax.random.fold_in(key, i), count)
            for i in range(S)
        ]
    )
    deviation = np.sqrt(np.diag(normal.covariance))
    error = 5 / np.sqrt(S * count)
    np.testing.assert_array_less(np.abs(draws.mean(0) - normal.mean), error * deviation)
    unit = np.outer(deviation, deviation)
    covariance = np.cov(draws.T)
    np.testing.assert_array_less(
        np.abs(covariance - normal.covariance), 2 * error * unit
    )
    for i in range(3):
        mean, variance = posterior.marginal(x[i])
        np.testing.assert_allclose(mean, normal.mean[i], rtol=1e-10)
        np.testing.assert_allclose(variance, normal.variance[i], rtol=1e-8)


def test_an_observation_is_the_same_to_all_and_a_pending_value_is_not():
    data = dataset()
    posterior = mixture(data)
    assert len(posterior) == S
    np.testing.assert_array_equal(posterior.data.y, data.y)
    assert posterior.best_y == data.y[:6].min()
    x = jnp.array([0.9, 0.1])
    grown = posterior.grow(1).append(8, x)
    believed = [component(posterior, i).marginal(x)[0] for i in range(S)]
    assert np.ptp(believed) > 1e-3
    np.testing.assert_allclose(grown.components.data.y[:, 8], believed, rtol=1e-10)
    np.testing.assert_allclose(grown.marginal(x)[0], posterior.marginal(x)[0])
    assert not bool(jnp.any(grown.observed.data.mask[8]))
    assert posterior.incumbent.shape == (2,)


def belief(*posteriors):
    """Of one objective, and constraints after it."""
    stack = lambda each: Several(jax.tree.map(lambda *leaves: jnp.stack(leaves), *each))
    data = posteriors[0].data
    trials = Trials.empty(8, 2)
    trials = trials.append(
        data.x[:6], jnp.arange(6, dtype=jnp.int32), Status.DONE, y=data.y[:6, None]
    )
    constraints = stack(posteriors[1:]) if posteriors[1:] else None
    return Belief(
        objectives=stack(posteriors[:1]),
        constraints=constraints,
        log_cost=None,
        reference=None,
        trials=trials,
        key=jax.random.key(0),
    )


MAKE = [acquisitions.LogEI, acquisitions.EI, acquisitions.PI, acquisitions.UCB]


@pytest.mark.parametrize("cls", MAKE)
def test_an_acquisition_is_averaged_over_components(cls):
    posterior = mixture(dataset())
    x = jnp.asarray(np.random.default_rng(3).uniform(size=(1, 2)))
    averaged = average(cls.of, belief(posterior))
    assert isinstance(averaged, Average)
    each = [cls.of(belief(component(posterior, i)))(x) for i in range(S)]
    expected = np.mean(each)
    if cls is acquisitions.LogEI:
        assert averaged.logarithmic
        expected = np.log(np.mean(np.exp(each)))
    np.testing.assert_allclose(averaged(x), expected, rtol=1e-10)


def test_of_a_single_posterior_nothing_is_averaged():
    single = belief(component(mixture(dataset()), 0))
    assert isinstance(average(acquisitions.EI.of, single), acquisitions.EI)


def test_outputs_go_together_component_by_component():
    objective, constraint = mixture(dataset(0)), mixture(dataset(1))
    x = jnp.asarray(np.random.default_rng(3).uniform(size=(1, 2)))
    together = belief(objective, constraint)
    assert together.feasible.shape == (8,)

    def make(belief):
        probability = jax.scipy.special.ndtr(-belief.constraints.marginal(x[0])[0][0])
        return dataclasses.replace(acquisitions.UCB.of(belief), beta=probability)

    pairs = [
        belief(component(objective, i), component(constraint, i)) for i in range(S)
    ]
    expected = np.mean([make(pair)(x) for pair in pairs])
    np.testing.assert_allclose(average(make, together)(x), expected, rtol=1e-10)


def test_every_acquisition_in_logarithms_says_so():
    """An average of logarithms would be another acquisition."""
    for name, value in vars(acquisitions).items():
        if isinstance(value, type) and "Log" in name:
            assert value.logarithmic is True, name
