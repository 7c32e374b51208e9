"""A conditional space of three branches and depth two, of known optimum."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bojax.problems.catalog import Problem
from bojax.space import Categorical, Space
from bojax.space import Float as Real

_SPACE = Space(
    {
        "rate": Real(1e-4, 1.0, log=True),
        "model": Categorical("linear", "kernel", "network"),
        "penalty": Categorical("ridge", "elastic", when={"model": "linear"}),
        "strength": Real(1e-4, 1e2, log=True, when={"model": "linear"}),
        "mixture": Real(0.0, 1.0, when={"penalty": "elastic"}),
        "shape": Categorical("rbf", "polynomial", when={"model": "kernel"}),
        "cost": Real(1e-2, 1e3, log=True, when={"model": "kernel"}),
        "width": Real(1e-3, 1e1, log=True, when={"shape": "rbf"}),
        "offset": Real(0.0, 1.0, when={"shape": "polynomial"}),
        "depth": Categorical("one", "two", when={"model": "network"}),
        "dropout": Real(0.0, 0.9, when={"model": "network"}),
        "units": Real(8.0, 512.0, log=True, when={"model": "network"}),
        "units2": Real(8.0, 512.0, log=True, when={"depth": "two"}),
    }
)
_NAMES = [column.name for column in _SPACE.columns]

# Where each number is best on the unit cube. That of the rate depends on the model.
_CENTERS = {
    "strength": 0.3,
    "mixture": 0.7,
    "cost": 0.65,
    "width": 0.25,
    "offset": 0.8,
    "dropout": 0.2,
    "units": 0.75,
    "units2": 0.4,
}
_RATES = (0.35, 0.5, 0.6)

# What the best of each leaf lies above the optimum: the two of a branch side by side.
_FLOORS = {"penalty": (0.12, 0.08), "shape": (0.03, 0.10), "depth": (0.06, 0.0)}

# Numbers of which the sum matters too: valleys across the axes, one of each branch.
_PAIRS = (("strength", "rate"), ("cost", "width"), ("units", "units2"))
_WEIGHT, _COUPLING = 4.0, 3.0


def _value(x: Float[Array, " d"]) -> Float[Array, ""]:
    x = _SPACE.project(x)
    active = _SPACE.active(x)
    column = {name: _NAMES.index(name) for name in _NAMES}

    def second(name):
        return x[column[name]] > 0.5

    level = jnp.clip((3 * x[column["model"]]).astype(jnp.int32), 0, 2)
    away = {
        name: jnp.where(active[column[name]], x[column[name]] - center, 0)
        for name, center in _CENTERS.items()
    }
    away["rate"] = x[column["rate"]] - jnp.asarray(_RATES, x.dtype)[level]
    bowl = _WEIGHT * sum(distance**2 for distance in away.values())
    for a, b in _PAIRS:
        both = active[column[a]] & active[column[b]]
        bowl = bowl + jnp.where(both, _COUPLING * (away[a] + away[b]) ** 2, 0)
    floor = jnp.zeros((), x.dtype)
    for name, pair in _FLOORS.items():
        exists = active[column[name]]
        floor = floor + jnp.where(exists, jnp.where(second(name), *pair[::-1]), 0)
    return floor + bowl / (1 + bowl)


@functools.cache
def branches() -> Problem:
    """Shaped like a choice of model: three branches, in each of which one choice more.

        f = floor(leaf) + b / (1 + b)

    with a bowl b of the numbers that exist in the leaf, and a valley across two of
    them. Each leaf has a minimum of its own, and the best of the second-best leaf lies
    0.03, over two per cent of the range, above the optimum.

    Returns:
        The problem; the same object at every call, so that it compiles once.

    Example:
        >>> import jax.numpy as jnp
        >>> problem = branches()
        >>> float(problem.fn(jnp.asarray(problem.minimizers[0])))
        0.0
    """
    best = np.full(len(_NAMES), 0.5)
    for name in ("dropout", "units", "units2"):
        best[_NAMES.index(name)] = _CENTERS[name]
    best[_NAMES.index("rate")] = _RATES[2]
    best[_NAMES.index("model")] = 5 / 6
    best[_NAMES.index("depth")] = 3 / 4
    return Problem(
        name="branches",
        fn=_value,
        space=_SPACE,
        optimum=0.0,
        minimizers=(tuple(best.tolist()),),
        range=1.021,
        source="bojax; fixed before any model was tried on it",
    )
