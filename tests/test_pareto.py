"""Fronts, crowding and hypervolume, beside their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax import pareto


def drawn(n=40, m=2, seed=0, levels=None):
    y = np.random.default_rng(seed).uniform(size=(n, m))
    return y if levels is None else np.floor(y * levels)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_fronts_are_peeled_one_by_one(m):
    y = drawn(m=m, levels=8)  # with ties
    mask = np.arange(40) % 5 > 0
    expected = np.full(40, 40)
    left, level = set(np.flatnonzero(mask)), 0
    while left:
        front = {
            i
            for i in left
            if not any(np.all(y[j] <= y[i]) and np.any(y[j] < y[i]) for j in left)
        }
        expected[list(front)] = level
        left, level = left - front, level + 1
    np.testing.assert_array_equal(
        pareto.fronts(jnp.asarray(y), jnp.asarray(mask)), expected
    )


def test_crowding_is_the_gap_between_neighbors_in_the_front():
    y = jnp.array([[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0], [4.0, 4.0]])
    front = pareto.fronts(y, jnp.ones(5, bool))
    assert front.tolist() == [0, 0, 0, 0, 1]
    crowding = np.asarray(pareto.crowding(y, front))
    # In units of the range, 4: (2 - 0) + (4 - 1), (4 - 1) + (2 - 0).
    np.testing.assert_allclose(crowding[1:3], 5 / 4)
    assert np.all(np.isinf(crowding[[0, 3, 4]]))


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_hypervolume_is_what_random_points_say(m):
    y, draws = drawn(12, m), 200_000
    below = np.random.default_rng(1).uniform(size=(draws, m))
    inside = np.zeros(draws, bool)
    for point in y:
        inside |= np.all(below >= point, axis=1)
    error = np.sqrt(inside.mean() * (1 - inside.mean()) / draws)
    volume = pareto.hypervolume(y, np.ones(m))
    assert abs(volume - inside.mean()) < 4 * error + 1e-12


def test_dominated_unknown_and_distant_points_add_no_volume():
    y = np.array([[1.0, 2.0], [2.0, 1.0]])
    more = np.concatenate([y, [[2.0, 2.0], [np.nan, 0.0], [0.0, 5.0], [1.0, 2.0]]])
    assert pareto.hypervolume(more, np.array([3.0, 3.0])) == 3.0
    assert pareto.hypervolume(np.zeros((0, 2)), np.ones(2)) == 0


def test_bad_references_are_errors_that_name_them():
    with pytest.raises(ValueError, match=r"reference: expected one number for each"):
        pareto.hypervolume(np.zeros((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match="reference: expected finite numbers"):
        pareto.hypervolume(np.zeros((3, 2)), np.array([1.0, np.inf]))


def test_fronts_compile_and_batch():
    y = jnp.asarray(np.stack([drawn(seed=s) for s in range(3)]))
    mask = jnp.ones(40, bool)
    batched = jax.jit(jax.vmap(pareto.fronts, in_axes=(0, None)))(y, mask)
    for one, expected in zip(batched, y, strict=True):
        np.testing.assert_array_equal(one, pareto.fronts(expected, mask))
