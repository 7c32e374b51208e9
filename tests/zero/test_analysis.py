"""Dead code, canonical forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bojax.zero import (
    Instruction,
    Op,
    Program,
    canonical_hash,
    eliminate_dead_code,
    evaluate,
    examples,
    tasks,
)
from bojax.zero.analysis import live_instructions
from bojax.zero.search_space import random_population
from tests.zero.generators import (
    ALL_OPS,
    MEMORY,
    functions,
    program_of,
)

# The best program of the paper's section 4.2: figure S1a, and S1b, "the same code after
# redundant instructions have been removed".
RAW = """
def Setup():
  s4 = uniform(0.6, 0.2)
  v3 = gaussian(0.7, 0.4)
  v12 = gaussian(0.2, 0.6)
  s1 = uniform(-0.1, -0.2)
def Predict():
  v1 = v0 - v9
  v5 = v0 + v9
  v6 = dot(m1, v5)
  m1 = s2 * m2
  s1 = dot(v6, v1)
  s6 = cos(s4)
def Learn():
  s4 = s0 - s1
  s3 = abs(s1)
  m1 = outer(v1, v0)
  s5 = sin(s4)
  s2 = norm(m1)
  s7 = s5 / s2
  s4 = s4 + s6
  v11 = s7 * v1
  m1 = heaviside(m2)
  m1 = outer(v11, v5)
  m0 = m1 + m0
  v9 = uniform(2e-3, 0.7)
  s7 = log(s0)
  s4 = std(m0)
  m2 = m2 + m0
  m1 = s4 * m0
"""
REDUCED = """
def Setup():
def Predict():
  v1 = v0 - v9
  v5 = v0 + v9
  v6 = dot(m1, v5)
  m1 = s2 * m2
  s1 = dot(v6, v1)
def Learn():
  s4 = s0 - s1
  m1 = outer(v1, v0)
  s5 = sin(s4)
  s2 = norm(m1)
  s7 = s5 / s2
  v11 = s7 * v1
  m1 = outer(v11, v5)
  m0 = m1 + m0
  v9 = uniform(2e-3, 0.7)
  s4 = std(m0)
  m2 = m2 + m0
  m1 = s4 * m0
"""
SMALL = tasks.linear_regression(0, 2, 4, 10, 10)


def test_the_papers_program_reduces_to_what_the_paper_prints():
    assert str(eliminate_dead_code(Program.parse(RAW))) == REDUCED.strip().replace(
        "2e-3", "0.002"
    )


def test_a_padded_network_reduces_to_itself():
    network = examples.neural_network()
    dead = [
        Instruction(Op.VECTOR_STD, 3, out=6),
        Instruction(Op.SCALAR_CONST, out=5, constants=(0.3,)),
        Instruction(Op.SCALAR_SUM, 5, 6, 5),
        Instruction(Op.NO_OP),
        Instruction(Op.VECTOR_GAUSSIAN, out=9, constants=(0.0, 1.0)),
        Instruction(Op.VECTOR_PRODUCT, 9, 9, 10),
    ]
    rng = np.random.default_rng(0)
    functions = []
    for c in range(3):
        lines = network.instructions(c)
        for _ in range(8):
            lines.insert(rng.integers(len(lines) + 1), dead[rng.integers(len(dead))])
        functions.append(lines)
    padded = Program.of(*functions)
    assert padded.length.sum() == network.length.sum() + 24
    assert str(eliminate_dead_code(padded)) == str(network)
    assert canonical_hash(padded) == canonical_hash(network)
    before, after = evaluate(padded, SMALL), evaluate(network, SMALL)
    assert before.by_task.tobytes() == after.by_task.tobytes()


@pytest.mark.parametrize("backend", ["jax", "numba"])
@pytest.mark.parametrize(
    "data",
    [
        SMALL,
        tasks.pairs_of_classes(
            tasks.digits(),
            0,
            num_tasks=2,
            num_features=4,
            num_train=10,
            num_valid=10,
            epochs=2,
        ),
        tasks.all_classes(tasks.digits(), 0, 2, 11, 10, 10),
    ],
    ids=["regression", "binary", "multiclass"],
)
def test_removing_dead_code_changes_no_bit(backend, data):
    population = random_population(ALL_OPS, 300, seed=1)
    with_dead_code = evaluate(population, data, backend, remove_dead_code=False)
    without = evaluate(population, data, backend)
    for before, after in zip(with_dead_code, without, strict=True):
        assert before.tobytes() == after.tobytes()
    assert np.mean(without.fitness > 0) > 0.3


@given(functions())
def test_what_is_left_is_all_alive(lists):
    program = program_of(lists)
    short = eliminate_dead_code(program)
    assert live_instructions(short)[
        np.arange(short.width) < short.length[:, None]
    ].all()
    assert str(eliminate_dead_code(short)) == str(short)
    assert canonical_hash(short) == canonical_hash(program)


@given(functions(), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_new_names_and_swapped_sides_are_the_same_program(lists, random):
    """Any permutation of the addresses that are not reserved."""
    program = program_of(lists)
    reserved = {1: 2, 2: 1, 3: 0}
    names = {}
    for kind, count in zip((1, 2, 3), MEMORY, strict=True):
        free = list(range(reserved[kind], count))
        random.shuffle(free)
        names[kind] = list(range(reserved[kind])) + free
    from bojax.zero.operations import COMMUTES, INPUTS, OUT

    functions = []
    for c in range(3):
        lines = []
        for line in program.instructions(c):
            kinds = (*INPUTS[line.op], OUT[line.op])
            a, b, out = (
                names[k][place] if k else 0
                for k, place in zip(kinds, (line.a, line.b, line.out), strict=True)
            )
            lines.append(line._replace(a=a, b=b, out=out))
        functions.append(lines)
    renamed = Program.of(*functions, memory=MEMORY)
    assert canonical_hash(renamed) == canonical_hash(program)

    # Sides are sorted by their names, which are by first use: swap those of known ones.
    both = Program.stack([program, renamed])
    results = evaluate(both, SMALL, "numba")
    assert results.by_task[0].tobytes() == results.by_task[1].tobytes()
    assert COMMUTES.sum() == 7


def test_sides_of_what_commutes_do_not_matter():
    text = "def Predict():\n s2 = mean(v0)\n s3 = norm(v0)\n s1 = {} {} {}"
    for sign, same in (("+", True), ("*", True), ("-", False), ("/", False)):
        one = Program.parse(text.format("s2", sign, "s3"))
        two = Program.parse(text.format("s3", sign, "s2"))
        assert (canonical_hash(one) == canonical_hash(two)) == same


def test_constants_tell_programs_apart():
    one, two = examples.linear_regressor(0.1), examples.linear_regressor(0.1001)
    assert canonical_hash(one) != canonical_hash(two)


def test_setting_one_entry_keeps_the_others_alive():
    program = Program.parse(
        "def Setup():\n v1 = gaussian(0.0, 1.0)\n v1[0.5] = 2.0\n"
        "def Predict():\n s1 = dot(v0, v1)"
    )
    assert str(eliminate_dead_code(program)) == str(program)


def test_of_several_classes_the_vector_counts():
    program = examples.softmax_regressor()
    assert eliminate_dead_code(program).length.sum() == 0
    assert str(eliminate_dead_code(program, multiclass=True)) == str(program)
