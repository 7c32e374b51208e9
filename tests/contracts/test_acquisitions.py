"""What every acquisition keeps."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import acquisitions
from bojax.acquisitions import Acquisition, optimize
from bojax.data import Dataset
from bojax.surrogates import GP

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
BEST = -1.0
MAKE = {
    "LogEI": lambda posterior: acquisitions.LogEI(posterior, jnp.asarray(BEST)),
    "EI": lambda posterior: acquisitions.EI(posterior, jnp.asarray(BEST)),
    "PI": lambda posterior: acquisitions.PI(posterior, jnp.asarray(BEST)),
    "UCB": lambda posterior: acquisitions.UCB(posterior, jnp.asarray(2.0)),
    "Thompson": lambda posterior: acquisitions.Thompson(
        posterior, sample(posterior, 1)
    ),
    "MES": lambda posterior: acquisitions.MES(
        posterior, minima(sample(posterior, 8))[1]
    ),
    "JES": lambda posterior: acquisitions.JES(posterior, *minima(sample(posterior, 8))),
}
every = pytest.mark.parametrize("name", MAKE)


@eqx.filter_jit
def sample(posterior, s):
    return posterior.sample(jax.random.key(0), s, 64)


@eqx.filter_jit
def minima(paths):
    return acquisitions.sample_minima(paths, SPACE, jax.random.key(1))


def posterior(seed=0):
    rng = np.random.default_rng(seed)
    x, y = jnp.asarray(rng.uniform(size=(5, 2))), jnp.asarray(rng.normal(size=5))
    return condition(GP(SPACE), Dataset.of(x, y, capacity=8))


@eqx.filter_jit
def condition(gp, data):
    return gp.condition(data)


def query(n=6):
    return jnp.asarray(np.random.default_rng(7).uniform(size=(n, 1, 2)))


def test_the_grid_is_complete():
    final = {
        name
        for name, value in vars(acquisitions).items()
        if inspect.isclass(value)
        and issubclass(value, Acquisition)
        and not inspect.isabstract(value)
    }
    assert final == set(MAKE)


@every
def test_parameters_have_the_names_that_were_promised(name):
    cls = getattr(acquisitions, name)
    assert list(inspect.signature(cls.__call__).parameters) == ["self", "x"]
    assert next(iter(inspect.signature(cls).parameters)) == "posterior"


@eqx.filter_jit
def batched(acquisition, x):
    return jax.vmap(jax.value_and_grad(acquisition))(x)


@every
def test_a_scalar_with_a_finite_slope_that_compiles_and_batches(name, x64):
    acquisition = MAKE[name](posterior())
    x = jnp.concatenate([query(), acquisition.posterior.data.x[:5, None]])
    values, slopes = batched(acquisition, x)
    dtype = jnp.float64 if x64 else jnp.float32
    assert values.dtype == slopes.dtype == dtype
    assert values.shape == (len(x),)
    # At the observations too, where the variance nearly vanishes.
    assert bool(jnp.all(jnp.isfinite(values)) & jnp.all(jnp.isfinite(slopes)))
    written = acquisition(x[0])
    assert written.shape == ()
    tolerance = 1e-10 if x64 else 1e-4
    np.testing.assert_allclose(values[0], written, rtol=tolerance, atol=tolerance)


@every
def test_an_acquisition_is_a_value_for_which_new_data_compiles_nothing(name):
    traces = 0

    @eqx.filter_jit
    def counted(acquisition, x):
        nonlocal traces
        traces += 1
        return acquisition(x)

    values = {
        float(counted(MAKE[name](posterior(seed)), query()[0])) for seed in range(3)
    }
    assert len(values) == 3
    assert traces == 1


@every
def test_flattened_and_restored_it_is_the_same(name):
    acquisition = MAKE[name](posterior())
    leaves, structure = jax.tree.flatten(acquisition)
    restored = jax.tree.unflatten(structure, [jnp.array(np.asarray(l)) for l in leaves])
    assert jax.tree.structure(restored) == structure
    for a, b in zip(
        batched(acquisition, query()), batched(restored, query()), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_batched_maximization_is_the_loop():
    with jax.enable_x64(True):
        each = [MAKE["LogEI"](posterior(seed)) for seed in range(3)]
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
        keys = jax.random.split(jax.random.key(0), 3)
        x, value = eqx.filter_jit(
            eqx.filter_vmap(lambda acquisition, key: optimize(acquisition, SPACE, key))
        )(together, keys)
        assert x.shape == (3, 1, 2)
        for i in range(3):
            alone, best = optimize(each[i], SPACE, keys[i])
            # The product of a batch rounds differently, and a climb ends where the
            # slope is about 1e-5.
            np.testing.assert_allclose(value[i], best, atol=1e-7)
            np.testing.assert_allclose(x[i], alone, atol=1e-3)
