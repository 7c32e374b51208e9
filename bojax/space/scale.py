"""How values lie on the unit interval: one scale for every kind of parameter."""

import dataclasses
import math
import sys
from decimal import Decimal

_HALF = 0.5 + math.sqrt(sys.float_info.epsilon)
"""A little more than a half: ties go up, however exp is rounded."""


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
        start: what lies at position 0, as a logarithm where `log`.
        span: what lies between positions 0 and 1, likewise.
    """

    low: float
    step: float
    num_levels: int
    log: bool
    start: float
    span: float

    @classmethod
    def of(
        cls, low: float, high: float, step: float, num_levels: int, log: bool
    ) -> "Scale":
        """The scale from `low` to `high`, both included with full bins if stepped."""
        if num_levels:
            # Half a step below the first level may not be positive: at most half of it.
            below = min(step, low) / 2 if log else step / 2
            low_edge, high_edge = low - below, high + step / 2
        else:
            low_edge, high_edge = low, high
        if log:
            low_edge, high_edge = math.log(low_edge), math.log(high_edge)
        return cls(low, step, num_levels, log, low_edge, high_edge - low_edge)

    def position(self, value: float) -> float:
        """Where a number lies, on a continuous scale."""
        return ((math.log(value) if self.log else value) - self.start) / self.span

    def number(self, position: float) -> float:
        """The number that lies there, on a continuous scale."""
        value = self.start + position * self.span
        return math.exp(value) if self.log else value

    def center(self, where: int | float) -> float:
        """The position of a level; a position where continuous."""
        if not self.num_levels:
            return where
        if self.log:
            return self.position(self.low + where * self.step)
        return (where + 0.5) / self.num_levels

    def centers(self) -> list[float]:
        """The positions of all levels."""
        return [self.center(level) for level in range(self.num_levels)]

    def edge(self, level: int) -> float:
        """Where the bin of a level begins, and that of the level below it ends."""
        if level <= 0 or level >= self.num_levels:
            return 0.0 if level <= 0 else 1.0
        if self.log:
            return self.position(self.low + (level - 0.5) * self.step)
        return level / self.num_levels

    def where(self, position: float) -> int | float:
        """The level whose bin holds a position, or the position where continuous."""
        if not self.num_levels:
            return min(max(position, 0.0), 1.0)
        if self.log:
            level = (self.number(position) - self.low) / self.step + _HALF
        else:
            level = position * self.num_levels
        return min(max(math.floor(level), 0), self.num_levels - 1)
