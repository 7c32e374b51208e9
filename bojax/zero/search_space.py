"""Which programs a search may reach, and by which mutations."""

import dataclasses
from typing import NamedTuple

import numpy as np

from bojax.zero._compile import compiled, inlined
from bojax.zero.operations import (
    GAUSSIAN,
    INPUTS,
    NOTHING,
    NUM_CONSTANTS,
    NUM_INDICES,
    NUM_OPS,
    OUT,
    RANDOM,
    Op,
)
from bojax.zero.program import COMPONENTS, MOST_INSTRUCTIONS, Memory, Program


class Mutations(NamedTuple):
    """How often each kind of mutation is drawn, relative to the others.

    By default as in the paper's supplement, S3: a third each, and of what changes the
    length twice as many removals, so that programs do not grow without need.

    Args:
        insert: a random instruction at a random place, if there is room.
        remove: an instruction at a random place, if there may be fewer.
        randomize: all instructions of a function.
        alter: an address or a constant of an instruction.
        replace: an instruction by a random one; for functions of fixed length.
    """

    insert: float = 1 / 9
    remove: float = 2 / 9
    randomize: float = 1 / 3
    alter: float = 1 / 3
    replace: float = 0.0


_MEMORY, _MUTATIONS = Memory(), Mutations()

FIXED_LENGTH = Mutations(0.0, 0.0, 1 / 3, 1 / 3, 1 / 3)
"""For functions whose length stays: the published demo's."""


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Operations, lengths, memory and mutations.

    Args:
        setup: operations allowed in Setup; none: it stays as it is in `start`.
        predict: operations allowed in Predict, likewise.
        learn: operations allowed in Learn, likewise.
        most: the longest Setup, Predict and Learn.
        least: the shortest.
        initial: how many random instructions they have in the first population; 0: they
            are those of `start`.
        memory: how many scalars, vectors and matrices.
        mutations: how often each is drawn.
        start: what functions are at first that are not random; default: empty.

    Raises:
        ValueError: if a size is out of its limits, or an operation needs memory that
            there is not.
    """

    setup: tuple[Op, ...]
    predict: tuple[Op, ...]
    learn: tuple[Op, ...]
    most: tuple[int, int, int]
    least: tuple[int, int, int] = (0, 0, 0)
    initial: tuple[int, int, int] = (0, 0, 0)
    memory: Memory = _MEMORY
    mutations: Mutations = _MUTATIONS
    start: Program | None = None

    def __post_init__(self):
        lengths = zip(COMPONENTS, self.least, self.initial, self.most, strict=True)
        for name, low, first, high in lengths:
            if not 0 <= low <= max(first, low) <= high <= MOST_INSTRUCTIONS:
                raise ValueError(
                    f"most: expected 0 <= least <= most <= {MOST_INSTRUCTIONS} for "
                    f"{name} and initial up to most, got {low}, {high} and {first}"
                )
        if not any((self.setup, self.predict, self.learn)):
            raise ValueError("setup, predict, learn: expected operations, got none")
        available = np.array([1, *self.memory]) > 0
        writable = np.array([1, self.memory[0] - 1, self.memory[1] - 1, self.memory[2]])
        for op in (*self.setup, *self.predict, *self.learn):
            if not 0 <= op < NUM_OPS:
                raise ValueError(f"operations: expected 0 to {NUM_OPS - 1}, got {op}")
            if not (np.all(available[INPUTS[op]]) and writable[OUT[op]] > 0):
                raise ValueError(
                    f"memory: expected room for {Op(op).name}, got {self.memory}"
                )
        if not np.all(np.array(self.mutations) >= 0) or not sum(self.mutations) > 0:
            raise ValueError(
                f"mutations: expected weights >= 0, some positive, got {self.mutations}"
            )
        if self.start is not None:
            start = self.start
            if start.shape or np.any(np.array(start.memory) > np.array(self.memory)):
                raise ValueError(
                    f"start: expected one program in a memory up to {self.memory}, "
                    f"got {start.shape or ''} {start.memory}"
                )
            if np.any(start.length > np.array(self.most)):
                raise ValueError(
                    f"start: expected functions up to {self.most}, got lengths "
                    f"{start.length.tolist()}"
                )


_LINEAR = (
    Op.SCALAR_CONST,
    Op.VECTOR_INNER_PRODUCT,
    Op.SCALAR_DIFF,
    Op.SCALAR_PRODUCT,
    Op.SCALAR_VECTOR_PRODUCT,
    Op.VECTOR_SUM,
)

DEMO = SearchSpace(
    setup=_LINEAR,
    predict=_LINEAR,
    learn=_LINEAR,
    most=(10, 2, 8),
    least=(10, 2, 8),
    initial=(10, 2, 8),
    memory=Memory(4, 3, 1),
    mutations=FIXED_LENGTH,
)
"""The published demo: six operations, 20 instructions."""

_INITIALIZERS = tuple(Op(i) for i in range(Op.SCALAR_CONST, NUM_OPS))

EVERYTHING = SearchSpace(
    setup=_INITIALIZERS,
    predict=tuple(Op),
    learn=tuple(Op),
    most=(21, 21, 45),
    memory=Memory(8, 14, 3),
)
"""All operations, with the sizes of the paper's section 4.2."""


class Rules(NamedTuple):
    """A search space as arrays.

    Args:
        ops: allowed operations of each function, [3, n].
        num_ops: how many, [3].
        memory: of each kind of memory how many there are, [4].
        reserved: of each kind how many first ones are never written, [4].
        least: [3].
        most: [3].
        initial: [3].
        mutations: cumulative probabilities, [5].
        functions: which functions change, [1, 2 or 3].
    """

    ops: np.ndarray
    num_ops: np.ndarray
    memory: np.ndarray
    reserved: np.ndarray
    least: np.ndarray
    most: np.ndarray
    initial: np.ndarray
    mutations: np.ndarray
    functions: np.ndarray


def rules(space: SearchSpace, multiclass: bool = False) -> Rules:
    """A search space as arrays.

    Raises:
        ValueError: if there are several classes and no vector to predict.
    """
    if multiclass and space.memory.vectors < 3:
        raise ValueError(
            "memory: expected at least 3 vectors for several classes, got "
            f"{space.memory.vectors}"
        )
    allowed = space.setup, space.predict, space.learn
    ops = np.zeros((3, max(map(len, allowed))), np.int64)
    for c, each in enumerate(allowed):
        ops[c, : len(each)] = each
    weights = np.array(space.mutations, float)
    return Rules(
        ops,
        np.array([len(each) for each in allowed], np.int64),
        np.array([0, *space.memory], np.int64),
        np.array([0, 1, 2 if multiclass else 1, 0], np.int64),
        np.array(space.least, np.int64),
        np.array(space.most, np.int64),
        np.array(space.initial, np.int64),
        np.cumsum(weights / weights.sum()),
        np.array([c for c in range(3) if allowed[c]], np.int64),
    )


@inlined
def below(rng, count):
    """A uniform integer in [0, count)."""
    return int(rng.random() * count)


@inlined
def random_constant(number, place, rng):
    """A first value: a place in [0, 1), a deviation in [0, 1), else in [-1, 1)."""
    value = rng.random()
    if place < NUM_INDICES[number] or (GAUSSIAN[number] and place == 1):
        return value
    return 2.0 * value - 1.0


@inlined
def random_address(kind, is_output, rules, rng):
    """An address of this kind; an output's is not a reserved one."""
    low = rules.reserved[kind] if is_output else 0
    return low + below(rng, rules.memory[kind] - low)


@compiled
def random_instruction(program, component, i, rules, rng):
    """Puts a random instruction at a place of a function."""
    op, addresses, constants, _ = program
    number = rules.ops[component, below(rng, rules.num_ops[component])]
    op[component, i] = number
    for j in range(3):
        kind = INPUTS[number, j] if j < 2 else OUT[number]
        addresses[component, i, j] = 0
        if kind != NOTHING:
            addresses[component, i, j] = random_address(kind, j == 2, rules, rng)
        constants[component, i, j] = 0.0
        if j < NUM_CONSTANTS[number]:
            constants[component, i, j] = random_constant(number, j, rng)


@inlined
def random_program(program, rules, rng):
    """Makes the functions random that are to be random at first."""
    length = program[3]
    for c in range(3):
        if rules.num_ops[c] > 0 and rules.initial[c] > 0:
            length[c] = rules.initial[c]
            for i in range(length[c]):
                random_instruction(program, c, i, rules, rng)


@inlined
def alter_constant(number, constants, rng):
    """Changes one constant: a place is drawn anew, a number scaled by 1/2 to 2.

    One in ten changes sign, but for deviations; bounds are sorted afterwards.
    """
    j = below(rng, NUM_CONSTANTS[number])
    if j < NUM_INDICES[number]:
        constants[j] = rng.random()
        return
    constants[j] *= 0.5 + 1.5 * rng.random()
    if not (GAUSSIAN[number] and j == 1) and rng.random() < 0.1:
        constants[j] = -constants[j]
    if RANDOM[number] and not GAUSSIAN[number] and constants[0] > constants[1]:
        constants[0], constants[1] = constants[1], constants[0]


@inlined
def alter(program, component, i, rules, rng):
    """Changes one argument of an instruction: an input, the output or a constant."""
    op, addresses, constants, _ = program
    number = op[component, i]
    if OUT[number] == NOTHING:
        return
    num_inputs = (INPUTS[number, 0] != NOTHING) + (INPUTS[number, 1] != NOTHING)
    choice = below(rng, num_inputs + 1 + (NUM_CONSTANTS[number] > 0))
    if choice < num_inputs:
        kind = INPUTS[number, choice]
        addresses[component, i, choice] = random_address(kind, False, rules, rng)
    elif choice == num_inputs:
        addresses[component, i, 2] = random_address(OUT[number], True, rules, rng)
    else:
        alter_constant(number, constants[component, i], rng)


@inlined
def shift(program, component, start, end, by):
    """Moves the instructions from start to before end up or down by one place."""
    op, addresses, constants, _ = program
    for k in range(end - start):
        i = end - 1 - k if by > 0 else start + k
        op[component, i + by] = op[component, i]
        addresses[component, i + by] = addresses[component, i]
        constants[component, i + by] = constants[component, i]


@compiled
def mutate(program, rules, rng):
    """Changes a program in place, by one random mutation.

    Args:
        program: op [3, L], addresses [3, L, 3], constants [3, L, 3], length [3].
        rules: `Rules`.
        rng: NumPy's generator.
    """
    length = program[3]
    draw = rng.random()
    c = rules.functions[below(rng, len(rules.functions))]
    n = length[c]
    if draw < rules.mutations[0]:
        if n < rules.most[c]:
            i = below(rng, n + 1)
            shift(program, c, i, n, 1)
            length[c] = n + 1
            random_instruction(program, c, i, rules, rng)
    elif draw < rules.mutations[1]:
        if n > rules.least[c]:
            i = below(rng, n)
            shift(program, c, i + 1, n, -1)
            program[0][c, n - 1] = 0
            program[1][c, n - 1] = 0
            program[2][c, n - 1] = 0.0
            length[c] = n - 1
    elif draw < rules.mutations[2]:
        for i in range(n):
            random_instruction(program, c, i, rules, rng)
    elif n > 0:
        i = below(rng, n)
        if draw < rules.mutations[3]:
            alter(program, c, i, rules, rng)
        else:
            random_instruction(program, c, i, rules, rng)


def random_population(space: SearchSpace, count: int, seed: int = 0) -> Program:
    """Random programs of a search space, of its initial lengths.

    Args:
        space: which programs.
        count: how many.
        seed: of NumPy's generator.
    """
    rng, allowed, width = np.random.default_rng(seed), rules(space), max(space.most)
    op = np.zeros((count, 3, width), np.uint8)
    addresses = np.zeros((count, 3, width, 3), np.uint8)
    constants = np.zeros((count, 3, width, 3))
    length = np.zeros((count, 3), np.int32)
    for i in range(count):
        parts = op[i], addresses[i], constants[i], length[i]
        random_program(parts, allowed, rng)
    return Program(op, addresses, constants, length, space.memory)
