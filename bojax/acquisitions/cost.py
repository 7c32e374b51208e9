"""What an evaluation costs, and what is gained for it."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from bojax.acquisitions.base import Acquisition, check_logarithmic, complete
from bojax.space import Space
from bojax.surrogates import GPPosterior


class KnownCost(eqx.Module):
    """The logarithm of a cost that is a function of a point's values.

    Args:
        space: whose values in natural units the function is given.
        cost: a module-level function of these values, traceable; positive.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> space = bojax.Space({"epochs": bojax.Fidelity(1, 9)})
        >>> log_cost = KnownCost(space, lambda values: 1 + values["epochs"])
        >>> round(float(jnp.exp(log_cost(jnp.ones(1)))), 3)
        10.0
    """

    space: Space = eqx.field(static=True)
    cost: Callable = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Log cost of evaluating a point."""
        cost = jnp.asarray(self.cost(self.space.values(x)))
        if cost.shape != ():
            raise ValueError(f"cost: expected one number, got shape {cost.shape}")
        return jnp.log(cost).astype(x.dtype)


class LearnedCost(eqx.Module):
    """The expected logarithm of a cost that was measured.

    Args:
        posterior: of the logarithm of the cost.
    """

    posterior: GPPosterior

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Log cost of evaluating a point."""
        return self.posterior.marginal(x)[0]


class PerCost(Acquisition):
    """What is gained by an evaluation per unit of what it costs.

        log alpha(x) - log cost(x)

    Args:
        acquisition: the logarithm of what is gained.
        log_cost: of the first row of a batch.

    Raises:
        ValueError: if the acquisition's value is no logarithm.

    References:
        Snoek, Larochelle and Adams (2012), Practical Bayesian optimization of machine
        learning algorithms, section 3.3, expected improvement per second.
    """

    logarithmic: ClassVar[bool] = True

    acquisition: Acquisition
    log_cost: KnownCost | LearnedCost

    def __check_init__(self):
        check_logarithmic(self.acquisition)

    @property
    def chooses_fidelity(self) -> bool:
        """Whether what is wrapped does."""
        return self.acquisition.chooses_fidelity

    def complete(self, x: Float[Array, "q d"]) -> Float[Array, "rows d"]:
        """The rows of what is wrapped."""
        return complete(self.acquisition, x)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Log gain of the batch per cost of its first row."""
        return self.acquisition(x) - self.log_cost(x[0])
