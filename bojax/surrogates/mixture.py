"""Posteriors under several hyperparameters at once."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from bojax.data import Dataset
from bojax.surrogates.base import Normal, Posterior


class Mixture(Posterior):
    """Equally likely posteriors of one function, one for each hyperparameter sample.

    Mean and variance are those of the mixture, which is not normal:

        m(x) = mean_s m_s(x),  v(x) = mean_s v_s(x) + var_s m_s(x)

    An acquisition is averaged over the components instead, see `acquisitions.average`.

    Args:
        components: the posteriors, stacked along a leading axis.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.zeros((1, 1)), jnp.ones(1))
        >>> twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), gp.parameters)
        >>> condition = lambda parameters: gp.replace(parameters).condition(data)
        >>> mixture = Mixture(jax.vmap(condition)(twice))
        >>> len(mixture), mixture.marginal(jnp.zeros(1))[0].shape
        (2, ())
    """

    components: Posterior

    def __init__(self, components: Posterior):
        self.components = components

    def __len__(self) -> int:
        """How many components there are."""
        return jax.tree.leaves(self.components)[0].shape[0]

    @property
    def data(self) -> Dataset:
        """The observations; a pending value is the mean of what is believed of it."""
        first = jax.tree.map(lambda leaf: leaf[0], self.components.data)
        y = self.components.data.y
        # Of equal values no rounding is left.
        y = first.y + jnp.mean(y - first.y, axis=0)
        return dataclasses.replace(first, y=y)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Normal:
        """Joint mean and covariance of the noise-free values at the rows of `x`."""
        each = jax.vmap(lambda posterior: posterior(x))(self.components)
        mean = jnp.mean(each.mean, axis=0)
        apart = each.mean - mean
        between = apart.T @ apart / apart.shape[0]
        return Normal(mean, jnp.mean(each.covariance, axis=0) + between)

    @eqx.filter_jit
    def marginal(
        self, x: Float[Array, " d"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean and variance of the noise-free value at one point."""
        mean, variance = jax.vmap(lambda p: p.marginal(x))(self.components)
        return jnp.mean(mean), jnp.mean(variance) + jnp.var(mean)

    @property
    def best_y(self) -> Float[Array, ""]:
        """The least value observed, or believed of what is being evaluated."""
        return jnp.min(jnp.where(self.data.mask, self.data.y, jnp.inf))

    @property
    def incumbent(self) -> Float[Array, " d"]:
        """The point with the best posterior mean, of those observed or pending."""
        data = self.data
        mean, _ = jax.vmap(self.marginal)(data.x)
        return data.x[jnp.argmin(jnp.where(data.mask, mean, jnp.inf))]

    @property
    def observed(self) -> "Mixture":
        """The posterior without what is merely believed of pending points."""
        return Mixture(
            components=jax.vmap(lambda posterior: posterior.observed)(self.components)
        )

    def grow(self, q: int) -> "Mixture":
        """The same posterior with `q` unused rows at the end, for `append`."""
        return Mixture(
            components=jax.vmap(lambda posterior: posterior.grow(q))(self.components)
        )

    def append(
        self,
        row: Int[Array, ""] | int,
        x: Float[Array, " d"],
        y: Float[Array, ""] | None = None,
    ) -> "Mixture":
        """The posterior after one more observation, see `Posterior.append`.

        Each component believes of a pending point what it predicts itself.
        """
        append = jax.vmap(lambda posterior: posterior.append(row, x, y))
        return Mixture(append(self.components))
