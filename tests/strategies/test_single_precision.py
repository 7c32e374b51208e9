"""Single precision: nothing double inside, and a flag where a factor is not trusted."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import BayesOpt
from bojax.strategies.anew import Fit

MIXED = bojax.Space(
    {
        "a": bojax.Float(0, 1),
        "kind": bojax.Categorical("p", "q"),
        "n": bojax.Int(1, 40),
        "only_q": bojax.Float(0, 1, when={"kind": "q"}),
    }
)


def test_nothing_double_is_in_the_program_of_an_ask():
    # Whoever asks JAX for doubles by name gets a warning here, which is an error.
    strategy = BayesOpt(MIXED)
    arrays, static = eqx.partition(
        (strategy, strategy.init(jax.random.key(0), 16)), eqx.is_array
    )

    def ask(arrays):
        strategy, state = eqx.combine(arrays, static)
        return eqx.filter(strategy.ask(state, 2), eqx.is_array)

    text = jax.jit(ask).lower(arrays).as_text()
    assert "f32" in text
    assert "f64" not in text


@pytest.mark.parametrize("broken", [False, True])
def test_a_factor_that_is_not_to_be_trusted_is_flagged(broken):
    strategy = BayesOpt(MIXED, num_initial=2)
    state = strategy.init(jax.random.key(0), 8)
    x = jnp.asarray(np.random.default_rng(0).random((6, 4)))
    state = strategy.observe(state, x, jnp.arange(6.0))
    if broken:
        parameters = state.memory.whole.parameters
        nothing = jax.tree.map(lambda leaf: leaf * jnp.nan, parameters)
        fit = Fit(nothing, jnp.int32(99), True)
        state = eqx.tree_at(lambda state: state.memory.whole, state, fit)
    key = jax.random.key(1)
    believe = eqx.filter_jit(lambda s, fit, trials: s.believe(fit, trials, key))
    _, fit = believe(strategy, state.memory.whole, state.trials)
    assert bool(fit.trusted) != broken
