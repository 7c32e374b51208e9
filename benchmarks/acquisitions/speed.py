"""A batch of 8 by noisy EI: `python -m benchmarks.acquisitions.speed`.

Hartmann-6 with noise of deviation 0.1 at 200 points, half of them Sobol points and half
around the best: the model is fitted once by bojax, BoTorch's is set to the same
hyperparameters. Timed is the choice of 8 points, sequentially greedy, the draws and the
pruning of BoTorch's baseline included, on one thread, in double precision; compilation
apart. bojax searches as BayesOpt does: 512 raw points and 128 near the best, 6 starts.
BoTorch by 128 samples as in its notebooks with 10 starts from 512 raw points, and with
Ax's 20 from 1,024. Batches are compared by BoTorch's qLogNEI of all 8 points at 2,048
samples.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from benchmarks.acquisitions.peer import botorch_model
from benchmarks.acquisitions.turns import (
    Found,
    believe,
    command,
    first_call,
    ours,
    take_turns,
)
from bojax import acquisitions, problems
from bojax._numerics import bucket
from bojax.strategies import BayesOpt

PROBLEM = problems.get("hartmann6")
N, Q, DEVIATION = 200, 8, 0.1
BOTORCH = {"BoTorch, 10 of 512": (10, 512), "BoTorch, Ax's 20 of 1,024": (20, 1024)}


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and noisy values."""
    rng = np.random.default_rng(seed)
    spread = scipy.stats.qmc.Sobol(6, rng=seed).random(128)[: N // 2]
    near = np.array(PROBLEM.minimizers[0]) + 0.15 * rng.normal(size=(N - N // 2, 6))
    x = np.concatenate([spread, np.clip(near, 0, 1)])
    y = np.asarray(jax.vmap(PROBLEM.fn)(jnp.asarray(x)))
    return x, y + DEVIATION * rng.normal(size=N)


def theirs(model, num_restarts: int, raw_samples: int, seed: int) -> np.ndarray:
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.optim import optimize_acqf
    from botorch.sampling import SobolQMCNormalSampler

    torch.manual_seed(seed)
    acquisition = qLogNoisyExpectedImprovement(
        model,
        model.train_inputs[0],
        SobolQMCNormalSampler(torch.Size([128]), seed=seed),
    )
    x, _ = optimize_acqf(
        acquisition,
        torch.tensor([[0.0] * 6, [1.0] * 6], dtype=torch.float64),
        q=Q,
        num_restarts=num_restarts,
        raw_samples=raw_samples,
        sequential=True,
    )
    return x.numpy()


def judge(model, batches: list[np.ndarray]) -> list[float]:
    """BoTorch's joint value of each batch."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.sampling import SobolQMCNormalSampler

    acquisition = qLogNoisyExpectedImprovement(
        model,
        model.train_inputs[0],
        SobolQMCNormalSampler(torch.Size([2048]), seed=99),
    )
    with torch.no_grad():
        return [float(acquisition(torch.tensor(np.array(x)))) for x in batches]


def measure(repeats: int) -> tuple[Found, float]:
    """Seconds and joint values of each contender, in turns; seconds to compile."""
    found: Found = {}
    compiled = 0.0
    for seed in range(repeats):
        x, y = points(seed)
        strategy = BayesOpt(PROBLEM.space, acquisition=acquisitions.QLogNEI)
        state = strategy.init(jax.random.key(seed), bucket(N))
        belief = believe(strategy, strategy.observe(state, jnp.array(x), jnp.array(y)))
        model = botorch_model(belief.posterior)
        calls = {"bojax": functools.partial(ours, strategy, belief, Q, seed)} | {
            name: functools.partial(theirs, model, *settings, seed)
            for name, settings in BOTORCH.items()
        }
        if seed == 0:
            compiled = first_call(calls["bojax"])
            theirs(model, 2, 16, 0)
        take_turns(found, calls, functools.partial(judge, model), seed)
    return found, compiled


if __name__ == "__main__":
    command(
        "speed",
        "A batch of 8 by noisy expected improvement",
        __doc__,
        "joint qLogNEI",
        measure,
    )
