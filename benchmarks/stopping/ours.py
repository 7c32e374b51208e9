"""The rule under test, one study at a time, each stored as it finishes."""

import concurrent.futures
import csv
import dataclasses
import hashlib
import importlib
import itertools
import multiprocessing
import pathlib

import bojax
from benchmarks.stopping.data import SETS, load
from benchmarks.stopping.replay import SEEDS, Summary, replay, scale, study

RESULTS = pathlib.Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Task:
    """A study, and the rule with its settings."""

    set: str
    seed: int
    threshold: float
    first: int
    every: int


@dataclasses.dataclass(frozen=True)
class Row:
    """A study that was replayed. `ends`, with the data, gives everything else."""

    task: Task
    summary: Summary
    decisions: int
    seconds: float
    versions: str
    ends: tuple[int, ...]


_TASK = [field.name for field in dataclasses.fields(Task)]
_SUMMARY = [field.name for field in dataclasses.fields(Summary)]
_FIELDS = (*_TASK, *_SUMMARY, "decisions", "seconds", "versions", "ends")


def _typed(cls: type, row: dict) -> dict:
    return {
        field.name: field.type(row[field.name]) for field in dataclasses.fields(cls)
    }


def stored(label: str) -> dict[Task, Row]:
    """The studies that were replayed under this label."""
    path = RESULTS / f"{label}.csv"
    if not path.exists():
        return {}
    found = {}
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            task = Task(**_typed(Task, row))
            found[task] = Row(
                task,
                Summary(**_typed(Summary, row)),
                int(row["decisions"]),
                float(row["seconds"]),
                row["versions"],
                tuple(map(int, row["ends"].split())),
            )
    return found


def _save(label: str, row: Row) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{label}.csv"
    new = not path.exists()
    summary = dataclasses.asdict(row.summary)
    summary["loss"] = f"{summary['loss']:.6g}"
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(_FIELDS)
        writer.writerow(
            (
                *dataclasses.astuple(row.task),
                *summary.values(),
                row.decisions,
                f"{row.seconds:.2f}",
                row.versions,
                " ".join(map(str, row.ends)),
            )
        )


def find(path: str):
    """The rule's class from "module:name"; None where there is no such thing yet."""
    module, name = path.split(":")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            return None
        raise


def _source() -> str:
    """A digest of the source of learning curves: which bojax it was that ran."""
    digest = hashlib.sha256()
    root = pathlib.Path(bojax.__file__).parent
    for path in sorted((root / "curves").rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


# Taken when this is imported: the source may be edited during a long series.
_SOURCE = _source()


def one_study(rule: str, options: dict, task: Task) -> Row:
    """Replays a study under a new instance of the rule."""
    horizon = load(task.set).shape[1]
    instance = find(rule)(horizon=horizon, threshold=task.threshold, **options)
    curves = study(task.set, task.seed)
    result = replay(curves, instance, task.first, task.every, scale(task.set))
    return Row(
        task,
        result.summary,
        result.decisions,
        result.seconds,
        f"{rule}@{_SOURCE}",
        tuple(map(int, result.ends)),
    )


def run(
    rule: str,
    options: dict,
    label: str,
    thresholds: list[float],
    seeds: list[str],
    first: int,
    every: int,
    workers: int,
) -> None:
    """Replays what is not stored yet."""
    done = stored(label)
    tasks = [
        Task(name, seed, threshold, first, every)
        for threshold, part in itertools.product(thresholds, seeds)
        for seed in SEEDS[part]
        for name in SETS
    ]
    tasks = [task for task in tasks if task not in done]
    print(f"{label}: {len(tasks)} studies to replay", flush=True)

    def keep(row: Row) -> None:
        _save(label, row)
        summary = row.summary
        print(
            f"{row.task.set} {row.task.seed} at {row.task.threshold:g}: "
            f"{summary.false_stops} of {summary.events} events stopped, "
            f"{summary.saved:.0%} saved, {row.seconds:.1f} s",
            flush=True,
        )

    if workers == 1:
        for task in tasks:
            keep(one_study(rule, options, task))
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        futures = [pool.submit(one_study, rule, options, task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            keep(future.result())
