"""Conditions: where in the unit cube each parameter exists.

A parameter exists in a union of boxes, one for each way to meet its own conditions and
those of its ancestors. Flattened so, activity is one comparison however deep conditions
go, and disjointness is an intersection of intervals.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from bojax.space.checks import OneOf, Value, is_number
from bojax.space.parameters import Choice, Float, FullFidelity, Parameter
from bojax.space.scale import decimal

Interval = tuple[int | float, int | float]
"""Both ends belong to it: levels where a parent has levels, else positions."""

Box = dict[int, Interval]
"""The interval in which each column that is mentioned has to lie."""

_MOST_BOXES = 10_000

_TOLERANCE = Decimal("1e-9")
"""Of levels, in steps: 1.0 is the last of 0, 1/7, ... though seven times it is less."""


def resolve(
    names: Sequence[str], parameters: Sequence[Parameter]
) -> tuple[tuple[int, ...], tuple[list[Box], ...]]:
    """The columns in an order that puts parents first, and the boxes of each column.

    Where a fidelity is held, what depends on it always exists, or never: then there
    are no boxes.

    Args:
        names: of the parameter that each column specifies.
        parameters: the specification of each column.

    Raises:
        ValueError: if a parent is unknown, conditions go in a circle, a value is not
            among the parent's, a condition cannot be met, or two specifications of one
            name can exist at once.
    """
    columns: dict[str, list[int]] = {}
    for j, name in enumerate(names):
        columns.setdefault(name, []).append(j)
    held = {j: p for j, p in enumerate(parameters) if isinstance(p, FullFidelity)}
    parameters = [p.fidelity if isinstance(p, FullFidelity) else p for p in parameters]
    boxes: dict[int, list[Box]] = {}

    def visit(j: int, path: tuple[str, ...]) -> None:
        if j in boxes:
            return
        path = (*path, names[j])
        if names[j] in path[:-1]:
            circle = " -> ".join(map(repr, path[path.index(names[j]) :]))
            raise ValueError(f"when: expected no circle of conditions, got {circle}")
        own: list[Box] = [{}]
        for parent, allowed in parameters[j].when:
            if parent not in columns:
                raise ValueError(
                    f"when of {names[j]!r}: expected parents among "
                    f"{', '.join(map(repr, columns))}, got {parent!r}"
                )
            for c in columns[parent]:
                visit(c, path)
            candidates = [parameters[c] for c in columns[parent]]
            runs = _runs(names[j], parent, candidates, allowed)
            ways = [
                _intersection({c: run}, box)
                for c, column_runs in zip(columns[parent], runs, strict=True)
                for run in column_runs
                for box in boxes[c]
            ]
            pairs = [(mine, way) for mine in own for way in ways if way is not None]
            if len(pairs) > _MOST_BOXES:
                raise ValueError(
                    f"when of {names[j]!r}: expected at most {_MOST_BOXES} ways to "
                    f"meet the conditions, got {len(pairs)}"
                )
            own = [box for pair in pairs if (box := _intersection(*pair)) is not None]
        if not own:
            raise ValueError(
                f"when of {names[j]!r}: expected conditions that can be met together, "
                f"got {dict(parameters[j].when)!r}"
            )
        boxes[j] = own

    for j in range(len(names)):
        visit(j, ())
    for same in columns.values():
        for i, j in ((i, j) for i in same for j in same if i < j):
            if any(_intersection(a, b) is not None for a in boxes[i] for b in boxes[j]):
                raise ValueError(
                    f"{names[i]!r}: expected specifications under disjoint conditions, "
                    f"got {parameters[i]!r} and {parameters[j]!r}"
                )
    order = tuple(boxes)
    for j, full in held.items():
        boxes = _given(order, boxes, j, full.where)
    return order, tuple(boxes[j] for j in range(len(names)))


def _intersection(a: Box, b: Box) -> Box | None:
    both = dict(a)
    for c, (low, high) in b.items():
        other_low, other_high = both.get(c, (-math.inf, math.inf))
        both[c] = max(low, other_low), min(high, other_high)
        if both[c][0] > both[c][1]:
            return None
    return both


def _runs(
    name: str, parent: str, candidates: Sequence[Parameter], allowed: Any
) -> list[list[Interval]]:
    """What is allowed of a parent, as intervals of each of its specifications."""
    values = allowed.values if isinstance(allowed, OneOf) else allowed
    values = values if isinstance(values, tuple) else (values,)
    runs, found = [], set()
    for candidate in candidates:
        if isinstance(allowed, tuple) and not isinstance(candidate, Choice):
            run = interval(candidate, allowed)
            found |= set(values) if run else set()
            runs.append([run] if run else [])
        else:
            levels = {value: _level(candidate, value) for value in values}
            levels = {value: i for value, i in levels.items() if i is not None}
            found |= set(levels)
            runs.append(_consecutive(levels.values()))
    if found < set(values):
        expected = " or ".join(_allowed_words(candidate) for candidate in candidates)
        raise ValueError(
            f"when of {name!r}: expected {expected} for {parent!r}, got {allowed!r}"
        )
    return runs


def _level(parent: Parameter, value: Value) -> int | None:
    """Which level of a parent a value is; of a Float none, it has intervals only."""
    if isinstance(parent, Choice):
        return parent.index(value)
    if isinstance(parent, Float) or not is_number(value):
        return None
    run = interval(parent, (value, value))
    return None if run is None else int(run[0])


def _consecutive(levels: Iterable[int]) -> list[Interval]:
    runs: list[Interval] = []
    for level in sorted(levels):
        if runs and runs[-1][1] == level - 1:
            runs[-1] = runs[-1][0], level
        else:
            runs.append((level, level))
    return runs


def interval(parent: Any, allowed: Any) -> Interval | None:
    """The part of a numeric parent's scale that a tuple allows, if any."""
    if not isinstance(allowed, tuple) or not all(map(math.isfinite, allowed)):
        return None
    low, high = max(allowed[0], parent.low), min(allowed[1], parent.high)
    if not parent.num_levels:
        return (parent.find(low), parent.find(high)) if low <= high else None
    origin, step = decimal(parent.low), decimal(parent.step or 1)
    first = math.ceil((decimal(low) - origin) / step - _TOLERANCE)
    last = math.floor((decimal(high) - origin) / step + _TOLERANCE)
    last = min(last, parent.num_levels - 1)
    return (first, last) if low <= high and first <= last else None


def _allowed_words(parent: Parameter) -> str:
    if isinstance(parent, Choice):
        return parent.words()
    number = "" if isinstance(parent, Float) else "a value, several in a list, or "
    return f"{number}an interval (low, high) with values of {parent!r}"


def count(
    order: Sequence[int], boxes: Sequence[list[Box]], levels: Sequence[int]
) -> int:
    """How many distinct configurations there are, when all columns have levels.

    Columns that no longer depend on each other once their parents are known are counted
    apart and multiplied.

    Args:
        order: the columns, parents first.
        boxes: where each column exists.
        levels: how many values each column has.
    """
    return _count(list(order), dict(enumerate(boxes)), levels)


def _count(
    columns: list[int], boxes: dict[int, list[Box]], levels: Sequence[int]
) -> int:
    total = 1
    for root, *rest in _components(columns, boxes):
        if not boxes[root]:
            total *= _count(rest, boxes, levels)
            continue
        intervals = [box[root] for j in rest for box in boxes[j] if root in box]
        ends = {0, levels[root], *(int(low) for low, _ in intervals)}
        ends = sorted(ends | {int(high) + 1 for _, high in intervals})
        total *= sum(
            (end - start) * _count(rest, _given(rest, boxes, root, start), levels)
            for start, end in itertools.pairwise(ends)
        )
    return total


def _components(columns: list[int], boxes: dict[int, list[Box]]) -> list[list[int]]:
    """Columns that depend on each other, parents first."""
    groups: list[set[int]] = []
    for j in columns:
        linked = {j}.union(*boxes[j])
        linked = linked.union(*(group for group in groups if group & linked))
        groups = [group for group in groups if not group & linked] + [linked]
    return [[j for j in columns if j in group] for group in groups]


def _given(
    columns: Sequence[int],
    boxes: dict[int, list[Box]],
    root: int,
    level: int | float,
) -> dict[int, list[Box]]:
    """The boxes that are left when a column has a level, or is at a position."""
    left = {}
    for j in columns:
        met = (
            box
            for box in boxes[j]
            if root not in box or box[root][0] <= level <= box[root][1]
        )
        left[j] = [{c: run for c, run in box.items() if c != root} for box in met]
    return left
