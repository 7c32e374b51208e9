import os
import pathlib
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import BayesOpt, Random, Sobol, Strategy
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


@pytest.mark.long
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

    class Counted(Shifted):
        def __call__(self, x, key):
            traces.append(1)
            return super().__call__(x, key)

    first, second = (
        simulate(strategy, Counted(jnp.array(center)), 5, KEY) for center in (0.1, 0.9)
    )
    assert len(traces) == 1
    assert not np.allclose(first.y, second.y)


class Shifted(eqx.Module):
    """A bowl around a center."""

    center: jax.Array

    def __call__(self, x, key):
        return jnp.sum((x - self.center) ** 2)


def test_problems_of_one_shape_run_in_one_program(strategy):
    centers = jnp.array([0.1, 0.5, 0.9])
    together = eqx.filter_vmap(lambda f: simulate(strategy, f, 6, KEY))(
        Shifted(centers)
    )
    assert together.y.shape == (3, 6)
    for i, center in enumerate(centers):
        alone = simulate(strategy, Shifted(center), 6, KEY)
        np.testing.assert_allclose(together.x[i], alone.x, atol=1e-6)
        np.testing.assert_allclose(together.y[i], alone.y, atol=1e-6)


class Quadrant(Strategy):
    """Random points of the cube from 0 to `size`, a number of the strategy's."""

    space: bojax.Space
    size: jax.Array

    def start(self, trials):
        return None

    def propose(self, memory, trials, key, numbers):
        draw = lambda number: jax.random.uniform(
            jax.random.fold_in(key, number), trials.x.shape[1:], trials.x.dtype
        )
        return self.size * jax.vmap(draw)(numbers), memory


def test_numbers_of_a_strategy_run_in_one_program(space):
    sizes = jnp.array([0.2, 1.0])
    make = lambda size: Quadrant(space, size)
    together = jax.vmap(lambda size: simulate(make(size), bowl, 5, KEY))(sizes)
    for i, size in enumerate(sizes):
        alone = simulate(make(size), bowl, 5, KEY)
        np.testing.assert_allclose(together.x[i], alone.x, atol=1e-6)
        assert np.all(np.asarray(alone.x) <= size)


class Alternating(Quadrant):
    """Every second point at full fidelity, the second column's."""

    chooses_fidelity = True

    def propose(self, memory, trials, key, numbers):
        x, memory = super().propose(memory, trials, key, numbers)
        return x.at[:, 1].set(numbers % 2), memory


def test_the_best_so_far_is_at_full_fidelity():
    space = bojax.Space({"a": bojax.Float(0, 1), "s": bojax.Fidelity(0, 1)})
    strategy = Alternating(space, jnp.ones(()))
    history = simulate(strategy, lambda x, key: x[0] + 5 * x[1], 6, KEY)
    np.testing.assert_array_equal(history.x[:, 1], [0, 1] * 3)
    full = np.where(history.x[:, 1] == 1, history.y, np.inf)
    np.testing.assert_array_equal(history.best_y, np.minimum.accumulate(full))


@pytest.mark.long
def test_so_do_starting_points_of_a_model():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    numbers, rest = eqx.partition(BayesOpt(space, num_initial=3), eqx.is_array_like)
    scales = jnp.array([1.0, 2.0])

    def run(scale):
        scaled = jax.tree.map(lambda leaf: scale * leaf, numbers)
        return simulate(eqx.combine(scaled, rest), bowl, 6, KEY)

    together = jax.vmap(run)(scales)
    for i, scale in enumerate(scales):
        np.testing.assert_allclose(together.x[i], run(scale).x, atol=1e-3)


EIGHT_DEVICES = """
import sys, jax, jax.numpy as jnp, numpy as np, bojax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from bojax.tuning import simulate

assert len(jax.devices()) == 8
space = bojax.Space({"a": bojax.Float(0, 1)})
strategy = getattr(bojax.strategies, sys.argv[1])(space)
keys = jax.random.split(jax.random.key(0), 16)
objective = lambda x, key: jnp.sum((x - 0.3) ** 2)
alone = simulate(strategy, objective, 4, keys)
mesh = Mesh(np.array(jax.devices()), ("runs",))
sharding = NamedSharding(mesh, PartitionSpec("runs"))
shared = simulate(strategy, objective, 4, jax.device_put(keys, sharding))
assert len(shared.y.sharding.device_set) == 8, shared.y.sharding
assert shared.y.addressable_shards[3].data.shape == (2, 4)
np.testing.assert_allclose(shared.x, alone.x, atol=1e-5)
print("shared")
"""


@pytest.mark.parametrize(
    "strategy", ["Sobol", pytest.param("BayesOpt", marks=pytest.mark.long)]
)
def test_keys_on_eight_devices_run_there(strategy):
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES, strategy],
        env=os.environ
        | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
            "PYTHONPATH": str(pathlib.Path(bojax.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "shared\n"


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


def test_counts_and_seeds_are_integers_of_any_kind(strategy):
    expected = simulate(strategy, bowl, 6, KEY)
    history = simulate(strategy, bowl, np.int64(6), 7)
    np.testing.assert_array_equal(history.x, expected.x)


def test_whether_to_recommend_is_one_of_three(strategy):
    with pytest.raises(ValueError, match="recommend: expected False, True"):
        simulate(strategy, bowl, 6, KEY, recommend="quiet")


@pytest.mark.parametrize(
    ("num_trials", "keys", "match"),
    [
        (3, "seed", "keys: expected an integer or one jax.random.key, got 'seed'"),
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
