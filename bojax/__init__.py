"""Bayesian optimization in JAX."""

import importlib as _importlib
from typing import Any as _Any

from bojax import acquisitions as acquisitions
from bojax import strategies as strategies
from bojax import surrogates as surrogates
from bojax.data import Dataset as Dataset
from bojax.data import Decision as Decision
from bojax.data import Outcome as Outcome
from bojax.data import Points as Points
from bojax.data import Trials as Trials
from bojax.space import Categorical as Categorical
from bojax.space import Fidelity as Fidelity
from bojax.space import Float as Float
from bojax.space import Int as Int
from bojax.space import Ordinal as Ordinal
from bojax.space import Space as Space
from bojax.tuning import FAILED as FAILED
from bojax.tuning import Converged as Converged
from bojax.tuning import Result as Result
from bojax.tuning import Study as Study
from bojax.tuning import Trial as Trial
from bojax.tuning import maximize as maximize
from bojax.tuning import minimize as minimize
from bojax.tuning import simulate as simulate

_ROOMS = ("curves", "nas", "pareto", "plots", "problems", "zero")


def __getattr__(name: str) -> _Any:
    """Rooms that are not needed to tune anything are imported at their first use."""
    if name in _ROOMS:
        return _importlib.import_module(f"bojax.{name}")
    raise AttributeError(f"module 'bojax' has no attribute {name!r}")
