"""How the runs of a problem are scored, kept beside them.

So that the report needs neither COCO nor the folder of tables, only the stored runs.
"""

import dataclasses
import pathlib

import numpy as np

from benchmarks import rows
from benchmarks.regret.case import Case
from benchmarks.regret.store import RESULTS

_FIELDS = ("suite", "problem", "dimensions", "floor")


@dataclasses.dataclass(frozen=True)
class Score:
    """What makes a score of a problem's regret.

    Args:
        problem: its name.
        dimensions: how many columns it has.
        floor: regret below this counts as this.
    """

    problem: str
    dimensions: int
    floor: float

    def __call__(self, regret: float | np.ndarray) -> np.ndarray:
        """log10 of regret, no less than that of the floor."""
        return np.log10(np.maximum(regret, self.floor))


def load(suite: str, folder: pathlib.Path = RESULTS) -> dict[str, Score]:
    """Those of the problems of a suite, by name; none of a suite that was never run."""
    return {
        row["problem"]: Score(
            row["problem"], int(row["dimensions"]), float(row["floor"])
        )
        for row in rows.read(folder / "problems.csv")
        if row["suite"] == suite
    }


def keep(suite: str, cases: dict[str, Case], folder: pathlib.Path = RESULTS) -> None:
    """Store those of a suite.

    Raises:
        ValueError: if other ones are stored: its runs would not be comparable.
    """
    stored = load(suite, folder)
    for name, case in cases.items():
        score = Score(name, case.space.num_columns, float(case.floor))
        if name not in stored:
            row = (suite, name, score.dimensions, repr(score.floor))
            rows.append(folder / "problems.csv", _FIELDS, row)
        elif stored[name] != score:
            raise ValueError(
                f"{name}: its stored runs are scored as {stored[name]}, now it is "
                f"{score}: other data, or another problem, wants another name"
            )
