"""How a published run is repeated: seeds once each, kept as they finish, summarized."""

import dataclasses
import importlib.metadata
import pathlib
import sys
import time
from collections.abc import Callable

import jax
import numpy as np

from benchmarks import rows

RESULTS = pathlib.Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One published run.

    Args:
        name: of the files of its results.
        method: what runs, as a user would write it.
        description: the protocol in a sentence or two.
        published: the published figure and its source.
        run: one run of a seed: its curve, the score after each evaluation.
        seeds: how many are run.
        summary: more lines about the final scores, if any.
        packages: whose versions are told.
    """

    name: str
    method: str
    description: str
    published: str
    run: Callable[[int], np.ndarray]
    seeds: int
    summary: Callable[[np.ndarray], str] | None = None
    packages: tuple[str, ...] = ("bojax", "jax")


def main(*protocols: Protocol) -> None:
    """Runs what has not been run yet, and writes the summary.

    The number of seeds may be given on the command line.
    """
    for protocol in protocols:
        seeds = int(sys.argv[1]) if len(sys.argv) > 1 else protocol.seeds
        done = _load(protocol.name)
        for seed in range(seeds):
            if seed in done:
                continue
            began = time.process_time()
            with jax.enable_x64(True):
                curve = np.asarray(protocol.run(seed))
            seconds = time.process_time() - began
            _save(protocol, seed, seconds, curve)
            print(f"{protocol.name} seed {seed}: {curve[-1]:.6g} in {seconds:.0f} s")
        _summarize(protocol)


def _path(name: str) -> pathlib.Path:
    return RESULTS / f"{name}.csv"


def _load(name: str) -> dict[int, np.ndarray]:
    return {
        int(row["seed"]): np.array([float(v) for v in row["score"].split()])
        for row in rows.read(_path(name))
    }


def _versions(protocol: Protocol) -> str:
    found = importlib.metadata.version
    return " ".join(f"{name}={found(name)}" for name in protocol.packages)


def _save(protocol: Protocol, seed: int, seconds: float, curve: np.ndarray) -> None:
    fields = ("seed", "cpu_seconds", "versions", "score")
    score = " ".join(f"{value:.7g}" for value in curve)
    row = (seed, f"{seconds:.1f}", _versions(protocol), score)
    rows.append(_path(protocol.name), fields, row)


def _summarize(protocol: Protocol) -> None:
    runs = _load(protocol.name)
    final = np.array([runs[seed][-1] for seed in sorted(runs)])
    low, median, high = np.quantile(final, [0.25, 0.5, 0.75])
    lines = [
        f"# {protocol.name}",
        "",
        protocol.description,
        "",
        f"- Method: `{protocol.method}`",
        f"- Published: {protocol.published}",
        f"- Runs: {len(final)}, double precision, {_versions(protocol)}",
        f"- Median {median:.6g}, quartiles {low:.6g} to {high:.6g}",
        f"- Mean {final.mean():.6g}, standard deviation {final.std():.3g}",
        f"- Each: {', '.join(f'{value:.6g}' for value in final)}",
    ]
    if protocol.summary is not None:
        lines.append(f"- {protocol.summary(final)}")
    module = sys.modules["__main__"].__spec__.name
    lines += ["", f"Made by `python -m {module}`.", ""]
    (RESULTS / f"{protocol.name}.md").write_text("\n".join(lines))
