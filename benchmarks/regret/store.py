"""Runs on disk: one CSV a strategy, one row a run, written as each run finishes."""

import csv
import dataclasses
import pathlib

import numpy as np

RESULTS = pathlib.Path(__file__).parent / "results"
_FIELDS = ("problem", "seed", "cpu_seconds", "versions", "regret")


@dataclasses.dataclass(frozen=True)
class Record:
    """One finished run.

    Args:
        regret: value minus optimum at each evaluation, to five digits.
    """

    problem: str
    seed: int
    cpu_seconds: float
    versions: str
    regret: np.ndarray


def load(
    strategy: str, folder: pathlib.Path = RESULTS
) -> dict[tuple[str, int], Record]:
    """The runs of a strategy, by problem and seed."""
    path = folder / f"{strategy}.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        return {
            (row["problem"], int(row["seed"])): Record(
                row["problem"],
                int(row["seed"]),
                float(row["cpu_seconds"]),
                row["versions"],
                np.array([float(value) for value in row["regret"].split()]),
            )
            for row in csv.DictReader(stream)
        }


def save(strategy: str, record: Record, folder: pathlib.Path = RESULTS) -> None:
    """Append a run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{strategy}.csv"
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(_FIELDS)
        regret = " ".join(f"{value:.5g}" for value in record.regret)
        writer.writerow(
            (
                record.problem,
                record.seed,
                f"{record.cpu_seconds:.2f}",
                record.versions,
                regret,
            )
        )
