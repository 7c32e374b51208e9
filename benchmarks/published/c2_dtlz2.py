"""C2-DTLZ2: the hypervolume of a front under a measured constraint."""

import jax
import numpy as np

import bojax
from benchmarks.published.protocol import Protocol, main
from bojax import pareto, problems
from bojax.strategies import BayesOpt

_PROBLEM = problems.c2_dtlz2()
_INITIAL, _BATCH, _ROUNDS = 10, 2, 20
_measure = jax.jit(jax.vmap(lambda x: (_PROBLEM.fn(x), _PROBLEM.constraints(x))))
_STRATEGY = BayesOpt(_PROBLEM.space, reference=_PROBLEM.reference)


def _run(seed: int) -> np.ndarray:
    state = _STRATEGY.init(jax.random.key(seed), 64, 2, 1)
    curve = []
    for round in range(_ROUNDS + 1):
        points, state = _STRATEGY.ask(state, _BATCH if round else _INITIAL)
        y, constraints = _measure(points.x)
        told = bojax.Outcome(y, constraints=constraints)
        state = _STRATEGY.tell(state, points, told)
        front = np.asarray(state.trials.y)[np.asarray(state.trials.feasible)]
        curve.append(
            pareto.hypervolume(front, np.array(_PROBLEM.reference))
            if len(front)
            else 0.0
        )
    return np.array(curve)


if __name__ == "__main__":
    main(
        Protocol(
            name="c2_dtlz2",
            method="BayesOpt(space, reference=(1.1, 1.1))",
            description="C2-DTLZ2 in 4 dimensions and 2 objectives, without noise: "
            "10 initial points, 20 batches of 2; hypervolume of what is feasible "
            "below (1.1, 1.1), at most 0.4000.",
            published="0.38 by qNEHVI, one run "
            "(BoTorch, constrained_multi_objective_bo.ipynb)",
            run=_run,
            seeds=5,
        )
    )
