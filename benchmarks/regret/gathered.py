"""The stored runs of a suite, gathered to be compared."""

import numpy as np

from benchmarks.regret import scoring, store
from benchmarks.regret.suites import SUITES

FEW = 10
"""Of fewer pairs hardly any test could tell once it is corrected for the others, and
to count them would only weaken these."""


class Runs:
    """The runs of a suite: log10 of the final regret by contender, problem and seed.

    Args:
        name: the suite.
        contenders: those to load.
        seeds: the set of seeds.
        chosen: whether a contender goes home with the point that it chose; else with
            that of the least value measured.
    """

    def __init__(
        self,
        name: str,
        contenders: tuple[str, ...],
        seeds: str = "acceptance",
        chosen: bool = True,
    ):
        self.name = name
        known = scoring.load(name)
        self.seeds = SUITES[name][1][seeds]
        self.records = {}
        for contender in contenders:
            found = {
                key: record
                for key, record in store.load(contender).items()
                if key[0] in known and key[1] in self.seeds
            }
            if found:
                self.records[contender] = found
        self.problems = {
            name: score
            for name, score in known.items()
            if any((name, s) in r for r in self.records.values() for s in self.seeds)
        }
        self.scores = {
            contender: {
                key: float(
                    self.problems[key[0]](
                        record.chosen if chosen else record.regret[-1]
                    )
                )
                for key, record in records.items()
            }
            for contender, records in self.records.items()
        }

    @property
    def all_runs(self) -> int:
        """How many runs a contender has that has done all."""
        return len(self.problems) * len(self.seeds)

    @property
    def complete(self) -> list[str]:
        """The contenders that have done all runs."""
        return [c for c in self.scores if len(self.scores[c]) == self.all_runs]

    @property
    def broad(self) -> list[str]:
        """The contenders that have done every problem at least once."""
        return [c for c in self.scores if len(self.curves(c)) == len(self.problems)]

    @property
    def circles(self) -> list[list[str]]:
        """Those who did everything, then ever more contenders, who did less of it."""
        narrow = {c: len(self.scores[c]) for c in self.scores if c not in self.broad}
        found = [self.complete, self.broad]
        for least in sorted(set(narrow.values()), reverse=True):
            more = [c for c, count in narrow.items() if count >= least]
            found.append([c for c in self.scores if c in (*self.broad, *more)])
        return [list(names) for names in dict.fromkeys(map(tuple, found))]

    def curves(self, contender: str) -> list[list[np.ndarray]]:
        """log10 of the regret of the least value so far, by problem and run."""
        found: dict[str, list[np.ndarray]] = {}
        for (problem, _), record in self.records[contender].items():
            curve = self.problems[problem](record.regret)
            found.setdefault(problem, []).append(curve)
        return list(found.values())

    def paired(self, contenders: list[str]) -> dict[str, np.ndarray]:
        """Scores [seeds, contenders] by problem, of the seeds that all of them did."""
        tables = {}
        for problem in self.problems:
            rows = [
                [self.scores[c][problem, seed] for c in contenders]
                for seed in self.seeds
                if all((problem, seed) in self.scores[c] for c in contenders)
            ]
            if rows:
                tables[problem] = np.array(rows)
        return tables

    def groups(self, tables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same as what is resampled and tested: rows that are alike.

        Those of a problem are its seeds. Where a problem has only a few instances, its
        mean over them is a row, and the problems of one dimension are a group.
        """
        if len(self.seeds) >= FEW:
            return tables
        found: dict[str, list[np.ndarray]] = {}
        for problem, rows in tables.items():
            d = self.problems[problem].dimensions
            found.setdefault(f"{d} dimensions", []).append(rows.mean(axis=0))
        return {name: np.array(rows) for name, rows in found.items()}
