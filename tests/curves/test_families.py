"""The families against mpmath, their identities, and their gradients."""

import inspect

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from bojax.curves import families
from bojax.curves.families import FAMILIES

mpmath.mp.dps = 50
STEPS = np.array([1.0, 2.0, 7.0, 100.0, 1e4, 1e6])

EXACT = {
    "vap": lambda x, a, b, c: mpmath.exp(a + b / x + c * mpmath.log(x)),
    "pow3": lambda x, c, a, alpha: c - a * x**-alpha,
    "log_log_linear": lambda x, a, b: mpmath.log(a * mpmath.log(x) + b),
    "hill3": lambda x, t, eta, k: t * x**eta / (k**eta + x**eta),
    "log_power": lambda x, a, b, c: a / (1 + (x / mpmath.exp(b)) ** c),
    "pow4": lambda x, c, a, b, alpha: c - (a * x + b) ** -alpha,
    "mmf": lambda x, a, b, k, d: a - (a - b) / (1 + (k * x) ** d),
    "exp4": lambda x, c, a, b, alpha: c - mpmath.exp(-a * x**alpha + b),
    "janoschek": lambda x, a, b, k, d: a - (a - b) * mpmath.exp(-k * x**d),
    "weibull": lambda x, a, b, k, d: a - (a - b) * mpmath.exp(-((k * x) ** d)),
    "ilog2": lambda x, c, a: c - a / mpmath.log(x + 1),
}
POSITIVE = {"alpha", "kappa", "k", "delta", "eta"}
each = pytest.mark.parametrize("name", FAMILIES)


def draw(name: str, num: int = 40) -> np.ndarray:
    """Parameters wider than anybody's prior: shapes over orders of magnitude."""
    rng = np.random.default_rng(len(name))
    columns = []
    for parameter in FAMILIES[name].parameters:
        level = (name in ("mmf", "janoschek", "weibull")) and parameter == "alpha"
        if parameter in POSITIVE and not level:
            columns.append(np.exp(rng.uniform(-5, 1.5, num)))
        elif name in ("log_log_linear", "pow4", "exp4") and parameter in "ab":
            columns.append(np.exp(rng.uniform(-3, 2, num)))
        else:
            columns.append(rng.uniform(-1, 1, num))
    return np.stack(columns, 1)


def values(name, parameters):
    function = FAMILIES[name].function
    over_steps = jax.vmap(function, (0, *[None] * parameters.shape[1]))
    return jax.vmap(lambda p: over_steps(jnp.asarray(STEPS), *p))(
        jnp.asarray(parameters)
    )


def test_the_grid_is_complete():
    assert set(FAMILIES) == set(EXACT)
    assert len(FAMILIES) == 11
    for family in FAMILIES.values():
        expected = list(inspect.signature(family.function).parameters)[1:]
        assert list(family.parameters) == expected


@each
def test_values_are_those_of_fifty_digits(name, x64):
    parameters = draw(name)
    found = np.asarray(values(name, parameters), float)
    assert np.all(np.isfinite(found))
    eps = np.finfo(np.float64 if x64 else np.float32).eps
    rows = np.asarray(jnp.asarray(parameters), float)  # as rounded as ours were
    for row, ours in zip(rows, found, strict=True):
        for step, value in zip(STEPS, ours, strict=True):
            exact = float(EXACT[name](mpmath.mpf(step), *map(mpmath.mpf, row)))
            # Exponents reach some hundreds, and pass on their relative rounding; where
            # they are clipped, what is left is nothing.
            assert abs(value - exact) <= 1e3 * eps * max(1.0, abs(exact))


@each
def test_gradients_are_finite(name, x64):
    parameters = draw(name)
    function = FAMILIES[name].function
    places = tuple(range(1, parameters.shape[1] + 1))
    slopes = jax.grad(function, places)
    for step in STEPS:
        found = jax.vmap(lambda p: slopes(jnp.asarray(step), *p))(  # noqa: B023
            jnp.asarray(parameters)
        )
        assert all(bool(jnp.all(jnp.isfinite(slope))) for slope in found)


@each
def test_jit_and_vmap_change_nothing(name, x64):
    family = FAMILIES[name]
    start = list(family.start.values())
    x = jnp.asarray([1.0, 5.0, 50.0])
    loop = jnp.stack([family.function(step, *start) for step in x])
    mapped = jax.jit(jax.vmap(lambda step: family.function(step, *start)))(x)
    np.testing.assert_allclose(mapped, loop, rtol=1e-5 if not x64 else 1e-13)


def test_identities():
    x = jnp.asarray(STEPS)
    with jax.enable_x64(True):
        x = jnp.asarray(STEPS)
        same = [
            (
                families.weibull(x, 0.8, 0.1, 0.3, 0.7),
                families.janoschek(x, 0.8, 0.1, 0.3**0.7, 0.7),
            ),
            (
                families.exp4(x, 0.8, 0.2, np.log(0.8 - 0.1), 0.6),
                families.janoschek(x, 0.8, 0.1, 0.2, 0.6),
            ),
            (
                families.hill3(x, 0.8, 1.3, 5.0),
                families.log_power(x, 0.8, np.log(5.0), -1.3),
            ),
            (
                families.hill3(x, 0.8, 1.3, 5.0),
                families.mmf(x, 0.8, 0.0, 1 / 5.0, 1.3),
            ),
            (
                families.pow3(x, 0.8, 0.5, 0.4),
                families.pow4(x, 0.8, 0.5 ** (-1 / 0.4), 0.0, 0.4),
            ),
        ]
        for one, other in same:
            np.testing.assert_allclose(one, other, rtol=1e-12)
