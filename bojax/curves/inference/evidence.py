"""How well a shape and a noise explain a curve, coefficients integrated out."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax.curves.inference.collapse import Moments, Normal, collapse
from bojax.curves.models.base import OUTLIER, Model, Noise


class Data(eqx.Module):
    """What was seen of one curve.

    Args:
        y: values, anything where there is none.
        mask: where there is one.
        steps: where they were measured.
        floor: standard deviation that the noise has at least.
        horizon: the last step of interest.
        grid: steps to the horizon, for what a prior says of whole curves.
    """

    y: Float[Array, " t"]
    mask: Bool[Array, " t"]
    steps: Float[Array, " t"]
    floor: Float[Array, ""]
    horizon: Float[Array, ""]
    grid: Float[Array, " g"]


def columns_of(
    model: Model,
    shape: Float[Array, " k"],
    steps: Float[Array, " t"],
    horizon: Float[Array, ""],
) -> Float[Array, "t p"]:
    """The columns of a shape at many steps."""
    return jax.vmap(lambda x: model.columns(shape, x, horizon))(steps)


def floored(noise: Noise, data: Data) -> Noise:
    """The noise with what the size of the validation set adds."""
    sigma = jnp.sqrt(noise.sigma**2 + data.floor**2)
    return Noise(sigma, noise.rho, noise.outliers)


def explain(
    model: Model,
    columns: Float[Array, "t p"],
    prior: Normal,
    noise: Noise,
    data: Data,
) -> tuple[Float[Array, ""], Normal]:
    """Log evidence of a shape and a noise, and what the coefficients then are.

    Columns and values are whitened: each less what the residual before it explains,
    over the scale of what is left.
    """
    y = jnp.where(data.mask, data.y, 0)
    log_scale = jnp.zeros((), y.dtype)
    if not model.white:
        columns, y, log_scale = _whiten(columns, y, noise, data)
    columns = jnp.where(data.mask[:, None], columns, 0)
    moments = Moments(
        columns.T @ columns, columns.T @ y, y @ y, data.mask.sum(dtype=y.dtype)
    )
    log_evidence, posterior = collapse(moments, prior, noise.sigma)
    return log_evidence - log_scale, posterior


def _whiten(columns, y, noise, data):
    place = jnp.arange(len(y))
    seen = jax.lax.cummax(jnp.where(data.mask, place, -1))
    before = jnp.concatenate([jnp.full(1, -1), seen[:-1]])
    gap = jnp.maximum(data.steps - data.steps[before], 1e-9)
    decay = jnp.where(before >= 0, noise.rho**gap, 0.0)
    strays = jnp.abs(data.steps[:, None] - noise.outliers) <= 0.5
    scale = jnp.sqrt(1 - decay**2) * jnp.where(strays.any(1), OUTLIER, 1.0)
    columns = (columns - decay[:, None] * columns[before]) / scale[:, None]
    y = jnp.where(data.mask, (y - decay * y[before]) / scale, 0)
    return columns, y, jnp.sum(jnp.where(data.mask, jnp.log(scale), 0.0))
