"""What every way to search is: a pure `init / ask / tell` over one table of trials."""

import abc
import dataclasses
import operator
from collections.abc import Callable
from typing import Any, ClassVar, SupportsIndex, TypeVar

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


def as_count(name: str, count: SupportsIndex, least: int = 1) -> int:
    """A count as Python's int, so that compiled functions take it as static.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is less than `least`.
    """
    try:
        number = operator.index(count)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {count!r}") from None
    if number < least:
        raise ValueError(f"{name}: expected at least {least}, got {number}")
    return number


def as_key(name: str, key: Any) -> PRNGKeyArray:
    """One JAX key, of an integer the key with that seed.

    Raises:
        TypeError: if it is neither.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return jax.random.key(int(key))
    if (
        isinstance(key, jax.Array)
        and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        and key.shape == ()
    ):
        return key
    raise TypeError(f"{name}: expected an integer or one jax.random.key, got {key!r}")


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


class Recommendation(eqx.Module):
    """The point to go home with, of those evaluated.

    Args:
        x: the point.
        row: where the table of trials has it; the first row where `found` is False.
        found: whether any trial succeeded.
        noisy: whether the objective was taken to be noisy, so that the point is the one
            of least expected value, rather than that of the least value measured.
    """

    x: Float[Array, " d"]
    row: Int[Array, ""]
    found: Bool[Array, ""]
    noisy: Bool[Array, ""]


class Strategy(eqx.Module):
    """A way to search a space: hyperparameters only, the run is in `State`.

    A strategy is defined by what it remembers (`start`) and by how it proposes points
    (`propose`). The book-keeping is the same for all and is not overridden.

    Both see the space at full fidelity, unless the strategy chooses fidelities: every
    `Space` in a field that is not static is then `Space.full_fidelity`.
    """

    space: eqx.AbstractVar[Space]

    chooses_fidelity: ClassVar[bool] = False
    """Whether proposals have fidelities; else all are evaluated at the highest."""

    most_objectives: ClassVar[int | None] = None
    """How many objectives it can have at most; None: any number."""

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
        key: Any,
        capacity: SupportsIndex = 64,
        num_objectives: SupportsIndex = 1,
        num_constraints: SupportsIndex = 0,
    ) -> State:
        """A run without trials.

        Args:
            key: the key of every draw of this run, or an integer for its seed.
            capacity: rows of the table of trials; see `grow`.
            num_objectives: values that each trial returns.
            num_constraints: constraints that each trial measures, see `Outcome`.

        Raises:
            TypeError: if the key is neither an integer nor one JAX key, or a count is
                no integer.
            ValueError: if a count is not positive, or `num_constraints` is negative, or
                there are more objectives than the strategy can have.
        """
        key = as_key("key", key)
        capacity = as_count("capacity", capacity)
        num_objectives = as_count("num_objectives", num_objectives)
        num_constraints = as_count("num_constraints", num_constraints, least=0)
        most = self.most_objectives
        if most is not None and num_objectives > most:
            raise ValueError(
                f"num_objectives: expected {'1' if most == 1 else f'1 to {most}'} for "
                f"{type(self).__name__}, got {num_objectives}"
            )
        trials = Trials.empty(
            capacity, self.space.num_columns, num_objectives, num_constraints
        )
        return State(
            trials=trials,
            key=key,
            num_asked=jnp.asarray(np.int32(0)),
            memory=_at_full_fidelity(self).start(trials),
        )

    def ask(self, state: State, q: SupportsIndex = 1) -> tuple[Points, State]:
        """The next `q` points; each is pending until it is told.

        Raises:
            TypeError: if `q` is no integer.
            ValueError: if `q` is not positive.
        """
        return _ask(self, state, as_count("q", q))

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

        Raises:
            ValueError: if something that is told has another shape, see `Outcome`.
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
        """Outcomes of points that nobody asked for.

        Args:
            state: the run.
            x: the points, taken to the nearest representable ones.
            y: as in `tell`.

        Raises:
            ValueError: as in `tell`.
        """
        told, _ = _columns(y, x.shape[0], state.trials)
        x = jax.vmap(self.space.project)(x.astype(state.trials.x.dtype))
        number = jnp.full(x.shape[0], -1, jnp.int32)
        trials = state.trials.append(x, number, Status.DONE, **told)
        return State(trials, state.key, state.num_asked, state.memory)

    @_jit
    def recommend(self, state: State, noisy: bool | None = None) -> Recommendation:
        """The best of the points evaluated, as far as is known.

        Where the objective is deterministic that is the least value measured. Under
        noise the least value is the luckiest too: there it is the least value expected,
        see `expected`. What is known not to meet the constraints is not recommended,
        unless nothing meets them: then what is nearest to.

        Args:
            state: the run.
            noisy: whether the objective is noisy. None: by evidence, see `is_noisy`.

        Raises:
            ValueError: if the trials have several objectives: they have no best point.

        Example:
            >>> import bojax, jax, jax.numpy as jnp
            >>> space = bojax.Space({"a": bojax.Float(0, 1)})
            >>> strategy = bojax.strategies.Random(space)
            >>> state = strategy.init(jax.random.key(0))
            >>> x = jnp.array([[0.25], [0.5]])
            >>> state = strategy.observe(state, x, jnp.array([0.2, 0.1]))
            >>> float(strategy.recommend(state).x[0])
            0.5
        """
        trials = state.trials
        if (m := trials.y.shape[1]) != 1:
            raise ValueError(
                f"num_objectives: expected 1 for a recommendation, got {m}"
            )
        told = trials.done & jnp.isfinite(trials.y[:, 0])
        told = told & self.space.is_full_fidelity(trials.x)
        if noisy is None:
            flag = self.is_noisy(state)
            y, constraints = jax.lax.cond(
                flag,
                lambda: self.expected(state),
                lambda: (trials.y[:, 0], trials.constraints),
            )
        else:
            flag = jnp.asarray(noisy)
            measured = (trials.y[:, 0], trials.constraints)
            y, constraints = self.expected(state) if noisy else measured
        # What was not measured (NaN) is not known to be met.
        excess = jnp.where(constraints <= 0, 0.0, jnp.abs(constraints))
        excess = jnp.sum(jnp.where(jnp.isnan(excess), jnp.inf, excess), axis=1)
        met = told & (excess == 0)
        rank = jnp.where(met, y, jnp.inf)
        rank = jnp.where(jnp.any(met), rank, jnp.where(told, excess, jnp.inf))
        row = jnp.argmin(rank)
        return Recommendation(trials.x[row], row, jnp.any(told), flag)

    def expected(self, state: State) -> tuple[Float[Array, " n"], Float[Array, "n c"]]:
        """Expected values and constraints at the rows of the table.

        Without a model: the mean of what was measured at the very same point.
        """
        trials = state.trials
        told = trials.done & jnp.isfinite(trials.y[:, 0])
        same = _same(trials) & told
        count = jnp.maximum(jnp.sum(same, axis=1), 1)
        values = jnp.where(told, trials.y[:, 0], 0)
        return jnp.sum(jnp.where(same, values, 0), axis=1) / count, trials.constraints

    def is_noisy(self, state: State) -> Bool[Array, ""]:
        """Whether there is evidence that the objective is noisy.

        Evidence is a variance that was told, two values of one point that differ, or
        that the model found noise, see `fitted_noise`.
        """
        trials = state.trials
        y = trials.y[:, 0]
        told = trials.done & jnp.isfinite(y)
        differ = _same(trials) & told & told[:, None] & (y[:, None] != y)
        evident = jnp.any(differ) | jnp.any(told & (trials.variance[:, 0] > 0))
        return evident | self.fitted_noise(state.memory)

    def fitted_noise(self, memory: Any) -> Bool[Array, ""]:
        """Whether the model, if there is one, found noise that matters."""
        return jnp.asarray(False)

    def grow(self, state: State, capacity: int) -> State:
        """The same run with room for `capacity` trials."""
        return State(
            state.trials.grow(capacity), state.key, state.num_asked, state.memory
        )


@_jit
def _ask(strategy: Strategy, state: State, q: int) -> tuple[Points, State]:
    numbers = state.num_asked + jnp.arange(q, dtype=jnp.int32)
    x, memory = _at_full_fidelity(strategy).propose(
        state.memory, state.trials, state.key, numbers
    )
    return strategy.reserve(State(state.trials, state.key, state.num_asked, memory), x)


def _at_full_fidelity(strategy: Strategy) -> Strategy:
    """The same strategy, in the space at full fidelity where it does not choose it."""
    if strategy.chooses_fidelity or not strategy.space.is_fidelity.any():
        return strategy
    return jax.tree.map(
        lambda node: node.full_fidelity if isinstance(node, Space) else node,
        strategy,
        is_leaf=lambda node: isinstance(node, Space),
    )


def _same(trials: Trials) -> Bool[Array, "n n"]:
    """Which pairs of rows hold the same point."""
    return jax.vmap(lambda x: jnp.all(trials.x == x, axis=1))(trials.x)


def _columns(
    y: Float[Array, "..."] | Outcome, q: int, trials: Trials
) -> tuple[dict[str, Float[Array, "q ..."]], Bool[Array, " q"]]:
    """What was told by the names of the table's columns, and what of it is final."""
    outcome = y if isinstance(y, Outcome) else Outcome(y)
    m, c = trials.y.shape[1], trials.constraints.shape[1]

    def shaped(name: str, value: Any, unit: str, columns: int) -> Float[Array, "q k"]:
        value = jnp.asarray(value, trials.y.dtype)
        shapes = [(q, columns)]
        shapes += [(q,)] if columns == 1 else []
        shapes += [(columns,)] if q == 1 else []
        shapes += [()] if q == columns == 1 else []
        if value.shape not in shapes:
            raise ValueError(
                f"{name}: expected {q} points of {columns} {unit}, "
                f"got shape {value.shape}"
            )
        return value.reshape(q, columns)

    told = {"y": shaped("y", outcome.y, "values", m)}
    variance = 0.0 if outcome.variance is None else outcome.variance
    if np.ndim(variance) == 0:
        variance = jnp.broadcast_to(jnp.asarray(variance), (q, m))
    told["variance"] = shaped("variance", variance, "values", m)
    given = np.zeros(0) if outcome.constraints is None else outcome.constraints
    if c or outcome.constraints is not None:
        told["constraints"] = shaped("constraints", given, "constraints", c)
    if outcome.cost is not None:
        told["cost"] = shaped("cost", outcome.cost, "cost", 1)[:, 0]
    done = jnp.asarray(outcome.done)
    if done.shape not in ((), (q,)):
        raise ValueError(f"done: expected {q} of them, or one, got shape {done.shape}")
    return told, jnp.broadcast_to(done, (q,))
