"""Batches by an upper confidence bound, then by exploration of where it pays."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax.acquisitions.analytic import upper_confidence_bound
from bojax.acquisitions.base import Acquisition, Belief
from bojax.surrogates import GPPosterior

_SOFTNESS = 1e-2
"""Width of the edge of the promising region, in standard deviations of the data."""


class UCBPE(Acquisition):
    """Upper confidence bound, or pure exploration within the promising region.

        UCB(x) = -mean + c s,
        PE(x) = s - penalty max(threshold - (-mean + c_PE s_obs), 0)

    s is the standard deviation given what is observed and pending, s_obs given what is
    observed. The threshold is -mean at the known point of the greatest bound: no point
    under it by c_PE standard deviations is worth a look. The first point of a batch
    goes to the bound, the others explore; now and then it is the other way round, and
    the first explores often where noise drowns the signal.

    Args:
        posterior: of the objective, in whose data pending points are believed.
        explore: whether this point explores.
        coefficient: c.
        region: c_PE.
        penalty: how steeply points outside of the region lose.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> explore = UCBPE(gp.condition(data), explore=True)
        >>> bool(explore(jnp.array([[0.2]])) > explore(jnp.array([[0.0]])))
        True

    References:
        Contal, Buffoni, Robicquet and Vayatis (2013), Parallel Gaussian process
        optimization with upper confidence bound and pure exploration, algorithm 1;
        Song et al. (2024), The Vizier Gaussian process bandit algorithm.
    """

    posterior: GPPosterior
    observed: GPPosterior
    explore: Bool[Array, ""]
    threshold: Float[Array, ""]
    coefficient: Float[Array, ""]
    region: Float[Array, ""]
    penalty: Float[Array, ""]

    def __init__(
        self,
        posterior: GPPosterior,
        explore: Bool[Array, ""] | bool,
        coefficient: Float[Array, ""] | float = 1.8,
        region: Float[Array, ""] | float = 0.5,
        penalty: Float[Array, ""] | float = 10.0,
    ):
        self.posterior, self.observed = posterior, posterior.observed
        self.explore = jnp.asarray(explore)
        self.coefficient = jnp.asarray(coefficient)
        self.region, self.penalty = jnp.asarray(region), jnp.asarray(penalty)
        mean, variance = jax.vmap(self.observed.marginal)(posterior.data.x)
        bound = -mean + self.coefficient * jnp.sqrt(variance)
        best = jnp.argmax(jnp.where(posterior.data.mask, bound, -jnp.inf))
        self.threshold = -mean[best]

    @classmethod
    def of(cls, belief: Belief) -> "UCBPE":
        """The acquisition for the next point of a run.

        A batch begins where the latest point asked for is not pending any more.
        """
        posterior, trials = belief.posterior, belief.trials
        last = jnp.maximum(trials.size - 1, 0)
        begins = ~trials.pending[last]
        data = posterior.data
        signal = posterior.prior_variance(data.x[:1])[0]
        noise = jnp.mean(posterior.noise(data.x), where=data.mask)
        noisy = signal < 0.7 * noise
        otherwise = jnp.where(begins, jnp.where(noisy, 0.7, 0.1), 0.25)
        chance = jax.random.uniform(jax.random.fold_in(belief.key, 1))
        return cls(posterior, explore=begins ^ (chance >= otherwise))

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """The bound, or what there is to explore, at the only row of `x`."""
        mean, variance = self.posterior.marginal(x[0])
        mean_observed, variance_observed = self.observed.marginal(x[0])
        optimistic = upper_confidence_bound(
            mean_observed, variance_observed, self.region**2
        )
        # A softer edge than that of max(., 0), for a search to turn at.
        width = _SOFTNESS * self.posterior.scale
        missing = width * jax.nn.softplus((self.threshold - optimistic) / width)
        exploration = jnp.sqrt(variance) - self.penalty * missing
        bound = upper_confidence_bound(mean, variance, self.coefficient**2)
        return jnp.where(self.explore, exploration, bound)
