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

from benchmarks.acquisitions.peer import botorch_model
from bojax import acquisitions, problems
from bojax._numerics import bucket
from bojax.strategies import BayesOpt

PROBLEM = problems.get("hartmann6")
N, Q, DEVIATION = 200, 8, 0.1
BOTORCH = {"BoTorch, 10 of 512": (10, 512), "BoTorch, Ax's 20 of 1,024": (20, 1024)}
RESULTS = pathlib.Path(__file__).parent / "results"


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and noisy values."""
    rng = np.random.default_rng(seed)
    spread = scipy.stats.qmc.Sobol(6, rng=seed).random(128)[: N // 2]
    near = np.array(PROBLEM.minimizers[0]) + 0.15 * rng.normal(size=(N - N // 2, 6))
    x = np.concatenate([spread, np.clip(near, 0, 1)])
    y = np.asarray(jax.vmap(PROBLEM.fn)(jnp.asarray(x)))
    return x, y + DEVIATION * rng.normal(size=N)


@eqx.filter_jit
def believe(strategy, state):
    return strategy.believe(state.memory.whole, state.trials, state.key)[0]


@eqx.filter_jit
def choose(strategy, belief, key):
    return strategy.choose(belief, key, jnp.arange(Q))[0]


def ours(strategy, belief, seed: int) -> np.ndarray:
    return np.asarray(choose(strategy, belief, jax.random.key(seed)))


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


def measure(repeats: int) -> tuple[dict, float]:
    """Seconds and joint values of each contender, in turns; seconds to compile."""
    found = {}
    compiled = 0.0
    for seed in range(repeats):
        x, y = points(seed)
        strategy = BayesOpt(PROBLEM.space, acquisition=acquisitions.QLogNEI)
        state = strategy.init(jax.random.key(seed), bucket(N))
        belief = believe(strategy, strategy.observe(state, jnp.array(x), jnp.array(y)))
        model = botorch_model(belief.posterior)
        if seed == 0:
            start = time.process_time()
            ours(strategy, belief, 0)
            compiled = time.process_time() - start
            theirs(model, 2, 16, 0)
        calls = {"bojax": functools.partial(ours, strategy, belief, seed)} | {
            name: functools.partial(theirs, model, *settings, seed)
            for name, settings in BOTORCH.items()
        }
        batches, names = [], list(np.roll(list(calls), seed))
        for name in names:
            start, wall = time.process_time(), time.perf_counter()
            batches.append(calls[name]())
            seconds = time.process_time() - start, time.perf_counter() - wall
            found.setdefault(name, []).append([*seconds])
        for name, value in zip(names, judge(model, batches), strict=True):
            found[name][-1].append(value)
    return found, compiled


def report(found: dict, compiled: float) -> str:
    import torch

    lines = [
        "| | CPU s: median | range | wall s: median | times bojax's CPU "
        "| joint qLogNEI: median |",
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
        f"{os.environ['XLA_FLAGS']}",
        f"- load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end",
    ]
    return "\n".join(lines)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(prog="python -m benchmarks.acquisitions.speed")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    with threadpoolctl.threadpool_limits(1), jax.enable_x64(True):
        table = report(*measure(arguments.repeats))
    about = __doc__.split("\n\n", 1)[1].strip()
    text = f"# A batch of 8 by noisy expected improvement\n\n{about}\n\n{table}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
