r"""SAAS by NUTS beside BoTorch's: 20 dimensions, 50 points, equal schedules.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 XLA_FLAGS="\
    --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" \
    python -m benchmarks.models.saas_speed

Process time, double precision. Both run NumPyro's NUTS with a dense mass
matrix and trees of depth six at most. Bojax compiles once for a bucket and then no
more; BoTorch's model is traced and compiled anew in every fit, so that its first and
later fits are both given. The sampled problem is the same; its priors are BoTorch's.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax.surrogates import GP, Bayesian, kernels, priors

WARMUP, SAMPLES, THINNING = 512, 256, 16
D, N, REPEATS = 20, 50, 3


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Branin of the first two columns."""
    x = np.random.default_rng(seed).uniform(size=(N, D))
    fn = jax.jit(jax.vmap(bojax.problems.get("branin").fn))
    return x, np.asarray(fn(jnp.asarray(x[:, :2])))


def ours(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    space = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(D)})
    noise = priors.Gamma(0.9, 10.0, np.log(1e-2), np.log(1e-4), np.log(10.0))
    zero = jnp.zeros(())
    kernel = kernels.Scale(zero, kernels.Sparse.of(space))
    gp = GP(space, kernel, priors={**priors.saas(D), "log_noise": noise})
    model = Bayesian(gp, WARMUP, SAMPLES, THINNING)
    table = bojax.Dataset.of(jnp.asarray(x), jnp.asarray(y), capacity=64)
    kernel = model.fit(table, jax.random.key(seed)).parameters.samples.kernel.kernel
    log_rho = kernel.log_global_shrinkage[:, None] + kernel.log_local_shrinkage
    return np.asarray(jnp.exp(-0.5 * log_rho))


def theirs(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    import torch
    from botorch.fit import fit_fully_bayesian_model_nuts
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    torch.set_num_threads(1)
    z = (y - y.mean()) / y.std()
    model = SaasFullyBayesianSingleTaskGP(
        torch.tensor(x), torch.tensor(z)[:, None], outcome_transform=None
    )
    fit_fully_bayesian_model_nuts(
        model, 6, WARMUP, SAMPLES, THINNING, disable_progbar=True, seed=seed
    )
    return model.covar_module.base_kernel.lengthscale.detach().numpy()[:, 0]


def main() -> None:
    import warnings

    warnings.simplefilter("ignore")
    print("fit  seconds of ours, of BoTorch; median lengthscales of both columns")
    with jax.enable_x64(True):
        for repeat in range(REPEATS + 1):
            x, y = data(repeat)
            row = []
            for fit in (ours, theirs):
                began = time.process_time()
                lengthscale = fit(x, y, repeat)
                seconds = time.process_time() - began
                row.append((seconds, np.median(lengthscale, axis=0)))
            label = "first" if repeat == 0 else "later"
            times = " ".join(f"{seconds:7.2f}" for seconds, _ in row)
            scales = "   ".join(
                f"{s[0]:.2f} {s[1]:.2f} ({s[2:].min():.0f})" for _, s in row
            )
            print(f"{label} {times}   {scales}", flush=True)


if __name__ == "__main__":
    main()
