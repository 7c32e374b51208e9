"""The families against mpmath, their identities, their limits and their gradients."""

import functools
import inspect

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bojax.curves import families
from bojax.curves.families import FAMILIES

STEPS = np.array([1.0, 2.0, 7.0, 100.0, 1e4, 1e6])
LOG_LARGEST = 40.0  # exponents above it are clipped


def exp(z):
    """Exponential; nothing below e^-10000, where mpmath would take for ever."""
    return mpmath.exp(z) if z > -10_000 else mpmath.mpf(0)


EXACT = {
    "vap": lambda x, a, b, c: exp(a + b / x + c * mpmath.log(x)),
    "pow3": lambda x, c, a, alpha: c - a * x**-alpha,
    "log_log_linear": lambda x, a, b: mpmath.log(a * mpmath.log(x) + b),
    "hill3": lambda x, t, eta, k: t * x**eta / (k**eta + x**eta),
    "log_power": lambda x, a, b, c: a / (1 + (x / exp(b)) ** c),
    "pow4": lambda x, c, a, b, alpha: c - (a * x + b) ** -alpha,
    "mmf": lambda x, a, b, k, d: a - (a - b) / (1 + (k * x) ** d),
    "exp4": lambda x, c, a, b, alpha: c - exp(-a * x**alpha + b),
    "janoschek": lambda x, a, b, k, d: a - (a - b) * exp(-k * x**d),
    "weibull": lambda x, a, b, k, d: a - (a - b) * exp(-((k * x) ** d)),
    "ilog2": lambda x, c, a: c - a / mpmath.log(x + 1),
}
POSITIVE = {
    "vap": (),
    "pow3": ("alpha",),
    "log_log_linear": ("a", "b"),
    "hill3": ("eta", "kappa"),
    "log_power": (),
    "pow4": ("a", "b", "alpha"),
    "mmf": ("kappa", "delta"),
    "exp4": ("a", "alpha"),
    "janoschek": ("k", "delta"),
    "weibull": ("kappa", "delta"),
    "ilog2": (),
}
each = pytest.mark.parametrize("name", FAMILIES)


def draw(name, num=40, log_width=13.8, width=100.0, seed=0):
    """Random parameters, positive ones within e^+-log_width, others +-width [num, p].

    The widths that it has by default are the domain.
    """
    rng = np.random.default_rng(seed)
    columns = []
    for parameter in FAMILIES[name].parameters:
        if parameter in POSITIVE[name]:
            column = np.exp(rng.uniform(-log_width, log_width, num))
        else:
            column = rng.uniform(-width, width, num)
        if name == "pow4" and parameter == "b":
            column[::4] = 0.0
        columns.append(column)
    return np.stack(columns, 1)


@functools.cache
def compiled(name, slopes=False):
    """Values, or slopes in the step and each parameter, at [p] parameters by steps."""
    function = FAMILIES[name].function
    num = len(FAMILIES[name].parameters)
    if slopes:
        function = jax.grad(function, tuple(range(num + 1)))
    over_steps = jax.vmap(function, (0, *[None] * num))
    return jax.jit(jax.vmap(lambda steps, p: over_steps(steps, *p), (None, 0)))


def test_the_grid_is_complete():
    assert set(FAMILIES) == set(EXACT) == set(POSITIVE)
    assert len(FAMILIES) == 11
    for name, family in FAMILIES.items():
        expected = list(inspect.signature(family.function).parameters)
        assert expected[0] == "x"
        assert list(family.parameters) == list(family.start) == expected[1:]
        assert family.name == family.function.__name__ == name
        assert family.function is getattr(families, name)
        for parameter in POSITIVE[name]:
            # Their code starts pow4 with b = 0, where it is pow3.
            assert family.start[parameter] > 0 or (name, parameter) == ("pow4", "b")


def condition(exact, arguments):
    """sum_i |p_i df / dp_i|: what rounding the arguments makes of the value."""
    h = mpmath.mpf(10) ** -20
    value = exact(*arguments)
    total = mpmath.mpf(0)
    for i, argument in enumerate(arguments):
        moved = [*arguments[:i], argument * (1 + h), *arguments[i + 1 :]]
        total += abs(exact(*moved) - value) / h
    return value, total


@pytest.mark.parametrize(("log_width", "width"), [(13.8, 100.0), (5.0, 3.0)])
@each
def test_values_are_those_of_fifty_digits(name, log_width, width, x64):
    parameters = draw(name, 30, log_width, width)
    found = np.asarray(compiled(name)(jnp.asarray(STEPS), jnp.asarray(parameters)))
    assert found.dtype == (np.float64 if x64 else np.float32)
    assert np.all(np.isfinite(found))
    eps = float(np.finfo(found.dtype).eps)
    rows = np.asarray(jnp.asarray(parameters), float)  # as rounded as ours were
    with mpmath.workdps(50):
        for row, ours in zip(rows, found, strict=True):
            for step, value in zip(STEPS, ours, strict=True):
                arguments = [mpmath.mpf(step), *map(mpmath.mpf, row)]
                exact, slope = condition(EXACT[name], arguments)
                if abs(exact) > mpmath.exp(LOG_LARGEST - 0.1):
                    assert abs(float(value)) > 0.9 * np.exp(LOG_LARGEST - 0.1)
                    continue
                # Backward stable: each intermediate is a parameter or a step with a few
                # roundings, so that the condition number tells how many of them reach
                # the value. 32 is for ln k + delta ln x, where |ln k| < 14 comes in
                # too. What is smaller than a normal number may be flushed to zero.
                tolerance = 32 * eps * (abs(exact) + slope) + 1e-35
                assert abs(float(value) - exact) <= tolerance


def somewhere(name, places):
    """A step and parameters in the domain, each given by its place from 0 to 1."""
    step, *places = places
    values = [10 ** (6 * step)]
    for parameter, place in zip(FAMILIES[name].parameters, places, strict=True):
        if name == "pow4" and parameter == "b" and place < 0.25:
            values.append(0.0)
        elif parameter in POSITIVE[name]:
            values.append(10 ** (12 * place - 6))
        else:
            values.append(200 * place - 100)
    return np.array(values)


@each
def test_values_and_gradients_are_finite(name, x64):
    dtype = np.float64 if x64 else np.float32
    num = 1 + len(FAMILIES[name].parameters)
    place = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])

    @settings(max_examples=100)
    @given(st.lists(place, min_size=num, max_size=num))
    def check(places):
        values = somewhere(name, places)
        steps, parameters = jnp.asarray(values[:1]), jnp.asarray(values[None, 1:])
        value = np.asarray(compiled(name)(steps, parameters))
        assert value.dtype == dtype
        assert np.all(np.isfinite(value))
        for slope in compiled(name, slopes=True)(steps, parameters):
            assert slope.dtype == dtype
            assert np.all(np.isfinite(slope))

    check()


def test_gradients_of_pow4_are_finite_just_below_its_clip():
    # Random corners miss it: with exponents up to 80, 1 / a made the slope infinite.
    alpha = LOG_LARGEST / -np.log(1e-6) * 0.999
    arguments = jnp.asarray([[0.5, 1e-6, 0.0, alpha]])
    with jax.enable_x64(False):
        for slope in compiled("pow4", slopes=True)(jnp.ones(1), arguments):
            assert np.all(np.isfinite(slope))
            assert np.any(slope != 0)
    for exponent in (80.0, 79.0):
        alpha = exponent / -np.log(1e-6)
        for slope in compiled("pow4", slopes=True)(
            jnp.ones(1), jnp.asarray([[0.5, 1e-6, 0.0, alpha]])
        ):
            assert np.all(np.isfinite(slope))


@each
def test_gradients_are_those_of_differences(name):
    parameters = draw(name, 20, 1.5, 2.0)
    steps = np.array([1.0, 3.0, 20.0])
    with jax.enable_x64(True):
        slopes = compiled(name, slopes=True)(
            jnp.asarray(steps), jnp.asarray(parameters)
        )
        with mpmath.workdps(50):
            h = mpmath.mpf(10) ** -20
            for i in range(len(parameters)):
                for j in range(len(steps)):
                    at = [mpmath.mpf(steps[j]), *map(mpmath.mpf, parameters[i])]
                    for k, slope in enumerate(slopes):
                        up, down = list(at), list(at)
                        up[k], down[k] = at[k] + h, at[k] - h
                        if name == "pow4" and at[3] == 0 and k == 3:
                            down[k] = at[k]  # from within the domain
                        exact = (EXACT[name](*up) - EXACT[name](*down)) / (
                            up[k] - down[k]
                        )
                        assert float(slope[i, j]) == pytest.approx(
                            float(exact), rel=1e-10, abs=1e-10
                        )


@each
def test_jit_and_vmap_change_nothing(name, x64):
    family = FAMILIES[name]
    start = list(family.start.values())
    x = jnp.asarray([1.0, 5.0, 50.0])
    rtol = 1e-13 if x64 else 1e-5
    loop = jnp.stack([family.function(step, *start) for step in x])
    numbers = [float(family.function(float(step), *start)) for step in x]
    mapped = jax.vmap(lambda step: family.function(step, *start))(x)
    jitted = jax.jit(family.function)(x, *start)
    for other in (numbers, mapped, jitted, family.function(x, *start)):
        np.testing.assert_allclose(other, loop, rtol=rtol)


@each
def test_single_precision_stays_single_beside_double(name):
    with jax.enable_x64(True):
        family = FAMILIES[name]
        start = [jnp.float32(value) for value in family.start.values()]
        assert family.function(jnp.float32(3.0), *start).dtype == jnp.float32
        assert family.function(jnp.float32(3.0), *family.start.values()).dtype == (
            jnp.float32
        )


RISING = {
    "vap": {"a": (-2, 0), "b": (-4, 0), "c": (0, 0.3)},
    "pow3": {"a": (0, 1)},
    "log_log_linear": {},
    "hill3": {"theta": (0, 1)},
    "log_power": {"a": (0, 1), "b": (-3, 9), "c": (-3, 0)},
    "pow4": {},
    "mmf": {"alpha": (0.5, 1), "beta": (0, 0.5)},
    "exp4": {"b": (-3, 1)},
    "janoschek": {"alpha": (0.5, 1), "beta": (0, 0.5)},
    "weibull": {"alpha": (0.5, 1), "beta": (0, 0.5)},
    "ilog2": {"a": (0, 1)},
}


@each
def test_rises_where_it_ought_to(name, x64):
    parameters = draw(name, 50, 3.0, 1.0)
    rng = np.random.default_rng(1)
    for parameter, (low, high) in RISING[name].items():
        at = FAMILIES[name].parameters.index(parameter)
        parameters[:, at] = rng.uniform(low, high, len(parameters))
    steps = np.exp(np.linspace(0, np.log(1e6), 200))
    found = np.asarray(
        compiled(name)(jnp.asarray(steps), jnp.asarray(parameters)), float
    )
    # Neighbors differ by a factor 1.07 in the step; what rounding may take back is 32
    # eps of the largest term, to which the exponent (below 30) adds as many.
    eps = np.finfo(np.float64 if x64 else np.float32).eps
    scale = 1 + np.max(np.abs(found), axis=1, keepdims=True)
    assert np.all(np.diff(found, axis=1) >= -32 * eps * scale)
    assert np.all(found[:, -1] >= found[:, 0])


@pytest.mark.parametrize(
    ("name", "parameters", "limit"),
    [
        ("vap", (-0.3, -2.0, 0.0), np.exp(-0.3)),
        ("pow3", (0.9, 0.5, 2.0), 0.9),
        ("hill3", (0.8, 2.0, 3.0), 0.8),
        ("log_power", (0.8, 1.0, -2.0), 0.8),
        ("pow4", (0.9, 3.0, 1.0, 2.0), 0.9),
        ("mmf", (0.8, 0.1, 0.5, 2.0), 0.8),
        ("exp4", (0.8, 0.5, 0.3, 0.5), 0.8),
        ("janoschek", (0.8, 0.1, 0.5, 0.5), 0.8),
        ("weibull", (0.8, 0.1, 0.5, 0.5), 0.8),
    ],
)
def test_limits(name, parameters, limit, x64):
    found = float(FAMILIES[name].function(1e6, *parameters))
    assert found == pytest.approx(limit, rel=1e-5)


def test_the_slowest_have_their_limits_beyond_any_step(x64):
    rel = 1e-14 if x64 else 1e-6
    assert float(families.ilog2(1e6, 0.9, 0.5)) == pytest.approx(
        0.9 - 0.5 / np.log1p(1e6), rel=rel
    )
    assert float(families.log_log_linear(1e6, 2.0, 3.0)) == pytest.approx(
        np.log(2 * np.log(1e6) + 3), rel=rel
    )


@pytest.mark.parametrize(
    ("name", "parameters", "first"),
    [
        ("vap", (-0.3, -2.0, 0.7), np.exp(-2.3)),
        ("pow3", (0.9, 0.5, 2.0), 0.4),
        ("log_log_linear", (5.0, 2.0), np.log(2.0)),
        ("hill3", (0.8, 2.0, 3.0), 0.08),
        ("log_power", (0.8, np.log(3.0), -2.0), 0.08),
        ("pow4", (0.9, 3.0, 1.0, 0.5), 0.4),
        ("mmf", (0.8, 0.3, 1 / 3, 2.0), 0.35),
        ("exp4", (0.8, 0.5, 0.5, 3.0), -0.2),
        ("janoschek", (0.8, 0.2, np.log(2), 3.0), 0.5),
        ("weibull", (0.8, 0.2, 1.0, 3.0), 0.8 - 0.6 / np.e),
        ("ilog2", (0.9, np.log(2.0)), -0.1),
    ],
)
def test_first_steps(name, parameters, first, x64):
    found = float(FAMILIES[name].function(1.0, *parameters))
    assert found == pytest.approx(first, rel=1e-13 if x64 else 1e-5)


@pytest.mark.parametrize("name", ["mmf", "janoschek", "weibull"])
def test_levels_are_exact_at_either_end(name, x64):
    function = FAMILIES[name].function
    rate = "k" if name == "janoschek" else "kappa"
    before = {"alpha": 0.7, "beta": 0.1, rate: 1e-6, "delta": 10.0}
    assert float(function(1e6, **{**before, rate: 1e6})) == float(jnp.asarray(0.7))
    if name != "janoschek":
        assert float(function(1.0, **before)) == float(jnp.asarray(0.1))
    # Without a level at one end there is no cancellation there.
    rise = float(function(1.0, 1.0, 0.0, 1e-6, 1.0))
    assert rise == pytest.approx(1e-6, rel=1e-5)


def test_no_logarithm_is_no_number():
    assert np.isnan(families.hill3(2.0, 0.8, 0.5, -1.0))
    assert np.isnan(families.mmf(2.0, 0.8, 0.1, -1.0, 0.5))
    assert np.isnan(families.exp4(2.0, 0.8, -1.0, 0.1, 0.5))
    assert np.isnan(families.janoschek(2.0, 0.8, 0.1, -1.0, 0.5))
    assert np.isnan(families.weibull(2.0, 0.8, 0.1, -1.0, 0.5))
    assert np.isnan(families.pow4(2.0, 0.8, -1.0, 0.1, 0.5))
    assert np.isnan(families.log_log_linear(2.0, 1.0, -1.0))


def positive(low=-2.0, high=2.0):
    return st.floats(low, high).map(lambda power: float(np.exp(power)))


@settings(max_examples=50)
@given(
    st.floats(0.5, 1.0), st.floats(0.0, 0.49), positive(), positive(), positive(-1, 1)
)
def test_identities(top, low, scale, other, power):
    with jax.enable_x64(True):
        x = jnp.asarray(STEPS)
        same = [
            (
                families.weibull(x, top, low, scale, power),
                families.janoschek(x, top, low, scale**power, power),
            ),
            (
                families.exp4(x, top, other, float(np.log(top - low)), power),
                families.janoschek(x, top, low, other, power),
            ),
            (
                families.hill3(x, top, power, scale),
                families.log_power(x, top, float(np.log(scale)), -power),
            ),
            (
                families.hill3(x, top, power, scale),
                families.mmf(x, top, 0.0, 1 / scale, power),
            ),
            (
                families.pow3(x, top, other, power),
                families.pow4(x, top, other ** (-1 / power), 0.0, power),
            ),
        ]
        for one, another in same:
            # Differences of terms up to 8, where an exponent is up to 50 and has its
            # rounding.
            np.testing.assert_allclose(one, another, rtol=1e-12, atol=1e-13)
