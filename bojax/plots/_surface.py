"""What surrogates and acquisitions say at the points of a figure."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bojax._precision import in_double
from bojax.acquisitions import Acquisition
from bojax.space import Space
from bojax.surrogates import GPPosterior


def beliefs(
    posterior: GPPosterior, x: Float[np.ndarray, "g d"]
) -> tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"]]:
    """Mean and standard deviation of the objective at each point."""
    mean, variance = in_double(_marginals, posterior, x)
    return mean.numpy(), np.sqrt(variance.numpy())


def gains(
    acquisition: Acquisition, space: Space, x: Float[np.ndarray, "g d"]
) -> Float[np.ndarray, " g"]:
    """The acquisition at each point, NaN where it is infeasible."""
    return in_double(_values, acquisition, space, x).numpy()


def incumbent(posterior: GPPosterior) -> Float[np.ndarray, " d"]:
    """The observed point that the posterior believes to be the best."""
    return in_double(_incumbent, posterior).numpy()


def observations(
    posterior: GPPosterior,
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
    """Points and values that the posterior is conditioned on."""
    data = posterior.data
    mask = np.asarray(data.mask)
    return np.asarray(data.x, float)[mask], np.asarray(data.y, float)[mask]


def readable_limits(values: Float[np.ndarray, "..."]) -> tuple[float, float]:
    """A range of values that shows an acquisition where it is high.

    At observations the logarithm of an improvement plunges, and would flatten the rest.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, middle, high = finite.min(), np.median(finite), finite.max()
    low = max(low, high - 3 * (high - middle)) if middle < high else low
    return float(low), float(high if high > low else low + 1)


def _marginals(posterior: GPPosterior, x: Float[Array, "g d"]):
    return jax.vmap(posterior.marginal)(x)


def _values(acquisition: Acquisition, space: Space, x: Float[Array, "g d"]):
    values = jax.vmap(acquisition)(x[:, None])
    return jnp.where(jax.vmap(space.feasible)(x), values, jnp.nan)


def _incumbent(posterior: GPPosterior):
    return posterior.incumbent
