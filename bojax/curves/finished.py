"""A posterior that knows of the study's finished curves, beside its own or instead."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from bojax.curves.posterior import Components
from bojax.curves.study import Study

ENOUGH = 5
"""Finished curves beside which a curve's own posterior has no more say."""


def own_share(num_finished: int) -> float:
    """What a curve's own posterior counts beside so many finished ones."""
    return max(0.0, 1 - num_finished / ENOUGH)


def foretold(
    values: Float[np.ndarray, "n t"],
    steps: Float[np.ndarray, " t"],
    finished: Float[np.ndarray, "k H"],
    grid: Float[np.ndarray, " g"],
    minimize: bool,
) -> tuple[Int[np.ndarray, " m"], Components | None]:
    """What finished curves tell of others at steps 1, 2, ..., t.

    Args:
        values: so far, NaN where there is none.
        steps: where they were measured.
        finished: at least one, at steps 1, 2, ..., H; NaN or infinite, of whichever
            sign, where a training had failed.
        grid: steps of the components.
        minimize: whether low values are good.

    Returns:
        The rows of which they can tell, and the components of these.
    """
    sign, width = 1.0 if minimize else -1.0, finished.shape[1]
    there = ~np.isnan(values)
    known = np.max(there * np.arange(1, values.shape[1] + 1), 1, initial=0)
    whole = np.array_equal(steps, np.arange(1.0, len(steps) + 1))
    usable = (known >= 1) & (known < width) & whole & (len(grid) == width)
    # What is better than any number is a failure too.
    failing = np.where(np.isinf(finished), np.inf, sign * finished)
    rows, parts = [], []
    for t in np.unique(known[usable]):
        here = np.flatnonzero(usable & (known == t))
        prefix = sign * np.stack([filled(each) for each in values[here, :t]])
        rows.append(here)
        parts.append(_continued(prefix, failing, sign))
    if not rows:
        return np.empty(0, int), None
    order = np.argsort(np.concatenate(rows))
    told = _each(lambda values: values[order], _stacked(parts))
    return np.concatenate(rows)[order], told


def _continued(prefix, finished, sign) -> Components:
    num, t = prefix.shape
    mixture = Study(finished, t)(prefix)
    worst = np.max(finished, where=np.isfinite(finished), initial=-np.inf)
    worst = np.maximum(worst, prefix.max(1))[:, None, None]
    path = np.minimum(mixture.path, mixture.worst[:, None, None])
    rest = np.minimum(mixture.warp.inverse(path), worst)
    size = rest.shape[1]
    before = np.broadcast_to(prefix[:, None], (num, size, t))
    curve = sign * np.concatenate([before, rest], 2)
    least = np.full((num, size, t), mixture.scale.min())
    scale = np.concatenate([least, mixture.scale], 2)
    dof = np.full((num, size), 3.0)
    # What follows from one more value is not to be had by reweighting: no rho.
    return Components(mixture.weight, curve, curve, scale, dof, np.full_like(dof, -1))


def beside(
    own: Components | None,
    alone: Bool[np.ndarray, " n"],
    told: Components | None,
    rows: Int[np.ndarray, " m"],
    share: float,
) -> Components:
    """Both in one mixture, or whichever there is.

    Args:
        own: the posterior of the curves that have one of their own, if any has.
        alone: which these are.
        told: what finished curves tell of `rows`, if anything.
        rows: of which curves.
        share: of a curve's own posterior.
    """
    if own is None or told is None:
        found = told if own is None else own
        assert found is not None
        return found
    parts = []
    mine = (np.cumsum(alone) - 1).tolist()
    theirs = {row: i for i, row in enumerate(rows.tolist())}
    for row in range(len(alone)):
        part = _row(own, mine[row]) if alone[row] else None
        if row in theirs:
            other = _row(told, theirs[row])
            part = other if part is None else other.joined(part, np.array([share]))
        parts.append(part)
    size = max(part.weight.shape[1] for part in parts)
    return _stacked([_padded(part, size) for part in parts])


def _row(components: Components, row: int) -> Components:
    return _each(lambda values: values[row : row + 1], components)


def _stacked(parts: Sequence[Components]) -> Components:
    return _each(lambda *values: np.concatenate(values), *parts)


def _each(change, *components: Components) -> Components:
    names = [field.name for field in dataclasses.fields(Components)]
    return Components(
        *(change(*(getattr(each, name) for each in components)) for name in names)
    )


def _padded(part: Components, size: int) -> Components:
    missing = size - part.weight.shape[1]
    if not missing:
        return part

    def more(values):
        return np.concatenate([values, np.repeat(values[:, -1:], missing, 1)], 1)

    weight = np.concatenate([part.weight, np.zeros((1, missing))], 1)
    return dataclasses.replace(_each(more, part), weight=weight)


def filled(values: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """A missing value is taken from the one before, or after the gap at the start.

    Behind the last value none is missing.
    """
    seen = np.flatnonzero(~np.isnan(values))
    if not len(seen):
        return values
    before = np.maximum(np.searchsorted(seen, np.arange(len(values)), "right") - 1, 0)
    return np.where(np.arange(len(values)) > seen[-1], np.nan, values[seen[before]])
