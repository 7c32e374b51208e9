"""The suites bbob and bbob-mixint of coco-experiment; a seed is an instance there."""

import contextlib
import functools
import tempfile
from typing import Any

import numpy as np

from benchmarks.regret.case import Case
from bojax.space import Float, Int, Space

FUNCTIONS = range(1, 25)
IN_TEN = (1, 3, 6, 8, 10, 13, 15, 17, 20, 21)
"""Two of each of COCO's five groups: what is run in ten dimensions."""

_INSTANCES = "1-15"


@functools.cache
def _suite(name: str, dimension: int) -> Any:
    try:
        import cocoex
    except ImportError as e:
        raise ValueError(
            f"suite: {name} needs the package coco-experiment, which is not installed"
        ) from e
    options = f"dimensions:{dimension} instance_indices:{_INSTANCES}"
    return cocoex.Suite(name, "", options)


@functools.cache
def _problem(name: str, function: int, dimension: int, instance: int) -> Any:
    """The problem, and its optimum, which COCO tells by the point that has it."""
    found = _suite(name, dimension).get_problem_by_function_dimension_instance(
        function, dimension, instance
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found._best_parameter("print")
        optimum = found(np.loadtxt("._bbob_problem_best_parameter.txt"))
    if not found.final_target_hit:
        raise RuntimeError(f"{found.id}: {optimum} is not its optimum")
    return found, optimum


def _case(name: str, function: int, dimension: int) -> Case:
    first = _suite(name, dimension).get_problem_by_function_dimension_instance(
        function, dimension, 1
    )
    low, high = np.array(first.lower_bounds), np.array(first.upper_bounds)
    whole = first.number_of_integer_variables
    columns = {
        f"x{i}": Int(int(low[i]), int(high[i])) if i < whole else Float(low[i], high[i])
        for i in range(dimension)
    }
    count = high - low + 1

    def natural(x: np.ndarray) -> np.ndarray:
        integers = low + np.minimum(np.floor(x * count), count - 1)
        return np.where(np.arange(dimension) < whole, integers, low + (high - low) * x)

    def measure(x: np.ndarray, seed: int, number: int) -> float:
        return float(_problem(name, function, dimension, seed)[0](natural(x)))

    def regret(x: np.ndarray, y: float, seed: int) -> float:
        return y - _problem(name, function, dimension, seed)[1]

    return Case(
        f"{name}-f{function:02}-d{dimension:02}",
        Space(columns),
        measure,
        regret,
        1e-8,
        20 * dimension,
    )


def bbob() -> dict[str, Case]:
    """All functions in 2 and 5 dimensions, ten in 10."""
    chosen = [(d, f) for d in (2, 5) for f in FUNCTIONS] + [(10, f) for f in IN_TEN]
    cases = [_case("bbob", f, d) for d, f in chosen]
    return {case.name: case for case in cases}


def bbob_mixint() -> dict[str, Case]:
    """All functions in 5 dimensions."""
    cases = [_case("bbob-mixint", f, 5) for f in FUNCTIONS]
    return {case.name: case for case in cases}
