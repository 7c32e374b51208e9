"""The test functions by name: on the unit cube, with space, optimum and source."""

import dataclasses
import functools
import math
import re
from collections.abc import Callable

import jax.numpy as jnp
import jaxtyping
from jaxtyping import Array

from bojax.problems import synthetic
from bojax.space import Float, Space

HPOLIB = (
    "branin",
    "camelback",
    "goldstein_price",
    "hartmann3",
    "hartmann6",
    "michalewicz10",
    "rosenbrock5",
    "levy",
    "ackley5",
    "ackley10",
    "rkhs",
)
"""Names of the HPOlib suite."""

Formula = Callable[[jaxtyping.Float[Array, " d"]], jaxtyping.Float[Array, ""]]
"""A traceable function of one point."""

_HPOLIB_2013 = "HPOlib (Eggensperger et al., 2013)"
_HPOLIB_2016 = "HPOlib 1.5 (Falkner et al., 2016)"
_LIBRARY = "Virtual Library of Simulation Experiments (Surjanovic and Bingham, 2013)"


@dataclasses.dataclass(frozen=True)
class Problem:
    """A function on the unit cube of which the optimum is known.

    Args:
        name: what `get` knows it by.
        fn: a point of the unit cube to its value, minimized; traceable.
        space: the parameters in natural units, one column each.
        optimum: the smallest value of `fn`, to double precision.
        minimizers: the points of the unit cube that have it.
        range: the largest value of `fn` minus the smallest, to four digits.
        source: whose formula and bounds these are.

    Example:
        >>> problem = get("branin")
        >>> problem.space.num_columns, round(problem.optimum, 6)
        (2, 0.397887)
    """

    name: str
    fn: Formula
    space: Space
    optimum: float
    minimizers: tuple[tuple[float, ...], ...]
    range: float
    source: str


@dataclasses.dataclass(frozen=True)
class _Definition:
    """A problem in its natural units; `minimizers` too."""

    formula: Formula
    bounds: tuple[tuple[float, float], ...]
    optimum: float
    minimizers: tuple[tuple[float, ...], ...]
    range: float
    source: str


def _ackley(d: int) -> _Definition:
    return _Definition(
        synthetic.ackley,
        ((-32.768, 32.768),) * d,
        0.0,
        ((0.0,) * d,),
        22.32,
        f"Ackley (1987); bounds of the {_LIBRARY}, as in BoTorch",
    )


_DEFINITIONS = {
    "branin": _Definition(
        synthetic.branin,
        ((-5.0, 10.0), (0.0, 15.0)),
        5 / (4 * math.pi),
        ((-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)),
        307.7,
        f"Branin (1972); {_HPOLIB_2013}",
    ),
    "camelback": _Definition(
        synthetic.camelback,
        ((-3.0, 3.0), (-2.0, 2.0)),
        -1.0316284534898774,
        (
            (0.08984201310031806, -0.7126564030207396),
            (-0.08984201310031806, 0.7126564030207396),
        ),
        163.9,
        f"Dixon and Szego (1978); bounds of {_HPOLIB_2016}; "
        "the first HPOlib had [-2, 2] x [-1, 1]",
    ),
    "goldstein_price": _Definition(
        synthetic.goldstein_price,
        ((-2.0, 2.0), (-2.0, 2.0)),
        3.0,
        ((0.0, -1.0),),
        1.0157e6,
        f"Goldstein and Price (1971); {_HPOLIB_2016}",
    ),
    "hartmann3": _Definition(
        synthetic.hartmann3,
        ((0.0, 1.0),) * 3,
        -3.86277953416725,
        ((0.1145509828960647, 0.5556489620279098, 0.8525470930072058),),
        3.863,
        f"Hartman (1973); {_HPOLIB_2016}",
    ),
    "hartmann6": _Definition(
        synthetic.hartmann6,
        ((0.0, 1.0),) * 6,
        -3.3223680114155147,
        (
            (
                0.20168951100670543,
                0.15001069182345797,
                0.476873974221897,
                0.2753324304940561,
                0.31165161660011326,
                0.6573005340656203,
            ),
        ),
        3.322,
        f"Hartman (1973); {_HPOLIB_2013}",
    ),
    "levy": _Definition(
        synthetic.levy,
        ((-15.0, 10.0),),
        0.0,
        ((1.0,),),
        28.69,
        f"Levy and Montalvo (1985); the one-dimensional form of {_HPOLIB_2016}",
    ),
    "michalewicz10": _Definition(
        synthetic.michalewicz,
        ((0.0, math.pi),) * 10,
        -9.660151715641342,
        (
            (
                2.2029055201726093,
                math.pi / 2,
                1.2849915705529245,
                1.9230584698663629,
                1.7204697725658413,
                math.pi / 2,
                1.454413971362379,
                1.7560865209450263,
                1.6557174168210291,
                math.pi / 2,
            ),
        ),
        9.66,
        f"Michalewicz (1992); {_HPOLIB_2013}",
    ),
    "rkhs": _Definition(
        synthetic.rkhs,
        ((0.0, 1.0),),
        -5.738393747098739,
        ((0.8923597507741958,),),
        8.318,
        f"Wang, Assael and de Freitas; {_HPOLIB_2013}",
    ),
    "rosenbrock4": _Definition(
        synthetic.rosenbrock,
        ((-2.0, 2.0),) * 4,
        0.0,
        ((1.0,) * 4,),
        10827.0,
        "Rosenbrock (1960); on the narrow box [-2, 2]^4",
    ),
    "rosenbrock5": _Definition(
        synthetic.rosenbrock,
        ((-5.0, 10.0),) * 5,
        0.0,
        ((1.0,) * 5,),
        3532824.0,
        f"Rosenbrock (1960); {_HPOLIB_2016}",
    ),
    "ackley5": _ackley(5),
    "ackley10": _ackley(10),
}


def names() -> tuple[str, ...]:
    """The names that `get` knows, in alphabetical order; see there for more."""
    return tuple(sorted(_DEFINITIONS))


@functools.cache
def get(name: str) -> Problem:
    """The problem of this name.

    Args:
        name: one of `names()`, or `"ackley"` followed by any number of dimensions.

    Returns:
        The problem; the same object at every call, so that it compiles once.

    Raises:
        ValueError: if there is no such problem.

    Example:
        >>> import jax.numpy as jnp
        >>> float(get("rosenbrock4").fn(jnp.full(4, 0.75)))
        0.0

    References:
        Eggensperger et al. (2013), Towards an empirical foundation for assessing
        Bayesian optimization of hyperparameters: HPOlib.
    """
    ackley = re.fullmatch(r"ackley([1-9][0-9]*)", name)
    definition = _ackley(int(ackley[1])) if ackley else _DEFINITIONS.get(name)
    if definition is None:
        raise ValueError(
            f"name: expected one of {', '.join(names())} or ackley<d>, got {name!r}"
        )
    low, high = zip(*definition.bounds, strict=True)
    return Problem(
        name=name,
        fn=functools.partial(_on_unit_cube, definition.formula, low, high),
        space=Space(
            {f"x{i}": Float(*bounds) for i, bounds in enumerate(definition.bounds)}
        ),
        optimum=definition.optimum,
        minimizers=tuple(
            tuple((v - a) / (b - a) for v, a, b in zip(point, low, high, strict=True))
            for point in definition.minimizers
        ),
        range=definition.range,
        source=definition.source,
    )


def _on_unit_cube(
    formula: Formula,
    low: tuple[float, ...],
    high: tuple[float, ...],
    x: jaxtyping.Float[Array, " d"],
) -> jaxtyping.Float[Array, ""]:
    """The formula at a point of the unit cube."""
    a, b = jnp.asarray(low, x.dtype), jnp.asarray(high, x.dtype)
    return formula(a + (b - a) * x)
