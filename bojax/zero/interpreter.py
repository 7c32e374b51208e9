"""The interpreter in JAX: one program on one task; `vmap` does the rest.

A program is data, so that one compilation serves all of a size: an instruction computes
every operation that is in use and keeps the one that is meant. All operations run for
all programs, on whatever device; programs that failed run on, unheard.

This is the reference that other interpreters are held to.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bojax.zero import noise
from bojax.zero.operations import INPUTS, MATRIX, OUT, SCALAR, VECTOR, Op
from bojax.zero.program import Memory
from bojax.zero.tasks import BINARY, REGRESSION

MAX_ERROR = 100.0

_SETS_ENTRY = Op.VECTOR_CONST, Op.MATRIX_CONST

Given = Array | np.ndarray
Constants = Float[Given, "3"]
Draws = Float[Array, "2 *shape"]
Bank = Float[Array, "k *n"]
Entry = Float[Array, "*n"]


class State(NamedTuple):
    """The memory of a program.

    Args:
        scalars: s0, s1, ...
        vectors: v0, v1, ...
        matrices: m0, m1, ...
    """

    scalars: Float[Array, " S"]
    vectors: Float[Array, "V F"]
    matrices: Float[Array, "M F F"]


class Lines(NamedTuple):
    """Instructions of a function, see `bojax.zero.analysis.Lowered`."""

    op: Int[Given, " L"]
    addresses: Int[Given, "L 3"]
    constants: Float[Given, "L 3"]
    slots: Int[Given, " L"]


class Task(NamedTuple):
    """One task, see `bojax.zero.Tasks`; `index` is its number."""

    x_train: Float[Given, "n F"]
    y_train: Float[Given, " n"]
    x_valid: Float[Given, "m F"]
    y_valid: Float[Given, " m"]
    index: Int[Given, ""]


class Score(NamedTuple):
    """How a program did on a task.

    Args:
        fitness: from 0 to 1; 0 if it failed.
        steps: how many examples it predicted before it failed, or all.
        nearest: how near to 100 its error came.
    """

    fitness: Float[Array, ""]
    steps: Int[Array, ""]
    nearest: Float[Array, ""]


def _std(x: Float[Array, "*n"], axis: int | None = None) -> Float[Array, "*k"]:
    # From the first entry, so that equal entries deviate by nothing.
    x = x - (x[:, :1] if axis == 1 else x.reshape(-1)[0])
    away = x - jnp.mean(x, axis=axis, keepdims=True)
    return jnp.sqrt(jnp.mean(away * away, axis=axis))


def _norm(x: Float[Array, "*n"], axis: int | None = None) -> Float[Array, "*k"]:
    return jnp.sqrt(jnp.sum(x * x, axis=axis))


def _step(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    return jnp.where(x > 0, 1.0, 0.0)


def _set_entry(v: Float[Array, "*n"], c: Constants) -> Float[Array, "*n"]:
    place = jnp.arange(v.shape[0]) == jnp.floor(c[0] * v.shape[0]).astype(int)
    if v.ndim == 1:
        return jnp.where(place, c[1], v)
    column = jnp.arange(v.shape[1]) == jnp.floor(c[1] * v.shape[1]).astype(int)
    return jnp.where(place[:, None] & column, c[2], v)


def _first_min(a: Array, b: Array) -> Array:
    return jnp.where(b < a, b, a)


def _first_max(a: Array, b: Array) -> Array:
    return jnp.where(a < b, b, a)


def _fill(x: Array, like: Array) -> Array:
    return jnp.broadcast_to(x, like.shape)


FUNCTIONS: dict[int, Any] = {
    Op.SCALAR_SUM: jnp.add,
    Op.SCALAR_DIFF: jnp.subtract,
    Op.SCALAR_PRODUCT: jnp.multiply,
    Op.SCALAR_DIVISION: jnp.divide,
    Op.SCALAR_ABS: jnp.abs,
    Op.SCALAR_RECIPROCAL: lambda a: 1.0 / a,
    Op.SCALAR_SIN: jnp.sin,
    Op.SCALAR_COS: jnp.cos,
    Op.SCALAR_TAN: jnp.tan,
    Op.SCALAR_ARCSIN: jnp.arcsin,
    Op.SCALAR_ARCCOS: jnp.arccos,
    Op.SCALAR_ARCTAN: jnp.arctan,
    Op.SCALAR_EXP: jnp.exp,
    Op.SCALAR_LOG: jnp.log,
    Op.SCALAR_HEAVISIDE: lambda a: jnp.where(a >= 0, 1.0, 0.0),
    Op.VECTOR_HEAVISIDE: _step,
    Op.MATRIX_HEAVISIDE: _step,
    Op.SCALAR_VECTOR_PRODUCT: jnp.multiply,
    Op.VECTOR_RECIPROCAL: lambda a: 1.0 / a,
    Op.VECTOR_NORM: _norm,
    Op.VECTOR_ABS: jnp.abs,
    Op.VECTOR_SUM: jnp.add,
    Op.VECTOR_DIFF: jnp.subtract,
    Op.VECTOR_PRODUCT: jnp.multiply,
    Op.VECTOR_DIVISION: jnp.divide,
    Op.VECTOR_INNER_PRODUCT: lambda a, b: jnp.sum(a * b),
    Op.VECTOR_OUTER_PRODUCT: lambda a, b: a[:, None] * b[None, :],
    Op.SCALAR_MATRIX_PRODUCT: jnp.multiply,
    Op.MATRIX_RECIPROCAL: lambda a: 1.0 / a,
    Op.MATRIX_VECTOR_PRODUCT: lambda a, b: jnp.sum(a * b[None, :], axis=1),
    Op.VECTOR_COLUMN_BROADCAST: lambda a: jnp.broadcast_to(a[:, None], (len(a),) * 2),
    Op.VECTOR_ROW_BROADCAST: lambda a: jnp.broadcast_to(a[None, :], (len(a),) * 2),
    Op.MATRIX_NORM: _norm,
    Op.MATRIX_COLUMN_NORM: lambda a: _norm(a, axis=0),
    Op.MATRIX_ROW_NORM: lambda a: _norm(a, axis=1),
    Op.MATRIX_TRANSPOSE: jnp.transpose,
    Op.MATRIX_ABS: jnp.abs,
    Op.MATRIX_SUM: jnp.add,
    Op.MATRIX_DIFF: jnp.subtract,
    Op.MATRIX_PRODUCT: jnp.multiply,
    Op.MATRIX_DIVISION: jnp.divide,
    Op.MATRIX_MATRIX_PRODUCT: jnp.matmul,
    Op.SCALAR_MIN: _first_min,
    Op.VECTOR_MIN: _first_min,
    Op.MATRIX_MIN: lambda a, b: jnp.where(a < b, a, b),
    Op.SCALAR_MAX: _first_max,
    Op.VECTOR_MAX: _first_max,
    Op.MATRIX_MAX: lambda a, b: jnp.where(a > b, a, b),
    Op.VECTOR_MEAN: jnp.mean,
    Op.MATRIX_MEAN: jnp.mean,
    Op.MATRIX_ROW_MEAN: lambda a: jnp.mean(a, axis=1),
    Op.MATRIX_ROW_STD: lambda a: _std(a, axis=1),
    Op.VECTOR_STD: _std,
    Op.MATRIX_STD: _std,
}
"""What operations compute from their inputs."""


def apply(
    op: int,
    inputs: list[Array],
    constants: Constants,
    old: Array,
    uniform: Array,
    normal: Array,
) -> Array:
    """One operation.

    Args:
        op: which.
        inputs: as many as it has.
        constants: its constants.
        old: what the output was before.
        uniform: numbers in [0, 1) of the output's shape.
        normal: normal numbers of that shape.
    """
    if op >= Op.SCALAR_GAUSSIAN:
        return constants[0] + constants[1] * normal
    if op >= Op.SCALAR_UNIFORM:
        return constants[0] + (constants[1] - constants[0]) * uniform
    if op in _SETS_ENTRY:
        return _set_entry(old, constants)
    if op == Op.SCALAR_CONST:
        return constants[0]
    if op == Op.SCALAR_BROADCAST:
        return _fill(inputs[0], old)
    return FUNCTIONS[op](*inputs)


def draws(
    seed: int,
    task: Int[Given, ""],
    phase: int,
    step: Int[Array, ""],
    slot: Int[Given, ""],
    table: Float[Array, "2 M"],
    shape: tuple[int, ...],
) -> Draws:
    """Uniform and normal numbers for a random operation, see `bojax.zero.noise`."""
    size = 1
    for length in shape:
        size *= length
    j = jnp.arange(size, dtype=jnp.uint32)
    start = noise.start_jax(seed, task, phase, step, slot)
    at = (start + j + (j >> 16) * jnp.uint32(noise.STRIDE)) & jnp.uint32(noise.SIZE - 1)
    return table[:, at.astype(jnp.int32)].reshape(2, *shape)


def read(bank: Bank, address: Int[Array, ""]) -> Entry:
    """One entry, by selection: a gather is slower where there are few."""
    value = bank[0]
    for k in range(1, bank.shape[0]):
        value = jnp.where(address == k, bank[k], value)
    return value


def write(bank: Bank, address: Int[Array, ""], value: Entry) -> Bank:
    """The bank with one entry replaced."""
    here = jnp.arange(bank.shape[0]) == address
    return jnp.where(here.reshape(-1, *(1,) * value.ndim), value, bank)


def run(
    lines: Lines,
    state: State,
    ops: tuple[int, ...],
    seed: int,
    task: Int[Given, ""],
    phase: int,
    step: Int[Array, ""],
    table: Float[Array, "2 M"],
) -> State:
    """Runs one function of a program."""

    def instruction(state: State, line: Lines) -> tuple[State, None]:
        banks = dict(zip((SCALAR, VECTOR, MATRIX), state, strict=True))
        a, b, out = line.addresses
        first = {kind: read(banks[kind], a) for kind in _used(ops, INPUTS[:, 0])}
        second = {kind: read(banks[kind], b) for kind in _used(ops, INPUTS[:, 1])}
        for kind in _used(ops, OUT):
            mine = [op for op in ops if OUT[op] == kind]
            old = new = jnp.zeros_like(banks[kind][0])
            if any(op in _SETS_ENTRY for op in mine):
                old = read(banks[kind], out)
            uniform = normal = old
            if any(op >= Op.SCALAR_UNIFORM for op in mine):
                uniform, normal = draws(
                    seed, task, phase, step, line.slots, table, old.shape
                ).astype(old.dtype)
            for op in mine:
                kinds = INPUTS[op]
                inputs = [
                    side[kind]
                    for side, kind in zip((first, second), kinds, strict=True)
                    if kind
                ]
                value = apply(op, inputs, line.constants, old, uniform, normal)
                new = jnp.where(line.op == op, value, new)
            written = jnp.isin(line.op, jnp.array(mine))
            banks[kind] = write(banks[kind], jnp.where(written, out, -1), new)
        return State(*banks.values()), None

    if lines.op.shape[0] == 0 or not _used(ops, OUT):
        return state
    return jax.lax.scan(instruction, state, lines)[0]


def _used(ops: tuple[int, ...], kinds: Any) -> list[int]:
    return sorted({int(kinds[op]) for op in ops} - {0})


def show(
    state: State, x: Float[Array, " F"], y: Float[Array, ""], kind: str, label: bool
) -> State:
    """The memory with an example in v0 and its label, or zero, in s0 or v1."""
    scalars, vectors, matrices = state
    vectors = vectors.at[0].set(x)
    if kind in (REGRESSION, BINARY):
        return State(scalars.at[0].set(y if label else 0.0), vectors, matrices)
    one_hot = (jnp.arange(len(x)) == y).astype(x.dtype)
    vectors = vectors.at[1].set(one_hot if label else jnp.zeros_like(x))
    return State(scalars.at[0].set(0.0), vectors, matrices)


def judge(
    state: State, y: Float[Array, ""], kind: str, classes: int, training: bool
) -> tuple[State, Float[Array, ""]]:
    """The error of the prediction, which training turns into a probability."""
    scalars, vectors, matrices = state
    if kind == REGRESSION:
        return state, jnp.abs(y - scalars[1])
    if kind == BINARY:
        probability = 1 / (1 + jnp.exp(-scalars[1]))
        if training:
            scalars = scalars.at[1].set(probability)
            return State(scalars, vectors, matrices), jnp.abs(y - probability)
        wrong = jnp.where((y > 0.5) == (probability > 0.5), 0.0, 1.0)
        return state, jnp.where(jnp.isnan(probability), jnp.nan, wrong)
    logits = vectors[2, :classes]
    if training:
        odds = jnp.exp(logits - jnp.max(logits))
        probability = odds / jnp.sum(odds)
        padded = jnp.zeros_like(vectors[2]).at[:classes].set(probability)
        error = 1 - jnp.sum(jnp.where(jnp.arange(classes) == y, probability, 0))
        return State(scalars, vectors.at[2].set(padded), matrices), error
    wrong = jnp.where(jnp.argmax(logits) == y, 0.0, 1.0)
    return state, jnp.where(jnp.isnan(jnp.sum(logits)), jnp.nan, wrong)


def evaluate_one(
    program: tuple[Lines, Lines, Lines],
    task: Task,
    memory: Memory,
    ops: tuple[int, ...],
    kind: str,
    classes: int,
    epochs: int,
    seed: int,
    table: Float[Array, "2 M"],
) -> Score:
    """Trains and validates one program on one task.

    Args:
        program: Setup, Predict and Learn.
        task: on what.
        memory: how many scalars, vectors and matrices.
        ops: the operations that may occur.
        kind: of the task.
        classes: how many there are.
        epochs: how often the training examples are seen.
        seed: of the random numbers.
        table: of random numbers.
    """
    setup, predict, learn = program
    num_train, num_features = task.x_train.shape
    num_valid = task.x_valid.shape[0]
    dtype = task.x_train.dtype
    state = State(
        jnp.zeros(memory.scalars, dtype),
        jnp.zeros((memory.vectors, num_features), dtype),
        jnp.zeros((memory.matrices, num_features, num_features), dtype),
    )
    context = ops, seed, task.index
    zero = jnp.zeros((), int)
    state = run(setup, state, *context, noise.SETUP, zero, table)

    def predicted(carry, x, y, phase, step, training):
        state, running, steps, nearest = carry
        state = show(state, x, y, kind, label=False)
        state = run(predict, state, *context, phase, step, table)
        state, error = judge(state, y, kind, classes, training)
        running = running & (error <= MAX_ERROR)  # false of NaN
        nearest = jnp.fmin(nearest, jnp.abs(error - MAX_ERROR))
        return (state, running, steps + running, nearest), error

    def train(carry, example):
        x, y, step = example
        carry, _ = predicted(carry, x, y, noise.PREDICT, step, True)
        state = show(carry[0], x, y, kind, label=True)
        state = run(learn, state, *context, noise.LEARN, step, table)
        return (state, *carry[1:]), None

    def validate(carry, example):
        x, y, step = example
        carry, error = predicted(carry, x, y, noise.VALIDATE, step, False)
        return carry, error * error

    def epoch(carry, number):
        inner, fitness = carry
        steps = number * num_train + jnp.arange(num_train)
        inner, _ = jax.lax.scan(train, inner, (task.x_train, task.y_train, steps))
        steps = number * num_valid + jnp.arange(num_valid)
        inner, losses = jax.lax.scan(
            validate, inner, (task.x_valid, task.y_valid, steps)
        )
        loss = jnp.mean(losses)
        if kind == REGRESSION:
            score = 1 - 2 / jnp.pi * jnp.arctan(jnp.sqrt(loss))
        else:
            score = 1 - loss
        better = inner[1] & (score > fitness)
        return (inner, jnp.where(better, score, fitness)), None

    start = state, jnp.array(True), zero, jnp.array(jnp.inf, dtype)
    carry = start, jnp.zeros((), dtype)
    (inner, fitness), _ = jax.lax.scan(epoch, carry, jnp.arange(epochs))
    return Score(fitness, inner[2], inner[3])


def evaluate_all(
    programs: tuple[Lines, Lines, Lines],
    tasks: Task,
    table: Float[Array, "2 M"],
    memory: Memory,
    ops: tuple[int, ...],
    kind: str,
    classes: int,
    epochs: int,
    seed: int,
) -> Score:
    """`evaluate_one` for each program on each task; the results are [p, D]."""

    def score(program: tuple[Lines, Lines, Lines], task: Task) -> Score:
        return evaluate_one(
            program, task, memory, ops, kind, classes, epochs, seed, table
        )

    on_all_tasks = jax.vmap(score, in_axes=(None, 0))
    return jax.vmap(on_all_tasks, in_axes=(0, None))(programs, tasks)
