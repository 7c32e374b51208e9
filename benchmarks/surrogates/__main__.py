"""`python -m benchmarks.surrogates run`, then `report`.

Each model is fitted to n uniform points of a function without noise, and predicts it at
256 others. Values are in units of the function's standard deviation over the cube. The
log density, the continuous ranked probability score (less is better) and the share of
values inside the central 50 and 95 % are of normal predictions; a deviation is no less
than 1e-3. Figures are over those draws of the points that all models have done.
"""

import argparse
import importlib.metadata
import pathlib
import sys
import time
import zlib

import numpy as np
import scipy.stats

from benchmarks import rows
from benchmarks.markdown import markdown
from benchmarks.regret.protocol import evaluate
from benchmarks.surrogates.models import MODELS
from bojax import problems

PROBLEMS = ("branin", "goldstein_price", "hartmann3", "hartmann6", "ackley5")
SIZES = (8, 16, 32, 64)
SEEDS = range(10)
FLOOR = 1e-3
RESULTS = pathlib.Path(__file__).parent / "results"
_FIELDS = ("problem", "n", "seed", "log_density", "crps", "in_50", "in_95", "cpu_s")


def scores(mean: np.ndarray, deviation: np.ndarray, truth: np.ndarray) -> list[float]:
    """Log density, CRPS and the two shares, means over the test points."""
    deviation = np.maximum(deviation, FLOOR)
    z = (truth - mean) / deviation
    density, below = scipy.stats.norm.pdf(z), scipy.stats.norm.cdf(z)
    # Gneiting and Raftery (2007), equation 21.
    crps = deviation * (z * (2 * below - 1) + 2 * density - 1 / np.sqrt(np.pi))
    log_density = scipy.stats.norm.logpdf(z) - np.log(deviation)
    inside = [np.abs(z) <= scipy.stats.norm.ppf(0.5 + p / 2) for p in (0.5, 0.95)]
    return [float(np.mean(v)) for v in (log_density, crps, *inside)]


def _path(model: str) -> pathlib.Path:
    name = model.lower().replace(",", "").replace("/", "").replace(" ", "-")
    return RESULTS / f"{name}.csv"


def load(model: str) -> dict[tuple[str, int, int], list[float]]:
    """Stored scores and seconds by problem, size and seed."""
    return {
        (row["problem"], int(row["n"]), int(row["seed"])): [
            float(row[field]) for field in _FIELDS[3:]
        ]
        for row in rows.read(_path(model))
    }


def one(model: str, name: str, n: int, seed: int) -> list[float]:
    """The scores of a fit, and its CPU seconds."""
    problem = problems.get(name)
    d = problem.space.num_columns
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    x, at = rng.random((max(SIZES), d))[:n], rng.random((256, d))
    spread = evaluate(problem, np.random.default_rng(0).random((4096, d))).std()
    y, truth = evaluate(problem, x) / spread, evaluate(problem, at) / spread
    start = time.process_time()
    mean, deviation = MODELS[model](x, y, seed, at)
    seconds = time.process_time() - start
    return [*scores(mean, deviation, truth), seconds]


def run(models: list[str], seeds: int) -> None:
    """Fits what is not stored yet."""
    for model in models:
        done = load(model)
        for name in PROBLEMS:
            for seed in SEEDS[:seeds]:
                for n in SIZES:
                    if (name, n, seed) in done:
                        continue
                    cells = [f"{v:.5g}" for v in one(model, name, n, seed)]
                    rows.append(_path(model), _FIELDS, (name, n, seed, *cells))
            print(model, name, flush=True)


def report() -> str:
    """Over functions and draws, as markdown."""
    stored = {model: found for model in MODELS if (found := load(model))}
    shared = set.intersection(*map(set, stored.values())) if stored else set()
    stored = {
        model: {key: v for key, v in found.items() if key in shared}
        for model, found in stored.items()
    }
    parts = ["# Surrogates by what they predict", __doc__.split("\n\n", 1)[1].strip()]
    titles = (
        (
            "Log density of held-out values (more is better)",
            0,
            "+.2f",
            np.median,
        ),
        ("Log density, mean: a few fits that are too sure rule it", 0, "+.2f", np.mean),
        ("CRPS (less is better), mean", 1, ".3f", np.mean),
        ("Share inside the central 50 % band, mean", 2, ".0%", np.mean),
        ("Share inside the central 95 % band, mean", 3, ".0%", np.mean),
    )
    for title, column, form, reduce in titles:
        rows = []
        for model, found in stored.items():
            values = [
                reduce([v[column] for key, v in found.items() if key[1] == n])
                for n in SIZES
            ]
            count = f"{len(found) // (len(PROBLEMS) * len(SIZES))}"
            rows.append([model, count, *(format(v, form) for v in values)])
        head = ["model", "draws", *(f"n = {n}" for n in SIZES)]
        parts.append(f"## {title}\n\n{markdown(head, rows)}")
    rows = []
    for model, found in stored.items():
        by_problem = [
            np.mean([v[0] for key, v in found.items() if key[:2] == (name, 64)])
            for name in PROBLEMS
        ]
        seconds = np.median([v[4] for v in found.values()])
        cells = [f"{v:+.2f}" for v in by_problem]
        rows.append([model, *cells, f"{1e3 * seconds:.0f}"])
    head = ["model", *PROBLEMS, "CPU ms a fit, median"]
    parts.append(
        f"## Log density by function at n = 64, and time\n\n{markdown(head, rows)}"
    )
    names = ("jax", "scikit-learn", "numpyro")
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in names)
    parts.append(
        f"{versions}. Ours in double precision, padded to 64 rows; one thread."
    )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.surrogates")
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--models", help="names, with semicolons; default: all")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    arguments = parser.parse_args()
    models = arguments.models.split(";") if arguments.models else list(MODELS)
    for model in models:
        if model not in MODELS:
            sys.exit(f"--models: expected some of {'; '.join(MODELS)}, got {model!r}")
    if arguments.command == "run":
        run(models, arguments.seeds)
    else:
        text = report()
        print(text)
        (RESULTS / "surrogates.md").write_text(text)


if __name__ == "__main__":
    main()
