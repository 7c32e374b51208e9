"""Morphisms change nothing that a network computes, and everything can be trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.nas.morphisms import (
    Layer,
    Specification,
    add_skip,
    apply,
    deepen,
    grow_kernel,
    init,
    widen,
)

SPECIFICATION = Specification(2, (Layer(3, 4), Layer(1, 3), Layer(3, 5)), 6, ((0, 3),))
KEY = jax.random.key(0)
MORPHISMS = {
    "widen": lambda s, p: widen(s, p, 1, 7, KEY),
    "widen what a skip writes": lambda s, p: widen(s, p, 3, 11, KEY),
    "widen what a skip reads": lambda s, p: widen(*add_skip(s, p, 1, 3), 1, 6, KEY),
    "widen with shares": lambda s, p: widen(s, p, 1, 9, KEY, noise=0.0, shared=True),
    "widen by nothing": lambda s, p: widen(s, p, 2, 3, KEY),
    "deepen": lambda s, p: deepen(s, p, 2),
    "deepen before a skip's end": lambda s, p: deepen(s, p, 1, kernel=5),
    "deepen at the end": lambda s, p: deepen(s, p, 3),
    "grow the kernel": lambda s, p: grow_kernel(s, p, 2, 5),
    "add a skip": lambda s, p: add_skip(s, p, 1, 3),
}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def network():
    """Every weight random, those of biases too."""
    state = init(SPECIFICATION, KEY)
    rng = np.random.default_rng(1)
    return {
        k: jnp.asarray(v + 0.3 * rng.normal(size=v.shape)) for k, v in state.items()
    }


def images(n=3):
    return jnp.asarray(np.random.default_rng(2).normal(size=(n, 6, 5, 2)))


def assert_same(specification, state, new_specification, new_state):
    before = apply(specification, state, images())
    after = apply(new_specification, new_state, images())
    change = float(jnp.abs(after - before).max())
    assert change <= 1e-12 * float(jnp.abs(before).max())


@pytest.mark.parametrize("name", MORPHISMS)
def test_the_output_stays_and_all_weights_have_their_shapes(name):
    state = network()
    new, grown = MORPHISMS[name](SPECIFICATION, state)
    assert_same(SPECIFICATION, state, new, grown)
    expected = {k: v.shape for k, v in init(new, KEY).items()}
    assert {k: v.shape for k, v in grown.items()} == expected
    assert all(leaf.dtype == jnp.float64 for leaf in grown.values())


def test_all_in_a_row():
    state = network()
    new, grown = SPECIFICATION, state
    for morph in MORPHISMS.values():
        try:
            new, grown = morph(new, grown)
        except ValueError:  # what an earlier one has already done, or outgrown
            continue
    assert len(new.layers) == 6
    assert_same(SPECIFICATION, state, new, grown)


def gradient(specification, state):
    def loss(state):
        return jnp.sum(apply(specification, state, images()) ** 2)

    return jax.grad(loss)(state)


def test_new_weights_can_be_trained():
    state = network()
    for specification, grown, name in (
        (*deepen(SPECIFICATION, state, 2), "kernel3"),
        (*grow_kernel(SPECIFICATION, state, 2, 5), "kernel2"),
        (*add_skip(SPECIFICATION, state, 1, 3), "skip1_3"),
    ):
        slope = gradient(specification, grown)[name]
        assert bool(jnp.all(jnp.isfinite(slope)))
        assert float(jnp.mean(slope != 0)) > 0.5


def descended(specification, state, steps=3):
    for _ in range(steps):
        slope = gradient(specification, state)
        state = jax.tree.map(lambda w, g: w - 1e-3 * g, state, slope)
    return state


def different_channels(state):
    columns = np.asarray(state["kernel1"]).reshape(-1, 8).T
    return len({tuple(np.round(column, 9)) for column in columns})


def test_new_channels_go_their_own_ways_but_exact_copies_never_part():
    state = network()
    new, grown = widen(SPECIFICATION, state, 1, 8, KEY)
    readers = np.asarray(gradient(new, grown)["kernel2"])[0, 0]
    assert len({tuple(np.round(row, 9)) for row in readers}) == 8
    after = descended(new, grown)
    moved = np.asarray(after["kernel1"] - grown["kernel1"]).reshape(-1, 8)
    assert np.all(np.abs(moved).max(axis=0) > 0)
    assert different_channels(after) == 8
    for noise, expected in ((0.0, 4), (1e-3, 8)):
        new, grown = widen(SPECIFICATION, state, 1, 8, KEY, noise, shared=True)
        assert different_channels(descended(new, grown)) == expected
    before = apply(SPECIFICATION, state, images())
    assert float(jnp.abs(apply(new, grown, images()) - before).max()) > 0


def test_what_cannot_be_reached_is_an_error_that_names_it():
    state = network()
    with pytest.raises(ValueError, match="width: expected at least 4, got 3"):
        widen(SPECIFICATION, state, 1, 3, KEY)
    with pytest.raises(ValueError, match="noise: expected a number >= 0, got"):
        widen(SPECIFICATION, state, 1, 8, KEY, noise=-1.0)
    with pytest.raises(ValueError, match="layer: expected 1 to 3, got 4"):
        deepen(SPECIFICATION, state, 4)
    with pytest.raises(ValueError, match="kernel: expected an odd size >= 3, got 4"):
        grow_kernel(SPECIFICATION, state, 1, 4)
    with pytest.raises(ValueError, match="kernel: expected an odd size >= 3, got 1"):
        grow_kernel(SPECIFICATION, state, 1, 1)
    with pytest.raises(ValueError, match="source: expected 0 to 1, got 2"):
        add_skip(SPECIFICATION, state, 2, 3)
    with pytest.raises(ValueError, match="source: expected a new skip, got 0 to 3"):
        add_skip(SPECIFICATION, state, 0, 3)
