"""What an acquisition is, and what it is made from."""

import abc
import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax.data import Status, Trials
from bojax.space import Space
from bojax.surrogates import GPPosterior, Several


class Belief(eqx.Module):
    """All that is known and believed when a strategy chooses its next point.

    Values are those that the surrogate sees: minimized, and mapped to suit it.

    Args:
        objectives: posteriors of the objectives; pending points count as observed at
            what is predicted for them.
        constraints: posteriors of the measured constraints, met where <= 0; their rows
            are those of `objectives`.
        reference: of several objectives, the corner beyond which nothing is gained.
        trials: everything asked for and told, what is pending included.
        key: of whatever is random in the choice of this one point.
        space: what is searched; None where nobody said.
        log_cost: posterior of the logarithm of the cost, if it is to be learned.
    """

    objectives: Several
    constraints: Several | None
    reference: Float[Array, " m"] | None
    trials: Trials
    key: PRNGKeyArray
    space: Space | None = eqx.field(static=True, default=None)
    log_cost: Any = None

    @property
    def posterior(self) -> GPPosterior:
        """Of the only objective.

        Raises:
            ValueError: if there are several.
        """
        if len(self.objectives) != 1:
            raise ValueError(
                "num_objectives: expected 1 for this acquisition, "
                f"got {len(self.objectives)}"
            )
        return self.objectives[0]

    @property
    def corner(self) -> Float[Array, " m"]:
        """The reference point of several objectives.

        Raises:
            ValueError: if there is only one.
        """
        if self.reference is None:
            raise ValueError("num_objectives: expected several for this acquisition")
        return self.reference

    @property
    def _has_fidelity(self) -> bool:
        return self.space is not None and bool(self.space.is_fidelity.any())

    @property
    def feasible(self) -> Bool[Array, " n"]:
        """Rows of the data that meet the constraints, as far as is believed."""
        data = self.objectives[0].data
        mask = data.mask
        if self._has_fidelity and self.space is not None:
            # What was evaluated at less than full fidelity is no value to beat.
            mask = mask & self.space.is_full_fidelity(data.x)
        if self.constraints is None:
            return mask
        measured = jax.vmap(lambda posterior: posterior.data.y)(self.constraints.each)
        return mask & jnp.all(measured <= 0, axis=0)

    @property
    def best_y(self) -> Float[Array, ""]:
        """The value to beat: the least that is feasible, or if none is the largest."""
        data = self.posterior.data
        least = jnp.min(jnp.where(self.feasible, data.y, jnp.inf))
        if self.constraints is None and not self._has_fidelity:
            return least
        worst = jnp.max(jnp.where(data.mask, data.y, -jnp.inf))
        return jnp.where(jnp.isinf(least), worst, least)

    @property
    def incumbent(self) -> Float[Array, " d"]:
        """Where `best_y` is; of several objectives, that of the first."""
        data = self.objectives[0].data
        any_feasible = jnp.any(self.feasible)
        allowed = jnp.where(any_feasible, self.feasible, data.mask)
        return data.x[jnp.argmin(jnp.where(allowed, data.y, jnp.inf))]

    def grow(self, q: int) -> "Belief":
        """The same with room for `q` more pending points."""
        constraints = self.constraints
        return dataclasses.replace(
            self,
            objectives=self.objectives.grow(q),
            constraints=None if constraints is None else constraints.grow(q),
            log_cost=None if self.log_cost is None else self.log_cost.grow(q),
            trials=self.trials.grow(self.trials.capacity + q),
        )

    def append(
        self, row: Int[Array, ""] | int, x: Float[Array, " d"], number: Int[Array, ""]
    ) -> "Belief":
        """The same with one more pending point.

        Args:
            row: of the posteriors' data; no later one may be in use.
            x: the point.
            number: under which it is asked for.
        """
        constraints = self.constraints
        return dataclasses.replace(
            self,
            objectives=self.objectives.append(row, x),
            constraints=None if constraints is None else constraints.append(row, x),
            log_cost=None if self.log_cost is None else self.log_cost.append(row, x),
            trials=self.trials.append(x[None], number[None], Status.PENDING),
        )

    def at(self, key: PRNGKeyArray) -> "Belief":
        """The same for the choice of another point."""
        return dataclasses.replace(self, key=key)


class Acquisition(eqx.Module):
    """What there is to gain from evaluating a batch of points: to be maximized.

    A pytree, not a closure: with new data it is another value of the same type, for
    which nothing is compiled again. Those that a strategy can use on their own have a
    class method `of(belief)`, which makes the acquisition for the next point of a run.

    One-shot acquisitions have rows of their own beside those of the batch, which a
    method `complete(x)` adds to a batch to start from.

    `logarithmic` says whether a value is the logarithm of what is to be gained, which
    is what a product with a probability, or an average, must know;
    `chooses_fidelity`, whether it weighs the fidelity of an evaluation.
    """

    logarithmic: ClassVar[bool] = False
    chooses_fidelity: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Value of evaluating the rows of `x`."""


def complete(acquisition: Acquisition, x: Float[Array, "q d"]) -> Float[Array, "r d"]:
    """All rows of an acquisition for a batch: those of the batch, and its own."""
    own = getattr(acquisition, "complete", None)
    return x if own is None else own(x)


def check_logarithmic(acquisition: Acquisition) -> None:
    """Refuses to wrap an acquisition whose value is no logarithm.

    Raises:
        ValueError: if it is none.
    """
    if not acquisition.logarithmic:
        raise ValueError(
            "acquisition: expected one whose value is a logarithm, such as LogEI, "
            f"got {type(acquisition).__name__}"
        )
