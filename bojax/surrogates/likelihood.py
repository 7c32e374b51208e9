"""The hyperparameters of a Gaussian process and their likelihood."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax._numerics import gaussian_log_density, masked_covariance
from bojax.data import Dataset
from bojax.space import Space
from bojax.surrogates.kernels import Kernel, gram


class ConstantMean(eqx.Module):
    """The same prior mean everywhere, in standard deviations of the data."""

    bias: Float[Array, ""]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Prior mean at a point."""
        return self.bias


class LinearMean(eqx.Module):
    """A prior mean that is linear in the inputs."""

    bias: Float[Array, ""]
    slope: Float[Array, " d"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Prior mean at a point."""
        return self.bias + jnp.sum(self.slope * (x - 0.5))


class Warping(eqx.Module):
    """Kumaraswamy's warp of each number, 1 - (1 - x^a)^b; categories stay.

    Args:
        space: which columns are categories.
        log_warp_a: log of a, one a column.
        log_warp_b: log of b, one a column.

    References:
        Snoek, Swersky, Zemel and Adams (2014), Input warping for Bayesian optimization
        of non-stationary functions; here with Kumaraswamy's distribution function.
    """

    space: Space = eqx.field(static=True)
    log_warp_a: Float[Array, " d"]
    log_warp_b: Float[Array, " d"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The warped point."""
        # A margin keeps the powers differentiable at the faces of the cube.
        margin = 1e-6
        inside = margin + (1 - 2 * margin) * x
        power = -jnp.expm1(jnp.exp(self.log_warp_a) * jnp.log(inside))
        warped = -jnp.expm1(jnp.exp(self.log_warp_b) * jnp.log(power))
        return jnp.where(self.space.is_categorical, x, warped)


class Parameters(eqx.Module):
    """All that a fit moves."""

    kernel: Kernel
    mean: ConstantMean | LinearMean
    log_noise: Float[Array, ""]
    warping: Warping | None


def warped(parameters: Parameters, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """The points as the kernel sees them."""
    return x if parameters.warping is None else jax.vmap(parameters.warping)(x)


def standardization(
    y: Float[Array, " n"], mask: Bool[Array, " n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation of the values, safe for huge, equal and no values."""
    count = jnp.maximum(jnp.sum(mask), 1)
    values = jnp.where(mask, y, 0)
    unit = jnp.maximum(jnp.max(jnp.abs(values)), jnp.finfo(values.dtype).tiny)
    scaled = values / unit
    mean = jnp.sum(scaled) / count
    squares = jnp.where(mask, (scaled - mean) ** 2, 0)
    deviation = jnp.sqrt(jnp.sum(squares) / count)
    scale = deviation * unit
    limits = jnp.finfo(values.dtype)
    flat = (deviation <= 8 * limits.eps) | (scale < limits.tiny)
    return mean * unit, jnp.where(flat, 1.0, scale)


def standardized(
    data: Dataset, location: Float[Array, ""], scale: Float[Array, ""]
) -> Dataset:
    """The data with values, and variances, in standard deviations from the mean."""
    y = jnp.where(data.mask, (data.y - location) / scale, 0)
    # The square comes last, because that of a tiny scale would be zero.
    return Dataset(data.x, y, data.mask, (jnp.sqrt(data.variance) / scale) ** 2)


def joint(
    parameters: Parameters, data: Dataset
) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Residuals of standardized values from the prior mean, and their covariance."""
    x = warped(parameters, data.x)
    residual = jnp.where(data.mask, data.y - jax.vmap(parameters.mean)(x), 0)
    noise = jnp.exp(parameters.log_noise) + data.variance
    covariance = masked_covariance(gram(parameters.kernel, x, x), noise, data.mask)
    return residual, covariance


def log_likelihood(parameters: Parameters, data: Dataset) -> Float[Array, ""]:
    """Log marginal likelihood of standardized values.

    log p(y) = -1/2 r' K^-1 r - 1/2 log |K| - n/2 log 2 pi

    References:
        Rasmussen and Williams (2006), equation 2.30.
    """
    constant = 0.5 * math.log(2 * math.pi) * jnp.sum(data.mask)
    return gaussian_log_density(*joint(parameters, data)) - constant
