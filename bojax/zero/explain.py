"""What a program does, in formulas: expressions in place of intermediate results."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from bojax._precision import in_double
from bojax.zero.analysis import eliminate_dead_code
from bojax.zero.operations import INPUTS, LETTERS, OUT, RANDOM, TEXT, Op
from bojax.zero.program import Instruction, Program
from bojax.zero.tasks import MULTICLASS, REGRESSION
from bojax.zero.transform import Learner, learner

_SHORT, _LONGEST = 14, 60
"""A short expression is always inserted where it is used; a long one never is."""
_SIZES = 4, 101
"""Numbers are those of a program if it has them at both numbers of features."""
_SETS_ENTRY = Op.VECTOR_CONST, Op.MATRIX_CONST


def explain(program: Program, multiclass: bool = False) -> str:
    """What a program computes, after its dead code is removed.

    x is the example, y its label, p the prediction. What is written with an arrow is
    kept from one example to the next. What Setup leaves there is given in numbers if
    these do not depend on how many features there are. If the prediction is linear in x
    and learning is a step along (y - p) x of one size, as in linear regression by
    gradient descent, it says so. All this is tried on numbers, not derived.

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
    changed = {_out(line) for line in [*predict, *learn]}
    fixed = _fixed_constants(setup, changed)
    kept = _carried(predict, learn, label, prediction) - set(fixed)
    runs = learner(short, MULTICLASS if multiclass else REGRESSION)
    parts = [("Setup", _setup_rows(setup, runs, kept))]

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
    if not multiclass and not any(RANDOM[line.op] for line in predict):
        lines += _gradient_descent(runs)
    return "\n".join(lines)


def _setup_rows(
    setup: list[Instruction], parts: Learner, wanted: set[str]
) -> list[tuple[str, str, str]]:
    """What Setup leaves behind other than zero: numbers, if it draws none at random."""
    if not any(RANDOM[line.op] for line in setup):
        run = _Setup(parts)
        found = [in_double(run, parts.constants, size).numpy() for size in _SIZES]
        values = {}
        for name in sorted(wanted):
            entries = np.concatenate([memory[name].ravel() for memory in found])
            values[name] = {f"{entry:.6g}" for entry in entries + 0.0}  # no -0
        if all(len(texts) == 1 for texts in values.values()):
            rows = [(name, "<-", texts.pop()) for name, texts in values.items()]
            return [row for row in rows if row[2] != "0"]
    rows = _Rows(wanted, {"v0": "0", "s0": "0"}, setup)
    for line in setup:
        rows.add(line)
    rows.flush()
    return rows.done


class _Setup:
    """Runs Setup; compared by identity, so compiled once."""

    def __init__(self, parts: Learner):
        self.parts = parts
        self.__name__ = "setup"

    def __call__(self, constants, num_features):
        """The memory after it."""
        return self.parts.setup(constants, num_features, constants.dtype)


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
        # A draw that is used twice would read as two draws.
        short = len(value) <= _SHORT and not RANDOM[line.op]
        short |= uses == 1 and len(value) <= _LONGEST
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
    predict: list[Instruction], learn: list[Instruction], label: str, prediction: str
) -> set[str]:
    """What is read before it is written, in turns of Predict and Learn."""
    turn = [(_inputs(line), _out(line)) for line in [*predict, *learn]]
    turn.insert(len(predict), ([prediction], prediction))
    kept, written = set(), {"v0", label}
    for inputs, out in turn:
        kept |= set(inputs) - written
        written.add(out)
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
        register = _out(line)
        before = values.get(register, register)
        return f"({before} but {left[len(register) :]} = {right})"
    written = re.sub(
        r"\b[svm]\d+\b", lambda match: values.get(match[0], match[0]), right
    )
    return f"({written})" if re.search(r" [-+*/] ", right) else written


def _gradient_descent(parts: Learner) -> list[str]:
    """Whether learning is gradient descent on a linear prediction, tried on numbers."""
    run, found = _Probe(parts), []
    for size in _SIZES:
        rng = np.random.default_rng(0)
        # Examples of equal length, so that it is as stable with many features.
        x = rng.standard_normal((12, size)) * np.sqrt(_SIZES[0] / size)
        y = rng.standard_normal(12)
        linear, rates = in_double(run, parts.constants, x, y)
        linear = linear.numpy()
        if not (np.all(np.isfinite(linear)) and np.max(np.abs(linear)) < 1e-8):
            return []
        found.append(rates.numpy())
    lines = ["The prediction is linear in x: p = dot(w, x)."]
    rates, off = np.concatenate(found).T
    steady = np.ptp(rates) <= 1e-6 * np.abs(rates).max()
    finite = np.all(np.isfinite(rates)) and np.all(np.isfinite(off))
    if finite and np.max(off) < 1e-8 and steady and rates[0] > 0:
        lines.append(
            "Learning is gradient descent on (y - p)^2 / 2: "
            f"w <- w + {rates[0]:.6g} (y - p) x."
        )
    return lines


class _Probe:
    """Runs a program on a few examples; compared by identity, so compiled once."""

    def __init__(self, parts: Learner):
        self.parts = parts
        self.__name__ = "probe"

    def __call__(self, constants, x, y):
        """How far from linear predictions are, and the step that each example made."""
        parts = self.parts

        def weights(memory):
            def predict(unit):
                return parts.predict(constants, memory, unit, 0)["s1"]

            return jax.vmap(predict)(jnp.eye(x.shape[1], dtype=x.dtype))

        def turn(memory, example):
            x, y, step = example
            w = weights(memory)
            after = parts.predict(constants, memory, x, step)
            p = after["s1"]
            linear = (p - w @ x) / (1 + jnp.abs(p))
            memory = parts.learn(constants, after, x, y, step)
            moved = weights(memory) - w
            direction = (y - p) * x
            size = (moved @ direction) / (direction @ direction)
            off = jnp.max(jnp.abs(moved - size * direction)) / jnp.max(jnp.abs(moved))
            return memory, (linear, jnp.stack([size, off]))

        memory = parts.setup(constants, x.shape[1], x.dtype)
        examples = x, y, jnp.arange(len(x))
        _, (linear, rates) = jax.lax.scan(turn, memory, examples)
        # The first two may differ, while the memory is filled.
        return linear[2:], rates[2:]
