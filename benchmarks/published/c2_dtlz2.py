"""C2-DTLZ2: the hypervolume of a front under a measured constraint."""

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from benchmarks.published.protocol import Protocol, main
from bojax import pareto
from bojax.strategies import BayesOpt

_SPACE = bojax.Space({f"x{j}": bojax.Float(0.0, 1.0) for j in range(4)})
_REFERENCE = np.array([1.1, 1.1])
_INITIAL, _BATCH, _ROUNDS = 10, 2, 20
_RADIUS = 0.2


@jax.jit
@jax.vmap
def _measure(x):
    """Deb and others' DTLZ2 in two objectives, and the second kind of constraint."""
    away = jnp.sum((x[1:] - 0.5) ** 2)
    angle = 0.5 * jnp.pi * x[0]
    f = (1 + away) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    corners = (
        jnp.stack([(f[0] - 1) ** 2 + f[1] ** 2, (f[1] - 1) ** 2 + f[0] ** 2])
        - _RADIUS**2
    )
    middle = jnp.sum((f - 1 / jnp.sqrt(2.0)) ** 2) - _RADIUS**2
    return f, jnp.minimum(jnp.min(corners), middle)


_STRATEGY = BayesOpt(_SPACE, reference=_REFERENCE.tolist())


def _run(seed: int) -> np.ndarray:
    state = _STRATEGY.init(jax.random.key(seed), 64, 2, 1)
    curve = []
    for round in range(_ROUNDS + 1):
        points, state = _STRATEGY.ask(state, _BATCH if round else _INITIAL)
        y, constraint = _measure(points.x)
        told = bojax.Outcome(y, constraints=constraint[:, None])
        state = _STRATEGY.tell(state, points, told)
        front = np.asarray(state.trials.y)[np.asarray(state.trials.feasible)]
        curve.append(pareto.hypervolume(front, _REFERENCE) if len(front) else 0.0)
    return np.array(curve)


if __name__ == "__main__":
    main(
        Protocol(
            name="c2_dtlz2",
            method="BayesOpt(space, reference=(1.1, 1.1))",
            description="C2-DTLZ2 in 4 dimensions and 2 objectives, without noise: "
            "10 initial points, 20 batches of 2; hypervolume of what is feasible "
            "below (1.1, 1.1), at most 0.3996.",
            published="0.38 by qNEHVI, one run "
            "(BoTorch, constrained_multi_objective_bo.ipynb)",
            run=_run,
            seeds=5,
        )
    )
