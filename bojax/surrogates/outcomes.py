"""Increasing maps of the observed values, so that a Gaussian process suits them.

Each takes padded values, the variances of their noise and a mask, and returns new
values and variances. The order, and hence the incumbent, stays; what changes is how
much room the tails take. Variances follow by the slope of the map, squared.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax.surrogates.likelihood import standardization

Values = Float[Array, " n"]


def unchanged(
    y: Values, variance: Values, mask: Bool[Array, " n"]
) -> tuple[Values, Values]:
    """The values as they are; a surrogate standardizes them itself."""
    return y, variance


def log_warp(
    y: Values, variance: Values, mask: Bool[Array, " n"]
) -> tuple[Values, Values]:
    """Logarithm of the distance from just below the best value.

        log(y - min + s),  s = 1e-3 of the median distance

    Spreads the good values and draws the bad ones together.
    """
    best = jnp.min(jnp.where(mask, y, jnp.inf))
    distance = jnp.where(mask, y - best, 0)
    median = jnp.nanmedian(jnp.where(mask, distance, jnp.nan))
    tiny = jnp.finfo(y.dtype).tiny
    shifted = distance + jnp.maximum(1e-3 * median, tiny)
    return jnp.log(shifted), (jnp.sqrt(variance) / shifted) ** 2


def yeo_johnson(
    y: Values, variance: Values, mask: Bool[Array, " n"]
) -> tuple[Values, Values]:
    """Yeo and Johnson's power transform with the exponent of greatest likelihood.

    The values are standardized first. The exponent is chosen from 33 in [-2, 2]: the
    likelihood is flat enough that a finer search changes nothing that matters.

    References:
        Yeo and Johnson (2000), A new family of power transformations to improve
        normality or symmetry, equations 2.1 and 3.1.
    """
    location, scale = standardization(y, mask)
    z = jnp.where(mask, (y - location) / scale, 0)
    log_slope = jnp.sign(z) * jnp.log1p(jnp.abs(z))  # over power - 1
    count = jnp.maximum(jnp.sum(mask), 1)
    powers = jnp.linspace(-2, 2, 33, dtype=y.dtype)
    mapped = jax.vmap(_power, (None, 0))(z, powers)

    def log_likelihood(power, values):
        _, deviation = standardization(values, mask)
        return (power - 1) * jnp.sum(log_slope) - count * jnp.log(deviation)

    best = jnp.argmax(jax.vmap(log_likelihood)(powers, mapped))
    slope = jnp.exp((powers[best] - 1) * log_slope) / scale
    return mapped[best], (jnp.sqrt(variance) * slope) ** 2


def _power(z: Values, power: Float[Array, ""]) -> Values:
    """Yeo and Johnson's map; `expm1(p log1p(z)) / p` is smooth through p = 0."""
    log = jnp.log1p(jnp.abs(z))
    p = jnp.where(z >= 0, power, 2 - power)
    small = jnp.abs(p) < 1e-6
    mapped = jnp.where(small, log, jnp.expm1(p * log) / jnp.where(small, 1, p))
    return jnp.sign(z) * mapped
