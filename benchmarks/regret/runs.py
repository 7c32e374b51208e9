"""One run, timed. Not in `__main__`: worker processes cannot import that."""

import hashlib
import pathlib
import time

import threadpoolctl

import bojax
from benchmarks.regret import store
from benchmarks.regret.contenders import CONTENDERS, bojax_run
from benchmarks.regret.peers import PEERS, versions
from benchmarks.regret.protocol import NUM_TRIALS, evaluate, initial_points
from bojax import problems


def _source() -> str:
    """A digest of the package's source: which bojax it was that ran."""
    digest = hashlib.sha256()
    root = pathlib.Path(bojax.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


# Taken when the source is imported: it may be edited during a long series of runs.
_SOURCE = _source()


def one_run(strategy: str, name: str, seed: int) -> store.Record:
    """Run a strategy once, on one BLAS thread."""
    problem = problems.get(name)
    if strategy in PEERS:
        run, packages, _ = PEERS[strategy]
        used = versions(packages)
    else:
        run = bojax_run(CONTENDERS[strategy])
        used = f"bojax@{_SOURCE} {versions(('jax', 'jaxlib'))}"
    x0 = initial_points(problem, seed)
    evaluate(problem, x0[:1])
    with threadpoolctl.threadpool_limits(1):
        start = time.process_time()
        y = run(problem, x0, seed, NUM_TRIALS)
        seconds = time.process_time() - start
    if len(y) != NUM_TRIALS:
        raise ValueError(f"{strategy}: expected {NUM_TRIALS} values, got {len(y)}")
    return store.Record(name, seed, seconds, used, y - problem.optimum)
