"""Box-constrained L-BFGS for one problem; `jax.vmap` makes a batch of it.

One flat loop with one evaluation of the objective a trip, and one copy of it in the
program. Each trip either accepts its trial point or shortens the step, by selection
rather than by branches, so that under `vmap` every lane is at its own stage.

References:
    Bertsekas (1982), projected Newton methods: the two metrics. Byrd, Nocedal and
    Schnabel (1994), theorem 2.2: the inverse metric in compact form.
"""

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

_ARMIJO = 1e-4


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
    memory: Array  # [2 m, p]: m steps, then m changes of the gradient, newest last
    trial: Array
    plain: Array  # the trial lies along the steepest descent
    step: Array
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

    Meant to be called under `jit`. A value or gradient that is not finite rejects the
    point, so a step that leaves the objective's domain is shortened. No gradient flows
    through the result.

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
    lower = jnp.broadcast_to(jnp.asarray(lower, dtype), x0.shape)
    upper = jnp.broadcast_to(jnp.asarray(upper, dtype), x0.shape)
    x0, lower, upper, args = jax.lax.stop_gradient((x0, lower, upper, args))
    value_and_grad = fun if has_gradient else jax.value_and_grad(fun)

    def projected_gradient_norm(x, gradient):
        return jnp.max(jnp.abs(jnp.clip(x - gradient, lower, upper) - x), initial=0)

    def advance(state):
        value, gradient = value_and_grad(state.trial, *args)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        step, change = state.trial - state.x, gradient - state.gradient
        predicted, slope = state.gradient @ step, gradient @ step
        fall = state.value - value
        rounding = 8 * eps * jnp.abs(value)
        # Where rounding hides the fall, the slope tells (Hager and Zhang, 2005).
        enough = (fall >= -_ARMIJO * predicted) | (
            (fall >= -rounding) & (jnp.abs(slope) <= -0.9 * predicted)
        )
        first = state.evaluations == 0
        accept = finite & (enough | first)
        failed = ~accept & ((-predicted <= rounding) | (state.step < 1e-12))

        curved = (slope - predicted) > eps * (change @ change)
        pairs = state.memory.reshape(2, memory, -1)
        pushed = jnp.concatenate([pairs[:, 1:], jnp.stack([step, change])[:, None]], 1)
        pairs = jnp.where(accept & curved & ~first, pushed, pairs)
        pairs = jnp.where(failed, 0, pairs).reshape(2 * memory, -1)
        # The parabola through both values and the first slope.
        shrink = jnp.where(finite, -0.5 * predicted / (-fall - predicted), 0.25)
        length = state.step * jnp.clip(shrink, 0.1, 0.5)
        length = jnp.where(accept | failed, 1, length)
        status = jnp.where(
            accept & (fall <= ftol * jnp.maximum(jnp.abs(value), 1)),
            VALUE,
            state.status,
        )
        status = jnp.where(failed & state.plain, LINE_SEARCH, status)

        x = jnp.where(accept, state.trial, state.x)
        value = jnp.where(accept, value, state.value)
        gradient = jnp.where(accept, gradient, state.gradient)
        norm = projected_gradient_norm(x, gradient)
        status = jnp.where(norm <= gtol, GRADIENT, status)
        status = jnp.where(first & ~finite, START, status)

        direction, plain = _direction(x, gradient, lower, upper, pairs)
        trial = jnp.clip(x + length * direction, lower, upper)
        evaluations = state.evaluations + 1
        return _State(
            x, value, gradient, pairs, trial, plain, length, evaluations, status
        )

    def running(state):
        return (state.status == _RUNNING) & (state.evaluations < max_evaluations)

    start = jnp.clip(x0, lower, upper)
    state = _State(
        x=start,
        value=jnp.asarray(jnp.inf, dtype),
        gradient=jnp.zeros_like(start),
        memory=jnp.zeros((2 * memory, start.size), dtype),
        trial=start,
        plain=jnp.asarray(True),
        step=jnp.ones((), dtype),
        evaluations=jnp.zeros((), jnp.int32),
        status=jnp.asarray(_RUNNING, jnp.int32),
    )
    state = jax.lax.while_loop(running, advance, state)
    return Result(
        state.x,
        state.value,
        projected_gradient_norm(state.x, state.gradient),
        state.evaluations,
        jnp.where(state.status == _RUNNING, BUDGET, state.status),
    )


def _direction(x, gradient, lower, upper, memory):
    """Descent direction in the free variables, and whether it is the steepest one."""
    eps = jnp.finfo(x.dtype).eps
    m = memory.shape[0] // 2
    below, above = x <= lower, x >= upper
    free = ~((below & (gradient >= 0)) | (above & (gradient <= 0)))
    g = jnp.where(free, gradient, 0)
    pairs = jnp.where(free, memory, 0)
    gram = pairs @ pairs.T
    inner = pairs @ g
    curvature, squared = jnp.diagonal(gram[:m, m:]), jnp.diagonal(gram[m:, m:])
    valid = curvature > eps * squared
    both = valid[:, None] & valid[None, :]
    newest = m - 1 - jnp.argmax(valid[::-1])
    gamma = jnp.where(jnp.any(valid), curvature[newest] / squared[newest], 1)
    s_y = jnp.where(both & jnp.triu(jnp.ones((m, m), bool)), gram[:m, m:], jnp.eye(m))
    s_y = s_y.astype(x.dtype)
    middle = gamma * jnp.where(both, gram[m:, m:], 0)
    middle = middle + jnp.diag(jnp.where(valid, curvature, 0))
    s_g, y_g = jnp.where(valid, inner[:m], 0), jnp.where(valid, inner[m:], 0)
    solve = jax.scipy.linalg.solve_triangular
    u = solve(s_y, s_g)
    v = solve(s_y, middle @ u - gamma * y_g, trans=1)
    metric = -(gamma * g + jnp.concatenate([v, -gamma * u]) @ pairs)
    # Applied to the free variables, the metric may still push one of them outwards.
    outward = (below & (metric < 0)) | (above & (metric > 0))
    metric = jnp.where(outward, 0, metric)
    squared_norm = g @ g
    plain = ~(metric @ g < -eps * squared_norm) | ~jnp.any(valid)
    steepest = -g * jnp.minimum(1, 1 / jnp.sqrt(squared_norm))
    return jnp.where(plain, steepest, metric), plain
