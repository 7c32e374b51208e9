"""Learning curves: what was observed, and what is believed of the rest."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bojax.curves import CurvePosterior, Ensemble, fit
from bojax.curves.models.domhan import FAMILIES
from bojax.data import Decision
from bojax.plots import _style

_BANDS = 0.95, 0.8, 0.5
_COLORS = (
    _style.SURROGATE,
    _style.NEXT,
    _style.ACQUISITION,
    _style.INCUMBENT,
    "#cc79a7",
    "#56b4e9",
)
"""Okabe and Ito's; of more curves each has its own panel."""


def curve(
    posterior: CurvePosterior,
    truth: Any = None,
    best: float | int | None = None,
    ax: Axes | None = None,
    decision: Decision | None = None,
) -> Axes:
    """A training so far, and what would be observed over the rest of it.

    The bands hold what would be observed at each step with probabilities of 50, 80 and
    95 %, noise included.

    Args:
        posterior: of one curve.
        truth: how it went, values at steps 1, 2, ...; NaN where there is none.
        best: the value to beat: a dashed line, with the probability that this training
            beats it at the horizon.
        ax: where to draw; default: a new figure.
        decision: what a stopping rule said, written above the panel.

    Returns:
        The axes, in the curve's own units.

    Raises:
        ValueError: if there are several curves, or the truth is not one.

    Example:
        >>> import bojax.curves
        >>> loss = [0.9, 0.6, 0.45, 0.38, 0.33]
        >>> model = bojax.curves.LCPFN_PRIOR
        >>> posterior = bojax.curves.fit(loss, 20, model=model, method="importance")
        >>> ax = curve(posterior, best=0.1)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('step', 'value')
    """
    if len(posterior.observed) != 1:
        raise ValueError(
            f"posterior: expected that of one curve, got {len(posterior.observed)}; "
            "`curves` draws several"
        )
    (known,) = _truths(truth, 1)
    panel: Axes = _style.new_axes(6.0, 3.5, 1, 1)[0, 0] if ax is None else ax
    _draw(panel, posterior, 0, known)
    if best is not None:
        chance = _rows(posterior.prob_better(best, posterior.horizon))[0, 0]
        _incumbent(panel, best, f"best so far, P(better) = {chance:.2g}")
    if decision is not None:
        color = _style.NEXT if decision.stop or decision.pause else _style.INK
        last = _last(posterior, 0)
        if last:
            panel.axvline(last, **{**_style.HERE, "color": color})
        panel.text(
            0.0,
            1.02,
            _words(decision),
            transform=panel.transAxes,
            va="bottom",
            color=color,
            fontsize="small",
        )
    _dress(panel)
    panel.legend(**_style.LEGEND)
    return panel


def curves(
    posterior: CurvePosterior,
    truth: Any = None,
    best: float | int | None = None,
    axes: Any = None,
) -> np.ndarray:
    """Several trainings side by side.

    Up to six share a panel, each with a line and the band that holds what would be
    observed with 80 % probability. Of more, each has a panel of its own.

    Args:
        posterior: of one curve or many.
        truth: how they went `[n, h]`, values at steps 1, 2, ...; NaN where there is
            none.
        best: the value to beat.
        axes: where to draw, as many as there are panels; default: a new figure.

    Returns:
        The panels `[1]` or `[n]`, in the order of the curves.

    Raises:
        ValueError: if there is not a truth for each curve, or not axes enough.

    Example:
        >>> import bojax.curves
        >>> losses = [[0.9, 0.6, 0.45, 0.38, 0.33], [0.8, 0.7, 0.66, 0.64, 0.63]]
        >>> model = bojax.curves.LCPFN_PRIOR
        >>> posterior = bojax.curves.fit(losses, 20, model=model, method="importance")
        >>> curves(posterior).shape
        (1,)
    """
    num = len(posterior.observed)
    known = _truths(truth, num)
    if num > len(_COLORS):
        panels = _panels(num, axes)
        for i, panel in enumerate(panels):
            _draw(panel, posterior, i, known[i], bands=_BANDS[1:2])
            panel.set_title(f"curve {i}", fontsize="small")
    else:
        new = _style.new_axes(6.0, 3.5, 1, 1) if axes is None else axes
        panels = _style.given_axes(new, 1)
        for i in range(num):
            color, name = _COLORS[i], f"curve {i}"
            _draw(panels[0], posterior, i, known[i], _BANDS[1:2], color, name)
    for panel in panels:
        if best is not None:
            _incumbent(panel, best, "best so far")
        _dress(panel)
        if num > len(_COLORS):
            _outer(panel)
    panels[0].legend(**_style.LEGEND)
    return panels


def families(
    y: Any,
    horizon: float | int,
    names: Sequence[str] = FAMILIES,
    truth: Any = None,
    direction: Literal["minimize", "maximize"] = "minimize",
    method: Literal["auto", "importance", "smc"] = "smc",
    key: Any = 0,
    axes: Any = None,
) -> np.ndarray:
    """The parametric families, each fitted alone: its mean and its 80 % band.

    Each is compiled, which takes a few seconds a family.

    Args:
        y: values so far of one curve, at steps 1, 2, ...; NaN where there is none.
        horizon: the last step to be foretold, beyond the data.
        names: of the families; default: all 11.
        truth: how the training went, values at steps 1, 2, ....
        direction: "minimize" for losses and errors, "maximize" for accuracies.
        method: of inference, as in `bojax.curves.fit`.
        key: an integer or a JAX key.
        axes: where to draw, as many as there are families; default: a new figure.

    Returns:
        The panels, one for each family.

    Raises:
        ValueError: if a family is unknown, there is not one curve, or not axes enough.

    Example:
        >>> accuracy = [0.3, 0.5, 0.6, 0.66, 0.7, 0.72]
        >>> options = {"direction": "maximize", "method": "importance"}
        >>> (panel,) = families(accuracy, 20, names=["pow3"], **options)
        >>> panel.get_title()
        'pow3'
    """
    y = np.asarray(y, float)
    if y.ndim != 1:
        raise ValueError(f"y: expected one curve [t], got shape {y.shape}")
    models = [Ensemble(families=(name,)) for name in names]  # pyright: ignore[reportCallIssue]
    (known,) = _truths(truth, 1)
    panels = _panels(len(models), axes)
    for panel, name, model in zip(panels, names, models, strict=True):
        posterior = fit(
            y, horizon, key=key, model=model, method=method, direction=direction
        )
        _draw(panel, posterior, 0, known, bands=_BANDS[1:2], whole=True)
        panel.set_title(name, fontsize="small")
        _dress(panel)
        _outer(panel)
    if len(panels):
        panels[0].legend(**_style.LEGEND)
    return panels


def _draw(
    panel: Axes,
    posterior: CurvePosterior,
    row: int,
    truth: Float[np.ndarray, " h"] | None,
    bands: Sequence[float] = _BANDS,
    color: str = _style.SURROGATE,
    name: str | None = None,
    whole: bool = False,
) -> None:
    """A curve: bands beneath, then lines, then what was observed.

    The forecast begins behind what was observed, or at the first step if the `whole`
    curve is to be seen.
    """
    if truth is not None:
        panel.plot(
            np.arange(1, len(truth) + 1),
            truth,
            color=_style.INK if name is None else color,
            lw=1,
            ls=":",
            label="truth" if name is None else None,
        )
    grid = posterior.grid
    steps = grid if whole else grid[grid > _last(posterior, row)]
    if len(steps):
        levels = [q for p in bands for q in ((1 - p) / 2, (1 + p) / 2)]
        edges = np.asarray(posterior.quantile(levels, steps))
        edges = edges if posterior.single else edges[row]
        shares = ", ".join(f"{100 * share:.0f}" for share in bands)
        for i in range(len(bands)):
            panel.fill_between(
                steps,
                edges[2 * i],
                edges[2 * i + 1],
                color=color,
                alpha=0.2,
                lw=0,
                label=f"{shares} %" if name is None and i == 0 else None,
            )
        mean = _rows(posterior.mean(steps))[row]
        label = "mean" if name is None else name
        panel.plot(steps, mean, color=color, lw=1.8, label=label)
    y = posterior.observed[row]
    seen = np.isfinite(y)
    dots = {**_style.OBSERVED, "markersize": 4}
    if name is None:
        dots["label"] = "observed"
    else:
        dots["color"] = color
    panel.plot(posterior.steps[seen], y[seen], **dots)


def _rows(answer: Any) -> np.ndarray:
    """An answer with its leading axis, which that of a single curve lacks."""
    return np.atleast_2d(np.asarray(answer, float))


def _last(posterior: CurvePosterior, row: int) -> float:
    """The last step that was observed; 0 if none was."""
    seen = ~np.isnan(posterior.observed[row])
    return float(np.max(posterior.steps[seen], initial=0.0))


def _truths(truth: Any, num: int) -> Sequence[Float[np.ndarray, " h"] | None]:
    if truth is None:
        return [None] * num
    values = np.asarray(truth, float)
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != num:
        raise ValueError(f"truth: expected {num} curves, got shape {values.shape}")
    return list(values)


def _panels(num: int, axes: Any) -> np.ndarray:
    """As many panels in a row each as fit; a new figure has none left over."""
    if axes is not None:
        return _style.given_axes(axes, num)
    columns = max(min(num, 4), 1)
    rows = max(-(-num // columns), 1)
    new = _style.new_axes(
        0.8 + 2.4 * columns, 0.4 + 1.8 * rows, rows, columns, sharex=True, sharey=True
    )
    panels = new.ravel()
    for spare in panels[num:]:
        spare.remove()
    # The columns that are cut short end with another panel than the last row's.
    for panel in panels[max(num - columns, 0) : num]:
        panel.tick_params(labelbottom=True)
    return panels[:num]


def _incumbent(panel: Axes, best: float | int, label: str) -> None:
    panel.axhline(best, color=_style.INCUMBENT, lw=1.4, ls="--", zorder=1, label=label)


def _words(decision: Decision) -> str:
    verdict = "stop" if decision.stop else "pause" if decision.pause else "go on"
    if decision.reason:
        return f"{verdict}: {decision.reason}"
    if not math.isnan(decision.probability):
        return f"{verdict}: P(better) = {decision.probability:.2g}"
    return verdict


def _dress(panel: Axes) -> None:
    panel.set(xlabel="step", ylabel="value")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    _style.tidy(panel)


def _outer(panel: Axes) -> None:
    """Labels only at the edge of a grid of panels."""
    spec = panel.get_subplotspec()
    if spec is not None and not spec.is_first_col():
        panel.set_ylabel("")
    if spec is not None and not panel.xaxis.get_tick_params().get("labelbottom", True):
        panel.set_xlabel("")
