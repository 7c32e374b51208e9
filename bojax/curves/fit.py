"""From values to a posterior: checks, units, batches, and which inference."""

import functools
import math
import warnings
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from bojax.curves.batches import LONGEST, Curves, infer
from bojax.curves.finished import beside, filled, foretold, own_share
from bojax.curves.models import ROBUST, Model
from bojax.curves.posterior import RELIABLE, Components, CurvePosterior
from bojax.space.checks import finite

METHODS = "auto", "importance", "smc", "nuts", "aies"
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

    Values may be of any scale. Fewer than three of them, also none, or a value that is
    infinite, give an honest, wide posterior whose `converged` is False.

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
            learn from. One had failed where it is infinite, and where NaN lasts to its
            end; a NaN before that is a step without a value. They tell of curves at
            steps 1, 2, ..., of horizons that are whole and at most 256. Each counts as
            a fifth of the forecast: five and more stand in for the curve's own
            posterior, and `model` and `method` have no say.
        direction: "minimize" for losses and errors, "maximize" for accuracies.

    Raises:
        TypeError: if the horizon is not a number.
        ValueError: if an argument is out of range, or steps do not increase.

    Example:
        >>> import numpy as np
        >>> loss = 0.2 + 0.8 / np.arange(1, 21)
        >>> posterior = fit(loss, horizon=50)
        >>> low, high = posterior.quantile([0.1, 0.9], 50)
        >>> bool(low[0] < 0.216 < high[0])
        True
    """
    horizon = finite("horizon", horizon)
    y, steps, single = _checked(y, steps, horizon, model, method, direction)
    minimize = direction == "minimize"
    grid = _grid(horizon)
    finished = _finished(finished, horizon)
    if finished is not None and not np.isfinite(finished).any():
        finished = None  # trainings that all failed say nothing of one that has not
    infinite = np.isinf(y).any(1)
    values = np.where(np.isinf(y), np.nan, y)
    num = len(values)
    told, rows, share = None, np.empty(0, int), 1.0
    if finished is not None:
        rows, told = foretold(values, steps, finished, grid, minimize)
        share = own_share(len(finished))
    alone = np.ones(num, bool)
    alone[rows] = share > 0
    own, pareto_k, ess = None, np.full(num, -np.inf), np.full(num, np.nan)
    converged = ~infinite
    if alone.any():
        own, pareto_k[alone], ess[alone] = _own(
            model, method, values[alone], steps, horizon, grid, key, minimize
        )
        enough = (~np.isnan(values)).sum(1) >= _FEWEST
        converged &= ~alone | ((pareto_k < RELIABLE) & enough)
    components = beside(own, alone, told, rows, share)
    if not alone.all():
        weight = components.weight[~alone]
        ess[~alone] = 1 / np.sum(weight**2, 1)
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


def _own(model, method, values, steps, horizon, grid, key, minimize):
    """What a curve says of itself: components, Pareto k and effective sample size."""
    offset, unit = _units(values, minimize, model)
    curves = Curves(values, offset, unit, _floor(values, model))
    draws = infer(model, method, curves, steps, horizon, grid, _as_key(key))
    curve, off, sigma, rho, pareto_k, ess = draws
    components = _components(curve, off, sigma, rho, values, steps, grid)
    return components, pareto_k, ess


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
    y = _numbers("y", y, "[t] or [n, t] numbers")
    single = y.ndim == 1
    if y.ndim not in (1, 2) or (len(y) == 0 and not single):
        raise ValueError(f"y: expected [t] or [n, t] values, got shape {y.shape}")
    y = np.atleast_2d(y)
    counted = steps is None
    if counted:
        steps = np.arange(1.0, y.shape[1] + 1)
    steps = _numbers("steps", steps, "numbers")
    if steps.shape != (y.shape[1],):
        raise ValueError(
            f"steps: expected {y.shape[1]}, as many as values, got {steps.shape}"
        )
    if not np.all(np.isfinite(steps)) or np.any(np.diff(steps, prepend=0.0) <= 0):
        raise ValueError(f"steps: expected increasing positive numbers, got {steps}")
    seen = ~np.isnan(y).all(0)
    last = float(steps[seen][-1]) if seen.any() else 0.0
    if not horizon > max(last, 1.0):
        raise ValueError(
            f"horizon: expected a step beyond the data, which ends at {last:g}, "
            f"got {horizon!r}"
        )
    # A padding of NaN is no part of a curve; steps that were named are.
    end = max(last, 1.0) if counted else np.inf
    kept = steps <= end
    return y[:, kept], steps[kept], single


def _finished(finished: Any, horizon: float) -> np.ndarray | None:
    width = int(horizon)
    try:
        curves = [] if finished is None else list(finished)
    except TypeError:
        raise ValueError(
            f"finished: expected curves [k, {width}], got {finished!r}"
        ) from None
    if not curves:
        return None
    rows = np.full((len(curves), width), np.nan)
    for row, curve in zip(rows, curves, strict=True):
        curve = as_curve("finished", curve)
        row[: min(len(curve), width)] = filled(curve)[:width]
    return rows


def as_curve(name: str, curve: Any) -> Float[np.ndarray, " t"]:
    """The argument as a curve, if it is one."""
    expected = "a curve [t] of numbers"
    values = _numbers(name, curve, expected)
    if values.ndim != 1:
        raise ValueError(f"{name}: expected {expected}, got {curve!r}")
    return values


def _numbers(name: str, values: Any, expected: str) -> np.ndarray:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected {expected}, got {values!r}") from None


def _grid(horizon: float) -> np.ndarray:
    """All whole steps to the horizon, or as many as are kept of them."""
    if horizon <= LONGEST:
        whole = np.arange(1.0, math.floor(horizon) + 1)
        return np.append(whole, horizon) if whole[-1] < horizon else whole
    return np.geomspace(1.0, horizon, LONGEST)


def _units(y, minimize: bool, model: Model):
    """Offset and unit of each curve, such that it rises where it gets better."""
    y = np.append(y, np.full((len(y), 1), np.nan), 1)  # NumPy has no median of nothing
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


def _components(curve, off, sigma, rho, values, steps, grid) -> Components:
    """What is measured about each path: it comes back to it, if noise is correlated."""
    weight = np.full(sigma.shape, 1 / sigma.shape[1])
    dof, scale = np.full(sigma.shape, np.inf), sigma[:, :, None]
    if not rho.any():
        return Components(
            weight, curve, curve, np.broadcast_to(scale, curve.shape), dof, rho
        )
    seen = np.where(np.isnan(values), 0.0, steps).max(1, initial=0.0)
    gap = grid - seen[:, None, None]
    later = (gap > 0) & (rho[:, :, None] > 0) & (seen[:, None, None] > 0)
    decay = np.where(later, rho[:, :, None] ** np.maximum(gap, 0.0), 0.0)
    center = curve + decay * off[:, :, None]
    return Components(weight, curve, center, scale * np.sqrt(1 - decay**2), dof, rho)


def _as_key(key: Any) -> PRNGKeyArray:
    return jax.random.key(int(key)) if isinstance(key, int | np.integer) else key
