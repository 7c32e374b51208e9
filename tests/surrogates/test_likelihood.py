"""Input warps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax.surrogates import GP
from bojax.surrogates.likelihood import Warping

WARPED = bojax.Space(
    {"a": bojax.Float(0.0, 1.0), "kind": bojax.Categorical("p", "q", "r")}
)


def warp(log_a, log_b):
    d = WARPED.num_columns
    return Warping(WARPED, jnp.full(d, log_a), jnp.full(d, log_b))


def test_a_warp_of_exponents_one_changes_nothing(x64):
    x = jnp.linspace(0, 1, 11)[:, None] * jnp.ones(2)
    np.testing.assert_allclose(jax.vmap(warp(0.0, 0.0))(x), x, atol=3e-6)


def test_a_warp_increases_and_is_smooth_up_to_the_faces(x64):
    grid = jnp.linspace(0, 1, 101)
    exponents = jnp.array([[a, b] for a in (-2.0, 0.3, 2.0) for b in (-2.0, 0.3, 2.0)])

    @jax.jit
    @jax.vmap
    def curve(exponents):
        single = lambda z, e: warp(*e)(jnp.stack([z, z]))
        slope = jax.grad(lambda z, e: single(z, e)[0], (0, 1))
        return jax.vmap(lambda z: (single(z, exponents), slope(z, exponents)))(grid)

    warped, slopes = curve(exponents)
    numbers, categories = warped[..., 0], warped[..., 1]
    assert np.all(np.diff(numbers, axis=1) >= 0)
    # The margin at the faces costs a strong warp some of its range.
    assert np.all(numbers[:, -1] - numbers[:, 0] > 0.25)
    assert np.all((numbers >= 0) & (numbers <= 1))
    np.testing.assert_array_equal(categories, jnp.broadcast_to(grid, categories.shape))
    assert all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes)


def test_a_warp_is_kumaraswamys_distribution():
    a, b, x = 1.7, 0.6, 0.3
    ours = warp(np.log(a), np.log(b))(jnp.array([x, 0.5]))
    np.testing.assert_allclose(ours, [1 - (1 - x**a) ** b, 0.5], rtol=1e-5)


SWITCHED = bojax.Space(
    {
        "depth": bojax.Int(1, 4),
        "rate": bojax.Float(0.0, 1.0, when={"depth": (3, 4)}),
        "scale": bojax.Float(0.0, 1.0, when={"rate": (0.5, 1.0)}),
        "free": bojax.Float(0.0, 1.0),
    }
)


def test_a_warp_changes_nothing_that_exists_or_not():
    warping = Warping(SWITCHED, jnp.array([2.0, -1.5, 1.0, 1.0]), jnp.full(4, 0.5))
    x = SWITCHED.sample(jax.random.key(0), 50)
    warped = jax.vmap(warping)(x)
    active = jax.vmap(SWITCHED.active)
    np.testing.assert_array_equal(active(warped), active(x))
    moved = np.abs(warped - x).max(axis=0) > 0.01
    np.testing.assert_array_equal(moved, [False, False, True, True])


def test_a_warped_process_tells_apart_what_exists():
    """Two points of one depth, from which the warp must not hide all else."""
    gp = GP(SWITCHED, warping=True)
    warping = Warping(SWITCHED, jnp.array([1.5, 0.0, 0.0, 0.0]), jnp.zeros(4))
    gp = eqx.tree_at(lambda gp: gp.parameters.warping, gp, warping)
    low, high = (
        SWITCHED.encode({"depth": 3, "rate": r, "free": 0.5}) for r in (0.0, 0.4)
    )
    x = jnp.asarray(np.stack([low, high]))
    mean = gp.condition(bojax.Dataset.of(x, jnp.array([-1.0, 1.0])))(x).mean
    assert mean[1] - mean[0] > 0.1
