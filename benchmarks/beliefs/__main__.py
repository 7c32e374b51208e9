"""`python -m benchmarks.beliefs`: what a user's prior of the optimum is worth.

A normal density on the cube, right (its center as far from the optimum as such a
density puts it) or wrong (around the worst of 512 points).
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax import problems, strategies

PATH = pathlib.Path(__file__).parent / "results" / "beliefs.md"
NUM_TRIALS, NUM_SEEDS, FLOOR, DEVIATION = 40, 20, 1e-9, 0.15
AT = (5, 10, 20, 40)


def prior(problem: problems.Problem, right: bool):
    """Log density of a normal of standard deviation 0.15 of the cube."""
    optimum = np.array(problem.minimizers[0])
    if right:
        deviation = DEVIATION * np.random.default_rng(0).standard_normal(len(optimum))
        center = np.clip(optimum + deviation, 0, 1)
    else:
        x = problem.space.sample(jax.random.key(1), 512)
        center = np.asarray(x[jnp.argmax(jax.vmap(problem.fn)(x))])
    names = problem.space.names
    parameters = [column.parameter for column in problem.space.columns]
    low = np.array([parameter.low for parameter in parameters])
    high = np.array([parameter.high for parameter in parameters])

    def log_density(values):
        x = jnp.stack([values[name] for name in names])
        return -0.5 * jnp.sum((((x - low) / (high - low) - center) / DEVIATION) ** 2)

    return log_density


def log_regret(problem: problems.Problem, known) -> np.ndarray:
    """log10 of regret [seeds, trials]."""
    strategy = strategies.BayesOpt(problem.space, prior=known)
    keys = jax.random.split(jax.random.key(0), NUM_SEEDS)
    history = bojax.simulate(strategy, lambda x, key: problem.fn(x), NUM_TRIALS, keys)
    gap = np.asarray(history.best_y) - problem.optimum
    return np.log10(np.maximum(gap, FLOOR))


def main() -> None:
    lines = [
        "# What a prior of the optimum is worth",
        "",
        "Made by `python -m benchmarks.beliefs`: `BayesOpt` in double precision, "
        f"{NUM_SEEDS} seeds. Mean and standard error of log10 of regret.",
        "",
        "| function | prior | " + " | ".join(f"after {n}" for n in AT) + " |",
        "| --- | --- |" + " --- |" * len(AT),
    ]
    with jax.enable_x64(True):
        for name in ("branin", "hartmann3", "hartmann6", "rosenbrock5"):
            problem = problems.get(name)
            right, wrong = prior(problem, True), prior(problem, False)
            for belief, known in (("none", None), ("right", right), ("wrong", wrong)):
                log = log_regret(problem, known)[:, np.array(AT) - 1]
                error = log.std(axis=0, ddof=1) / np.sqrt(NUM_SEEDS)
                pairs = zip(log.mean(axis=0), error, strict=True)
                cells = [f"{mean:+.2f} ({e:.2f})" for mean, e in pairs]
                lines.append(f"| {name} | {belief} | {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
