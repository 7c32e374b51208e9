"""The look of all figures, set on each artist: nobody else's figures change."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's colors, which color-blind people can tell apart.
INK = "#222222"
GRAY = "#8c8c8c"
SURROGATE = "#0072b2"
ACQUISITION = "#009e73"
NEXT = "#d55e00"
INCUMBENT = "#e69f00"

DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5, "zorder": 3}
EDGE: dict[str, Any] = {
    "markeredgecolor": "white",
    "markeredgewidth": 0.7,
    "clip_on": False,
}
OBSERVED: dict[str, Any] = {**DOT, **EDGE, "color": INK}
HELD: dict[str, Any] = {**DOT, **EDGE, "marker": "D", "color": INCUMBENT}
MAXIMUM: dict[str, Any] = {**DOT, **EDGE, "marker": "v", "color": NEXT, "markersize": 8}
TRIAL: dict[str, Any] = {**DOT, "color": GRAY, "markersize": 4.5, "zorder": 2}
UNMET: dict[str, Any] = {**TRIAL, "marker": "x", "color": NEXT}
HERE: dict[str, Any] = {
    "color": NEXT,
    "lw": 1.1,
    "ls": (0, (4, 3)),
    "zorder": 1,
    "clip_on": False,
}
TICK: dict[str, Any] = {"linestyle": "none", "marker": "|", "color": GRAY}
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": "small"}


def tidy(ax: Axes) -> None:
    """Takes away what is not data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize="small")


def new_axes(
    width: float, height: float, num_rows: int, num_columns: int, **options: Any
) -> np.ndarray:
    """Axes of a new figure, in an array."""
    _, axes = plt.subplots(
        num_rows,
        num_columns,
        figsize=(width, height),
        layout="constrained",
        squeeze=False,
        **options,
    )
    return axes


def given_axes(axes: Any, *shape: int) -> np.ndarray:
    """The caller's axes in an array of this shape.

    Raises:
        ValueError: if there are not as many as there are panels.
    """
    array = np.array(axes, object)
    expected = int(np.prod(shape))
    if array.size != expected:
        raise ValueError(
            f"axes: expected {expected}, one for each panel, got {array.size}"
        )
    return array.reshape(shape)
