"""The knowledge gradient: what an evaluation does for what is recommended."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bojax._numerics import log_h
from bojax._sobol import sobol
from bojax.acquisitions.base import Acquisition, Belief
from bojax.acquisitions.optimize import climb, screen
from bojax.data import ENUMERABLE
from bojax.space import Space
from bojax.surrogates import GPPosterior

_NUM_CANDIDATES = 128
_NUM_NEAR = 64
_NUM_SAMPLED = 32


class _Recommendation(Acquisition):
    """Minus the posterior mean at full fidelity, in standard deviations of the data."""

    posterior: GPPosterior
    space: Space = eqx.field(static=True)

    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        mean, _ = self.posterior.marginal(self.space.at_full_fidelity(x[0]))
        return (self.posterior.location - mean) / self.posterior.scale


class KG(Acquisition):
    """Log of how far the least posterior mean is expected to fall.

        log(min_x' m(x') - E[min_x' m(x' | x, y)]),  m at full fidelity

    One-shot: the first row of a batch is the point that is evaluated, and row i is what
    would be recommended after its i-th outcome, one of N Gauss-Hermite nodes z_i, after
    which the mean is m(x') + cov(f(x'), f(x)) / sd(y) z_i. All rows are maximized
    together. `complete` finds rows to start from for a point, among candidates that
    were spread over the space and local minima of the mean as it is, the least of which
    is what falls.

    A point at less than full fidelity is worth what it tells of full fidelity; divide
    by its cost, see `PerCost`.

    Args:
        posterior: of the objective.
        space: where its fidelities are, if it has any.
        key: of the candidates.
        num_fantasies: how many outcomes N.
        near: a point around which half of the candidates lie.

    Raises:
        ValueError: if `num_fantasies` is not positive, or a batch has not N + 1 rows.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> posterior = bojax.surrogates.GP(space).condition(data)
        >>> acquisition = KG(posterior, space, jax.random.key(0))
        >>> acquisition.complete(jnp.array([[0.2]])).shape
        (9, 1)

    References:
        Frazier, Powell and Dayanik (2009), The knowledge-gradient policy for correlated
        normal beliefs; Balandat et al. (2020), BoTorch, section 4.2, for the one-shot
        form; Wu, Toscano-Palmerin, Frazier and Wilson (2019), Practical multi-fidelity
        Bayesian optimization for hyperparameter tuning, for fidelities.
    """

    logarithmic: ClassVar[bool] = True
    chooses_fidelity: ClassVar[bool] = True

    posterior: GPPosterior
    space: Space = eqx.field(static=True)
    candidates: Float[Array, "c d"]
    least: Float[Array, ""]
    num_fantasies: int = eqx.field(static=True)

    def __init__(
        self,
        posterior: GPPosterior,
        space: Space,
        key: PRNGKeyArray,
        num_fantasies: int = 8,
        near: Float[Array, " d"] | None = None,
    ):
        if num_fantasies < 1:
            raise ValueError(f"num_fantasies: expected at least 1, got {num_fantasies}")
        self.posterior, self.space = posterior, space
        self.num_fantasies = num_fantasies
        d, dtype = space.num_columns, posterior.data.x.dtype
        spread = sobol(key, jnp.arange(_NUM_CANDIDATES), d + 1, dtype)
        if near is not None:
            reach = 10 ** (-3 + 2.7 * spread[:_NUM_NEAR, :1])
            around = near + reach * (2 * spread[:_NUM_NEAR, 1:] - 1)
            spread = spread.at[:_NUM_NEAR, 1:].set(jnp.clip(around, 0, 1))
        if space.constraints:
            # Where little is feasible, half of the others are sure to be.
            sampled = space.sample(jax.random.fold_in(key, 1), _NUM_SAMPLED)
            spread = spread.at[-_NUM_SAMPLED:, 1:].set(sampled.astype(dtype))
        known = jnp.where(posterior.data.mask[:, None], posterior.data.x, 0.5)
        candidates = jnp.concatenate([spread[:, 1:], known])
        candidates = self._full(jax.vmap(space.project)(candidates))
        # Rows are free to move. Were what is least now not searched for like them, they
        # would seem to gain where nothing is learned.
        everything = None if math.isinf(space.size) else space.enumerate(ENUMERABLE)
        if everything is None:
            pool = candidates[:, None]
        else:
            pool = self._full(jnp.asarray(everything, dtype))[:, None]
        recommendation = _Recommendation(posterior, space)
        values = screen(recommendation, space, pool)
        ends, reached = climb(recommendation, space, pool, values)
        ends = self._full(ends[:, 0])
        candidates = jnp.concatenate([candidates, ends])
        if space.constraints:
            feasible = jax.vmap(space.feasible)(candidates)[:, None]
            candidates = jnp.where(feasible, candidates, ends[jnp.argmax(reached)])
        self.candidates = candidates
        greatest = jnp.maximum(jnp.max(values), jnp.max(reached))
        self.least = posterior.location - posterior.scale * greatest

    @classmethod
    def of(cls, belief: Belief) -> "KG":
        """The acquisition for the next point of a run."""
        data, space = belief.posterior.data, belief.space
        if space is None:
            raise ValueError("belief: expected one with its space, got None")
        full = space.at_full_fidelity(data.x)
        mean, _ = jax.vmap(belief.posterior.marginal)(full)
        best = data.x[jnp.argmin(jnp.where(data.mask, mean, jnp.inf))]
        return cls(belief.posterior, space, belief.key, near=best)

    def _full(self, x: Float[Array, "m d"]) -> Float[Array, "m d"]:
        return self.space.at_full_fidelity(x)

    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.num_fantasies)
        return nodes, weights / math.sqrt(2 * math.pi)

    def _after(
        self, x: Float[Array, " d"], others: Float[Array, "m d"]
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """Means at full fidelity, and what one deviation of y at x adds to each."""
        normal = self.posterior(jnp.concatenate([x[None], others]))
        noise = self.posterior.noise(x[None])[0]
        floor = jnp.finfo(noise.dtype).eps * self.posterior.scale**2
        deviation = jnp.sqrt(jnp.maximum(normal.covariance[0, 0], floor) + noise)
        return normal.mean[1:], normal.covariance[0, 1:] / deviation

    def complete(self, x: Float[Array, "1 d"]) -> Float[Array, "rows d"]:
        """A point with the best candidates, itself among them, after each outcome."""
        others = jnp.concatenate([self.candidates, self._full(x)])
        mean, slope = self._after(x[0], others)
        nodes, _ = self._nodes()
        best = jnp.argmin(mean + jnp.asarray(nodes, x.dtype)[:, None] * slope, axis=1)
        return jnp.concatenate([x, others[best]])

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "rows d"]) -> Float[Array, ""]:
        """Log knowledge gained by evaluating the first row of `x`."""
        if x.shape[0] != self.num_fantasies + 1:
            raise ValueError(
                f"x: expected a point and {self.num_fantasies} recommendations, "
                f"got shape {x.shape}"
            )
        mean, slope = self._after(x[0], self._full(x[1:]))
        nodes, weights = (jnp.asarray(part, x.dtype) for part in self._nodes())
        gain = jnp.sum(weights * (self.least - mean - nodes * slope))
        # Where nothing is gained yet, a slope towards gaining is left. What stands for
        # nothing is little, as a low cost may divide it.
        unit = 1e-6 * self.posterior.scale
        return jnp.log(unit) + log_h(gain / unit)
