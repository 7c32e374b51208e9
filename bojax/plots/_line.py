"""A line through the cube along one parameter: an axis of a figure."""

import dataclasses

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from bojax.plots import _style
from bojax.plots._surface import active
from bojax.space import Categorical, Ordinal, Space

_MOST_DOTS = 16
"""Parameters of more values are drawn as lines."""


@dataclasses.dataclass(frozen=True)
class Line:
    """Points that differ in one parameter, and where they are in natural units.

    Args:
        space: the space.
        column: the parameter's column.
        x: points of the cube, in the order of the parameter; those that are not
            representable stand for the nearest that is.
        at: their coordinates: the parameter's values, of a choice 0, 1, ...
        held: which of the points the line was drawn through.
    """

    space: Space
    column: int
    x: Float[np.ndarray, "g d"]
    at: Float[np.ndarray, " g"]
    held: int

    @classmethod
    def through(
        cls,
        space: Space,
        column: int,
        x: Float[np.ndarray, " d"],
        num_points: int = 401,
    ) -> "Line":
        """The line through a point: all levels, or as many positions as asked for."""
        positions = space.levels[column]
        if positions is None or len(positions) > num_points:
            even = np.linspace(0, 1, num_points - 1)
            positions = np.sort(np.append(even, x[column]))
        points = np.repeat(x[None], len(positions), axis=0)
        points[:, column] = positions
        held = int(np.argmin(np.abs(positions - x[column])))
        return cls(space, column, points, _coordinates(space, column, points), held)

    @property
    def discrete(self) -> bool:
        """Whether there are so few values that each is drawn apart."""
        return 0 < int(self.space.num_levels[self.column]) <= _MOST_DOTS

    def locate(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Coordinates of other points; NaN where this parameter does not exist."""
        return _coordinates(self.space, self.column, x)

    def dress(self, ax: Axes, which: str = "x") -> None:
        """Gives a figure's axis the parameter's name, scale, limits and ticks."""
        name, parameter = self.space.columns[self.column]
        choice = isinstance(parameter, Categorical | Ordinal)
        log = not choice and parameter.log
        ends = self.at[[0, -1]]
        ends = np.log(ends) if log else ends
        if self.discrete:
            gap = np.ptp(ends) / (len(self.at) - 1) if len(self.at) > 1 else 1.0
            ends = ends + np.array([-gap, gap]) / 2
        ends = np.exp(ends) if log else ends
        options = {f"{which}label": name, f"{which}lim": tuple(ends)}
        if log:
            options[f"{which}scale"] = "log"
        elif choice:
            options[f"{which}ticks"] = self.at
            options[f"{which}ticklabels"] = [str(value) for value in parameter.values]
        elif self.discrete:
            options[f"{which}ticks"] = self.at
        ax.set(**options)
        _style.tidy(ax)


def _coordinates(
    space: Space, column: int, x: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
    name, parameter = space.columns[column]
    choice = isinstance(parameter, Categorical | Ordinal)
    coordinates = np.full(len(x), np.nan)
    for row in np.flatnonzero(active(space, x)[:, column]):
        value = space.decode(x[row])[name]
        coordinates[row] = parameter.values.index(value) if choice else value
    return coordinates
