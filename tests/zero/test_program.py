"""Programs and their text."""

import jax
import numpy as np
import pytest
from hypothesis import given

from bojax.zero import Instruction, Memory, Mutations, Op, Program, examples
from bojax.zero.operations import NUM_OPS, TEXT
from bojax.zero.search_space import SearchSpace, random_population
from tests.zero.generators import (
    ALL_OPS,
    functions,
    program_of,
)


@given(functions())
def test_text_and_back(lists):
    program = program_of(lists)
    again = Program.parse(str(program), program.memory)
    assert str(again) == str(program)
    np.testing.assert_array_equal(again.op, program.op)
    np.testing.assert_array_equal(again.addresses, program.addresses)
    # To the last bit, and the sign of zero.
    assert again.constants.tobytes() == program.constants.tobytes()


@pytest.mark.parametrize("op", range(NUM_OPS))
def test_every_operation_reads_as_the_table_says(op):
    line = TEXT[op].format(a=1, b=2, out=3, x=0.25, y=0.5, z=-1e-9)
    program = Program.parse(f"def Predict():\n  {line}")
    assert program.op[1, 0] == op
    assert str(program.instructions(1)[0]) == line


@pytest.mark.parametrize(
    ("spelling", "usual"),
    [
        ("s3 = heaviside(s1, 1.0)", "s3 = heaviside(s1)"),
        ("v6=max(v2,v9)", "v6 = maximum(v2, v9)"),
        ("s2 = min(s1, s3)  # the lower", "s2 = minimum(s1, s3)"),
        ("v3 = gaussian(0.7, 0.4, n_features)", "v3 = gaussian(0.7, 0.4)"),
        (
            "m1 = uniform(0.2, 0.1, (n_features, n_features))",
            "m1 = uniform(0.2, 0.1)",
        ),
        ("v2 = mean(m1, axis=0)", "v2 = mean(m1, axis=1)"),
        ("v2 = norm(m1, axis=0)", "v2 = norm(m1, axis=0)"),
        ("NoOp()", "no_op"),
        ("s2 = -2E-3", "s2 = -0.002"),
        ("s2 = 3", "s2 = 3.0"),
    ],
)
def test_other_spellings(spelling, usual):
    program = Program.parse(f"def Learn():\n{spelling}")
    assert str(program.instructions(2)[0]) == usual


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def Setup():\n  s2 = cosh(s1)", r"line 2: .* got 's2 = cosh\(s1\)'"),
        ("s2 = 0.1", "line 1: expected a function"),
        ("def Train():\n s2 = 0.1", "line 1: expected each of Setup, Predict, Learn"),
        ("def Setup():\ndef Setup():", "line 2: .* at most once"),
        ("def Setup():\n  s0 = 0.1", "s0 and v0 never written, got s0 = 0.1"),
        ("def Learn():\n  v0 = v1 + v1", "s0 and v0 never written"),
        ("def Setup():\n  v1[1.0] = 0.2", r"places in \[0, 1\)"),
        ("def Setup():\n  s99 = 0.1", "addresses up to 60"),
        ("def Setup():\n  s2 = nan", "line 2"),
        ("def Setup():\n  s2 = 1e999", "finite constants"),
    ],
)
def test_bad_text_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        Program.parse(text)


def test_addresses_outside_the_memory_are_refused():
    text = "def Setup():\n  s2 = 0.5\ndef Predict():\n  s1 = dot(v0, v3)"
    with pytest.raises(ValueError, match=r"Predict, line 1: .* 4 scalars, 3 vectors"):
        Program.parse(text, Memory(4, 3, 1))
    assert Program.parse(text).memory == Memory(3, 4, 0)
    with pytest.raises(ValueError, match=r"Setup, line 1: .* nonnegative .* s2 = s-1"):
        Program.of([Instruction(Op.SCALAR_SUM, -1, 0, 2)])


def test_arrays_are_checked_too():
    good = examples.linear_regressor()
    parts = good.op.copy(), good.addresses.copy(), good.constants.copy(), good.length
    parts[0][2, 1] = 65
    with pytest.raises(ValueError, match=r"Learn, line 2: .* got operation 65"):
        Program(*parts, good.memory)
    with pytest.raises(ValueError, match="length: expected 0 to 4"):
        Program(good.op, good.addresses, good.constants, good.length + 9, good.memory)
    with pytest.raises(ValueError, match="expected 2 to 60 scalars, got 1"):
        Program.of(memory=Memory(1, 1, 0))
    with pytest.raises(ValueError, match="expected 0 to 60 matrices, got 61"):
        Program.of(memory=Memory(2, 1, 61))


def test_a_population_is_one_pytree():
    population = random_population(ALL_OPS, 7)
    assert len(population) == 7
    assert {leaf.shape[0] for leaf in jax.tree.leaves(population)} == {7}
    assert str(population[3]) == str(population[2:5][1])
    one, other = population[0], examples.linear_regressor()
    both = Program.stack([one, other])
    assert str(both[0]) == str(one)
    assert str(both[1]) == str(other)
    with pytest.raises(ValueError, match="expected at least one, got none"):
        Program.stack([])
    with pytest.raises(TypeError, match="got one program"):
        len(one)
    with pytest.raises(TypeError, match="got a population"):
        population.instructions(0)
    assert "7 programs" in str(population)


def test_no_room_is_refused():
    with pytest.raises(ValueError, match="width: expected at least 4, got 3"):
        examples.linear_regressor().pad(3)


def test_an_instruction_is_a_line():
    assert str(Instruction(Op.SCALAR_CONST, out=2, constants=(0.1,))) == "s2 = 0.1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"most": (2, 2, 2), "least": (3, 0, 0)}, "least <= most"),
        ({"initial": (0, 5, 0)}, "Predict"),
        ({"learn": (), "predict": (), "setup": ()}, "expected operations, got none"),
        ({"memory": Memory(4, 3, 0), "learn": (Op.MATRIX_SUM,)}, "MATRIX_SUM"),
        ({"mutations": Mutations(insert=-1.0)}, "weights >= 0"),
        ({"start": examples.neural_network()}, "in a memory up to"),
    ],
)
def test_impossible_search_spaces_are_refused(change, message):
    given = {
        "setup": (Op.SCALAR_CONST,),
        "predict": (Op.VECTOR_INNER_PRODUCT,),
        "learn": (Op.SCALAR_DIFF,),
        "most": (3, 3, 3),
    }
    with pytest.raises(ValueError, match=message):
        SearchSpace(**{**given, **change})
