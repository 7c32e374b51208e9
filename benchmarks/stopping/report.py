"""What is stored, as tables."""

import csv

import numpy as np

from benchmarks.stopping import ours, sweep
from benchmarks.stopping.data import SETS
from benchmarks.stopping.peers import PEERS
from benchmarks.stopping.replay import NUM_TRIALS, SEEDS, Summary

RATES = (0.01, 0.02, 0.05, 0.1)
Settings = tuple[float, int, int]


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a rate."""
    if not n:
        return 0.0, 1.0
    rate, spread = successes / n, z * z / n
    center = (rate + spread / 2) / (1 + spread)
    half = z * np.sqrt(rate * (1 - rate) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, center - half), min(1.0, center + half)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _rate(false_stops: int, events: int) -> str:
    low, high = wilson(false_stops, events)
    rate = false_stops / max(1, events)
    return f"{100 * rate:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _ours(label: str, seeds: str) -> dict[Settings, dict[str, list[ours.Row]]]:
    """Rows by settings and set; settings that miss a set are left out."""
    found: dict[Settings, dict[str, list[ours.Row]]] = {}
    for task, row in ours.stored(label).items():
        if task.seed in SEEDS[seeds]:
            key = task.threshold, task.first, task.every
            found.setdefault(key, {}).setdefault(task.set, []).append(row)
    return {key: rows for key, rows in sorted(found.items()) if len(rows) == len(SETS)}


def _total(rows: list[ours.Row]) -> Summary:
    first, *rest = (row.summary for row in rows)
    return sum(rest, first)


def _lines(by_set: dict[str, Summary], fronts: dict) -> list[list[str]]:
    """A line for each set and one for all of them."""
    lines = []
    for sets in (*((name,) for name in SETS), SETS):
        summaries = [by_set[name] for name in sets]
        events = sum(summary.events for summary in summaries)
        false_stops = sum(summary.false_stops for summary in summaries)
        rate, saved = sweep.rate_and_saved(summaries)
        loss = np.mean([summary.loss / summary.studies for summary in summaries])
        lines.append(
            [
                sets[0] if len(sets) == 1 else "**all**",
                str(sum(summary.studies for summary in summaries)),
                str(events),
                str(false_stops),
                _rate(false_stops, events),
                _percent(saved),
                _percent(float(loss)),
                *(_percent(sweep.most_saved(fronts[p, sets], rate)) for p in PEERS),
            ]
        )
    return lines


def _write_fronts(fronts: dict[str, dict]) -> None:
    """The frontiers of the peers, as CSV: the points of a plot."""
    sweep.RESULTS.mkdir(parents=True, exist_ok=True)
    with (sweep.RESULTS / "frontiers.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("seeds", "peer", "set", "rate", "saved", "setting"))
        for seeds, by_peer in fronts.items():
            for (peer, sets), front in by_peer.items():
                name = sets[0] if len(sets) == 1 else "all"
                for rate, saved, setting in front:
                    numbers = f"{rate:.5f}", f"{saved:.5f}"
                    writer.writerow((seeds, peer, name, *numbers, setting))


def _under_test(label: str, seeds: str, fronts: dict) -> list[str]:
    head = ["set", "studies", "events", "false stops", "rate", "epochs saved", "loss"]
    parts = []
    for (threshold, first, every), rows in _ours(label, seeds).items():
        by_set = {name: _total(rows[name]) for name in SETS}
        every_row = [row for name in SETS for row in rows[name]]
        cost = sum(r.seconds for r in every_row) / sum(r.decisions for r in every_row)
        versions = sorted({row.versions for row in every_row})
        note = " **Rows of more than one version.**" if len(versions) > 1 else ""
        parts += [
            f"**{label}**, threshold {threshold:g}, asked from epoch {first} on, every "
            f"{every}; {1e3 * cost:.1f} ms a decision. Ran with {', '.join(versions)}."
            f"{note} The last columns: the most epochs that peers save at the same "
            "rate of false stops.",
            _table([*head, *PEERS], _lines(by_set, fronts)),
        ]
    return parts or [f"No studies of **{label}** are stored that cover every set."]


def _peers(fronts: dict) -> list[str]:
    rows = [
        [
            peer,
            name,
            *(_percent(sweep.most_saved(fronts[peer, sets], rate)) for rate in RATES),
            sweep.choice(fronts[peer, sets], 0.05),
        ]
        for name, sets in (("**all**", SETS), *((name, (name,)) for name in SETS))
        for peer in PEERS
    ]
    rates = [f"{100 * rate:g} %" for rate in RATES]
    return [
        "The most epochs that peers save, by their rate of false stops, and the "
        "setting that saves most at no more than 5 %:",
        _table(["peer", "set", *rates, "setting"], rows),
    ]


def _transfer() -> list[str]:
    rows = []
    for peer in PEERS:
        dev, acceptance = (sweep.load(peer, seeds) for seeds in SEEDS)
        setting = sweep.choice(sweep.frontier(dev), 0.05)
        if setting not in acceptance:
            continue
        summaries = [acceptance[setting][name] for name in SETS]
        events = sum(summary.events for summary in summaries)
        false_stops = sum(summary.false_stops for summary in summaries)
        loss = np.mean([summary.loss / summary.studies for summary in summaries])
        _, saved = sweep.rate_and_saved(summaries)
        cells = _rate(false_stops, events), _percent(saved), _percent(float(loss))
        rows.append([peer, setting, str(events), *cells])
    if not rows:
        return []
    return [
        "## Peers with settings chosen beforehand",
        "The setting that saves most at no more than 5 % of false stops over all sets "
        "of dev, measured on acceptance:",
        _table(["peer", "setting", "events", "rate", "epochs saved", "loss"], rows),
    ]


def report(labels: list[str]) -> str:
    """All tables, as markdown."""
    parts = [
        "# Stopping rules on recorded studies",
        "Made by `python -m benchmarks.stopping`; README.md has the protocol and what "
        "the columns mean.",
    ]
    every_front = {}
    for seeds, numbers in SEEDS.items():
        swept = {peer: sweep.load(peer, seeds) for peer in PEERS}
        if not all(swept.values()):
            continue
        fronts = {
            (peer, sets): sweep.frontier(swept[peer], sets)
            for peer in PEERS
            for sets in (*((name,) for name in SETS), SETS)
        }
        every_front[seeds] = fronts
        parts += [
            f"## Seeds: {seeds} ({numbers[0]} to {numbers[-1]}), {NUM_TRIALS} trials a "
            "study",
            *(part for label in labels for part in _under_test(label, seeds, fronts)),
            *_peers(fronts),
        ]
    _write_fronts(every_front)
    return "\n\n".join([*parts, *_transfer(), ""])
