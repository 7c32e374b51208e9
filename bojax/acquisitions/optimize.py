"""Maximization of an acquisition over a whole space, discrete columns included."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax import _lbfgs
from bojax._sobol import sobol
from bojax.acquisitions.base import Acquisition, complete
from bojax.data import ENUMERABLE, Trials
from bojax.space import Space

_MANY_LEVELS = 16
"""Columns of more levels are searched as numbers, and by steps of one level."""

_ROUNDS = 4
"""Rounds of numeric search and one discrete move where a space has discrete columns."""

Bounds = tuple[Float[Array, " d"], Float[Array, " d"]]
"""Least and greatest position of each column."""

_PENALTY = 1e3
"""Weight of squared violations, each in units of its spread over the cube."""


@eqx.filter_jit
def optimize(
    acquisition: Acquisition,
    space: Space,
    key: PRNGKeyArray,
    q: int = 1,
    *,
    near: Float[Array, "k d"] | None = None,
    tried: Trials | None = None,
    bounds: Bounds | None = None,
    num_raw: int = 512,
    num_starts: int = 6,
    max_evaluations: int = 60,
) -> tuple[Float[Array, "q d"], Float[Array, ""]]:
    """The batch of points with the greatest acquisition, as far as a search can tell.

    Scrambled Sobol points, and points scattered around `near`, are screened; from the
    best of each of several groups of them L-BFGS climbs in the numeric columns, in turn
    with the best change of one discrete column at a time. A finite space of up to 4,096
    configurations is searched exhaustively instead, for q = 1.

    Args:
        acquisition: what to maximize, a callable pytree.
        space: its conditions and constraints are respected.
        key: of the screened points.
        q: points chosen jointly.
        near: points around which to look more closely, the incumbent for one.
        tried: rows in use here are not chosen while anything else is found.
        bounds: least and greatest position of each column, if only a box is searched,
            in a discrete column the levels nearest to its positions; a small finite
            space is searched as a whole nevertheless.
        num_raw: points screened.
        num_starts: local searches.
        max_evaluations: of each local search and round.

    Returns:
        The points, representable and feasible, and their value. Of an acquisition with
        rows of its own these follow, see `Acquisition.complete`.

    Raises:
        ValueError: if a count is not positive.
    """
    for name, count in (("q", q), ("num_raw", num_raw), ("num_starts", num_starts)):
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count}")
    everything = None
    if q == 1 and not math.isinf(space.size):
        everything = space.enumerate(ENUMERABLE)
    if everything is None:
        raw = _raw_points(space, key, q, near, num_raw, bounds, _dtype(acquisition))
    else:
        raw = jnp.asarray(everything)[:, None, :]
    raw = jax.vmap(lambda x: complete(acquisition, x))(raw.astype(_dtype(acquisition)))
    values = screen(acquisition, space, raw)
    if everything is None:
        climbed, reached = climb(
            acquisition, space, raw, values, num_starts, max_evaluations, bounds
        )
        raw = jnp.concatenate([climbed, raw])
        values = jnp.concatenate([reached, values])
    rank = -values
    if tried is not None:
        taken = jax.vmap(lambda x: jnp.any(jax.vmap(tried.contains)(x)))(raw[:, :q])
        rank = jnp.where(taken & ~jnp.all(taken | jnp.isinf(rank)), jnp.inf, rank)
    best = jnp.argmin(rank)
    return raw[best], values[best]


def _dtype(acquisition: Acquisition) -> jnp.dtype:
    return jnp.result_type(
        *(leaf for leaf in jax.tree.leaves(acquisition) if eqx.is_inexact_array(leaf))
    )


def screen(
    acquisition: Acquisition, space: Space, x: Float[Array, "c q d"]
) -> Float[Array, " c"]:
    """Values of batches; minus infinity where one is infeasible or not a number."""
    values = jax.vmap(acquisition)(x)
    values = jnp.where(jnp.isnan(values), -jnp.inf, values)
    if space.constraints:
        feasible = jnp.all(jax.vmap(jax.vmap(space.feasible))(x), axis=1)
        values = jnp.where(feasible, values, -jnp.inf)
    return values


def _raw_points(
    space: Space,
    key: PRNGKeyArray,
    q: int,
    near: Float[Array, "k d"] | None,
    num_raw: int,
    bounds: Bounds | None,
    dtype: jnp.dtype,
) -> Float[Array, "c q d"]:
    """Representable points: spread over the cube, and scattered around `near`.

    Those around `near` move in boxes of all sizes; a finite column moves for one in
    five of them only.
    """
    d = space.num_columns
    num_near = 0 if near is None else num_raw // 4
    finite = space.num_levels > 0
    width = (2 * d if np.any(finite) else d) + 1
    draws = sobol(key, jnp.arange(num_raw + num_near), q * width, dtype)
    draws = draws.reshape(-1, q, width)
    size, spread, chance = draws[..., :1], draws[..., 1 : d + 1], draws[..., -d:]
    if space.constraints:
        # Where little is feasible, uniform feasible points take half of the places.
        half = num_raw // 2
        sampled = space.sample(jax.random.fold_in(key, 1), half * q)
        spread = spread.at[:half].set(sampled.reshape(half, q, d).astype(dtype))
    if near is not None:
        center = near[np.arange(num_near * q) % near.shape[0]].reshape(num_near, q, d)
        reach = 10 ** (-3 + 2.7 * size[num_raw:])
        moved = jnp.clip(center + reach * (2 * spread[num_raw:] - 1), 0, 1)
        redrawn = jnp.where(chance[num_raw:] < 0.2, spread[num_raw:], center)
        moved = jnp.where(finite, redrawn, moved)
        spread = spread.at[num_raw:].set(moved.astype(dtype))
    if bounds is not None:
        low, high = bounds
        scaled = low + (high - low) * spread[:num_raw]
        scattered = jnp.clip(spread[num_raw:], low, high)
        spread = jnp.concatenate([scaled, scattered]).astype(dtype)
    return jax.vmap(jax.vmap(space.project))(spread)


def _best_of_each(values: Float[Array, " c"], count: int) -> Int[Array, " r"]:
    """The best of each of `count` interleaved groups, hence the best of all too."""
    padded = jnp.pad(values, (0, -len(values) % count), constant_values=-jnp.inf)
    groups = padded.reshape(-1, count)
    return jnp.argmax(groups, axis=0) * count + jnp.arange(count)


def climb(
    acquisition: Acquisition,
    space: Space,
    raw: Float[Array, "c q d"],
    values: Float[Array, " c"],
    num_starts: int = 6,
    max_evaluations: int = 60,
    bounds: Bounds | None = None,
) -> tuple[Float[Array, "r q d"], Float[Array, " r"]]:
    """Where local searches from the best of each group end, and the values there."""
    starts = raw[_best_of_each(values, num_starts)]
    levels = space.num_levels
    choices = bool(np.any(levels > 1))
    numeric = ~space.is_categorical & ((levels == 0) | (levels > _MANY_LEVELS))
    low, high = (0, 1) if bounds is None else bounds
    if space.constraints:
        violations = jax.vmap(jax.vmap(space.violations))(raw)
        unit = jnp.std(violations, axis=(0, 1)) + jnp.finfo(raw.dtype).tiny

    def slide(x):
        """L-BFGS in the numeric columns, the others held by equal bounds."""

        def loss(flat, acquisition):
            moved = flat.reshape(x.shape)
            value = -acquisition(moved)
            if space.constraints:
                excess = jnp.maximum(jax.vmap(space.violations)(moved) / unit, 0)
                value = value + _PENALTY * jnp.sum(excess**2)
            return value

        found = _lbfgs.minimize(
            loss,
            x.ravel(),
            jnp.where(numeric, low, x).ravel(),
            jnp.where(numeric, high, x).ravel(),
            acquisition,
            max_evaluations=max_evaluations,
            gtol=1e-5,
            ftol=1e-9,
        )
        value = jnp.where(jnp.isnan(found.value), -jnp.inf, -found.value)
        return found.x.reshape(x.shape), value

    def better(x):
        """The best of a point, where it slides to, and single discrete moves there."""
        candidates = [x[None]]
        if np.any(numeric):
            end, _ = slide(x)
            if space.constraints:
                end = _last_feasible(space, x, end)
            x = jax.vmap(space.project)(end)
            candidates.append(x[None])
        if choices:
            candidates.append(_moves(space, x, bounds))
        candidates = jnp.concatenate(candidates)
        values = screen(acquisition, space, candidates)
        best = jnp.argmax(values)
        return candidates[best], values[best]

    if not (space.constraints or choices or np.any(space.is_conditional)):
        return jax.vmap(slide)(starts)
    rounds = _ROUNDS if choices else 1
    carry = (starts, jnp.zeros(starts.shape[0], starts.dtype))
    return jax.lax.fori_loop(0, rounds, lambda _, c: jax.vmap(better)(c[0]), carry)


def _last_feasible(
    space: Space, start: Float[Array, "q d"], end: Float[Array, "q d"]
) -> Float[Array, "q d"]:
    """The feasible point furthest along the way from a feasible start, by bisection."""

    def at(t):
        return start + t * (end - start)

    def feasible(t) -> Bool[Array, ""]:
        return jnp.all(jax.vmap(lambda x: space.feasible(space.project(x)))(at(t)))

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        inside = feasible(middle)
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    zero, one = jnp.zeros((), start.dtype), jnp.ones((), start.dtype)
    low, _ = jax.lax.fori_loop(0, 30, halve, (zero, one))
    return at(jnp.where(feasible(one), one, low))


def _moves(
    space: Space, x: Float[Array, "q d"], bounds: Bounds | None
) -> Float[Array, "m q d"]:
    """Every batch that differs in one discrete column of one point, projected.

    What would leave the bounds ends at the level that is nearest to them.
    """
    q, d = x.shape
    row, column, target, offset = [], [], [], []
    for point in range(q):
        for j, count in enumerate(space.num_levels):
            if count <= 1:
                continue
            levels = space.levels[j]
            if levels is not None and (
                count <= _MANY_LEVELS or space.is_categorical[j]
            ):
                goals = [(level, 0.0) for level in levels]
            else:
                goals = [(0.0, sign / count) for sign in (-1, 1)]
            for goal, shift in goals:
                row.append(point)
                column.append(j)
                target.append(goal)
                offset.append(shift)
    each, at = np.arange(len(row)), np.array(column)
    low, high = (0, 1) if bounds is None else (bound[at] for bound in bounds)
    shifted = x[np.array(row), at] + np.array(offset, x.dtype)
    value = jnp.where(np.array(offset) != 0, shifted, np.array(target, x.dtype))
    moved = jnp.broadcast_to(x, (len(row), q, d))
    moved = moved.at[each, np.array(row), at].set(jnp.clip(value, low, high))
    return jax.vmap(jax.vmap(space.project))(moved)
