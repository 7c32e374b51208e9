"""Draws in sequence, of which each knows those before it."""

import jax
from jaxtyping import Array, Float, Int

from bojax.data import Status, Trials


def one_by_one(draw, trials: Trials, numbers: Int[Array, " q"]) -> Float[Array, "q d"]:
    """A batch drawn in sequence: each point knows of those before it.

    Args:
        draw: `(trials, number) -> x`, one point.
        trials: what was tried or is pending.
        numbers: the draw numbers of the batch.
    """
    room = trials.grow(trials.capacity + numbers.shape[0])

    def step(trials, number):
        x = draw(trials, number)
        return trials.append(x[None], number[None], Status.PENDING), x

    return jax.lax.scan(step, room, numbers)[1]
