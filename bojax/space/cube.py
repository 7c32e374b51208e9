"""Maps of the unit cube, vectorized over columns, in NumPy and in JAX alike.

`xp` is the array module. The same few operations run on the host, where they must be
quick to call, and inside compiled programs, where they must be few.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from bojax.space.conditions import Box
from bojax.space.scale import TIE, Scale


class Cube:
    """Where representable points and active columns lie.

    Args:
        scales: of each column.
        boxes: where each column is active.
    """

    def __init__(self, scales: Sequence[Scale], boxes: Sequence[list[Box]]):
        self._scales = tuple(scales)
        self._boxes = tuple(boxes)
        self._by_dtype: dict[np.dtype, _Constants] = {}
        self.is_conditional = np.array([column != [{}] for column in boxes])

    def _unit_box(self, box: Box) -> Box:
        """A box in positions: levels are replaced by the edges of their bins."""
        unit = {}
        for c, (low, high) in box.items():
            scale = self._scales[c]
            if scale.num_levels:
                low, high = scale.edge(int(low)), scale.edge(int(high) + 1)
            unit[c] = low, high
        return unit

    def _constants(self, dtype: Any) -> "_Constants":
        dtype = np.dtype(dtype)
        if dtype not in self._by_dtype:
            with np.errstate(over="ignore"):
                self._by_dtype[dtype] = self._build(dtype)
        return self._by_dtype[dtype]

    def _build(self, dtype: np.dtype) -> "_Constants":
        # bfloat16 is no NumPy type, but has the digits of one.
        eps = float(np.finfo(dtype).eps) if dtype.kind == "f" else 2.0**-7

        def column(field: str, kind: Any = float) -> np.ndarray:
            return np.array([getattr(scale, field) for scale in self._scales], kind)

        k, log = column("num_levels"), column("log", bool)
        low, step, span = column("low"), column("step"), column("span")
        stepped = k > 0
        log_stepped = log & stepped
        start = np.where(stepped, 0, column("start"))
        start = np.log(start, out=start, where=log & ~stepped)
        slope, offset = np.array([scale.log_levels for scale in self._scales]).T
        slope = np.where(log_stepped, slope, 1)
        # Levels closer than rounding errors cannot be told apart: such a column is left
        # as if it were continuous, so that projecting twice is projecting once.
        fineness = np.where(log, k + (low / step + k) * span, k)
        snapped = stepped & (16 * eps * fineness < 1)
        rows = [(j, box) for j, boxes in enumerate(self._boxes) for box in boxes if box]
        box_low = np.full((len(rows), len(k)), -np.inf)
        box_high = np.full((len(rows), len(k)), np.inf)
        owner = np.zeros((len(k), len(rows)), bool)
        for row, (j, box) in enumerate(rows):
            owner[j, row] = True
            for c, (lower, upper) in self._unit_box(box).items():
                box_low[row, c], box_high[row, c] = lower, upper
        return _Constants(
            # Columns that an operation is not for pass it as harmless numbers.
            num_levels=np.where(stepped, k, 1).astype(dtype),
            last=np.where(stepped, k - 1, 0).astype(dtype),
            middle=column("middle").astype(dtype),
            low=np.where(stepped, low, 0).astype(dtype),
            step=np.where(stepped, step, 0).astype(dtype),
            start=start.astype(dtype),
            span=np.where(stepped, 0, span).astype(dtype),
            log_span=np.where(log_stepped, span, 0).astype(dtype),
            inverse_span=np.where(log_stepped, 1 / span, 0).astype(dtype),
            slope=np.where(log_stepped, slope, 0).astype(dtype),
            # Ties go up, however expm1 is rounded.
            offset=np.where(log_stepped, offset + max(TIE, eps**0.5), 0).astype(dtype),
            inverse_slope=np.where(log_stepped, 1 / slope, 0).astype(dtype),
            shift=np.where(log_stepped, (0.5 - offset) / slope, 0).astype(dtype),
            log=log & ~stepped,
            stepped=stepped,
            snapped=snapped,
            log_stepped=log_stepped,
            any_log=bool((log & ~stepped).any()),
            any_snapped=bool(snapped.any()),
            any_log_stepped=bool(log_stepped.any()),
            box_low=box_low.astype(dtype),
            box_high=box_high.astype(dtype),
            owner=owner,
            always=~self.is_conditional,
        )

    def _level(self, x: Any, xp: Any, c: "_Constants") -> Any:
        """The level whose bin holds each position."""
        level = x * c.num_levels
        if c.any_log_stepped:
            log_level = xp.expm1(x * c.log_span) * c.slope + c.offset
            level = xp.where(c.log_stepped, log_level, level)
        return xp.minimum(xp.floor(level), c.last)

    def snap(self, x: Any, xp: Any) -> Any:
        """The nearest representable value of each column, whether active or not."""
        c = self._constants(x.dtype)
        # Not clip(): its gradient at a bound is a half or nothing.
        x = xp.where(x < 0, 0.0, xp.where(x > 1, 1.0, x))
        if not c.any_snapped:
            return x
        level = self._level(x, xp, c)
        # XLA would turn a division by constants into a multiplication, and equal
        # categories would differ in their last bit: hence the zero that it cannot see.
        center = (level + c.middle) / (c.num_levels + 0 * x)
        if c.any_log_stepped:
            log_center = xp.log1p(level * c.inverse_slope + c.shift) * c.inverse_span
            center = xp.where(c.log_stepped, log_center, center)
        return xp.where(c.snapped, center, x)

    def active(self, z: Any, xp: Any) -> Any:
        """Which columns exist, given representable values."""
        c = self._constants(z.dtype)
        inside = (z[..., None, :] >= c.box_low) & (z[..., None, :] <= c.box_high)
        inside = inside.all(-1)[..., None, :]
        return (inside & c.owner).any(-1) | c.always

    def where_active(self, column: int) -> np.ndarray:
        """A point of the first box of a column, in the middle of what it allows."""
        x = np.full(len(self._scales), 0.5)
        for c, (low, high) in self._boxes[column][0].items():
            scale = self._scales[c]
            middle = (low + high) // 2 if scale.num_levels else (low + high) / 2
            x[c] = scale.center(middle)
        return x

    def project(self, x: Any, xp: Any) -> Any:
        """The nearest representable point; inactive columns at 1/2."""
        z = self.snap(x, xp)
        if not self.is_conditional.any():
            return z
        return xp.where(self.active(z, xp), z, 0.5)

    def number(self, z: Any, xp: Any) -> Any:
        """Values in natural units, categories by their index."""
        c = self._constants(z.dtype)
        number = z * c.span + c.start
        if c.any_log:
            # Masked twice: where() would mix an overflow of exp into gradients.
            number = xp.where(c.log, xp.exp(xp.where(c.log, number, 0.0)), number)
        if c.stepped.any():
            level = self._level(z, xp, c)
            number = xp.where(c.stepped, level * c.step + c.low, number)
        return number


@dataclasses.dataclass(frozen=True)
class _Constants:
    """What describes the columns, one number each, in one dtype."""

    num_levels: np.ndarray
    last: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    step: np.ndarray
    start: np.ndarray
    span: np.ndarray
    log_span: np.ndarray
    inverse_span: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    inverse_slope: np.ndarray
    shift: np.ndarray
    log: np.ndarray
    stepped: np.ndarray
    snapped: np.ndarray
    log_stepped: np.ndarray
    any_log: bool
    any_snapped: bool
    any_log_stepped: bool
    box_low: np.ndarray
    box_high: np.ndarray
    owner: np.ndarray
    always: np.ndarray
