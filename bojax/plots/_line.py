"""One parameter as an axis of a figure."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis as MatplotlibAxis

from bojax.plots import _style
from bojax.space import Categorical, Ordinal, Space

_MOST_DOTS = 16
"""Parameters of more values are drawn as lines."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of points along one parameter, and where they are in natural units.

    Args:
        space: the space.
        column: the parameter's column.
        x: points of the cube that differ in this parameter, and in what exists only for
            some of its values.
        at: their coordinates: the values, or for choices 0, 1, ...
    """

    space: Space
    column: int
    x: Float[np.ndarray, "g d"]
    at: Float[np.ndarray, " g"]

    @classmethod
    def through(
        cls,
        space: Space,
        column: int,
        x: Float[np.ndarray, " d"],
        num_points: int = 401,
    ) -> "Line":
        """The line through a point: at every level, or at `num_points` positions."""
        levels = space.levels[column]
        if levels is None or len(levels) > num_points:
            levels = np.linspace(0, 1, num_points)
        points = np.repeat(x[None], len(levels), axis=0)
        points[:, column] = levels
        points = np.stack([np.asarray(space.project(point)) for point in points])
        return cls(space, column, points, _coordinates(space, column, points))

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.space.columns[self.column].name

    @property
    def log(self) -> bool:
        """Whether the axis is logarithmic."""
        return getattr(self.space.columns[self.column].parameter, "log", False)

    @property
    def discrete(self) -> bool:
        """Whether there are so few values that each is drawn apart."""
        return 0 < self.space.num_levels[self.column] <= _MOST_DOTS

    def locate(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Coordinates of other points; NaN where this parameter does not exist."""
        return _coordinates(self.space, self.column, x)

    def dress(self, ax: Axes, which: str = "x") -> None:
        """Gives a figure's axis the name, scale, limits and ticks of the parameter."""
        axis: MatplotlibAxis = getattr(ax, f"{which}axis")
        set_limits: Callable = getattr(ax, f"set_{which}lim")
        parameter = self.space.columns[self.column].parameter
        axis.set_label_text(self.name)
        if isinstance(parameter, Categorical | Ordinal):
            axis.set_ticks(self.at, [str(value) for value in parameter.values])
            set_limits(-0.5, len(self.at) - 0.5)
            return
        if self.log:
            getattr(ax, f"set_{which}scale")("log")
        if self.discrete and not self.log:
            axis.set_ticks(self.at, [f"{value:g}" for value in self.at])
        margin = 0.0
        if self.discrete:
            ends = np.log(self.at[[0, -1]]) if self.log else self.at[[0, -1]]
            margin = 0.5 * (ends[1] - ends[0]) / max(len(self.at) - 1, 1)
        low, high = self.at[0], self.at[-1]
        if self.log:
            set_limits(low * np.exp(-margin), high * np.exp(margin))
        else:
            set_limits(low - margin, high + margin)
        _style.tidy(ax)


def _coordinates(
    space: Space, column: int, x: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
    name, parameter = space.columns[column]
    coordinates = np.full(len(x), np.nan)
    for row, point in enumerate(x):
        if space.active(point)[column]:
            value = space.decode(point)[name]
            if isinstance(parameter, Categorical | Ordinal):
                value = parameter.values.index(value)
            coordinates[row] = value
    return coordinates
