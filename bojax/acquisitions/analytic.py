"""Acquisitions in closed form: what is gained by evaluating one point.

Each is a scalar function of the mean and variance at a point, and a callable pytree
around a posterior. The objective is minimized, an acquisition is maximized.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bojax._numerics import log_h
from bojax.acquisitions.base import Acquisition, Belief
from bojax.surrogates.base import Posterior


def log_expected_improvement(
    mean: Float[Array, ""], variance: Float[Array, ""], best_y: Float[Array, ""] | float
) -> Float[Array, ""]:
    """log E[max(best_y - f, 0)] = log sigma + log h((best_y - mean) / sigma).

    Finite, with a finite gradient, where the expected improvement itself underflows.

    References:
        Ament et al. (2023), Unexpected improvements to expected improvement for
        Bayesian optimization, equation 8.
    """
    sigma = jnp.sqrt(variance)
    return jnp.log(sigma) + log_h((best_y - mean) / sigma)


def expected_improvement(
    mean: Float[Array, ""], variance: Float[Array, ""], best_y: Float[Array, ""] | float
) -> Float[Array, ""]:
    """E[max(best_y - f, 0)].

    References:
        Jones, Schonlau and Welch (1998), equation 15.
    """
    return jnp.exp(log_expected_improvement(mean, variance, best_y))


def probability_of_improvement(
    mean: Float[Array, ""], variance: Float[Array, ""], best_y: Float[Array, ""] | float
) -> Float[Array, ""]:
    """P(f < best_y) = Phi((best_y - mean) / sigma).

    References:
        Kushner (1964).
    """
    return jax.scipy.special.ndtr((best_y - mean) / jnp.sqrt(variance))


def upper_confidence_bound(
    mean: Float[Array, ""], variance: Float[Array, ""], beta: Float[Array, ""] | float
) -> Float[Array, ""]:
    """-mean + sqrt(beta) sigma, the optimist's value of -f.

    References:
        Srinivas et al. (2010), Gaussian process optimization in the bandit setting,
        equation 6.
    """
    # Two roots: with a beta of zero, that of the product would have no slope.
    return -mean + jnp.sqrt(beta) * jnp.sqrt(variance)


class LogEI(Acquisition):
    """Log expected improvement of one point.

    Args:
        posterior: of the objective.
        best_y: the value to beat.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = LogEI(gp.condition(data), 0.0)
        >>> bool(acquisition(jnp.array([[0.1]])) > acquisition(jnp.array([[0.9]])))
        True
    """

    logarithmic = True

    posterior: Posterior
    best_y: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    @classmethod
    def of(cls, belief: Belief) -> "LogEI":
        """The acquisition for the next point of a run."""
        return cls(belief.posterior, belief.best_y)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Log expected improvement at the only row of `x`."""
        return log_expected_improvement(*self.posterior.marginal(x[0]), self.best_y)


class EI(Acquisition):
    """Expected improvement of one point; `LogEI` is the same and easier to maximize.

    Args:
        posterior: of the objective.
        best_y: the value to beat.
    """

    posterior: Posterior
    best_y: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    @classmethod
    def of(cls, belief: Belief) -> "EI":
        """The acquisition for the next point of a run."""
        return cls(belief.posterior, belief.best_y)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Expected improvement at the only row of `x`."""
        return expected_improvement(*self.posterior.marginal(x[0]), self.best_y)


class PI(Acquisition):
    """Probability of improvement of one point.

    Args:
        posterior: of the objective.
        best_y: the value to beat.
    """

    posterior: Posterior
    best_y: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    @classmethod
    def of(cls, belief: Belief) -> "PI":
        """The acquisition for the next point of a run."""
        return cls(belief.posterior, belief.best_y)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Probability of improvement at the only row of `x`."""
        return probability_of_improvement(*self.posterior.marginal(x[0]), self.best_y)


class UCB(Acquisition):
    """Upper confidence bound of -f at one point.

    Args:
        posterior: of the objective.
        beta: squared width of the bound, in standard deviations.
    """

    posterior: Posterior
    beta: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=2.0)

    @classmethod
    def of(cls, belief: Belief) -> "UCB":
        """The acquisition for the next point of a run."""
        return cls(belief.posterior)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Upper confidence bound at the only row of `x`."""
        return upper_confidence_bound(*self.posterior.marginal(x[0]), self.beta)
