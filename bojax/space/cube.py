"""Maps of the unit cube, vectorized over columns, in NumPy and in JAX alike.

`xp` is the array module. The same few operations run on the host, where they must be
quick to call, and inside compiled programs, where they must be few.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from bojax.space.conditions import Box
from bojax.space.scale import Scale


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
        start, span = column("start"), column("span")
        low, step = column("low"), column("step")
        stepped = k > 0
        plain = stepped & ~log
        # Levels closer than rounding errors cannot be told apart: such a column is left
        # as if it were continuous, so that projecting twice is projecting once.
        fineness = np.where(log, (low / step + k) * (np.abs(start) + span), k)
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
            start=np.where(plain, 0, start).astype(dtype),
            span=np.where(plain, 0, span).astype(dtype),
            inverse_span=(1 / np.where(log & stepped, span, 1)).astype(dtype),
            low=np.where(stepped, low, 1).astype(dtype),
            step=np.where(stepped, step, 0).astype(dtype),
            inverse_step=(1 / step).astype(dtype),
            # A little more than a half: ties go up, however exp is rounded.
            half=np.asarray(0.5 + eps**0.5, dtype),
            log=log,
            stepped=stepped,
            snapped=snapped,
            log_stepped=log & stepped,
            any_snapped=bool(snapped.any()),
            any_log_stepped=bool((log & stepped).any()),
            box_low=box_low.astype(dtype),
            box_high=box_high.astype(dtype),
            owner=owner,
            always=~self.is_conditional,
        )

    def _level(self, x: Any, number: Any, xp: Any, c: "_Constants") -> Any:
        """The level whose bin holds each position."""
        level = x * c.num_levels
        if c.any_log_stepped:
            rounded = (number - c.low) * c.inverse_step + c.half
            level = xp.where(c.log_stepped, rounded, level)
        return xp.minimum(xp.floor(level), c.last)

    def _number(self, x: Any, mask: np.ndarray, xp: Any, c: "_Constants") -> Any:
        """Numbers on continuous scales; `mask` says which are logarithmic."""
        number = c.start + x * c.span
        if not mask.any():
            return number
        # Masked twice: where() would mix an overflow of exp into gradients.
        return xp.where(mask, xp.exp(xp.where(mask, number, 0.0)), number)

    def snap(self, x: Any, xp: Any) -> Any:
        """The nearest representable value of each column, whether active or not."""
        c = self._constants(x.dtype)
        # Not clip(): its gradient at a bound is a half or nothing.
        x = xp.where(x < 0, 0.0, xp.where(x > 1, 1.0, x))
        if not c.any_snapped:
            return x
        number = self._number(x, c.log_stepped, xp, c) if c.any_log_stepped else x
        level = self._level(x, number, xp, c)
        # XLA would turn a division by constants into a multiplication, and equal
        # categories would differ in their last bit: hence the zero that it cannot see.
        center = (level + 0.5) / (c.num_levels + 0 * x)
        if c.any_log_stepped:
            value = xp.where(c.log_stepped, c.low + level * c.step, 1.0)
            log_center = (xp.log(value) - c.start) * c.inverse_span
            center = xp.where(c.log_stepped, log_center, center)
        return xp.where(c.snapped, center, x)

    def active(self, z: Any, xp: Any) -> Any:
        """Which columns exist, given representable values."""
        c = self._constants(z.dtype)
        inside = (z[..., None, :] >= c.box_low) & (z[..., None, :] <= c.box_high)
        inside = inside.all(-1)[..., None, :]
        return (inside & c.owner).any(-1) | c.always

    def project(self, x: Any, xp: Any) -> Any:
        """The nearest representable point; inactive columns at 1/2."""
        z = self.snap(x, xp)
        if not self.is_conditional.any():
            return z
        return xp.where(self.active(z, xp), z, 0.5)

    def number(self, z: Any, xp: Any) -> Any:
        """Values in natural units, categories by their index."""
        c = self._constants(z.dtype)
        number = self._number(z, c.log, xp, c)
        level = self._level(z, number, xp, c)
        return xp.where(c.stepped, c.low + level * c.step, number)


@dataclasses.dataclass(frozen=True)
class _Constants:
    """What describes the columns, one number each, in one dtype."""

    num_levels: np.ndarray
    last: np.ndarray
    start: np.ndarray
    span: np.ndarray
    inverse_span: np.ndarray
    low: np.ndarray
    step: np.ndarray
    inverse_step: np.ndarray
    half: np.ndarray
    log: np.ndarray
    stepped: np.ndarray
    snapped: np.ndarray
    log_stepped: np.ndarray
    any_snapped: bool
    any_log_stepped: bool
    box_low: np.ndarray
    box_high: np.ndarray
    owner: np.ndarray
    always: np.ndarray
