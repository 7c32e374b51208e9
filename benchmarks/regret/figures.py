"""Regret against evaluations and against seconds, a line a contender."""

import pathlib
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

_SHARES = np.linspace(0.05, 1, 39)


def _mean(by_problem: list[list[np.ndarray]], where: Callable) -> float:
    """Mean over problems of the mean over their curves, each read at an index."""
    means = [np.mean([c[where(c)] for c in curves]) for curves in by_problem]
    return float(np.mean(means))


def draw(runs, path: pathlib.Path) -> None:
    """Mean over problems of the mean of log10 regret, of those who ran every problem.

    Against seconds, a contender is drawn from when half of its runs have begun to
    when half have ended, each run standing still where it has ended.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for contender in runs.broad:
        records = runs.records[contender]
        at = [
            _mean(runs.curves(contender), lambda c, s=s: max(round(s * len(c)), 1) - 1)
            for s in _SHARES
        ]
        (line,) = left.plot(_SHARES, at, label=f"{contender} ({len(records)} runs)")
        timed: dict[str, list] = {}
        for (problem, _), record in records.items():
            if len(record.seconds) == len(record.regret):
                curve = runs.problems[problem](record.regret)
                timed.setdefault(problem, []).append((curve, record.seconds))
        if len(timed) < len(runs.problems):
            continue
        ends = [s[-1] for pairs in timed.values() for _, s in pairs]
        first = [s[len(s) // 5] for pairs in timed.values() for _, s in pairs]
        clock = np.geomspace(max(np.median(first), 1e-3), max(np.median(ends), 2e-3))
        at = [
            [
                np.mean(
                    [c[max(np.searchsorted(s, t, "right"), 1) - 1] for c, s in pairs]
                )
                for t in clock
            ]
            for pairs in timed.values()
        ]
        values = np.mean(at, axis=0)
        right.plot(clock, values, color=line.get_color())
    left.set(xlabel="share of the budget", ylabel="mean of log10 regret")
    right.set(xlabel="CPU seconds of the contender", xscale="log")
    left.legend(fontsize=7)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
