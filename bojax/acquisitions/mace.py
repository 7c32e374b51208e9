"""An ensemble of acquisitions: a point of the Pareto front of three of them."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from bojax.acquisitions.analytic import (
    log_expected_improvement,
    upper_confidence_bound,
)
from bojax.acquisitions.base import Acquisition, Belief
from bojax.acquisitions.montecarlo import uniform_samples
from bojax.pareto import dominates
from bojax.surrogates import GPPosterior

_MARGIN = 1e-4
"""Of the improvement that counts, in standard deviations of the data."""
_NUM_REFERENCE = 256
_TEMPERATURE = 0.02
"""Of the smooth minimum, in units of the front's extent."""


class MACE(Acquisition):
    """Lower confidence bound, log EI and log PI at once: each draw a compromise.

    With the criteria a_i shifted and scaled so that their Pareto front spans [0, 1],

        min_i (a_i(x) - r_i),  r ~ U[0, 1]^3,

    is maximized, r drawn with the key. Every Pareto-optimal x* has its turn, on convex
    parts of the front and others: for r = a(x*) the value at x* is zero, and a point of
    greater value would dominate x*. The minimum is a smooth one, which grows with each
    criterion, so that what maximizes it is Pareto-optimal for every r.

    The noise enters as HEBO's does: the value to beat is off by a normal number times
    sqrt(2) standard deviations of the noise, that at the best known point if it depends
    on the point.

    Args:
        posterior: of the objective.
        key: of the compromise, and of what the noise does.
        best_y: the value to beat; default: the best posterior mean at a known point.
        kappa: width of the confidence bound, in standard deviations.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = MACE(gp.condition(data), jax.random.key(0))
        >>> acquisition.criteria(jnp.array([[0.3]])).shape
        (3,)

    References:
        Lyu, Yang, Yan, Zhou and Zeng (2018), Batch Bayesian optimization via
        multi-objective acquisition ensemble; Cowen-Rivers et al. (2022), HEBO, section
        3.3; Wierzbicki (1980), for the scalarization by reference points.
    """

    posterior: GPPosterior
    best_y: Float[Array, ""]
    kappa: Float[Array, ""]
    lowest: Float[Array, " 3"]
    extent: Float[Array, " 3"]
    reference: Float[Array, " 3"]

    def __init__(
        self,
        posterior: GPPosterior,
        key: PRNGKeyArray,
        best_y: Float[Array, ""] | float | None = None,
        kappa: Float[Array, ""] | float = 2.0,
    ):
        incumbent = posterior.incumbent
        if best_y is None:
            best_y = posterior.marginal(incumbent)[0]
        dtype = posterior.white.dtype
        screen, reference, shift = jax.random.split(key, 3)
        noise = jnp.sqrt(posterior.noise(incumbent[None])[0])
        off = math.sqrt(2) * noise * jax.random.normal(shift, dtype=dtype)
        self.posterior = posterior
        self.best_y = best_y - _MARGIN * posterior.scale - off
        self.kappa = jnp.asarray(kappa)
        self.reference = jax.random.uniform(reference, (3,), dtype)
        x = _spread(screen, posterior)
        values = jax.vmap(lambda x: self.criteria(x[None]))(x)
        front = _undominated(values)
        self.lowest = jnp.min(jnp.where(front[:, None], values, jnp.inf), axis=0)
        highest = jnp.max(jnp.where(front[:, None], values, -jnp.inf), axis=0)
        extent = highest - self.lowest
        self.extent = jnp.where(extent > jnp.finfo(dtype).tiny, extent, 1)

    @classmethod
    def of(cls, belief: Belief) -> "MACE":
        """The acquisition for the next point of a run.

        kappa grows with the number of points as Srinivas et al. (2010) prove enough for
        no regret, at HEBO's half of its square.
        """
        d = belief.trials.x.shape[1]
        count = jnp.maximum(belief.trials.size, 1)
        squared = (2 + d / 2) * jnp.log(count) + math.log(math.pi**2 / 0.01)
        return cls(belief.posterior, belief.key, kappa=jnp.sqrt(squared))

    def criteria(self, x: Float[Array, "1 d"]) -> Float[Array, " 3"]:
        """Confidence bound, log EI and log PI at the only row of `x`."""
        mean, variance = self.posterior.marginal(x[0])
        sigma = jnp.sqrt(variance)
        return jnp.stack(
            [
                upper_confidence_bound(mean, variance, self.kappa**2),
                log_expected_improvement(mean, variance, self.best_y),
                jax.scipy.special.log_ndtr((self.best_y - mean) / sigma),
            ]
        )

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """The compromise at the only row of `x`."""
        gain = (self.criteria(x) - self.lowest) / self.extent - self.reference
        return -_TEMPERATURE * jax.nn.logsumexp(-gain / _TEMPERATURE)


def _spread(key: PRNGKeyArray, posterior: GPPosterior) -> Float[Array, "c d"]:
    """Points over the cube, and a quarter of them around the best, in boxes."""
    d = posterior.data.x.shape[1]
    draws = uniform_samples(key, _NUM_REFERENCE, d + 1).astype(posterior.white.dtype)
    x, size = draws[:, 1:], 10 ** (-3 + 2.7 * draws[:, :1])
    near = jnp.clip(posterior.incumbent + size * (2 * x - 1), 0, 1)
    is_near = (jnp.arange(_NUM_REFERENCE) % 4 == 0)[:, None]
    return jnp.where(is_near, near, x)


def _undominated(values: Float[Array, "c m"]) -> Bool[Array, " c"]:
    beaten = jax.vmap(lambda a: jnp.any(jax.vmap(lambda b: dominates(-b, -a))(values)))
    return ~beaten(values)
