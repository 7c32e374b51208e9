"""What conditions cost a fit: `python -m benchmarks.speed.conditions`.

The log likelihood of the default Gaussian process and its gradient, on the thirteen
columns of `problems.branches`, ten of which are conditional, and on as many that always
exist. Double precision, one thread, medians of 20 calls after the first.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pathlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax import problems
from bojax.surrogates import GP
from bojax.surrogates.likelihood import log_likelihood, standardization, standardized

PATH = pathlib.Path(__file__).parent / "results" / "conditions.md"
SIZES, REPEATS = (64, 128, 256), 20
BRANCHES = problems.branches().space
SPACES = {
    "conditional": BRANCHES,
    "unconditional": bojax.Space(
        {f"x{j}": bojax.Float(0.0, 1.0) for j in range(BRANCHES.num_columns)}
    ),
}


def milliseconds(function: Callable, *args: object) -> float:
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    lines = [
        "# What conditions cost a fit",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        f"Ran with jax {jax.__version__}; milliseconds, on a shared machine.",
        "",
        "| columns | n | value | gradient |",
        "| --- | --- | --- | --- |",
    ]
    value, gradient = jax.jit(log_likelihood), jax.jit(jax.grad(log_likelihood))
    with jax.enable_x64(True):
        for name, space in SPACES.items():
            parameters = GP(space).parameters
            for n in SIZES:
                x = space.sample(jax.random.key(0), n)
                data = bojax.Dataset.of(x, jnp.sum(jnp.sin(3 * x), axis=1))
                data = standardized(data, *standardization(data.y, data.mask))
                cells = [
                    f"{milliseconds(function, parameters, data):.2f}"
                    for function in (value, gradient)
                ]
                lines.append(f"| {name} | {n} | {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    PATH.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
