"""A surrogate along one parameter, with the acquisition beneath."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bojax.acquisitions import Acquisition
from bojax.plots import _style
from bojax.plots._line import Line
from bojax.plots._panels import draw, panels_on
from bojax.plots._surface import active, incumbent, observations
from bojax.space import Space
from bojax.surrogates import GPPosterior


def posterior_1d(
    posterior: GPPosterior,
    space: Space,
    acquisition: Acquisition | None = None,
    axes: Any = None,
) -> np.ndarray:
    """A surrogate of one parameter, and what there is to gain beneath.

    Above the mean, the band that holds the objective with 95 % probability, and the
    observations; below the acquisition. A dashed line marks its maximum on the grid
    that is drawn: what would be evaluated next.

    Args:
        posterior: of the objective.
        space: of one parameter.
        acquisition: drawn beneath, if given.
        axes: where to draw, one for each panel; default: a new figure with a legend.

    Returns:
        The axes: of the surrogate, then of the acquisition.

    Raises:
        ValueError: if the space has more columns than one, or there are not as many
            axes as panels.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> data = bojax.Dataset.of(jnp.array([[0.1], [0.8]]), jnp.array([0.0, 1.0]))
        >>> posterior = bojax.surrogates.GP(space).condition(data)
        >>> (top,) = posterior_1d(posterior, space)
        >>> top.get_xlabel()
        'a'
    """
    if space.num_columns != 1:
        raise ValueError(
            f"space: expected one column, got {space.num_columns}; see `slices`"
        )
    panels = panels_on(axes, 1, acquisition)
    line = Line.through(space, 0, np.array([0.5]))
    draw(panels, [line], posterior, acquisition)
    x, y = observations(posterior)
    panels[0, 0].plot(line.locate(x), y, **_style.OBSERVED, label="observations")
    if axes is None:
        panels[0, 0].legend(**_style.LEGEND)
    return panels[0]


def slices(
    posterior: GPPosterior,
    space: Space,
    acquisition: Acquisition | None = None,
    config: Mapping[str, Any] | None = None,
    names: Sequence[str] | None = None,
    axes: Any = None,
) -> np.ndarray:
    """A surrogate along one parameter after the other, all others held.

    Lines for numbers, error bars where there are only a few values. The configuration
    that is held is marked, and so is the acquisition's maximum along each line. Ticks
    at the bottom show where observations are, whatever their other parameters.

    Parameters that do not exist in that configuration are left out. Where another value
    brings parameters of its own into being, these are in the middle of their ranges.

    Args:
        posterior: of the objective.
        space: the space of the posterior.
        acquisition: drawn beneath, if given.
        config: what is held; default: the best observed configuration.
        names: the parameters to draw; default: all that exist.
        axes: where to draw, a row of panels for each parameter; default: a new figure.

    Returns:
        The axes `[k, 1]`, or `[k, 2]` with an acquisition: a row for each parameter.

    Raises:
        ValueError: if a name is unknown or does not exist in the configuration, the
            configuration is not of the space, or there are not as many axes as panels.

    Example:
        >>> import bojax, jax
        >>> space = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Int(1, 3)})
        >>> x = space.sample(jax.random.key(0), 5)
        >>> data = bojax.Dataset.of(x, x[:, 0])
        >>> posterior = bojax.surrogates.GP(space).condition(data)
        >>> [ax.get_xlabel() for ax in slices(posterior, space)[:, 0]]
        ['a', 'b']
    """
    x = incumbent(posterior) if config is None else space.encode(config)
    columns = _columns(space, x, names)
    panels = panels_on(axes, len(columns), acquisition)
    lines = [Line.through(space, column, x) for column in columns]
    means = draw(panels, lines, posterior, acquisition)
    observed, _ = observations(posterior)
    for ax, line, mean in zip(panels[:, 0], lines, means, strict=True):
        ax.plot(line.at[line.held], mean[line.held], **_style.HELD, label="held")
        ax.plot(
            line.locate(observed),
            np.full(len(observed), 0.02),
            **_style.TICK,
            transform=ax.get_xaxis_transform(),
            label="observed",
        )
    return panels


def _columns(space: Space, x: np.ndarray, names: Sequence[str] | None) -> list[int]:
    """The columns to draw: those that exist at `x`, or those of them that are named."""
    exist = {
        space.columns[j].name: int(j) for j in np.flatnonzero(active(space, x[None])[0])
    }
    for name in names or ():
        if name not in exist:
            raise ValueError(
                f"names: expected parameters that exist in the configuration, "
                f"{', '.join(map(repr, exist))}, got {name!r}"
            )
    return [exist[name] for name in names or exist]
