"""Test functions evaluated alike for all: seeds, initial points, budget, the score."""

import functools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bojax import problems
from bojax.problems import Problem

NUM_TRIALS = 60
FLOOR = 1e-8
SEEDS = {"dev": range(20), "acceptance": range(1000, 1020)}
"""Everything is tuned on the first and accepted on the second."""


def initial_points(problem: Any, seed: int, of_d: int = 2) -> np.ndarray:
    """2d uniform points, the same for every strategy.

    Args:
        problem: whatever has a name and a space.
        seed: of the run.
        of_d: how many times d points; of more the first are those of fewer.
    """
    d = problem.space.num_columns
    rng = np.random.default_rng([zlib.crc32(problem.name.encode()), seed])
    return rng.random((of_d * d, d))


@functools.cache
def _compiled(name: str) -> Callable:
    return jax.jit(jax.vmap(problems.get(name).fn))


def evaluate(problem: Problem, x: np.ndarray) -> np.ndarray:
    """Values [n] of points [n, d] of the unit cube, in double precision."""
    with jax.enable_x64(True):
        return np.asarray(_compiled(problem.name)(np.asarray(x, np.float64)))


def log_regret(problem: Problem, regret: np.ndarray) -> np.ndarray:
    """log10 of simple regret, no less than 1e-8 of the function's range."""
    return np.log10(np.maximum(regret, FLOOR * problem.range))
