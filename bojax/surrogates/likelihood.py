"""The hyperparameters of a Gaussian process and their likelihood."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
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
    """Kumaraswamy's warp of each number, 1 - (1 - x^a)^b.

    Categories stay, and so do numbers on which conditions depend: whether these are met
    is for the point itself to say.

    Args:
        space: which columns are categories, and which decide what exists.
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
        return jnp.where(self.space.is_categorical | _decides(self.space), x, warped)


def _decides(space: Space) -> Bool[np.ndarray, " d"]:
    """Which columns the existence of others depends on."""
    parents = {name for column in space.columns for name, _ in column.parameter.when}
    return np.array([column.name in parents for column in space.columns])


_FEATURES = 32
"""Random Fourier features of the logarithm of the noise."""

_NOISE_DEVIATION = 2.0
"""Prior standard deviation of the logarithm of the noise over the cube."""


class ExcessNoise(eqx.Module):
    """Noise that depends on the point, above the constant one.

        variance(x) = exp(log_excess + g(x)),  g ~ GP(0, 4 RBF)

    with a lengthscale of 0.3 sqrt(d) and the process in weights of random Fourier
    features, by which it is learned jointly with everything else.

    Args:
        log_excess: log of its typical variance, in squared units of standardized data.
        noise_weight: one a feature.

    References:
        Goldberg, Williams and Bishop (1998), Regression with input-dependent noise;
        Rahimi and Recht (2007), Random features for large-scale kernel machines.
    """

    log_excess: Float[Array, ""]
    noise_weight: Float[Array, " m"]

    @classmethod
    def zero(cls) -> "ExcessNoise":
        """The same small variance everywhere."""
        return cls(jnp.asarray(np.log(1e-2)), jnp.asarray(np.zeros(_FEATURES)))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Variance of the noise at a point, beyond the constant one."""
        d, m = x.shape[0], self.noise_weight.shape[0]
        rng = np.random.default_rng(0)
        frequency = rng.normal(size=(m, d)) / (0.3 * math.sqrt(d))
        phase = rng.uniform(0, 2 * math.pi, m)
        angle = jnp.asarray(frequency, x.dtype) @ x + jnp.asarray(phase, x.dtype)
        g = jnp.sum(self.noise_weight * jnp.cos(angle)) * math.sqrt(2 / m)
        return jnp.exp(self.log_excess + _NOISE_DEVIATION * g)


class Parameters(eqx.Module):
    """All that a fit moves."""

    kernel: Kernel
    mean: Callable[[Float[Array, " d"]], Float[Array, ""]]
    log_noise: Float[Array, ""]
    warping: Callable[[Float[Array, " d"]], Float[Array, " d"]] | None
    excess: Callable[[Float[Array, " d"]], Float[Array, ""]] | None = None

    @property
    def noise(self) -> Float[Array, ""]:
        """Variance of the noise of standardized values, no less than rounding adds."""
        # Rounding alone errs by about this much. With ten times as much, the last steps
        # toward an optimum in single precision end sooner than in double.
        least = 3 * jnp.finfo(self.log_noise.dtype).eps
        return jnp.maximum(jnp.exp(self.log_noise), least)


def warped(parameters: Parameters, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """The points as the kernel sees them."""
    return x if parameters.warping is None else jax.vmap(parameters.warping)(x)


def with_excess(parameters: Parameters, data: Dataset) -> Dataset:
    """Standardized data with the learned noise of each point added to its known one."""
    if parameters.excess is None:
        return data
    excess = jax.vmap(parameters.excess)(warped(parameters, data.x))
    return Dataset(data.x, data.y, data.mask, data.variance + excess)


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
    noise = parameters.noise + data.variance
    covariance = masked_covariance(gram(parameters.kernel, x, x), noise, data.mask)
    return residual, covariance


def log_likelihood(parameters: Parameters, data: Dataset) -> Float[Array, ""]:
    """Log marginal likelihood of standardized values.

    log p(y) = -1/2 r' K^-1 r - 1/2 log |K| - n/2 log 2 pi

    References:
        Rasmussen and Williams (2006), equation 2.30.
    """
    constant = 0.5 * math.log(2 * math.pi) * jnp.sum(data.mask, dtype=data.y.dtype)
    data = with_excess(parameters, data)
    return gaussian_log_density(*joint(parameters, data)) - constant
