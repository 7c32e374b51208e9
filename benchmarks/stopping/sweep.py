"""The peers over all their settings: false stops against epochs saved."""

import csv
import dataclasses
import pathlib
import time

import numpy as np

from benchmarks.stopping.data import SETS
from benchmarks.stopping.peers import PEERS, build, settings
from benchmarks.stopping.replay import SEEDS, Summary, replay, scale, study

RESULTS = pathlib.Path(__file__).parent / "results"
_FIELDS = ("seeds", "setting", "set", *(f.name for f in dataclasses.fields(Summary)))
_COUNTS = ("events", "false_stops", "epochs", "full", "studies")

Swept = dict[str, dict[str, Summary]]
"""Setting in words -> set -> summary over the studies."""


def words(setting: dict) -> str:
    return " ".join(f"{name}={value:g}" for name, value in setting.items())


def _path(peer: str) -> pathlib.Path:
    return RESULTS / f"peer-{peer}.csv"


def load(peer: str, seeds: str) -> Swept:
    """What is stored of a peer's sweep."""
    found: Swept = {}
    if not _path(peer).exists():
        return found
    with _path(peer).open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["seeds"] == seeds:
                counts = {name: int(row[name]) for name in _COUNTS}
                found.setdefault(row["setting"], {})[row["set"]] = Summary(
                    loss=float(row["loss"]), **counts
                )
    return found


def sweep(peer: str, seeds: str) -> None:
    """Replays what is not stored yet, one set at a time."""
    done = load(peer, seeds)
    for name in SETS:
        todo = [s for s in settings(peer) if name not in done.get(words(s), {})]
        if not todo:
            continue
        start = time.perf_counter()
        studies, unit = [study(name, seed) for seed in SEEDS[seeds]], scale(name)
        rows = []
        for setting in todo:
            rule = build(peer, setting, studies[0].shape[1])
            first, *rest = (
                replay(curves, rule, scale=unit).summary for curves in studies
            )
            total = dataclasses.asdict(sum(rest, first))
            total["loss"] = f"{total['loss']:.6g}"
            rows.append((seeds, words(setting), name, *total.values()))
        RESULTS.mkdir(parents=True, exist_ok=True)
        new = not _path(peer).exists()
        with _path(peer).open("a", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerows([_FIELDS] * new + rows)
        took = time.perf_counter() - start
        print(f"{peer} {seeds} {name}: {len(todo)} settings, {took:.0f} s", flush=True)


def rate_and_saved(summaries: list[Summary]) -> tuple[float, float]:
    """Rate of false stops over all events; mean over sets of the epochs saved."""
    events = sum(summary.events for summary in summaries)
    false_stops = sum(summary.false_stops for summary in summaries)
    saved = float(np.mean([summary.saved for summary in summaries]))
    return false_stops / max(1, events), saved


def frontier(
    swept: Swept, sets: tuple[str, ...] = SETS
) -> list[tuple[float, float, str]]:
    """(rate of false stops, share saved, setting), the best only, by rate.

    It begins where nothing is ever stopped.
    """
    points = [
        (*rate_and_saved([by_set[name] for name in sets]), setting)
        for setting, by_set in swept.items()
        if all(name in by_set for name in sets)
    ]
    front = [(0.0, 0.0, "never")]
    for rate, saved, setting in sorted(points, key=lambda point: (point[0], -point[1])):
        if saved > front[-1][1]:
            front.append((rate, saved, setting))
    return front


def most_saved(front: list[tuple[float, float, str]], rate: float) -> float:
    """The most epochs saved at this rate of false stops, between settings linear.

    Where several settings have the same rate the front has the best of them last.
    """
    rates, saved, _ = zip(*front, strict=True)
    index = int(np.searchsorted(rates, rate, side="right"))
    if index == len(rates):
        return saved[-1]
    part = (rate - rates[index - 1]) / (rates[index] - rates[index - 1])
    return saved[index - 1] + part * (saved[index] - saved[index - 1])


def choice(front: list[tuple[float, float, str]], rate: float) -> str:
    """The setting that saves most with no more false stops than this."""
    return [setting for found, _, setting in front if found <= rate][-1]


def check(num_trials: int = 12) -> int:
    """Compares `first_stop` with `decide` on small studies; returns how many."""
    count = 0
    for peer in PEERS:
        for name in SETS:
            curves = study(name, 7, num_trials)
            for setting in settings(peer)[::7]:
                rule = build(peer, setting, curves.shape[1])
                quick, slow = (replay(curves, rule, quick=q) for q in (True, False))
                if not np.array_equal(quick.ends, slow.ends):
                    raise AssertionError(f"{rule} on {name}: {quick.ends} {slow.ends}")
                count += 1
    return count
