"""Each operation beside NumPy, in both interpreters, wherever outputs are inputs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.zero import Op, Program, interpreter, kernels, noise
from bojax.zero import tasks as task_sets
from bojax.zero.analysis import lower
from bojax.zero.interpreter import Lines, State
from bojax.zero.operations import INPUTS, NUM_CONSTANTS, NUM_OPS, OUT, RANDOM, TEXT
from bojax.zero.program import Memory

F, D = 4, 2
MEMORY = Memory(3, 3, 3)
SHAPES = {1: (), 2: (F,), 3: (F, F)}


def entry(old, place, value):
    new = old.copy()
    new[place] = value
    return new


NUMPY = {
    Op.SCALAR_SUM: np.add,
    Op.SCALAR_DIFF: np.subtract,
    Op.SCALAR_PRODUCT: np.multiply,
    Op.SCALAR_DIVISION: np.divide,
    Op.SCALAR_ABS: np.abs,
    Op.SCALAR_RECIPROCAL: lambda a: 1 / a,
    Op.SCALAR_SIN: np.sin,
    Op.SCALAR_COS: np.cos,
    Op.SCALAR_TAN: np.tan,
    Op.SCALAR_ARCSIN: np.arcsin,
    Op.SCALAR_ARCCOS: np.arccos,
    Op.SCALAR_ARCTAN: np.arctan,
    Op.SCALAR_EXP: np.exp,
    Op.SCALAR_LOG: np.log,
    Op.SCALAR_HEAVISIDE: lambda a: float(a >= 0),
    Op.VECTOR_HEAVISIDE: lambda a: (a > 0).astype(float),
    Op.MATRIX_HEAVISIDE: lambda a: (a > 0).astype(float),
    Op.SCALAR_VECTOR_PRODUCT: np.multiply,
    Op.SCALAR_BROADCAST: lambda a: np.full(F, a),
    Op.VECTOR_RECIPROCAL: lambda a: 1 / a,
    Op.VECTOR_NORM: np.linalg.norm,
    Op.VECTOR_ABS: np.abs,
    Op.VECTOR_SUM: np.add,
    Op.VECTOR_DIFF: np.subtract,
    Op.VECTOR_PRODUCT: np.multiply,
    Op.VECTOR_DIVISION: np.divide,
    Op.VECTOR_INNER_PRODUCT: np.dot,
    Op.VECTOR_OUTER_PRODUCT: np.outer,
    Op.SCALAR_MATRIX_PRODUCT: np.multiply,
    Op.MATRIX_RECIPROCAL: lambda a: 1 / a,
    Op.MATRIX_VECTOR_PRODUCT: np.matmul,
    Op.VECTOR_COLUMN_BROADCAST: lambda a: np.tile(a[:, None], (1, F)),
    Op.VECTOR_ROW_BROADCAST: lambda a: np.tile(a, (F, 1)),
    Op.MATRIX_NORM: np.linalg.norm,
    Op.MATRIX_COLUMN_NORM: lambda a: np.linalg.norm(a, axis=0),
    Op.MATRIX_ROW_NORM: lambda a: np.linalg.norm(a, axis=1),
    Op.MATRIX_TRANSPOSE: np.transpose,
    Op.MATRIX_ABS: np.abs,
    Op.MATRIX_SUM: np.add,
    Op.MATRIX_DIFF: np.subtract,
    Op.MATRIX_PRODUCT: np.multiply,
    Op.MATRIX_DIVISION: np.divide,
    Op.MATRIX_MATRIX_PRODUCT: np.matmul,
    Op.SCALAR_MIN: lambda a, b: np.where(b < a, b, a),
    Op.VECTOR_MIN: lambda a, b: np.where(b < a, b, a),
    Op.MATRIX_MIN: lambda a, b: np.where(a < b, a, b),
    Op.SCALAR_MAX: lambda a, b: np.where(a < b, b, a),
    Op.VECTOR_MAX: lambda a, b: np.where(a < b, b, a),
    Op.MATRIX_MAX: lambda a, b: np.where(a > b, a, b),
    Op.VECTOR_MEAN: np.mean,
    Op.MATRIX_MEAN: np.mean,
    Op.MATRIX_ROW_MEAN: lambda a: np.mean(a, axis=1),
    Op.MATRIX_ROW_STD: lambda a: np.std(a, axis=1),
    Op.VECTOR_STD: np.std,
    Op.MATRIX_STD: np.std,
}


def expected(op, inputs, constants, old, start):
    """What NumPy says; random numbers from the table, by its documented formula."""
    if op == Op.SCALAR_CONST:
        return constants[0]
    if op == Op.VECTOR_CONST:
        return entry(old, int(constants[0] * F), constants[1])
    if op == Op.MATRIX_CONST:
        return entry(old, (int(constants[0] * F), int(constants[1] * F)), constants[2])
    if not RANDOM[op]:
        return NUMPY[op](*inputs)
    j = np.arange(old.size)
    at = (start + j + j // noise.SIZE * noise.STRIDE) % noise.SIZE
    uniform, normal = noise.tables()[:, at].reshape(2, *old.shape)
    if op >= Op.SCALAR_GAUSSIAN:
        return constants[0] + constants[1] * normal
    return constants[0] + (constants[1] - constants[0]) * uniform


LANES = kernels.lanes(task_sets.linear_regression(0, D, F, 1, 1), MEMORY)
ALL = tuple(range(1, NUM_OPS))


def with_numba(op, addresses, constants, banks):
    """The memory after one instruction, for D tasks with the same memory."""
    flat = np.zeros(kernels.memory_size(LANES.sizes))
    parts = [np.repeat(bank.reshape(-1), D) for bank in banks]
    used = np.concatenate(parts)
    flat[: len(used)] = used
    code = np.zeros((3, 1, 9), np.uint64)
    lowered = np.zeros((3, 1), np.int64), np.zeros((3, 1, 3), np.int64)
    lowered[0][2, 0], lowered[1][2, 0] = op, addresses
    slots, length = np.full((3, 1), 3), np.array([0, 0, 1])
    kernels.decode(*lowered, slots, length, LANES.sizes, code)
    given = np.zeros((3, 1, 3))
    given[2, 0] = constants
    kernels.run(code, given, 2, 1, flat, LANES.sizes, LANES.tables, noise.LEARN, 5)
    after, begin = [], 0
    for bank in banks:
        lanes = flat[begin : begin + D * bank.size].reshape(*bank.shape, D)
        after.append(lanes)
        begin += D * bank.size
    return after


@jax.jit
def _with_jax(op, addresses, constants, banks):
    line = Lines(op[None], addresses[None], constants[None], jnp.full(1, 3))
    return interpreter.run(
        line,
        State(*banks),
        ALL,
        0,
        jnp.zeros((), int),
        noise.LEARN,
        jnp.full((), 5),
        jnp.asarray(noise.tables()),
    )


def with_jax(op, addresses, constants, banks):
    with jax.enable_x64(True):
        arrays = jnp.asarray(op), jnp.asarray(addresses), jnp.asarray(constants)
        return [np.asarray(bank) for bank in _with_jax(*arrays, banks)]


def memory_of(rng, special):
    banks = [rng.uniform(-1, 1, (3, *shape)) for shape in SHAPES.values()]
    if special:
        odd = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 2.0])
        banks = [
            np.where(rng.random(b.shape) < 0.5, rng.choice(odd, b.shape), b)
            for b in banks
        ]
    return banks


@pytest.mark.parametrize("special", [False, True], ids=["numbers", "special"])
@pytest.mark.parametrize("op", ALL, ids=lambda op: Op(op).name.lower())
def test_it_is_numpys(op, special):
    rng = np.random.default_rng(op)
    kinds = INPUTS[op]
    low = 1 if OUT[op] < 3 else 0
    choices = [range(3) if kind else range(1) for kind in kinds]
    for a, b, out in itertools.product(*choices, range(low, 3)):
        banks = memory_of(rng, special)
        constants = np.where(np.arange(3) < NUM_CONSTANTS[op], rng.random(3), 0)
        if NUM_CONSTANTS[op] and op not in (Op.VECTOR_CONST, Op.MATRIX_CONST):
            constants = constants * 3 - 1.5
        inputs = [
            banks[kind - 1][place]
            for kind, place in zip(kinds, (a, b), strict=True)
            if kind
        ]
        old = np.asarray(banks[OUT[op] - 1][out])
        values = []
        with np.errstate(all="ignore"):
            for task in range(D):
                start = noise.start(0, task, noise.LEARN, 5, 3)
                values.append(expected(op, inputs, constants, old, start))
        wanted = [bank.copy() for bank in banks]
        wanted[OUT[op] - 1][out] = values[0]
        for mine, theirs in zip(
            with_jax(op, [a, b, out], constants, banks), wanted, strict=True
        ):
            np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=1e-15)
        after = with_numba(op, [a, b, out], constants, banks)
        for task in range(D):
            wanted[OUT[op] - 1][out] = values[task]
            for mine, theirs in zip(after, wanted, strict=True):
                np.testing.assert_allclose(
                    mine[..., task], theirs, rtol=1e-13, atol=1e-15
                )


def test_the_table_is_complete():
    assert len(TEXT) == 65
    assert sorted(NUMPY) == [op for op in Op if 0 < op < Op.SCALAR_CONST]
    assert list(Op) == list(range(65))


@pytest.mark.parametrize("backend", ["jax", "numba"])
def test_equal_entries_deviate_by_nothing(backend):
    from bojax.zero import evaluate

    data = task_sets.linear_regression(0, 1, 11, 3, 3)
    program = Program.parse(
        "def Predict():\n s2 = 0.1\n v1 = bcast(s2)\n s1 = std(v1)\n s1 = s1 * s3\n"
        "def Learn():\n s3 = 1e300"
    )
    result = evaluate(program, data, backend)
    zero = Program.parse("def Predict():\n s1 = s2 + s2")
    np.testing.assert_array_equal(result.by_task, evaluate(zero, data, backend).by_task)


def test_draws_differ_by_task_function_step_and_place():
    starts = {
        noise.start(seed, task, phase, step, slot)
        for seed, task, phase, step, slot in itertools.product(*[range(4)] * 5)
    }
    # Of 1024 places among 65536, eight or so coincide by chance: 6 standard deviations.
    assert len(starts) >= 1024 - 8 - 6 * 3
    with jax.enable_x64(True):
        for args in itertools.product([0, 7], [0, 9], range(4), [0, 12345], [0, 5]):
            seed, task, phase, *rest = args
            arrays = [jnp.asarray(task), phase, *map(jnp.asarray, rest)]
            assert int(noise.start_jax(seed, *arrays)) == noise.start(*args)


def test_tables_are_uniform_and_normal():
    uniform, normal = noise.tables()
    error = 1 / np.sqrt(noise.SIZE)
    assert abs(uniform.mean() - 0.5) < 4 * error / np.sqrt(12)
    assert abs(normal.mean()) < 4 * error
    assert abs(normal.std() - 1) < 4 * error
    assert uniform.min() >= 0
    assert uniform.max() < 1


def test_lowering_numbers_only_live_draws():
    program = Program.parse(
        "def Predict():\n v1 = gaussian(0.0, 1.0)\n v2 = gaussian(0.0, 1.0)\n"
        " s1 = mean(v2)\n s2 = uniform(0.0, 1.0)"
    )
    assert lower(program).slots[0, 1, :2].tolist() == [0, 0]
    assert lower(program, dead=True).slots[0, 1].tolist() == [0, 0, 0, 0]
