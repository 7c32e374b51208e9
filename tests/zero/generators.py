"""Programs for tests: any that hypothesis thinks of."""

from hypothesis import strategies as st

from bojax.zero import Instruction, Memory, Op, Program, SearchSpace
from bojax.zero.operations import (
    INPUTS,
    NUM_CONSTANTS,
    NUM_INDICES,
    NUM_OPS,
    OUT,
)

MEMORY = Memory(5, 4, 3)
ALL_OPS = SearchSpace(
    setup=tuple(Op)[1:],
    predict=tuple(Op),
    learn=tuple(Op),
    most=(6, 6, 8),
    initial=(6, 6, 8),
    memory=MEMORY,
)


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
