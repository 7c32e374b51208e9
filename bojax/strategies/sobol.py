"""Quasi-random search: a scrambled Sobol sequence."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax._sobol import sobol
from bojax.data import ENUMERABLE, Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.sequence import one_by_one

_ATTEMPTS = 32


class Sobol(Strategy):
    """Points of a scrambled Sobol sequence, which fill the space evenly.

    Point i of the run is point i of the sequence. Where that point is infeasible, or
    already tried in a finite space, the next one of a second sequence that is neither
    takes its place.

    Args:
        space: what to fill; conditions and constraints are respected.

    Example:
        >>> import bojax, jax
        >>> strategy = Sobol(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> points, _ = strategy.ask(strategy.init(jax.random.key(0)), q=4)
        >>> sorted((4 * points.x[:, 0]).astype(int).tolist())
        [0, 1, 2, 3]

    References:
        Sobol' (1967); Owen (1995), the scramble.
    """

    space: Space

    def start(self, trials: Trials) -> None:
        """The sequence is known by the number of the draw: nothing to remember."""

    def propose(
        self, memory: None, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], None]:
        """The next points of the sequence."""
        space, d = self.space, self.space.num_columns

        def point(key: PRNGKeyArray, index: Int[Array, ""]) -> Float[Array, " d"]:
            return space.project(sobol(key, index, d, trials.x.dtype))

        if math.isinf(space.size) and not space.constraints:
            return jax.vmap(lambda number: point(key, number))(numbers), None

        everything = None if math.isinf(space.size) else space.enumerate(ENUMERABLE)

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            own = jax.random.fold_in(key, number)
            spare = jax.vmap(lambda i: point(own, i))(jnp.arange(_ATTEMPTS))
            candidates = [point(key, number)[None], spare, space.sample(own, 1)]
            if everything is not None:
                shuffled = jax.random.permutation(own, len(everything))
                candidates.append(jnp.asarray(everything, trials.x.dtype)[shuffled])
            candidates = jnp.concatenate(candidates)
            rank = jnp.where(
                jax.vmap(space.feasible)(candidates),
                jnp.arange(len(candidates)),
                jnp.inf,
            )
            return trials.first_untried(candidates, rank)

        return one_by_one(draw, trials, numbers), None
