"""One run, timed. Not in `__main__`: worker processes cannot import that."""

import functools
import hashlib
import pathlib

import numpy as np
import threadpoolctl

import bojax
from benchmarks.regret.case import Case, Objective, initial_points
from benchmarks.regret.contenders import CONTENDERS
from benchmarks.regret.peers import PEERS, versions
from benchmarks.regret.store import Record
from benchmarks.regret.suites import suite


def _source() -> str:
    """A digest of the package's source: which bojax it was that ran."""
    digest = hashlib.sha256()
    root = pathlib.Path(bojax.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


# Taken when the source is imported: it may be edited during a long series of runs.
_SOURCE = _source()

cases_of = functools.cache(suite)
"""The problems of a suite, made once."""


def known() -> tuple[str, ...]:
    """The names of all contenders."""
    return (*CONTENDERS, *PEERS)


def one_run(suite_name: str, strategy: str, name: str, seed: int) -> Record:
    """Run a contender once, on one BLAS thread. What it raises becomes the error."""
    case = cases_of(suite_name)[name]
    if strategy in PEERS:
        run, used = PEERS[strategy].run, PEERS[strategy].versions
    else:
        run = CONTENDERS[strategy]
        used = f"bojax@{_SOURCE} {versions('jax', 'jaxlib')}"
    x0 = initial_points(case, seed)
    case.measure(x0[0], seed, 0)
    with threadpoolctl.threadpool_limits(1):
        objective = Objective(case, seed)
        try:
            chosen = run(objective, x0, seed)
            if objective.left:
                raise RuntimeError(f"it stopped {objective.left} evaluations early")
        except Exception as e:
            return _failed(case, seed, used, e)
        seconds = objective.elapsed()
    regret, final = objective.regrets(chosen)
    return Record(name, seed, seconds, used, regret, final, np.array(objective.seconds))


def _failed(case: Case, seed: int, used: str, error: Exception) -> Record:
    nothing = np.zeros(0)
    text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return Record(case.name, seed, 0.0, used, nothing, np.nan, nothing, text)
