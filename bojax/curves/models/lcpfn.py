"""The prior on which LC-PFN was trained, as a model to condition on exactly."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bojax.curves.inference.collapse import Normal
from bojax.curves.models.base import Model, Noise

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


class LCPFN(Model):
    """Three families with unnormalized weights: the prior of LC-PFN.

        f(x) = w1 (c1 - a1 x^-alpha) + w2 (c2 - a2 / ln(x + 1))
               + w3 (a3 - (a3 - b3) exp(-k x^delta))
        w1, w2, w3 ~ U(0, 1),  c1 ~ U(0, 1.25),  a1 ~ U(-0.6, 0.6),  c2 ~ U(0, 1)
        a2 ~ U(-0.5, 0.5),  a3 ~ U(0, 1),  b3 ~ U(0, 2),  ln alpha ~ N(0, 2^2)
        ln k ~ N(-2, 1),  ln delta ~ N(0, 0.5^2),  y(x) ~ N(f(x), sigma^2)
        ln sigma ~ N(-4, 1)

    given that f stays in [0, 1] and ends above where it starts. All but alpha, k, delta
    and sigma enters through four coefficients, of 1, x^-alpha, 1 / ln(x + 1) and
    exp(-k x^delta); what their prior is when the weights are integrated out is in
    `log_correction`.

    References:
        Adriaensen, Rakotoarison, Mueller and Hutter (2023), Efficient Bayesian
        learning curve extrapolation using prior-data fitted networks; for numbers the
        code released with it, which differs.
    """

    num_shapes: ClassVar[int] = 3
    num_noises: ClassVar[int] = 1
    num_coefficients: ClassVar[int] = 4
    num_latents: ClassVar[int] = 13
    white: ClassVar[bool] = True
    unit_interval: ClassVar[bool] = True

    def columns(self, shape, x, horizon):
        """1, x^-alpha, 1 / ln(x + 1) and exp(-k x^delta)."""
        alpha = jnp.exp(2 * shape[0])
        k_log, delta = shape[1] - 2, jnp.exp(0.5 * shape[2])
        log_x = jnp.log(x)
        growth = jnp.exp(jnp.minimum(k_log + delta * log_x, 7.0))
        return jnp.stack(
            [
                jnp.ones_like(x),
                jnp.exp(-jnp.minimum(alpha * log_x, 700.0)),
                1 / jnp.log1p(x),
                jnp.exp(-growth),
            ]
        )

    def coefficients(self, shape):
        """A normal of the prior's moments, whatever the shape."""
        mean, factor = _moments()
        dtype = shape.dtype
        return Normal(jnp.asarray(mean, dtype), jnp.asarray(factor, dtype))

    def noise(self, latent, horizon):
        """Normal and independent."""
        del horizon
        return Noise.plain(jnp.exp(jnp.maximum(latent[0], -7.0) - 4))

    def log_correction(self, coefficients, curve):
        """The exact prior, weights integrated out, over the normal of its moments."""
        mean, factor = _moments()
        white = jnp.asarray(np.linalg.inv(factor)) @ (coefficients - mean)
        normal = -0.5 * white @ white - float(
            np.log(np.diag(factor)).sum() + 2 * math.log(2 * math.pi)
        )
        exact = _log_density(coefficients)
        return jnp.where(self.feasible(curve), exact - normal, -jnp.inf)

    def generate(self, z):
        """The prior as it is written."""
        c1, a1, c2, a2, a3, b3, w1, w2, w3 = jax.scipy.stats.norm.cdf(z[:9])
        c1, a1, a2, b3 = 1.25 * c1, 1.2 * a1 - 0.6, a2 - 0.5, 2 * b3
        coefficients = jnp.stack(
            [w1 * c1 + w2 * c2 + w3 * a3, -w1 * a1, -w2 * a2, w3 * (b3 - a3)]
        )
        return z[9:], coefficients

    def feasible(self, curve):
        """Inside of [0, 1], and higher at its end."""
        return jnp.all((curve >= 0) & (curve <= 1)) & (curve[-1] > curve[0])


def _moments() -> tuple[np.ndarray, np.ndarray]:
    """Mean and factor of the coefficients' prior, without what feasibility adds."""
    w, ww = 1 / 2, 1 / 3  # of a weight and its square
    mean = np.array([w * (0.625 + 0.5 + 0.5), 0.0, 0.0, w * 0.5])
    second = np.zeros((4, 4))
    # Weights are independent, so covariances are sums over the families.
    constant = [(0.625, 1.25**2 / 3), (0.5, 1 / 3), (0.5, 1 / 3)]
    second[0, 0] = sum(ww * square - (w * first) ** 2 for first, square in constant)
    second[1, 1] = ww * 0.6**2 / 3
    second[2, 2] = ww * 0.5**2 / 3
    second[3, 3] = ww * (4 / 3 + 1 / 3 - 2 * 1 * 0.5) - (w * 0.5) ** 2
    second[0, 3] = second[3, 0] = ww * (0.5 * 1 - 1 / 3) - (w * 0.5) * (w * 0.5)
    return mean, np.linalg.cholesky(second)


def _log_density(coefficients: Float[Array, "4"]) -> Float[Array, ""]:
    """Log prior density of the coefficients, the three weights integrated out.

    Given the weights, the amplitudes b1, b2, b3 are uniform, and the constant is the
    sum of two uniforms, whose distribution function H is a piecewise parabola, and of
    w3 a3, uniform too:

        p(c, b) = int dw1 / 1.2 w1  dw2 / w2  dw3 / 2 w3^2
                  (H(c - w3 low) - H(c - w3 high))

    with low < a3 < high where a3 and b3 = a3 + b3 / w3 are both in their ranges.
    """
    constant, b1, b2, b3 = coefficients

    def nodes(low):
        """Of a weight from `low` to 1, even in its logarithm."""
        low = jnp.clip(low, 1e-4, 1.0)
        half = -0.5 * jnp.log(low)
        weight = jnp.exp(half * (jnp.asarray(_NODES) - 1))
        return weight, half * jnp.asarray(_WEIGHTS) * weight

    w1, m1 = nodes(jnp.abs(b1) / 0.6)
    w2, m2 = nodes(jnp.abs(b2) / 0.5)
    w3, m3 = nodes(jnp.where(b3 > 0, b3 / 2, -b3))
    w1, w2, w3 = w1[:, None, None], w2[:, None], w3
    low = jnp.maximum(0.0, -b3 / w3)
    high = jnp.minimum(1.0, 2 - b3 / w3)

    def below(t):
        def square(v):
            return jnp.maximum(v, 0.0) ** 2

        s, r = 1.25 * w1, w2
        return (square(t) - square(t - s) - square(t - r) + square(t - s - r)) / (
            2 * s * r
        )

    share = jnp.maximum(below(constant - w3 * low) - below(constant - w3 * high), 0.0)
    share = jnp.where(high > low, share, 0.0)
    density = share / (1.2 * w1 * w2 * 2 * w3**2)
    total = jnp.einsum("ijk,i,j,k->", density, m1, m2, m3)
    inside = (jnp.abs(b1) < 0.6) & (jnp.abs(b2) < 0.5) & (b3 < 2) & (b3 > -1)
    return jnp.where(
        inside & (total > 0), jnp.log(jnp.where(total > 0, total, 1.0)), -jnp.inf
    )
