"""What the surrogates of Bayesian optimization see of the trials."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bojax.data import Dataset, Trials

_FAILURE_NOISE = 0.2
"""Variance of the noise of what failed, 1, and what did not, -1, where that is learned:
without any, one failure between two successes would bend everything around it."""


def observed(
    trials: Trials, outcome: Callable | None, learn_failures: bool, learn_cost: bool
) -> Dataset:
    """Data of the objectives, the constraints, failures and log cost, in this order.

    Failed trials count as having been as bad as the worst that succeeded, unless where
    trials fail is learned.

    Args:
        trials: all that is known.
        outcome: map of the objectives' values and variances, as `BayesOpt` has it.
        learn_failures: whether where trials fail is an output.
        learn_cost: whether the logarithm of their cost is.

    Returns:
        One data set after the other, along the leading axis of each array.
    """

    def objective(y, variance):
        known = trials.done & jnp.isfinite(y)
        worst = jnp.max(jnp.where(known, y, -jnp.inf))
        counts = known if learn_failures else trials.done
        y = jnp.where(known, y, worst)
        if outcome is not None:
            y, variance = outcome(y, variance, counts)
        return jnp.where(counts, y, 0), variance, counts

    def constraint(g):
        known = trials.done & jnp.isfinite(g)
        worst = jnp.max(jnp.where(known, g, -jnp.inf))
        g = jnp.where(known, g, worst)
        # Where they are far from being met, how far matters little; zero stays.
        return jnp.sign(g) * jnp.log1p(jnp.abs(g)), jnp.zeros_like(g), trials.done

    parts = [
        jax.vmap(objective, in_axes=1)(trials.y, trials.variance),
        jax.vmap(constraint, in_axes=1)(trials.constraints),
    ]
    if learn_failures:
        failed = ~jnp.all(jnp.isfinite(trials.y), axis=1)
        sign = jnp.where(failed, 1.0, -1.0).astype(trials.y.dtype)
        variance = jnp.full_like(sign, _FAILURE_NOISE)
        parts.append((sign[None], variance[None], trials.done[None]))
    if learn_cost:
        log_cost = jnp.log(trials.cost)
        known = trials.done & jnp.isfinite(log_cost)
        total = jnp.sum(jnp.where(known, log_cost, 0))
        mean = total / jnp.maximum(jnp.sum(known), 1)
        log_cost = jnp.where(known, log_cost, mean)[None]
        parts.append((log_cost, jnp.zeros_like(log_cost), trials.done[None]))
    y, variance, mask = jax.tree.map(lambda *parts: jnp.concatenate(parts), *parts)
    y = jnp.where(mask, y, 0)
    return jax.vmap(lambda *own: Dataset(trials.x, *own))(y, mask, variance)
