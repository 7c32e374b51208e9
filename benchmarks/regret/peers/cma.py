"""CMA-ES by the package cma."""

import warnings

import numpy as np

from benchmarks.regret.case import Objective

SETTINGS = (
    "CMAEvolutionStrategy from the best of the initial points, sigma a fourth of each "
    "column's width, else its defaults; where it stops it starts again from a uniform "
    "point; a column of k values is an integer from 0 to k - 1, categories too; in one "
    "dimension with a second, idle one, because it needs two"
)


def run(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """One run."""
    import cma

    case = objective.case
    d = len(case.levels)
    levels = np.array([*case.levels, *([0] if d == 1 else [])])
    width = np.maximum(levels, 1)
    low = np.where(levels > 0, -0.5, 0.0)
    rng = np.random.default_rng(seed)
    values = [objective(point) for point in x0]
    start = np.full(len(levels), 0.5)
    start[:d] = case.numbers(x0[int(np.argmin(values))])
    while objective.left:
        options = {
            "bounds": [list(low), list(low + width)],
            "CMA_stds": list(width / 4),
            "integer_variables": list(map(int, np.flatnonzero(levels))),
            "seed": int(rng.integers(1, 2**31)),
            "verbose": -9,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = cma.CMAEvolutionStrategy(start, 1.0, options)
            while objective.left and not search.stop():
                points = search.ask()
                values = []
                for point in points:
                    if not objective.left:
                        return
                    where = np.clip((np.asarray(point) - low) / width, 0, 1 - 1e-12)
                    continuous = np.clip(point, 0, 1)
                    unit = np.where(levels > 0, where, continuous)[:d]
                    values.append(objective(case.point(case.numbers(unit))))
                search.tell(points, values)
        start = low + width * rng.random(len(levels))
