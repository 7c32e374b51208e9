"""From values to a posterior: checks, units, batches, and which inference."""

import functools
import math
import warnings
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from bojax._precision import in_double
from bojax.curves.finished import ENOUGH, informed
from bojax.curves.inference.evidence import Data, columns_of, floored
from bojax.curves.inference.importance import (
    NUM_NOISES,
    Draws,
    importance,
    make_pool,
)
from bojax.curves.inference.smc import smc
from bojax.curves.models import ROBUST, Model
from bojax.curves.posterior import RELIABLE, Components, CurvePosterior

METHODS = "auto", "importance", "smc", "nuts", "aies"
_SIZES = 1, 4, 16, 32  # of batches; larger ones are made of these
_LENGTHS = 8, 16, 32, 48, 64, 96, 128, 192, 256
_GRID = 256  # steps of a posterior, at most
MIXED = 1.01  # R-hat of chains that have converged
_FEWEST = 3  # points that say anything about a shape


def fit(
    y: Any,
    horizon: float | int,
    key: Any = 0,
    steps: Any = None,
    model: Model = ROBUST,
    method: Literal["auto", "importance", "smc", "nuts", "aies"] = "auto",
    finished: Any = None,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> CurvePosterior:
    """The posterior of a learning curve given its beginning.

    Values may be of any scale. Fewer than three of them, or a value that is infinite,
    give an honest, wide posterior whose `converged` is False.

    Args:
        y: values so far `[t]`, or those of several curves `[n, t]`; NaN where there is
            none: behind the last one, or where one is missing.
        horizon: the last step to be foretold, beyond the data.
        key: an integer or a JAX key; the same one gives the same posterior.
        steps: where values were measured, positive and increasing; 1, 2, ..., t by
            default.
        model: `ROBUST`, `DOMHAN`, `LCPFN_PRIOR`, or one of their classes.
        method: "importance", "smc", or NumPyro's "nuts" and "aies"; "auto" takes
            importance sampling, and SMC for curves where its weights have a tail.
        finished: curves `[k, horizon]` of finished trainings at steps 1, 2, ..., to
            learn from; NaN where one had failed. They tell of curves at steps 1, 2,
            ..., of horizons that are whole and at most 256.
        direction: "minimize" for losses and errors, "maximize" for accuracies.

    Raises:
        ValueError: if an argument is out of range, or steps do not increase.

    Example:
        >>> import numpy as np
        >>> loss = 0.2 + 0.8 / np.arange(1, 21)
        >>> posterior = fit(loss, horizon=50)
        >>> low, high = posterior.quantile([0.1, 0.9], 50)
        >>> bool(low[0] < 0.216 < high[0])
        True
    """
    y, steps, single = _checked(y, steps, horizon, model, method, direction)
    horizon = float(horizon)
    minimize = direction == "minimize"
    grid = _grid(horizon)
    finished = _finished(finished, horizon)
    if finished is not None and not np.isfinite(finished).any():
        finished = None  # trainings that all failed say nothing of one that has not
    infinite = np.isinf(y).any(1)
    values = np.where(np.isinf(y), np.nan, y)
    offset, unit = _units(values, minimize, model)
    scaled = (values - offset[:, None]) / unit[:, None]
    floor = _floor(values, model) / np.abs(unit)
    draws = _infer(model, method, scaled, floor, steps, horizon, grid, _as_key(key))
    curve, center, scale, dof, rho, pareto_k, ess = draws
    curve = offset[:, None, None] + unit[:, None, None] * curve
    center = offset[:, None, None] + unit[:, None, None] * center
    scale = np.abs(unit)[:, None, None] * scale
    size = curve.shape[1]
    weight = np.full(dof.shape, 1 / size)
    components = Components(weight, curve, center, scale, dof, rho)
    enough = (~np.isnan(values)).sum(1) >= _FEWEST
    converged = (pareto_k < RELIABLE) & enough & ~infinite
    if finished is not None and len(finished):
        components, known = informed(
            values, steps, finished, components, converged, grid, minimize
        )
        converged = (converged | (known & (len(finished) >= ENOUGH))) & ~infinite
    refit = functools.partial(
        _refit, horizon, key, model, method, finished, direction, single
    )
    return CurvePosterior(
        observed=y,
        steps=steps,
        grid=grid,
        components=components,
        ess=float(ess[0]) if single else ess,
        pareto_k=float(pareto_k[0]) if single else pareto_k,
        converged=bool(converged[0]) if single else converged,
        minimize=minimize,
        single=single,
        refit=refit,
    )


def _refit(horizon, key, model, method, finished, direction, single, y, steps):
    y = y[0] if single else y
    return fit(y, horizon, key, steps, model, method, finished, direction)


def _checked(y, steps, horizon, model, method, direction):
    if not isinstance(model, Model):
        raise ValueError(
            "model: expected DOMHAN, LCPFN_PRIOR, ROBUST or another Model, "
            f"got {model!r}"
        )
    if method not in METHODS:
        raise ValueError(f"method: expected one of {METHODS}, got {method!r}")
    if direction not in ("minimize", "maximize"):
        raise ValueError(
            f'direction: expected "minimize" or "maximize", got {direction!r}'
        )
    y = np.asarray(y, float)
    single = y.ndim == 1
    if y.ndim not in (1, 2) or y.shape[0] == 0:
        raise ValueError(f"y: expected [t] or [n, t] values, got shape {y.shape}")
    y = np.atleast_2d(y)
    counted = steps is None
    if counted:
        steps = np.arange(1.0, y.shape[1] + 1)
    steps = np.asarray(steps, float)
    if steps.shape != (y.shape[1],):
        raise ValueError(
            f"steps: expected {y.shape[1]}, as many as values, got {steps.shape}"
        )
    if not np.all(np.isfinite(steps)) or np.any(np.diff(steps, prepend=0.0) <= 0):
        raise ValueError(f"steps: expected increasing positive numbers, got {steps}")
    seen = ~np.isnan(y).all(0)
    last = float(steps[seen][-1]) if seen.any() else 0.0
    if not (math.isfinite(horizon) and horizon > max(last, 1.0)):
        raise ValueError(
            f"horizon: expected a step beyond the data, which ends at {last:g}, "
            f"got {horizon!r}"
        )
    # A padding of NaN is no part of a curve; steps that were named are.
    end = max(last, 1.0) if counted else np.inf
    kept = steps <= end
    return y[:, kept], steps[kept], single


def _finished(finished: Any, horizon: float) -> np.ndarray | None:
    if finished is None or len(finished) == 0:
        return None
    width = int(horizon)
    rows = np.full((len(finished), width), np.nan)
    for row, curve in zip(rows, finished, strict=True):
        curve = np.asarray(curve, float)
        if curve.ndim != 1:
            raise ValueError(
                f"finished: expected curves [k, {width}], got one of {curve.shape}"
            )
        row[: min(len(curve), width)] = curve[:width]
    return rows


def _grid(horizon: float) -> np.ndarray:
    """All whole steps to the horizon, or as many as are kept of them."""
    if horizon <= _GRID:
        whole = np.arange(1.0, math.floor(horizon) + 1)
        return np.append(whole, horizon) if whole[-1] < horizon else whole
    return np.geomspace(1.0, horizon, _GRID)


def _units(y, minimize: bool, model: Model):
    """Offset and unit of each curve, such that it rises where it gets better."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of curves without any value
        low, high = np.nanmin(y, 1), np.nanmax(y, 1)
        middle = np.nanmedian(y, 1)
        inner = np.nanquantile(y, 0.9, 1) - np.nanquantile(y, 0.1, 1)
    low, high, middle, inner = (
        np.where(np.isfinite(each), each, 0.0) for each in (low, high, middle, inner)
    )
    size = np.where(np.abs(middle) > 0, np.abs(middle), 1.0)
    if model.unit_interval:
        fits = (low >= 0) & (high <= 1)
        width = np.maximum(high - low, 1e-3 * size)
        bottom = np.where(fits, 0.0, low - width)
        top = np.where(fits, 1.0, high + width)
        return (top, bottom - top) if minimize else (bottom, top - bottom)
    unit = np.maximum(inner, 1e-4 * size)
    return middle, -unit if minimize else unit


def _floor(y, model: Model) -> np.ndarray:
    """Binomial deviation of an accuracy or error measured on so many examples."""
    size = getattr(model, "validation_size", None)
    if size is None:
        return np.zeros(len(y))
    seen = ~np.isnan(y)
    mean = np.sum(np.where(seen, y, 0.0), 1) / np.maximum(seen.sum(1), 1)
    level = np.clip(np.where(seen.any(1), mean, 0.5), 0.01, 0.99)
    return np.sqrt(level * (1 - level) / size)


def _as_key(key: Any) -> PRNGKeyArray:
    return jax.random.key(int(key)) if isinstance(key, int | np.integer) else key


def _infer(model, method, y, floor, steps, horizon, grid, key):
    """Paths and noise of each curve, in parts of sizes that are compiled."""
    first = "importance" if method == "auto" else method
    result = _in_parts(model, first, y, floor, steps, horizon, grid, key)
    if method == "auto":
        doubtful = np.flatnonzero(~(result[5] < RELIABLE))
        if len(doubtful):
            again = _in_parts(
                model, "smc", y[doubtful], floor[doubtful], steps, horizon, grid, key
            )
            for old, new in zip(result, again, strict=True):
                old[doubtful] = new
    return result


def _in_parts(model, method, y, floor, steps, horizon, grid, key):
    num, length = y.shape
    bucket = next((b for b in _LENGTHS if b >= length), -(-length // 128) * 128)
    padded = np.full((num, bucket), np.nan)
    padded[:, :length] = y
    last = steps[-1] if length else 0.0
    places = np.concatenate([steps, last + 1 + np.arange(bucket - length)])
    full = next((b for b in _LENGTHS if b >= len(grid)), _GRID)
    wide = np.append(grid, np.full(full - len(grid), horizon))
    if method in ("nuts", "aies"):
        parts = [
            _chain(method, model, padded[i], floor[i], places, horizon, wide, key)
            for i in range(num)
        ]
    else:
        parts, at = [], 0
        while at < num:
            size = max(s for s in _SIZES if s <= max(num - at, 1))
            if num - at not in _SIZES and num - at < _SIZES[-1]:
                size = next(s for s in _SIZES if s >= num - at)
            rows = np.arange(at, min(at + size, num))
            part, low = np.full((size, bucket), np.nan), np.zeros(size)
            part[: len(rows)], low[: len(rows)] = padded[rows], floor[rows]
            out = in_double(
                _compiled, method, model, part, low, places, horizon, wide, key
            )
            parts.append([each.numpy()[: len(rows)] for each in out])
            at += len(rows)
    joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
    for place in range(3):
        joined[place] = joined[place][:, :, : len(grid)]
    return [np.array(each) for each in joined]


def _chain(method, model, y, floor, steps, horizon, grid, key):
    """Paths of one curve by NumPyro; chains that disagree have no finite tail."""
    from bojax.curves.inference import mcmc

    chains = getattr(mcmc, method)(model, y, steps, horizon, grid, key)
    doubt = -np.inf if chains.r_hat < MIXED else np.inf
    draws = Draws(
        chains.shapes,
        chains.noises,
        chains.coefficients,
        np.array(doubt),
        np.array(chains.ess),
    )
    out = in_double(_chain_paths, model, draws, y, floor, steps, horizon, grid)
    return [each.numpy()[None] for each in out]


def _chain_paths(model, draws, y, floor, steps, horizon, grid):
    data = Data(y, ~jnp.isnan(y), steps, floor, horizon, grid)
    return paths(model, draws, data)


_INFERENCE = {"importance": importance, "smc": smc}


def _compiled(method, model, y, floor, steps, horizon, grid, key):
    """Paths of a batch; one compilation for each method, model and bucket."""
    num_noises = NUM_NOISES if model.white else NUM_NOISES // 4
    pool = make_pool(model, steps, horizon, key, num_noises=num_noises)

    def one(arguments):
        y, floor, number = arguments
        data = Data(y, ~jnp.isnan(y), steps, floor, horizon, grid)
        here = jax.random.fold_in(key, number)
        draws = _INFERENCE[method](model, pool, data, here)
        return paths(model, draws, data)

    number = jnp.arange(len(y))
    return jax.lax.map(one, (y, floor, number), batch_size=min(len(y), 4))


def paths(model: Model, draws: Draws, data: Data):
    """Curves on the grid, what is measured about them, and how far to trust them."""
    mask, count = data.mask, data.mask.sum()
    last = jnp.max(jnp.where(mask, jnp.arange(len(mask)), 0))
    at, gap = data.steps[last], jnp.maximum(data.grid - data.steps[last], 0.0)

    def one(shape, noise, coefficients):
        noise = floored(model.noise(noise, data.horizon), data)
        curve = columns_of(model, shape, data.grid, data.horizon) @ coefficients
        here = model.columns(shape, at, data.horizon) @ coefficients
        off = jnp.where(count > 0, data.y[last] - here, 0.0)
        later = (gap > 0) & (noise.rho > 0) & (count > 0)
        decay = jnp.where(later, noise.rho**gap, 0.0)
        scale = noise.sigma * jnp.sqrt(1 - decay**2)
        return curve, curve + decay * off, scale, jnp.inf * noise.sigma, noise.rho

    curve, center, scale, dof, rho = jax.vmap(one)(
        draws.shape, draws.noise, draws.coefficients
    )
    return curve, center, scale, dof, rho, draws.pareto_k, draws.ess
