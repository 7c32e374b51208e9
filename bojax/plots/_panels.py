"""Panels one above the other: a surrogate, and an acquisition beneath."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bojax.acquisitions import Acquisition
from bojax.plots import _style
from bojax.plots._line import Line
from bojax.plots._surface import beliefs, gains, readable_limits
from bojax.surrogates import GPPosterior

_MOST_COLUMNS = 4
_HEIGHTS = 2.6, 1.3
_BAND = 1.96


def panels_on(axes: Any, num_lines: int, acquisition: Acquisition | None) -> np.ndarray:
    """Axes `[num_lines, 1]`, or 2 with an acquisition: the caller's or, if None, new.

    Raises:
        ValueError: if the caller's are not as many as there are panels.
    """
    num_panels = 1 if acquisition is None else 2
    if axes is not None:
        return _style.given_axes(axes, num_lines, num_panels)
    num_columns = min(num_lines, _MOST_COLUMNS)
    num_rows = -(-num_lines // num_columns)
    heights = _HEIGHTS[:num_panels]
    axes = _style.new_axes(
        max(2.6 * num_columns, 6.0),
        num_rows * sum(heights),
        num_rows * num_panels,
        num_columns,
        height_ratios=heights * num_rows,
        sharey="row",
    )
    blocks = axes.reshape(num_rows, num_panels, num_columns).swapaxes(1, 2)
    panels = blocks.reshape(-1, num_panels)
    for ax in panels[num_lines:].flat:
        ax.remove()
    return panels[:num_lines]


def draw(
    panels: np.ndarray,
    lines: Sequence[Line],
    posterior: GPPosterior,
    acquisition: Acquisition | None,
) -> list[np.ndarray]:
    """For each line a surrogate, the acquisition beneath, and where it is greatest.

    Returns:
        The mean along each line.
    """
    # All lines at once: each number of points is a compilation.
    space = lines[0].space
    x = np.concatenate([line.x for line in lines])
    ends = np.cumsum([len(line.x) for line in lines])[:-1]
    mean, std = (np.split(values, ends) for values in beliefs(posterior, space, x))
    for i, line in enumerate(lines):
        _draw_surrogate(panels[i, 0], line, mean[i], _BAND * std[i])
        line.dress(panels[i, 0])
        _label(panels[i, 0], "value")
    if acquisition is not None:
        values = gains(acquisition, space, x)
        limits = readable_limits(acquisition, values)
        for i, (line, value) in enumerate(
            zip(lines, np.split(values, ends), strict=True)
        ):
            top, bottom = panels[i]
            _draw_acquisition(bottom, line, value, limits)
            _mark_maximum(top, bottom, line, value)
            line.dress(bottom)
            _label(bottom, type(acquisition).__name__)
            top.set_xlabel("")
            top.tick_params(labelbottom=False)
    return mean


def _draw_surrogate(ax: Axes, line: Line, mean: np.ndarray, band: np.ndarray) -> None:
    color: dict[str, Any] = {"color": _style.SURROGATE}
    if line.discrete:
        ax.errorbar(
            line.at, mean, band, linestyle="none", elinewidth=4, alpha=0.3, **color
        )
        ax.plot(line.at, mean, **_style.DOT, **color, label="mean, 95 %")
    else:
        ax.fill_between(line.at, mean - band, mean + band, alpha=0.2, lw=0, **color)
        ax.plot(line.at, mean, lw=1.8, **color, label="mean, 95 %")


def _draw_acquisition(
    ax: Axes, line: Line, values: np.ndarray, limits: tuple[float, float]
) -> None:
    low, high = limits
    color: dict[str, Any] = {"color": _style.ACQUISITION}
    if line.discrete:
        ax.vlines(line.at, low, values, lw=4, alpha=0.3, **color)
        ax.plot(line.at, values, **_style.DOT, **color)
    else:
        ax.fill_between(line.at, low, values, alpha=0.2, lw=0, **color)
        ax.plot(line.at, values, lw=1.5, **color)
    ax.set_ylim(low, high + 0.25 * (high - low))


def _mark_maximum(top: Axes, bottom: Axes, line: Line, values: np.ndarray) -> None:
    if not np.isfinite(values).any():
        return
    best = np.nanargmax(values)
    for ax in (top, bottom):
        ax.axvline(line.at[best], **_style.HERE)
    bottom.plot(line.at[best], values[best], **_style.MAXIMUM, label="maximum")


def _label(ax: Axes, text: str) -> None:
    """Axes that share a scale are labeled once, where its numbers are."""
    if ax.yaxis.get_tick_params().get("labelleft", True):
        ax.set_ylabel(text)
