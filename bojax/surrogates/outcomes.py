"""Increasing maps of the observed values, so that a Gaussian process suits them.

Each takes padded values and their mask and returns new values. The order, and hence the
incumbent, stays; what changes is how much room the tails take.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def unchanged(y: Float[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, " n"]:
    """The values as they are; a surrogate standardizes them itself."""
    return y


def log_warp(y: Float[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, " n"]:
    """Logarithm of the distance from just below the best value.

        log(y - min + s),  s = 1e-3 of the median distance

    Spreads the good values and draws the bad ones together.
    """
    best = jnp.min(jnp.where(mask, y, jnp.inf))
    distance = jnp.where(mask, y - best, 0)
    median = jnp.nanmedian(jnp.where(mask, distance, jnp.nan))
    tiny = jnp.finfo(y.dtype).tiny
    return jnp.log(distance + jnp.maximum(1e-3 * median, tiny))


def yeo_johnson(y: Float[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, " n"]:
    """Yeo and Johnson's power transform with the exponent of greatest likelihood.

    The values are standardized first. The exponent is chosen from 33 in [-2, 2]: the
    likelihood is flat enough that a finer search changes nothing that matters.

    References:
        Yeo and Johnson (2000), A new family of power transformations to improve
        normality or symmetry, equations 2.1 and 3.1.
    """
    count = jnp.maximum(jnp.sum(mask), 1)

    def moments(values):
        mean = jnp.sum(jnp.where(mask, values, 0)) / count
        variance = jnp.sum(jnp.where(mask, (values - mean) ** 2, 0)) / count
        return mean, variance

    mean, variance = moments(y)
    z = jnp.where(mask, (y - mean) / jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)

    def log_likelihood(power):
        _, variance = moments(_power(z, power))
        slopes = jnp.where(mask, jnp.sign(z) * jnp.log1p(jnp.abs(z)), 0)
        return -0.5 * count * jnp.log(variance) + (power - 1) * jnp.sum(slopes)

    powers = jnp.linspace(-2, 2, 33, dtype=y.dtype)
    likelihoods = jax.vmap(log_likelihood)(powers)
    return _power(z, powers[jnp.nanargmax(likelihoods)])


def _power(z: Float[Array, " n"], power: Float[Array, ""]) -> Float[Array, " n"]:
    """Yeo and Johnson's map; `expm1(p log1p(z)) / p` is smooth through p = 0."""

    def box_cox(log, p):
        small = jnp.abs(p) < 1e-6
        return jnp.where(small, log, jnp.expm1(p * log) / jnp.where(small, 1, p))

    log = jnp.log1p(jnp.abs(z))
    return jnp.where(z >= 0, box_cox(log, power), -box_cox(log, 2 - power))
