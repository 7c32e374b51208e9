"""A population is trained as each of its networks would be alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bojax.nas.morphisms import Layer, Specification, apply, init
from bojax.nas.population import Room, stack, train, unstack

NETWORKS = [
    Specification(2, (Layer(3, 4),), 5),
    Specification(2, (Layer(1, 3), Layer(5, 6)), 5),
    Specification(2, (Layer(3, 5), Layer(3, 2), Layer(1, 4)), 5, ((0, 3), (1, 3))),
]
KEYS = jax.random.split(jax.random.key(0), 3)
STATES = [init(net, key) for net, key in zip(NETWORKS, KEYS, strict=True)]
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.normal(size=(24, 6, 5, 2)), jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, 5, size=24))
BATCHES = jnp.asarray(np.stack([RNG.permutation(24)[:8] for _ in range(12)]))
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2))


@functools.partial(jax.jit, static_argnums=0)
def alone(specification, state):
    def loss(state, rows):
        logits = apply(specification, state, IMAGES[rows])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS[rows])
        return jnp.mean(losses)

    def step(carry, rows):
        state, memory = carry
        slope = jax.grad(loss)(state, rows)
        updates, memory = OPTIMIZER.update(slope, memory, state)
        return (optax.apply_updates(state, updates), memory), None

    return jax.lax.scan(step, (state, OPTIMIZER.init(state)), BATCHES)[0][0]


def test_logits_are_those_of_each_network():
    logits = jax.jit(lambda population: population.logits(IMAGES))(
        stack(NETWORKS, STATES, Room(4, 7, 5, ((0, 2), (0, 3), (1, 3))))
    )
    for ours, network, state in zip(logits, NETWORKS, STATES, strict=True):
        theirs = apply(network, state, IMAGES)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.long
def test_training_is_that_of_each_network_alone():
    population = stack(NETWORKS, STATES)
    halfway, memory = train(population, OPTIMIZER, IMAGES, LABELS, BATCHES[:6])
    after, _ = train(halfway, OPTIMIZER, IMAGES, LABELS, BATCHES[6:], memory)
    for ours, network, state in zip(
        unstack(after, NETWORKS), NETWORKS, STATES, strict=True
    ):
        theirs = alone(network, state)
        assert ours.keys() == theirs.keys()
        for name, weights in theirs.items():
            np.testing.assert_allclose(ours[name], weights, atol=1e-5, err_msg=name)
            assert float(jnp.abs(weights - state[name]).max()) > 1e-3


def test_another_population_in_the_same_room_compiles_nothing():
    traces = []

    def update(slope, memory, weights=None):
        traces.append(1)
        return jax.tree.map(jnp.negative, slope), memory

    optimizer = optax.GradientTransformation(lambda weights: (), update)
    room = Room.of(NETWORKS)
    for order in ([0, 1, 2], [2, 0, 0]):
        networks, states = [NETWORKS[k] for k in order], [STATES[k] for k in order]
        train(stack(networks, states, room), optimizer, IMAGES, LABELS, BATCHES)
    assert len(traces) == 1


def test_what_is_unstacked_is_what_was_stacked():
    for ours, theirs in zip(
        unstack(stack(NETWORKS, STATES), NETWORKS), STATES, strict=True
    ):
        assert ours.keys() == theirs.keys()
        for name, weights in theirs.items():
            np.testing.assert_array_equal(ours[name], weights)


def test_bad_populations_are_errors_that_say_what_was_expected():
    with pytest.raises(ValueError, match="specifications: expected at least one, and"):
        stack([], [])
    with pytest.raises(ValueError, match="specifications: expected at least one, and"):
        stack(NETWORKS, STATES[:2])
    with pytest.raises(ValueError, match="specifications: expected the same images"):
        stack([NETWORKS[0], NETWORKS[0]._replace(classes=3)], STATES[:2])
    with pytest.raises(ValueError, match="room: expected room for Room"):
        stack(NETWORKS, STATES, Room(3, 4, 5))
    with pytest.raises(ValueError, match="specifications: expected 1 layers of netw"):
        unstack(stack(NETWORKS, STATES), NETWORKS[::-1])
