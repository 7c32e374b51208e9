"""Networks of chains that grow: what they compute stays, all that is new can learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from bojax.nas import Chain, deepened, inherit

CHAIN = Chain(depth=4, widths=(4, 6, 8), kernels=(1, 3, 5), skips=True)
PLAIN = {"kind1": "plain", "kernel1": 3, "width1": 4}
MIXED = {
    "depth": 3,
    **PLAIN,
    "kind2": "bottleneck",
    "kernel2": 3,
    "width2": 4,
    "ratio2": 2,
    "kind3": "inverted",
    "kernel3": 3,
    "width3": 4,
    "ratio3": 2,
    "skip02": True,
    "skip03": False,
    "skip13": True,
}
CHANGES = {
    "wider plain block": (MIXED | {"width1": 6, "width3": 6, "width2": 6}, None),
    "wider, its input no longer added": (MIXED | {"width1": 8}, None),
    "wider in the middle, larger kernels, one more skip": (
        MIXED | {"ratio3": 4, "kernel1": 5, "kernel2": 5, "kernel3": 5, "skip03": True},
        None,
    ),
    "plain after plain": (deepened(CHAIN, MIXED, 1), 1),
    "bottleneck": (deepened(CHAIN, MIXED, 2, "bottleneck", ratio=4), 2),
    "inverted at the end": (deepened(CHAIN, MIXED, 3, "inverted", kernel=1), 3),
    "all at once": (
        deepened(CHAIN, MIXED, 1, "inverted")
        | {"kernel1": 5, "width1": 8, "width2": 8, "width3": 8, "width4": 8}
        | {"skip04": True, "skip02": True, "ratio4": 4},
        1,
    ),
}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@functools.cache
def parent():
    """Every weight random, means and variances of normalizations too."""
    network, rng = CHAIN.build(MIXED, nnx.Rngs(0)), np.random.default_rng(0)
    state = jax.tree.map(
        lambda leaf: jnp.asarray(
            np.asarray(leaf, float) + 0.3 * np.abs(rng.normal(size=leaf.shape))
        ),
        nnx.state(network),
    )
    nnx.update(network, state)
    network.eval()
    return network


def images(n=3):
    return jnp.asarray(np.random.default_rng(2).normal(size=(n, 6, 5, 1)))


@nnx.jit
def logits(network, x):
    return network(x)


@pytest.mark.parametrize("name", CHANGES)
def test_the_output_stays_in_double_precision(name):
    larger, after = CHANGES[name]
    child = inherit(CHAIN, MIXED, parent(), larger, nnx.Rngs(1), after)
    child.eval()
    before, now = logits(parent(), images()), logits(child, images())
    assert now.dtype == jnp.float64
    assert float(jnp.abs(now - before).max()) <= 1e-12 * float(jnp.abs(before).max())
    new = nnx.eval_shape(lambda: CHAIN.build(larger, nnx.Rngs(0)))
    shapes = [leaf.shape for leaf in jax.tree.leaves(nnx.state(new))]
    assert [leaf.shape for leaf in jax.tree.leaves(nnx.state(child))] == shapes


@pytest.mark.long
def test_everything_that_is_new_learns():
    larger, after = CHANGES["all at once"]
    child = inherit(CHAIN, MIXED, parent(), larger, nnx.Rngs(1), after)
    child.eval()
    graph, weights, rest = nnx.split(child, nnx.Param, ...)
    targets = jnp.asarray(np.random.default_rng(4).normal(size=(8, 10)))

    @jax.jit
    def step(weights):
        def loss(weights):
            return jnp.mean((nnx.merge(graph, weights, rest)(images(8)) - targets) ** 2)

        slope = jax.grad(loss)(weights)
        size = 1e-2 / optax.tree.norm(slope)
        return jax.tree.map(lambda w, g: w - size * g, weights, slope), slope

    for _ in range(3):
        weights, slope = step(weights)
    # What is read with weights of zero, or scaled by zero, moves from the second step.
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        assert bool(jnp.all(jnp.isfinite(leaf))), path
        assert bool(jnp.any(leaf != 0)), path
        channels = np.abs(np.asarray(leaf)).reshape(-1, leaf.shape[-1]).max(axis=0)
        assert np.mean(channels > 0) > 0.5, path


def test_what_cannot_be_inherited_is_an_error_that_says_why():
    network = parent()

    def reach(change, after=None):
        inherit(CHAIN, MIXED, network, MIXED | change, nnx.Rngs(1), after)

    with pytest.raises(ValueError, match="larger: expected kernel2 of at least 3, as"):
        reach({"kernel2": 1})
    with pytest.raises(ValueError, match="larger: expected kind1 to be 'plain' as bef"):
        reach({"kind1": "inverted", "ratio1": 2})
    with pytest.raises(ValueError, match="larger: expected block 2 to be no narrower"):
        reach({"ratio2": 4})
    with pytest.raises(ValueError, match="larger: expected skip13 as before, got none"):
        reach({"skip13": False})
    with pytest.raises(ValueError, match="larger: expected 4 blocks, got 3"):
        reach({}, after=1)
    with pytest.raises(ValueError, match="larger: expected block 3 to add its input, "):
        reach({"width3": 6})
    with pytest.raises(ValueError, match="no plain block after one that hands on"):
        inherit(CHAIN, MIXED, network, deepened(CHAIN, MIXED, 3), nnx.Rngs(1), 3)
    # An inverted block's middle may be as wide as what follows by chance: 2 * 4 is 8.
    inverted = deepened(CHAIN, MIXED, 1, "inverted")
    for change, words in (
        ({"width2": 8}, "expected width2 to be 4, as wide as the block it follows"),
        ({"width1": 8}, "expected width2 to be 8, as wide as the block it follows"),
    ):
        with pytest.raises(ValueError, match=words):
            inherit(CHAIN, MIXED, network, inverted | change, nnx.Rngs(1), 1)
    with pytest.raises(ValueError, match="after: expected 1 to 3, got 4"):
        deepened(CHAIN, MIXED, 4)
