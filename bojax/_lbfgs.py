"""Box-constrained L-BFGS for one problem; `jax.vmap` makes a batch of it.

One flat loop with one evaluation of the objective a trip, and one copy of it in the
program. Each trip either accepts its trial point or shortens the step, by selection
rather than by branches, so that under `vmap` every lane is at its own stage.

References:
    Bertsekas (1982), projected Newton methods: the two metrics. Byrd, Nocedal and
    Schnabel (1994), theorem 2.2: the inverse metric in compact form. Hager and Zhang
    (2005), section 3: the slope decides where rounding hides the fall of the value.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

STATUS = (
    "converged: the projected gradient is small",
    "converged: the value no longer falls",
    "the line search failed",
    "the budget of evaluations is spent",
    "the value or gradient at the start is not finite",
)
"""What the codes in `Result.status` mean."""

GRADIENT, VALUE, LINE_SEARCH, BUDGET, START = range(5)
_RUNNING = -1


class Result(eqx.Module):
    """Where a minimization ended.

    Args:
        x: the best point found.
        value: the objective there.
        gradient_norm: largest entry of the projected gradient, clip(x - g) - x.
        num_evaluations: of the objective and its gradient.
        status: why it stopped; `STATUS` has the words.
    """

    x: Float[Array, " p"]
    value: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    num_evaluations: Int[Array, ""]
    status: Int[Array, ""]


class _State(eqx.Module):
    x: Array
    value: Array
    gradient: Array
    pairs: Array  # [2 m, p]: m steps, then m changes of the gradient, newest last
    trial: Array
    length: Array  # of the trial's step, relative to the direction
    steepest: Array  # whether the trial lies along the steepest descent
    evaluations: Array
    status: Array


def minimize(
    fun: Callable,
    x0: Float[Array, " p"],
    lower: Any,
    upper: Any,
    *args: Any,
    max_evaluations: int | Int[Array, ""] = 200,
    gtol: float | Float[Array, ""] | None = None,
    ftol: float | Float[Array, ""] | None = None,
    memory: int = 10,
    has_gradient: bool = False,
) -> Result:
    """Local minimum of `fun(x, *args)` over lower <= x <= upper.

    To be called under `jit`. A value or gradient that is not finite rejects the point,
    so a step that leaves the objective's domain is shortened. No gradient flows through
    the result.

    Args:
        fun: `fun(x, *args)`, a scalar.
        x0: where to start, clipped to the box; its dtype is that of the computation.
        lower: bounds, a number or one for each entry, of which some may be infinite or
            equal to the upper one.
        upper: bounds.
        *args: pytrees for `fun`; what changes between calls belongs here.
        max_evaluations: budget of evaluations.
        gtol: stop when the projected gradient is at most this everywhere; by default
            1e-6, in single precision 1e-4.
        ftol: stop when a step lowers the value by at most this times max(|value|, 1);
            by default 1e-10, in single precision 5e-7.
        memory: how many steps the metric is made of.
        has_gradient: whether `fun` returns the pair of value and gradient.

    Example:
        >>> result = minimize(lambda x: jnp.sum((x - 2.0) ** 2), jnp.zeros(2), 0, 1)
        >>> result.x.tolist(), STATUS[result.status]
        ([1.0, 1.0], 'converged: the projected gradient is small')
    """
    x0 = jnp.asarray(x0)
    dtype, eps = x0.dtype, jnp.finfo(x0.dtype).eps
    double = eps < 1e-10
    gtol = jnp.asarray((1e-6 if double else 1e-4) if gtol is None else gtol, dtype)
    ftol = jnp.asarray((1e-10 if double else 5e-7) if ftol is None else ftol, dtype)
    lower, upper = (
        jnp.broadcast_to(jnp.asarray(each, dtype), x0.shape) for each in (lower, upper)
    )
    x0, lower, upper, args = jax.lax.stop_gradient((x0, lower, upper, args))
    value_and_grad = fun if has_gradient else jax.value_and_grad(fun)

    def gradient_norm(x, gradient):
        return jnp.max(jnp.abs(jnp.clip(x - gradient, lower, upper) - x), initial=0)

    def advance(state):
        value, gradient = value_and_grad(state.trial, *args)
        value, gradient = value.astype(dtype), gradient.astype(dtype)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        first = state.evaluations == 0
        step, change = state.trial - state.x, gradient - state.gradient
        slope, new_slope = _dot(state.gradient, step), _dot(gradient, step)
        fall = state.value - value
        rounding = 8 * eps * jnp.abs(state.value)
        enough = fall >= -1e-4 * slope
        level = (fall >= -rounding) & (jnp.abs(new_slope) <= -0.9 * slope)
        accept = finite & (enough | level | first)
        failed = ~accept & ((-slope <= rounding) | (state.length < 1e-12))

        # Shorter, to the minimum of the cubic through both values and slopes; or
        # longer, where the slope has not risen: no curvature for the metric to learn.
        bend = slope + new_slope + 3 * fall
        root = jnp.sqrt(jnp.maximum(bend**2 - slope * new_slope, 0))
        cubic = 1 - (new_slope + root - bend) / (new_slope - slope + 2 * root)
        shrink = jnp.where(cubic > 0.1, jnp.minimum(cubic, 0.9), 0.1)  # 0.1 if NaN
        curved = new_slope > slope
        length = state.length * jnp.where(accept, 4, shrink)
        length = jnp.where((accept & (curved | first)) | failed, 1, length)

        pairs = state.pairs.reshape(2, memory, start.size)
        newest = jnp.stack([step, change])[:, None]
        pushed = jnp.concatenate([pairs[:, 1:], newest], 1)
        pairs = jnp.where(accept & curved & ~first, pushed, pairs)
        pairs = jnp.where(failed, 0, pairs).reshape(state.pairs.shape)

        stalled = accept & (fall <= ftol * jnp.maximum(jnp.abs(value), 1))
        x = jnp.where(accept, state.trial, state.x)
        value = jnp.where(accept, value, state.value)
        gradient = jnp.where(accept, gradient, state.gradient)
        status = jnp.where(stalled, VALUE, state.status)
        status = jnp.where(failed & state.steepest, LINE_SEARCH, status)
        status = jnp.where(gradient_norm(x, gradient) <= gtol, GRADIENT, status)
        status = jnp.where(first & ~finite, START, status)

        direction, steepest = descend(x, gradient, pairs)
        trial = jnp.clip(x + length * direction, lower, upper)
        count = state.evaluations + 1
        return _State(x, value, gradient, pairs, trial, length, steepest, count, status)

    def descend(x, gradient, pairs):
        below, above = x <= lower, x >= upper
        free = ~((below & (gradient >= 0)) | (above & (gradient <= 0)))
        pairs, g = jnp.where(free, pairs, 0), jnp.where(free, gradient, 0)
        direction, informed = _metric(pairs, -g)
        # Applied to the free entries, the metric may still push one of them outwards.
        outward = (below & (direction < 0)) | (above & (direction > 0))
        direction = jnp.where(outward, 0, direction)
        squared = _dot(g, g)
        steepest = ~(informed & (_dot(direction, g) < -eps * squared))
        plain = -g * jnp.minimum(1, 1 / jnp.sqrt(squared))
        return jnp.where(steepest, plain, direction), steepest

    def running(state):
        return (state.status == _RUNNING) & (state.evaluations < max_evaluations)

    start = jnp.clip(x0, lower, upper)
    # All of it depends on the start, so that under `vmap` the loop is batched once.
    none = 0 * jnp.sum(jnp.isnan(start), dtype=jnp.int32)
    zero = none.astype(dtype)
    state = _State(
        x=start,
        value=zero + jnp.inf,
        gradient=jnp.zeros_like(start) + zero,
        pairs=jnp.zeros((2 * memory, start.size), dtype) + zero,
        trial=start,
        length=zero + 1,
        steepest=none == 0,
        evaluations=none,
        status=none + _RUNNING,
    )
    state = jax.lax.while_loop(running, advance, state)
    norm = gradient_norm(state.x, state.gradient)
    return Result(
        state.x,
        state.value,
        jnp.where(jnp.isfinite(state.value), norm, jnp.inf),
        state.evaluations,
        jnp.where(state.status == _RUNNING, BUDGET, state.status),
    )


def _dot(a, b):
    return jnp.sum(a * b)


def _metric(pairs, g):
    """The inverse metric times g, and whether it differs from the identity."""
    m = pairs.shape[0] // 2
    # Accelerators round the factors of a product to ten bits unless told otherwise.
    dot = functools.partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
    gram, inner = dot(pairs, pairs.T), dot(pairs, g)
    s_y, y_y = gram[:m, m:], gram[m:, m:]
    curvature, squares = jnp.diagonal(s_y), jnp.diagonal(gram)
    # In the free entries alone a pair may have lost its curvature.
    cosine = 0.1 * jnp.sqrt(jnp.finfo(pairs.dtype).eps)
    valid = curvature > cosine * jnp.sqrt(squares[:m] * squares[m:])
    newest = m - 1 - jnp.argmax(valid[::-1])
    gamma = jnp.where(valid[newest], curvature[newest] / squares[m:][newest], 1)
    both = valid[:, None] & valid[None, :]
    upper = jnp.where(both & jnp.triu(jnp.ones((m, m), bool)), s_y, 0)
    upper = upper + jnp.diag(jnp.where(valid, 0, 1).astype(g.dtype))
    middle = jnp.where(both, gamma * y_y, 0) + jnp.diag(jnp.where(valid, curvature, 0))
    solve = jax.scipy.linalg.solve_triangular
    u = solve(upper, jnp.where(valid, inner[:m], 0))
    v = solve(upper, dot(middle, u) - jnp.where(valid, gamma * inner[m:], 0), trans=1)
    return gamma * g + dot(jnp.concatenate([v, -gamma * u]), pairs), jnp.any(valid)
