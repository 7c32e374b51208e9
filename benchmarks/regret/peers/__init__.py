"""The packages to compare with: one module each, a function for each run."""

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import inspect

from benchmarks.regret.case import Run
from benchmarks.regret.peers import botorch, cma, optuna, skopt, smac
from benchmarks.regret.peers.pipe import Isolated


@dataclasses.dataclass(frozen=True)
class Peer:
    """A package, and how it is run.

    Args:
        run: a run of it.
        packages: the distributions that it needs, under the names they are imported by.
        settings: the model and its settings, in words.
    """

    run: Run
    packages: dict[str, str]
    settings: str

    @property
    def missing(self) -> list[str]:
        """Those of the distributions that are not installed."""
        return [name for name, module in self.packages.items() if not _there(module)]

    @property
    def versions(self) -> str:
        """A digest of the adapter; name and version of each distribution."""
        source = inspect.getsource(inspect.getmodule(self.run) or self.run)
        digest = hashlib.sha256(source.encode()).hexdigest()[:8]
        rest = dict.fromkeys((*self.packages, "numpy", "scipy"))
        return f"adapter@{digest} {versions(*rest)}"


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def versions(*distributions: str) -> str:
    """Name and version of each distribution."""
    return " ".join(
        f"{name}=={importlib.metadata.version(name)}" for name in distributions
    )


_OPTUNA = {"optuna": "optuna"}
_TORCH = {"torch": "torch"}
_OPTUNA_GP = {**_OPTUNA, **_TORCH, "greenlet": "greenlet", "scipy": "scipy"}
_BOTORCH = {"botorch": "botorch", "gpytorch": "gpytorch", **_TORCH}
_SKOPT = {"scikit-optimize": "skopt", "scikit-learn": "sklearn"}

PEERS: dict[str, Peer | Isolated] = {
    "optuna-gp": Peer(
        optuna.gp,
        _OPTUNA_GP,
        "GPSampler(n_startup_trials=0), else its defaults (noise is fitted, "
        "deterministic_objective=False), greenlet installed",
    ),
    "optuna-tpe": Peer(
        optuna.tpe,
        _OPTUNA,
        "TPESampler(), its defaults: random until it has 10 trials, the initial points "
        "among them",
    ),
    "random": Peer(optuna.random, _OPTUNA, "Optuna's RandomSampler"),
    "botorch": Peer(botorch.run, _BOTORCH, botorch.SETTINGS),
    "skopt": Peer(skopt.run, _SKOPT, skopt.SETTINGS),
    "cma": Peer(cma.run, {"cma": "cma"}, cma.SETTINGS),
    "smac": Peer(
        smac.run, {"smac": "smac", "ConfigSpace": "ConfigSpace"}, smac.SETTINGS
    ),
    "hebo": Isolated(
        "hebo",
        ("HEBO", "gpytorch", "torch", "pymoo", "numpy"),
        "HEBO(space), its defaults: model_name gp (Gaussian process, Matern 3/2, 100 "
        "steps of pSGLD, single precision, inputs not warped), MACE by NSGA-II",
    ),
    "vizier": Isolated(
        "vizier",
        ("google-vizier", "jax", "jaxlib", "tfp-nightly", "numpy"),
        "VizierGPUCBPEBandit (GP_UCB_PE, what DEFAULT stands for), its defaults, in "
        "double precision; trials are padded to powers of two, and what is compiled is "
        "kept for the next run, which saves time; the same up to rounding",
    ),
    "optuna-gp-told": Peer(
        optuna.gp_told,
        _OPTUNA_GP,
        "The same as optuna-gp, told that there is no noise: "
        "deterministic_objective=True",
    ),
    "botorch-told": Peer(botorch.told, _BOTORCH, botorch.TOLD),
    "skopt-told": Peer(skopt.told, _SKOPT, skopt.TOLD),
}
"""By name; HEBO and Vizier pin old packages: each has an environment of its own."""

TOLD = {"optuna-gp": "optuna-gp-told", "botorch": "botorch-told", "skopt": "skopt-told"}
"""Peers that can be told that values are exact, and their names where they are told."""
