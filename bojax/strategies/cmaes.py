"""CMA-ES, by evosax."""

import importlib
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax.data import Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.sequence import one_by_one

_SPREAD = 0.3
"""Standard deviation of the first generation, of the unit interval."""


class Memory(eqx.Module):
    """What CMA-ES carries from one proposal to the next.

    Args:
        search: the state of evosax: mean, step size, covariance and their paths.
        generation: how many generations have been told.
    """

    search: Any
    generation: Int[Array, ""]


class CMAES(Strategy):
    """A normal distribution that follows what is good: covariance matrix adaptation.

    Each `population` of consecutive trials is a generation, told as a whole once all of
    its values are known; until then points come from the distribution as it was. Any
    number of points may be pending. Failed trials are worse than any value. Made for
    numbers, some dozens of them at most: of categories it sees their place on the unit
    interval only.

    Needs evosax: `pip install bojax[cmaes]`.

    Args:
        space: what to search.
        population: trials of a generation; default: 4 + 3 log d.

    Raises:
        ImportError: if evosax is not installed.
        ValueError: if the population is under 2, or the trials have several objectives.

    References:
        Hansen (2016), The CMA evolution strategy: a tutorial, with its defaults.
    """

    most_objectives: ClassVar[int | None] = 1

    space: Space
    population: int = eqx.field(static=True)

    def __init__(self, space: Space, population: int | None = None):
        try:
            importlib.import_module("evosax.algorithms")
        except ImportError as e:
            raise ImportError(
                "CMAES needs evosax, see `pip install bojax[cmaes]`"
            ) from e
        if population is None:
            population = 4 + int(3 * math.log(space.num_columns))
        if population < 2:
            raise ValueError(f"population: expected at least 2, got {population}")
        self.space = space
        self.population = population

    def start(self, trials: Trials) -> Memory:
        """The middle of the cube."""
        algorithm, parameters = self._algorithm()
        middle = jnp.full(self.space.num_columns, 0.5)
        search = algorithm.init(jax.random.key(0), middle, parameters)
        return Memory(_like(search, trials.x), jnp.asarray(np.int32(0)))

    def propose(
        self,
        memory: Memory,
        trials: Trials,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
    ) -> tuple[Float[Array, "q d"], Memory]:
        """Draws from the distribution after all generations that are known."""
        algorithm, parameters = self._algorithm()

        def known(memory: Memory) -> Bool[Array, ""]:
            rows = self._rows(memory)
            done = trials.done[jnp.minimum(rows, trials.capacity - 1)]
            return jnp.all(done & (rows < trials.capacity))

        def tell(memory: Memory) -> Memory:
            # Asked once more for the axes of the covariance, which telling wants.
            _, search = algorithm.ask(key, memory.search, parameters)
            rows = self._rows(memory)
            y = trials.y[rows, 0]
            y = jnp.where(jnp.isfinite(y), y, jnp.inf)
            search, _ = algorithm.tell(key, trials.x[rows], y, search, parameters)
            return Memory(_like(search, trials.x), memory.generation + 1)

        memory = jax.lax.while_loop(known, tell, memory)

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            key_ask, key_spare = jax.random.split(jax.random.fold_in(key, number))
            drawn, _ = algorithm.ask(key_ask, memory.search, parameters)
            spare = self.space.sample(key_spare, self.population)
            drawn = jnp.concatenate([jnp.clip(drawn, 0, 1), spare])
            drawn = jax.vmap(self.space.project)(drawn.astype(trials.x.dtype))
            feasible = jax.vmap(self.space.feasible)(drawn)
            rank = jnp.arange(len(drawn), dtype=trials.y.dtype)
            return trials.first_untried(drawn, jnp.where(feasible, rank, jnp.inf))

        return one_by_one(draw, trials, numbers), memory

    def _rows(self, memory: Memory) -> Int[Array, " population"]:
        return memory.generation * self.population + jnp.arange(self.population)

    def _algorithm(self) -> tuple[Any, Any]:
        make = importlib.import_module("evosax.algorithms").CMA_ES
        solution = jnp.zeros(self.space.num_columns)
        algorithm = make(population_size=self.population, solution=solution)
        parameters = algorithm.default_params
        return algorithm, parameters.replace(std_init=jnp.asarray(_SPREAD))


def _like(search: Any, x: Float[Array, "n d"]) -> Any:
    """The same numbers, in the precision of the trials."""

    def cast(leaf: Any) -> Array:
        leaf = jnp.asarray(leaf)
        real = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(x.dtype if real else jnp.int32)

    return jax.tree.map(cast, search)
