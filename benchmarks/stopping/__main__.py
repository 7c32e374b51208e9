"""`python -m benchmarks.stopping`: replays what is not stored, writes RESULTS.md."""

import argparse
import json
import pathlib

from benchmarks.stopping import ours, sweep
from benchmarks.stopping.peers import PEERS
from benchmarks.stopping.replay import SEEDS
from benchmarks.stopping.report import report

_HERE = pathlib.Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stopping")
    parser.add_argument("--seeds", default="dev", help="dev, acceptance or both")
    parser.add_argument("--threshold", default="0.05", help="several with commas")
    parser.add_argument("--first", type=int, default=3, help="first epoch of decision")
    parser.add_argument("--every", type=int, default=1, help="epochs between decisions")
    parser.add_argument("--workers", type=int, default=1, choices=(1, 2))
    parser.add_argument("--rule", default="bojax.curves:PredictiveStopping")
    parser.add_argument(
        "--options", default="{}", help="more of its arguments, as JSON"
    )
    parser.add_argument("--label", default="bojax", help="its name in results/")
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="to sweep; none with an empty string"
    )
    parser.add_argument(
        "--check", action="store_true", help="compare the two forms of the peers"
    )
    parser.add_argument("--report", action="store_true", help="only write the tables")
    arguments = parser.parse_args()
    if arguments.check:
        print(f"{sweep.check()} studies agree")
        return
    seeds = arguments.seeds.split(",")
    if not set(seeds) <= set(SEEDS):
        parser.error(f"--seeds: expected some of {', '.join(SEEDS)}, got {seeds}")
    if not arguments.report:
        for part in seeds:
            for peer in filter(None, arguments.peers.split(",")):
                sweep.sweep(peer, part)
        if ours.find(arguments.rule) is None:
            print(f"{arguments.rule}: not there yet", flush=True)
        else:
            ours.run(
                arguments.rule,
                json.loads(arguments.options),
                arguments.label,
                [float(value) for value in arguments.threshold.split(",")],
                seeds,
                arguments.first,
                arguments.every,
                arguments.workers,
            )
    text = report([arguments.label])
    print(text)
    (_HERE / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
