"""A neural network before a Gaussian process."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bojax
from bojax.data import Dataset
from bojax.surrogates import GP, Deep

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
MIXED = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "rate": bojax.Float(0.0, 1.0, when={"kind": "p"}),
    }
)


def ridge(n, seed=0):
    """A step along the diagonal: no product of axes, and not stationary."""
    x = np.random.default_rng(seed).uniform(size=(n, 2))
    return jnp.asarray(x), jnp.asarray(np.tanh(12 * (x[:, 0] + x[:, 1] - 1)))


def test_learns_features_that_a_stationary_kernel_lacks():
    with jax.enable_x64(True):
        data, (x, y) = Dataset.of(*ridge(40)), ridge(200, 1)

        @eqx.filter_jit
        def error(gp):
            fitted = gp.fit(data, jax.random.key(0))
            posterior = fitted.condition(data)
            mean = jax.vmap(lambda x: posterior.marginal(x)[0])(x)
            change = fitted.parameters.kernel
            return jnp.sqrt(jnp.mean((mean - y) ** 2)), change

        kernel = Deep.of(SPACE)
        deep, learned = error(GP(SPACE, kernel=kernel))
        plain, _ = error(GP(SPACE))
        assert float(deep) < float(plain)
        moved = learned.encoder_weight - kernel.encoder_weight
        assert float(jnp.abs(moved).max()) > 1e-3


def test_an_encoder_of_ones_own():
    encoder = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    kernel = Deep.of(SPACE, encoder)
    x = jnp.array([0.2, 0.7])
    expected = encoder(2 * x - 1)
    np.testing.assert_allclose(kernel.encode(x), expected, rtol=1e-6)
    assert kernel.encoder_weight.shape == (9,)
    with pytest.raises(ValueError, match="encoder: expected a vector"):
        Deep.of(SPACE, lambda x: jnp.sum(x))


def test_categories_and_conditions_reach_it_as_indicators():
    assert Deep.num_inputs(MIXED) == 3 + 1 + 1
    kernel = Deep.of(MIXED, nnx.Linear(5, 5, rngs=nnx.Rngs(0)))
    identity = jnp.concatenate([jnp.zeros(5), jnp.eye(5).ravel()])
    kernel = eqx.tree_at(lambda k: k.encoder_weight, kernel, identity)
    present = kernel.encode(jnp.asarray(MIXED.encode({"kind": "p", "rate": 0.75})))
    np.testing.assert_allclose(present, [1, 0, 0, 0.5, 1], atol=1e-5)
    absent = kernel.encode(jnp.asarray(MIXED.encode({"kind": "r"})))
    np.testing.assert_allclose(absent, [0, 0, 1, 0, 0], atol=1e-5)
