"""Simulation-based calibration of each sampler on its own prior: `python -m` this.

Curves of 20 steps are drawn from the prior, 8 noisy values of each are shown, and the
rank of the true last value among the posterior's draws is uniform if the sampler is
right. `p` is of a Kolmogorov-Smirnov test; the histogram is of eighths. A curve of
which a sampler doubts its answer (Pareto k, or an R-hat of 1.01 and more) is counted,
and left out.

References:
    Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian inference
    algorithms with simulation-based calibration.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from benchmarks.curves import data
from bojax import curves
from bojax._precision import in_double
from bojax.curves.batches import Curves, infer
from bojax.curves.models.base import draw_prior
from bojax.curves.posterior import RELIABLE

HORIZON, SHOWN = 20, 8
CASES = (
    ("LCPFN_PRIOR", "importance", 400),
    ("LCPFN_PRIOR", "smc", 400),
    ("DOMHAN", "smc", 200),
    ("LCPFN_PRIOR", "nuts", 32),
)


def prior(model, num):
    """Curves `[num, HORIZON]` and the deviation of their noise."""
    latents, _, paths, _ = draw_prior(
        model, jax.random.key(3), jnp.arange(1.0, HORIZON + 1), float(HORIZON), num
    )
    noises = latents[:, model.num_shapes :]
    return paths, jax.vmap(lambda n: model.noise(n, float(HORIZON)).sigma)(noises)


def case(name: str, method: str, num: int) -> str:
    """A line of the table."""
    model = getattr(curves, name)
    paths, sigma = (each.numpy() for each in in_double(prior, model, num))
    rng = np.random.default_rng(3)
    y = paths[:, :SHOWN] + sigma[:, None] * rng.standard_normal((num, SHOWN))
    as_it_is = Curves(y, np.zeros(num), np.ones(num), np.zeros(num))
    grid = np.arange(1.0, HORIZON + 1)
    steps, key = np.arange(1.0, SHOWN + 1), jax.random.key(4)
    found = infer(model, method, as_it_is, steps, float(HORIZON), grid, key)
    sure = found.pareto_k < RELIABLE
    below = (found.curve[:, :, -1] < paths[:, None, -1]).mean(1)[sure]
    p = stats.kstest(below, "uniform").pvalue
    counts = np.histogram(below, 8, (0, 1))[0]
    return (
        f"| {name} | {method} | {num} | {(~sure).sum()} | {p:.3f} "
        f"| {' '.join(map(str, counts))} |"
    )


def main() -> None:
    lines = [
        "# Simulation-based calibration",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| model | method | curves | in doubt | p | ranks in eighths |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, method, num in CASES:
        lines.append(case(name, method, num))
        print(lines[-1], flush=True)
    lines += ["", f"XLA_FLAGS: {os.environ['XLA_FLAGS']}."]
    (data.RESULTS / "calibration.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
