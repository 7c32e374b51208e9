"""Mutations: what they reach, and how often."""

import numpy as np
import pytest
from scipy import stats

from bojax.zero import (
    DEMO,
    EVERYTHING,
    Memory,
    Mutations,
    Op,
    Program,
    SearchSpace,
    examples,
)
from bojax.zero.operations import (
    GAUSSIAN,
    INPUTS,
    NUM_CONSTANTS,
    NUM_INDICES,
    NUM_OPS,
    OUT,
    RANDOM,
)
from bojax.zero.search_space import (
    alter,
    mutate,
    random_instruction,
    random_population,
    rules,
)
from tests.zero.generators import ALL_OPS

SIGNIFICANCE = 1e-6
DRAWS = 6000


def arrays(program: Program, width: int = 12):
    padded = program.pad(width)
    parts = padded.op, padded.addresses, padded.constants
    return *(part.copy() for part in parts), padded.length.astype(np.int64)


def program_of(parts, memory) -> Program:
    op, addresses, constants, length = parts
    return Program(op, addresses, constants, length.astype(np.int32), memory)


def only(**weights) -> SearchSpace:
    mutations = Mutations(**{**dict.fromkeys(Mutations._fields, 0.0), **weights})
    return SearchSpace(
        DEMO.setup, DEMO.predict, DEMO.learn, (8, 8, 8), (1, 1, 1), mutations=mutations
    )


def even(counts) -> bool:
    return stats.chisquare(counts).pvalue > SIGNIFICANCE


def test_random_instructions_cover_all_evenly():
    allowed, rng = rules(ALL_OPS), np.random.default_rng(0)
    parts = arrays(Program.of(memory=ALL_OPS.memory))
    counts = np.zeros(NUM_OPS, int)
    addresses: dict[tuple, list] = {}
    for _ in range(DRAWS):
        random_instruction(parts, 1, 0, allowed, rng)
        op = int(parts[0][1, 0])
        counts[op] += 1
        for j, kind in enumerate((*INPUTS[op], OUT[op])):
            value = int(parts[1][1, 0, j])
            if kind:
                addresses.setdefault((kind, j == 2), []).append(value)
            else:
                assert value == 0
        has = np.arange(3) < NUM_CONSTANTS[op]
        assert np.all(parts[2][1, 0][~has] == 0)
    assert even(counts)
    for (kind, is_output), values in addresses.items():
        low = 1 if is_output and kind < 3 else 0
        histogram = np.bincount(values, minlength=ALL_OPS.memory[kind - 1])
        assert np.all(histogram[:low] == 0)
        assert even(histogram[low:])


def test_first_constants_are_where_they_belong():
    population = random_population(ALL_OPS, 400)
    op = population.op.astype(int)
    inside = np.arange(op.shape[-1]) < population.length[..., None]
    for j in range(3):
        here = inside & (NUM_CONSTANTS[op] > j)
        is_place = j < NUM_INDICES[op]
        is_deviation = GAUSSIAN[op] & (j == 1)
        positive = population.constants[..., j][here & (is_place | is_deviation)]
        signed = population.constants[..., j][here & ~is_place & ~is_deviation]
        if positive.size:
            assert stats.kstest(positive, "uniform").pvalue > SIGNIFICANCE
        if signed.size:
            test = stats.kstest(signed, stats.uniform(-1, 2).cdf)
            assert test.pvalue > SIGNIFICANCE


def test_kinds_of_mutation_are_as_frequent_as_said():
    """By what they do to lengths: of the paper's, a ninth grow, two ninths shrink."""
    space = SearchSpace(DEMO.setup, DEMO.predict, DEMO.learn, (8, 8, 8), (1, 1, 1))
    allowed, rng = rules(space), np.random.default_rng(0)
    start = examples.affine_regressor().pad(12, Memory(5, 3, 1))
    base = program_of(arrays(start), start.memory)
    changes = []
    for _ in range(DRAWS):
        parts = arrays(base)
        mutate(parts, allowed, rng)
        changes.append(int(parts[3].sum() - base.length.sum()))
    # Setup has one instruction, the least, so a third of the removals do nothing.
    expected = np.array([1 / 9, 2 / 9 * 2 / 3])
    counts = np.array([changes.count(1), changes.count(-1)])
    error = np.sqrt(DRAWS * expected * (1 - expected))
    assert np.all(np.abs(counts - DRAWS * expected) < 5 * error)
    assert set(changes) == {-1, 0, 1}


def test_insertion_and_removal_are_at_any_place_of_any_function():
    base = examples.affine_regressor().pad(12, Memory(5, 3, 1))
    for name in ("insert", "remove"):
        allowed, rng = rules(only(**{name: 1.0})), np.random.default_rng(1)
        functions, places = np.zeros(3, int), np.zeros(8, int)
        for _ in range(DRAWS // 4):
            parts = arrays(base)
            mutate(parts, allowed, rng)
            changed = np.flatnonzero(parts[3] != base.length)
            if not len(changed):
                continue
            c = int(changed[0])
            functions[c] += 1
            before = [str(line) for line in base.instructions(c)]
            after = [str(x) for x in program_of(parts, base.memory).instructions(c)]
            if c == 2:
                whole, part = (after, before) if name == "insert" else (before, after)
                fits = [
                    i for i in range(len(whole)) if whole[:i] + whole[i + 1 :] == part
                ]
                assert fits
                if len(fits) == 1:
                    places[fits[0]] += 1
        expected = [1, 1, 1] if name == "insert" else [0, 1, 1]
        seen = functions[np.array(expected, bool)]
        assert even(seen)
        assert functions.sum() == seen.sum()
        used = places[: 6 if name == "insert" else 5]
        assert np.all(used > 0)


def test_lengths_stay_within_their_limits():
    allowed, rng = rules(only(insert=0.5, remove=0.5)), np.random.default_rng(2)
    parts = arrays(examples.affine_regressor().pad(12, Memory(5, 3, 1)))
    lengths = []
    for _ in range(3000):
        mutate(parts, allowed, rng)
        lengths.append(parts[3].copy())
        inside = np.arange(12) < parts[3][:, None]
        assert np.all(parts[0][~inside] == 0)
    assert np.min(lengths) == 1
    assert np.max(lengths) == 8


def test_altering_changes_any_one_argument():
    allowed, rng = rules(EVERYTHING), np.random.default_rng(3)
    line = Program.parse("def Learn():\n  v3 = s2 * v1", memory=EVERYTHING.memory)
    counts = np.zeros(3, int)
    for _ in range(DRAWS):
        parts = arrays(line)
        alter(parts, 2, 0, allowed, rng)
        changed = np.flatnonzero(parts[1][2, 0] != line.addresses[2, 0])
        assert len(changed) <= 1
        counts[changed] += 1
    # Each is chosen as often; the old address comes again as often as any.
    counts = counts / (1 - 1 / np.array([8, 14, 13]))
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def test_constants_are_scaled_by_a_half_to_two_and_one_in_ten_changes_sign():
    allowed, rng = rules(DEMO), np.random.default_rng(4)
    line = Program.parse("def Setup():\n  s2 = -3.0")
    factors = []
    for _ in range(DRAWS):
        parts = arrays(line)
        alter(parts, 0, 0, allowed, rng)
        if parts[2][0, 0, 0] != -3.0:
            factors.append(parts[2][0, 0, 0] / -3.0)
    factors = np.array(factors)
    test = stats.kstest(np.abs(factors), stats.uniform(0.5, 1.5).cdf)
    assert test.pvalue > SIGNIFICANCE
    flipped = np.sum(factors < 0)
    assert stats.binomtest(int(flipped), len(factors), 0.1).pvalue > SIGNIFICANCE
    assert stats.binomtest(len(factors), DRAWS, 0.5).pvalue > SIGNIFICANCE


def test_deviations_stay_positive_and_bounds_sorted():
    allowed, rng = rules(EVERYTHING), np.random.default_rng(5)
    parts = arrays(
        Program.parse(
            "def Setup():\n  v1 = gaussian(0.5, 0.5)\n  v2 = uniform(0.9, -0.1)",
            EVERYTHING.memory,
        )
    )
    for _ in range(300):
        before = parts[2][0, 1].copy()
        alter(parts, 0, 0, allowed, rng)
        alter(parts, 0, 1, allowed, rng)
        assert parts[2][0, 0, 1] > 0
        low, high = parts[2][0, 1, :2]
        assert low <= high or np.array_equal(before, parts[2][0, 1])


@pytest.mark.parametrize("space", [DEMO, EVERYTHING, ALL_OPS])
def test_whatever_comes_of_mutations_is_a_program(space):
    allowed, rng = rules(space), np.random.default_rng(6)
    start = random_population(space, 1)[0]
    parts = arrays(start, max(space.most))
    for _ in range(2000):
        mutate(parts, allowed, rng)
    assert str(program_of(parts, space.memory))


def test_functions_without_operations_stay():
    network = examples.neural_network()
    space = SearchSpace(
        (), (), (Op.VECTOR_SUM,), (3, 5, 11), memory=network.memory, start=network
    )
    allowed, rng = rules(space), np.random.default_rng(7)
    parts = arrays(network)
    for _ in range(500):
        mutate(parts, allowed, rng)
    after = program_of(parts, network.memory)
    for c in (0, 1):
        assert after.instructions(c) == network.instructions(c)


def test_of_several_classes_the_label_is_never_written():
    allowed, rng = rules(EVERYTHING, multiclass=True), np.random.default_rng(8)
    parts = arrays(Program.of(memory=EVERYTHING.memory))
    for _ in range(2000):
        random_instruction(parts, 2, 0, allowed, rng)
        if OUT[parts[0][2, 0]] == 2:
            assert parts[1][2, 0, 2] >= 2
    with pytest.raises(ValueError, match="at least 3 vectors"):
        rules(
            only(alter=1.0).__class__(
                **{**vars(only(alter=1.0)), "memory": Memory(4, 2, 1)}
            ),
            multiclass=True,
        )


def test_the_table_of_random_operations():
    assert np.flatnonzero(RANDOM).tolist() == list(range(59, 65))
    assert np.flatnonzero(GAUSSIAN).tolist() == list(range(62, 65))
