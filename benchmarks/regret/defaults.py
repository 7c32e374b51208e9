"""The table by which the priors and the outcome's transform were chosen."""

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.regret import store
from benchmarks.regret.contenders import VARIANTS
from benchmarks.regret.protocol import SEEDS, log_regret
from bojax import problems

_PROBLEMS = tuple(
    dict.fromkeys(
        ("hartmann6", "branin", "rosenbrock4", "ackley5", *problems.HPOLIB),
    )
)


def _mean(variant: str, problem: str) -> float:
    """Mean log10 of final regret over the seeds of dev."""
    stored = store.load(variant)
    regret = [
        stored[problem, seed].regret[-1]
        for seed in SEEDS["dev"]
        if (problem, seed) in stored
    ]
    if not regret:
        return np.nan
    return float(log_regret(problems.get(problem), np.array(regret)).mean())


def choice() -> str:
    """What each variant reached, as markdown."""
    variants = [name for name in VARIANTS if store.load(name)]
    means = np.array([[_mean(v, name) for v in variants] for name in _PROBLEMS])
    named = [*zip(_PROBLEMS, means, strict=True), ("mean over all", means.mean(axis=0))]
    rows = [[name, *(f"{value:.2f}" for value in row)] for name, row in named]
    return "\n\n".join(
        [
            "## How the defaults were chosen",
            "Mean of log10 of simple regret after 60 evaluations over the 20 seeds of "
            "dev. Outcomes are transformed by Yeo and Johnson's map, except in "
            "bojax-plain-outcome, which has Optuna's priors.",
            markdown(["function", *variants], rows),
        ]
    )
