"""Optuna's samplers."""

from typing import Any

import numpy as np

from benchmarks.regret.case import Objective


def _run(objective: Objective, x0: np.ndarray, make_sampler: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    case, of = objective.case, optuna.distributions
    axes = {}
    for i, (k, unordered) in enumerate(zip(case.levels, case.categorical, strict=True)):
        axes[f"x{i}"] = (
            of.CategoricalDistribution(list(range(k)))
            if unordered
            else of.IntDistribution(0, k - 1)
            if k
            else of.FloatDistribution(0, 1)
        )
    study = optuna.create_study(sampler=make_sampler(optuna.samplers))
    for point in x0:
        params = dict(zip(axes, case.numbers(point), strict=True))
        trial = optuna.trial.create_trial(
            params=params, distributions=axes, value=objective(point)
        )
        study.add_trial(trial)
    while objective.left:
        trial = study.ask(axes)
        study.tell(trial, objective(case.point([trial.params[name] for name in axes])))


def gp(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """The Gaussian process."""
    _gp(objective, x0, seed, told=False)


def gp_told(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """The Gaussian process, which knows where there is no noise."""
    _gp(objective, x0, seed, told=not objective.case.noisy)


def _gp(objective: Objective, x0: np.ndarray, seed: int, told: bool) -> None:
    import torch

    torch.set_num_threads(1)
    options = {"n_startup_trials": 0, "deterministic_objective": told}
    _run(objective, x0, lambda of: of.GPSampler(seed=seed, **options))


def tpe(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """Parzen estimators."""
    _run(objective, x0, lambda of: of.TPESampler(seed=seed))


def random(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """Uniform points."""
    _run(objective, x0, lambda of: of.RandomSampler(seed=seed))
