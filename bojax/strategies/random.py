"""Random search."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax.data import ENUMERABLE, Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.sequence import one_by_one

_ATTEMPTS = 16


class Random(Strategy):
    """Independent uniform draws from the space, without repeating a finite one.

    Args:
        space: what to draw from; conditions and constraints are respected.

    Example:
        >>> import bojax, jax
        >>> strategy = Random(bojax.Space({"a": bojax.Int(1, 3)}))
        >>> points, _ = strategy.ask(strategy.init(jax.random.key(0)), q=3)
        >>> sorted(strategy.space.decode(x)["a"] for x in points.x)
        [1, 2, 3]

    References:
        Bergstra and Bengio (2012), Random search for hyper-parameter optimization.
    """

    space: Space

    def start(self, trials: Trials) -> None:
        """Random search remembers nothing."""

    def propose(
        self, memory: None, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], None]:
        """Uniform draws."""
        if math.isinf(self.space.size):
            draws = jax.vmap(
                lambda number: self.space.sample(jax.random.fold_in(key, number), 1)[0]
            )
            return draws(numbers), None

        everything = self.space.enumerate(ENUMERABLE)

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            key_number = jax.random.fold_in(key, number)
            if everything is None:
                candidates = self.space.sample(key_number, _ATTEMPTS)
                return trials.first_untried(candidates, jnp.arange(_ATTEMPTS) + 0.0)
            rank = jax.random.uniform(key_number, (len(everything),))
            return trials.first_untried(jnp.asarray(everything, trials.x.dtype), rank)

        return one_by_one(draw, trials, numbers), None
