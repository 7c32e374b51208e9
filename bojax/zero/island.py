"""One island: regularized evolution, with an evaluation in stages, for numba.

A child goes through the stages until one of them knows its fitness:

1. Its canonical form has been seen: the fitness is the same.
2. It errs as another program did in 10 training and 10 validation steps on all tasks,
   to the last bit: it is taken to be equivalent. Or it fails on all of them.
3. On the first task it is below the hurdle, the 75th percentile of the unique values
   there of late: what it reached ranks it among its like, below all that pass. (That
   value less one is its fitness: the first task may be an easy one.)
4. It is trained and validated on all tasks.

References:
    Real, Aggarwal, Huang and Le (2019), Regularized evolution for image classifier
    architecture search; Real, Liang, So and Le (2020), AutoML-Zero, supplement S3.
"""

from typing import NamedTuple

import numpy as np

from bojax.zero import cache as caches
from bojax.zero._compile import compiled, inlined
from bojax.zero.analysis import mark_live, pack
from bojax.zero.cache import Cache
from bojax.zero.kernels import decode, evaluate_one, memory_size
from bojax.zero.operations import NUM_CONSTANTS, Op
from bojax.zero.program import Program
from bojax.zero.search_space import SearchSpace, below, mutate, random_program

(
    EVALUATIONS,
    SAME_FORM,
    EQUIVALENT,
    FAILED_EARLY,
    UNDER_HURDLE,
    IN_FULL,
    TRAIN_STEPS,
    NUM_RECENT,
) = range(8)
"""What `Island.counts` counts."""

UNKNOWN = -2.0
EXAMPLES = 10
"""Training and validation steps of the fingerprint."""
CACHE_SIZE = 100_000
RECENT = 1000
"""Unique values on the first task of which the hurdle is a percentile."""
RENEW = 50
"""The hurdle is set anew after so many."""


class Island(NamedTuple):
    """A population and all that its evolution depends on, changed in place.

    Args:
        op: [p, 3, L].
        addresses: [p, 3, L, 3].
        constants: [p, 3, L, 3].
        length: [p, 3].
        fitness: [p].
        best_op: of the best program so far.
        best_addresses: likewise.
        best_constants: likewise.
        best_length: likewise.
        best_fitness: its fitness, [1].
        counts: see `EVALUATIONS` and the following, [8].
        forms: fitness by canonical form.
        behaviors: fitness by fingerprint.
        recent: unique values on the first task.
        hurdle: [1].
    """

    op: np.ndarray
    addresses: np.ndarray
    constants: np.ndarray
    length: np.ndarray
    fitness: np.ndarray
    best_op: np.ndarray
    best_addresses: np.ndarray
    best_constants: np.ndarray
    best_length: np.ndarray
    best_fitness: np.ndarray
    counts: np.ndarray
    forms: Cache
    behaviors: Cache
    recent: np.ndarray
    hurdle: np.ndarray


class Settings(NamedTuple):
    """How an island evolves.

    Args:
        tournament_size: T, how many compete to be the parent.
        mutation_probability: U, of a child to differ from its parent.
        remove_dead_code: whether dead code is removed and canonical forms compared.
        equivalence: whether fingerprints are compared.
        hurdle: whether there is a hurdle.
        median: whether a fitness is the median of the tasks', not the mean.
    """

    tournament_size: int = 10
    mutation_probability: float = 0.9
    remove_dead_code: bool = True
    equivalence: bool = True
    hurdle: bool = False
    median: bool = False


def found(space: SearchSpace, population_size: int) -> Island:
    """An island before its first evaluation."""
    width = max(1, *space.most)
    start = Program.of() if space.start is None else space.start
    start = start.pad(width, space.memory)

    parts = start.op, start.addresses, start.constants, start.length.astype(np.int64)
    op, addresses, constants, length = (
        np.repeat(part[None], population_size, axis=0) for part in parts
    )
    return Island(
        op=op,
        addresses=addresses,
        constants=constants,
        length=length,
        fitness=np.full(population_size, -1.0),
        best_op=op[0].copy(),
        best_addresses=addresses[0].copy(),
        best_constants=constants[0].copy(),
        best_length=length[0].copy(),
        best_fitness=np.array([-1.0]),
        counts=np.zeros(8, np.int64),
        forms=caches.empty(CACHE_SIZE),
        behaviors=caches.empty(CACHE_SIZE),
        recent=np.zeros(RECENT),
        hurdle=np.array([-1.0]),
    )


@inlined
def mix(digest, bits):
    """One step of a hash of 64 bits."""
    digest = (digest ^ bits) * np.uint64(0x9E3779B97F4A7C15)
    return digest ^ (digest >> np.uint64(29))


@inlined
def hash_form(form):
    """Of a packed program."""
    op, addresses, constants, _, length = form
    bits = constants.view(np.uint64)
    digest = np.uint64(1)
    for c in range(3):
        digest = mix(digest, np.uint64(length[c]))
        for i in range(length[c]):
            number = op[c, i]
            line = number | (addresses[c, i, 0] << 8) | (addresses[c, i, 1] << 16)
            digest = mix(digest, np.uint64(line | (addresses[c, i, 2] << 24)))
            for j in range(NUM_CONSTANTS[number]):
                digest = mix(digest, bits[c, i, j])
    return np.int64(digest & np.uint64(0x7FFFFFFFFFFFFFFF))


@inlined
def hash_errors(record):
    """Of the errors of 20 steps, in four strands that the processor runs at a time."""
    bits = record.reshape(-1).view(np.uint64)
    one, two = np.uint64(1), np.uint64(2)
    three, four = np.uint64(3), np.uint64(4)
    n = len(bits) // 4 * 4
    for k in range(0, n, 4):
        one = mix(one, bits[k])
        two = mix(two, bits[k + 1])
        three = mix(three, bits[k + 2])
        four = mix(four, bits[k + 3])
    for k in range(n, len(bits)):
        one = mix(one, bits[k])
    digest = mix(mix(mix(one, two), three), four)
    return np.int64(digest & np.uint64(0x7FFFFFFFFFFFFFFF))


@inlined
def combine(values, median):
    """The fitness of a program from its fitness on each task."""
    if median:
        return np.sort(values)[len(values) // 2]
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


@inlined
def note_hurdle(island, value):
    """Takes a value on the first task into account, if it is a new one."""
    recent, counts = island.recent, island.counts
    size = min(counts[NUM_RECENT], len(recent))
    for k in range(size):
        if recent[k] == value:
            return
    recent[counts[NUM_RECENT] % len(recent)] = value
    counts[NUM_RECENT] += 1
    if counts[NUM_RECENT] % RENEW == 0:
        ordered = np.sort(recent[: min(counts[NUM_RECENT], len(recent))])
        island.hurdle[0] = ordered[int(0.75 * len(ordered))]


@compiled
def assess(island, form, code, settings, tasks, short, first, rooms):
    """The fitness of a packed program, by the stages.

    Args:
        island: its caches, counts and hurdle.
        form: packed program, of `pack`.
        code: room for `decode`.
        settings: `Settings`.
        tasks: `Lanes`.
        short: the same with the first examples alone.
        first: the first task alone.
        rooms: for each of the three its memory and room for working, and records.
    """
    counts = island.counts
    op, addresses, constants, slots, length = form
    memory, work, short_memory, short_work, first_memory, first_work, record, none = (
        rooms
    )
    digest = behavior = 0
    if settings.remove_dead_code:
        digest = hash_form(form)
        entry = caches.find(island.forms, digest)
        if entry >= 0:
            counts[SAME_FORM] += 1
            return island.forms.values[entry]
    fitness = UNKNOWN
    if settings.equivalence:
        decode(op, addresses, slots, length, short.sizes, code)
        record[:] = -2.0
        counts[TRAIN_STEPS] += evaluate_one(
            code, constants, length, short, short_memory, short_work, record
        )
        if record[short.x_train.shape[0], 0] == -2.0:
            counts[FAILED_EARLY] += 1
            fitness = 0.0
        else:
            behavior = hash_errors(record)
            entry = caches.find(island.behaviors, behavior)
            if entry >= 0:
                counts[EQUIVALENT] += 1
                fitness = island.behaviors.values[entry]
    if fitness == UNKNOWN:
        if settings.hurdle:
            decode(op, addresses, slots, length, first.sizes, code)
            counts[TRAIN_STEPS] += evaluate_one(
                code, constants, length, first, first_memory, first_work, none
            )
            value = first_work[0, 0]
            if value < island.hurdle[0]:
                counts[UNDER_HURDLE] += 1
                fitness = value - 1.0
            note_hurdle(island, value)
        if fitness == UNKNOWN:
            decode(op, addresses, slots, length, tasks.sizes, code)
            counts[TRAIN_STEPS] += evaluate_one(
                code, constants, length, tasks, memory, work, none
            )
            counts[IN_FULL] += 1
            fitness = combine(work[0], settings.median)
        if settings.equivalence:
            caches.insert(island.behaviors, behavior, fitness)
    if settings.remove_dead_code:
        caches.insert(island.forms, digest, fitness)
    return fitness


@inlined
def rooms_for(tasks, short, first):
    """Memories and room for working, of `assess`."""
    return (
        np.zeros(memory_size(tasks.sizes)),
        np.zeros((6, tasks.sizes[1])),
        np.zeros(memory_size(short.sizes)),
        np.zeros((6, short.sizes[1])),
        np.zeros(memory_size(first.sizes)),
        np.zeros((6, first.sizes[1])),
        np.zeros((short.x_train.shape[0] + short.x_valid.shape[0], short.sizes[1])),
        np.zeros((0, 0)),
    )


@compiled
def advance(island, rules, settings, tasks, short, first, rng, num_evaluations):
    """Evolves an island by so many evaluations; the first ones are its population's.

    Args:
        island: changed in place.
        rules: of the search space.
        settings: `Settings`.
        tasks: `Lanes`.
        short: the same with the first examples alone.
        first: the first task alone.
        rng: NumPy's generator.
        num_evaluations: how many.
    """
    multiclass = tasks.sizes[2] == 2
    population_size, _, width = island.op.shape
    counts = island.counts
    live = np.zeros((3, width), np.bool_)
    alive = np.zeros((3, 4), np.int64)
    names = np.zeros((4, 64), np.int64)
    form = (
        np.zeros((3, width), np.int64),
        np.zeros((3, width, 3), np.int64),
        np.zeros((3, width, 3)),
        np.zeros((3, width), np.int64),
        np.zeros(3, np.int64),
    )
    code = np.zeros((3, width, 9), np.uint64)
    rooms = rooms_for(tasks, short, first)
    for _ in range(num_evaluations):
        slot = counts[EVALUATIONS] % population_size
        program = (
            island.op[slot],
            island.addresses[slot],
            island.constants[slot],
            island.length[slot],
        )
        if counts[EVALUATIONS] < population_size:
            random_program(program, rules, rng)
        else:
            parent = below(rng, population_size)
            for _ in range(settings.tournament_size - 1):
                other = below(rng, population_size)
                if island.fitness[other] > island.fitness[parent]:
                    parent = other
            if parent != slot:
                program[0][:] = island.op[parent]
                program[1][:] = island.addresses[parent]
                program[2][:] = island.constants[parent]
                program[3][:] = island.length[parent]
            if rng.random() < settings.mutation_probability:
                mutate(program, rules, rng)
        if settings.remove_dead_code:
            mark_live(program[0], program[1], program[3], multiclass, alive, live)
            pack(*program, multiclass, live, names, form)
        else:
            keep_all(program, multiclass, alive, live, form)
        counts[EVALUATIONS] += 1
        fitness = assess(island, form, code, settings, tasks, short, first, rooms)
        island.fitness[slot] = fitness
        if fitness > island.best_fitness[0]:
            island.best_fitness[0] = fitness
            island.best_op[:] = program[0]
            island.best_addresses[:] = program[1]
            island.best_constants[:] = program[2]
            island.best_length[:] = program[3]


@compiled
def keep_all(program, multiclass, alive, live, form):
    """Copies a program with its dead code; random draws are those of the live ones."""
    mark_live(program[0], program[1], program[3], multiclass, alive, live)
    form[0][:] = program[0]
    form[1][:] = program[1]
    form[2][:] = program[2]
    form[4][:] = program[3]
    for c in range(3):
        slot = 0
        for i in range(form[4][c]):
            form[3][c, i] = slot
            if live[c, i] and form[0][c, i] >= Op.SCALAR_UNIFORM:
                slot += 1
