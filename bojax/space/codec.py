"""Between configurations, dicts of Python values, and points of the unit cube.

This is the host's side: it is called for every trial, on one point, so it is plain
Python. `where` lists levels, or positions where continuous, by column.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bojax.space.conditions import Box, interval
from bojax.space.parameters import Float, Parameter


class Column(NamedTuple):
    """One column of the cube: a name, and one of its specifications."""

    name: str
    parameter: Parameter


class Codec:
    """Encodes and decodes.

    Args:
        columns: name and specification of each column.
        order: the columns, parents first.
        boxes: where each column exists.
    """

    def __init__(
        self,
        columns: tuple[Column, ...],
        order: tuple[int, ...],
        boxes: tuple[list[Box], ...],
    ):
        self._columns = columns
        self._order = order
        self._boxes = boxes
        self._names = tuple(dict.fromkeys(column.name for column in columns))
        self._scales = [column.parameter.scale for column in columns]
        self._by_dtype: dict[np.dtype, tuple] = {}

    def encode(self, config: Any) -> np.ndarray:
        """The point of a configuration; see `Space.encode`."""
        if not isinstance(config, Mapping):
            raise TypeError(f"config: expected a dict, got {config!r}")
        for name in config:
            if name not in self._names:
                expected = ", ".join(map(repr, self._names))
                raise ValueError(
                    f"config: expected keys among {expected}, got {name!r}"
                )
        where: list[int | float] = [0] * len(self._columns)
        existing = {}
        for j in self._order:
            if _exists(self._boxes[j], where):
                name, parameter = self._columns[j]
                where[j] = _find(config, name, parameter)
                existing[name] = j
        for name in config:
            if name not in existing:
                raise ValueError(
                    f"config: expected no {name!r}, which exists only when "
                    f"{self._when(name)}, got {config[name]!r}"
                )
        x = np.full(len(self._columns), 0.5)
        for j in existing.values():
            x[j] = self._scales[j].center(where[j])
        return x

    def decode(self, x: np.ndarray) -> dict[str, Any]:
        """The configuration of a point; see `Space.decode`."""
        positions = x.tolist()
        if not all(map(math.isfinite, positions)):
            raise ValueError(f"x: expected finite numbers, got {x}")
        where = [
            scale.where(position)
            for scale, position in zip(self._scales, positions, strict=True)
        ]
        boxes, ends = self._in_dtype(x.dtype)
        config = {}
        for j, (name, parameter) in enumerate(self._columns):
            if _exists(boxes[j], where):
                end = ends.get((j, where[j]))
                config[name] = parameter.read(where[j]) if end is None else end
        return config

    def _when(self, name: str) -> str:
        return " or ".join(
            " and ".join(f"{parent} = {value!r}" for parent, value in parameter.when)
            for own, parameter in self._columns
            if own == name
        )

    def _in_dtype(self, dtype: np.dtype) -> tuple[list[list[Box]], dict]:
        """The boxes for positions of a dtype, and the values at the ends of intervals.

        Rounding must neither move a position out of its interval nor the value that is
        read there, or encoding that value would find other parameters.
        """
        if dtype in self._by_dtype:
            return self._by_dtype[dtype]

        def cast(position: float) -> float:
            return float(np.asarray(position, dtype))

        def cast_box(box: Box) -> Box:
            return {
                c: (low, high)
                if self._scales[c].num_levels
                else (cast(low), cast(high))
                for c, (low, high) in box.items()
            }

        boxes = [[cast_box(box) for box in column] for column in self._boxes]
        ends = {}
        for child in self._columns:
            for parent, allowed in child.parameter.when:
                for j, (name, own) in enumerate(self._columns):
                    if name != parent or not isinstance(own, Float):
                        continue
                    if own.step is None and interval(own, allowed):
                        inside = [v for v in allowed if own.low <= v <= own.high]
                        ends |= {(j, cast(own.find(v))): float(v) for v in inside}
        self._by_dtype[dtype] = boxes, ends
        return boxes, ends


def _exists(boxes: list[Box], where: Sequence[int | float]) -> bool:
    for box in boxes:
        for c, (low, high) in box.items():
            if not low <= where[c] <= high:
                break
        else:
            return True
    return False


def _find(config: Mapping[str, Any], name: str, parameter: Parameter) -> int | float:
    if name not in config:
        raise ValueError(f"config: expected {name!r}, {parameter.words()}, got none")
    try:
        return parameter.find(config[name])
    except (TypeError, ValueError) as error:
        raise type(error)(f"config[{name!r}]: {error}") from None
