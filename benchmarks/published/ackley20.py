"""Ackley in 20 dimensions by the trust region of BoTorch's tutorial on TuRBO."""

import jax
import numpy as np

import bojax
from benchmarks.published.protocol import Protocol, main
from bojax.problems import synthetic

_SPACE = bojax.Space({f"x{j}": bojax.Float(-5.0, 10.0) for j in range(20)})
_STRATEGY = bojax.strategies.TuRBO(_SPACE)
_INITIAL, _BATCH, _TOTAL = 40, 4, 464


@jax.jit
@jax.vmap
def _ackley(x):
    return synthetic.ackley(15 * x - 5)


def _run(seed: int) -> np.ndarray:
    state = _STRATEGY.init(jax.random.key(seed), _TOTAL)
    points, state = _STRATEGY.ask(state, _INITIAL)
    state = _STRATEGY.tell(state, points, _ackley(points.x))

    def step(state, _):
        points, state = _STRATEGY.ask(state, _BATCH)
        return _STRATEGY.tell(state, points, _ackley(points.x)), None

    steps = (_TOTAL - _INITIAL) // _BATCH
    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, None, steps))(state)
    return np.maximum.accumulate(-np.asarray(state.trials.y[:, 0]))


if __name__ == "__main__":
    main(
        Protocol(
            name="ackley20",
            method="TuRBO(space)",
            description="Ackley on [-5, 10]^20, maximized with its sign turned: 40 "
            "initial points, then batches of 4, 464 evaluations in all.",
            published="-0.987, one run (BoTorch, turbo_1.ipynb); qLogEI -3.17",
            run=_run,
            seeds=5,
        )
    )
