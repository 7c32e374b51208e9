"""What every way to search is: a pure `init / ask / tell` over one table of trials."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax.data import Outcome, Points, Status, Trials
from bojax.space import Space

_Method = TypeVar("_Method", bound=Callable)


def _jit(method: _Method) -> _Method:
    """Compiles a method; inlined where it is called under another trace.

    That trace then sees that what a method only hands on, such as the memory where a
    point is told, is the very same array.
    """
    return eqx.filter_jit(method, inline=True)  # pyright: ignore[reportCallIssue]


class State(eqx.Module):
    """A strategy in the middle of a run.

    Args:
        trials: all that was asked, told and observed.
        key: the run's key; draw number i uses `fold_in(key, i)`.
        num_asked: how many points were asked for, hence the number of the next.
        memory: what the strategy itself carries from one proposal to the next.
    """

    trials: Trials
    key: PRNGKeyArray
    num_asked: Int[Array, ""]
    memory: Any

    @property
    def overflow(self) -> Bool[Array, ""]:
        """Whether something was asked or told that the table had no room for."""
        return self.trials.overflow


class Strategy(eqx.Module):
    """A way to search a space: hyperparameters only, the run is in `State`.

    A strategy is defined by what it remembers (`start`) and by how it proposes points
    (`propose`). The book-keeping is the same for all and is not overridden.
    """

    space: eqx.AbstractVar[Space]

    @abc.abstractmethod
    def start(self, trials: Trials) -> Any:
        """The memory before the first proposal.

        Args:
            trials: the empty table, whose shapes tell what is measured.
        """

    @abc.abstractmethod
    def propose(
        self, memory: Any, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], Any]:
        """Points for these draw numbers, and the memory after them.

        Args:
            memory: what the last proposal left.
            trials: all that is known; pending rows are being evaluated now.
            key: the run's key; draw i must depend on `fold_in(key, i)` alone.
            numbers: consecutive draw numbers, one a point.

        Returns:
            Representable, feasible points, and the new memory.
        """

    def init(
        self,
        key: PRNGKeyArray,
        capacity: int = 64,
        num_objectives: int = 1,
        num_constraints: int = 0,
    ) -> State:
        """A run without trials.

        Args:
            key: the key of every draw of this run.
            capacity: rows of the table of trials; see `grow`.
            num_objectives: values that each trial returns.
            num_constraints: constraints that each trial measures, see `Outcome`.

        Raises:
            ValueError: if a count is not positive, or `num_constraints` is negative.
        """
        for name, count in (
            ("capacity", capacity),
            ("num_objectives", num_objectives),
        ):
            if count < 1:
                raise ValueError(f"{name}: expected at least 1, got {count}")
        if num_constraints < 0:
            raise ValueError(
                f"num_constraints: expected at least 0, got {num_constraints}"
            )
        trials = Trials.empty(
            capacity, self.space.num_columns, num_objectives, num_constraints
        )
        return State(
            trials=trials,
            key=key,
            num_asked=jnp.asarray(np.int32(0)),
            memory=self.start(trials),
        )

    @_jit
    def ask(self, state: State, q: int = 1) -> tuple[Points, State]:
        """The next `q` points; each is pending until it is told."""
        if q < 1:
            raise ValueError(f"q: expected at least 1, got {q}")
        numbers = state.num_asked + jnp.arange(q, dtype=jnp.int32)
        x, memory = self.propose(state.memory, state.trials, state.key, numbers)
        return self.reserve(State(state.trials, state.key, state.num_asked, memory), x)

    @_jit
    def reserve(self, state: State, x: Float[Array, "q d"]) -> tuple[Points, State]:
        """Points of the caller's choice, numbered and pending as if asked for.

        Args:
            state: the run.
            x: representable points.
        """
        q, trials = x.shape[0], state.trials
        numbers = state.num_asked + jnp.arange(q, dtype=jnp.int32)
        x = x.astype(trials.x.dtype)
        trials = trials.append(x, numbers, Status.PENDING)
        state = State(trials, state.key, state.num_asked + q, state.memory)
        return Points(x=x, number=numbers, trial=numbers), state

    @_jit
    def tell(
        self, state: State, points: Points, y: Float[Array, "..."] | Outcome
    ) -> State:
        """What came of any of the points asked for, in any order.

        Telling a point again replaces its outcome. Telling one that the table does not
        hold sets `overflow`.

        Args:
            state: the run.
            points: the points that were evaluated.
            y: their values `[q]`, or `[q, m]`, or an `Outcome`. NaN: the trial failed.
        """
        trials = state.trials
        told, done = _columns(y, points.x.shape[0], trials)
        matches = trials.number == points.number[:, None]
        found = jnp.any(matches, axis=1)
        row = jnp.argmax(matches, axis=1)
        row = jnp.where(found & done, row, trials.capacity)
        status = jnp.full(row.shape, Status.DONE, jnp.int32)
        trials = dataclasses.replace(
            trials.write(row, status=status, **told),
            overflow=trials.overflow | jnp.any(~found),
        )
        return State(trials, state.key, state.num_asked, state.memory)

    @_jit
    def observe(
        self,
        state: State,
        x: Float[Array, "q d"],
        y: Float[Array, "..."] | Outcome,
    ) -> State:
        """Outcomes of points that nobody asked for."""
        told, _ = _columns(y, x.shape[0], state.trials)
        x = jax.vmap(self.space.project)(x.astype(state.trials.x.dtype))
        number = jnp.full(x.shape[0], -1, jnp.int32)
        trials = state.trials.append(x, number, Status.DONE, **told)
        return State(trials, state.key, state.num_asked, state.memory)

    def grow(self, state: State, capacity: int) -> State:
        """The same run with room for `capacity` trials."""
        return State(
            state.trials.grow(capacity), state.key, state.num_asked, state.memory
        )


def _columns(
    y: Float[Array, "..."] | Outcome, q: int, trials: Trials
) -> tuple[dict[str, Float[Array, "q ..."]], Bool[Array, " q"]]:
    """What was told by the names of the table's columns, and what of it is final."""
    outcome = y if isinstance(y, Outcome) else Outcome(y)
    m, c = trials.y.shape[1], trials.constraints.shape[1]

    def shaped(name: str, value: Any, unit: str, columns: int) -> Float[Array, "q k"]:
        value = jnp.asarray(value, trials.y.dtype)
        if value.size != q * columns:
            raise ValueError(
                f"{name}: expected {q} points of {columns} {unit}, "
                f"got shape {value.shape}"
            )
        return value.reshape(q, columns)

    told = {"y": shaped("y", outcome.y, "values", m)}
    variance = 0.0 if outcome.variance is None else outcome.variance
    variance = jnp.asarray(variance, trials.y.dtype)
    if variance.size > 1:
        variance = variance.reshape(q, m)
    told["variance"] = jnp.broadcast_to(variance, (q, m))
    given = np.zeros(0) if outcome.constraints is None else outcome.constraints
    if c or outcome.constraints is not None:
        told["constraints"] = shaped("constraints", given, "constraints", c)
    if outcome.cost is not None:
        told["cost"] = shaped("cost", outcome.cost, "cost", 1)[:, 0]
    return told, jnp.broadcast_to(jnp.asarray(outcome.done), (q,))
