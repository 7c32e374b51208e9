"""`python -m benchmarks.regret run --strategies bojax,optuna-gp`, then `report`."""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.regret import scoring, store
from benchmarks.regret.peers import PEERS
from benchmarks.regret.report import report
from benchmarks.regret.runs import cases_of, known, one_run
from benchmarks.regret.suites import SUITES

_HERE = pathlib.Path(__file__).parent

Task = tuple[str, str, str, int]
"""Suite, strategy, problem, seed."""

_keeping = threading.Lock()


def chosen(given: str | None, names: tuple[str, ...], option: str) -> list[str]:
    """Names from the command line; all of them if none is given."""
    picked = list(names) if given is None else given.split(",")
    for name in picked:
        if name not in names:
            sys.exit(f"{option}: expected some of {', '.join(names)}, got {name!r}")
    return picked


def tasks(arguments: argparse.Namespace) -> list[Task]:
    """The runs that are not stored yet, seed by seed."""
    found = []
    strategies = chosen(arguments.strategies, known(), "--strategies")
    for name in chosen(arguments.suites, tuple(SUITES), "--suites"):
        try:
            cases = cases_of(name)
            scoring.keep(name, cases)
        except (ValueError, FileNotFoundError) as e:
            sys.exit(f"--suites: {name}: {e}")
        problems = chosen(arguments.problems, tuple(cases), "--problems")
        sets = SUITES[name][1]
        seeds = [
            seed
            for key in chosen(arguments.seeds, tuple(sets), "--seeds")
            for seed in list(sets[key])[: arguments.first]
        ]
        for strategy in strategies:
            if strategy in PEERS and (lacking := PEERS[strategy].missing):
                print(f"{strategy}: not installed: {', '.join(lacking)}", flush=True)
                continue
            done = store.load(strategy)
            found += [
                (name, strategy, problem, seed)
                for seed in seeds
                for problem in problems
                if (problem, seed) not in done
            ]
    return found


def shares(todo: list[Task]) -> list[list[Task]]:
    """What one process does in a row: ours compile once for a strategy and a space."""
    found: dict[Any, list[Task]] = {}
    for task in todo:
        suite, strategy, problem, _ = task
        peer = strategy in PEERS
        share = task if peer else (strategy, cases_of(suite)[problem].space)
        found.setdefault(share, []).append(task)
    return list(found.values())


def _keep(task: Task, record: store.Record) -> None:
    result = record.error or f"{record.chosen:.3g} {record.cpu_seconds:.1f} s"
    with _keeping:
        store.save(task[1], record)
        print(*task, result, flush=True)


def _run(arguments: argparse.Namespace) -> None:
    todo = tasks(arguments)
    began = time.monotonic()
    print(f"{len(todo)} runs to do", flush=True)
    _do(todo, arguments.workers)
    print(f"{len(todo)} runs in {time.monotonic() - began:.0f} s", flush=True)


def _do(todo: list[Task], workers: int) -> None:
    if workers == 1:
        for task in todo:
            _keep(task, one_run(*task))
        return
    left = iter(shares(todo))
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        futures = [threads.submit(_work, left) for _ in range(workers)]
        for future in concurrent.futures.as_completed(futures):
            future.result()


def _work(left: Iterator[list[Task]]) -> None:
    """Does shares in a process of its own until none is left."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as process:
        for share in left:
            for task in share:
                _keep(task, process.submit(one_run, *task).result())


def _report(arguments: argparse.Namespace) -> None:
    (reference,) = chosen(arguments.reference, known(), "--reference")
    text = report(reference)
    print(text)
    (_HERE / "RESULTS.md").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="do the runs that are not stored yet")
    run.add_argument("--suites", default="hpolib", help="names, with commas")
    run.add_argument("--strategies", help="names, with commas; default: all")
    run.add_argument("--seeds", default="acceptance", help="acceptance, or dev")
    run.add_argument("--first", type=int, help="how many of the seeds; default: all")
    run.add_argument("--problems", help="names, with commas; default: all of a suite")
    run.add_argument("--workers", type=int, default=1, choices=(1, 2))
    run.set_defaults(command=_run)
    tables = commands.add_parser("report", help="write RESULTS.md and the figures")
    tables.add_argument("--reference", default="bojax")
    tables.set_defaults(command=_report)
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
