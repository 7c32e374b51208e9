"""The interpreter for numba: each instruction acts on all tasks at once.

The memory is one flat array in which the tasks lie side by side: of a scalar D numbers,
of a vector F times D, of a matrix F F D. So an instruction is a loop over consecutive
numbers, which the processor runs several at a time, and the price of finding out which
instruction it is, is shared by the tasks. Where an output is also an input, the result
is written beside the memory first.

Numbers that index are unsigned: a signed one might be negative, and NumPy's meaning of
that keeps loops from being vectorized.

All of it is one file, because numba keeps what it compiled by the file of the function
that was called, and would not see that one which it inlines from elsewhere has changed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from bojax.zero import noise
from bojax.zero._compile import compiled, inlined
from bojax.zero.operations import GAUSSIAN, INPUTS, MATRIX, OUT, SCALAR, VECTOR, Op
from bojax.zero.program import Memory
from bojax.zero.tasks import KINDS, Tasks

MAX_ERROR = 100.0
"""An error over this ends the evaluation."""

_U = np.uint64

_KERNEL = np.arange(len(OUT))
"""One loop runs what differs only in how many numbers there are."""
for _first, *_others in (
    (Op.SCALAR_SUM, Op.VECTOR_SUM, Op.MATRIX_SUM),
    (Op.SCALAR_DIFF, Op.VECTOR_DIFF, Op.MATRIX_DIFF),
    (Op.SCALAR_PRODUCT, Op.VECTOR_PRODUCT, Op.MATRIX_PRODUCT),
    (Op.SCALAR_DIVISION, Op.VECTOR_DIVISION, Op.MATRIX_DIVISION),
    (Op.SCALAR_ABS, Op.VECTOR_ABS, Op.MATRIX_ABS),
    (Op.SCALAR_RECIPROCAL, Op.VECTOR_RECIPROCAL, Op.MATRIX_RECIPROCAL),
    (Op.SCALAR_VECTOR_PRODUCT, Op.SCALAR_MATRIX_PRODUCT),
    (Op.VECTOR_HEAVISIDE, Op.MATRIX_HEAVISIDE),
    (Op.SCALAR_MIN, Op.VECTOR_MIN),
    (Op.SCALAR_MAX, Op.VECTOR_MAX),
    (Op.VECTOR_NORM, Op.MATRIX_NORM),
    (Op.VECTOR_MEAN, Op.MATRIX_MEAN),
    (Op.VECTOR_STD, Op.MATRIX_STD),
    range(Op.SCALAR_UNIFORM, Op.MATRIX_GAUSSIAN + 1),
):
    _KERNEL[_others] = _first


class Lanes(NamedTuple):
    """Tasks in the layout of the kernels: features of one example, task after task.

    Args:
        x_train: [n, F D].
        y_train: [n, D].
        x_valid: [m, F D].
        y_valid: [m, D].
        sizes: F, D, the kind's number, epochs, seed, classes, and the number of
            scalars, vectors and matrices.
        tables: see `noise.tables`.
    """

    x_train: Float64[np.ndarray, "n fd"]
    y_train: Float64[np.ndarray, "n d"]
    x_valid: Float64[np.ndarray, "m fd"]
    y_valid: Float64[np.ndarray, "m d"]
    sizes: tuple
    tables: Float64[np.ndarray, "2 M"]


def lanes(tasks: Tasks, memory: Memory) -> Lanes:
    """Tasks for the kernels."""

    def features(x):
        return np.ascontiguousarray(x.transpose(1, 2, 0)).reshape(x.shape[1], -1)

    sizes = (
        tasks.x_train.shape[2],
        len(tasks),
        KINDS.index(tasks.kind),
        tasks.epochs,
        tasks.seed,
        tasks.num_classes if tasks.multiclass else 1,
        *memory,
    )
    return Lanes(
        features(tasks.x_train),
        np.ascontiguousarray(tasks.y_train.T),
        features(tasks.x_valid),
        np.ascontiguousarray(tasks.y_valid.T),
        tuple(int(size) for size in sizes),
        noise.tables(),
    )


@compiled
def memory_size(sizes):
    """How long the flat memory is, with room beside it for one matrix."""
    features, num_lanes = sizes[0], sizes[1]
    scalars, vectors, matrices = sizes[6], sizes[7], sizes[8]
    slots = scalars + vectors * features + (matrices + 1) * features * features
    return slots * num_lanes


@compiled
def place(kind, address, sizes):
    """Where in the flat memory something lies."""
    features, num_lanes, scalars, vectors = sizes[0], sizes[1], sizes[6], sizes[7]
    if kind <= SCALAR:
        return address * num_lanes
    if kind == VECTOR:
        return (scalars + address * features) * num_lanes
    slots = scalars + vectors * features + address * features * features
    return slots * num_lanes


@compiled
def decode(op, addresses, slots, length, sizes, code):
    """Turns a program's functions into rows of numbers for `run`.

    Args:
        op: [3, L].
        addresses: [3, L, 3].
        slots: [3, L].
        length: [3].
        sizes: of `Lanes`.
        code: for each instruction the loop that runs it, where inputs, result and
            output lie, how many numbers the output has, how many rows an input has
            (those of a matrix are its entries), the slot, the operation: [3, L, 9].
    """
    features, num_lanes = sizes[0], sizes[1]
    beside = place(MATRIX, sizes[8], sizes)
    for component in range(3):
        for i in range(length[component]):
            number = op[component, i]
            row = code[component, i]
            kind = OUT[number]
            out = place(kind, addresses[component, i, 2], sizes)
            aliased, reads_matrix = False, False
            for j in range(2):
                source = INPUTS[number, j]
                where = place(source, addresses[component, i, j], sizes)
                aliased = aliased or (source != 0 and where == out)
                reads_matrix = reads_matrix or source == MATRIX
                row[1 + j] = where
            row[0] = _KERNEL[number]
            row[3] = beside if aliased else out
            row[4] = out
            count = num_lanes
            if kind == VECTOR:
                count *= features
            if kind == MATRIX:
                count *= features * features
            row[5] = count if kind != 0 else 0
            row[6] = features * features if reads_matrix else features
            row[7] = slots[component, i]
            row[8] = number


@inlined
def run(code, constants, component, length, memory, sizes, tables, phase, step):
    """Runs one function of a program once.

    Args:
        code: of `decode`, [3, L, 9].
        constants: [3, L, 3].
        component: which function.
        length: how many instructions.
        memory: flat.
        sizes: of `Lanes`.
        tables: of random numbers.
        phase: see `noise`.
        step: which example.
    """
    mem = memory
    F, D = _U(sizes[0]), _U(sizes[1])
    one = _U(1)
    c = _U(component)
    for i in range(_U(length)):
        op = np.int64(code[c, i, 0])
        a, b, to, out = code[c, i, 1], code[c, i, 2], code[c, i, 3], code[c, i, 4]
        n, rows = code[c, i, 5], code[c, i, 6]
        if op == Op.SCALAR_SUM:
            for k in range(n):
                mem[to + k] = mem[a + k] + mem[b + k]
        elif op == Op.SCALAR_DIFF:
            for k in range(n):
                mem[to + k] = mem[a + k] - mem[b + k]
        elif op == Op.SCALAR_PRODUCT:
            for k in range(n):
                mem[to + k] = mem[a + k] * mem[b + k]
        elif op == Op.SCALAR_DIVISION:
            for k in range(n):
                mem[to + k] = mem[a + k] / mem[b + k]
        elif op == Op.SCALAR_VECTOR_PRODUCT:
            for row in range(rows):
                at = row * D
                for k in range(D):
                    mem[to + at + k] = mem[a + k] * mem[b + at + k]
        elif op == Op.VECTOR_INNER_PRODUCT:
            for k in range(D):
                mem[to + k] = mem[a + k] * mem[b + k]
            for row in range(one, F):
                at = row * D
                for k in range(D):
                    mem[to + k] += mem[a + at + k] * mem[b + at + k]
        elif op == Op.SCALAR_CONST:
            for k in range(n):
                mem[to + k] = constants[c, i, 0]
        elif op == Op.SCALAR_ABS:
            for k in range(n):
                mem[to + k] = abs(mem[a + k])
        elif op == Op.SCALAR_RECIPROCAL:
            for k in range(n):
                mem[to + k] = 1.0 / mem[a + k]
        elif op == Op.SCALAR_SIN:
            for k in range(n):
                mem[to + k] = np.sin(mem[a + k])
        elif op == Op.SCALAR_COS:
            for k in range(n):
                mem[to + k] = np.cos(mem[a + k])
        elif op == Op.SCALAR_TAN:
            for k in range(n):
                mem[to + k] = np.tan(mem[a + k])
        elif op == Op.SCALAR_ARCSIN:
            for k in range(n):
                mem[to + k] = np.arcsin(mem[a + k])
        elif op == Op.SCALAR_ARCCOS:
            for k in range(n):
                mem[to + k] = np.arccos(mem[a + k])
        elif op == Op.SCALAR_ARCTAN:
            for k in range(n):
                mem[to + k] = np.arctan(mem[a + k])
        elif op == Op.SCALAR_EXP:
            for k in range(n):
                mem[to + k] = np.exp(mem[a + k])
        elif op == Op.SCALAR_LOG:
            for k in range(n):
                mem[to + k] = np.log(mem[a + k])
        elif op == Op.SCALAR_HEAVISIDE:
            for k in range(n):
                mem[to + k] = 1.0 if mem[a + k] >= 0.0 else 0.0
        elif op == Op.VECTOR_HEAVISIDE:
            for k in range(n):
                mem[to + k] = 1.0 if mem[a + k] > 0.0 else 0.0
        elif op == Op.SCALAR_MIN:
            for k in range(n):
                mem[to + k] = mem[b + k] if mem[b + k] < mem[a + k] else mem[a + k]
        elif op == Op.SCALAR_MAX:
            for k in range(n):
                mem[to + k] = mem[b + k] if mem[a + k] < mem[b + k] else mem[a + k]
        elif op == Op.MATRIX_MIN:
            for k in range(n):
                mem[to + k] = mem[a + k] if mem[a + k] < mem[b + k] else mem[b + k]
        elif op == Op.MATRIX_MAX:
            for k in range(n):
                mem[to + k] = mem[a + k] if mem[a + k] > mem[b + k] else mem[b + k]
        elif op == Op.SCALAR_BROADCAST:
            for row in range(F):
                for k in range(D):
                    mem[to + row * D + k] = mem[a + k]
        elif op == Op.VECTOR_OUTER_PRODUCT:
            for row in range(F):
                for column in range(F):
                    at = to + (row * F + column) * D
                    for k in range(D):
                        mem[at + k] = mem[a + row * D + k] * mem[b + column * D + k]
        elif op == Op.MATRIX_VECTOR_PRODUCT:
            for row in range(F):
                at, into = a + row * F * D, to + row * D
                for k in range(D):
                    mem[into + k] = mem[at + k] * mem[b + k]
                for column in range(one, F):
                    first, second = at + column * D, b + column * D
                    for k in range(D):
                        mem[into + k] += mem[first + k] * mem[second + k]
        elif op == Op.MATRIX_MATRIX_PRODUCT:
            for row in range(F):
                for column in range(F):
                    into = to + (row * F + column) * D
                    first, second = a + row * F * D, b + column * D
                    for k in range(D):
                        mem[into + k] = mem[first + k] * mem[second + k]
                    for j in range(one, F):
                        first = a + (row * F + j) * D
                        second = b + (j * F + column) * D
                        for k in range(D):
                            mem[into + k] += mem[first + k] * mem[second + k]
        elif op == Op.VECTOR_COLUMN_BROADCAST:
            for row in range(F):
                for column in range(F):
                    for k in range(D):
                        mem[to + (row * F + column) * D + k] = mem[a + row * D + k]
        elif op == Op.VECTOR_ROW_BROADCAST:
            for row in range(F):
                for column in range(F):
                    for k in range(D):
                        mem[to + (row * F + column) * D + k] = mem[a + column * D + k]
        elif op == Op.MATRIX_TRANSPOSE:
            for row in range(F):
                for column in range(F):
                    for k in range(D):
                        mem[to + (row * F + column) * D + k] = mem[
                            a + (column * F + row) * D + k
                        ]
        elif op == Op.VECTOR_NORM:
            sum_squares(mem, to, a, rows, D, D)
            for k in range(D):
                mem[to + k] = np.sqrt(mem[to + k])
        elif op == Op.MATRIX_COLUMN_NORM:
            for column in range(F):
                sum_squares(mem, to + column * D, a + column * D, F, D * F, D)
            for k in range(n):
                mem[to + k] = np.sqrt(mem[to + k])
        elif op == Op.MATRIX_ROW_NORM:
            for row in range(F):
                sum_squares(mem, to + row * D, a + row * F * D, F, D, D)
            for k in range(n):
                mem[to + k] = np.sqrt(mem[to + k])
        elif op == Op.VECTOR_MEAN:
            average(mem, to, a, rows, D)
        elif op == Op.MATRIX_ROW_MEAN:
            for row in range(F):
                average(mem, to + row * D, a + row * F * D, F, D)
        elif op == Op.VECTOR_STD:
            deviation(mem, to, a, rows, D)
        elif op == Op.MATRIX_ROW_STD:
            for row in range(F):
                deviation(mem, to + row * D, a + row * F * D, F, D)
        elif op == Op.VECTOR_CONST:
            at = to + _U(constants[c, i, 0] * sizes[0]) * D
            for k in range(D):
                mem[at + k] = constants[c, i, 1]
        elif op == Op.MATRIX_CONST:
            row, column = (
                _U(constants[c, i, 0] * sizes[0]),
                _U(constants[c, i, 1] * sizes[0]),
            )
            at = to + (row * F + column) * D
            for k in range(D):
                mem[at + k] = constants[c, i, 2]
        elif op == Op.SCALAR_UNIFORM:
            draw(mem, to, n, code[c, i], constants[c, i], sizes, tables, phase, step)
        if to != out:
            for k in range(n):
                mem[out + k] = mem[to + k]


@compiled
def sum_squares(mem, to, a, count, stride, num_lanes):
    """Sums of squares of `count` entries, for each task."""
    for k in range(num_lanes):
        mem[to + k] = mem[a + k] * mem[a + k]
    for row in range(_U(1), count):
        at = a + row * stride
        for k in range(num_lanes):
            mem[to + k] += mem[at + k] * mem[at + k]


@compiled
def average(mem, to, a, count, num_lanes):
    """Means of `count` entries, for each task."""
    for k in range(num_lanes):
        mem[to + k] = mem[a + k]
    for row in range(_U(1), count):
        at = a + row * num_lanes
        for k in range(num_lanes):
            mem[to + k] += mem[at + k]
    for k in range(num_lanes):
        mem[to + k] /= np.float64(count)


@compiled
def deviation(mem, to, a, count, num_lanes):
    """Standard deviations of `count` entries, for each task."""
    for k in range(num_lanes):
        # From the first entry, so that equal entries deviate by nothing.
        base = mem[a + k]
        mean = 0.0
        for row in range(count):
            mean += mem[a + row * num_lanes + k] - base
        mean /= np.float64(count)
        total = 0.0
        for row in range(count):
            away = mem[a + row * num_lanes + k] - base - mean
            total += away * away
        mem[to + k] = np.sqrt(total / np.float64(count))


@compiled
def draw(mem, to, n, code, constants, sizes, tables, phase, step):
    """Random numbers, for each task its own."""
    num_lanes = sizes[1]
    normal = GAUSSIAN[np.int64(code[8])]
    low = constants[0]
    scale = constants[1] if normal else constants[1] - low
    count = np.int64(n) // num_lanes
    for k in range(num_lanes):
        start = noise.start(sizes[4], k, phase, step, np.int64(code[7]))
        for j in range(count):
            at = (start + j + (j >> 16) * noise.STRIDE) & (noise.SIZE - 1)
            where = np.int64(to) + j * num_lanes + k
            mem[where] = low + scale * tables[1 if normal else 0, at]


@inlined
def load(memory, sizes, x, y, row, component):
    """Puts an example into v0, and its label into s0 or v1, or zero."""
    features, num_lanes = sizes[0], sizes[1]
    with_label = component == 2
    row = _U(row)
    at = _U(place(VECTOR, 0, sizes))
    for k in range(_U(features * num_lanes)):
        memory[at + k] = x[row, k]
    if sizes[2] < 2:
        for k in range(_U(num_lanes)):
            memory[k] = y[row, k] if with_label else 0.0
        return
    for k in range(num_lanes):
        memory[k] = 0.0
    at = _U(place(VECTOR, 1, sizes))
    for k in range(_U(features * num_lanes)):
        memory[at + k] = 0.0
    if with_label:
        for k in range(num_lanes):
            memory[place(VECTOR, 1, sizes) + np.int64(y[row, k]) * num_lanes + k] = 1.0


@compiled
def softmax(memory, sizes):
    """v2 becomes the softmax of its first entries, one for each class."""
    num_lanes, classes = sizes[1], sizes[5]
    at = place(VECTOR, 2, sizes)
    for k in range(num_lanes):
        highest = memory[at + k]
        for c in range(1, classes):
            highest = max(highest, memory[at + c * num_lanes + k])
        total = 0.0
        for c in range(classes):
            memory[at + c * num_lanes + k] = np.exp(
                memory[at + c * num_lanes + k] - highest
            )
            total += memory[at + c * num_lanes + k]
        for c in range(classes):
            memory[at + c * num_lanes + k] /= total
        for c in range(classes, sizes[0]):
            memory[at + c * num_lanes + k] = 0.0


@inlined
def errors(memory, sizes, labels, row, training, into):
    """The error of each task's prediction; training turns it into a probability."""
    num_lanes = sizes[1]
    y = labels[row]
    if sizes[2] == 0:
        for k in range(_U(num_lanes)):
            into[k] = abs(y[k] - memory[_U(num_lanes) + k])
    elif sizes[2] == 1:
        for k in range(num_lanes):
            probability = 1.0 / (1.0 + np.exp(-memory[num_lanes + k]))
            if training:
                memory[num_lanes + k] = probability
                into[k] = abs(y[k] - probability)
            else:
                right = (y[k] > 0.5) == (probability > 0.5)
                into[k] = 0.0 if right else 1.0
                if np.isnan(probability):
                    into[k] = np.nan
    else:
        at = place(VECTOR, 2, sizes)
        if training:
            softmax(memory, sizes)
        for k in range(num_lanes):
            highest, total = 0, memory[at + k]
            for c in range(1, sizes[5]):
                value = memory[at + c * num_lanes + k]
                total += value
                if value > memory[at + highest * num_lanes + k]:
                    highest = c
            if training:
                into[k] = 1.0 - memory[at + np.int64(y[k]) * num_lanes + k]
            else:
                into[k] = 0.0 if highest == np.int64(y[k]) else 1.0
            if np.isnan(total):
                into[k] = np.nan


@compiled
def evaluate_one(code, constants, length, tasks, memory, work, record):
    """Trains and validates one program on all tasks.

    Args:
        code: of `decode`.
        constants: [3, L, 3].
        length: [3].
        tasks: `Lanes`.
        memory: flat, of `memory_size`.
        work: for each task the fitness, whether it is still running, the error, the
            loss, the steps that it ran, and how near 100 an error came: [6, D].
        record: where all errors go if its first axis is long enough, [n + m, D].

    Returns:
        How many training steps ran, counting each task's.
    """
    sizes = tasks.sizes
    num_lanes, kind, epochs = sizes[1], sizes[2], sizes[3]
    num_train, num_valid = tasks.x_train.shape[0], tasks.x_valid.shape[0]
    fitness, running, error, loss, steps, nearest = (
        work[0],
        work[1],
        work[2],
        work[3],
        work[4],
        work[5],
    )
    fitness[:] = 0.0
    running[:] = 1.0
    steps[:] = 0.0
    nearest[:] = np.inf
    memory[:] = 0.0
    recording = record.shape[0] >= num_train + num_valid
    tables = tasks.tables
    num_running, num_steps = num_lanes, 0
    for epoch in range(epochs):
        for example in range(0 if epoch else -1, num_train + num_valid):
            training = example < num_train
            row = example if training else example - num_train
            step = row + epoch * (num_train if training else num_valid)
            for component in range(0 if example < 0 else 1, 3 if training else 2):
                if component == 0:
                    phase, step = noise.SETUP, 0
                elif component == 2:
                    phase = noise.LEARN
                else:
                    phase = noise.PREDICT if training else noise.VALIDATE
                if component > 0:
                    if training:
                        load(
                            memory, sizes, tasks.x_train, tasks.y_train, row, component
                        )
                    else:
                        load(
                            memory, sizes, tasks.x_valid, tasks.y_valid, row, component
                        )
                run(
                    code,
                    constants,
                    component,
                    length[component],
                    memory,
                    sizes,
                    tables,
                    phase,
                    step,
                )
                if example < 0:
                    break
                if component == 2:
                    continue
                if training:
                    num_steps += num_running
                    errors(memory, sizes, tasks.y_train, row, True, error)
                else:
                    errors(memory, sizes, tasks.y_valid, row, False, error)
                    if row == 0:
                        loss[:] = 0.0
                    for k in range(_U(num_lanes)):
                        loss[k] += error[k] * error[k]
                num_running = 0
                for k in range(_U(num_lanes)):
                    # Not `error > 100`: NaN is to stop, too.
                    if not error[k] <= MAX_ERROR:
                        running[k] = 0.0
                    if running[k] > 0:
                        num_running += 1
                        steps[k] += 1.0
                if recording:
                    for k in range(num_lanes):
                        nearest[k] = min(nearest[k], abs(error[k] - MAX_ERROR))
                        record[example, k] = error[k] if running[k] > 0 else -1.0
                if num_running == 0:
                    return num_steps
        for k in range(num_lanes):
            if running[k] > 0:
                mean = loss[k] / num_valid
                if kind == 0:
                    score = 1.0 - 2.0 / np.pi * np.arctan(np.sqrt(mean))
                else:
                    score = 1.0 - mean
                fitness[k] = max(fitness[k], score)
    return num_steps


@compiled
def evaluate_all(
    op, addresses, constants, slots, length, tasks, fitness, steps, nearest
):
    """`evaluate_one` for each program of a lowered population; results are [p, D]."""
    memory = np.zeros(memory_size(tasks.sizes))
    work = np.zeros((6, tasks.sizes[1]))
    code = np.zeros((3, op.shape[2], 9), np.uint64)
    num_examples = tasks.x_train.shape[0] + tasks.x_valid.shape[0]
    record = np.zeros((num_examples, tasks.sizes[1]))
    total = 0
    for p in range(op.shape[0]):
        decode(op[p], addresses[p], slots[p], length[p], tasks.sizes, code)
        total += evaluate_one(
            code, constants[p], length[p], tasks, memory, work, record
        )
        fitness[p] = work[0]
        steps[p] = work[4]
        nearest[p] = work[5]
    return total
