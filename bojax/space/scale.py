"""How values lie on the unit interval: one scale for every kind of parameter."""

import dataclasses
import math
from decimal import Decimal

TIE = 2.0**-26
"""Added to levels on a logarithmic scale: ties go up, however expm1 is rounded."""


def decimal(number: int | float) -> Decimal:
    """The number as people write it: 0.3 is the fourth of 0, 0.1, ... for them."""
    return Decimal(repr(number))


@dataclasses.dataclass(frozen=True)
class Scale:
    """How numbers lie on the unit interval: shared by all parameters.

    Args:
        low: the first level, or the lower bound where continuous.
        step: distance between levels in natural units; 1 where continuous.
        num_levels: how many there are; 0 where continuous.
        log: whether positions are linear in the logarithm.
        start: the number at position 0, the lower edge of the first bin if stepped.
        span: what lies between positions 0 and 1, as a difference of logarithms where
            `log`.
        middle: where in its bin a level lies, as a share of it; not regarded by `log`.
    """

    low: float
    step: float
    num_levels: int
    log: bool
    start: float
    span: float
    middle: float = 0.5

    @classmethod
    def of(
        cls, low: float, high: float, step: float, num_levels: int, log: bool
    ) -> "Scale":
        """The scale from `low` to `high`, both included with full bins if stepped."""
        start, end = low, high
        if num_levels:
            # Half a step below the first level may not be positive: at most half of it.
            start -= min(step, low) / 2 if log else step / 2
            end += step / 2
        span = math.log(end) - math.log(start) if log else end - start
        if num_levels and log:
            span = math.log1p((end - start) / start)
        return cls(low, step, num_levels, log, start, span)

    def position(self, value: float) -> float:
        """Where a number lies, on a continuous scale."""
        if self.log:
            return (math.log(value) - math.log(self.start)) / self.span
        return (value - self.start) / self.span

    def number(self, position: float) -> float:
        """The number that lies there, on a continuous scale."""
        if self.log:
            return math.exp(math.log(self.start) + position * self.span)
        return self.start + position * self.span

    def center(self, where: int | float) -> float:
        """The position of a level; a position where continuous."""
        if not self.num_levels:
            return where
        if self.log:
            return self._log_position(where)
        return (where + self.middle) / self.num_levels

    def centers(self) -> list[float]:
        """The positions of all levels."""
        return [self.center(level) for level in range(self.num_levels)]

    def edge(self, level: int) -> float:
        """Where the bin of a level begins, and that of the level below it ends."""
        if level <= 0 or level >= self.num_levels:
            return 0.0 if level <= 0 else 1.0
        return self._log_position(level - 0.5) if self.log else level / self.num_levels

    def where(self, position: float) -> int | float:
        """The level whose bin holds a position, or the position where continuous."""
        if not self.num_levels:
            return min(max(position, 0.0), 1.0)
        if self.log:
            slope, offset = self.log_levels
            level = slope * math.expm1(self.span * position) + offset + TIE
        else:
            level = position * self.num_levels
        return min(max(math.floor(level), 0), self.num_levels - 1)

    @property
    def log_levels(self) -> tuple[float, float]:
        """Slope and offset of levels, plus a half, over `expm1(span * position)`.

        Counted from the lower edge, because a logarithm of the levels themselves would
        lose the digits in which they differ on a narrow scale.
        """
        return self.start / self.step, (self.start - self.low) / self.step + 0.5

    def _log_position(self, level: int | float) -> float:
        slope, offset = self.log_levels
        return math.log1p((level + 0.5 - offset) / slope) / self.span
