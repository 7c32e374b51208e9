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
from bojax.surrogates import GP, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
BEST = -1.0
KEY = jax.random.key(5)


def dear(values):
    return 1 + values["a"]


def left(x):
    return -3 * x[0]


def several(posterior, count):
    """Outputs of one factor, each of other values."""

    def other(i):
        y = jnp.roll(posterior.data.y[:5], i)
        data = Dataset.of(posterior.data.x[:5], y, capacity=8)
        return GP(SPACE).condition(data)

    turned = [other(i + 1) for i in range(count)]
    return Several(jax.tree.map(lambda *leaves: jnp.stack(leaves), *turned))


def minima(posterior):
    return acquisitions.sample_minima(posterior.sample(KEY, 8, 64), SPACE, KEY)


def stacked(posterior):
    """Of two posteriors of one factor."""
    make = lambda posterior: acquisitions.LogEI(posterior, jnp.asarray(BEST))
    return eqx.filter_vmap(make)(several(posterior, 2).each)


MAKE = {
    "LogEI": lambda posterior: acquisitions.LogEI(posterior, jnp.asarray(BEST)),
    "EI": lambda posterior: acquisitions.EI(posterior, jnp.asarray(BEST)),
    "PI": lambda posterior: acquisitions.PI(posterior, jnp.asarray(BEST)),
    "UCB": lambda posterior: acquisitions.UCB(posterior, jnp.asarray(2.0)),
    "QLogEI": lambda posterior: acquisitions.QLogEI(posterior, BEST, KEY),
    "QLogEI, two": lambda posterior: acquisitions.QLogEI(posterior, BEST, KEY, 2),
    "QLogNEI": lambda posterior: acquisitions.QLogNEI(posterior, KEY),
    "QLogNEI, two": lambda posterior: acquisitions.QLogNEI(posterior, KEY, 2),
    "QUCB": lambda posterior: acquisitions.QUCB(posterior, KEY),
    "QUCB, two": lambda posterior: acquisitions.QUCB(posterior, KEY, 2.0, 2),
    "UCBPE": lambda posterior: acquisitions.UCBPE(posterior, True),
    "MACE": lambda posterior: acquisitions.MACE(posterior, KEY),
    "Feasible": lambda posterior: acquisitions.Feasible(
        acquisitions.LogEI(posterior, BEST), several(posterior, 1), jnp.asarray(True)
    ),
    "QLogEHVI": lambda posterior: acquisitions.QLogEHVI(
        several(posterior, 2), jnp.full(2, 2.0), KEY
    ),
    "QLogEHVI, two": lambda posterior: acquisitions.QLogEHVI(
        several(posterior, 2), jnp.full(2, 2.0), KEY, 2
    ),
    "QLogNEHVI": lambda posterior: acquisitions.QLogNEHVI(
        several(posterior, 3), jnp.full(3, 2.0), KEY
    ),
    "ParEGO": lambda posterior: acquisitions.ParEGO(
        several(posterior, 2), jnp.array([0.3, 0.7]), KEY
    ),
    "Thompson": lambda posterior: acquisitions.Thompson(
        posterior, posterior.sample(KEY, 1, 64)
    ),
    "MES": lambda posterior: acquisitions.MES(posterior, minima(posterior)[1]),
    "JES": lambda posterior: acquisitions.JES(posterior, *minima(posterior)),
    "KG": lambda posterior: acquisitions.KG(posterior, SPACE, KEY, 3),
    "PerCost": lambda posterior: acquisitions.PerCost(
        acquisitions.LogEI(posterior, BEST), acquisitions.KnownCost(SPACE, dear)
    ),
    "Average": lambda posterior: acquisitions.Average(stacked(posterior)),
    "PiBO": lambda posterior: acquisitions.PiBO(
        acquisitions.LogEI(posterior, BEST), left, 0.5
    ),
}
"""Each from a posterior; ", two" after the class: of two points jointly."""

every = pytest.mark.parametrize("name", MAKE)


def posterior(seed=0):
    rng = np.random.default_rng(seed)
    x, y = jnp.asarray(rng.uniform(size=(5, 2))), jnp.asarray(rng.normal(size=5))
    return condition(GP(SPACE), Dataset.of(x, y, capacity=8))


@eqx.filter_jit
def condition(gp, data):
    return gp.condition(data)


@eqx.filter_jit
def make(name, posterior):
    return MAKE[name](posterior)


def num_points(name):
    # The knowledge gradient of three outcomes has a row for each of them.
    return 4 if name == "KG" else 2 if name.endswith(", two") else 1


ANYWHERE = 6


def query(name):
    """Batches anywhere, then at the observations, where variances nearly vanish."""
    q = num_points(name)
    anywhere = jnp.asarray(np.random.default_rng(7).uniform(size=(ANYWHERE, q, 2)))
    known = jnp.stack([posterior().data.x[:5]] * q, axis=1)
    return jnp.concatenate([anywhere, known])


def test_the_grid_is_complete():
    final = {
        name
        for name, value in vars(acquisitions).items()
        if inspect.isclass(value)
        and issubclass(value, Acquisition)
        and not inspect.isabstract(value)
    }
    assert final == {name.split(",")[0] for name in MAKE}


@every
def test_parameters_have_the_names_that_were_promised(name):
    cls = getattr(acquisitions, name.split(",")[0])
    assert list(inspect.signature(cls.__call__).parameters) == ["self", "x"]
    # Or what is wrapped, which has one.
    first = next(iter(inspect.signature(cls).parameters))
    assert first in ("posterior", "objectives", "acquisition")


traces = []


@eqx.filter_jit
def batched(acquisition, x):
    traces.append(type(acquisition))
    return jax.vmap(jax.value_and_grad(acquisition))(x)


@every
def test_a_scalar_with_a_finite_slope_that_compiles_and_batches(name, x64):
    acquisition, x = make(name, posterior()), query(name)
    values, slopes = batched(acquisition, x)
    dtype = jnp.float64 if x64 else jnp.float32
    assert values.dtype == slopes.dtype == dtype
    assert values.shape == (len(x),)
    assert bool(jnp.all(jnp.isfinite(values)) & jnp.all(jnp.isfinite(slopes)))


@every
def test_compiled_is_as_written(name, x64):
    acquisition, x = make(name, posterior()), query(name)
    written = type(acquisition).__call__.__wrapped__(acquisition, x[0])
    assert written.shape == ()
    tolerance = 1e-10 if x64 else 1e-4
    values, _ = batched(acquisition, x)
    np.testing.assert_allclose(values[0], written, rtol=tolerance, atol=tolerance)


@every
def test_an_acquisition_is_a_value_for_which_new_data_compiles_nothing(name):
    first, _ = batched(make(name, posterior()), query(name))
    traces.clear()
    others = [batched(make(name, posterior(seed)), query(name))[0] for seed in (1, 2)]
    assert not traces
    assert len({float(values[0]) for values in (first, *others)}) == 3


@every
def test_flattened_and_restored_it_is_the_same(name):
    acquisition = make(name, posterior())
    leaves, structure = jax.tree.flatten(acquisition)
    restored = jax.tree.unflatten(structure, [jnp.array(np.asarray(l)) for l in leaves])
    assert jax.tree.structure(restored) == structure
    for a, b in zip(
        batched(acquisition, query(name)), batched(restored, query(name)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@every
def test_stacked_it_is_the_loop(name):
    with jax.enable_x64(True):
        each = [make(name, posterior(seed)) for seed in range(2)]
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
        x = query(name)
        values, slopes = eqx.filter_jit(jax.vmap(batched, (0, None)))(together, x)
        # Slopes at the observations are what is left of numbers nearly equal.
        anywhere = slice(ANYWHERE)
        for i in range(2):
            value, slope = batched(each[i], x)
            for a, b in ((values[i], value), (slopes[i], slope)):
                np.testing.assert_allclose(
                    a[anywhere], b[anywhere], rtol=1e-8, atol=1e-8
                )


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
