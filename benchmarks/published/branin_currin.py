"""Branin and Currin under noise: the hypervolume of a front, by QLogNEHVI."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from benchmarks.published.protocol import Protocol, main
from bojax import pareto, problems
from bojax.strategies import BayesOpt
from bojax.surrogates import GP, kernels, priors

PROBLEM = problems.branin_currin()
SPACE, REFERENCE = PROBLEM.space, np.array(PROBLEM.reference)
DEVIATION = jnp.array([15.19, 0.63])
INITIAL, BATCH, ROUNDS = 6, 4, 20
_SMOOTH = kernels.Scale(jnp.zeros(()), kernels.RBF(jnp.full(2, math.log(0.3))))


objectives = jax.jit(jax.vmap(PROBLEM.fn))


def _runner(strategy: BayesOpt) -> Callable[[int], np.ndarray]:
    def run(seed: int) -> np.ndarray:
        state = strategy.init(jax.random.key(seed), 128, num_objectives=2)
        key, curve = jax.random.key(1000 + seed), []
        for round in range(ROUNDS + 1):
            points, state = strategy.ask(state, BATCH if round else INITIAL)
            y = objectives(points.x)
            noise = jax.random.normal(jax.random.fold_in(key, round), y.shape)
            variance = jnp.broadcast_to(DEVIATION**2, y.shape)
            told = bojax.Outcome(y + DEVIATION * noise, variance=variance)
            state = strategy.tell(state, points, told)
            true = objectives(state.trials.x[: int(state.trials.size)])
            curve.append(pareto.hypervolume(np.asarray(true), REFERENCE))
        return np.array(curve)

    return run


def _protocol(name: str, method: str, strategy: BayesOpt) -> Protocol:
    return Protocol(
        name=name,
        method=method,
        description="Branin and Currin with normal noise of standard errors 15.19 and "
        "0.63, which the model is told: 6 initial points, 20 batches of 4; the "
        "hypervolume of the true values below (18, 6), at most 59.36.",
        published="57.77 by qNEHVI, one run (BoTorch, multi_objective_bo.ipynb)",
        run=_runner(strategy),
        seeds=5,
    )


if __name__ == "__main__":
    smooth = GP(SPACE, _SMOOTH, priors=priors.short(2))
    main(
        _protocol(
            "branin_currin",
            "BayesOpt(space, GP(space, Scale(RBF)), reference=(18, 6))",
            BayesOpt(SPACE, smooth, reference=PROBLEM.reference),
        ),
        _protocol(
            "branin_currin_default",
            "BayesOpt(space, reference=(18, 6))",
            BayesOpt(SPACE, reference=PROBLEM.reference),
        ),
    )
