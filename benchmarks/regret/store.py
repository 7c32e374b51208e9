"""Runs on disk: one CSV a strategy, one row a run, written as each run finishes."""

import dataclasses
import pathlib

import numpy as np

from benchmarks import rows as csv_rows

RESULTS = pathlib.Path(__file__).parent / "results"
_FIELDS = (
    "problem",
    "seed",
    "cpu_seconds",
    "versions",
    "error",
    "chosen",
    "regret",
    "seconds",
)


@dataclasses.dataclass(frozen=True)
class Record:
    """One finished run, or one that failed.

    Args:
        cpu_seconds: of the contender, evaluations apart.
        regret: of the least value so far, at each evaluation, to five digits.
        chosen: of the point that the contender goes home with.
        seconds: those of CPU before each evaluation; empty in runs of old.
        error: what went wrong; such a run is done again.
    """

    problem: str
    seed: int
    cpu_seconds: float
    versions: str
    regret: np.ndarray
    chosen: float
    seconds: np.ndarray
    error: str = ""


def _record(row: dict[str, str]) -> Record:
    regret = np.array([float(value) for value in row["regret"].split()])
    # Once the value of each evaluation was stored, and the choice was the least.
    if not row["chosen"]:
        regret = np.minimum.accumulate(regret)
    chosen = row["chosen"] or (regret[-1] if len(regret) else "nan")
    return Record(
        row["problem"],
        int(row["seed"]),
        float(row["cpu_seconds"]),
        row["versions"],
        regret,
        float(chosen),
        np.array([float(value) for value in row["seconds"].split()]),
        row["error"],
    )


def rows(strategy: str, folder: pathlib.Path = RESULTS) -> list[Record]:
    """All rows of a strategy, failures among them; a row torn off is left out."""
    return [_record(row) for row in csv_rows.read(folder / f"{strategy}.csv")]


def load(
    strategy: str, folder: pathlib.Path = RESULTS
) -> dict[tuple[str, int], Record]:
    """The runs of a strategy that succeeded, by problem and seed; the last counts."""
    return {
        (record.problem, record.seed): record
        for record in rows(strategy, folder)
        if not record.error
    }


def failures(
    strategy: str, folder: pathlib.Path = RESULTS
) -> dict[tuple[str, int], str]:
    """What went wrong, by problem and seed, where no run has succeeded since."""
    succeeded = load(strategy, folder)
    return {
        (record.problem, record.seed): record.error
        for record in rows(strategy, folder)
        if record.error and (record.problem, record.seed) not in succeeded
    }


def save(strategy: str, record: Record, folder: pathlib.Path = RESULTS) -> None:
    """Append a run."""
    csv_rows.append(
        folder / f"{strategy}.csv",
        _FIELDS,
        (
            record.problem,
            record.seed,
            f"{record.cpu_seconds:.2f}",
            record.versions,
            record.error,
            f"{record.chosen:.5g}",
            " ".join(f"{value:.5g}" for value in record.regret),
            " ".join(f"{value:.3g}" for value in record.seconds),
        ),
    )
