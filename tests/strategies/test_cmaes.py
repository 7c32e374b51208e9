"""CMA-ES: what evosax says of each generation, and what comes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evosax import algorithms

import bojax
from bojax.strategies import CMAES, Random

SPACE = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abcde"})
CENTER = jnp.asarray([0.8, 0.3, 0.6, 0.2, 0.5])
TURN = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0])


def valley(x, key=None):
    """A long ellipsoid, not along the axes."""
    z = TURN @ (x - CENTER)
    return jnp.sum(z**2 * 10.0 ** jnp.arange(0, 2.5, 0.5))


@pytest.mark.long
def test_it_descends_a_valley():
    keys = jax.random.split(jax.random.key(0), 4)
    ours, theirs = (
        bojax.simulate(strategy, valley, 400, keys).best_y[:, -1]
        for strategy in (CMAES(SPACE), Random(SPACE))
    )
    assert float(jnp.max(ours)) < float(jnp.min(theirs)) / 100


def test_generations_are_told_as_evosax_would_be_told_in_whichever_order():
    strategy = CMAES(SPACE, population=6)
    state = strategy.init(jax.random.key(1), 32)
    algorithm = algorithms.CMA_ES(population_size=6, solution=jnp.zeros(5))
    parameters = algorithm.default_params.replace(std_init=jnp.asarray(0.3))
    theirs = algorithm.init(jax.random.key(0), jnp.full(5, 0.5), parameters)
    for _ in range(3):
        points, state = strategy.ask(state, 6)
        y = jax.vmap(valley)(points.x)
        for k in (4, 0, 5, 1, 3, 2):
            one = jax.tree.map(lambda leaf, k=k: leaf[k : k + 1], points)
            state = strategy.tell(state, one, y[k : k + 1])
        _, theirs = algorithm.ask(jax.random.key(0), theirs, parameters)
        theirs, _ = algorithm.tell(jax.random.key(0), points.x, y, theirs, parameters)
    _, state = strategy.ask(state)
    assert int(state.memory.generation) == 3
    for name in ("mean", "std", "C"):
        np.testing.assert_allclose(
            getattr(state.memory.search, name),
            getattr(theirs, name),
            rtol=1e-4,
            atol=1e-6,
        )


def test_a_generation_waits_for_its_last_value_and_failures_are_the_worst():
    strategy = CMAES(SPACE, population=4)
    state = strategy.init(jax.random.key(1), 32)
    points, state = strategy.ask(state, 4)
    first = jax.tree.map(lambda leaf: leaf[:3], points)
    state = strategy.tell(state, first, jnp.array([1.0, jnp.nan, jnp.inf]))
    more, state = strategy.ask(state, 2)
    assert int(state.memory.generation) == 0
    last = jax.tree.map(lambda leaf: leaf[3:], points)
    state = strategy.tell(state, last, jnp.array([2.0]))
    state = strategy.tell(state, more, jnp.array([2.0, 3.0]))
    points, state = strategy.ask(state)
    assert int(state.memory.generation) == 1
    assert bool(jnp.all(jnp.isfinite(points.x)))


def test_bad_arguments_are_errors_that_name_them():
    with pytest.raises(ValueError, match="population: expected at least 2, got 1"):
        CMAES(SPACE, population=1)
    with pytest.raises(ValueError, match="num_objectives: expected 1 for CMAES, got 2"):
        CMAES(SPACE).init(jax.random.key(0), num_objectives=2)
