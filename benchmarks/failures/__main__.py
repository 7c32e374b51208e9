"""`python -m benchmarks.failures`: where trials fail, learned or not.

Three functions that fail in a part of the cube: Branin, where only one of the valleys
succeeds; a bowl and Hartmann-3, whose best point that succeeds lies at the edge.
"""

import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

import bojax
from bojax import problems, strategies

PATH = pathlib.Path(__file__).parent / "results" / "failures.md"
NUM_TRIALS, NUM_SEEDS, FLOOR = 40, 20, 1e-9
BRANIN, HARTMANN3 = problems.get("branin"), problems.get("hartmann3")
BOWL = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(3)})


def branin(x: Float[Array, "2"], key) -> Float[Array, ""]:
    return jnp.where((x[0] < 0.45) | (x[1] > 0.8), jnp.nan, BRANIN.fn(x))


def bowl(x: Float[Array, "3"], key) -> Float[Array, ""]:
    y = jnp.sum((x - jnp.asarray([0.65, 0.35, 0.5])) ** 2)
    return jnp.where(x[0] + 0.3 * x[1] > 0.68, jnp.nan, y)


def hartmann3(x: Float[Array, "3"], key) -> Float[Array, ""]:
    return jnp.where(x[2] > 0.8, jnp.nan, HARTMANN3.fn(x))


PROBLEMS: dict[str, tuple[bojax.Space, Callable]] = {
    "branin": (BRANIN.space, branin),
    "bowl": (BOWL, bowl),
    "hartmann3": (HARTMANN3.space, hartmann3),
}


def least(space: bojax.Space, fn: Callable) -> float:
    """The least value where nothing fails, by differential evolution."""
    value = jax.jit(lambda x: fn(x, None))
    found = scipy.optimize.differential_evolution(
        lambda x: float(np.nan_to_num(value(jnp.asarray(x)), nan=1e3)),
        [(0, 1)] * space.num_columns,
        rng=np.random.default_rng(0),
        popsize=40,
        tol=1e-12,
        maxiter=2000,
        polish=False,
    )
    return float(found.fun)


def main() -> None:
    lines = [
        "# Where trials fail, learned or not",
        "",
        "Made by `python -m benchmarks.failures`: `BayesOpt` in double precision, "
        f"{NUM_TRIALS} evaluations, {NUM_SEEDS} seeds. Mean and standard error of",
        "log10 of regret against the best point that succeeds, and how many of the",
        "trials failed.",
        "",
        "| function | failures | after 20 | after 40 | failed |",
        "| --- | --- | --- | --- | --- |",
    ]
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), NUM_SEEDS)
        for name, (space, fn) in PROBLEMS.items():
            best = least(space, fn)
            for learn in (False, True):
                strategy = strategies.BayesOpt(space, learn_failures=learn)
                history = bojax.simulate(strategy, fn, NUM_TRIALS, keys)
                regret = np.maximum(np.asarray(history.best_y) - best, FLOOR)
                cells = []
                for n in (20, 40):
                    log = np.log10(regret[:, n - 1])
                    cells.append(
                        f"{log.mean():.2f} ± {log.std() / len(log) ** 0.5:.2f}"
                    )
                failed = np.isnan(np.asarray(history.y)).sum(axis=1).mean()
                how = "learned" if learn else "as bad as the worst"
                lines.append(f"| {name} | {how} | {' | '.join(cells)} | {failed:.1f} |")
                print(lines[-1], flush=True)
    PATH.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
