"""A posterior that knows of the study's finished curves: two mixtures in one."""

import dataclasses

import numpy as np

from bojax.curves.posterior import Components
from bojax.curves.study import Study

ENOUGH = 10
"""Finished curves that can do without a posterior that is in doubt."""

_OWN = 2.0  # finished curves that a curve's own posterior is worth


def informed(y, steps, finished, single, converged, grid, minimize):
    """Components of what the finished curves of the study say, beside one's own.

    Where a curve's own posterior is in doubt and there are finished curves enough, it
    has no part in the forecast.

    Args:
        y: values so far `[n, t]`, NaN where there is none.
        steps: where they were measured `[t]`.
        finished: finished curves `[k, H]`.
        single: the posterior of each curve by itself.
        converged: whether that can be relied on.
        grid: steps of the components.
        minimize: whether low values are good.

    Returns:
        The components, and of which curves the finished ones could tell anything.
    """
    sign = 1.0 if minimize else -1.0
    whole = np.array_equal(steps, np.arange(1.0, len(steps) + 1))
    known = np.array(
        [np.max(np.flatnonzero(~np.isnan(row)), initial=-1) + 1 for row in y]
    )
    width = finished.shape[1]
    usable = (known >= 1) & (known < width) & whole & (len(grid) == width)
    if not usable.any():
        return single, usable
    parts = []
    for i in range(len(y)):
        own = Components(
            *(getattr(single, f.name)[i : i + 1] for f in dataclasses.fields(single))
        )
        if usable[i]:
            t = known[i]
            prefix = _filled(y[i, :t])
            mixture = Study(sign * finished, int(t))(sign * prefix[None])
            path, scale = mixture.path, mixture.scale
            worst = np.nanmax(np.where(np.isfinite(finished), sign * finished, np.nan))
            path = np.minimum(path, mixture.worst[:, None, None])
            values = np.minimum(
                mixture.warp.inverse(path),
                max(worst, prefix.max() * sign, prefix.min() * sign),
            )
            size = path.shape[1]
            before = np.broadcast_to(sign * prefix, (1, size, t))
            curve = sign * np.concatenate([before, values], 2)
            wide = np.concatenate([np.full((1, size, t), scale.min()), scale], 2)
            mine = _OWN / (len(finished) + _OWN)
            if not converged[i] and len(finished) >= ENOUGH:
                mine = 0.0
            study = Components(
                mixture.weight / mixture.weight.sum(1, keepdims=True),
                curve,
                curve,
                wide,
                np.full((1, size), 3.0),
                np.full((1, size), -1.0),  # what follows is not from reweighting
            )
            own = study.joined(own, np.array([mine]))
        parts.append(own)
    size = max(part.weight.shape[1] for part in parts)
    parts = [_padded(part, size) for part in parts]
    return Components(
        *(
            np.concatenate([getattr(part, f.name) for part in parts])
            for f in dataclasses.fields(single)
        )
    ), usable


def _padded(part: Components, size: int) -> Components:
    missing = size - part.weight.shape[1]
    if not missing:
        return part

    def more(values):
        last = np.repeat(values[:, -1:], missing, 1)
        return np.concatenate([values, last], 1)

    rest = {f.name: more(getattr(part, f.name)) for f in dataclasses.fields(part)}
    rest["weight"] = np.concatenate([part.weight, np.zeros((1, missing))], 1)
    return Components(**rest)


def _filled(values: np.ndarray) -> np.ndarray:
    """A missing value is taken from the one before, or after the gap at the start."""
    seen = np.flatnonzero(~np.isnan(values))
    before = np.maximum(np.searchsorted(seen, np.arange(len(values)), "right") - 1, 0)
    return values[seen[before]]
