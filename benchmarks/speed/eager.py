"""CPU seconds of calls by hand, outside of compiled functions: `python -m` this.

As in a notebook: a posterior of nine observations in three dimensions, and what is
asked of it. First calls of a process compile; warm ones are medians over twenty.
"""

import os
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from benchmarks.markdown import markdown
from bojax.acquisitions import LogEI, QLogEI
from bojax.data import Dataset
from bojax.surrogates import GP

RESULTS = pathlib.Path(__file__).parent / "results"
WARM_CALLS = 20


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and what it returned."""
    start = time.process_time()
    result = jax.block_until_ready(call())
    return time.process_time() - start, result


def main() -> None:
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.uniform(size=(9, 3))), jnp.asarray(rng.normal(size=9))
    points = jnp.asarray(rng.uniform(size=(50, 3)))
    key = jax.random.key(0)
    space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abc"})
    gp, data = GP(space), Dataset.of(x, y)
    posterior = gp.condition(data)
    log_ei, q_log_ei = LogEI(posterior, 0.0), QLogEI(posterior, 0.0, key, q=2)
    calls = {
        "posterior(x) of 50 points": lambda: posterior(points).mean,
        "marginal, mapped over 50 points": lambda: jax.vmap(posterior.marginal)(points),
        "LogEI of a point": lambda: log_ei(points[:1]),
        "LogEI, mapped over 50 points": lambda: jax.vmap(log_ei)(points[:, None]),
        "QLogEI of two points": lambda: q_log_ei(points[:2]),
        "sample of eight functions": lambda: posterior.sample(key, 8).update,
        "log likelihood": lambda: gp.log_likelihood(data),
    }
    rows = []
    for name, call in calls.items():
        first, _ = seconds(call)
        warm = statistics.median(seconds(call)[0] for _ in range(WARM_CALLS))
        rows.append([name, f"{first:.2f}", f"{1e3 * warm:.2f}"])
    lines = [
        "# What is called by hand",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        markdown(["call", "first, CPU s", "warm, CPU ms"], rows),
        "",
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end.",
    ]
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "eager.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
