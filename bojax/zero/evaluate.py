"""The fitness of programs on tasks, by any of the backends."""

import importlib.util
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from bojax._precision import in_double
from bojax.zero import interpreter, kernels, noise
from bojax.zero._compile import require_numba
from bojax.zero.analysis import Lowered, lower
from bojax.zero.operations import INPUTS, OUT
from bojax.zero.program import Memory, Program
from bojax.zero.tasks import Tasks

BACKENDS = "jax", "numba"
_MANY = 24
"""More kinds of operations than this, and programs are compiled for all of them."""
_BLOCK = 1 << 18
"""The JAX backend evaluates as many programs at a time as fit in so many bytes."""


class Evaluation(NamedTuple):
    """How programs did; of one program the axis p is missing.

    Args:
        fitness: of each program: the mean over tasks, or the median.
        by_task: of each program on each task, from 0 to 1. For regression it is
            1 - 2 / pi arctan(RMSE), for classes the accuracy; 0 where it failed.
        steps: how many examples it predicted without failing.
        failed: whether an error was NaN or over 100.
        nearest: how near to 100 an error came.
    """

    fitness: Float[np.ndarray, "*p"]
    by_task: Float[np.ndarray, "*p d"]
    steps: Int[np.ndarray, "*p d"]
    failed: Bool[np.ndarray, "*p d"]
    nearest: Float[np.ndarray, "*p d"]


def evaluate(
    population: Program,
    tasks: Tasks,
    backend: str | None = None,
    combine: str = "mean",
    remove_dead_code: bool = True,
    double: bool = True,
) -> Evaluation:
    """Trains and validates programs on tasks.

    For each task and program: the memory is zero; Setup runs; then for each training
    example x goes to v0, Predict runs, y goes to s0, Learn runs; then for each
    validation example Predict. Predict never sees a label. Of two classes the
    prediction is the sigmoid of s1, which in training takes its place.

    Args:
        population: one program, or many.
        tasks: what to learn.
        backend: "numba", compiled for the processor; "jax", for any device; by default
            numba if it is installed.
        combine: "mean" or "median" of the tasks; of an even number the upper one.
        remove_dead_code: whether to leave out what makes no difference. The fitness is
            the same to the last bit, sooner.
        double: whether to compute in float64, on the processor. Otherwise the JAX
            backend computes in float32 on JAX's default device.

    Raises:
        ValueError: if an argument is not one of those, or the memory has no vector for
            several classes.
        ImportError: if numba is asked for and missing.

    Example:
        >>> from bojax.zero import examples, tasks
        >>> lines = tasks.linear_regression(0, num_train=1000)
        >>> bool(evaluate(examples.linear_regressor(0.1), lines).fitness > 0.9999)
        True
    """
    if backend is None:
        backend = "numba" if importlib.util.find_spec("numba") else "jax"
    if backend not in BACKENDS:
        raise ValueError(f"backend: expected 'jax' or 'numba', got {backend!r}")
    if combine not in ("mean", "median"):
        raise ValueError(f"combine: expected 'mean' or 'median', got {combine!r}")
    if backend == "numba" and not double:
        raise ValueError("double: expected True with backend 'numba', got False")
    if tasks.multiclass and population.memory.vectors < 3:
        raise ValueError(
            "memory: expected at least 3 vectors for several classes, got "
            f"{population.memory.vectors}"
        )
    lowered = lower(population, tasks.multiclass, dead=not remove_dead_code)
    if backend == "numba":
        require_numba("backend")
        by_task, steps, nearest = _with_numba(lowered, tasks, population.memory)
    else:
        by_task, steps, nearest = _with_jax(lowered, tasks, population.memory, double)
    if combine == "mean":
        fitness = by_task.mean(axis=1)
    else:
        fitness = np.sort(by_task, axis=1)[:, by_task.shape[1] // 2]
    steps = steps.astype(int)
    planned = tasks.epochs * (tasks.x_train.shape[1] + tasks.x_valid.shape[1])
    results = fitness, by_task, steps, steps < planned, nearest
    shape = population.shape
    return Evaluation(*(each.reshape(shape + each.shape[1:]) for each in results))


def _with_numba(lowered: Lowered, tasks: Tasks, memory: Memory) -> tuple:
    results = tuple(np.zeros((len(lowered.op), len(tasks))) for _ in range(3))
    kernels.evaluate_all(*lowered, kernels.lanes(tasks, memory), *results)
    return results


def _with_jax(lowered: Lowered, tasks: Tasks, memory: Memory, double: bool) -> tuple:
    num_programs, features = len(lowered.op), tasks.x_train.shape[2]
    entries = memory.scalars + memory.vectors * features + memory.matrices * features**2
    fit = max(1, _BLOCK // (8 * entries * len(tasks)))
    block = min(_power_of_two(num_programs), _power_of_two(fit))
    padded = -(-num_programs // block) * block
    functions = []
    for c in range(3):
        # Buckets of lengths, and programs without instructions at the end.
        width = _bucket(int(lowered.length[:, c].max(initial=0)))
        inside = np.arange(lowered.op.shape[2]) < lowered.length[:, c, None]
        op = np.where(inside, lowered.op[:, c], 0)
        parts = (op, lowered.addresses[:, c], lowered.constants[:, c])
        functions.append(
            interpreter.Lines(
                *(_fit(part, padded, width) for part in (*parts, lowered.slots[:, c]))
            )
        )
    parts = tasks.x_train, tasks.y_train, tasks.x_valid, tasks.y_valid
    arguments = (
        interpreter.Task(*parts, np.arange(len(tasks))),
        noise.tables(),
        memory,
        _bucket_of_operations(functions, memory),
        tasks.kind,
        tasks.num_classes if tasks.multiclass else 1,
        tasks.epochs,
        tasks.seed,
    )
    scores = []
    for start in range(0, padded, block):
        programs = jax.tree.map(
            lambda array, start=start: array[start : start + block], tuple(functions)
        )
        if double:
            score = in_double(interpreter.evaluate_all, programs, *arguments).numpy()
        else:
            score = _in_single(programs, *arguments)
        scores.append([np.asarray(each) for each in score])
    return tuple(
        np.concatenate(each)[:num_programs] for each in zip(*scores, strict=True)
    )


_jitted = jax.jit(interpreter.evaluate_all, static_argnums=(3, 4, 5, 6, 7, 8))


def _in_single(*arguments):
    narrow = jax.tree.map(
        lambda x: x.astype(np.float32) if x.dtype == np.float64 else x.astype(np.int32),
        arguments[:3],
    )
    return jax.block_until_ready(_jitted(*narrow, *arguments[3:]))


def _bucket_of_operations(
    functions: list[interpreter.Lines], memory: Memory
) -> tuple[int, ...]:
    """The operations that occur; all that the memory has room for if they are many."""
    used = np.unique(np.concatenate([np.unique(lines.op) for lines in functions]))
    if len(used) > _MANY:
        room = np.array([1, *memory]) > 0
        used = np.flatnonzero(np.all(room[INPUTS], axis=1) & room[OUT])
    return tuple(used.tolist())


def _fit(array: np.ndarray, num_programs: int, width: int) -> np.ndarray:
    array = array[:, :width]
    more = [(0, num_programs - array.shape[0]), (0, width - array.shape[1])]
    return np.pad(array, more + [(0, 0)] * (array.ndim - 2))


def _power_of_two(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()


def _bucket(length: int) -> int:
    """The next of 0, 2, 4, 8, 12, 16, 24, 32, ..."""
    if length <= 4:
        return 2 * -(-length // 2)
    power = _power_of_two(length)
    return power * 3 // 4 if 8 < length <= power * 3 // 4 else power
