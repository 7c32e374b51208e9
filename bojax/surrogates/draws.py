"""Draws of a function at its own data, and what each of them implies elsewhere."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax._numerics import cholesky, invert_factor, masked_covariance
from bojax.surrogates.gp import GPPosterior
from bojax.surrogates.kernels import gram
from bojax.surrogates.likelihood import standardized, warped


class Draws(eqx.Module):
    """Joint draws of noise-free values at data, with the posterior given each.

    All share one factor; what differs is the vector of residuals that it multiplies, so
    that s posteriors cost O(n^2 + s n) at a point.

    Args:
        posterior: given the first draw, or any other: its `white` is not used.
        white: of each draw, see `GPPosterior`.
        values: what was drawn; infinite in rows that were not.
    """

    posterior: GPPosterior
    white: Float[Array, "s n"]
    values: Float[Array, "s n"]

    @property
    def trusted(self) -> Bool[Array, ""]:
        """Whether the covariance could be factorized: if not, everything is NaN."""
        return self.posterior.trusted

    @eqx.filter_jit
    def marginal(
        self, x: Float[Array, " d"]
    ) -> tuple[Float[Array, " s"], Float[Array, ""]]:
        """Means at one point given each draw, and the variance that they share."""
        return self._each(lambda given: given.marginal(x))

    @eqx.filter_jit
    def __call__(
        self, x: Float[Array, "q d"]
    ) -> tuple[Float[Array, "s q"], Float[Array, "q q"]]:
        """Means at the rows of `x` given each draw, and their joint covariance."""

        def joint(given):
            normal = given(x)
            return normal.mean, normal.covariance

        return self._each(joint)

    def _each(self, moments: Callable) -> tuple:
        """Moments given each draw: the second does not depend on what was drawn."""

        def given(white):
            return moments(dataclasses.replace(self.posterior, white=white))

        return jax.vmap(given, out_axes=(0, None))(self.white)


@eqx.filter_jit
def draw_pending(posterior: GPPosterior, base: Float[Array, "s n"]) -> Draws:
    """Draws of the values at pending points; the observations stay noisy.

    The rows of a Cholesky factor come in order, observations first: the residuals of
    what is pending, divided by it, are the standard normal numbers themselves.

    Args:
        posterior: in whose data pending points are believed.
        base: standard normal numbers, of which those in pending rows are used.
    """
    believed = posterior.believed
    prior, noise, jitter = _prior(posterior)
    covariance = masked_covariance(
        prior, jnp.where(believed, jitter, noise), posterior.data.mask
    )
    factor = cholesky(covariance)
    base = jnp.where(believed, base, 0)
    values = posterior.data.y + posterior.scale * (base @ factor.T)
    return Draws(
        dataclasses.replace(posterior, inverse_factor=invert_factor(factor)),
        jnp.where(believed, base, posterior.white),
        jnp.where(believed, values, jnp.inf),
    )


@eqx.filter_jit
def draw_all(posterior: GPPosterior, base: Float[Array, "s n"]) -> Draws:
    """Draws of the values at all points observed and pending, without their noise.

    With K = L L' the prior's covariance at these points and W the inverse of the noise,
    zero for what is pending, the values have given the observations

        L^-1 (f - m) ~ N(L' alpha, (I + L' W L)^-1),  alpha = (K + W^-1)^-1 (y - m),

    in which nothing is divided by a small eigenvalue of K, and given the values nothing
    else is known of the function.

    Args:
        posterior: in whose data pending points are believed.
        base: standard normal numbers.
    """
    prior, noise, jitter = _prior(posterior)
    data = posterior.data
    factor = cholesky(masked_covariance(prior, jnp.full_like(noise, jitter), data.mask))
    weight = jnp.where(data.mask & ~posterior.believed, 1 / noise, 0)
    eye = jnp.eye(noise.shape[0], dtype=noise.dtype)
    root = invert_factor(cholesky(eye + (factor.T * weight) @ factor))
    deviation = base @ root
    alpha = posterior.inverse_factor.T @ posterior.white
    mean = posterior.data.y - posterior.scale * noise * alpha
    values = mean + posterior.scale * (deviation @ factor.T)
    return Draws(
        dataclasses.replace(posterior, inverse_factor=invert_factor(factor)),
        alpha @ factor + deviation,
        jnp.where(data.mask, values, jnp.inf),
    )


def _prior(
    posterior: GPPosterior,
) -> tuple[Float[Array, "n n"], Float[Array, " n"], Float[Array, ""]]:
    """Covariance at the data, variance of the noise, and the jitter, standardized.

    Noise-free values of points close together are nearly dependent. The jitter keeps
    the condition number at a millionth of what the precision can tell, or better.
    """
    data = standardized(posterior.data, posterior.location, posterior.scale)
    x = warped(posterior.parameters, data.x)
    prior = gram(posterior.parameters.kernel, x, x)
    noise = posterior.parameters.noise + data.variance
    relative = 1e-5 if jnp.finfo(prior.dtype).eps > 1e-10 else 1e-9
    return prior, noise, relative * jnp.mean(jnp.diagonal(prior))
