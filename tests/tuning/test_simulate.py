import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import BayesOpt, Random, Sobol
from bojax.tuning import Study, simulate

KEY = jax.random.key(7)


def bowl(x, key):
    return jnp.sum((x - 0.3) ** 2)


def noise(x, key):
    """Nothing but the key: the same in both precisions."""
    return jax.random.key_data(key)[0] / 2.0**32


def told_by_hand(strategy, objective, num_trials, key):
    """The same run by a study: its points, and its values."""
    study = Study(strategy.space, strategy, key=key)
    points, values = [], []
    for _ in range(num_trials):
        trial = study.ask()
        points.append(trial._points.x[0])
        values.append(float(objective(points[-1], trial.key)))
        study.tell(trial, values[-1])
    return np.array(points), np.array(values)


@pytest.mark.parametrize("make", [Random, Sobol])
def test_a_simulated_run_is_the_one_of_a_study(space, make):
    # 40 trials: the table grows once.
    with jax.enable_x64(True):
        history = simulate(make(space), noise, 40, KEY)
    points, values = told_by_hand(make(space), noise, 40, KEY)
    np.testing.assert_allclose(history.x, points, rtol=0, atol=1e-12)
    np.testing.assert_allclose(history.y, values, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_so_it_is_with_a_model_that_learns():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    strategy = BayesOpt(space, num_initial=3)
    with jax.enable_x64(True):
        history = simulate(strategy, bowl, 7, KEY)
        points, values = told_by_hand(
            strategy, lambda x, key: np.sum((x - 0.3) ** 2), 7, KEY
        )
    np.testing.assert_allclose(history.x, points, rtol=0, atol=1e-6)
    np.testing.assert_allclose(history.y, values, rtol=0, atol=1e-6)


def test_best_y_is_the_least_so_far(strategy, x64):
    history = simulate(strategy, bowl, 10, KEY)
    dtype = jnp.float64 if x64 else jnp.float32
    assert history.x.shape == (10, 3)
    assert history.y.dtype == history.x.dtype == history.best_y.dtype == dtype
    np.testing.assert_array_equal(history.best_y, np.minimum.accumulate(history.y))


def test_failures_are_told_and_never_the_best(strategy):
    def fails_below(x, key):
        low = jnp.where(x[0] < 0.2, -jnp.inf, jnp.nan)
        return jnp.where(x[0] < 0.6, low, x[0])

    history = simulate(strategy, fails_below, 20, KEY)
    x = np.asarray(history.x[:, 0])
    np.testing.assert_array_equal(history.y, np.where(x < 0.6, np.nan, x))
    expected = np.fmin.accumulate(np.where(x < 0.6, np.inf, x))
    np.testing.assert_array_equal(history.best_y, expected)


def test_a_batch_of_keys_is_as_many_runs(strategy):
    keys = jax.random.split(KEY, 3)
    batch = simulate(strategy, bowl, 6, keys)
    assert batch.x.shape == (3, 6, 3)
    assert batch.y.shape == batch.best_y.shape == (3, 6)
    for i, key in enumerate(keys):
        alone = simulate(strategy, bowl, 6, key)
        np.testing.assert_allclose(batch.x[i], alone.x, atol=1e-6)
    in_step = jax.vmap(lambda key: simulate(strategy, bowl, 6, key))(keys)
    np.testing.assert_allclose(batch.y, in_step.y, atol=1e-6)


def test_an_objective_with_arrays_is_compiled_once(strategy):
    traces = []

    class Shifted(eqx.Module):
        center: jax.Array

        def __call__(self, x, key):
            traces.append(1)
            return jnp.sum((x - self.center) ** 2)

    first, second = (
        simulate(strategy, Shifted(jnp.array(center)), 5, KEY) for center in (0.1, 0.9)
    )
    assert len(traces) == 1
    assert not np.allclose(first.y, second.y)


@pytest.mark.parametrize(
    "objective",
    [
        lambda x, key: float(x[0]),
        lambda x, key: 0.0 if x[0] > 0.5 else 1.0,
        lambda x, key: np.sum(np.asarray(x)),
        lambda x, key: jnp.arange(10.0)[: int(4 * x[0])].sum(),
    ],
    ids=["float", "if", "numpy", "int"],
)
def test_an_objective_that_needs_numbers_is_sent_to_the_study(strategy, objective):
    with pytest.raises(TypeError, match=r"objective: simulate traces .*bojax\.Study"):
        simulate(strategy, objective, 3, KEY)


@pytest.mark.parametrize(
    ("objective", "match"),
    [
        (lambda x, key: x, r"objective: expected a floating scalar, got float32\[3\]"),
        (lambda x, key: jnp.array(1), r"got int32\[\]"),
    ],
)
def test_an_objective_returns_one_floating_number(strategy, objective, match):
    with pytest.raises(ValueError, match=match):
        simulate(strategy, objective, 3, KEY)


def test_errors_of_the_objective_itself_pass_through(strategy):
    def broken(x, key):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        simulate(strategy, broken, 3, KEY)


@pytest.mark.parametrize(
    ("num_trials", "keys", "match"),
    [
        (0, KEY, "num_trials: expected at least 1, got 0"),
        (3, jnp.zeros(2, jnp.uint32), "keys"),
        (
            3,
            jax.random.split(KEY, (2, 2)),
            "keys: expected a jax.random.key or",
        ),
    ],
)
def test_bad_arguments_are_named(strategy, num_trials, keys, match):
    with pytest.raises((ValueError, TypeError), match=match):
        simulate(strategy, bowl, num_trials, keys)
