"""What a run of two objectives found."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bojax import pareto
from bojax.plots import _style
from bojax.tuning import Result, Study


def front(
    run: Result | Study,
    reference: Sequence[float] | Float[np.ndarray, " m"] | None = None,
    axes: Any = None,
) -> np.ndarray:
    """The trials of two objectives with their front, and the hypervolume over trials.

    Beyond the front's steps nothing was found. Trials that did not meet every
    constraint are crosses, and add nothing to the hypervolume.

    Args:
        run: a result, or a study, finished or not.
        reference: the corner beyond which nothing counts, in the objectives' own sense
            and units; default: a tenth beyond the front.
        axes: where to draw, two of them; default: a new figure.

    Returns:
        The axes: of the front, and of the hypervolume.

    Raises:
        ValueError: if there are not two objectives, numbers in `reference`, or axes.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(-1, 1)})
        >>> result = bojax.minimize(
        ...     lambda c: [c["a"] ** 2, (c["a"] - 0.5) ** 2], space, num_trials=4,
        ...     strategy=bojax.strategies.Random(space), num_objectives=2,
        ...     progress=False,
        ... )
        >>> [ax.get_ylabel() for ax in front(result)]
        ['second objective', 'hypervolume']
    """
    direction = (run.direction,) if isinstance(run.direction, str) else run.direction
    if len(direction) != 2:
        raise ValueError(f"run: expected one of two objectives, got {len(direction)}")
    if reference is not None and np.shape(reference) != (2,):
        raise ValueError(f"reference: expected two numbers, got {reference!r}")
    if axes is None:
        panels = _style.new_axes(9.0, 3.5, 1, 2)[0]
    else:
        panels = _style.given_axes(axes, 2)
    signs = np.array([1.0 if each == "minimize" else -1.0 for each in direction])
    trials = [each for each in run.trials if each.finished and each.state != "failed"]
    number = np.array([trial.number for trial in trials], int)
    y = np.array([trial.value for trial in trials], float).reshape(-1, 2)
    feasible = np.array([trial.feasible for trial in trials], bool)
    if reference is not None:
        corner = signs * np.asarray(reference, float)
    elif not feasible.any():
        corner = np.ones(2)
    else:
        low = jnp.asarray(np.where(feasible[:, None], signs * y, 0))
        corner = np.asarray(pareto.reference_point(low, jnp.asarray(feasible)), float)
    _draw_front(panels[0], y, feasible, signs, corner)
    _draw_volume(panels[1], number, signs * y, feasible, corner)
    for panel in panels:
        _style.tidy(panel)
    return panels


def _draw_front(
    ax: Axes,
    y: Float[np.ndarray, "n 2"],
    feasible: Bool[np.ndarray, " n"],
    signs: Float[np.ndarray, "2"],
    corner: Float[np.ndarray, "2"],
) -> None:
    if not feasible.all():
        ax.plot(*y[~feasible].T, **_style.UNMET, label="constraint not met")
    ax.plot(*y[feasible].T, **_style.TRIAL, alpha=0.8, label="trial")
    low = signs * y[feasible]
    best = low[[not _beaten(low, point) for point in low]].reshape(-1, 2)
    best = best[np.lexsort(best.T[::-1])]
    # From the corner down the front and back: the edge of what it dominates.
    inside = best[np.all(best < corner, axis=1)]
    if len(inside):
        steps = np.concatenate([[[inside[0, 0], corner[1]]], inside])
        steps = np.concatenate([steps, [[corner[0], inside[-1, 1]]]]) * signs
        where: Any = "post"
        ax.step(*steps.T, where=where, color=_style.SURROGATE, lw=1.2)
    ax.plot(*(signs * best).T, **_style.DOT, color=_style.SURROGATE, label="front")
    reference = {**_style.DOT, "marker": "+", "color": _style.INK, "markersize": 8}
    ax.plot(*(signs * corner), **reference, label="reference")
    ax.set_xlabel("first objective")
    ax.set_ylabel("second objective")
    ax.legend(**_style.LEGEND)


def _draw_volume(
    ax: Axes,
    number: np.ndarray,
    low: Float[np.ndarray, "n 2"],
    feasible: Bool[np.ndarray, " n"],
    corner: Float[np.ndarray, "2"],
) -> None:
    volume = [
        pareto.hypervolume(low[: i + 1][feasible[: i + 1]], corner)
        for i in range(len(low))
    ]
    ax.step(number, volume, where="post", color=_style.SURROGATE, lw=1.8)
    ax.set_xlabel("trial")
    ax.set_ylabel("hypervolume")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _beaten(low: Float[np.ndarray, "n 2"], point: Float[np.ndarray, "2"]) -> bool:
    """Whether some row is nowhere worse, and better somewhere."""
    better = np.all(low <= point, axis=1) & np.any(low < point, axis=1)
    return bool(better.any())
