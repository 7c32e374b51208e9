"""C2-DTLZ2: the hypervolume of a front under a measured constraint."""

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

_PROBLEM = problems.c2_dtlz2()
_INITIAL, _BATCH, _ROUNDS = 10, 2, 20
_measure = jax.jit(jax.vmap(lambda x: (_PROBLEM.fn(x), _PROBLEM.constraints(x))))
_SMOOTH = kernels.Scale(jnp.zeros(()), kernels.RBF(jnp.full(4, math.log(0.3))))


def _runner(strategy: BayesOpt) -> Callable[[int], np.ndarray]:
    def run(seed: int) -> np.ndarray:
        state = strategy.init(jax.random.key(seed), 64, 2, 1)
        curve = []
        for round in range(_ROUNDS + 1):
            points, state = strategy.ask(state, _BATCH if round else _INITIAL)
            y, constraints = _measure(points.x)
            told = bojax.Outcome(y, constraints=constraints)
            state = strategy.tell(state, points, told)
            front = np.asarray(state.trials.y)[np.asarray(state.trials.feasible)]
            corner = np.array(_PROBLEM.reference)
            curve.append(pareto.hypervolume(front, corner) if len(front) else 0.0)
        return np.array(curve)

    return run


def _protocol(name: str, method: str, strategy: BayesOpt) -> Protocol:
    return Protocol(
        name=name,
        method=method,
        description="C2-DTLZ2 in 4 dimensions and 2 objectives, without noise: "
        "10 initial points, 20 batches of 2; hypervolume of what is feasible "
        "below (1.1, 1.1), at most 0.4000. The kernel was chosen on other seeds, 100 "
        "to 104.",
        published="0.38 by qNEHVI, one run "
        "(BoTorch, constrained_multi_objective_bo.ipynb)",
        run=_runner(strategy),
        seeds=5,
    )


if __name__ == "__main__":
    space, reference = _PROBLEM.space, _PROBLEM.reference
    smooth = GP(space, _SMOOTH, priors=priors.short(4))
    main(
        _protocol(
            "c2_dtlz2",
            "BayesOpt(space, GP(space, Scale(RBF)), reference=(1.1, 1.1))",
            BayesOpt(space, smooth, reference=reference),
        ),
        _protocol(
            "c2_dtlz2_default",
            "BayesOpt(space, reference=(1.1, 1.1))",
            BayesOpt(space, reference=reference),
        ),
    )
