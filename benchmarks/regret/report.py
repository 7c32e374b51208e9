"""The stored runs as tables and figures: ranks, tests, regret against what it cost."""

import pathlib

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.regret import figures, scoring, store
from benchmarks.regret.contenders import CONTENDERS, VARIANTS
from benchmarks.regret.defaults import choice, difference
from benchmarks.regret.gathered import FEW, Runs
from benchmarks.regret.peers import PEERS, TOLD
from benchmarks.regret.suites import SUITES
from benchmarks.statistics import holm, mean_interval, ranks, wilcoxon

_FIGURES = pathlib.Path(__file__).parent / "results"
_OURS = tuple(name for name in CONTENDERS if name not in VARIANTS)
_RANKED = tuple(name for name in PEERS if name not in TOLD.values())


def mean_ranks(runs: Runs, contenders: list[str]) -> str:
    """Mean rank among some contenders, on the runs that all of them did."""
    tables = runs.paired(contenders)
    count = sum(map(len, tables.values()))
    if len(contenders) < 2 or not count:
        return ""
    ranked = {problem: ranks(scores) for problem, scores in tables.items()}
    groups = list(runs.groups(ranked).values())
    mean, (low, high) = mean_interval(groups)
    score, _ = mean_interval(list(runs.groups(tables).values()))
    rows = []
    for i in np.argsort(mean):
        # Of one run each there is nothing to resample.
        within = f" [{low[i]:.2f}, {high[i]:.2f}]" if min(map(len, groups)) > 1 else ""
        rows.append([contenders[i], f"{mean[i]:.2f}{within}", f"{score[i]:+.2f}"])
    head = ["contender", "mean rank [95 %]", "mean of log10 regret"]
    title = (
        f"Mean rank among {len(contenders)}, on the {count} runs of "
        f"{len(tables)} problems that all of them did:"
    )
    return f"{title}\n\n{markdown(head, rows)}"


def tests(runs: Runs, reference: str, contenders: list[str]) -> str:
    """Each contender against the reference on each group, by paired differences."""
    differences: dict[tuple[str, str], np.ndarray] = {}
    names: dict[str, None] = {}
    for contender in contenders:
        tables = runs.paired([reference, contender])
        for group, scores in runs.groups(tables).items():
            names.setdefault(group)
            difference = scores[:, 0] - scores[:, 1]
            differences[group, contender] = difference
    tested = [key for key, pairs in differences.items() if len(pairs) >= FEW]
    if not differences:
        return ""
    contenders = [c for c in contenders if any(c == other for _, other in differences)]
    p = holm(np.array([wilcoxon(differences[key]) for key in tested]))
    adjusted = dict(zip(tested, p, strict=True))

    def cell(group: str, contender: str) -> str:
        key = group, contender
        if key not in differences:
            return "-"
        mean, count = differences[key].mean(), len(differences[key])
        if key not in adjusted:
            return f"{mean:+.2f} (n {count})"
        text = f"**{mean:+.2f}**" if adjusted[key] < 0.05 else f"{mean:+.2f}"
        return f"{text} (p {adjusted[key]:.2g}, n {count})"

    rows = [[group, *(cell(group, c) for c in contenders)] for group in names]
    means, sums = [], []
    for contender in contenders:
        each = [
            pairs[:, None] for key, pairs in differences.items() if key[1] == contender
        ]
        mean, (low, high) = mean_interval(each)
        within = f" [{low[0]:+.2f}, {high[0]:+.2f}]" if min(map(len, each)) > 1 else ""
        means.append(f"{mean[0]:+.2f}{within}")
        mine = [key for key in tested if key[1] == contender]
        sure = [np.sign(differences[k].mean()) for k in mine if adjusted[k] < 0.05]
        sums.append(f"{sure.count(-1)} / {len(mine) - len(sure)} / {sure.count(1)}")
    rows.append(["mean of these [95 %]", *means])
    rows.append([f"{reference} better / not told apart / worse", *sums])
    title = (
        f"{reference} less the other, mean difference of log10 regret over paired runs "
        f"(below zero: {reference} is better), p of Wilcoxon's signed-rank test with "
        f"Holm's correction over the {len(tested)} tests of this table, none of fewer "
        f"than {FEW} pairs; bold under 0.05:"
    )
    return f"{title}\n\n{markdown(['', *contenders], rows)}"


def told(suite: str, reference: str) -> str:
    """What it is worth to peers to be told that values are exact."""
    runs = Runs(suite, (reference, *TOLD, *TOLD.values()))
    rows = [
        [peer, difference(runs, other, peer), difference(runs, reference, other)]
        for peer, other in TOLD.items()
        if other in runs.records
    ]
    if not rows:
        return ""
    title = (
        f"These learn how much noise there is, as {reference} does. Told that there is "
        "none: mean difference of log10 regret with its 95 % bootstrap interval, bold "
        "where it does not hold zero, and the number of runs:"
    )
    head = ["peer", "told less not told", f"{reference} less the one told"]
    return f"{title}\n\n{markdown(head, rows)}"


def medians(runs: Runs) -> str:
    """Median final regret by problem; over functions where instances are few."""
    contenders = list(runs.scores)
    tables = {c: runs.paired([c]) for c in contenders}
    if len(runs.seeds) >= FEW:
        rows = []
        for problem in runs.problems:
            row = [problem]
            for c in contenders:
                scores = tables[c].get(problem, np.zeros(0))
                few = f" ({len(scores)})" if len(scores) < len(runs.seeds) else ""
                found = f"{10 ** np.median(scores):.2g}{few}" if len(scores) else "-"
                row.append(found)
            rows.append(row)
        title = (
            "Median final regret (of as many seeds as stand in brackets, if not all):"
        )
    else:
        by_dimension: dict[int, list[str]] = {}
        for problem, score in runs.problems.items():
            by_dimension.setdefault(score.dimensions, []).append(problem)
        rows = []
        for d, problems in by_dimension.items():
            row = [f"{d} dimensions, {len(problems)} functions"]
            for c in contenders:
                scores = [np.median(tables[c][p]) for p in problems if p in tables[c]]
                few = f" ({len(scores)})" if len(scores) < len(problems) else ""
                row.append(f"{np.mean(scores):+.2f}{few}" if scores else "-")
            rows.append(row)
        title = (
            "Mean over the functions of log10 of the median gap (of fewer functions "
            "where a number stands in brackets):"
        )
    return f"{title}\n\n{markdown(['', *contenders], rows)}"


def costs(runs: Runs) -> str:
    """Log regret on the way: after shares of the budget, and what a run takes."""
    shares = (0.25, 0.5, 0.75, 1.0)
    rows = []
    for contender, records in runs.records.items():
        by_problem = runs.curves(contender)
        cells = ["-"] * len(shares)
        if len(by_problem) == len(runs.problems):
            at = [
                [np.mean([c[round(s * len(c)) - 1] for c in curves]) for s in shares]
                for curves in by_problem
            ]
            cells = [f"{value:+.2f}" for value in np.mean(at, axis=0)]
        seconds = [record.cpu_seconds for record in records.values()]
        rows.append([contender, str(len(records)), *cells, f"{np.median(seconds):.2g}"])
    head = ["contender", "runs", *(f"{s:.0%}" for s in shares), "CPU s a run"]
    title = (
        "Mean over problems of the mean of log10 of the regret of the least value so "
        "far, after shares of the budget, of those who ran every problem, and CPU "
        "seconds of a run at the median (of compilation, once for all problems of a "
        "size, it knows nothing):"
    )
    return f"{title}\n\n{markdown(head, rows)}"


def failed(suite: str) -> str:
    """Peers that were not run, and runs that failed."""
    lines = []
    problems = scoring.load(suite)
    for name in PEERS:
        stored = [key for key in store.load(name) if key[0] in problems]
        errors = {k: e for k, e in store.failures(name).items() if k[0] in problems}
        if errors:
            (problem, seed), error = next(iter(errors.items()))
            lines.append(
                f"- {name}: {len(errors)} runs failed; {problem}, {seed}: {error}"
            )
        elif not stored and name in _RANKED:
            lines.append(f"- {name}: not run on this suite")
    return "\n".join(lines)


def section(name: str, reference: str) -> str:
    """All of one suite, as markdown; its figure is written beside."""
    title = f"## {name}\n\n{SUITES[name][2]}"
    runs = Runs(name, (reference, *(p for p in _RANKED if p != reference)))
    least = Runs(name, tuple(runs.scores), chosen=False)
    own = Runs(name, _OURS)
    if not runs.records:
        return f"{title} No runs."
    others = [c for c in runs.records if c != reference]
    parts = [title]
    parts += [mean_ranks(runs, contenders) for contenders in runs.circles]
    if any(least.scores[c] != runs.scores[c] for c in runs.scores):
        parts.append(
            "The same where all are scored by the point of the least value measured:"
        )
        parts.append(mean_ranks(least, least.complete))
    if reference in runs.records:
        parts.append(tests(runs, reference, others))
    parts += [told(name, reference), medians(runs), costs(runs)]
    figures.draw(runs, _FIGURES / f"{name}.png")
    parts.append(f"![Regret against evaluations and seconds](results/{name}.png)")
    if len(own.complete) > 1:
        parts += ["### Our own strategies", mean_ranks(own, own.complete), costs(own)]
    parts.append(failed(name))
    return "\n\n".join(filter(None, parts))


def notes() -> str:
    """Versions and settings."""
    lines = []
    for name in (*_OURS, *PEERS):
        records = store.load(name).values()
        seen = sorted({record.versions for record in records})
        words = [PEERS[name].settings] if name in PEERS else []
        words.append("Ran with " + "; ".join(seen) if seen else "No runs")
        lines.append(f"- {name}: {'. '.join(words)}.")
    return "\n".join(lines)


def report(reference: str = "bojax") -> str:
    """All tables, as markdown."""
    return "\n\n".join(
        [
            "# Head to head",
            "Made by `python -m benchmarks.regret report`; README.md has the protocol.",
            *(section(name, reference) for name in SUITES),
            choice(),
            "## Versions and settings",
            notes(),
            "",
        ]
    )
