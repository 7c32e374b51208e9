"""NSGA-II: evolution for several objectives."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax import pareto
from bojax.data import Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.evolution import winner
from bojax.strategies.random import Random
from bojax.strategies.sequence import one_by_one
from bojax.strategies.variation import check_chance, crossover, first_new, mutate


class NSGA2(Strategy):
    """Children of the least dominated and, among equals, of the least crowded points.

    The parents of every child are the best of all points whose values are known: there
    are no generations, so any number of points may be pending, and each value counts
    from the moment that it is told. A child is crossed from the winners of two
    tournaments of two, then mutated. Failed trials are never parents while others are
    known. The first points are random.

    Args:
        space: what to search.
        population: how many points may be parents.
        crossover: the chance that a child has two parents.

    Raises:
        ValueError: if the population is not positive, or the chance not within 0 and 1.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> strategy = NSGA2(bojax.Space({"a": bojax.Float(-1, 3)}), population=8)
        >>> state = strategy.init(jax.random.key(0), num_objectives=2)
        >>> for _ in range(40):
        ...     points, state = strategy.ask(state)
        ...     a = 4 * points.x[:, 0] - 1
        ...     state = strategy.tell(state, points, jnp.stack([a**2, (a - 2) ** 2], 1))
        >>> front = bojax.pareto.fronts(state.trials.y, state.trials.done) == 0
        >>> int(front.sum()) > 15
        True

    References:
        Deb, Pratap, Agarwal and Meyarivan (2002), A fast and elitist multiobjective
        genetic algorithm: NSGA-II; Durillo, Nebro, Luna and Alba (2009), On the effect
        of the steady-state selection scheme in multi-objective genetic algorithms.
    """

    space: Space
    population: int = eqx.field(static=True, default=20)
    crossover: float = 0.9

    def __check_init__(self):
        if self.population < 1:
            raise ValueError(f"population: expected at least 1, got {self.population}")
        check_chance("crossover", self.crossover)

    def start(self, trials: Trials) -> None:
        """Everything is in the table of trials."""

    def propose(
        self, memory: None, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], None]:
        """Random points at first, then children."""
        # Once for all points of a batch: what is pending changes which children are
        # new, but is nobody's parent.
        order = self._order(trials)

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            return jax.lax.cond(
                (trials.size >= self.population) & jnp.any(trials.done),
                lambda: self._child(trials, order, jax.random.fold_in(key, number)),
                lambda: Random(self.space).propose(None, trials, key, number[None])[0][
                    0
                ],
            )

        return one_by_one(draw, trials, numbers), None

    def _order(self, trials: Trials) -> Int[Array, " n"]:
        """The place of each row, the best first: by front, then by crowding."""
        known = trials.done & jnp.all(jnp.isfinite(trials.y), axis=1)
        y = jnp.where(known[:, None], trials.y, 0)
        front = pareto.fronts(y, known)
        # Rows that are empty or pending come after those that failed.
        front = jnp.where(trials.done, front, trials.capacity + 1)
        rows = jnp.lexsort((-pareto.crowding(y, front), front))
        return jnp.zeros_like(rows).at[rows].set(jnp.arange(trials.capacity))

    def _child(
        self, trials: Trials, order: Int[Array, " n"], key: PRNGKeyArray
    ) -> Float[Array, " d"]:
        order = jnp.pad(
            order,
            (0, trials.capacity - order.shape[0]),
            constant_values=trials.capacity,
        )
        place = order.astype(trials.y.dtype)
        best = trials.done & (order < self.population)
        known = best & jnp.all(jnp.isfinite(trials.y), axis=1)
        parents = jnp.where(jnp.any(known), known, best)
        keys = jax.random.split(key, 4)
        mother, father = (trials.x[winner(k, parents, place, 2)] for k in keys[:2])
        both = jax.random.uniform(keys[2]) < self.crossover

        def breed(key: PRNGKeyArray) -> Float[Array, " d"]:
            key_cross, key_mutate = jax.random.split(key)
            child = crossover(self.space, key_cross, mother, father)
            return mutate(self.space, key_mutate, jnp.where(both, child, mother))

        return first_new(self.space, trials, keys[3], breed, mother)
