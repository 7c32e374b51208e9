"""Our own strategies: add a variant here, then run it by its name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.regret.case import Objective, Run
from bojax import strategies, surrogates
from bojax._numerics import bucket
from bojax.surrogates import priors
from bojax.surrogates.outcomes import unchanged


def bojax_run(factory: Callable[[Any], Any]) -> Run:
    """A run of a strategy by the pure layer, as a study makes it: in double precision.

    Args:
        factory: space -> strategy.
    """

    def run(objective: Objective, x0: np.ndarray, seed: int) -> int | None:
        y0 = [objective(point) for point in x0]
        with jax.enable_x64(True):
            strategy = factory(objective.case.space)
            state = strategy.init(jax.random.key(seed), capacity=bucket(len(x0)))
            state = strategy.observe(state, jnp.asarray(x0), jnp.asarray(y0))
            while objective.left:
                needed = bucket(len(objective.y) + 1)
                if needed > state.trials.capacity:
                    state = strategy.grow(state, needed)
                points, state = strategy.ask(state)
                value = objective(np.asarray(points.x[0]))
                state = strategy.tell(state, points, jnp.asarray([value]))
            # Without noise the least value is the one to go home with.
            if not objective.case.noisy:
                return None
            return int(strategy.recommend(state).row)

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
    "bojax-turbo": strategies.TuRBO,
    "bojax-tpe": strategies.TPE,
    "bojax-evolution": strategies.RegularizedEvolution,
    "bojax-sobol": strategies.Sobol,
    "bojax-random": strategies.Random,
    **VARIANTS,
}
"""Name: space -> strategy. Runs are kept by name: a variant needs its own."""
