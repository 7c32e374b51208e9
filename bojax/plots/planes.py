"""A surrogate over two parameters."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.ticker import MaxNLocator

from bojax.acquisitions import Acquisition
from bojax.plots import _style
from bojax.plots._line import Line
from bojax.plots._surface import (
    active,
    beliefs,
    gains,
    observations,
    readable_limits,
    value_limits,
)
from bojax.space import Space
from bojax.surrogates import GPPosterior

_NUM_POINTS = 65
_NUM_LEVELS = 15


def posterior_2d(
    posterior: GPPosterior,
    space: Space,
    acquisition: Acquisition | None = None,
    axes: Any = None,
) -> np.ndarray:
    """A surrogate of two parameters: mean, standard deviation and acquisition.

    Filled contours, or cells where a parameter has few values; dots are observations. A
    triangle marks the acquisition's maximum on the grid that is drawn: what would be
    evaluated next. Where one of the parameters does not exist nothing is drawn, and no
    maximum looked for.

    Args:
        posterior: of the objective.
        space: of two parameters; the first goes from left to right.
        acquisition: drawn last, if given.
        axes: where to draw, one for each panel; default: a new figure.

    Returns:
        The axes: of the mean, of the standard deviation, of the acquisition.

    Raises:
        ValueError: if the space has not two columns, or there are not as many axes as
            panels.

    Example:
        >>> import bojax, jax
        >>> space = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)})
        >>> x = space.sample(jax.random.key(0), 5)
        >>> data = bojax.Dataset.of(x, x[:, 0])
        >>> posterior = bojax.surrogates.GP(space).condition(data)
        >>> [ax.get_title() for ax in posterior_2d(posterior, space)]
        ['mean', 'standard deviation']
    """
    if space.num_columns != 2:
        raise ValueError(
            f"space: expected two columns, got {space.num_columns}; see `slices`"
        )
    num_panels = 2 if acquisition is None else 3
    if axes is None:
        panels = _style.new_axes(3.6 * num_panels, 3.2, 1, num_panels, sharey=True)[0]
    else:
        panels = _style.given_axes(axes, num_panels)
    # Parents come first: where the last parameter exists, so does the other.
    both = space.where_active(space.order[-1])
    across, up = (Line.through(space, column, both, _NUM_POINTS) for column in (0, 1))
    grid = np.stack(np.meshgrid(across.x[:, 0], up.x[:, 1]), axis=-1)
    shape, x = grid.shape[:2], grid.reshape(-1, 2)
    exist = active(space, x).all(axis=1)

    def drawn(values: Float[np.ndarray, " g"]) -> Float[np.ndarray, "h w"]:
        return np.where(exist, values, np.nan).reshape(shape)

    mean, std = map(drawn, beliefs(posterior, space, x))
    _fill(panels[0], across, up, mean, "Blues_r", value_limits(mean))
    _fill(panels[1], across, up, std, "Greys", value_limits(np.append(std, 0)))
    titles = ["mean", "standard deviation"]
    if acquisition is not None:
        value = drawn(gains(acquisition, space, x))
        limits = readable_limits(acquisition, value)
        _fill(panels[2], across, up, value, "Greens", limits)
        titles.append(type(acquisition).__name__)
        if np.isfinite(value).any():
            row, column = np.unravel_index(np.nanargmax(value), value.shape)
            for ax in panels:
                ax.plot(
                    across.at[column], up.at[row], **_style.MAXIMUM, label="maximum"
                )
    observed, _ = observations(posterior)
    for ax, title in zip(panels, titles, strict=True):
        ax.plot(
            across.locate(observed),
            up.locate(observed),
            **_style.OBSERVED,
            label="observations",
        )
        across.dress(ax)
        up.dress(ax, "y")
        ax.set_title(title)
    return panels


def _fill(
    ax: Axes,
    across: Line,
    up: Line,
    values: np.ndarray,
    colors: str,
    limits: tuple[float, float],
) -> None:
    """Filled contours; cells where there is nothing between the values."""
    low, high = limits
    image: ScalarMappable
    if across.discrete or up.discrete:
        image = ax.pcolormesh(
            across.at,
            up.at,
            values,
            cmap=colors,
            vmin=low,
            vmax=high,
            shading="nearest",
        )
    else:
        levels = np.linspace(low, high, _NUM_LEVELS)
        image = ax.contourf(
            across.at, up.at, np.maximum(values, low), levels, cmap=colors
        )
    bar = ax.figure.colorbar(image, ax=ax, ticks=MaxNLocator(5))
    bar.ax.tick_params(labelsize="small")
    bar.outline.set_visible(False)
