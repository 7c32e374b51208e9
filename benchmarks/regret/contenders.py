"""Our own strategies: add a variant here, then run it by its name."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.regret.protocol import Run, evaluate
from bojax import strategies, surrogates
from bojax.problems import Problem
from bojax.surrogates import priors
from bojax.surrogates.outcomes import unchanged


def bojax_run(factory: Callable[[Any], Any]) -> Run:
    """A run of a strategy by the pure layer, in double precision.

    Args:
        factory: space -> strategy.
    """

    def run(problem: Problem, x0: np.ndarray, seed: int, num_trials: int) -> np.ndarray:
        y = list(evaluate(problem, x0))
        # The next power of two is a padding bucket: one compilation a problem.
        capacity = 1 << (num_trials - 1).bit_length()
        with jax.enable_x64(True):
            strategy = factory(problem.space)
            state = strategy.init(jax.random.key(seed), capacity=capacity)
            state = strategy.observe(state, jax.numpy.asarray(x0), jax.numpy.asarray(y))
            while len(y) < num_trials:
                points, state = strategy.ask(state)
                value = evaluate(problem, np.asarray(points.x))
                state = strategy.tell(state, points, jax.numpy.asarray(value))
                y.append(value[0])
        return np.array(y)

    return run


def _with_priors(choice: Callable) -> Callable[[Any], Any]:
    return lambda space: strategies.BayesOpt(
        space, surrogates.GP(space, priors=choice(space.num_columns))
    )


VARIANTS: dict[str, Callable[[Any], Any]] = {
    "bojax-short-priors": _with_priors(priors.short),
    "bojax-optuna-priors": _with_priors(priors.optuna),
    "bojax-vizier-priors": _with_priors(priors.vizier),
    "bojax-botorch-priors": _with_priors(priors.botorch),
    "bojax-plain-outcome": lambda space: strategies.BayesOpt(
        space,
        surrogates.GP(space, priors=priors.optuna(space.num_columns)),
        outcome=unchanged,
    ),
}
"""What the defaults were chosen among."""

CONTENDERS: dict[str, Callable[[Any], Any]] = {
    "bojax": strategies.BayesOpt,
    "bojax-random": strategies.Random,
    "bojax-sobol": strategies.Sobol,
    **VARIANTS,
}
"""Name: space -> strategy. Runs are kept by name: a variant needs its own."""
