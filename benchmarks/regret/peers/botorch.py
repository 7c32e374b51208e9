"""BoTorch: its default model, maximized as its tutorials do."""

import warnings

import numpy as np

from benchmarks.regret.case import Objective

SETTINGS = (
    "SingleTaskGP with its defaults (MixedSingleTaskGP where columns are categorical), "
    "fit_gpytorch_mll at each ask, LogExpectedImprovement over the least value "
    "measured (where there is noise: over the least posterior mean of a point "
    "measured), optimize_acqf with 10 restarts of 512 raw samples (where columns have "
    "a few values: optimize_acqf_mixed_alternating with as many, where all of them do: "
    "optimize_acqf_discrete_local_search with as many), double precision"
)
TOLD = (
    "The same as botorch, told that there is no noise: "
    "train_Yvar 1e-6 of the values' variance"
)


def run(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """One run."""
    _run(objective, x0, seed, told=False)


def told(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """One run, in which it knows where there is no noise."""
    _run(objective, x0, seed, told=not objective.case.noisy)


def _run(objective: Objective, x0: np.ndarray, seed: int, told: bool) -> None:
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import MixedSingleTaskGP, SingleTaskGP
    from botorch.optim import (
        optimize_acqf,
        optimize_acqf_discrete_local_search,
        optimize_acqf_mixed_alternating,
    )
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    case = objective.case
    unordered = [i for i, flag in enumerate(case.categorical) if flag]
    # Of k values in order the first is 0 and the last 1, as it normalizes integers.
    steps = np.array([max(k - 1, 1) for k in case.levels], float)
    steps[unordered] = 1.0
    ordered = {
        i: [j / steps[i] for j in range(k)]
        for i, k in enumerate(case.levels)
        if k and i not in unordered
    }
    categories = {i: [float(j) for j in range(case.levels[i])] for i in unordered}
    bounds = torch.tensor([[0.0], [1.0]], dtype=torch.double)
    bounds = bounds.repeat(1, len(case.levels))
    for i in unordered:
        bounds[1, i] = case.levels[i] - 1.0
    for point in x0:
        objective(point)
    while objective.left:
        numbers = np.array([case.numbers(point) for point in objective.x], float)
        x = torch.tensor(numbers / steps, dtype=torch.double)
        y = -torch.tensor(objective.y, dtype=torch.double)[:, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            noise = torch.full_like(y, 1e-6) * y.var() if told else None
            model = (
                MixedSingleTaskGP(x, y, unordered, train_Yvar=noise)
                if unordered
                else SingleTaskGP(x, y, train_Yvar=noise)
            )
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            best = model.posterior(x).mean.max() if case.noisy else y.max()
            acquisition = LogExpectedImprovement(model, best_f=best.detach())
            if all(case.levels):
                choices = {**ordered, **categories}
                found, _ = optimize_acqf_discrete_local_search(
                    acquisition,
                    [torch.tensor(choices[i]).double() for i in sorted(choices)],
                    q=1,
                    num_restarts=10,
                    raw_samples=512,
                )
            elif ordered or categories:
                found, _ = optimize_acqf_mixed_alternating(
                    acquisition,
                    bounds,
                    discrete_dims=ordered,
                    cat_dims=categories,
                    num_restarts=10,
                    raw_samples=512,
                )
            else:
                found, _ = optimize_acqf(
                    acquisition, bounds, q=1, num_restarts=10, raw_samples=512
                )
        found = found[0].detach().numpy()
        chosen = np.where(case.levels, np.rint(found * steps), found)
        objective(case.point(chosen))
