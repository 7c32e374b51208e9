"""What a program does, in formulas: expressions in place of intermediate results."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from bojax._precision import in_double
from bojax.zero.analysis import eliminate_dead_code
from bojax.zero.operations import INPUTS, LETTERS, OUT, RANDOM, TEXT, Op
from bojax.zero.program import Instruction, Program
from bojax.zero.transform import Learner, learner

_SHORT, _LONGEST = 14, 60
"""A short expression is always inserted where it is used; a long one never is."""
_SETS_ENTRY = Op.VECTOR_CONST, Op.MATRIX_CONST


def explain(program: Program, multiclass: bool = False) -> str:
    """What a program computes, after its dead code is removed.

    x is the example, y its label, p the prediction. What is written with an arrow is
    kept from one example to the next. If the prediction is linear in x and learning
    is a step along (y - p) x, as in linear regression by gradient descent, it says so,
    with the step's size: both are tried on numbers, not derived.

    Args:
        program: one program.
        multiclass: whether v2 is the prediction.

    Example:
        >>> from bojax.zero import examples
        >>> print(explain(examples.linear_regressor(0.1)))
        6 of 6 instructions matter.
        Predict: p = dot(x, v1)
        Learn:   v1 <- v1 + ((0.1 * (y - p)) * x)
        The prediction is linear in x: p = dot(w, x).
        Learning is gradient descent on (y - p)^2 / 2: w <- w + 0.1 (y - p) x.
    """
    short = eliminate_dead_code(program, multiclass)
    total, left = int(program.length.sum()), int(short.length.sum())
    setup, predict, learn = (short.instructions(c) for c in range(3))
    prediction, label = ("v2", "v1") if multiclass else ("s1", "s0")
    kept = _carried(predict, learn, label)
    changed = {_out(line) for line in [*predict, *learn]}
    fixed = _fixed_constants(setup, changed)
    parts = [("Setup", _setup_rows(setup, short, kept - set(fixed)))]

    turn = _Rows(kept, {"v0": "x", label: "0", **fixed}, [*predict, *learn])
    for line in predict:
        turn.add(line, is_last=line is _last_write(predict, prediction))
    turn.name_prediction(prediction)
    parts.append(("Predict", turn.done))
    turn.done = []
    turn.names[label] = "y"
    for line in learn:
        turn.add(line)
    turn.flush()
    parts.append(("Learn", turn.done))

    lines = [f"{left} of {total} instructions matter."]
    for name, rows_of_part in parts:
        for i, (register, arrow, value) in enumerate(rows_of_part):
            head = f"{name}:" if i == 0 else ""
            lines.append(f"{head:<9}{register} {arrow} {_bare(value)}")
    if not multiclass:
        lines += _gradient_descent(short)
    return "\n".join(lines)


def _setup_rows(
    setup: list[Instruction], program: Program, wanted: set[str]
) -> list[tuple[str, str, str]]:
    """What Setup leaves behind other than zero: numbers, if it draws none at random."""
    if not any(RANDOM[line.op] for line in setup):
        parts = learner(program)
        memory = in_double(_Setup(parts), parts.constants).numpy()
        values = {
            name: np.unique(memory[name]) for name in sorted(wanted & set(memory))
        }
        if all(len(value) == 1 for value in values.values()):
            return [(n, "<-", f"{v[0]:.6g}") for n, v in values.items() if v[0] != 0]
    rows = _Rows(wanted, {"v0": "0", "s0": "0"}, setup)
    for line in setup:
        rows.add(line)
    rows.flush()
    return [row for row in rows.done if row[0] in wanted]


class _Setup:
    """Runs Setup; compared by identity, so compiled once."""

    def __init__(self, parts: Learner):
        self.parts = parts
        self.__name__ = "setup"

    def __call__(self, constants):
        """The memory after it, for four features."""
        return self.parts.setup(constants, 4, constants.dtype)


class _Rows:
    """Turns instructions into rows: what is used once stands where it is used.

    Args:
        kept: registers that last from one example to the next.
        names: how some registers are called.
        lines: all instructions, to know what is read again.
    """

    def __init__(self, kept: set[str], names: dict[str, str], lines: list[Instruction]):
        self.kept, self.names, self.lines = kept, dict(names), lines
        self.pending: dict[str, str] = {}
        self.done: list[tuple[str, str, str]] = []
        self.number = 0

    def add(self, line: Instruction, is_last: bool = False) -> None:
        """The next instruction; the last one that writes the prediction is a row."""
        self.number += 1
        register = _out(line)
        value = _expression(line, {**self.names, **self.pending})
        self.pending.pop(register, None)
        self.names.pop(register, None)
        for other, waiting in list(self.pending.items()):
            # What waits to be inserted means the register before this instruction.
            if re.search(rf"\b{register}\b", waiting):
                del self.pending[other]
                if self.uses(other) > 0:
                    self.emit(other, waiting)
        uses = self.uses(register)
        short = len(value) <= _SHORT or (uses == 1 and len(value) <= _LONGEST)
        if is_last:
            self.emit("p" if register not in self.kept else register, value)
        elif register in self.kept or (uses > 0 and not short):
            self.emit(register, value)
        elif uses > 0:
            self.pending[register] = value

    def emit(self, register: str, value: str) -> None:
        self.done.append((register, "<-" if register in self.kept else "=", value))

    def flush(self) -> None:
        """Writes what still waits and lasts."""
        for register, value in self.pending.items():
            if register in self.kept:
                self.emit(register, value)
        self.pending = {}

    def name_prediction(self, register: str) -> None:
        """After Predict its result is p."""
        self.pending.pop(register, None)
        if not any(row[0] in ("p", register) for row in self.done):
            self.done.append(("p", "=", self.names.get(register, register)))
        self.names[register] = "p" if register not in self.kept else register

    def uses(self, register: str) -> int:
        """How often the rest of the lines reads it before it is written again."""
        count = 0
        for line in self.lines[self.number :]:
            count += _inputs(line).count(register)
            if _out(line) == register:
                break
        return count


def _last_write(lines: list[Instruction], register: str) -> Instruction | None:
    found = [line for line in lines if _out(line) == register]
    return found[-1] if found else None


def _out(line: Instruction) -> str:
    return f"{LETTERS[OUT[line.op]]}{line.out}"


def _inputs(line: Instruction) -> list[str]:
    kinds = INPUTS[line.op]
    names = [
        f"{LETTERS[k]}{place}"
        for k, place in zip(kinds, (line.a, line.b), strict=True)
        if k
    ]
    return [*names, _out(line)] if line.op in _SETS_ENTRY else names


def _fixed_constants(setup: list[Instruction], changed: set[str]) -> dict[str, str]:
    """Scalars that Setup sets to a number and nothing changes later."""
    values = {}
    for line in setup:
        values.pop(_out(line), None)
        if line.op == Op.SCALAR_CONST and _out(line) not in changed:
            values[_out(line)] = f"{line.constants[0]:.6g}"
    return values


def _carried(
    predict: list[Instruction], learn: list[Instruction], label: str
) -> set[str]:
    """What is read before it is written, in turns of Predict and Learn."""
    kept, written = set(), {"v0", label}
    for line in [*predict, *learn]:
        kept |= set(_inputs(line)) - written
        written.add(_out(line))
    return kept


def _bare(expression: str) -> str:
    """Without a pair of parentheses around all of it."""
    if not (expression.startswith("(") and expression.endswith(")")):
        return expression
    depth = 0
    for i, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if depth == 0 and i < len(expression) - 1:
            return expression
    return expression[1:-1]


def _expression(line: Instruction, values: dict[str, str]) -> str:
    constants = dict(zip("xyz", (f"{c:.6g}" for c in line.constants), strict=False))
    text = TEXT[line.op].format(a=line.a, b=line.b, out=line.out, **constants)
    left, right = text.split(" = ", 1)
    if line.op in _SETS_ENTRY:
        return f"{_out(line)} but {left[len(_out(line)) :]} = {right}"
    written = re.sub(
        r"\b[svm]\d+\b", lambda match: values.get(match[0], match[0]), right
    )
    return f"({written})" if re.search(r" [-+*/] ", right) else written


def _gradient_descent(program: Program) -> list[str]:
    """Whether learning is gradient descent on a linear prediction, tried on numbers."""
    parts = learner(program)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 4)), rng.standard_normal(12)
    linear, rates = in_double(_Probe(parts), parts.constants, x, y)
    linear, rates = np.asarray(linear.numpy()), np.asarray(rates.numpy())
    if not (np.all(np.isfinite(linear)) and np.max(np.abs(linear)) < 1e-8):
        return []
    found = ["The prediction is linear in x: p = dot(w, x)."]
    size, off = rates[:, 0], rates[:, 1]
    steady = np.ptp(size) <= 1e-6 * np.abs(size).max()
    if np.all(np.isfinite(rates)) and np.max(off) < 1e-8 and steady and size[0] > 0:
        found.append(
            "Learning is gradient descent on (y - p)^2 / 2: "
            f"w <- w + {size[0]:.6g} (y - p) x."
        )
    return found


class _Probe:
    """Runs a program on a few examples; compared by identity, so compiled once."""

    def __init__(self, parts: Learner):
        self.parts = parts
        self.__name__ = "probe"

    def __call__(self, constants, x, y):
        """How far from linear predictions are, and the step that each example made."""
        parts = self.parts

        def prediction(memory, x):
            return parts.predict(constants, memory, x, 0)["s1"]

        def weights(memory):
            unit = jnp.eye(x.shape[1], dtype=x.dtype)
            return jax.vmap(lambda e: prediction(memory, e))(unit)

        def turn(memory, example):
            x, y = example
            w = weights(memory)
            after = parts.predict(constants, memory, x, 0)
            p = after["s1"]
            linear = (p - w @ x) / (1 + jnp.abs(p))
            memory = parts.learn(constants, after, x, y, 0)
            moved = weights(memory) - w
            direction = (y - p) * x
            size = (moved @ direction) / (direction @ direction)
            off = jnp.max(jnp.abs(moved - size * direction)) / jnp.max(jnp.abs(moved))
            return memory, (linear, jnp.stack([size, off]))

        memory = parts.setup(constants, x.shape[1], x.dtype)
        memory, _ = turn(memory, (x[0], y[0]))
        memory, _ = turn(memory, (x[1], y[1]))
        _, (linear, rates) = jax.lax.scan(turn, memory, (x[2:], y[2:]))
        return linear, rates
