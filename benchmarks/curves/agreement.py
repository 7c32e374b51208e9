"""Do samplers that share nothing but the model agree? `python -m` this.

NUTS is long and counts only where its R-hat is under 1.01; where it is not, that is
told, the curve is left out, and the next takes its place. What is compared is the last
step: the quantiles at 5, 25, 50, 75 and 95 %, in standard deviations of NUTS's
posterior. Their Monte-Carlo error
is that of NUTS's effective sample size and the other's, `sqrt(p (1 - p) / n) / density`
with the density of a normal; a difference is given in these errors as well.

- LC-PFN's prior: the first 20 curves at 40 % on which NUTS (4 chains of 2,000) counts,
  by importance and SMC, and the curve of index 37 at 20 %, of which generic samplers
  whose chains do not mix score higher.
- DOMHAN: every fiftieth of the first 500 accuracies of MetaQNN SVHN at 40 %, by SMC.
"""

import os
import time

import jax
import numpy as np
from scipy import stats

from benchmarks.curves import data
from bojax import curves
from bojax.curves.batches import MIXED
from bojax.curves.inference import mcmc

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
LONG = {"num_warmup": 1000, "num_samples": 2000, "num_chains": 4}


def long_nuts(model, y, horizon):
    """Its draws at the last step, its R-hat, its effective sample size, seconds."""
    began = time.perf_counter()
    steps = np.arange(1.0, len(y) + 1)
    found = mcmc.nuts(
        model,
        y,
        steps,
        horizon,
        np.arange(1.0, horizon + 1),
        jax.random.key(0),
        **LONG,
    )
    columns = jax.vmap(lambda s: model.columns(s, horizon, horizon))(found.shapes)
    last = np.einsum("sp,sp->s", np.asarray(columns), found.coefficients)
    return last, found.r_hat, found.ess, time.perf_counter() - began


def compare(model, method, y, horizon, reference, reference_ess):
    """Largest difference of a quantile, in posterior deviations and in its error."""
    posterior = curves.fit(y, horizon, model=model, method=method, direction="maximize")
    ours = np.quantile(posterior.sample([horizon], 4000)[:, 0], LEVELS)
    theirs, std = np.quantile(reference, LEVELS), reference.std()
    difference = np.abs(ours - theirs) / std
    density = stats.norm.pdf(stats.norm.ppf(LEVELS))
    share = 1 / reference_ess + 1 / max(posterior.ess, 1.0)
    error = np.sqrt(LEVELS * (1 - LEVELS) * share) / density
    return difference, difference / error, posterior


def rows(title, model, methods, candidates, wanted, lines):
    """`candidates` are (name, values, horizon), of which `wanted` are to count."""
    found = {method: [] for method in methods}
    skipped, tried = [], 0
    for name, y, horizon in candidates:
        if tried - len(skipped) == wanted:
            break
        tried += 1
        reference, r_hat, ess, seconds = long_nuts(model, y, horizon)
        if not r_hat < MIXED:
            skipped.append(f"{name} ({r_hat:.2f})")
            print(f"{title} {name}: R-hat {r_hat:.3f}, {seconds:.0f} s", flush=True)
            continue
        for method in methods:
            difference, errors, posterior = compare(
                model, method, y, horizon, reference, ess
            )
            if posterior.converged:
                found[method].append([difference, errors])
            print(
                f"{title} {name} {method}: {difference.max():.3f} deviations, "
                f"{errors.max():.1f} errors, k {posterior.pareto_k:.2f}, R-hat "
                f"{r_hat:.3f}, ess {ess:.0f}, {seconds:.0f} s",
                flush=True,
            )
    for method, values in found.items():
        difference, errors = np.moveaxis(np.array(values), 1, 0)
        lines.append(
            f"| {title} | {method} | {len(values)} of {tried} "
            f"| {np.median(difference[:, 2]):.3f} | {difference[:, 2].max():.3f} "
            f"| {difference.max():.3f} | {np.sqrt((errors**2).mean()):.2f} "
            f"| {', '.join(skipped) or '-'} |"
        )
        print(lines[-1], flush=True)


def curve_37(observed, lines):
    """Scores of chains that mix and of those that do not."""
    y, rest = observed[37, :20], observed[37, 20:]
    steps = np.arange(21, 101)
    lines += [
        "",
        "## The curve of index 37 at 20 %",
        "",
        "| sampler | R-hat | mean log density of the rest |",
        "| --- | --- | --- |",
    ]
    for method in ("importance", "smc"):
        found = [
            curves.fit(
                y,
                100,
                key=key,
                model=curves.LCPFN_PRIOR,
                method=method,
                direction="maximize",
            )
            for key in range(8)
        ]
        scores = [each.log_density(steps, rest).mean() for each in found]
        tails = np.median([each.pareto_k for each in found])
        lines.append(
            f"| {method}, 8 keys, median k {tails:.2f} | - "
            f"| {np.mean(scores):.2f}, {min(scores):.2f} to {max(scores):.2f} |"
        )
    for depth in (8, 10):
        chains = mcmc.nuts(
            curves.LCPFN_PRIOR,
            y,
            np.arange(1.0, 21),
            100.0,
            np.arange(1.0, 101),
            jax.random.key(0),
            max_tree_depth=depth,
            **LONG,
        )
        score = _score(curves.LCPFN_PRIOR, chains, steps, rest)
        lines.append(
            f"| NUTS, trees of depth {depth} | {chains.r_hat:.3f} | {score:.2f} |"
        )
    print("\n".join(lines[-6:]), flush=True)


def _score(model, chains, steps, values) -> float:
    columns = jax.vmap(
        lambda s: jax.vmap(lambda x: model.columns(s, x, 100.0))(steps.astype(float))
    )(chains.shapes)
    path = np.einsum("stp,sp->st", np.asarray(columns), chains.coefficients)
    sigma = np.asarray(jax.vmap(lambda n: model.noise(n, 100.0).sigma)(chains.noises))
    density = stats.norm.pdf(values, path, sigma[:, None]).mean(0)
    return float(np.log(density).mean())


def main() -> None:
    observed = data.lcpfn_curves()
    accuracy = 1 - data.load("metaqnn_svhn")
    lines = [
        "# Agreement of samplers",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| model | method | curves | median at 50 % | largest at 50 % | largest at any "
        "| errors, root mean square | R-hat of NUTS too large |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    tasks = [(f"curve {i + 1}", observed[i, :40], 100.0) for i in range(100)]
    both = ("importance", "smc")
    rows("LC-PFN, 40 %", curves.LCPFN_PRIOR, both, tasks, 20, lines)
    tasks = [(f"row {i}", accuracy[i, :8], 20.0) for i in range(0, 500, 50)]
    rows("DOMHAN", curves.DOMHAN, ("smc",), tasks, len(tasks), lines)
    curve_37(observed, lines)
    lines += ["", f"XLA_FLAGS: {os.environ.get('XLA_FLAGS', '')}."]
    (data.RESULTS / "agreement.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
