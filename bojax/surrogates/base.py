"""What a surrogate is: something to fit and to condition on data."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax._typing import PyTree
from bojax.data import Dataset


class Normal(eqx.Module):
    """A joint normal distribution of the values at some points.

    Args:
        mean: of each value.
        covariance: of all of them, without the noise of an observation.
    """

    mean: Float[Array, " q"]
    covariance: Float[Array, "q q"]

    @property
    def variance(self) -> Float[Array, " q"]:
        """Of each value alone."""
        return jnp.diagonal(self.covariance)

    def sample(self, key: PRNGKeyArray, s: int) -> Float[Array, "s q"]:
        """Independent joint draws."""
        values, vectors = jnp.linalg.eigh(self.covariance)
        root = vectors * jnp.sqrt(jnp.maximum(values, 0))
        white = jax.random.normal(key, (s, self.mean.shape[0]), self.mean.dtype)
        return self.mean + white @ root.T


class Posterior(eqx.Module):
    """What a surrogate knows once it has seen data: a distribution over functions."""

    data: eqx.AbstractVar[Dataset]

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "q d"]) -> Normal:
        """Joint distribution of the noise-free values at the rows of `x`."""

    @abc.abstractmethod
    def marginal(
        self, x: Float[Array, " d"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean and variance of the noise-free value at one point."""

    @property
    @abc.abstractmethod
    def best_y(self) -> Float[Array, ""]:
        """The least value observed, or believed of what is being evaluated."""

    @abc.abstractmethod
    def grow(self, q: int) -> "Posterior":
        """The same posterior with `q` unused rows at the end, for `append`."""

    @property
    @abc.abstractmethod
    def observed(self) -> "Posterior":
        """The posterior without what is merely believed of pending points."""

    @abc.abstractmethod
    def append(
        self,
        row: Int[Array, ""] | int,
        x: Float[Array, " d"],
        y: Float[Array, ""] | None = None,
    ) -> "Posterior":
        """The posterior after one more observation, kept in an unused row.

        Args:
            row: which row; no later one may be in use.
            x: where it was made.
            y: its value; None: pending, and believed to be what is predicted.
        """


class Surrogate(eqx.Module):
    """A model of the objective: a prior over functions with hyperparameters."""

    parameters: eqx.AbstractVar[PyTree]

    @abc.abstractmethod
    def replace(self, parameters: PyTree) -> "Surrogate":
        """The same model with other hyperparameters."""

    @abc.abstractmethod
    def fit(
        self, data: Dataset, key: PRNGKeyArray, afresh: bool | Bool[Array, ""] = True
    ) -> "Surrogate":
        """The same model with hyperparameters learned; where the next fit starts.

        Args:
            data: observations.
            key: of whatever is random in the fit.
            afresh: False promises that the present hyperparameters come from a fit to
                nearly the same data, so that a cheaper fit will do.
        """

    @abc.abstractmethod
    def condition(
        self, data: Dataset, pending: Bool[Array, " n"] | None = None
    ) -> Posterior:
        """The posterior under the present hyperparameters.

        Args:
            data: observations.
            pending: rows of the data that are being evaluated, none in its mask.
        """
