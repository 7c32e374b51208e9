"""The ablation: what the defaults were chosen among, and what each choice is worth."""

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.regret import store
from benchmarks.regret.contenders import CHOICES, DEFAULT, VARIANTS
from benchmarks.regret.gathered import Runs
from benchmarks.statistics import mean_interval


def difference(runs: Runs, first: str, second: str) -> str:
    """One contender less another, over the runs that both did."""
    if not {first, second} <= set(runs.scores):
        return "-"
    tables = runs.paired([first, second])
    pairs = {name: rows[:, :1] - rows[:, 1:] for name, rows in tables.items()}
    if not pairs:
        return "-"
    groups = list(runs.groups(pairs).values())
    mean, (low, high) = mean_interval(groups)
    text = f"{mean[0]:+.2f}"
    # Of one run each there is nothing to resample.
    if min(map(len, groups)) > 1:
        text += f" [{low[0]:+.2f}, {high[0]:+.2f}]"
        text = f"**{text}**" if low[0] > 0 or high[0] < 0 else text
    return f"{text} ({sum(map(len, pairs.values()))})"


def _means(runs: Runs) -> str:
    """What each reached, function by function."""
    head = ["", *runs.problems]
    rows = []
    for variant, scores in runs.scores.items():
        row = [variant]
        for problem in runs.problems:
            mine = [scores[problem, s] for s in runs.seeds if (problem, s) in scores]
            row.append(f"{np.mean(mine):.2f}" if mine else "-")
        rows.append(row)
    return markdown(head, rows)


def choice() -> str:
    """The ablation, as markdown."""
    chosen = Runs("hpolib", tuple(VARIANTS), "dev")
    confirmed = Runs("bbob", tuple(VARIANTS))
    rows = [
        [what, variant, *(difference(r, variant, DEFAULT) for r in (chosen, confirmed))]
        for what, variants in CHOICES.items()
        for variant in variants
    ]
    sources = sorted({r.versions for v in VARIANTS for r in store.load(v).values()})
    return "\n\n".join(
        [
            "## How the defaults were chosen",
            "What is lost by another choice: mean of log10 regret of the variant less "
            "that of the default over the runs that both did (their number in "
            "brackets), with its 95 % bootstrap interval; above zero the default is "
            "better, bold where the interval does not hold zero. No interval is "
            "corrected for how many there are, and those of a few seeds are too "
            "narrow: a bold figure by itself is a hint. Choices were made on the first "
            "seeds of dev of hpolib; bbob shows what they are worth on functions that "
            "were not looked at before, and some are worth nothing there. The table by "
            "function says where a difference comes from: a single one can make it.",
            markdown(["choice", "variant", "hpolib, dev", "bbob"], rows),
            "Mean of log10 regret by function, on the seeds of dev:",
            _means(chosen),
            "Ran with " + "; ".join(sources) + "." if sources else "",
        ]
    )
