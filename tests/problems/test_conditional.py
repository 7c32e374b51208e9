"""The problem of three branches: its space, its optimum, its range."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from bojax import problems

PROBLEM = problems.branches()
SPACE = PROBLEM.space
value = jax.jit(jax.vmap(PROBLEM.fn))

CHOICES = [SPACE.names.index(name) for name in ("model", "penalty", "shape", "depth")]


def leaves():
    """A point in each of the six leaves."""
    seen = {}
    for levels in itertools.product(*(SPACE.levels[j] for j in CHOICES)):
        x = np.full(SPACE.num_columns, 0.5)
        x[CHOICES] = levels
        x = SPACE.project(x)
        seen[tuple(x[CHOICES])] = x
    return list(seen.values())


def test_there_are_three_branches_of_two_leaves_and_depth_two():
    assert len(leaves()) == 6
    config = SPACE.decode(np.array(PROBLEM.minimizers[0]))
    assert config["model"] == "network"
    assert config["depth"] == "two"
    assert set(config) == {
        *("rate", "model", "depth", "dropout", "units", "units2"),
    }


def test_the_minimizer_has_the_optimum_and_a_search_of_each_leaf_finds_no_better():
    with jax.enable_x64(True):
        assert float(PROBLEM.fn(jnp.asarray(PROBLEM.minimizers[0]))) == PROBLEM.optimum
        function = jax.jit(PROBLEM.fn)
        least = []
        for leaf in leaves():
            numbers = np.flatnonzero(SPACE.active(leaf) & (SPACE.num_levels == 0))

            def of_numbers(z, leaf=leaf, numbers=numbers):
                x = np.array(leaf)
                x[numbers] = z
                return float(function(x))

            start = np.full(len(numbers), 0.45)
            bounds = [(0, 1)] * len(numbers)
            least.append(scipy.optimize.minimize(of_numbers, start, bounds=bounds).fun)
    least = np.sort(least)
    np.testing.assert_allclose(least, [0, 0.03, 0.06, 0.08, 0.1, 0.12], atol=1e-6)


def test_the_range_is_reached_at_a_corner_and_not_passed():
    # Convex in the numbers of a leaf, under an increasing map: corners are largest.
    line = np.array([0.0, 1.0])
    ends = [line if levels is None else levels for levels in SPACE.levels]
    corners = np.array(list(itertools.product(*ends)))
    assert round(float(jnp.max(value(corners))), 3) == PROBLEM.range


def test_what_does_not_exist_does_not_matter():
    x = np.random.default_rng(0).random((64, SPACE.num_columns)).astype(np.float32)
    other = np.random.default_rng(1).random(x.shape).astype(np.float32)
    active = np.stack([SPACE.active(row) for row in x])
    np.testing.assert_array_equal(value(x), value(np.where(active, x, other)))
