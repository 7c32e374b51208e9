"""Hartmann-6 in 200 evaluations, as scikit-optimize's benchmarks run it."""

import jax
import numpy as np

import bojax
from benchmarks.published.protocol import Protocol, main
from bojax import problems

_PROBLEM = problems.get("hartmann6")
_STRATEGY = bojax.strategies.BayesOpt(_PROBLEM.space)


def _run(seed: int) -> np.ndarray:
    return np.asarray(
        bojax.simulate(
            _STRATEGY, lambda x, key: _PROBLEM.fn(x), 200, jax.random.key(seed)
        ).best_y
    )


if __name__ == "__main__":
    main(
        Protocol(
            name="hartmann6",
            method="BayesOpt(space)",
            description="Hartmann-6, 200 evaluations one at a time, minimized.",
            published="-3.299 +- 0.048 (scikit-optimize, benchmarks/README.md)",
            run=_run,
            seeds=10,
        )
    )
