"""What passes between a strategy and the world: points asked, outcomes told, data."""

import dataclasses
import enum
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Dataset(eqx.Module):
    """Observations of one function on the unit cube, padded.

    Args:
        x: points, one row each, inactive columns at 1/2.
        y: values, minimized. Rows outside `mask` are ignored, whatever they hold.
        mask: which rows are observations.
        variance: known variance of the noise of each value, in squared units of `y`;
            zero where only the surrogate's own noise applies.

    Example:
        >>> import jax.numpy as jnp
        >>> Dataset.of(jnp.zeros((3, 2)), jnp.arange(3.0)).mask.tolist()
        [True, True, True]
    """

    x: Float[Array, "n d"]
    y: Float[Array, " n"]
    mask: Bool[Array, " n"]
    variance: Float[Array, " n"]

    @classmethod
    def of(
        cls,
        x: Float[Array, "n d"],
        y: Float[Array, " n"],
        variance: Float[Array, " n"] | None = None,
        capacity: int | None = None,
    ) -> "Dataset":
        """Unpadded arrays as a dataset of `capacity` rows, by default as many."""
        missing = 0 if capacity is None else capacity - x.shape[0]
        if missing < 0:
            raise ValueError(
                f"capacity: expected at least {x.shape[0]} rows, got {capacity}"
            )
        variance = jnp.zeros_like(y) if variance is None else variance
        return cls(
            x=jnp.pad(x, ((0, missing), (0, 0)), constant_values=0.5),
            y=jnp.pad(y, (0, missing)),
            mask=jnp.arange(x.shape[0] + missing) < x.shape[0],
            variance=jnp.pad(variance, (0, missing)),
        )


class Points(eqx.Module):
    """Points that a strategy asks for.

    Args:
        x: the points, on the unit cube.
        number: how many points had been asked for before each; the key of its draws.
        trial: the trial that each belongs to.
    """

    x: Float[Array, "q d"]
    number: Int[Array, " q"]
    trial: Int[Array, " q"]


Told = Float[Array, "..."] | Float[np.ndarray, "..."] | float | Sequence[float]
"""Numbers in whatever form somebody has them."""


class Outcome(eqx.Module):
    """What came of one point, or of a batch of them.

    Shapes are those of q points, m objectives and c constraints; any of these may be
    left out where it is 1.

    Args:
        y: the value; NaN marks a failed trial, which is data and never an incumbent.
            Shapes `[q, m]`, `[q]` or `[m]` or `[]`.
        variance: known variance of the noise in `y`, in its squared units, of its shape
            or one for all.
        constraints: measured values g, met where g <= 0. Shapes `[q, c]`, `[q]` or
            `[c]` or `[]`.
        cost: what the evaluation cost, in any positive unit. Shapes `[q]` or `[]`.
        done: False for a provisional value: not recorded, the point stays pending.
            Shape `[q]`, or one for all.

    Example:
        >>> Outcome(0.3, variance=0.01).done
        True
    """

    y: Told
    variance: Told | None = None
    constraints: Told | None = None
    cost: Told | None = None
    done: Bool[Array, "..."] | bool = True


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a stopping rule says of a trial in progress. Without arguments: go on.

    Args:
        stop: end the trial; its value will not be worth the wait.
        pause: put the trial aside; it may be resumed.
        probability: of ending better than the best so far; NaN where unknown.
        mean: prediction of the trial's final value; NaN where there is none.
        std: standard deviation of that prediction.
        reason: why, in words.

    Example:
        >>> Decision(stop=True, reason="worse than the median").stop
        True
    """

    stop: bool = False
    pause: bool = False
    probability: float = math.nan
    mean: float = math.nan
    std: float = math.nan
    reason: str = ""


ENUMERABLE = 4096
"""Finite spaces of up to this many configurations are searched exhaustively."""


class Status(enum.IntEnum):
    """What a row of `Trials` holds."""

    EMPTY = 0
    PENDING = 1
    DONE = 2


class Trials(eqx.Module):
    """Everything that was asked, told and observed so far: a padded table.

    Rows are filled in order and never freed. A row that is asked for is pending until
    it is told. Writing past the last row is silent in JAX, so it is dropped here and
    flagged in `overflow`.

    Args:
        x: points on the unit cube.
        y: objectives, minimized; NaN where pending, and where the trial failed.
        variance: known noise variance of `y`, zero where unknown.
        constraints: measured constraints, met where <= 0; NaN where unknown.
        cost: of the evaluation; NaN where unknown.
        number: the number under which a point was asked for; -1 where it was observed.
        status: a `Status` for each row.
        size: how many rows are in use.
        overflow: whether something could not be recorded.
    """

    x: Float[Array, "n d"]
    y: Float[Array, "n m"]
    variance: Float[Array, "n m"]
    constraints: Float[Array, "n c"]
    cost: Float[Array, " n"]
    number: Int[Array, " n"]
    status: Int[Array, " n"]
    size: Int[Array, ""]
    overflow: Bool[Array, ""]

    @classmethod
    def empty(
        cls,
        capacity: int,
        num_columns: int,
        num_objectives: int = 1,
        num_constraints: int = 0,
    ) -> "Trials":
        """A table without rows in use."""
        # NumPy makes them: each array made by JAX would be a small compilation.
        shape = (capacity, num_objectives)
        return cls(
            x=jnp.asarray(np.full((capacity, num_columns), 0.5)),
            y=jnp.asarray(np.full(shape, np.nan)),
            variance=jnp.asarray(np.zeros(shape)),
            constraints=jnp.asarray(np.full((capacity, num_constraints), np.nan)),
            cost=jnp.asarray(np.full(capacity, np.nan)),
            number=jnp.asarray(np.full(capacity, -1, np.int32)),
            status=jnp.asarray(np.full(capacity, Status.EMPTY, np.int32)),
            size=jnp.asarray(np.int32(0)),
            overflow=jnp.asarray(np.False_),
        )

    @property
    def capacity(self) -> int:
        """How many rows there are, in use or not."""
        return self.x.shape[0]

    @property
    def done(self) -> Bool[Array, " n"]:
        """Rows whose outcome is known, failed ones included."""
        return self.status == Status.DONE

    @property
    def pending(self) -> Bool[Array, " n"]:
        """Rows that were asked for and not yet told."""
        return self.status == Status.PENDING

    def contains(self, x: Float[Array, " d"]) -> Bool[Array, ""]:
        """Whether a row in use holds this very point."""
        close = jnp.abs(self.x - x) <= 8 * jnp.finfo(self.x.dtype).eps
        return jnp.any(jnp.all(close, axis=1) & (self.status != Status.EMPTY))

    def first_untried(
        self, candidates: Float[Array, "c d"], rank: Float[Array, " c"]
    ) -> Float[Array, " d"]:
        """The candidate of least rank that no row in use holds, or else of least rank.

        Args:
            candidates: representable points.
            rank: preference, lower first; infinite where a candidate may not be taken
                while any other may.
        """
        out = jax.vmap(self.contains)(candidates) | jnp.isinf(rank)
        rank = jnp.where(out & ~jnp.all(out), jnp.inf, rank)
        return candidates[jnp.argmin(rank)]

    @property
    def feasible(self) -> Bool[Array, " n"]:
        """Rows that succeeded and were measured to meet every constraint."""
        met = jnp.all(self.constraints <= 0, axis=1)
        return self.done & jnp.all(jnp.isfinite(self.y), axis=1) & met

    def append(
        self,
        x: Float[Array, "q d"],
        number: Int[Array, " q"],
        status: Status,
        **told: Float[Array, "q ..."],
    ) -> "Trials":
        """The table with new rows; what does not fit is dropped and flagged.

        Args:
            x: representable points.
            number: the number under which each was asked for, or -1.
            status: of all of them.
            **told: `y`, `variance`, `constraints`, `cost`; unknown by default.
        """
        count = x.shape[0]
        rows = self.size + jnp.arange(count)
        status_of_all = jnp.full(count, status, jnp.int32)
        table = self.write(rows, x=x, number=number, status=status_of_all, **told)
        return dataclasses.replace(
            table,
            size=jnp.minimum(self.size + count, self.capacity),
            overflow=self.overflow | (self.size + count > self.capacity),
        )

    def write(self, rows: Int[Array, " q"], **columns: Array) -> "Trials":
        """The table with other values in these rows; rows beyond the last are dropped.

        Args:
            rows: which ones.
            **columns: new values `[q, ...]` by field name.
        """
        changed = {
            name: getattr(self, name).at[rows].set(value, mode="drop")
            for name, value in columns.items()
        }
        return dataclasses.replace(self, **changed)

    def grow(self, capacity: int) -> "Trials":
        """The same rows in a table of `capacity` rows."""
        if capacity < self.capacity:
            raise ValueError(
                f"capacity: expected at least {self.capacity}, got {capacity}"
            )
        larger = Trials.empty(
            capacity, self.x.shape[1], self.y.shape[1], self.constraints.shape[1]
        )
        larger = jax.tree.map(lambda new, old: new.astype(old.dtype), larger, self)
        larger = dataclasses.replace(larger, size=self.size, overflow=self.overflow)
        names = ("x", "y", "variance", "constraints", "cost", "number", "status")
        rows = jnp.arange(self.capacity)
        return larger.write(rows, **{name: getattr(self, name) for name in names})
