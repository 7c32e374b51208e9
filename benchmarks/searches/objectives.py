"""Conditional and mixed problems: a configuration to its value, minimized."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

import bojax
from bojax import problems
from bojax.space import Space


@dataclasses.dataclass(frozen=True)
class Objective:
    """A space and a function of its configurations."""

    space: Space
    fn: Callable[[dict], float]


PIPELINE = Space(
    {
        "scale": bojax.Categorical("none", "unit", "normal"),
        "select": bojax.Categorical("all", "pca", "best"),
        "components": bojax.Int(2, 32, when={"select": "pca"}),
        "fraction": bojax.Float(0.1, 1.0, when={"select": "best"}),
        "model": bojax.Categorical("svm", "forest", "mlp"),
        "kernel": bojax.Categorical("linear", "rbf", when={"model": "svm"}),
        "c": bojax.Float(1e-3, 1e3, log=True, when={"model": "svm"}),
        "gamma": bojax.Float(1e-4, 1e1, log=True, when={"kernel": "rbf"}),
        "trees": bojax.Int(8, 256, log=True, when={"model": "forest"}),
        "depth": bojax.Int(1, 16, when={"model": "forest"}),
        "solver": bojax.Categorical("adam", "sgd", when={"model": "mlp"}),
        "width": bojax.Int(4, 128, log=True, when={"model": "mlp"}),
        "rate": [
            bojax.Float(1e-5, 1e-1, log=True, when={"solver": "adam"}),
            bojax.Float(1e-3, 1e0, log=True, when={"solver": "sgd"}),
        ],
        "momentum": bojax.Float(0.0, 0.99, when={"solver": "sgd"}),
    }
)


def pipeline(config: dict) -> float:
    """Shaped like a tuning of scikit-learn pipelines; least, 0, at a scaled rbf SVM."""
    value = {"none": 0.15, "unit": 0.0, "normal": 0.05}[config["scale"]]
    if config["select"] == "pca":
        value += 0.1 * (math.log(config["components"] / 20) / 2) ** 2
    elif config["select"] == "best":
        value += 0.05 + 0.3 * (config["fraction"] - 0.7) ** 2
    else:
        value += 0.04
    if config["model"] == "svm":
        value += 0.05 * (math.log10(config["c"]) - 1) ** 2
        if config["kernel"] == "rbf":
            # The product of the two matters too: a valley across the branch.
            gamma = math.log10(config["gamma"])
            value += 0.1 * (gamma + 2) ** 2
            value += 0.1 * (gamma + 2 + math.log10(config["c"]) - 1) ** 2
        else:
            value += 0.12
    elif config["model"] == "forest":
        value += 0.08 + 0.5 / config["trees"] + 0.3 * math.exp(-config["depth"] / 3)
    else:
        value += 0.03 + 0.05 * (math.log2(config["width"] / 64) / 3) ** 2
        best = -3 if config["solver"] == "adam" else -1.3
        value += 0.15 * (math.log10(config["rate"]) - best) ** 2
        if config["solver"] == "sgd":
            value += 0.4 * (config["momentum"] - 0.9) ** 2 - 0.02
    return value


NETWORK = Space(
    {
        "layers": bojax.Int(1, 4),
        "optimizer": bojax.Categorical("adam", "sgd", "rmsprop"),
        "rate": [
            bojax.Float(1e-5, 1e-1, log=True, when={"optimizer": ("adam", "rmsprop")}),
            bojax.Float(1e-3, 1e1, log=True, when={"optimizer": "sgd"}),
        ],
        "momentum": bojax.Float(0.0, 0.99, when={"optimizer": "sgd"}),
        **{f"width{i}": bojax.Int(8, 256, log=True) for i in (1, 2)},
        **{
            f"width{i}": bojax.Int(8, 256, log=True, when={"layers": (i, 4)})
            for i in (3,)
        },
    }
)


def network(config: dict) -> float:
    """A training whose best width in each layer falls from the first to the last."""
    rate = math.log10(config["rate"])
    if config["optimizer"] == "sgd":
        value = 0.5 * (rate + 1) ** 2 + 4 * (config["momentum"] - 0.9) ** 2
    else:
        value = 0.3 + (0.1 if config["optimizer"] == "rmsprop" else 0)
        value += 0.5 * (rate + 3) ** 2
    value += 0.25 * (config["layers"] - 3) ** 2
    for i, best in ((1, 7.0), (2, 6.0), (3, 5.0)):
        if f"width{i}" in config:
            value += 0.2 * (math.log2(config[f"width{i}"]) - best) ** 2
        else:
            value += 0.5
    return value


MIXED_ACKLEY = Space(
    {
        **{f"x{i}": bojax.Float(-1.0, 1.0) for i in range(3)},
        **{f"n{i}": bojax.Int(-4, 4) for i in range(3)},
        **{f"c{i}": bojax.Categorical("p", "q", "r", "s") for i in range(4)},
    }
)


def mixed_ackley(config: dict) -> float:
    """Ackley's function of numbers, levels and categories, off the center."""
    z = [config[f"x{i}"] - 0.37 for i in range(3)]
    z += [(config[f"n{i}"] - i - 1) / 4 for i in range(3)]
    z += [0.0 if config[f"c{i}"] == "pqrs"[i] else 1.0 for i in range(4)]
    z = np.array(z)
    hole = -20 * math.exp(-0.2 * math.sqrt(np.mean(z**2)))
    return hole - math.exp(np.mean(np.cos(2 * math.pi * z))) + 20 + math.e


def _lookup(table: problems.Table, mean: np.ndarray, config: dict) -> float:
    x = np.asarray(table.space.encode(config))
    return float(mean[tuple(np.floor(x * mean.shape).astype(int))])


@functools.cache
def get(name: str) -> Objective:
    """The problem of this name; tables come from the folder in `BOJAX_DATA`."""
    if name in SYNTHETIC:
        return SYNTHETIC[name]
    table = problems.table(name)
    mean = np.nanmean(np.asarray(table.values, float), axis=0)
    return Objective(table.space, functools.partial(_lookup, table, mean))


SYNTHETIC = {
    "pipeline": Objective(PIPELINE, pipeline),
    "network": Objective(NETWORK, network),
    "mixed_ackley": Objective(MIXED_ACKLEY, mixed_ackley),
}
MEASURED = ("slice_localization", "phoneme", "nasbench201")
NAMES = (*SYNTHETIC, *MEASURED)
