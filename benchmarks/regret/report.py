"""The stored runs as tables: medians, means of log regret, paired differences."""

import numpy as np

from benchmarks.regret import store
from benchmarks.regret.contenders import CONTENDERS, VARIANTS
from benchmarks.regret.peers import PEERS, missing
from benchmarks.regret.protocol import NUM_TRIALS, PROBLEMS, SEEDS, log_regret
from bojax import problems

_RESAMPLES = 20_000


def final(strategy: str, problem: str, seeds: range) -> dict[int, float]:
    """Regret after the last evaluation, by seed."""
    runs = store.load(strategy)
    return {
        seed: float(np.min(runs[problem, seed].regret[:NUM_TRIALS]))
        for seed in seeds
        if (problem, seed) in runs
    }


def paired(strategy: str, reference: str, problem: str, seeds: range) -> np.ndarray:
    """Differences of log10 regret on the seeds that both have run."""
    ours, theirs = (final(name, problem, seeds) for name in (strategy, reference))
    both = sorted(ours.keys() & theirs.keys())
    known = problems.get(problem)
    return log_regret(known, np.array([ours[seed] for seed in both])) - log_regret(
        known, np.array([theirs[seed] for seed in both])
    )


def interval(differences: list[np.ndarray]) -> tuple[float, float, float]:
    """Mean over the arrays of their means, with its 95 % bootstrap interval.

    Seeds are resampled within each array: those of two functions are unrelated.
    """
    rng = np.random.default_rng(0)
    means = np.mean(
        [
            values[rng.integers(len(values), size=(_RESAMPLES, len(values)))].mean(
                axis=1
            )
            for values in differences
        ],
        axis=0,
    )
    low, high = np.quantile(means, (0.025, 0.975))
    return float(np.mean([values.mean() for values in differences])), low, high


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(strategy: str, problem: str, seeds: range, kind: str) -> str:
    values = np.array(list(final(strategy, problem, seeds).values()))
    if not len(values):
        return "-"
    number = (
        f"{np.median(values):.2g}"
        if kind == "median"
        else f"{log_regret(problems.get(problem), values).mean():.2f}"
    )
    return number if len(values) == len(seeds) else f"{number} ({len(values)} seeds)"


def _difference(strategy: str, reference: str, names: list[str], seeds: range) -> str:
    differences = [paired(strategy, reference, name, seeds) for name in names]
    if not all(map(len, differences)):
        return "-"
    mean, low, high = interval(differences)
    text = f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
    fewest = min(map(len, differences))
    return text if fewest == len(seeds) else f"{text} ({fewest} seeds)"


def section(seeds: str, strategies: list[str], reference: str) -> str:
    """The tables of one set of seeds, as markdown."""
    numbers, names = SEEDS[seeds], list(PROBLEMS)
    rows = {
        kind: [
            [strategy, *(_cell(strategy, name, numbers, kind) for name in names)]
            for strategy in strategies
        ]
        for kind in ("median", "mean")
    }
    differences = [
        [
            strategy,
            *(_difference(strategy, reference, [name], numbers) for name in names),
            _difference(strategy, reference, names, numbers),
        ]
        for strategy in strategies
        if strategy != reference
    ]
    parts = [
        f"## Seeds: {seeds} ({numbers[0]} to {numbers[-1]})",
        f"Median simple regret after {NUM_TRIALS} evaluations:",
        _table(["strategy", *names], rows["median"]),
        "Mean of log10 of simple regret:",
        _table(["strategy", *names], rows["mean"]),
        f"Difference of log10 regret to {reference}, paired by seed, with its 95 % "
        "bootstrap interval; below zero is better than the reference:",
        _table(["strategy", *names, "mean over all"], differences),
    ]
    return "\n\n".join(parts)


def choice() -> str:
    """The table by which the priors and the outcome's transform were chosen."""
    seeds, names = SEEDS["dev"], list(dict.fromkeys((*PROBLEMS, *problems.HPOLIB)))
    variants = [name for name in CONTENDERS if name in VARIANTS and store.load(name)]
    means = {
        (variant, name): log_regret(
            problems.get(name), np.array(list(final(variant, name, seeds).values()))
        ).mean()
        for variant in variants
        for name in names
        if final(variant, name, seeds)
    }
    rows = [
        [name, *(f"{means.get((variant, name), np.nan):.2f}" for variant in variants)]
        for name in names
    ]
    total = [
        np.mean([means.get((variant, name), np.nan) for name in names])
        for variant in variants
    ]
    rows.append(["mean over all", *(f"{value:.2f}" for value in total)])
    return "\n\n".join(
        [
            "## How the defaults were chosen",
            "Mean of log10 of simple regret after 60 evaluations over the 20 seeds of "
            "dev. Outcomes are transformed by Yeo and Johnson's map, except in "
            "bojax-plain-outcome, which has Optuna's priors.",
            _table(["function", *variants], rows),
        ]
    )


def _notes(strategies: list[str]) -> str:
    lines = []
    for name in strategies:
        runs = store.load(name).values()
        seen = sorted({record.versions for record in runs})
        words = [PEERS[name][2]] if name in PEERS else []
        if name in PEERS and (lacking := missing(PEERS[name][1])):
            words.append(f"not installed here: {', '.join(lacking)}")
        words.append("ran with " + "; ".join(seen) if seen else "no runs")
        if len(seen) > 1:
            words.append("**rows of more than one version**")
        seconds = [record.cpu_seconds for record in runs]
        if seconds:
            words.append(f"{np.median(seconds):.2g} s of CPU a run at the median")
        lines.append(f"- {name}: {'. '.join(words)}.")
    return "\n".join(lines)


def report(reference: str = "optuna-gp") -> str:
    """All tables, as markdown."""
    ours = [name for name in CONTENDERS if name not in VARIANTS]
    strategies = [name for name in (*ours, *PEERS) if store.load(name)]
    strategies += [name for name in PEERS if name not in strategies]
    return "\n\n".join(
        [
            "# Simple regret after 60 evaluations",
            "Made by `python -m benchmarks.regret report`; README.md has the protocol.",
            *(section(seeds, strategies, reference) for seeds in SEEDS),
            choice(),
            "## Versions and settings",
            _notes(strategies),
            "",
        ]
    )
