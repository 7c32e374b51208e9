"""Which instructions matter, and when two programs are the same.

Written once for one program, as loops over small arrays, so that every backend shares
it: numba compiles it where it is installed.

An instruction is dead where what it writes is never read on a way to a prediction.
Predict and Learn run in turns, so what one of them reads keeps the other's alive; from
nothing being read, the sets only grow, and where they no longer do they are the least,
which removes most. Removing dead code cannot change a fitness, not in the last bit.

References:
    Real, Liang, So and Le (2020), AutoML-Zero, supplement S8 (a).
"""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from bojax.zero._compile import compiled, inlined
from bojax.zero.operations import (
    COMMUTES,
    INPUTS,
    NUM_CONSTANTS,
    OUT,
    RANDOM,
    SCALAR,
    VECTOR,
    Op,
)
from bojax.zero.program import COMPONENTS, Memory, Program

_SETS_ENTRY = np.isin(np.arange(len(OUT)), [Op.VECTOR_CONST, Op.MATRIX_CONST])
"""Operations that leave a part of what was there."""


class Lowered(NamedTuple):
    """A population as the backends run it: live instructions in front, canonical.

    Args:
        op: operations, [p, 3, L].
        addresses: of inputs and output, [p, 3, L, 3].
        constants: [p, 3, L, 3].
        slots: which of a step's draws an instruction takes if it is a random one.
        length: [p, 3].
    """

    op: Int64[np.ndarray, "p 3 L"]
    addresses: Int64[np.ndarray, "p 3 L 3"]
    constants: Float64[np.ndarray, "p 3 L 3"]
    slots: Int64[np.ndarray, "p 3 L"]
    length: Int64[np.ndarray, "p 3"]


@inlined
def backward(op, addresses, length, component, alive, live):
    """Marks one function's live instructions; `alive` goes from its end to its start.

    Args:
        op: operations [3, L].
        addresses: [3, L, 3].
        length: [3].
        component: which function.
        alive: for scalars, vectors and matrices (1, 2, 3) a set of addresses, as bits.
        live: the marks, [3, L].
    """
    for i in range(length[component] - 1, -1, -1):
        kind = OUT[op[component, i]]
        out = 1 << np.int64(addresses[component, i, 2])
        live[component, i] = kind != 0 and (alive[kind] & out) != 0
        if live[component, i]:
            if not _SETS_ENTRY[op[component, i]]:
                alive[kind] &= ~out
            for j in range(2):
                kind = INPUTS[op[component, i], j]
                if kind != 0:
                    alive[kind] |= 1 << np.int64(addresses[component, i, j])


@inlined
def mark_live(op, addresses, length, multiclass, alive, live):
    """Marks the live instructions of one program.

    Args:
        op: operations [3, L].
        addresses: [3, L, 3].
        length: [3].
        multiclass: whether v2 is the prediction and v1 the label, not s1 and s0.
        alive: room for working, [3, 4].
        live: the marks, [3, L].
    """
    start, end, before = alive[0], alive[1], alive[2]
    start[:] = 0
    while True:
        # After Learn comes Predict.
        end[:] = start
        before[:] = start
        backward(op, addresses, length, 2, end, live)
        # After Predict comes Learn, or Predict of the next validation example.
        for kind in range(1, 4):
            if kind == SCALAR:
                end[kind] &= ~1
            if kind == VECTOR:
                end[kind] &= ~3 if multiclass else ~1
            end[kind] |= start[kind]
        if multiclass:
            end[VECTOR] |= 4
        else:
            end[SCALAR] |= 2
        backward(op, addresses, length, 1, end, live)
        end[SCALAR] &= ~1
        end[VECTOR] &= ~3 if multiclass else ~1
        if end[1] == before[1] and end[2] == before[2] and end[3] == before[3]:
            break
        start[:] = end
    backward(op, addresses, length, 0, end, live)


@inlined
def pack(op, addresses, constants, length, multiclass, live, names, into):
    """Live instructions in canonical form: addresses in the order of first use.

    Args:
        op: operations [3, L].
        addresses: [3, L, 3].
        constants: [3, L, 3].
        length: [3].
        multiclass: as in `mark_live`.
        live: the marks of `mark_live`.
        names: room for working, [4, 64].
        into: arrays of one program of `Lowered`.
    """
    new_op, new_addresses, new_constants, slots, new_length = into
    names[:] = -1
    num_names = names[:, 63]
    num_names[:] = 0
    names[SCALAR, 0], names[SCALAR, 1], num_names[SCALAR] = 0, 1, 2
    names[VECTOR, 0], num_names[VECTOR] = 0, 1
    if multiclass:
        names[VECTOR, 1], names[VECTOR, 2], num_names[VECTOR] = 1, 2, 3
    for component in range(3):
        n = 0
        slot = 0
        for i in range(length[component]):
            if not live[component, i]:
                continue
            number = op[component, i]
            new_op[component, n] = number
            for j in range(3):
                kind = INPUTS[number, j] if j < 2 else OUT[number]
                if kind == 0:
                    new_addresses[component, n, j] = 0
                    continue
                old = addresses[component, i, j]
                if names[kind, old] < 0:
                    names[kind, old] = num_names[kind]
                    num_names[kind] += 1
                new_addresses[component, n, j] = names[kind, old]
            first, second = (
                new_addresses[component, n, 0],
                new_addresses[component, n, 1],
            )
            if COMMUTES[number] and second < first:
                new_addresses[component, n, 0] = second
                new_addresses[component, n, 1] = first
            for j in range(3):
                has = j < NUM_CONSTANTS[number]
                new_constants[component, n, j] = (
                    constants[component, i, j] if has else 0.0
                )
            slots[component, n] = 0
            if RANDOM[number]:
                slots[component, n] = slot
                slot += 1
            n += 1
        new_length[component] = n


@compiled
def lower_all(op, addresses, constants, length, multiclass, live, into):
    """`mark_live` and `pack` for every program of a population."""
    alive = np.zeros((3, 4), np.int64)
    names = np.zeros((4, 64), np.int64)
    for p in range(op.shape[0]):
        mark_live(op[p], addresses[p], length[p], multiclass, alive, live[p])
        pack(
            op[p],
            addresses[p],
            constants[p],
            length[p],
            multiclass,
            live[p],
            names,
            (into[0][p], into[1][p], into[2][p], into[3][p], into[4][p]),
        )


def live_instructions(
    program: Program, multiclass: bool = False
) -> Bool[np.ndarray, "*p 3 L"]:
    """Which instructions of a program can make a difference to its predictions."""
    flat = _flat(program)
    live = np.zeros(flat.op.shape, np.bool_)
    alive = np.zeros((3, 4), np.int64)
    for p in range(len(flat)):
        mark_live(
            flat.op[p], flat.addresses[p], flat.length[p], multiclass, alive, live[p]
        )
    return live.reshape(program.op.shape)


def lower(program: Program, multiclass: bool = False, dead: bool = False) -> Lowered:
    """What the backends run.

    Args:
        program: one, or a population.
        multiclass: whether v2 is the prediction, not s1.
        dead: whether to keep dead instructions, and all addresses as they are: slower,
            and the same to the last bit.
    """
    flat = _flat(program)
    shape = flat.op.shape
    live = np.zeros(shape, np.bool_)
    into = Lowered(
        np.zeros(shape, np.int64),
        np.zeros((*shape, 3), np.int64),
        np.zeros((*shape, 3)),
        np.zeros(shape, np.int64),
        np.zeros(shape[:2], np.int64),
    )
    lower_all(
        flat.op,
        flat.addresses,
        flat.constants,
        flat.length,
        multiclass,
        live,
        tuple(into),
    )
    if not dead:
        return into
    # A random instruction draws what it would among the live ones alone.
    count = np.cumsum(live & RANDOM[flat.op.astype(int)], axis=-1)
    return Lowered(
        flat.op.astype(np.int64),
        flat.addresses.astype(np.int64),
        np.array(flat.constants),
        np.where(live, np.maximum(count - 1, 0), 0),
        flat.length.astype(np.int64),
    )


def eliminate_dead_code(program: Program, multiclass: bool = False) -> Program:
    """The same program without the instructions that make no difference.

    Addresses stay as they are.

    Example:
        >>> program = Program.parse('''
        ... def Setup():
        ...   s2 = 0.5
        ...   s3 = 0.1
        ... def Predict():
        ...   s1 = mean(v0)
        ...   s1 = s1 * s3
        ... ''')
        >>> print(eliminate_dead_code(program))
        def Setup():
          s3 = 0.1
        def Predict():
          s1 = mean(v0)
          s1 = s1 * s3
        def Learn():
    """
    live = live_instructions(program, multiclass)
    kept = [
        [
            line
            for line, alive in zip(program.instructions(c), live[c], strict=False)
            if alive
        ]
        for c in range(len(COMPONENTS))
    ]
    return Program.of(*kept, memory=program.memory)


def canonical(program: Program, multiclass: bool = False) -> Program:
    """The program's canonical form: equal forms have equal fitness, to the last bit.

    Dead code is gone, addresses are numbered in the order of their first use, and the
    inputs of what commutes are sorted.
    """
    low = lower(program, multiclass)
    memory = Memory(*program.memory)
    return Program(
        low.op[0].astype(np.uint8),
        low.addresses[0].astype(np.uint8),
        low.constants[0],
        low.length[0].astype(np.int32),
        memory,
    )


def canonical_hash(program: Program, multiclass: bool = False) -> str:
    """A short name of the canonical form."""
    digest = hashlib.sha256(str(canonical(program, multiclass)).encode())
    return digest.hexdigest()[:16]


def _flat(program: Program) -> Program:
    if len(program.shape) == 1:
        return program
    lead = (int(np.prod(program.shape, dtype=int)),)
    return Program(
        *(
            np.asarray(array).reshape(lead + array.shape[len(program.shape) :])
            for array in (
                program.op,
                program.addresses,
                program.constants,
                program.length,
            )
        ),
        memory=program.memory,
    )
