"""A strategy's run as a study holds it: in double precision, and never half told."""

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bojax._numerics import bucket
from bojax._precision import Held, hold, in_double
from bojax.data import Outcome, Points
from bojax.strategies import Recommendation, State, Strategy


class Search:
    """A strategy in the middle of a run.

    What came of trials is written down first and told to the strategy after, so that
    nothing is lost where that is interrupted: the next `catch_up` makes it good.

    Args:
        strategy: how to search.
        key: the run's key.
        num_objectives: values that each trial returns.
        num_constraints: constraints that each trial measures.

    Attributes:
        strategy: as given, held.
        state: the run so far, held.
    """

    def __init__(
        self,
        strategy: Strategy,
        key: PRNGKeyArray,
        num_objectives: int,
        num_constraints: int,
    ):
        self.strategy = hold(strategy)
        self._capacity = bucket(1)
        self._told: list[tuple] = []
        counts = (num_objectives, num_constraints)
        self.state: Held = in_double(_init, self.strategy, key, self._capacity, counts)

    def ask(self, state: Held, q: int) -> tuple[list[Points], Held]:
        """The next points one by one, and the state after them, which is not kept."""
        points, state = in_double(_ask, self.strategy, state, q)
        return _rows(points), state

    def reserve(
        self, state: Held, x: Float[np.ndarray, "q d"]
    ) -> tuple[list[Points], Held]:
        """Points of the user's choice as if asked for, and the state after them."""
        points, state = in_double(_reserve, self.strategy, state, x)
        return _rows(points), state

    def tell(self, points: Points, *told: np.ndarray) -> None:
        """Writes down what came of a point that was asked for."""
        self._told.append((_tell, points, *told))

    def observe(self, x: Float[np.ndarray, "1 d"], *told: np.ndarray) -> None:
        """Writes down what came of one that was not."""
        self._told.append((_observe, x, *told))

    def catch_up(self, num_trials: int) -> None:
        """Tells the strategy what was written down, and makes room for as many."""
        while self._told:
            verb, *args = self._told[0]
            self.state = in_double(verb, self.strategy, self.state, *args)
            del self._told[0]
        if num_trials > self._capacity:
            larger = bucket(num_trials)
            self.state = in_double(_grow, self.strategy, self.state, larger)
            self._capacity = larger

    def recommended(self) -> int | None:
        """The number of the trial of the best value expected; None if none can be."""
        found = in_double(_recommend, self.strategy, self.state).numpy()
        return int(found.row) if found.found else None

    def fitted_noise(self) -> bool:
        """Whether the model found noise that matters."""
        return bool(in_double(_fitted_noise, self.strategy, self.state).numpy())


# Module-level functions, so that the door compiles each once for equal strategies.


def _init(
    strategy: Strategy, key: PRNGKeyArray, capacity: int, counts: tuple[int, int]
) -> State:
    return strategy.init(key, capacity, *counts)


def _ask(strategy: Strategy, state: State, q: int) -> tuple[Points, State]:
    return strategy.ask(state, q)


def _reserve(strategy: Strategy, state: State, x: Array) -> tuple[Points, State]:
    return strategy.reserve(state, x)


def _tell(strategy: Strategy, state: State, points: Points, *told: Array) -> State:
    return strategy.tell(state, points, Outcome(*told))


def _observe(strategy: Strategy, state: State, x: Array, *told: Array) -> State:
    return strategy.observe(state, x, Outcome(*told))


def _grow(strategy: Strategy, state: State, capacity: int) -> State:
    return strategy.grow(state, capacity)


def _recommend(strategy: Strategy, state: State) -> Recommendation:
    return strategy.recommend(state, noisy=True)


def _fitted_noise(strategy: Strategy, state: State) -> Array:
    return strategy.fitted_noise(state.memory)


def _rows(held: Held) -> list[Points]:
    """A batch of points, one by one."""
    points = held.numpy()
    return [
        jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], points)
        for row in range(len(points.x))
    ]
