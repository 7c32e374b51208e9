"""`python -m benchmarks.regret run --strategies random --seeds dev`, then `report`."""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import sys

from benchmarks.regret import store
from benchmarks.regret.contenders import CONTENDERS
from benchmarks.regret.peers import PEERS, missing
from benchmarks.regret.protocol import PROBLEMS, SEEDS
from benchmarks.regret.report import report
from benchmarks.regret.runs import one_run

_HERE = pathlib.Path(__file__).parent


def _run(arguments: argparse.Namespace) -> None:
    tasks = []
    for strategy in arguments.strategies.split(","):
        if strategy not in PEERS and strategy not in CONTENDERS:
            known = ", ".join((*CONTENDERS, *PEERS))
            sys.exit(f"--strategies: expected some of {known}, got {strategy!r}")
        if strategy in PEERS and (lacking := missing(PEERS[strategy][1])):
            print(f"{strategy}: not installed: {', '.join(lacking)}", flush=True)
            continue
        done = store.load(strategy)
        tasks += [
            (strategy, name, seed)
            for name in arguments.problems.split(",")
            for seeds in arguments.seeds.split(",")
            for seed in SEEDS[seeds]
            if (name, seed) not in done
        ]
    tasks = list(dict.fromkeys(tasks))
    print(f"{len(tasks)} runs to do", flush=True)

    def keep(task: tuple[str, str, int], record: store.Record) -> None:
        store.save(task[0], record)
        print(
            *task,
            f"{record.regret.min():.3g}",
            f"{record.cpu_seconds:.1f} s",
            flush=True,
        )

    if arguments.workers == 1:
        for task in tasks:
            keep(task, one_run(*task))
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.workers, context) as pool:
        futures = {pool.submit(one_run, *task): task for task in tasks}
        for future in concurrent.futures.as_completed(futures):
            keep(futures[future], future.result())


def _report(arguments: argparse.Namespace) -> None:
    text = report(arguments.reference)
    print(text)
    (_HERE / "RESULTS.md").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="do the runs that are not stored yet")
    run.add_argument("--strategies", required=True, help="names, with commas")
    run.add_argument("--seeds", default="dev", help="dev, acceptance or dev,acceptance")
    run.add_argument("--problems", default=",".join(PROBLEMS))
    run.add_argument("--workers", type=int, default=1, choices=(1, 2))
    run.set_defaults(command=_run)
    tables = commands.add_parser("report", help="write RESULTS.md")
    tables.add_argument("--reference", default="optuna-gp")
    tables.set_defaults(command=_report)
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
