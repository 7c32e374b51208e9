"""What a model of curves is: shapes that bend, coefficients that are linear."""

import abc
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax.curves.inference.collapse import Normal

OUTLIER = 10.0
"""How many times the usual noise an outlier has."""


class Noise(eqx.Module):
    """What lies between a curve and its measurements, r(x) = y(x) - f(x).

        r(x) = rho^gap r(x - gap) + s(x) sqrt(1 - rho^2 gap) e,   e ~ N(0, 1)

    with s(x) = sigma but for outliers, where it is ten times that.

    Args:
        sigma: its standard deviation.
        rho: correlation of neighboring steps.
        outliers: the steps nearest to these are outliers; infinite where there is none.
    """

    sigma: Float[Array, ""]
    rho: Float[Array, ""]
    outliers: Float[Array, "2"]

    @classmethod
    def plain(cls, sigma: Float[Array, ""]) -> "Noise":
        """Independent, and without outliers."""
        return cls(sigma, jnp.zeros_like(sigma), jnp.full(2, jnp.inf, sigma.dtype))


class Model(eqx.Module):
    """A prior over noisy curves whose mean is linear in all but a few parameters.

        y(x) = columns(shape, x) . coefficients + noise,   shape, noise ~ N(0, I)

    Inference samples shapes and noises, and integrates the coefficients out under a
    normal prior; where that stands in for another one, `log_correction` has the ratio.
    Curves rise where they get better.
    """

    num_shapes: eqx.AbstractVar[int]
    num_noises: eqx.AbstractVar[int]
    num_coefficients: eqx.AbstractVar[int]
    num_latents: eqx.AbstractVar[int]
    white: eqx.AbstractClassVar[bool]  # whether all noise is normal and independent
    unit_interval: eqx.AbstractClassVar[bool]  # whether curves live in [0, 1]

    @abc.abstractmethod
    def columns(
        self, shape: Float[Array, " k"], x: Float[Array, ""], horizon: Float[Array, ""]
    ) -> Float[Array, " p"]:
        """What the coefficients multiply at one step."""

    @abc.abstractmethod
    def coefficients(self, shape: Float[Array, " k"]) -> Normal:
        """The normal prior of the coefficients of a shape."""

    @abc.abstractmethod
    def noise(self, latent: Float[Array, " j"], horizon: Float[Array, ""]) -> Noise:
        """The noise that a standard normal latent stands for."""

    @abc.abstractmethod
    def generate(
        self, z: Float[Array, " d"]
    ) -> tuple[Float[Array, " k_plus_j"], Float[Array, " p"]]:
        """Latents and coefficients drawn from the prior by a standard normal `z`."""

    @abc.abstractmethod
    def feasible(self, curve: Float[Array, " g"]) -> Bool[Array, ""]:
        """Whether the prior admits a curve, given from its first to its last step."""

    def log_correction(
        self, coefficients: Float[Array, " p"], curve: Float[Array, " g"]
    ) -> Float[Array, ""]:
        """Log ratio of the coefficients' prior to the normal that stands in for it."""
        del coefficients
        return jnp.where(self.feasible(curve), 0.0, -jnp.inf)


class Linear(Model):
    """A model whose coefficients are normal as they are."""

    def generate(self, z):
        """Shapes, noises, and a white vector that the coefficients are made of."""
        split = self.num_shapes + self.num_noises
        prior = self.coefficients(z[: self.num_shapes])
        return z[:split], prior.mean + prior.factor @ z[split:]


def draw_prior(
    model: Model, key, steps: Float[Array, " t"], horizon: Float[Array, ""], num: int
):
    """Latents, coefficients and curves that the prior admits; `num` of them, in turn.

    Returns:
        Latents [num, k + j], coefficients [num, p], curves [num, t], and the latent
        normals [num, d] they came from.
    """

    def curve_of(latents, coefficients):
        shape = latents[: model.num_shapes]
        columns = jax.vmap(functools.partial(model.columns, shape), (0, None))
        return columns(steps, horizon) @ coefficients

    def one(key):
        def again(carry):
            return ~carry[3]

        def attempt(carry):
            key, *_ = carry
            key, here = jax.random.split(key)
            z = jax.random.normal(here, (model.num_latents,))
            latents, coefficients = model.generate(z)
            curve = curve_of(latents, coefficients)
            return key, z, curve, model.feasible(curve)

        z, curve = jnp.zeros(model.num_latents), jnp.zeros(len(steps))
        _, z, curve, _ = jax.lax.while_loop(
            again, attempt, (key, z, curve, jnp.asarray(False))
        )
        return (*model.generate(z), curve, z)

    return jax.lax.map(one, jax.random.split(key, num))
