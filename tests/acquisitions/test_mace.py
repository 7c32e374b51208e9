"""MACE: every draw is Pareto-optimal, and together they cover the front."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import pareto
from bojax.acquisitions import (
    MACE,
    Belief,
    log_expected_improvement,
    probability_of_improvement,
    upper_confidence_bound,
)
from bojax.data import Dataset, Trials
from bojax.surrogates import GP, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0)})
GIVEN = GP(SPACE)
GRID = np.linspace(0, 1, 401)[:, None, None]
NUM_DRAWS = 200


def data():
    x = jnp.array([[0.0], [0.2], [0.45], [0.7], [1.0]])
    y = jnp.array([0.5, -0.4, 0.3, -0.3, 1.0])
    return Dataset.of(x, y, capacity=8)


@eqx.filter_jit
def posterior():
    return GIVEN.condition(data())


@eqx.filter_jit
def chosen(acquisition, references, x):
    """Where the compromise of each reference is greatest, and the scaled criteria."""

    def one(reference):
        moved = eqx.tree_at(lambda a: a.reference, acquisition, reference)
        return jnp.argmax(jax.vmap(moved)(x))

    criteria = jax.vmap(acquisition.criteria)(x)
    scaled = (criteria - acquisition.lowest) / acquisition.extent
    return jax.lax.map(one, scaled if references is None else references), scaled


def test_draws_are_on_the_front_and_reach_all_of_it():
    with jax.enable_x64(True):
        x, every = jnp.asarray(GRID), jnp.ones(len(GRID), bool)
        acquisition = eqx.filter_jit(lambda p: MACE(p, jax.random.key(0), -0.4))(
            posterior()
        )
        drawn = jax.random.uniform(jax.random.key(1), (NUM_DRAWS, 3))
        picked, scaled = map(np.asarray, chosen(acquisition, drawn, x))
        front = np.asarray(jax.jit(pareto.fronts)(-scaled, every)) == 0
        own, _ = map(np.asarray, chosen(acquisition, None, x))
    assert np.all(front[picked])
    assert len(np.unique(picked)) > 3
    # With a front's point for reference nothing is chosen that is worse in any
    # criterion by more than the smooth minimum rounds.
    loss = (scaled[front] - scaled[own[front]]).max(axis=1)
    assert loss.max() < 0.02 * np.log(3) + 1e-9


def test_the_criteria_are_the_three(x64):
    given, x = posterior(), jnp.array([[0.33]])

    @eqx.filter_jit
    def both(posterior, x):
        acquisition = MACE(posterior, jax.random.key(0), best_y=-0.4, kappa=3.0)
        mean, variance = posterior.marginal(x[0])
        best = acquisition.best_y
        return acquisition.criteria(x), jnp.stack(
            [
                upper_confidence_bound(mean, variance, 9.0),
                log_expected_improvement(mean, variance, best),
                jnp.log(probability_of_improvement(mean, variance, best)),
            ]
        )

    ours, written = both(given, x)
    np.testing.assert_allclose(ours, written, rtol=1e-8 if x64 else 1e-4)


@pytest.mark.parametrize("noise", ["constant", "heteroscedastic"])
def test_the_value_to_beat_moves_with_the_noise(noise):
    """By sqrt(2) deviations of it, around the best less a margin."""

    @eqx.filter_jit
    def values(gp, keys):
        given = gp.condition(data())
        best = jax.lax.map(lambda key: MACE(given, key, best_y=0.0).best_y, keys)
        return best, given.scale, given.noise(given.incumbent[None])[0]

    gp, keys = GP(SPACE, noise=noise), jax.random.split(jax.random.key(2), 400)
    found, unit, variance = map(np.asarray, values(gp, keys))
    noise = np.sqrt(2 * variance)
    assert abs(found.mean() + 1e-4 * unit) < 5 * noise / np.sqrt(400)
    assert abs(found.std() / noise - 1) < 5 / np.sqrt(800)


def test_of_a_belief_kappa_grows_with_the_run():
    given = posterior()

    @eqx.filter_jit
    def kappa(posterior, size):
        trials = Trials.empty(16, 1)
        trials = eqx.tree_at(lambda t: t.size, trials, size)
        objectives = Several(jax.tree.map(lambda leaf: leaf[None], posterior))
        return MACE.of(Belief(objectives, None, None, trials, jax.random.key(0))).kappa

    squared = 2.5 * np.log(5) + np.log(np.pi**2 / 0.01)
    np.testing.assert_allclose(
        kappa(given, jnp.asarray(5)), np.sqrt(squared), rtol=1e-5
    )
    assert kappa(given, jnp.asarray(16)) > kappa(given, jnp.asarray(5))
