"""Maps of the observed values: increasing, blind to padding, Yeo-Johnson as SciPy's."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bojax.surrogates.outcomes import log_warp, unchanged, yeo_johnson

MAPS = {f.__name__: jax.jit(f) for f in (unchanged, log_warp, yeo_johnson)}
CAPACITY = 16


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def mapped(name, y, garbage=np.nan):
    """Where the values go."""
    y_padded, mask = padded(y, garbage)
    values, variance = MAPS[name](y_padded, jnp.zeros(CAPACITY), mask)
    assert np.all(np.asarray(variance)[: len(y)] == 0)
    return np.asarray(values)[: len(y)]


def padded(y, garbage=np.nan):
    y = np.asarray(y, float)
    rest = CAPACITY - len(y)
    return jnp.asarray(np.pad(y, (0, rest), constant_values=garbage)), jnp.asarray(
        np.arange(CAPACITY) < len(y)
    )


@pytest.mark.parametrize("name", MAPS)
@hypothesis.given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=CAPACITY),
    st.sampled_from([1e-9, 1.0, 1e9]),
    st.sampled_from([0.0, 1.0, 7.5]),
)
@hypothesis.settings(max_examples=40)
def test_the_order_stays(name, values, unit, shift):
    y = unit * (np.array(values) + shift)
    new = mapped(name, y)
    assert np.all(np.isfinite(new))
    order = np.argsort(y, kind="stable")
    steps, new_steps = np.diff(y[order]), np.diff(new[order])
    # Equal stays equal, and larger stays larger: the incumbent is the same.
    assert np.all(new_steps[steps == 0] == 0)
    assert np.all(new_steps[steps > 0] > 0)


@pytest.mark.parametrize("name", MAPS)
def test_masked_rows_are_ignored_whatever_they_hold(name):
    y = np.random.default_rng(0).normal(size=9)
    plain = mapped(name, y, 0.0)
    for garbage in (np.nan, np.inf, -1e300, 3.0):
        np.testing.assert_array_equal(mapped(name, y, garbage), plain)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_huge_and_tiny_values_keep_their_order(name, unit):
    y = unit * np.array([0.1, 0.5, 0.2, 1.0])
    new = mapped(name, y)
    assert np.all(np.isfinite(new))
    assert np.argsort(new).tolist() == np.argsort(y).tolist()
    assert len(set(new.tolist())) == 4


@pytest.mark.parametrize("name", MAPS)
def test_equal_values_and_a_single_one_are_finite(name):
    for y in (np.full(5, 3.0), np.zeros(1)):
        assert np.all(np.isfinite(mapped(name, y)))


@pytest.mark.parametrize("kind", ["exponential", "heavy", "left", "normal"])
def test_yeo_johnson_is_scipys_at_the_likeliest_exponent(kind):
    rng = np.random.default_rng(1)
    y = {
        "exponential": rng.exponential(size=14),
        "heavy": rng.standard_cauchy(size=14),
        "left": -(rng.exponential(size=14) ** 2),
        "normal": rng.normal(size=14),
    }[kind]
    z = (y - y.mean()) / y.std()
    new = mapped("yeo_johnson", y)
    powers = np.linspace(-2, 2, 1601)
    errors = [np.abs(stats.yeojohnson(z, power) - new).max() for power in powers]
    chosen = powers[np.argmin(errors)]
    assert min(errors) < 1e-9
    # A likelihood ratio of a third tells nobody anything.
    best = max(stats.yeojohnson_llf(power, z) for power in powers)
    assert stats.yeojohnson_llf(chosen, z) > best - 0.3


def test_yeo_johnson_is_smooth_where_its_exponent_is_zero_or_two():
    from bojax.surrogates.outcomes import _power

    z = jnp.asarray(np.linspace(-3, 3, 13))
    for power in (0.0, 1e-7, 2.0, 2 - 1e-7):
        expected = stats.yeojohnson(np.asarray(z), power)
        np.testing.assert_allclose(_power(z, jnp.asarray(power)), expected, rtol=1e-5)


def test_log_warp_is_the_logarithm_that_it_states():
    y = np.array([3.0, 5.0, 4.0, 103.0])
    # Distances 0, 2, 1, 100 from the best, of median 1.5.
    expected = np.log(y - 3 + 1.5e-3)
    np.testing.assert_allclose(mapped("log_warp", y), expected, rtol=1e-12)


@pytest.mark.parametrize("name", MAPS)
def test_variances_follow_the_slope(name):
    """Held to differences of the map, its statistics unchanged by a great many rows."""
    y = np.array([0.3, -1.0, 2.5, 4.0])
    step = 1e-6
    crowd = np.repeat(y, 3 * CAPACITY)
    mask = jnp.ones(len(crowd) + 2, bool)
    for value in (0.5, -0.7, 3.0):
        pair = jnp.asarray(np.append(crowd, [value - step, value + step]))
        values, variance = MAPS[name](pair, jnp.full(len(pair), 0.04), mask)
        slope = (values[-1] - values[-2]) / (2 * step)
        np.testing.assert_allclose(variance[-1], 0.04 * slope**2, rtol=1e-4)
