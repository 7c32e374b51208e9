"""Thompson sampling: maximizers are distributed as the minimum's place is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.acquisitions import Belief, Thompson
from bojax.data import Dataset, Trials
from bojax.surrogates import GP, Several

LEVELS = bojax.Space({"a": bojax.Int(1, 5)})


def belief(space, key, x, y, pending=None):
    posterior = GP(space).condition(Dataset.of(x, y), pending)
    objectives = Several(jax.tree.map(lambda leaf: leaf[None], posterior))
    return Belief(objectives, None, None, Trials.empty(4, x.shape[1]), key, space)


@pytest.mark.long
def test_a_level_is_chosen_as_often_as_it_is_the_best():
    everything = jnp.asarray(LEVELS.enumerate(10))
    x, y = everything[jnp.array([0, 3])], jnp.array([0.0, 1.0])
    num_draws = 2000

    @eqx.filter_jit
    def chosen(key):
        acquisition = Thompson.of(belief(LEVELS, key, x, y))
        return jnp.argmax(jax.vmap(acquisition)(everything[:, None]))

    choices = jax.lax.map(chosen, jax.random.split(jax.random.key(0), num_draws))
    share = np.bincount(choices, minlength=5) / num_draws
    exact = GP(LEVELS).condition(Dataset.of(x, y))(everything)
    draws = exact.sample(jax.random.key(1), 100_000)
    probability = np.bincount(jnp.argmin(draws, 1), minlength=5) / 100_000
    error = np.sqrt(probability * (1 - probability) / num_draws)
    assert np.all(np.abs(share - probability) <= 4 * error + 4 / num_draws)
    assert probability.max() < 0.9


def test_a_key_is_a_function_and_nothing_is_believed_of_pending_points():
    x, y = jnp.array([[0.1], [0.5], [0.9]]), jnp.array([0.0, 1.0, 0.5])

    @eqx.filter_jit
    def value(key, pending):
        acquisition = Thompson.of(belief(LEVELS, key, x, y, pending))
        return acquisition(jnp.array([[0.3]])), acquisition.posterior.believed

    none = jnp.zeros(3, bool)
    first, _ = value(jax.random.key(0), none)
    again, _ = value(jax.random.key(0), none)
    other, _ = value(jax.random.key(1), none)
    assert first == again != other
    assert not np.any(value(jax.random.key(0), jnp.array([False, False, True]))[1])


def test_one_function_is_expected():
    x, y = jnp.array([[0.1], [0.9]]), jnp.array([0.0, 1.0])
    posterior = GP(LEVELS).condition(Dataset.of(x, y))
    with pytest.raises(ValueError, match="path: expected one function, got 2"):
        Thompson(posterior, posterior.sample(jax.random.key(0), 2))
