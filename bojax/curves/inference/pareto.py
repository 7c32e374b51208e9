"""How far importance weights can be trusted: the shape of their tail."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def pareto_k(log_weights: Float[Array, " s"]) -> Float[Array, ""]:
    """The shape k of a generalized Pareto fitted to the largest weights.

    Moments of the weights below 1/k are finite: under 0.7 an average over so many draws
    can be relied on, above it cannot, whatever their effective sample size. Negative
    infinities count as draws of no weight; NaN makes the shape infinite.

    Args:
        log_weights: of at least 32 draws; a common constant does not matter.

    References:
        Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance
        sampling, section 2.4 and appendix; Zhang and Stephens (2009), A new and
        efficient estimation method for the generalized Pareto distribution.
    """
    size = log_weights.shape[0]
    tail = math.ceil(min(0.2 * size, 3 * math.sqrt(size)))
    bad = jnp.any(jnp.isnan(log_weights)) | ~jnp.any(jnp.isfinite(log_weights))
    log_weights = jnp.where(jnp.isfinite(log_weights), log_weights, -jnp.inf)
    top = jax.lax.top_k(log_weights, tail + 1)[0][::-1]
    top = jnp.where(bad, 0.0, top)
    weights = jnp.exp(top - top[-1])
    excess = weights[1:] - weights[0]
    # Where all weights in the tail are one there is no tail.
    flat = excess[-1] <= 1e-12
    excess = jnp.where(flat, jnp.linspace(0.1, 1.0, tail), excess)

    num_points = 30 + math.floor(math.sqrt(tail))
    place = (jnp.arange(num_points) + 0.5) / num_points
    quarter = excess[max(tail // 4 - 1, 0)]
    # Where fewer weights than that tell at all, there is a tail and nothing else.
    alone = quarter <= 1e-12 * excess[-1]
    quarter = jnp.maximum(quarter, 1e-12 * excess[-1])
    theta = 1 / excess[-1] + (1 - jnp.sqrt(1 / place)) / (3 * quarter)
    shape = jnp.mean(jnp.log1p(-theta[:, None] * excess), axis=1)
    profile = tail * (jnp.log(-theta / shape) - shape - 1)
    theta = jnp.sum(theta * jax.nn.softmax(profile))
    k = jnp.mean(jnp.log1p(-theta * excess))
    # A weak prior, worth ten draws, towards one half.
    k = (tail * k + 5.0) / (tail + 10.0)
    return jnp.where(bad | alone, jnp.inf, jnp.where(flat, -jnp.inf, k))
