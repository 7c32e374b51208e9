"""Thompson sampling: the minimum of one function that could be the objective."""

import equinox as eqx
from jaxtyping import Array, Float

from bojax.acquisitions.base import Acquisition, Belief
from bojax.surrogates import GPPosterior, Paths


class Thompson(Acquisition):
    """-f(x) of one function f drawn from the posterior.

    Its maximizer is drawn from the distribution of where the minimum is. Each point of
    a batch has a draw of its own, given the observations alone: what is pending need
    not be believed anything of, for the draws differ.

    Args:
        posterior: of the objective.
        path: one function drawn from it.

    Raises:
        ValueError: if there are several functions.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> posterior = gp.condition(data)
        >>> path = posterior.sample(jax.random.key(0), 1)
        >>> x = jnp.array([[0.3]])
        >>> bool(Thompson(posterior, path)(x) == -path(x[0])[0])
        True

    References:
        Thompson (1933); Kandasamy, Krishnamurthy, Schneider and Poczos (2018),
        Parallelised Bayesian optimisation via Thompson sampling, algorithm 1.
    """

    posterior: GPPosterior
    path: Paths

    def __check_init__(self):
        if len(self.path) != 1:
            raise ValueError(f"path: expected one function, got {len(self.path)}")

    @classmethod
    def of(cls, belief: Belief) -> "Thompson":
        """The acquisition for the next point of a run."""
        posterior = belief.posterior.observed
        return cls(posterior, posterior.sample(belief.key, 1))

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Minus the function's value at the only row of `x`."""
        return -self.path(x[0])[0]
