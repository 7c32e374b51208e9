"""scikit-optimize."""

import warnings

import numpy as np

from benchmarks.regret.case import Objective

SETTINGS = (
    "Optimizer with its defaults (Gaussian process, Matern 5/2, gp_hedge), the initial "
    "points told"
)
TOLD = "The same as skopt, told that there is no noise: noise 1e-10"


def run(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """One run."""
    _run(objective, x0, seed, told=False)


def told(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """One run, in which it knows where there is no noise."""
    _run(objective, x0, seed, told=not objective.case.noisy)


def _run(objective: Objective, x0: np.ndarray, seed: int, told: bool) -> None:
    from skopt import Optimizer
    from skopt.space import Categorical, Integer, Real
    from skopt.utils import cook_estimator

    case = objective.case
    dimensions = [
        Categorical(list(range(k)))
        if unordered
        else Integer(0, k - 1)
        if k
        else Real(0.0, 1.0)
        for k, unordered in zip(case.levels, case.categorical, strict=True)
    ]
    exact = {"space": dimensions, "random_state": seed, "noise": 1e-10}
    model = cook_estimator("GP", **exact) if told else "GP"
    optimizer = Optimizer(
        dimensions, model, n_initial_points=len(x0), random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for point in x0[:-1]:
            optimizer.tell(case.numbers(point), objective(point), fit=False)
        optimizer.tell(case.numbers(x0[-1]), objective(x0[-1]))
        while objective.left:
            numbers = optimizer.ask()
            value = objective(case.point(numbers))
            if objective.left:
                optimizer.tell(numbers, value)
