"""A batch of 4 by noisy hypervolume: `python -m benchmarks.acquisitions.speed_pareto`.

Branin and Currin with normal noise of deviations 15.19 and 0.63 at 50 points, half of
them Sobol points and half around the front: each objective's model is fitted once by
bojax, BoTorch's are set to the same hyperparameters. Timed is the choice of 4 points by
qLogNEHVI, sequentially greedy, the draws of the fronts and the pruning of BoTorch's
baseline included, on one thread, in double precision; compilation apart. bojax searches
as BayesOpt does: 512 raw points and 128 near the best, 6 starts, 32 draws of the front
and the last point of a batch in closed form. BoTorch by 128 samples, 10 starts and 512
raw points as in its notebook of several objectives; and by 32 samples, for a comparison
draw for draw. Batches are compared by BoTorch's qLogNEHVI of all 4 points at 1,024
samples.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import bojax
from benchmarks.acquisitions.peer import botorch_model
from benchmarks.acquisitions.turns import (
    Found,
    believe,
    command,
    first_call,
    ours,
    take_turns,
)
from bojax import pareto, problems
from bojax._numerics import bucket
from bojax.strategies import BayesOpt

PROBLEM = problems.branin_currin()
DEVIATION = np.array([15.19, 0.63])
N, Q = 50, 4
BOTORCH = {"BoTorch, 128 samples": 128, "BoTorch, 32 samples": 32}


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and noisy values."""
    rng = np.random.default_rng(seed)
    spread = scipy.stats.qmc.Sobol(2, rng=seed).random(256)
    y = np.asarray(jax.vmap(PROBLEM.fn)(jnp.asarray(spread)))
    front = spread[
        np.asarray(pareto.non_dominated(jnp.asarray(y), jnp.ones(256, bool)))
    ]
    near = front[rng.integers(len(front), size=N - N // 2)]
    near = np.clip(near + 0.1 * rng.normal(size=near.shape), 0, 1)
    x = np.concatenate([spread[: N // 2], near])
    y = np.asarray(jax.vmap(PROBLEM.fn)(jnp.asarray(x)))
    return x, y + DEVIATION * rng.normal(size=y.shape)


def peer(objectives, reference: np.ndarray):
    """BoTorch's models of both objectives, and the reference in their units."""
    from botorch.models import ModelListGP

    each = [objectives[i] for i in range(len(objectives))]
    corner = [
        -(low - float(one.location)) / float(one.scale)
        for low, one in zip(reference, each, strict=True)
    ]
    return ModelListGP(*map(botorch_model, each)), corner


def their_acquisition(model, corner: list[float], num_samples: int, seed: int):
    import torch
    from botorch.acquisition.multi_objective.logei import (
        qLogNoisyExpectedHypervolumeImprovement,
    )
    from botorch.sampling import SobolQMCNormalSampler

    return qLogNoisyExpectedHypervolumeImprovement(
        model,
        corner,
        model.models[0].train_inputs[0],
        SobolQMCNormalSampler(torch.Size([num_samples]), seed=seed),
        prune_baseline=True,
    )


def theirs(model, corner: list[float], num_samples: int, seed: int) -> np.ndarray:
    import torch
    from botorch.optim import optimize_acqf

    torch.manual_seed(seed)
    x, _ = optimize_acqf(
        their_acquisition(model, corner, num_samples, seed),
        torch.tensor([[0.0] * 2, [1.0] * 2], dtype=torch.float64),
        q=Q,
        num_restarts=10,
        raw_samples=512,
        sequential=True,
    )
    return x.numpy()


def judge(model, corner: list[float], batches: list[np.ndarray]) -> list[float]:
    """BoTorch's joint value of each batch."""
    import torch

    acquisition = their_acquisition(model, corner, 1024, 99)
    with torch.no_grad():
        return [float(acquisition(torch.tensor(np.array(x)))) for x in batches]


def measure(repeats: int) -> tuple[Found, float]:
    """Seconds and joint values of each contender, in turns; seconds to compile."""
    found: Found = {}
    compiled = 0.0
    reference = np.array(PROBLEM.reference)
    strategy = BayesOpt(PROBLEM.space, reference=PROBLEM.reference)
    for seed in range(repeats):
        x, y = points(seed)
        state = strategy.init(jax.random.key(seed), bucket(N), num_objectives=2)
        told = bojax.Outcome(jnp.array(y))
        belief = believe(strategy, strategy.observe(state, jnp.array(x), told))
        model, corner = peer(belief.objectives, reference)
        calls = {"bojax": functools.partial(ours, strategy, belief, Q, seed)} | {
            name: functools.partial(theirs, model, corner, num_samples, seed)
            for name, num_samples in BOTORCH.items()
        }
        if seed == 0:
            compiled = first_call(calls["bojax"])
            theirs(model, corner, 8, 0)
        take_turns(found, calls, functools.partial(judge, model, corner), seed)
    return found, compiled


if __name__ == "__main__":
    command(
        "speed_pareto",
        "A batch of 4 by noisy hypervolume improvement",
        __doc__,
        "joint qLogNEHVI",
        measure,
    )
