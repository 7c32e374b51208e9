"""The exact Gaussian process at n = 2,000 in six dimensions: fit and posterior.

    python -m benchmarks.models.large

Wall-clock time on the two cores of the machine, compilation apart, double precision.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import bojax

N, D = 2000, 6


def main() -> None:
    problem = bojax.problems.get("hartmann6")
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).uniform(size=(N, D)))
        y = jax.jit(jax.vmap(problem.fn))(x)
        data = bojax.Dataset.of(x, y, capacity=2048)
        gp, key = bojax.surrogates.GP(problem.space), jax.random.key(0)

        @jax.jit
        def fit(data, key):
            fitted = gp.fit(data, key)
            return fitted, fitted.condition(data)

        began = time.perf_counter()
        compiled = fit.lower(data, key).compile()
        print(f"compilation: {time.perf_counter() - began:.1f} s")
        began, cpu = time.perf_counter(), time.process_time()
        fitted, posterior = jax.block_until_ready(compiled(data, key))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"fit of n = {N}, d = {D}: {wall:.1f} s, {used:.1f} s of CPU")
        test = jnp.asarray(np.random.default_rng(1).uniform(size=(1000, D)))
        mean = jax.jit(jax.vmap(lambda x: posterior.marginal(x)[0]))(test)
        truth = jax.jit(jax.vmap(problem.fn))(test)
        error = float(jnp.sqrt(jnp.mean((mean - truth) ** 2)) / jnp.std(truth))
        print(f"log likelihood {float(fitted.log_likelihood(data)):.1f}")
        print(f"error at 1,000 new points: {error:.4f} of their spread")


if __name__ == "__main__":
    main()
