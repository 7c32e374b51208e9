"""Programs for tests: any that hypothesis thinks of, and random populations."""

import numpy as np
from hypothesis import strategies as st

from bojax.zero import Instruction, Memory, Op, Program, SearchSpace
from bojax.zero.operations import (
    INPUTS,
    NUM_CONSTANTS,
    NUM_INDICES,
    NUM_OPS,
    OUT,
)
from bojax.zero.search_space import random_program, rules

MEMORY = Memory(5, 4, 3)
ALL_OPS = SearchSpace(
    setup=tuple(Op)[1:],
    predict=tuple(Op),
    learn=tuple(Op),
    most=(6, 6, 8),
    initial=(6, 6, 8),
    memory=MEMORY,
)


def random_population(space: SearchSpace, count: int, seed: int = 0) -> Program:
    rng, allowed, width = np.random.default_rng(seed), rules(space), max(space.most)
    op = np.zeros((count, 3, width), np.uint8)
    addresses = np.zeros((count, 3, width, 3), np.uint8)
    constants = np.zeros((count, 3, width, 3))
    length = np.zeros((count, 3), np.int32)
    for i in range(count):
        parts = op[i], addresses[i], constants[i], length[i]
        random_program(parts, allowed, rng)
    return Program(op, addresses, constants, length, space.memory)


@st.composite
def _lines(draw) -> tuple:
    counts = (1, *MEMORY)
    op = Op(draw(st.integers(0, NUM_OPS - 1)))
    first, second = (
        draw(st.integers(0, counts[kind] - 1)) if kind else 0 for kind in INPUTS[op]
    )
    out = 0
    if kind := OUT[op]:
        out = draw(st.integers(1 if kind < 3 else 0, counts[kind] - 1))
    constants = []
    for j in range(NUM_CONSTANTS[op]):
        if j < NUM_INDICES[op]:
            constants.append(draw(st.floats(0, 1, exclude_max=True)))
        else:
            constants.append(draw(st.floats(allow_nan=False, allow_infinity=False)))
    return op, first, second, out, tuple(constants)


def functions(most: int = 6) -> st.SearchStrategy[tuple]:
    """Three lists of lines; `program_of` makes them a program.

    Not here: type checks draw random items, which hypothesis does not want to happen.
    """
    return st.tuples(*[st.lists(_lines(), max_size=most)] * 3)


def program_of(lists: tuple) -> Program:
    return Program.of(
        *([Instruction(*line) for line in lines] for lines in lists), memory=MEMORY
    )
