"""Formulas of the test functions, each for one point in its natural units."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

_HARTMANN_WEIGHTS = (1.0, 1.2, 3.0, 3.2)
_HARTMANN3_SCALES = (
    (3.0, 10.0, 30.0),
    (0.1, 10.0, 35.0),
    (3.0, 10.0, 30.0),
    (0.1, 10.0, 35.0),
)
_HARTMANN3_CENTERS = (
    (0.3689, 0.1170, 0.2673),
    (0.4699, 0.4387, 0.7470),
    (0.1090, 0.8732, 0.5547),
    (0.0381, 0.5743, 0.8828),
)
_HARTMANN6_SCALES = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)
_HARTMANN6_CENTERS = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)

# Center and height of the bumps, for each of the two widths.
_RKHS_WIDE = ((0.1, 4.0), (0.15, -1.0), (0.08, 2.0), (0.3, -2.0), (0.4, 1.0))
_RKHS_NARROW = (
    (0.8, 3.0),
    (0.85, 4.0),
    (0.9, 2.0),
    (0.95, 1.0),
    (0.92, -1.0),
    (0.74, 2.0),
    (0.91, 2.0),
    (0.89, 3.0),
    (0.79, 3.0),
    (0.88, 2.0),
    (0.86, -1.0),
    (0.96, -2.0),
    (0.99, 4.0),
    (0.82, -3.0),
)


def branin(z: Float[Array, "2"]) -> Float[Array, ""]:
    """A valley with three equal minima."""
    u, v = z
    bend = v - 5.1 / (4 * math.pi**2) * u**2 + 5 / math.pi * u - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * jnp.cos(u) + 10


def currin(z: Float[Array, "2"]) -> Float[Array, ""]:
    """A ridge that falls off exponentially."""
    u, v = z
    above = 2300 * u**3 + 1900 * u**2 + 2092 * u + 60
    below = 100 * u**3 + 500 * u**2 + 4 * u + 20
    # At v = 0 the exponential is zero, and so is its slope.
    decay = jnp.exp(-1 / (2 * jnp.maximum(v, 1e-3)))
    return (1 - decay) * above / below


def camelback(z: Float[Array, "2"]) -> Float[Array, ""]:
    """Six minima, two of them global."""
    u, v = z
    hump = (4 - 2.1 * u**2 + u**4 / 3) * u**2
    return hump + u * v + 4 * (v**2 - 1) * v**2


def goldstein_price(z: Float[Array, "2"]) -> Float[Array, ""]:
    """A flat middle between walls five orders of magnitude high."""
    u, v = z
    first = 19 - 14 * u + 3 * u**2 - 14 * v + 6 * u * v + 3 * v**2
    second = 18 - 32 * u + 12 * u**2 + 48 * v - 36 * u * v + 27 * v**2
    return (1 + (u + v + 1) ** 2 * first) * (30 + (2 * u - 3 * v) ** 2 * second)


def hartmann3(z: Float[Array, "3"]) -> Float[Array, ""]:
    """Four wells in three dimensions."""
    return _hartmann(z, _HARTMANN3_SCALES, _HARTMANN3_CENTERS)


def hartmann6(z: Float[Array, "6"]) -> Float[Array, ""]:
    """Four wells in six dimensions; a local minimum lies 0.119 above the global one."""
    return _hartmann(z, _HARTMANN6_SCALES, _HARTMANN6_CENTERS)


def augmented_hartmann(z: Float[Array, "7"]) -> Float[Array, ""]:
    """Hartmann's wells in six dimensions, one of them shallower at less fidelity."""
    weights = jnp.asarray(_HARTMANN_WEIGHTS, z.dtype).at[0].add(-0.1 * (1 - z[6]))
    return _hartmann(z[:6], _HARTMANN6_SCALES, _HARTMANN6_CENTERS, weights)


def _hartmann(
    z: Float[Array, " d"],
    scales: tuple[tuple[float, ...], ...],
    centers: tuple[tuple[float, ...], ...],
    weights: Float[Array, "4"] | None = None,
) -> Float[Array, ""]:
    if weights is None:
        weights = jnp.asarray(_HARTMANN_WEIGHTS, z.dtype)
    distance = (z - jnp.asarray(centers, z.dtype)) ** 2
    exponent = jnp.sum(jnp.asarray(scales, z.dtype) * distance, axis=1)
    return -jnp.sum(weights * jnp.exp(-exponent))


def michalewicz(z: Float[Array, " d"]) -> Float[Array, ""]:
    """Steep ridges, one a column, on an otherwise flat floor; steepness 10."""
    index = jnp.arange(1, z.shape[0] + 1, dtype=z.dtype)
    return -jnp.sum(jnp.sin(z) * jnp.sin(index * z**2 / math.pi) ** 20)


def rosenbrock(z: Float[Array, " d"]) -> Float[Array, ""]:
    """A curved, narrow and nearly flat valley."""
    return jnp.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (z[:-1] - 1) ** 2)


def levy(z: Float[Array, "1"]) -> Float[Array, ""]:
    """A wavy bowl, in one dimension."""
    w = 1 + (z[0] - 1) / 4
    return jnp.sin(math.pi * w) ** 2 + (w - 1) ** 2 * (
        1 + jnp.sin(2 * math.pi * w) ** 2
    )


def ackley(z: Float[Array, " d"]) -> Float[Array, ""]:
    """A hole amid ripples, on a nearly flat plain."""
    # The plain square root has no gradient at the minimizer, where it is zero.
    square = jnp.mean(z**2)
    safe = jnp.where(square > 0, square, 1.0)
    radius = jnp.where(square > 0, jnp.sqrt(safe), 0.0)
    hole = -20 * jnp.expm1(-0.2 * radius)
    ripples = math.e - jnp.exp(jnp.mean(jnp.cos(2 * math.pi * z)))
    return hole + ripples


def rkhs(z: Float[Array, "1"]) -> Float[Array, ""]:
    """Smooth on the left, rough on the right: bumps of two widths."""

    def bumps(pairs: tuple[tuple[float, float], ...], width: float) -> Float[Array, ""]:
        center, height = jnp.asarray(pairs, z.dtype).T
        return jnp.sum(height * jnp.exp(-(((z[0] - center) / width) ** 2) / 2))

    return -(bumps(_RKHS_WIDE, 0.1) + bumps(_RKHS_NARROW, 0.01))
