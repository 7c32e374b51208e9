"""First points where a user believes the optimum to be."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax.acquisitions import Prior
from bojax.data import Trials
from bojax.space import Space
from bojax.strategies.sequence import one_by_one

_NUM_CANDIDATES = 2048


def believed(
    space: Space,
    prior: Prior,
    trials: Trials,
    key: PRNGKeyArray,
    numbers: Int[Array, " q"],
) -> Float[Array, "q d"]:
    """Draws from a prior, and as many uniform ones: those of odd numbers.

    A prior may be wrong, and then a model of draws from it alone takes long to find
    out, see `benchmarks/beliefs`. A draw is the one of 2,048 uniform points that the
    density picks; where it is narrower than the points are dense, one of the nearest.

    Args:
        space: the space.
        prior: log density of the optimum.
        trials: what was tried or is pending, not drawn again in a finite space.
        key: the run's key.
        numbers: draw numbers, one a point.

    References:
        Rubin (1987), sampling and importance resampling; Hvarfner et al. (2022), piBO,
        whose first points are all draws from the prior.
    """

    def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
        own, pick = jax.random.split(jax.random.fold_in(key, number))
        candidates = space.sample(own, _NUM_CANDIDATES).astype(trials.x.dtype)
        log_density = jax.vmap(prior)(candidates)
        log_density = jnp.where(number % 2 == 0, log_density, 0)
        # The greatest of these is a draw from all, the next one a draw from the rest.
        perturbed = log_density + jax.random.gumbel(pick, log_density.shape)
        return trials.first_untried(candidates, -perturbed)

    return one_by_one(draw, trials, numbers)
