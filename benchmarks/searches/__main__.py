"""`python -m benchmarks.searches run --searches random`, then `report`."""

import argparse
import importlib.metadata
import pathlib
import sys
import zlib

import jax
import numpy as np
import threadpoolctl

from benchmarks import rows
from benchmarks.searches import objectives
from benchmarks.searches.contenders import CONTENDERS

RESULTS = pathlib.Path(__file__).parent / "results"
NUM_TRIALS, NUM_INITIAL, SEEDS = 100, 10, range(20)
AT = (60, 100)


def _path(search: str) -> pathlib.Path:
    return RESULTS / f"{search}.csv"


def stored(search: str) -> dict[tuple[str, int], np.ndarray]:
    """The best value after each of `AT`, by problem and seed."""
    return {
        (row["problem"], int(row["seed"])): np.array(
            [float(row[f"best{n}"]) for n in AT]
        )
        for row in rows.read(_path(search))
    }


def run(searches: list[str], names: list[str]) -> None:
    """Do and store the runs that are not stored yet."""
    fields = ["problem", "seed", *(f"best{n}" for n in AT)]
    for search in searches:
        done = stored(search)
        for name in names:
            objective = objectives.get(name)
            for seed in SEEDS:
                if (name, seed) in done:
                    continue
                key = jax.random.key(zlib.crc32(f"{name} {seed}".encode()))
                points = np.asarray(objective.space.sample(key, NUM_INITIAL))
                initial = [objective.space.decode(x) for x in points]
                y = CONTENDERS[search](objective, initial, seed, NUM_TRIALS)
                best = [f"{min(y[:n]):.6g}" for n in AT]
                rows.append(_path(search), fields, (name, seed, *best))
            print(search, name, flush=True)


def ranks(searches: list[str], name: str, at: int) -> np.ndarray:
    """Rank of each search on each seed, ties shared, least is best."""
    import scipy.stats

    values = np.array([[stored(s)[name, seed][at] for seed in SEEDS] for s in searches])
    return scipy.stats.rankdata(values, axis=0)


def report(searches: list[str], names: list[str]) -> str:
    """Mean ranks and medians, as markdown."""
    lines = [
        "# Searches on conditional and mixed spaces",
        "",
        "Made by `python -m benchmarks.searches report`: "
        f"{len(SEEDS)} seeds, the same {NUM_INITIAL} random configurations first. "
        f"Mean rank among the {len(searches)} searches (1 is best), and in brackets "
        "the median of the best value.",
    ]
    for at, count in enumerate(AT):
        lines += ["", f"## After {count} evaluations", ""]
        lines += [
            "| search | " + " | ".join([*names, "mean rank"]) + " |",
            "| --- |" + " --- |" * (len(names) + 1),
        ]
        rank = {name: ranks(searches, name, at) for name in names}
        for i, search in enumerate(searches):
            cells = []
            for name in names:
                best = [stored(search)[name, seed][at] for seed in SEEDS]
                cells.append(f"{rank[name][i].mean():.2f} ({np.median(best):.4g})")
            total = np.mean([rank[name][i].mean() for name in names])
            lines.append("| " + " | ".join([search, *cells, f"{total:.2f}"]) + " |")
    packages = [
        f"{package} {importlib.metadata.version(package)}"
        for package in ("jax", "optuna")
        if any(package in name for name in searches) or package == "jax"
    ]
    lines += ["", f"Ran with {', '.join(packages)}.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches")
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--searches", default=",".join(CONTENDERS))
    parser.add_argument("--problems", default=",".join(objectives.NAMES))
    arguments = parser.parse_args()
    searches, names = arguments.searches.split(","), arguments.problems.split(",")
    if arguments.command == "run":
        with threadpoolctl.threadpool_limits(1):
            run(searches, names)
        return
    wanted = {(name, seed) for name in names for seed in SEEDS}
    complete = [s for s in searches if wanted <= stored(s).keys()]
    if not complete:
        sys.exit("no search has all its runs")
    text = report(complete, names)
    print(text)
    (RESULTS / "ranks.md").write_text(text)


if __name__ == "__main__":
    main()
