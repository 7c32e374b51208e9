"""HPOlib's functions, from `bojax.problems`."""

import numpy as np

from benchmarks.regret.case import Case
from benchmarks.regret.protocol import FLOOR, NUM_TRIALS, evaluate
from bojax import problems
from bojax.space import Float, Space


def function(name: str) -> Case:
    """A test function of `bojax.problems`, without noise."""
    problem = problems.get(name)

    def measure(x: np.ndarray, seed: int, number: int) -> float:
        return float(evaluate(problem, x[None])[0])

    def regret(x: np.ndarray, y: float, seed: int) -> float:
        return y - problem.optimum

    # Every contender sees the unit cube. Equal spaces share what is compiled.
    columns = {f"x{i}": Float(0, 1) for i in range(problem.space.num_columns)}
    floor = FLOOR * problem.range
    return Case(name, Space(columns), measure, regret, floor, NUM_TRIALS)


def hpolib() -> dict[str, Case]:
    """The eleven of HPOlib."""
    return {name: function(name) for name in problems.HPOLIB}
