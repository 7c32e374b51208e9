"""A program as a plain JAX function, and its constants as a space to tune.

References:
    Real, Liang, So and Le (2020), AutoML-Zero, supplement S7: constants of an evolved
    program are tuned by random search, each scaled by a factor from 0.001 to 1000.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import bojax
from bojax.zero import noise
from bojax.zero.analysis import eliminate_dead_code, live_instructions
from bojax.zero.evaluate import evaluate
from bojax.zero.interpreter import apply, draws
from bojax.zero.operations import (
    GAUSSIAN,
    INPUTS,
    LETTERS,
    NUM_CONSTANTS,
    NUM_INDICES,
    OUT,
    RANDOM,
    Op,
)
from bojax.zero.program import COMPONENTS, Program
from bojax.zero.tasks import BINARY, KINDS, MULTICLASS, Tasks

Registers = dict[str, Array]
"""The memory by name, those that a program uses: s1, v0, ..."""


class Learner(NamedTuple):
    """A program as three JAX functions of a memory, and the constants of its lines.

    Args:
        setup: `(constants, num_features, dtype) -> memory`.
        predict: `(constants, memory, x, step) -> memory`, prediction in s1 or v2.
        learn: `(constants, memory, x, y, step) -> memory`.
        constants: [3, L, 3].
    """

    setup: Callable[..., Registers]
    predict: Callable[..., Registers]
    learn: Callable[..., Registers]
    constants: Float[np.ndarray, "3 L 3"]


def learner(program: Program, kind: str = "regression", seed: int = 0) -> Learner:
    """A program's three functions in JAX, without its dead code.

    Args:
        program: one program.
        kind: of the tasks that it is for.
        seed: of the random numbers that it draws.

    Raises:
        ValueError: if the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    multiclass = kind == MULTICLASS
    program = eliminate_dead_code(program, multiclass)
    lines = [program.instructions(c) for c in range(3)]
    used = {"s0", "s1", "v0"} | ({"v1", "v2"} if multiclass else set())
    for function in lines:
        for line in function:
            kinds = (*INPUTS[line.op], OUT[line.op])
            places = (line.a, line.b, line.out)
            used |= {
                f"{LETTERS[k]}{place}"
                for k, place in zip(kinds, places, strict=True)
                if k
            }

    def run(component: int, constants: Array, memory: Registers, phase: int, step: Any):
        memory, slot = dict(memory), 0
        for i, line in enumerate(lines[component]):
            kinds = INPUTS[line.op]
            inputs = [
                memory[f"{LETTERS[k]}{place}"]
                for k, place in zip(kinds, (line.a, line.b), strict=True)
                if k
            ]
            name = f"{LETTERS[OUT[line.op]]}{line.out}"
            old = memory[name]
            numbers = old, old
            if RANDOM[line.op]:
                table = jnp.asarray(noise.tables(), old.dtype)
                zero = jnp.zeros((), int)
                numbers = draws(
                    seed, zero, phase, jnp.asarray(step), zero + slot, table, old.shape
                )
                slot += 1
            memory[name] = apply(
                line.op, inputs, constants[component, i], old, *numbers
            )
        return memory

    def setup(constants, num_features, dtype=float):
        sizes = {"s": (), "v": (num_features,), "m": (num_features,) * 2}
        memory = {name: jnp.zeros(sizes[name[0]], dtype) for name in sorted(used)}
        return run(0, constants, memory, noise.SETUP, 0)

    def predict(constants, memory, x, step, phase=noise.PREDICT):
        memory = {**memory, "v0": x, "s0": jnp.zeros_like(memory["s0"])}
        if multiclass:
            memory["v1"] = jnp.zeros_like(x)
        return run(1, constants, memory, phase, step)

    def learn(constants, memory, x, y, step):
        label = (
            {"v1": (jnp.arange(len(x)) == y).astype(x.dtype)}
            if multiclass
            else {"s0": y.astype(x.dtype)}
        )
        return run(2, constants, {**memory, "v0": x, **label}, noise.LEARN, step)

    return Learner(setup, predict, learn, program.constants)


def to_jax(
    program: Program, kind: str = "regression", num_classes: int = 10, seed: int = 0
) -> Callable[..., Array]:
    """A program as one JAX function, which trains on some examples and predicts others.

    It is traced instruction by instruction, so what is compiled is the program alone,
    at any number of features; and it is differentiable in everything, the constants
    included. It neither stops at large errors nor looks at labels of what it predicts.

    Args:
        program: one program.
        kind: "regression", "binary" or "multiclass".
        num_classes: how many classes there are of several; at most F, as they are
            entries of a vector.
        seed: of the random numbers that it draws.

    Returns:
        `(x_train [n, F], y_train [n], x_valid [m, F], constants=None) -> [m]`: numbers,
        or the probability of class 1, or of each class, [m, num_classes]. `constants`
        are those of the program without dead code, and may be replaced. It computes in
        the floating type of the features; integers are taken as floats.

    Raises:
        ValueError: if the kind is unknown; when called, if there are more classes than
            features.

    Example:
        >>> from bojax.zero import examples, tasks
        >>> lines = tasks.linear_regression(0, num_tasks=1, num_train=1000)
        >>> predict = to_jax(examples.linear_regressor(0.1))
        >>> y = predict(lines.x_train[0], lines.y_train[0], lines.x_valid[0])
        >>> bool(jnp.max(jnp.abs(y - lines.y_valid[0])) < 1e-3)
        True
    """
    parts = learner(program, kind, seed)

    def probabilities(memory: Registers) -> Array:
        if kind == BINARY:
            return jax.nn.sigmoid(memory["s1"])
        if kind == MULTICLASS:
            return jax.nn.softmax(memory["v2"][:num_classes])
        return memory["s1"]

    def predict_all(x_train, y_train, x_valid, constants=None):
        x_train, y_train, x_valid = map(jnp.asarray, (x_train, y_train, x_valid))
        dtype, num_features = jnp.result_type(x_train, x_valid, float), x_train.shape[1]
        if kind == MULTICLASS and not 1 <= num_classes <= num_features:
            raise ValueError(
                f"num_classes: expected 1 to {num_features} (several classes are "
                f"entries of a vector of {num_features} features), got {num_classes}"
            )
        x_train, x_valid = x_train.astype(dtype), x_valid.astype(dtype)
        given = parts.constants if constants is None else constants
        given = jnp.asarray(given, dtype)

        def train(memory, example):
            x, y, step = example
            memory = parts.predict(given, memory, x, step)
            if kind == BINARY:
                memory["s1"] = probabilities(memory)
            elif kind == MULTICLASS:
                classes = probabilities(memory)
                memory["v2"] = jnp.zeros_like(x).at[:num_classes].set(classes)
            return parts.learn(given, memory, x, y, step), None

        def validate(memory, example):
            x, step = example
            memory = parts.predict(given, memory, x, step, noise.VALIDATE)
            return memory, probabilities(memory)

        memory = parts.setup(given, num_features, dtype)
        examples = x_train, y_train, jnp.arange(len(x_train))
        memory, _ = jax.lax.scan(train, memory, examples)
        examples = x_valid, jnp.arange(len(x_valid))
        return jax.lax.scan(validate, memory, examples)[1]

    return predict_all


def _tunable(program: Program, multiclass: bool) -> dict[str, tuple[int, int, int]]:
    """Names and places of the constants that matter and can be scaled."""
    live = live_instructions(program, multiclass)
    places = {}
    for c, function in enumerate(COMPONENTS):
        for i, line in enumerate(program.instructions(c)):
            if not live[c, i]:
                continue
            roles = [""] if line.op == Op.SCALAR_CONST else ["_value"] * 3
            if RANDOM[line.op]:
                pair = ("_mean", "_std") if GAUSSIAN[line.op] else ("_low", "_high")
                roles = list(pair)
            for j in range(NUM_INDICES[line.op], NUM_CONSTANTS[line.op]):
                if line.constants[j] != 0:
                    name = f"{LETTERS[OUT[line.op]]}{line.out}{roles[j]}"
                    places[f"{function.lower()}_{i + 1}_{name}"] = c, i, j
    return places


def constants_space(
    program: Program, spread: float | int = 1000, multiclass: bool = False
) -> bojax.Space:
    """A space of factors for the constants of a program that make a difference.

    A parameter is named by function, line and what is set: `setup_1_s2`. Zero cannot be
    scaled and places in vectors are no numbers: both stay.

    Args:
        program: one program.
        spread: factors go from 1 / spread to spread.
        multiclass: whether v2 is the prediction.

    Raises:
        ValueError: if there is no such constant, or the spread is not over 1.

    Example:
        >>> from bojax.zero import examples
        >>> constants_space(examples.linear_regressor()).names
        ('setup_1_s2',)
    """
    if not spread > 1:
        raise ValueError(f"spread: expected a factor over 1, got {spread}")
    names = _tunable(program, multiclass)
    if not names:
        raise ValueError("program: expected a live constant other than 0, got none")
    factor = bojax.Float(1 / spread, spread, log=True)
    return bojax.Space(dict.fromkeys(names, factor))


def with_factors(
    program: Program, factors: Mapping[str, float], multiclass: bool = False
) -> Program:
    """The program with its constants scaled, see `constants_space`.

    Raises:
        ValueError: if a name is none of the program's.
    """
    places = _tunable(program, multiclass)
    constants = program.constants.copy()
    for name, factor in factors.items():
        if name not in places:
            raise ValueError(
                f"factors: expected names among {', '.join(places)}, got {name!r}"
            )
        constants[places[name]] *= factor
    return Program(
        program.op, program.addresses, constants, program.length, program.memory
    )


def tune(
    program: Program,
    tasks: Tasks,
    num_trials: int = 40,
    key: Any = 0,
    spread: float | int = 1000,
    strategy: Any = None,
    backend: str | None = None,
    progress: bool = True,
) -> tuple[Program, bojax.Result]:
    """Tunes the constants of a program on tasks, by Bayesian optimization.

    The program as it is comes first, so the result is never worse.

    Args:
        program: one program.
        tasks: on which its fitness is maximized.
        num_trials: how many settings to try.
        key: an integer, or a JAX key.
        spread: each constant is scaled by 1 / spread to spread.
        strategy: a function of the space that gives a strategy; default: BayesOpt.
        backend: see `evaluate`.
        progress: whether to show a bar.

    Returns:
        The program with the best constants, and all trials.
    """
    space = constants_space(program, spread, tasks.multiclass)

    def fitness(factors: dict) -> float:
        changed = with_factors(program, factors, tasks.multiclass)
        return float(evaluate(changed, tasks, backend).fitness)

    result = bojax.maximize(
        fitness,
        space,
        num_trials,
        key,
        strategy=None if strategy is None else strategy(space),
        x0=dict.fromkeys(space.names, 1.0),
        progress=progress,
    )
    best = program if result.x is None else result.x
    if isinstance(best, Program):
        return best, result
    return with_factors(program, best, tasks.multiclass), result
