"""The packages to compare with, one small function each; see `protocol.Run`."""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.regret.protocol import Run, evaluate
from bojax.problems import Problem


def _optuna(make_sampler: Callable[[Any, int], Any]) -> Run:
    """A run of one of Optuna's samplers on the unit cube.

    Args:
        make_sampler: (optuna.samplers, seed) -> sampler.
    """

    def run(problem: Problem, x0: np.ndarray, seed: int, num_trials: int) -> np.ndarray:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        d = problem.space.num_columns
        axes = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(d)}
        sampler = make_sampler(optuna.samplers, seed)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        y = list(evaluate(problem, x0))
        for point, value in zip(x0, y, strict=True):
            params = dict(zip(axes, map(float, point), strict=True))
            study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=axes, value=float(value)
                )
            )
        while len(y) < num_trials:
            trial = study.ask(axes)
            value = evaluate(problem, np.array([[trial.params[name] for name in axes]]))
            study.tell(trial, float(value[0]))
            y.append(value[0])
        return np.array(y)

    return run


_GP_SETTINGS = (
    "GPSampler(n_startup_trials=0), else its defaults (noise is fitted, "
    "deterministic_objective=False), greenlet installed"
)
_TPE_SETTINGS = (
    "TPESampler(), its defaults: random until it has 10 trials, the initial points "
    "among them"
)

PEERS: dict[str, tuple[Run, tuple[str, ...], str]] = {
    "optuna-gp": (
        _optuna(lambda s, seed: s.GPSampler(seed=seed, n_startup_trials=0)),
        ("optuna", "torch", "greenlet", "scipy"),
        _GP_SETTINGS,
    ),
    "optuna-tpe": (
        _optuna(lambda s, seed: s.TPESampler(seed=seed)),
        ("optuna",),
        _TPE_SETTINGS,
    ),
    "random": (
        _optuna(lambda s, seed: s.RandomSampler(seed=seed)),
        ("optuna",),
        "Optuna's RandomSampler",
    ),
}
"""Name: the run, the distributions that it needs, its settings in words."""


def missing(packages: tuple[str, ...]) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def versions(packages: tuple[str, ...]) -> str:
    """Name and version of each package."""
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in packages)
