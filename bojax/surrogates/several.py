"""Several functions at once, each with a surrogate of its own."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int

from bojax.surrogates.base import Normal, Posterior


class Several(eqx.Module):
    """Independent posteriors of k functions: one posterior with a leading axis.

    Args:
        each: the posteriors, stacked along a leading axis of length k.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> x, y = jnp.zeros((1, 1)), jnp.array([[1.0], [2.0]])
        >>> data = jax.vmap(lambda y: bojax.Dataset.of(x, y))(y)
        >>> Several(jax.vmap(gp.condition)(data)).marginal(jnp.zeros(1))[0].shape
        (2,)
    """

    each: Posterior

    def __len__(self) -> int:
        """How many functions there are."""
        return jax.tree.leaves(self.each)[0].shape[0]

    def __getitem__(self, index: int | slice) -> Any:
        """The posterior of one function, or a stack of some.

        Raises:
            IndexError: if there is no such function.
        """
        # JAX would give the last instead, and iteration would not end.
        if isinstance(index, int) and not -len(self) <= index < len(self):
            raise IndexError(f"index: expected one of {len(self)}, got {index}")
        return jax.tree.map(lambda leaf: leaf[index], self.each)

    def __call__(self, x: Float[Array, "q d"]) -> Normal:
        """Joint distributions at the rows of `x`: mean [k, q], covariance [k, q, q]."""
        return jax.vmap(lambda posterior: posterior(x))(self.each)

    def marginal(
        self, x: Float[Array, " d"]
    ) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Means and variances of the noise-free values at one point."""
        return jax.vmap(lambda posterior: posterior.marginal(x))(self.each)

    @property
    def observed(self) -> "Several":
        """The posteriors without what is merely believed of pending points."""
        return Several(jax.vmap(lambda posterior: posterior.observed)(self.each))

    def grow(self, q: int) -> "Several":
        """The same posteriors with `q` unused rows at the end, for `append`."""
        return Several(jax.vmap(lambda posterior: posterior.grow(q))(self.each))

    def append(
        self,
        row: Int[Array, ""] | int,
        x: Float[Array, " d"],
        y: Float[Array, " k"] | None = None,
    ) -> "Several":
        """The posteriors after one more observation, see `Posterior.append`."""
        if y is None:
            append = jax.vmap(lambda posterior: posterior.append(row, x))
            return Several(append(self.each))
        append = jax.vmap(lambda posterior, y: posterior.append(row, x, y))
        return Several(append(self.each, y))
