"""Programs: three lists of instructions over a small typed memory, and their text.

A program has three functions. `Setup` runs once; then, for each training example,
`Predict` and `Learn`; and for each validation example `Predict`. They share a memory of
scalars s0, s1, ..., vectors v0, v1, ... and matrices m0, m1, ..., all zero at first,
which lasts from Setup to the end.

References:
    Real, Liang, So and Le (2020), AutoML-Zero, section 3.1.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float64, Int32, UInt8

from bojax.zero.operations import (
    INPUTS,
    MATRIX,
    NOTHING,
    NUM_CONSTANTS,
    NUM_INDICES,
    NUM_OPS,
    OUT,
    SCALAR,
    TEXT,
    VECTOR,
    Op,
)

COMPONENTS = "Setup", "Predict", "Learn"
MOST_ADDRESSES = 60
MOST_INSTRUCTIONS = 1000


class Memory(NamedTuple):
    """How many of each there are; s0 and s1 and v0 are the label, prediction, features.

    For tasks of several classes v1 is the label, v2 the prediction.
    """

    scalars: int = 4
    vectors: int = 3
    matrices: int = 1


class Instruction(NamedTuple):
    """One line of a program.

    Args:
        op: which operation.
        a: address of the first input.
        b: address of the second input.
        out: address of the output.
        constants: as many as the operation has.
    """

    op: Op
    a: int = 0
    b: int = 0
    out: int = 0
    constants: tuple[float, ...] = ()

    def __str__(self) -> str:
        names = dict(zip("xyz", map(_number, self.constants), strict=False))
        return TEXT[self.op].format(a=self.a, b=self.b, out=self.out, **names)


class Program(eqx.Module):
    """A program or, with leading axes, a population of them: one pytree of arrays.

    Args:
        op: operations, see `bojax.zero.Op`; `no_op` after the end of a function.
        addresses: of each instruction's first input, second input and output.
        constants: of each instruction; those that it has not are zero.
        length: instructions of Setup, Predict and Learn.
        memory: how many scalars, vectors and matrices there are.

    Raises:
        ValueError: if an operation is unknown, an address is outside the memory or, as
            output, reserved for the label or the features, a constant is not finite, or
            a size is outside of its limits.

    Example:
        >>> program = Program.parse('''
        ... def Setup():
        ...   s2 = 0.1  # learning rate
        ... def Predict():
        ...   s1 = dot(v0, v1)
        ... def Learn():
        ...   s3 = s0 - s1
        ...   s3 = s2 * s3
        ...   v2 = s3 * v0
        ...   v1 = v1 + v2
        ... ''')
        >>> program.memory, program.length.tolist()
        (Memory(scalars=4, vectors=3, matrices=0), [1, 1, 4])
    """

    op: UInt8[np.ndarray, "*p 3 L"]
    addresses: UInt8[np.ndarray, "*p 3 L 3"]
    constants: Float64[np.ndarray, "*p 3 L 3"]
    length: Int32[np.ndarray, "*p 3"]
    memory: Memory = eqx.field(static=True)

    def __check_init__(self):
        _check(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading axes: `()` of one program, `(p,)` of a population."""
        return self.length.shape[:-1]

    @property
    def width(self) -> int:
        """The instructions that each function has room for."""
        return self.op.shape[-1]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: expected a population, got one program")
        return self.shape[0]

    def __getitem__(self, index) -> "Program":
        if not self.shape:
            raise TypeError("index: expected a population, got one program")
        return Program(
            np.asarray(self.op[index]),
            np.asarray(self.addresses[index]),
            np.asarray(self.constants[index]),
            np.asarray(self.length[index]),
            self.memory,
        )

    @classmethod
    def of(
        cls,
        setup: Sequence[Instruction] = (),
        predict: Sequence[Instruction] = (),
        learn: Sequence[Instruction] = (),
        memory: Memory | None = None,
    ) -> "Program":
        """A program of these instructions; by default its memory just holds them.

        Raises:
            ValueError: see `Program`.
        """
        functions = [list(setup), list(predict), list(learn)]
        width = max(1, *map(len, functions))
        op = np.zeros((3, width), np.uint8)
        addresses = np.zeros((3, width, 3), np.uint8)
        constants = np.zeros((3, width, 3))
        for c, instructions in enumerate(functions):
            for i, line in enumerate(instructions):
                places = line.a, line.b, line.out
                if min(places) < 0 or max(places) > MOST_ADDRESSES:
                    raise ValueError(
                        f"{COMPONENTS[c]}, line {i + 1}: expected nonnegative "
                        f"addresses up to {MOST_ADDRESSES}, got {line}"
                    )
                op[c, i] = line.op
                addresses[c, i] = places
                constants[c, i, : len(line.constants)] = line.constants
        length = np.array([len(each) for each in functions], np.int32)
        if memory is None:
            memory = _smallest_memory(op, addresses)
        return cls(op, addresses, constants, length, Memory(*memory))

    @classmethod
    def stack(cls, programs: Sequence["Program"]) -> "Program":
        """A population of programs, in a memory that holds them all.

        Raises:
            ValueError: if there are none.
        """
        if not programs:
            raise ValueError("programs: expected at least one, got none")
        width = max(program.width for program in programs)
        memory = Memory(*np.max([program.memory for program in programs], 0).tolist())
        padded = [program.pad(width) for program in programs]
        return cls(
            np.stack([p.op for p in padded]),
            np.stack([p.addresses for p in padded]),
            np.stack([p.constants for p in padded]),
            np.stack([p.length for p in padded]),
            memory,
        )

    def pad(self, width: int, memory: Memory | None = None) -> "Program":
        """The same with room for more instructions, or in a larger memory.

        Raises:
            ValueError: if it does not fit.
        """
        more = width - self.width
        if more < 0 and np.max(self.length, initial=0) > width:
            raise ValueError(
                f"width: expected at least {np.max(self.length)}, got {width}"
            )
        grow = [(0, 0)] * len(self.shape) + [(0, 0), (0, max(more, 0))]
        keep = slice(None, width)
        return Program(
            np.pad(self.op, grow)[..., keep],
            np.pad(self.addresses, [*grow, (0, 0)])[..., keep, :],
            np.pad(self.constants, [*grow, (0, 0)])[..., keep, :],
            self.length,
            self.memory if memory is None else memory,
        )

    def instructions(self, component: int) -> list[Instruction]:
        """The lines of one function: 0 is Setup, 1 Predict, 2 Learn."""
        if self.shape:
            raise TypeError("instructions: expected one program, got a population")
        lines = []
        for i in range(int(self.length[component])):
            op = Op(int(self.op[component, i]))
            a, b, out = self.addresses[component, i].tolist()
            constants = self.constants[component, i, : NUM_CONSTANTS[op]].tolist()
            lines.append(Instruction(op, a, b, out, tuple(constants)))
        return lines

    def __str__(self) -> str:
        if self.shape:
            return f"{np.prod(self.shape)} programs, memory {tuple(self.memory)}"
        lines = []
        for c, name in enumerate(COMPONENTS):
            lines.append(f"def {name}():")
            lines += [f"  {line}" for line in self.instructions(c)]
        return "\n".join(lines)

    @classmethod
    def parse(cls, text: str, memory: Memory | None = None) -> "Program":
        """Reads a program from its text.

        Comments are left out, spaces do not matter, and the spellings of the paper's
        figures and of its code are understood, `heaviside(v6, 1.0)` for instance.

        Args:
            text: as `str(program)` writes it; functions may be missing.
            memory: how many scalars, vectors and matrices; default: as many as needed.

        Raises:
            ValueError: if a line is not an instruction, with its number; see also
                `Program`.
        """
        functions: dict[str, list[Instruction]] = {}
        current: list[Instruction] | None = None
        for number, line in enumerate(text.splitlines(), 1):
            bare = re.sub(r"\s+", "", line.split("#")[0])
            if not bare:
                continue
            if head := re.fullmatch(r"def(\w+)\(\):", bare):
                if head[1] not in COMPONENTS or head[1] in functions:
                    raise ValueError(
                        f"line {number}: expected each of {', '.join(COMPONENTS)} at "
                        f"most once, got {line.strip()!r}"
                    )
                current = functions.setdefault(head[1], [])
            elif current is None:
                raise ValueError(
                    f"line {number}: expected a function, such as 'def Setup():', "
                    f"got {line.strip()!r}"
                )
            elif (instruction := _parse_line(bare)) is None:
                raise ValueError(
                    f"line {number}: expected an instruction, such as {TEXT[23]!r} or "
                    f"another of bojax.zero.operations.TEXT, got {line.strip()!r}"
                )
            else:
                current.append(instruction)
        return cls.of(*(functions.get(name, []) for name in COMPONENTS), memory=memory)


def _number(value: float) -> str:
    return repr(float(value))


_FLOAT = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"


def _pattern(text: str) -> re.Pattern:
    pattern = re.escape(text.replace(" ", ""))
    pattern = re.sub(r"\\{(a|b|out)\\}", r"(?P<\1>\\d+)", pattern)
    pattern = re.sub(r"\\{([xyz])\\}", lambda m: f"(?P<{m[1]}>{_FLOAT[1:-1]})", pattern)
    return re.compile(pattern, re.IGNORECASE)


_PATTERNS = tuple(_pattern(text) for text in TEXT)
_OTHER_SPELLINGS = (
    (re.compile(r"^NoOp\(\)$|^pass$"), "no_op"),
    (re.compile(r"\bmax\("), "maximum("),
    (re.compile(r"\bmin\("), "minimum("),
    (re.compile(r"^(.*heaviside\(\w+),1\.0\)$"), r"\1)"),
    (re.compile(r",(n_features|\(n_features,n_features\))\)$"), ")"),
    (re.compile(r"^(v\d+=(?:mean|std)\(m\d+),axis=0\)$"), r"\1,axis=1)"),
)


def _parse_line(bare: str) -> Instruction | None:
    for pattern, usual in _OTHER_SPELLINGS:
        bare = pattern.sub(usual, bare)
    for op, pattern in enumerate(_PATTERNS):
        if match := pattern.fullmatch(bare):
            found = match.groupdict()
            a, b, out = (int(found.get(name, 0)) for name in ("a", "b", "out"))
            constants = tuple(float(found[name]) for name in "xyz" if name in found)
            return Instruction(Op(op), a, b, out, constants)
    return None


def _smallest_memory(op: np.ndarray, addresses: np.ndarray) -> Memory:
    kinds = np.concatenate([INPUTS[op], OUT[op][..., None]], -1)
    counts = [
        int(np.max(np.where(kinds == kind, addresses.astype(int) + 1, 0), initial=0))
        for kind in (SCALAR, VECTOR, MATRIX)
    ]
    return Memory(max(counts[0], 2), max(counts[1], 1), counts[2])


def _check(program: Program) -> None:
    memory, width = program.memory, program.width
    least = 2, 1, 0
    for name, low, count in zip(Memory._fields, least, memory, strict=True):
        if not low <= count <= MOST_ADDRESSES:
            raise ValueError(
                f"memory: expected {low} to {MOST_ADDRESSES} {name}, got {count}"
            )
    if width > MOST_INSTRUCTIONS:
        raise ValueError(
            f"op: expected at most {MOST_INSTRUCTIONS} instructions in a function, "
            f"got {width}"
        )
    length = np.asarray(program.length)
    if np.any((length < 0) | (length > width)):
        raise ValueError(f"length: expected 0 to {width}, got {length[length > width]}")
    op = np.asarray(program.op).astype(int)
    inside = np.arange(width) < length[..., None]
    _refuse(program, inside & (op >= NUM_OPS), f"operations up to {NUM_OPS - 1}")
    op = np.where(op < NUM_OPS, op, 0)
    addresses = np.asarray(program.addresses).astype(int)
    limits = np.array([MOST_ADDRESSES + 1, *memory])
    for place, kinds in zip(["a", "b", "out"], [*INPUTS.T, OUT], strict=True):
        index = ["a", "b", "out"].index(place)
        kind = kinds[op]
        outside = (kind != NOTHING) & (addresses[..., index] >= limits[kind])
        counts = ", ".join(
            f"{count} {name}"
            for count, name in zip(memory, memory._fields, strict=True)
        )
        _refuse(program, inside & outside, f"addresses in a memory of {counts}")
    reserved = np.isin(OUT[op], (SCALAR, VECTOR)) & (addresses[..., 2] == 0)
    _refuse(program, inside & reserved, "s0 and v0 never written")
    constants = np.asarray(program.constants)
    finite = np.all(np.isfinite(constants), axis=-1)
    _refuse(program, inside & ~finite, "finite constants")
    places = constants[..., :2]
    is_place = np.arange(2) < NUM_INDICES[op][..., None]
    wrong = np.any(is_place & ~((places >= 0) & (places < 1)), axis=-1)
    _refuse(program, inside & wrong, "places in [0, 1)")


def _refuse(program: Program, wrong: np.ndarray, expected: str) -> None:
    if not np.any(wrong):
        return
    *population, component, line = (int(i) for i in np.argwhere(wrong)[0])
    which = f"program {population[0]}, " if population else ""
    at = (*population, component, line)
    number = int(program.op[at])
    a, b, out = np.asarray(program.addresses[at]).tolist()
    if number < NUM_OPS:
        constants = tuple(np.asarray(program.constants[at]).tolist())
        got = str(Instruction(Op(number), a, b, out, constants))
    else:
        got = f"operation {number}"
    raise ValueError(
        f"{which}{COMPONENTS[component]}, line {line + 1}: expected {expected}, "
        f"got {got}"
    )
