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

import argparse
import functools
import importlib.metadata
import os
import pathlib
import time
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
import threadpoolctl

import bojax
from benchmarks.acquisitions.peer import botorch_model
from benchmarks.acquisitions.speed import believe
from bojax import pareto, problems
from bojax._numerics import bucket
from bojax.strategies import BayesOpt

PROBLEM = problems.branin_currin()
DEVIATION = np.array([15.19, 0.63])
N, Q = 50, 4
BOTORCH = {"BoTorch, 128 samples": 128, "BoTorch, 32 samples": 32}
RESULTS = pathlib.Path(__file__).parent / "results"


@eqx.filter_jit
def choose(strategy, belief, key):
    return strategy.choose(belief, key, jnp.arange(Q))[0]


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


def ours(strategy, belief, seed: int) -> np.ndarray:
    return np.asarray(choose(strategy, belief, jax.random.key(seed)))


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


def measure(repeats: int) -> tuple[dict, float]:
    """Seconds and joint values of each contender, in turns; seconds to compile."""
    found = {}
    compiled = 0.0
    reference = np.array(PROBLEM.reference)
    strategy = BayesOpt(PROBLEM.space, reference=PROBLEM.reference)
    for seed in range(repeats):
        x, y = points(seed)
        state = strategy.init(jax.random.key(seed), bucket(N), num_objectives=2)
        told = bojax.Outcome(jnp.array(y))
        belief = believe(strategy, strategy.observe(state, jnp.array(x), told))
        model, corner = peer(belief.objectives, reference)
        if seed == 0:
            start = time.process_time()
            ours(strategy, belief, 0)
            compiled = time.process_time() - start
            theirs(model, corner, 8, 0)
        calls = {"bojax": functools.partial(ours, strategy, belief, seed)} | {
            name: functools.partial(theirs, model, corner, num_samples, seed)
            for name, num_samples in BOTORCH.items()
        }
        batches, names = [], list(np.roll(list(calls), seed))
        for name in names:
            start, wall = time.process_time(), time.perf_counter()
            batches.append(calls[name]())
            seconds = time.process_time() - start, time.perf_counter() - wall
            found.setdefault(name, []).append([*seconds])
        for name, value in zip(names, judge(model, corner, batches), strict=True):
            found[name][-1].append(value)
    return found, compiled


def report(found: dict, compiled: float) -> str:
    import torch

    lines = [
        "| | CPU s: median | range | wall s: median | times bojax's CPU "
        "| joint qLogNEHVI: median |",
        "|" + " --- |" * 6,
    ]
    unit = np.median([row[0] for row in found["bojax"]])
    for name in ("bojax", *BOTORCH):
        cpu, wall, value = np.array(found[name]).T
        lines.append(
            f"| {name} | {np.median(cpu):.3g} | {cpu.min():.3g} to {cpu.max():.3g} | "
            f"{np.median(wall):.3g} | {np.median(cpu) / unit:.1f} | "
            f"{np.median(value):.3f} |"
        )
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("jax", "torch", "botorch", "gpytorch")
    )
    lines += [
        "",
        f"- {len(found['bojax'])} repeats, each with other points and another fit",
        f"- the first call of bojax, compilation included: {compiled:.1f} s of CPU",
        f"- {versions}",
        f"- threads: torch {torch.get_num_threads()}, XLA_FLAGS "
        f"{os.environ.get('XLA_FLAGS', 'unset')}",
        f"- load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end",
    ]
    return "\n".join(lines)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.acquisitions.speed_pareto"
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    with threadpoolctl.threadpool_limits(1), jax.enable_x64(True):
        table = report(*measure(arguments.repeats))
    about = __doc__.split("\n\n", 1)[1].strip()
    text = f"# A batch of 4 by noisy hypervolume improvement\n\n{about}\n\n{table}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed_pareto.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
