"""The synthetic graphs have the values and the optimum that their formula says."""

import itertools

import jax
import numpy as np
import pytest

from bojax import problems


def test_every_value_is_the_formulas_and_the_optimum_is_the_least():
    table = problems.graph(nodes=3, operations=3, seed=4)
    scores = np.random.default_rng(4).uniform(size=(3, 3))
    worst = np.argmin(scores[0] + scores[1])
    expected = {}
    for ops in itertools.product(range(3), repeat=3):
        bonus = 0.5 * (ops[0] == ops[1] == worst)
        expected[ops] = -np.mean([scores[e, o] for e, o in enumerate(ops)]) - bonus
    for ops, value in expected.items():
        config = dict(zip(table.space.names, (f"op{o}" for o in ops), strict=True))
        x = table.space.encode(config)
        np.testing.assert_allclose(table(x, jax.random.key(0)), value, rtol=1e-6)
    np.testing.assert_allclose(table.optimum, min(expected.values()))


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_has_the_bonus_and_the_best_single_edges_have_not(seed):
    table = problems.graph(seed=seed)
    scores = np.random.default_rng(seed).uniform(size=(6, 5))
    assert table.optimum < -scores.max(axis=1).mean() - 1e-6


def test_bad_sizes_are_errors_that_name_them():
    with pytest.raises(ValueError, match="nodes: expected at least 2, got 1"):
        problems.graph(nodes=1)
    with pytest.raises(ValueError, match="operations: expected at least 2, got 1"):
        problems.graph(operations=1)
    with pytest.raises(ValueError, match="nodes: expected at most a million graphs"):
        problems.graph(nodes=6)
