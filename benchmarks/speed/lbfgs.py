"""The box-constrained optimizer beside SciPy's L-BFGS-B: `python -m` this.

First the evaluations on the problems of tests/test_lbfgs.py, then the time of one
minimization and of 32 from different starts, double precision, one thread, the same
tolerances (gtol 1e-6, ftol 1e-10), first calls apart. SciPy is given value and gradient
by a compiled JAX function and, for Rosenbrock's function, by plain NumPy.
"""

import functools
import os
import pathlib
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy
import scipy.optimize

from bojax import _lbfgs
from bojax._numerics import log_h
from tests.test_lbfgs import PROBLEMS, bounds

RESULTS = pathlib.Path(__file__).parent / "results"
GTOL, FTOL, BUDGET, LANES, REPEATS = 1e-6, 1e-10, 2000, 32, 15


def scipy_minimize(value_and_grad, x0, lower, upper):
    """L-BFGS-B with its defaults but for the tolerances."""
    return scipy.optimize.minimize(
        value_and_grad,
        x0,
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(lower, upper),
        options={"gtol": GTOL, "ftol": FTOL, "maxfun": BUDGET, "maxiter": BUDGET},
    )


def from_jax(fun, *args):
    """Value and gradient for SciPy; what is not finite becomes very large."""
    compiled = jax.jit(jax.value_and_grad(fun))

    def value_and_grad(x):
        value, gradient = compiled(x, *args)
        return np.nan_to_num(float(value), nan=1e300), np.nan_to_num(gradient)

    return value_and_grad


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_numpy(x):
    residual, gradient = x[1:] - x[:-1] ** 2, np.zeros_like(x)
    gradient[:-1] = -400 * residual * x[:-1] - 2 * (1 - x[:-1])
    gradient[1:] += 200 * residual
    return 100 * residual @ residual + np.sum((1 - x[:-1]) ** 2), gradient


def minus_log_ei(z, model):
    """Of a Gaussian process whose inverse factor is stored."""
    x, lengthscale, inverse_factor, white, best_y = model
    r = jnp.sqrt(5 * jnp.sum(((x - z) / lengthscale) ** 2, -1) + 1e-20)
    v = inverse_factor @ ((1 + r + r**2 / 3) * jnp.exp(-r))
    sigma = jnp.sqrt(jnp.maximum(1 - v @ v, 1e-12))
    return -log_h((best_y - v @ white) / sigma) - jnp.log(sigma)


def gaussian_process(p, n=64):
    rng = np.random.default_rng(p)
    x, lengthscale = rng.uniform(size=(n, p)), np.full(p, 0.3 * np.sqrt(p))
    away = (x[:, None] - x[None]) / lengthscale
    r = np.sqrt(5 * np.sum(away**2, -1))
    gram = (1 + r + r**2 / 3) * np.exp(-r) + 1e-4 * np.eye(n)
    y = np.sin(4 * x[:, 0]) + np.sum((x - 0.4) ** 2, 1) + 0.1 * np.cos(9 * x[:, 1])
    inverse = np.linalg.inv(np.linalg.cholesky(gram))
    y = (y - y.mean()) / y.std()
    return x, lengthscale, inverse, inverse @ y, y.min()


def clocked(call):
    """Milliseconds by the wall clock and of CPU, and what the call returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(call())
    cpu = time.process_time() - cpu
    return 1e3 * (time.perf_counter() - wall), 1e3 * cpu, result


def evaluations() -> list[str]:
    """How often each of the two evaluates, on the tests' problems."""
    lines = [
        "| problem | p | SciPy: evaluations | value | bojax: evaluations | value "
        "| stopped because |",
        "|" + " --- |" * 7,
    ]
    for name, problem in PROBLEMS.items():
        lower, upper = bounds(problem)
        theirs = scipy_minimize(from_jax(problem.fun), problem.start, lower, upper)
        ours = jax.jit(
            functools.partial(
                _lbfgs.minimize,
                problem.fun,
                max_evaluations=BUDGET,
                gtol=GTOL,
                ftol=FTOL,
            )
        )(problem.start, lower, upper)
        lines.append(
            f"| {name} | {problem.start.size} | {theirs.nfev} | {theirs.fun:.6g} "
            f"| {ours.num_evaluations} | {ours.value:.6g} "
            f"| {_lbfgs.STATUS[ours.status]} |"
        )
    return lines


def times(name, fun, p, low, high, args, plain=None) -> list[str]:
    """Rows of the table of times for one objective."""
    starts = np.random.default_rng(0).uniform(low, high, size=(LANES, p))
    lower, upper = np.full(p, low), np.full(p, high)
    value_and_grad = from_jax(fun, *args)

    def minimize(x0, args):
        result = _lbfgs.minimize(
            fun, x0, lower, upper, *args, max_evaluations=BUDGET, gtol=GTOL, ftol=FTOL
        )
        return result.x, result.value, result.num_evaluations

    one, batch = jax.jit(minimize), jax.jit(jax.vmap(minimize, in_axes=(0, None)))

    def loop(value_and_grad):
        runs = [scipy_minimize(value_and_grad, x0, lower, upper) for x0 in starts]
        return None, np.array([r.fun for r in runs]), np.array([r.nfev for r in runs])

    def each(value_and_grad, x0):
        run = scipy_minimize(value_and_grad, x0, lower, upper)
        return run.x, run.fun, run.nfev

    singles = {
        "bojax": lambda x0: one(x0, args),
        "SciPy, JAX objective": lambda x0: each(value_and_grad, x0),
    }
    batches = {
        "bojax": lambda: batch(starts, args),
        "SciPy, JAX objective": lambda: loop(value_and_grad),
    }
    if plain is not None:
        singles["SciPy, NumPy objective"] = lambda x0: each(plain, x0)
        batches["SciPy, NumPy objective"] = lambda: loop(plain)

    first = {
        who: clocked(lambda run=run: run(starts[0])) for who, run in singles.items()
    }
    first_batch = {who: clocked(run) for who, run in batches.items()}
    # In turns, so that what else the machine does falls on all alike.
    single = {who: [] for who in singles}
    for x0 in starts:
        for who, run in singles.items():
            rounds = [clocked(lambda run=run, x0=x0: run(x0))[:2] for _ in range(3)]
            single[who].append(np.median(rounds, 0))
    many = {who: [] for who in batches}
    for _ in range(REPEATS):
        for who, run in batches.items():
            many[who].append(clocked(run)[:2])

    rows = []
    best = np.minimum.reduce([found[2][1] for found in first_batch.values()])
    for who in singles:
        found = first_batch[who][2]
        wall, cpu = np.median(single[who], 0)
        batch_wall, batch_cpu = np.median(many[who], 0)
        reached = np.sum(found[1] <= best + 1e-6 * np.maximum(1, np.abs(best)))
        rows.append(
            f"| {name} | {p} | {who} | {wall:.2f} | {cpu:.2f} | {batch_wall:.1f} "
            f"| {batch_cpu:.1f} | {np.mean(found[2]):.1f} | {np.max(found[2])} "
            f"| {reached} | {first[who][0]:.0f} | {first_batch[who][0]:.0f} |"
        )
    return rows


def main() -> None:
    with jax.enable_x64(True):
        lines = ["# L-BFGS beside SciPy's", "", __doc__.split("\n\n", 1)[1].strip()]
        lines += ["", "## Evaluations", "", *evaluations(), "", "## Milliseconds", ""]
        lines += [
            f"Medians: of one over {LANES} starts, of the batch over {REPEATS} "
            "repetitions. 'Best' counts the starts from which the best value of all "
            "contenders was reached.",
            "",
            "| objective | p | contender | one: wall | CPU | 32: wall | CPU "
            "| evaluations: mean | max | best | first call: one | 32 |",
            "|" + " --- |" * 12,
        ]
        for p in (6, 20):
            lines += times("Rosenbrock", rosenbrock, p, -2, 2, (), rosenbrock_numpy)
            model = jax.tree.map(jnp.asarray, gaussian_process(p))
            lines += times("log EI, n = 64", minus_log_ei, p, 0, 1, (model,))
    lines += [
        "",
        f"JAX {jax.__version__}, SciPy {scipy.__version__}, Python "
        f"{platform.python_version()}; XLA_FLAGS: {os.environ['XLA_FLAGS']}; one BLAS "
        f"thread; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end.",
    ]
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "lbfgs.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
