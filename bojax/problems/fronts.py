"""Functions of several objectives whose front is known, some with constraints."""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax.numpy as jnp
import jaxtyping
from jaxtyping import Array

from bojax.problems import synthetic
from bojax.space import Float, Space

Measurement = Callable[[jaxtyping.Float[Array, " d"]], jaxtyping.Float[Array, " k"]]
"""A traceable function of one point to several numbers."""


@dataclasses.dataclass(frozen=True)
class FrontProblem:
    """Several functions on the unit cube, all minimized, of which the front is known.

    Args:
        name: of the problem.
        fn: a point of the unit cube to the objectives; traceable.
        constraints: a point to the constraints, met where <= 0; None where there are
            none.
        space: the parameters in natural units, one column each.
        num_objectives: how many values `fn` has.
        num_constraints: how many `constraints` has.
        reference: the corner below which hypervolumes are measured.
        max_hypervolume: of the front below the reference, to four digits.
        source: whose formulas, bounds and reference these are.

    Example:
        >>> problem = branin_currin()
        >>> problem.num_objectives, problem.reference, problem.max_hypervolume
        (2, (18.0, 6.0), 59.36)
    """

    name: str
    fn: Measurement
    constraints: Measurement | None
    space: Space
    num_objectives: int
    num_constraints: int
    reference: tuple[float, ...]
    max_hypervolume: float
    source: str


@functools.cache
def branin_currin() -> FrontProblem:
    """Branin's valley against Currin's exponential ridge, in two dimensions.

    Returns:
        The problem; the same object at every call.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(float(y), 4) for y in branin_currin().fn(jnp.full(2, 0.5))]
        [24.13, 7.4051]

    References:
        Belakaria, Deshwal and Doppa (2019), Max-value entropy search for
        multi-objective Bayesian optimization, section 5; Daulton et al. (2020), for the
        reference and the largest hypervolume.
    """
    return FrontProblem(
        name="branin_currin",
        fn=_branin_currin,
        constraints=None,
        space=_cube(2),
        num_objectives=2,
        num_constraints=0,
        reference=(18.0, 6.0),
        max_hypervolume=59.36,
        source="Belakaria, Deshwal and Doppa (2019); reference of BoTorch",
    )


@functools.cache
def c2_dtlz2() -> FrontProblem:
    """An arc in four dimensions of which only three pieces meet the constraint.

    Returns:
        The problem; the same object at every call.

    Example:
        >>> import jax.numpy as jnp
        >>> problem, x = c2_dtlz2(), jnp.array([0.5, 0.5, 0.5, 0.5])
        >>> [round(float(y), 4) for y in problem.fn(x)]
        [0.7071, 0.7071]
        >>> [round(float(g), 4) for g in problem.constraints(x)]
        [-0.08]

    References:
        Deb, Thiele, Laumanns and Zitzler (2005), Scalable test problems for
        evolutionary multiobjective optimization, section 8.2; Jain and Deb (2014), An
        evolutionary many-objective optimization algorithm using reference-point-based
        nondominated sorting approach, part II, equation 5, for the constraint, whose
        middle piece is larger in BoTorch and here.
    """
    return FrontProblem(
        name="c2_dtlz2",
        fn=_dtlz2,
        constraints=_c2,
        space=_cube(4),
        num_objectives=2,
        num_constraints=1,
        reference=(1.1, 1.1),
        max_hypervolume=0.4000,
        source="Deb et al. (2005); Jain and Deb (2014); radii and corner of BoTorch",
    )


@functools.cache
def zdt1(num_columns: int = 30) -> FrontProblem:
    """A convex front at one face of the cube.

    Args:
        num_columns: how many parameters, at least 2.

    Returns:
        The problem; the same object at every call with the same number.

    Raises:
        ValueError: if there are fewer than two parameters.

    Example:
        >>> problem = zdt1(5)
        >>> problem.space.num_columns, round(problem.max_hypervolume, 4)
        (5, 120.6667)

    References:
        Zitzler, Deb and Thiele (2000), Comparison of multiobjective evolutionary
        algorithms, equation 7.
    """
    if num_columns < 2:
        raise ValueError(f"num_columns: expected at least 2, got {num_columns}")
    return FrontProblem(
        name="zdt1",
        fn=_zdt1,
        constraints=None,
        space=_cube(num_columns),
        num_objectives=2,
        num_constraints=0,
        reference=(11.0, 11.0),
        max_hypervolume=120 + 2 / 3,
        source="Zitzler, Deb and Thiele (2000); reference of BoTorch",
    )


def _cube(num_columns: int) -> Space:
    return Space({f"x{j}": Float(0.0, 1.0) for j in range(num_columns)})


def _branin_currin(x: jaxtyping.Float[Array, "2"]) -> jaxtyping.Float[Array, "2"]:
    branin = synthetic.branin(jnp.stack([15 * x[0] - 5, 15 * x[1]]))
    return jnp.stack([branin, synthetic.currin(x)])


def _dtlz2(x: jaxtyping.Float[Array, " d"]) -> jaxtyping.Float[Array, "2"]:
    radius = 1 + jnp.sum((x[1:] - 0.5) ** 2)
    angle = 0.5 * math.pi * x[0]
    return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def _c2(x: jaxtyping.Float[Array, " d"]) -> jaxtyping.Float[Array, "1"]:
    """Close to an end of the unit arc, or to its middle."""
    centers = jnp.asarray([[1.0, 0.0], [0.0, 1.0], [math.sqrt(0.5)] * 2], x.dtype)
    distance = jnp.sum((_dtlz2(x) - centers) ** 2, axis=1)
    # BoTorch takes the squared radius off each term of the sum about the middle, which
    # makes it twice as large there. All published hypervolumes have it so.
    allowed = 0.2**2 * jnp.asarray([1, 1, 2], x.dtype)
    return jnp.min(distance - allowed, keepdims=True)


def _zdt1(x: jaxtyping.Float[Array, " d"]) -> jaxtyping.Float[Array, "2"]:
    away = 1 + 9 * jnp.mean(x[1:])
    return jnp.stack([x[0], away * (1 - jnp.sqrt(x[0] / away))])
