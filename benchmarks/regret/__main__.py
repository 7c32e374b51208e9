"""`python -m benchmarks.regret run --strategies bojax,optuna-gp`, then `report`."""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import sys

from benchmarks.regret import scoring, store
from benchmarks.regret.peers import PEERS
from benchmarks.regret.report import report
from benchmarks.regret.runs import known, one_run
from benchmarks.regret.suites import SUITES, suite

_HERE = pathlib.Path(__file__).parent

Task = tuple[str, str, str, int]
"""Suite, strategy, problem, seed."""


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
            cases = suite(name)
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


def _keep(task: Task, record: store.Record) -> None:
    store.save(task[1], record)
    result = record.error or f"{record.chosen:.3g} {record.cpu_seconds:.1f} s"
    print(*task, result, flush=True)


def _run(arguments: argparse.Namespace) -> None:
    todo = tasks(arguments)
    print(f"{len(todo)} runs to do", flush=True)
    if arguments.workers == 1:
        for task in todo:
            _keep(task, one_run(*task))
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.workers, context) as pool:
        futures = {pool.submit(one_run, *task): task for task in todo}
        for future in concurrent.futures.as_completed(futures):
            _keep(futures[future], future.result())


def _report(arguments: argparse.Namespace) -> None:
    text = report(arguments.reference)
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
