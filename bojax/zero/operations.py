"""The 65 operations of which programs are made, as a table.

The numbers and the meaning are those of Table S1 of Real and others (2020) and of their
published code; where the two differ the code is followed. What is worth knowing:

- Arithmetic is IEEE's, unprotected: 1 / 0 is infinity, the logarithm of -1 is NaN.
- `heaviside(0)` is 1 for a scalar, and 0 for the entries of vectors and matrices.
- Of a NaN and a number, `minimum` and `maximum` of scalars and vectors return the first
  argument, those of matrices the second.
- `norm(m, axis=0)` is the norm of each column, `norm(m, axis=1)` that of each row, and
  `mean` and `std` with an axis are those of rows.
- `bcast(v, axis=0)` repeats the vector as columns, `bcast(v, axis=1)` as rows.
- `v[u] = c` sets one entry of F, number floor(u F): it means the same for any F.
- `std` is that of the population, by deviations from the mean. (The published code
  subtracts the squared mean from the mean square, which is NaN or not as the rounding
  has it, and no two compilers agree on that.)
- `uniform(low, high)` takes its bounds in any order.

References:
    Real, Liang, So and Le (2020), AutoML-Zero: evolving machine learning algorithms
    from scratch, Table S1.
"""

import enum
import re

import numpy as np


class Op(enum.IntEnum):
    """The operations by name."""

    NO_OP = 0
    SCALAR_SUM = 1
    SCALAR_DIFF = 2
    SCALAR_PRODUCT = 3
    SCALAR_DIVISION = 4
    SCALAR_ABS = 5
    SCALAR_RECIPROCAL = 6
    SCALAR_SIN = 7
    SCALAR_COS = 8
    SCALAR_TAN = 9
    SCALAR_ARCSIN = 10
    SCALAR_ARCCOS = 11
    SCALAR_ARCTAN = 12
    SCALAR_EXP = 13
    SCALAR_LOG = 14
    SCALAR_HEAVISIDE = 15
    VECTOR_HEAVISIDE = 16
    MATRIX_HEAVISIDE = 17
    SCALAR_VECTOR_PRODUCT = 18
    SCALAR_BROADCAST = 19
    VECTOR_RECIPROCAL = 20
    VECTOR_NORM = 21
    VECTOR_ABS = 22
    VECTOR_SUM = 23
    VECTOR_DIFF = 24
    VECTOR_PRODUCT = 25
    VECTOR_DIVISION = 26
    VECTOR_INNER_PRODUCT = 27
    VECTOR_OUTER_PRODUCT = 28
    SCALAR_MATRIX_PRODUCT = 29
    MATRIX_RECIPROCAL = 30
    MATRIX_VECTOR_PRODUCT = 31
    VECTOR_COLUMN_BROADCAST = 32
    VECTOR_ROW_BROADCAST = 33
    MATRIX_NORM = 34
    MATRIX_COLUMN_NORM = 35
    MATRIX_ROW_NORM = 36
    MATRIX_TRANSPOSE = 37
    MATRIX_ABS = 38
    MATRIX_SUM = 39
    MATRIX_DIFF = 40
    MATRIX_PRODUCT = 41
    MATRIX_DIVISION = 42
    MATRIX_MATRIX_PRODUCT = 43
    SCALAR_MIN = 44
    VECTOR_MIN = 45
    MATRIX_MIN = 46
    SCALAR_MAX = 47
    VECTOR_MAX = 48
    MATRIX_MAX = 49
    VECTOR_MEAN = 50
    MATRIX_MEAN = 51
    MATRIX_ROW_MEAN = 52
    MATRIX_ROW_STD = 53
    VECTOR_STD = 54
    MATRIX_STD = 55
    SCALAR_CONST = 56
    VECTOR_CONST = 57
    MATRIX_CONST = 58
    SCALAR_UNIFORM = 59
    VECTOR_UNIFORM = 60
    MATRIX_UNIFORM = 61
    SCALAR_GAUSSIAN = 62
    VECTOR_GAUSSIAN = 63
    MATRIX_GAUSSIAN = 64


TEXT = (
    "no_op",
    "s{out} = s{a} + s{b}",
    "s{out} = s{a} - s{b}",
    "s{out} = s{a} * s{b}",
    "s{out} = s{a} / s{b}",
    "s{out} = abs(s{a})",
    "s{out} = 1 / s{a}",
    "s{out} = sin(s{a})",
    "s{out} = cos(s{a})",
    "s{out} = tan(s{a})",
    "s{out} = arcsin(s{a})",
    "s{out} = arccos(s{a})",
    "s{out} = arctan(s{a})",
    "s{out} = exp(s{a})",
    "s{out} = log(s{a})",
    "s{out} = heaviside(s{a})",
    "v{out} = heaviside(v{a})",
    "m{out} = heaviside(m{a})",
    "v{out} = s{a} * v{b}",
    "v{out} = bcast(s{a})",
    "v{out} = 1 / v{a}",
    "s{out} = norm(v{a})",
    "v{out} = abs(v{a})",
    "v{out} = v{a} + v{b}",
    "v{out} = v{a} - v{b}",
    "v{out} = v{a} * v{b}",
    "v{out} = v{a} / v{b}",
    "s{out} = dot(v{a}, v{b})",
    "m{out} = outer(v{a}, v{b})",
    "m{out} = s{a} * m{b}",
    "m{out} = 1 / m{a}",
    "v{out} = dot(m{a}, v{b})",
    "m{out} = bcast(v{a}, axis=0)",
    "m{out} = bcast(v{a}, axis=1)",
    "s{out} = norm(m{a})",
    "v{out} = norm(m{a}, axis=0)",
    "v{out} = norm(m{a}, axis=1)",
    "m{out} = transpose(m{a})",
    "m{out} = abs(m{a})",
    "m{out} = m{a} + m{b}",
    "m{out} = m{a} - m{b}",
    "m{out} = m{a} * m{b}",
    "m{out} = m{a} / m{b}",
    "m{out} = matmul(m{a}, m{b})",
    "s{out} = minimum(s{a}, s{b})",
    "v{out} = minimum(v{a}, v{b})",
    "m{out} = minimum(m{a}, m{b})",
    "s{out} = maximum(s{a}, s{b})",
    "v{out} = maximum(v{a}, v{b})",
    "m{out} = maximum(m{a}, m{b})",
    "s{out} = mean(v{a})",
    "s{out} = mean(m{a})",
    "v{out} = mean(m{a}, axis=1)",
    "v{out} = std(m{a}, axis=1)",
    "s{out} = std(v{a})",
    "s{out} = std(m{a})",
    "s{out} = {x}",
    "v{out}[{x}] = {y}",
    "m{out}[{x}, {y}] = {z}",
    "s{out} = uniform({x}, {y})",
    "v{out} = uniform({x}, {y})",
    "m{out} = uniform({x}, {y})",
    "s{out} = gaussian({x}, {y})",
    "v{out} = gaussian({x}, {y})",
    "m{out} = gaussian({x}, {y})",
)
"""How an instruction reads: `a` and `b` are addresses, `x`, `y` and `z` constants."""

NUM_OPS = len(TEXT)
NOTHING, SCALAR, VECTOR, MATRIX = range(4)
LETTERS = "?svm"


def _kinds(field: str) -> np.ndarray:
    """What stands there in each operation: a scalar, a vector, a matrix, nothing."""
    found = [re.search(rf"([svm])\{{{field}\}}", text) for text in TEXT]
    kinds = [LETTERS.index(match[1]) if match else NOTHING for match in found]
    return np.array(kinds, np.int64)


OUT = _kinds("out")
"""What each operation writes: `SCALAR`, `VECTOR`, `MATRIX` or `NOTHING`."""
INPUTS = np.stack([_kinds("a"), _kinds("b")], axis=1)
"""What each operation reads, [65, 2]."""
NUM_CONSTANTS = np.array([sum(f"{{{c}}}" in t for c in "xyz") for t in TEXT], np.int64)
"""How many constants each operation has."""
NUM_INDICES = np.array([text.count("[") + text.count(", {y}]") for text in TEXT])
"""How many of them, the first ones, are places in a vector or matrix."""
COMMUTES = np.isin(
    np.arange(NUM_OPS),
    [
        Op.SCALAR_SUM,
        Op.SCALAR_PRODUCT,
        Op.VECTOR_SUM,
        Op.VECTOR_PRODUCT,
        Op.VECTOR_INNER_PRODUCT,
        Op.MATRIX_SUM,
        Op.MATRIX_PRODUCT,
    ],
)
"""Where the order of the inputs makes no difference, to the last bit."""
RANDOM = np.arange(NUM_OPS) >= Op.SCALAR_UNIFORM
"""Which operations draw random numbers."""
GAUSSIAN = np.arange(NUM_OPS) >= Op.SCALAR_GAUSSIAN
"""Which of those draw them from a normal distribution."""
