"""What surrogates and acquisitions say at the points of a figure."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from bojax._precision import in_double
from bojax.acquisitions import Acquisition, LogEI
from bojax.space import Space
from bojax.surrogates import GPPosterior


def beliefs(
    posterior: GPPosterior, space: Space, x: Float[np.ndarray, "g d"]
) -> tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"]]:
    """Mean and standard deviation at the nearest representable points."""
    mean, variance = in_double(_marginals, posterior, space, x)
    return mean.numpy(), np.sqrt(variance.numpy())


def gains(
    acquisition: Acquisition, space: Space, x: Float[np.ndarray, "g d"]
) -> Float[np.ndarray, " g"]:
    """The acquisition at the nearest representable points, NaN where infeasible."""
    return in_double(_values, acquisition, space, x).numpy()


def active(space: Space, x: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, "n d"]:
    """Which parameters exist at each point."""
    return in_double(_active, space, x).numpy()


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


def value_limits(
    values: Float[np.ndarray, "..."], depth: float = np.inf
) -> tuple[float, float]:
    """The range of the finite values, or what of it is less than `depth` from the top.

    Wider where they are all equal, to rounding: a scale needs two ends.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    low = max(low, high - depth)
    size = max(abs(low), abs(high))
    return low, high if high - low > 1e-9 * size else low + (size or 1.0)


def readable_limits(
    acquisition: Acquisition, values: Float[np.ndarray, "..."]
) -> tuple[float, float]:
    """A range of values that shows an acquisition where it matters.

    A logarithm plunges at observations, which would flatten the rest: what is not worth
    a 20,000th of the best is left out.
    """
    return value_limits(values, 10.0 if isinstance(acquisition, LogEI) else np.inf)


def _marginals(posterior: GPPosterior, space: Space, x: Float[Array, "g d"]):
    return jax.vmap(lambda x: posterior.marginal(space.project(x)))(x)


def _values(acquisition: Acquisition, space: Space, x: Float[Array, "g d"]):
    def value(x):
        gain = acquisition(space.project(x)[None])
        return jnp.where(space.feasible(x), gain, jnp.nan)

    return jax.vmap(value)(x)


def _active(space: Space, x: Float[Array, "n d"]):
    return jax.vmap(space.active)(x)


def _incumbent(posterior: GPPosterior):
    return posterior.incumbent
