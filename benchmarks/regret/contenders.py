"""Our own strategies: add a variant here, then run it by its name."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.regret.case import Case, Objective, Run, initial_points
from bojax import Study, acquisitions, strategies, surrogates
from bojax._sobol import sobol
from bojax.surrogates import GP, kernels, priors
from bojax.surrogates.outcomes import unchanged

Design = Callable[[Case, int], np.ndarray]
"""(case, seed) to initial points."""


def bojax_run(factory: Callable[[Any], Any], design: Design | None = None) -> Run:
    """A strategy in the hands of a study.

    Args:
        factory: space -> strategy.
        design: initial points of its own, in place of those that all are given.
    """

    def run(objective: Objective, x0: np.ndarray, seed: int) -> int | None:
        if design is not None:
            x0 = design(objective.case, seed)
        space = objective.case.space
        study = Study(space, factory(space), key=seed)
        for point in x0:
            study.observe(space.decode(point), objective(point))
        while objective.left:
            trial = study.ask()
            study.tell(trial, objective(space.encode(trial.config)))
        # Without noise the least value is the one to go home with.
        if not objective.case.noisy or study.best is None:
            return None
        return study.best.number

    return run


def _modeled(surrogate: Callable[[Any], surrogates.Surrogate]) -> Run:
    return bojax_run(lambda space: strategies.BayesOpt(space, surrogate(space)))


def _with_priors(choice: Callable) -> Run:
    return _modeled(lambda space: GP(space, priors=choice(space.num_columns)))


def little_noise(num_columns: int) -> priors.Priors:
    """The default's, where noise is believed to be next to none."""
    exact = priors.saas(num_columns)["log_noise"]
    return {**priors.short(num_columns), "log_noise": exact}


def _with_kernel(kind: Callable) -> Run:
    """With the default's priors, and where they start."""

    def surrogate(space):
        nothing = jnp.asarray(np.zeros(space.num_columns))
        gp = GP(space, kernels.Scale(nothing[0], kind(nothing)))
        return gp.replace(priors.initial(gp.parameters, gp.priors))

    return _modeled(surrogate)


def _uniform(of_d: int) -> Design:
    """The points that all are given, fewer of them, or more that follow."""
    return lambda case, seed: initial_points(case, seed, of_d)


def _spread(case: Case, seed: int) -> np.ndarray:
    """As many scrambled Sobol points as all are given uniform ones."""
    d = case.space.num_columns
    with jax.enable_x64(True):
        x = np.asarray(sobol(jax.random.key(seed), jnp.arange(2 * d), d))
    return np.array([case.point(case.numbers(row)) for row in x])


def _acquiring(acquisition: Any) -> Run:
    return bojax_run(lambda s: strategies.BayesOpt(s, acquisition=acquisition))


def _searching(**options: int) -> Run:
    # One object for all runs: each other one would be compiled again.
    search = functools.partial(acquisitions.optimize, **options)
    return bojax_run(lambda space: strategies.BayesOpt(space, search=search))


CHOICES: dict[str, dict[str, Run]] = {
    "priors": {
        "bojax-optuna-priors": _with_priors(priors.optuna),
        "bojax-vizier-priors": _with_priors(priors.vizier),
        "bojax-botorch-priors": _with_priors(priors.botorch),
        "bojax-little-noise": _with_priors(little_noise),
    },
    "outcome": {
        "bojax-unchanged-outcome": bojax_run(
            lambda space: strategies.BayesOpt(space, outcome=unchanged)
        ),
    },
    "kernel": {
        "bojax-rbf": _with_kernel(kernels.RBF),
        "bojax-matern32": _with_kernel(kernels.Matern32),
    },
    "initial points": {
        "bojax-d-initial": bojax_run(strategies.BayesOpt, _uniform(1)),
        "bojax-4d-initial": bojax_run(strategies.BayesOpt, _uniform(4)),
        "bojax-sobol-initial": bojax_run(strategies.BayesOpt, _spread),
    },
    "acquisition": {
        "bojax-ei": _acquiring(acquisitions.EI),
        "bojax-ucb": _acquiring(acquisitions.UCB),
        "bojax-ucbpe": _acquiring(acquisitions.UCBPE),
        "bojax-thompson": _acquiring(acquisitions.Thompson),
        "bojax-mes": _acquiring(acquisitions.MES),
        "bojax-mace": _acquiring(acquisitions.MACE),
    },
    "its search": {
        "bojax-candidates-only": _searching(
            num_raw=2048, num_starts=1, max_evaluations=1
        ),
        "bojax-1-start": _searching(num_starts=1),
        "bojax-24-starts": _searching(num_starts=24),
        "bojax-128-candidates": _searching(num_raw=128),
        "bojax-2048-candidates": _searching(num_raw=2048),
    },
}
"""What the defaults were chosen among: each variant differs in one choice."""

DEFAULT = "bojax-default"
"""The default on the development suite, under a name of its own."""

VARIANTS: dict[str, Run] = {
    DEFAULT: bojax_run(strategies.BayesOpt),
    **dict(itertools.chain(*(variants.items() for variants in CHOICES.values()))),
}

CONTENDERS: dict[str, Run] = {
    "bojax": bojax_run(strategies.BayesOpt),
    "bojax-turbo": bojax_run(strategies.TuRBO),
    "bojax-tpe": bojax_run(strategies.TPE),
    "bojax-evolution": bojax_run(strategies.RegularizedEvolution),
    "bojax-sobol": bojax_run(strategies.Sobol),
    "bojax-random": bojax_run(strategies.Random),
    **VARIANTS,
}
"""Runs are kept by name: a variant needs its own."""
