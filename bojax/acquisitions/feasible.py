"""Constraints that are measured: what is gained counts where they are met."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bojax.acquisitions.base import Acquisition, complete
from bojax.surrogates import Several


def log_probability_feasible(
    constraints: Several, x: Float[Array, " d"]
) -> Float[Array, ""]:
    """log P(g(x) <= 0) = sum_c log Phi(-mean_c / sigma_c), constraints independent.

    References:
        Schonlau, Welch and Jones (1998), section 4.
    """
    mean, variance = constraints.marginal(x)
    return jnp.sum(jax.scipy.special.log_ndtr(-mean / jnp.sqrt(variance)))


class Feasible(Acquisition):
    """An acquisition times the probability that a point meets all constraints.

    While nothing feasible is known, the probability alone counts: what there is to gain
    from a value is told only once it would be of use.

    Args:
        acquisition: what there is to gain. If its value is a logarithm, that of the
            probability is added to it; else the probability multiplies it, or divides
            it where it is negative.
        constraints: posteriors of the constraints, met where <= 0.
        any_feasible: whether a feasible point is known.

    References:
        Schonlau, Welch and Jones (1998), Global versus local search in constrained
        optimization of computer models, section 4; Gelbart, Snoek and Adams (2014),
        Bayesian optimization with unknown constraints, equation 10, for the rule while
        nothing is feasible.
    """

    acquisition: Acquisition
    constraints: Several
    any_feasible: Bool[Array, ""]

    @property
    def logarithmic(self) -> bool:
        """Whether values are logarithms."""
        return self.acquisition.logarithmic

    @property
    def chooses_fidelity(self) -> bool:
        """Whether what is wrapped does."""
        return self.acquisition.chooses_fidelity

    def complete(self, x: Float[Array, "q d"]) -> Float[Array, "rows d"]:
        """The rows of what is wrapped."""
        return complete(self.acquisition, x)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Value of evaluating the rows of `x`."""
        # What a one-shot acquisition would recommend is not evaluated.
        evaluated = x[:1] if self.chooses_fidelity else x
        each = jax.vmap(lambda x: log_probability_feasible(self.constraints, x))(
            evaluated
        )
        log_probability, value = jnp.sum(each), self.acquisition(x)
        if self.logarithmic:
            weighted = value + log_probability
        else:
            probability = jnp.exp(jnp.maximum(log_probability, -30.0))
            weighted = jnp.where(value > 0, value * probability, value / probability)
        return jnp.where(self.any_feasible, weighted, log_probability)
