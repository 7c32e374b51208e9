import contextlib
import os
import pickle
import subprocess
import sys
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl

from bojax._precision import hold, in_double, one_blas_thread

THIRD = 1 / 3


class Model(eqx.Module):
    weight: jax.Array
    name: str = eqx.field(static=True)


def as_seen(*args):
    return tuple(jax.tree.leaves(args))


def dtype_names(*args):
    return [str(held.numpy().dtype) for held in in_double(as_seen, *args)]


@pytest.mark.parametrize(
    ("leaf", "name"),
    [
        (THIRD, "float64"),
        (np.float32(THIRD), "float64"),
        (np.zeros(2, np.float16), "float64"),
        (jnp.zeros(2), "float64"),
        (jnp.zeros(2, jnp.bfloat16), "float64"),
        (np.zeros(2), "float64"),
        (jnp.zeros(2, jnp.int32), "int32"),
        (np.zeros(2, np.int8), "int8"),
        (np.zeros(2, bool), "bool"),
        (jax.random.key(0), "key<fry>"),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_floating_leaves_are_widened_and_others_left_alone(leaf, name):
    assert dtype_names(leaf, 0.0)[0] == name


def test_the_arrays_of_modules_are_widened_too():
    model = Model(jnp.ones(3), "a")
    assert dtype_names(model, {"b": [np.float32(1)]}) == ["float64", "float64"]
    assert hold(model).numpy().weight.dtype == np.float64


def test_results_have_double_accuracy_and_outside_stays_single():
    assert in_double(jnp.divide, 1.0, 3.0).numpy() == THIRD
    assert jnp.zeros(()).dtype == jnp.float32
    assert not jax.config.jax_enable_x64


def careless(x):
    """NaN, infinity, ranks and types mixed."""
    return jnp.log(x) + jnp.zeros((2, 2), jnp.float32)


@pytest.mark.parametrize(
    "checked",
    [
        lambda: jax.debug_nans(True),
        lambda: jax.debug_infs(True),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.numpy_rank_promotion("raise"),
    ],
    ids=["NaN", "infinity", "types", "ranks"],
)
def test_what_users_have_their_own_code_checked_for_stays_outside(checked):
    with checked():
        result = in_double(careless, np.array([-1.0, 0.0])).numpy()
        with pytest.raises((FloatingPointError, TypeError, ValueError)):
            careless(jnp.array([-1.0, 0.0], jnp.bfloat16))
    np.testing.assert_array_equal(result, [[np.nan, -np.inf]] * 2)


def fails(x):
    raise ZeroDivisionError


def test_an_error_inside_leaves_precision_and_threads_as_they_were():
    before = blas_threads()
    with pytest.raises(ZeroDivisionError):
        in_double(fails, 1.0)
    assert not jax.config.jax_enable_x64
    assert blas_threads() == before


def test_equal_calls_are_traced_once_and_static_values_are_told_apart():
    seen = []

    def repeat(x, times):
        seen.append(times)
        return jnp.full(int(times), x)

    for value in (1.0, 2.0, np.float32(3)):
        in_double(repeat, value, 1)
    in_double(repeat, 1.0, True)
    in_double(repeat, 1.0, 2)
    assert [(type(times), int(times)) for times in seen] == [
        (int, 1),
        (bool, 1),
        (int, 2),
    ]


def test_what_is_held_goes_back_in_and_survives_pickling():
    key = jax.random.key(5)
    held = in_double(lambda x, key: ({"x": x / 3, "key": key}, x), 1.0, key)[0]
    for copy in (held, pickle.loads(pickle.dumps(held))):
        assert copy.numpy()["x"] == THIRD
        assert in_double(lambda tree: tree["x"], copy).numpy() == THIRD
        data = jax.random.key_data(copy.numpy()["key"])
        np.testing.assert_array_equal(data, jax.random.key_data(key))


@pytest.mark.parametrize(
    "call",
    [
        lambda: jax.jit(lambda x: in_double(jnp.sqrt, x))(1.0),
        lambda: jax.jit(lambda x: in_double(jnp.sqrt, 2.0).numpy() + x)(1.0),
        lambda: jax.vmap(lambda x: in_double(jnp.sqrt, x))(jnp.ones(2)),
        lambda: jax.grad(lambda x: in_double(jnp.sqrt, x))(1.0),
        lambda: jax.lax.scan(lambda c, x: (in_double(jnp.sqrt, c), x), 1.0, None, 2),
    ],
    ids=["jit", "jit, closed over", "vmap", "grad", "scan"],
)
def test_the_door_is_shut_under_a_trace(call):
    with pytest.raises(RuntimeError, match="concrete arrays, got a tracer"):
        call()
    assert not jax.config.jax_enable_x64


def blas_threads():
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    return [library.num_threads for library in controller.lib_controllers]


@pytest.fixture
def threads():
    """What each BLAS has before: two, but for one that is built for one alone."""
    in_double(jnp.sqrt, 2.0)  # loads all the BLAS there is to limit
    with threadpoolctl.threadpool_limits(2, "blas"):
        yield blas_threads()


def test_blas_has_one_thread_inside_and_its_own_number_after(threads):
    with one_blas_thread():
        assert set(blas_threads()) == {1}
    assert blas_threads() == threads


def test_overlapping_limits_come_back_in_either_order(threads):
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(one_blas_thread())
    second.enter_context(one_blas_thread())
    first.close()
    assert set(blas_threads()) == {1}
    second.close()
    assert blas_threads() == threads


def test_limits_of_many_threads_come_back(threads):
    def work():
        for _ in range(200):
            with one_blas_thread():
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert blas_threads() == threads


def test_what_a_function_hands_on_is_the_same_array():
    big = hold(jnp.arange(3.0))
    small = hold(jnp.zeros(()))
    pair, again = in_double(lambda a, b: ((a, b + 1), a), big, small)
    assert pair._arrays[0] is again._arrays[0] is big._arrays[0]
    twice = in_double(lambda pair: (pair[1], pair[0] * 2, 7), pair)
    assert twice[0].numpy() == 1
    assert twice[1].numpy().tolist() == [0, 2, 4]
    assert twice[2].numpy() == 7


def test_the_work_is_done_on_the_cpu_wherever_the_arguments_are():
    program = """
import jax, jax.numpy as jnp
from bojax._precision import hold, in_double
cpu, other = jax.devices()
jax.config.update("jax_default_device", other)
keys = [jax.random.key(0), jax.device_put(jax.random.key(0), other)]
for key in keys:
    held = in_double(lambda key, x: jax.random.normal(key) + x, key, hold(jnp.ones(2)))
    assert held._arrays[0].devices() == {cpu}, held._arrays
    held = in_double(lambda key, x: jax.random.normal(key) + x, key, held)
    assert held._arrays[0].devices() == {cpu}, held._arrays
assert jnp.zeros(2).devices() == {other}
"""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | flags)
