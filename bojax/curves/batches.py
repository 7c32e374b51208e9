"""Inference over many curves at once, in batches of few sizes, each compiled once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from bojax._precision import in_double
from bojax.curves.inference.evidence import Data, columns_of, floored
from bojax.curves.inference.importance import (
    NUM_NOISES,
    Draws,
    importance,
    make_pool,
)
from bojax.curves.inference.smc import smc
from bojax.curves.models import Model
from bojax.curves.posterior import RELIABLE

MIXED = 1.01
"""R-hat of chains that have converged."""

LONGEST = 256
"""Steps of a posterior, at most."""

_SIZES = 1, 4, 16, 32  # of batches; larger ones are made of these
_LENGTHS = 8, 16, 32, 48, 64, 96, 128, 192, LONGEST
_TOGETHER = 4  # curves of a batch that are worked on at the same time
_INFERENCE = {"importance": importance, "smc": smc}


class Curves(NamedTuple):
    """Values of curves in the user's units, and what a model takes them for.

    Args:
        y: the values `[n, t]`, NaN where there is none.
        offset, unit: `(y - offset) / unit` is what the model knows, `[n]`.
        floor: the least standard deviation of the noise, `[n]`.
    """

    y: Any
    offset: Any
    unit: Any
    floor: Any


class Paths(NamedTuple):
    """Draws of the posterior of `n` curves, in the user's units.

    Args:
        curve: on the grid, without noise, `[n, s, g]`.
        off: how far from each the last value is, `[n, s]`.
        sigma: the deviation of the noise, `[n, s]`.
        rho: its correlation from step to step, `[n, s]`.
        pareto_k: the tail of the weights behind the draws, `[n]`.
        ess: their effective sample size, `[n]`.
    """

    curve: Any
    off: Any
    sigma: Any
    rho: Any
    pareto_k: Any
    ess: Any


def infer(
    model: Model,
    method: str,
    curves: Curves,
    steps: Float[np.ndarray, " t"],
    horizon: float,
    grid: Float[np.ndarray, " g"],
    key: PRNGKeyArray,
) -> Paths:
    """Posterior paths of each curve on the grid."""
    rest = steps, horizon, grid, key
    if method in ("nuts", "aies"):
        return _by_chains(method, model, curves, *rest)
    first = "importance" if method == "auto" else method
    paths = _in_parts(first, model, curves, *rest)
    if method == "auto":
        doubtful = np.flatnonzero(~(paths.pareto_k < RELIABLE))
        if len(doubtful):
            some = Curves(*(each[doubtful] for each in curves))
            again = _in_parts("smc", model, some, *rest)
            for old, new in zip(paths, again, strict=True):
                old[doubtful] = new
    return paths


def _in_parts(method, model, curves, steps, horizon, grid, key) -> Paths:
    places, wide = _padded(steps, horizon, grid)
    num, length = curves.y.shape
    found: list[Paths] = []
    at = 0
    while at < num:
        size = _size(num - at)
        rows = slice(at, min(at + size, num))
        count = rows.stop - at
        y = np.full((size, len(places)), np.nan)
        y[:count, :length] = curves.y[rows]
        rest = (
            np.append(each[rows], np.full(size - count, fill))
            for each, fill in zip(curves[1:], (0.0, 1.0, 0.0), strict=True)
        )
        part = Curves(y, *rest)
        paths = in_double(_batch, method, model, part, places, horizon, wide, key)
        found.append(Paths(*(each[:count] for each in paths.numpy())))
        at = rows.stop
    return _joined(found, len(grid))


def _size(left: int) -> int:
    """Of the next batch: the largest that is filled, or the least that takes all."""
    return next((s for s in _SIZES if s >= left), _SIZES[-1])


def _padded(steps, horizon, grid):
    """Steps and grid of a length that has a bucket."""
    length, last = len(steps), steps[-1] if len(steps) else 0.0
    bucket = next((b for b in _LENGTHS if b >= length), -(-length // 128) * 128)
    places = np.concatenate([steps, last + 1 + np.arange(bucket - length)])
    full = next((b for b in _LENGTHS if b >= len(grid)), LONGEST)
    return places, np.append(grid, np.full(full - len(grid), horizon))


def _joined(found: list[Paths], width: int) -> Paths:
    curve = np.concatenate([part.curve[:, :, :width] for part in found])
    rest = (np.concatenate(each) for each in zip(*(p[1:] for p in found), strict=True))
    return Paths(curve, *rest)


def _batch(method, model, curves, steps, horizon, grid, key) -> Paths:
    """One compilation for each method, model and bucket."""
    num_noises = NUM_NOISES if model.white else NUM_NOISES // 3
    pool = make_pool(model, steps, horizon, key, num_noises=num_noises)

    def one(arguments) -> Paths:
        curve, number = arguments
        data = _data(curve, steps, horizon, grid)
        draws = _INFERENCE[method](model, pool, data, jax.random.fold_in(key, number))
        return _paths(model, draws, data, curve)

    numbered = curves, jnp.arange(len(curves.y))
    return jax.lax.map(one, numbered, batch_size=min(len(curves.y), _TOGETHER))


def _data(curve: Curves, steps, horizon, grid) -> Data:
    """One curve as the model knows it."""
    scaled = (curve.y - curve.offset) / curve.unit
    floor = curve.floor / jnp.abs(curve.unit)
    return Data(scaled, ~jnp.isnan(scaled), steps, floor, horizon, grid)


def _paths(model: Model, draws: Draws, data: Data, curve: Curves) -> Paths:
    mask = data.mask
    last = jnp.max(jnp.where(mask, jnp.arange(len(mask)), 0))

    def one(shape, noise, coefficients):
        noise = floored(model.noise(noise, data.horizon), data)
        here = model.columns(shape, data.steps[last], data.horizon) @ coefficients
        off = jnp.where(mask.any(), data.y[last] - here, 0.0)
        return curve.unit * off, jnp.abs(curve.unit) * noise.sigma, noise.rho

    off, sigma, rho = jax.vmap(one)(draws.shape, draws.noise, draws.coefficients)
    path = curve.offset + curve.unit * draws.path
    return Paths(path, off, sigma, rho, draws.pareto_k, draws.ess)


def _by_chains(method, model, curves, steps, horizon, grid, key) -> Paths:
    """By NumPyro, one after the other; chains that disagree have no finite tail."""
    from bojax.curves.inference import mcmc

    places, wide = _padded(steps, horizon, grid)
    found = []
    for curve in map(Curves, *curves):
        padded = np.append(curve.y, np.full(len(places) - len(steps), np.nan))
        curve = curve._replace(y=padded)
        scaled = (padded - curve.offset) / curve.unit
        floor = float(curve.floor / abs(curve.unit))
        rest = model, scaled, places, horizon, wide, key
        chains = getattr(mcmc, method)(*rest, floor=floor)
        paths = in_double(_of_chains, model, chains, curve, places, horizon, wide)
        found.append(Paths(*(each[None] for each in paths.numpy())))
    return _joined(found, len(grid))


def _of_chains(model, chains, curve, steps, horizon, grid) -> Paths:
    def path_of(shape, coefficients):
        return columns_of(model, shape, grid, horizon) @ coefficients

    drawn = chains.shapes, chains.noises, chains.coefficients
    path = jax.vmap(path_of)(chains.shapes, chains.coefficients)
    doubt = jnp.where(chains.r_hat < MIXED, -jnp.inf, jnp.inf)
    draws = Draws(*drawn, path, doubt, chains.ess)
    return _paths(model, draws, _data(curve, steps, horizon, grid), curve)
