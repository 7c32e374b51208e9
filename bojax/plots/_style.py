"""The look of all figures, set on each artist: nobody else's figures change."""

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

DOT = {"linestyle": "none", "marker": "o", "markersize": 5, "zorder": 3}
OBSERVED = {**DOT, "color": INK, "markeredgecolor": "white", "markeredgewidth": 0.7}
HELD = {**DOT, "marker": "D", "color": INCUMBENT, "markeredgecolor": "white"}
MAXIMUM = {**DOT, "marker": "v", "color": NEXT, "markersize": 7}
TICK = {"linestyle": "none", "marker": "|", "color": GRAY}
LEGEND = {"frameon": False, "fontsize": "small"}


def tidy(ax: Axes) -> None:
    """Takes away what is not data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize="small")


def new_axes(width: float, height: float, *shape: int, **options) -> np.ndarray:
    """Axes of a new figure, in an array of this shape."""
    _, axes = plt.subplots(
        *shape, figsize=(width, height), layout="constrained", squeeze=False, **options
    )
    return axes


def given_axes(axes: object, *shape: int) -> np.ndarray:
    """The caller's axes as an array.

    Raises:
        ValueError: if there are not as many as there are panels.
    """
    array = np.array(axes, object)
    if array.size != np.prod(shape):
        raise ValueError(
            f"axes: expected {int(np.prod(shape))}, one for each panel, got {array.size}"
        )
    return array.reshape(shape)
