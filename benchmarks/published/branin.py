"""Branin in 200 evaluations, as scikit-optimize's benchmarks run it."""

import jax
import numpy as np

import bojax
from benchmarks.published.protocol import Protocol, main
from bojax import problems

_PROBLEM = problems.get("branin")
_STRATEGY = bojax.strategies.BayesOpt(_PROBLEM.space)


def _run(seed: int) -> np.ndarray:
    return np.asarray(
        bojax.simulate(
            _STRATEGY, lambda x, key: _PROBLEM.fn(x), 200, jax.random.key(seed)
        ).best_y
    )


def _four_digits(final: np.ndarray) -> str:
    reached = int(np.sum(final < _PROBLEM.optimum + 5e-5))
    return f"Optimum {_PROBLEM.optimum:.6f} to four digits: {reached} of {len(final)}"


if __name__ == "__main__":
    main(
        Protocol(
            name="branin",
            method="BayesOpt(space)",
            description="Branin, 200 evaluations one at a time, minimized.",
            published="0.398 +- 0.000 (scikit-optimize, benchmarks/README.md)",
            run=_run,
            seeds=10,
            summary=_four_digits,
        )
    )
