"""What every surrogate keeps."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import surrogates
from bojax.data import Dataset
from bojax.strategies import BayesOpt
from bojax.surrogates import GP, Bayesian, Best, Deep, MultiTask, Surrogate, saas

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
CAPACITY = 100


def earlier():
    x = np.random.default_rng(5).uniform(size=(7, 2))
    return Dataset.of(jnp.asarray(x), jnp.asarray(np.sin(3 * x[:, 0]) + x[:, 1]))


def gp():
    return GP(SPACE)


SURROGATES = {
    "GP": gp,
    "GP, heteroscedastic": lambda: GP(SPACE, noise="heteroscedastic"),
    "GP, deep": lambda: GP(SPACE, kernel=Deep.of(SPACE, width=4)),
    "Bayesian": lambda: Bayesian(gp(), num_warmup=8, num_samples=4, thinning=2),
    "Bayesian, saas": lambda: saas(SPACE, num_warmup=8, num_samples=4, thinning=2),
    "MultiTask": lambda: MultiTask(gp(), [earlier()]),
    "Best": lambda: Best([gp(), GP(SPACE, mean="linear", warping=True)]),
}
LONG = pytest.mark.long
every = pytest.mark.parametrize("name", SURROGATES)


def test_the_grid_is_complete():
    final = {
        name
        for name, value in vars(surrogates).items()
        if inspect.isclass(value)
        and issubclass(value, Surrogate)
        and not inspect.isabstract(value)
    }
    assert final == {name.partition(",")[0] for name in SURROGATES}


def data(seed=0, order=None, capacity=CAPACITY):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(9, 2))
    y = np.sin(3 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=9)
    order = np.arange(9) if order is None else order
    return Dataset.of(jnp.asarray(x[order]), jnp.asarray(y[order]), capacity=capacity)


QUERY = np.random.default_rng(7).uniform(size=(4, 2))
TRACES = {"count": 0}


def learned(surrogate, data, key, afresh):
    TRACES["count"] += 1
    fitted = surrogate.fit(data, key, afresh)
    posterior = fitted.condition(data)
    return fitted, posterior(jnp.asarray(QUERY)), posterior.best_y


compiled = eqx.filter_jit(learned)


@every
def test_new_data_compiles_nothing_and_is_learned_from(name, x64):
    surrogate, key = SURROGATES[name](), jax.random.key(0)
    dtype = jnp.float64 if x64 else jnp.float32
    TRACES["count"] = 0
    means = []
    for seed in range(3):
        afresh = jnp.asarray(seed == 0)
        surrogate, normal, best_y = compiled(surrogate, data(seed), key, afresh)
        assert normal.mean.dtype == normal.covariance.dtype == dtype
        assert bool(jnp.all(jnp.isfinite(normal.covariance)))
        values = np.linalg.eigvalsh(np.asarray(normal.covariance, float))
        assert values[0] > -1e-3 * values[-1]
        np.testing.assert_allclose(best_y, data(seed).y[:9].min(), rtol=1e-6)
        means.append(np.asarray(normal.mean))
    assert TRACES["count"] == 1
    assert np.abs(means[1] - means[0]).max() > 1e-3
    for leaf in jax.tree.leaves(surrogate.parameters):
        assert bool(jnp.all(jnp.isfinite(leaf)))


@eqx.filter_jit
def predicted(surrogate, data, pending=None):
    posterior = surrogate.condition(data, pending)
    return posterior(jnp.asarray(QUERY)), posterior


@every
def test_neither_padding_nor_the_order_of_rows_matters(name):
    with jax.enable_x64(True):
        surrogate = SURROGATES[name]()
        normal, posterior = predicted(surrogate, data())
        order = np.random.default_rng(1).permutation(9)
        for other in (data(capacity=9), data(order=order)):
            again, _ = predicted(surrogate, other)
            np.testing.assert_allclose(again.mean, normal.mean, atol=1e-8)
            np.testing.assert_allclose(again.covariance, normal.covariance, atol=1e-8)
        # A point alone is what it is among others.
        for x, mean, variance in zip(
            jnp.asarray(QUERY), normal.mean, normal.variance, strict=True
        ):
            alone = eqx.filter_jit(posterior.marginal)(x)
            np.testing.assert_allclose(alone, (mean, variance), atol=1e-8)


@every
def test_what_is_pending_changes_variances_alone(name):
    with jax.enable_x64(True):
        surrogate = SURROGATES[name]()
        normal, _ = predicted(surrogate, data())
        x = data().x.at[9].set(QUERY[0])
        table = Dataset(x, data().y, data().mask, data().variance)
        pending = jnp.arange(CAPACITY) == 9
        believed, posterior = predicted(surrogate, table, pending)
        np.testing.assert_allclose(believed.mean, normal.mean, atol=1e-8)
        assert believed.variance[0] < 0.9 * normal.variance[0]
        observed = eqx.filter_jit(lambda p: p.observed(jnp.asarray(QUERY)))(posterior)
        np.testing.assert_allclose(observed.covariance, normal.covariance, atol=1e-8)
        # So does one that is appended later.
        appended = eqx.filter_jit(
            lambda p: p.grow(1).append(CAPACITY, jnp.asarray(QUERY[0]))
        )(predicted(surrogate, data())[1])
        np.testing.assert_allclose(
            appended(jnp.asarray(QUERY)).variance, believed.variance, atol=1e-6
        )


@every
def test_eager_is_what_is_compiled(name):
    with jax.enable_x64(True):
        surrogate = SURROGATES[name]()
        normal, _ = predicted(surrogate, data())
        with jax.disable_jit():
            posterior = surrogate.condition(data())
            eager = posterior(jnp.asarray(QUERY))
            alone = [posterior.marginal(x) for x in jnp.asarray(QUERY)]
        np.testing.assert_allclose(eager.mean, normal.mean, atol=1e-8)
        np.testing.assert_allclose(eager.covariance, normal.covariance, atol=1e-8)
        moments = np.transpose([normal.mean, normal.variance])
        np.testing.assert_allclose(alone, moments, atol=1e-8)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("Bayesian", "Best") else pytest.param(name, marks=LONG)
        for name in SURROGATES
    ],
)
def test_serves_bayesian_optimization_alone_in_batches_and_with_pending(name):
    strategy = BayesOpt(SPACE, SURROGATES[name](), num_initial=3)
    state = strategy.init(jax.random.key(0), 16)
    measure = lambda points: jnp.sum((points.x - 0.4) ** 2, axis=1)
    for _ in range(3):
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, measure(points))
    waiting, state = strategy.ask(state, 2)
    points, state = strategy.ask(state, 2)
    state = strategy.tell(state, points, measure(points))
    last, state = strategy.ask(state, 2)
    asked = np.concatenate([waiting.x, points.x, last.x])
    assert np.all((asked >= 0) & (asked <= 1))
    assert len(np.unique(asked.round(4), axis=0)) == 6


BAD = {
    "constant": (QUERY, np.full(4, 3.0)),
    "huge": (QUERY, np.array([1e300, -1e300, 1e299, 0.0])),
    "identical points": (np.full((CAPACITY, 2), 0.3), np.linspace(0, 1, CAPACITY)),
    "two": (QUERY[:2], np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("kind", BAD)
@every
def test_bad_data_has_a_sound_answer(name, kind):
    with jax.enable_x64(True):
        x, y = (jnp.asarray(each) for each in BAD[kind])
        surrogate = SURROGATES[name]()
        table = Dataset.of(x, y, capacity=CAPACITY)
        afresh = jnp.asarray(True)
        _, normal, best_y = compiled(surrogate, table, jax.random.key(0), afresh)
        assert bool(jnp.all(jnp.isfinite(normal.mean)))
        assert best_y == y.min()
        span = y.max() / 2 - y.min() / 2
        middle = y.max() / 2 + y.min() / 2
        assert bool(jnp.all(jnp.abs(normal.mean - middle) <= 10 * span + 10))
