"""Regularized evolution."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax.data import Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.random import Random
from bojax.strategies.sequence import one_by_one
from bojax.strategies.variation import check_chance, crossover, first_new, mutate


class RegularizedEvolution(Strategy):
    """Mutate the best of a few random members of the young; the oldest die.

    The population is the last points asked for whose values are known, good or bad: a
    point stays only through its descendants. Any number of points may be pending. The
    population depends on the order in which points were asked for, not told, so that
    a run does not depend on which of several workers was the faster. Failed trials are
    worse than any value. The first points are random.

    Args:
        space: what to search.
        population: how many points are alive.
        tournament: how many of them are drawn, with replacement; the best is parent.
        crossover: the chance that a child has two parents. It is then not mutated.

    Raises:
        ValueError: if a count is not positive, the chance not within 0 and 1, or the
            trials have several objectives.

    Example:
        >>> import bojax, jax
        >>> strategy = RegularizedEvolution(
        ...     bojax.Space({"a": bojax.Float(0, 1)}), population=5, tournament=3
        ... )
        >>> state = strategy.init(jax.random.key(0))
        >>> for _ in range(30):
        ...     points, state = strategy.ask(state)
        ...     state = strategy.tell(state, points, (points.x[:, 0] - 0.3) ** 2)
        >>> float(jax.numpy.nanmin(state.trials.y)) < 1e-2
        True

    References:
        Real, Aggarwal, Huang and Le (2019), Regularized evolution for image classifier
        architecture search, algorithm 1.
    """

    most_objectives: ClassVar[int | None] = 1

    space: Space
    population: int = eqx.field(static=True, default=20)
    tournament: int = eqx.field(static=True, default=5)
    crossover: float = 0.0

    def __check_init__(self):
        for name in ("population", "tournament"):
            if (count := getattr(self, name)) < 1:
                raise ValueError(f"{name}: expected at least 1, got {count}")
        check_chance("crossover", self.crossover)

    def start(self, trials: Trials) -> None:
        """Everything is in the table of trials."""

    def propose(
        self, memory: None, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], None]:
        """Random points at first, then children."""

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            return jax.lax.cond(
                (trials.size >= self.population) & jnp.any(trials.done),
                lambda: self._child(trials, jax.random.fold_in(key, number)),
                lambda: Random(self.space).propose(None, trials, key, number[None])[0][
                    0
                ],
            )

        return one_by_one(draw, trials, numbers), None

    def _child(self, trials: Trials, key: PRNGKeyArray) -> Float[Array, " d"]:
        alive = youngest(trials.done, self.population)
        y = trials.y[:, 0]
        y = jnp.where(jnp.isfinite(y), y, jnp.inf)
        keys = jax.random.split(key, 4)
        mother, father = (
            trials.x[winner(key, alive, y, self.tournament)] for key in keys[:2]
        )
        both = jax.random.uniform(keys[2]) < self.crossover

        def breed(key: PRNGKeyArray) -> Float[Array, " d"]:
            return jnp.where(
                both,
                crossover(self.space, key, mother, father),
                mutate(self.space, key, mother),
            )

        return first_new(self.space, trials, keys[3], breed, mother)


def youngest(mask: Bool[Array, " n"], count: int) -> Bool[Array, " n"]:
    """The last `count` rows of the mask, or all if there are fewer."""
    after = jnp.sum(mask) - jnp.cumsum(mask)
    return mask & (after < count)


def winner(
    key: PRNGKeyArray, alive: Bool[Array, " n"], y: Float[Array, " n"], size: int
) -> Int[Array, ""]:
    """The row of least `y` among `size` draws, with replacement, from those alive."""
    share = jax.random.uniform(key, (size,))
    place = jnp.floor(share * jnp.sum(alive)).astype(int)
    rows = jnp.argsort(~alive, stable=True)[place]
    return rows[jnp.argmin(y[rows])]
