"""Contenders choose batches in turns: what each takes, how good its batches are."""

import argparse
import importlib.metadata
import os
import pathlib
import time
import warnings
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import threadpoolctl

RESULTS = pathlib.Path(__file__).parent / "results"

Found = dict[str, list[list[float]]]
"""By contender: CPU seconds, seconds of the clock and value of each repeat."""


@eqx.filter_jit
def believe(strategy, state):
    """What a strategy believes of its trials."""
    return strategy.believe(state.memory.whole, state.trials, state.key)[0]


@eqx.filter_jit
def _choose(strategy, belief, key, order):
    return strategy.choose(belief, key, order)[0]


def ours(strategy, belief, q: int, seed: int) -> np.ndarray:
    """The batch of a strategy of bojax."""
    return np.asarray(_choose(strategy, belief, jax.random.key(seed), jnp.arange(q)))


def first_call(call: Callable[[], np.ndarray]) -> float:
    """CPU seconds of a call, compilation included."""
    start = time.process_time()
    call()
    return time.process_time() - start


def take_turns(
    found: Found,
    calls: dict[str, Callable[[], np.ndarray]],
    judge: Callable[[list[np.ndarray]], list[float]],
    seed: int,
) -> None:
    """Time each call once, another one first at each seed, and add what is found."""
    batches, names = [], list(np.roll(list(calls), seed))
    for name in names:
        start, wall = time.process_time(), time.perf_counter()
        batches.append(calls[name]())
        seconds = time.process_time() - start, time.perf_counter() - wall
        found.setdefault(name, []).append([*seconds])
    for name, value in zip(names, judge(batches), strict=True):
        found[name][-1].append(value)


def _report(found: Found, compiled: float, value: str) -> str:
    import torch

    lines = [
        "| | CPU s: median | range | wall s: median | times bojax's CPU "
        f"| {value}: median |",
        "|" + " --- |" * 6,
    ]
    unit = np.median([row[0] for row in found["bojax"]])
    for name in sorted(found, key=lambda name: name != "bojax"):
        cpu, wall, worth = np.array(found[name]).T
        lines.append(
            f"| {name} | {np.median(cpu):.3g} | {cpu.min():.3g} to {cpu.max():.3g} | "
            f"{np.median(wall):.3g} | {np.median(cpu) / unit:.1f} | "
            f"{np.median(worth):.3f} |"
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


def command(
    name: str,
    title: str,
    about: str,
    value: str,
    measure: Callable[[int], tuple[Found, float]],
) -> None:
    """Parse arguments, measure, print the table and write it to results.

    Args:
        name: of the module.
        about: its docstring, whose first paragraph is left out.
        value: by which batches are judged.
        measure: how many repeats -> what is found, and CPU seconds of the first call.
    """
    import torch

    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.acquisitions.{name}")
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    with threadpoolctl.threadpool_limits(1), jax.enable_x64(True):
        table = _report(*measure(repeats), value)
    about = about.split("\n\n", 1)[1].strip()
    text = f"# {title}\n\n{about}\n\n{table}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)
