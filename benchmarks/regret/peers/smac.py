"""SMAC3's facade for expensive functions."""

import pathlib
import tempfile
import warnings

import numpy as np

from benchmarks.regret.case import Objective

SETTINGS = (
    "BlackBoxFacade with its defaults (Gaussian process, Matern 5/2, expected "
    "improvement, 8 % random points), the initial points in place of its design"
)


def run(objective: Objective, x0: np.ndarray, seed: int) -> None:
    """One run."""
    import ConfigSpace
    from smac import BlackBoxFacade, Scenario
    from smac.runhistory import TrialValue

    case = objective.case
    space = ConfigSpace.ConfigurationSpace(seed=seed)
    for i, (k, unordered) in enumerate(zip(case.levels, case.categorical, strict=True)):
        space.add(
            ConfigSpace.Categorical(f"x{i}", list(range(k)))
            if unordered
            else ConfigSpace.Integer(f"x{i}", (0, k - 1))
            if k
            else ConfigSpace.Float(f"x{i}", (0.0, 1.0))
        )
    names = [f"x{i}" for i in range(len(case.levels))]
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        scenario = Scenario(
            space,
            deterministic=not case.noisy,
            n_trials=case.num_trials,
            seed=seed,
            output_directory=pathlib.Path(folder),
        )
        first = [
            ConfigSpace.Configuration(
                space, values=dict(zip(names, case.numbers(point), strict=True))
            )
            for point in x0
        ]
        facade = BlackBoxFacade(
            scenario,
            initial_design=BlackBoxFacade.get_initial_design(
                scenario, n_configs=0, max_ratio=1.0, additional_configs=first
            ),
            overwrite=True,
            logging_level=False,
        )
        while objective.left:
            asked = facade.ask()
            point = case.point([asked.config[name] for name in names])
            facade.tell(asked, TrialValue(cost=objective(point)), save=False)
