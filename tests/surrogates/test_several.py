"""Several posteriors as one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.data import Dataset
from bojax.surrogates import GP, Several


def test_each_is_a_posterior_and_there_are_no_others():
    gp = GP(bojax.Space({"a": bojax.Float(0.0, 1.0)}))
    x, y = jnp.zeros((1, 1)), jnp.array([[1.0], [2.0], [4.0]])
    several = Several(jax.vmap(lambda y: gp.condition(Dataset.of(x, y)))(y))
    means = [posterior.marginal(x[0])[0] for posterior in several]
    np.testing.assert_allclose(means, several.marginal(x[0])[0], rtol=1e-6)
    assert len(means) == len(several) == 3
    assert several[-1].best_y == several[2].best_y == 4
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index: expected one of 3, got {index}"):
            several[index]
