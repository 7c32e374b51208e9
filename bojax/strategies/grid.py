"""Grid search."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax.data import Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.sequence import one_by_one

_LARGEST = 1_000_000


class Grid(Strategy):
    """Every combination of a few values of each parameter, in random order.

    Conditions and constraints are respected: combinations that differ only in inactive
    parameters are one point, and infeasible ones are left out. The order is random,
    because a run that is cut short would otherwise have seen one corner only.

    Args:
        space: what to cover.
        resolution: values of each continuous parameter, ends included; parameters with
            fewer representable values contribute all of them, others that many, evenly
            spread.

    Raises:
        ValueError: if `resolution` is under 2, or the grid has over a million points or
            no feasible one.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Categorical(1, 2)})
        >>> len(Grid(space, resolution=3).points)
        6
    """

    space: Space
    resolution: int = eqx.field(static=True)

    def __init__(self, space: Space, resolution: int = 5):
        if resolution < 2:
            raise ValueError(f"resolution: expected at least 2, got {resolution}")
        self.space = space
        self.resolution = resolution
        total = math.prod(len(values) for values in self._axes())
        if total > _LARGEST:
            raise ValueError(
                f"resolution: expected a grid of at most {_LARGEST} points, "
                f"got {total} with resolution={resolution}"
            )
        if space.constraints and len(self.points) == 0:
            raise ValueError(
                f"resolution: expected a grid with a feasible point, got {resolution}, "
                f"with which none of {total} is"
            )

    def _axes(self) -> list[np.ndarray]:
        space, axes = self.space.full_fidelity, []
        for levels, categorical in zip(space.levels, space.is_categorical, strict=True):
            if levels is None:
                axes.append(np.linspace(0, 1, self.resolution))
            elif categorical or len(levels) <= self.resolution:
                axes.append(levels)
            else:
                picks = np.linspace(0, len(levels) - 1, self.resolution)
                axes.append(levels[np.round(picks).astype(int)])
        return axes

    @property
    def points(self) -> Float[np.ndarray, "g d"]:
        """The distinct feasible points of the grid, at full fidelity."""
        space = self.space.full_fidelity
        grid = np.array(list(itertools.product(*self._axes())))
        with jax.ensure_compile_time_eval():
            project = jax.jit(jax.vmap(space.project))
            feasible = jax.jit(jax.vmap(space.feasible))
            grid = np.unique(np.asarray(project(grid)), axis=0)
            return grid[np.asarray(feasible(grid))]

    def start(self, trials: Trials) -> None:
        """What was tried is in the table: nothing to remember."""

    def propose(
        self, memory: None, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], None]:
        """Points of the grid that were not tried yet; at its end it begins again."""
        points = jnp.asarray(self.points, trials.x.dtype)
        order = jax.random.permutation(key, len(points))

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            turn = (jnp.argsort(order) - number) % len(points)
            return trials.first_untried(points, turn.astype(points.dtype))

        return one_by_one(draw, trials, numbers), None
