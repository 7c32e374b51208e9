"""Closed forms against Monte Carlo and against mpmath."""

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import bojax
from bojax.acquisitions import (
    EI,
    PI,
    UCB,
    LogEI,
    expected_improvement,
    log_expected_improvement,
    probability_of_improvement,
    upper_confidence_bound,
)
from bojax.data import Dataset
from bojax.surrogates import GP

# (mean, variance, best_y), from certain improvement to none that is thinkable.
CASES = np.array(
    [
        (mean, variance, best)
        for mean in (-3.0, 0.0, 0.2, 5.0, 40.0)
        for variance in (1e-6, 0.04, 1.0, 30.0)
        for best in (-1.0, 0.0, 0.5)
    ]
)


@jax.jit
def closed_forms(cases):
    def each(case):
        return {
            "log_ei": log_expected_improvement(*case),
            "ei": expected_improvement(*case),
            "pi": probability_of_improvement(*case),
            "ucb": upper_confidence_bound(case[0], case[1], 2.5),
        }

    slopes = jax.vmap(jax.grad(lambda case: log_expected_improvement(*case)))(cases)
    return jax.vmap(each)(cases), slopes


def test_expected_improvement_and_its_logarithm_equal_mpmath():
    with jax.enable_x64(True):
        ours, slopes = jax.tree.map(np.asarray, closed_forms(jnp.asarray(CASES)))
    assert np.all(np.isfinite(slopes))
    with mpmath.workdps(60):
        for i, case in enumerate(CASES):
            mean, variance, best = map(mpmath.mpf, map(float, case))
            sigma = mpmath.sqrt(variance)
            u = (best - mean) / sigma
            exact = sigma * (mpmath.npdf(u) + u * mpmath.ncdf(u))
            log = mpmath.log(exact)
            # Rounding in u alone moves log h by about eps u^2.
            assert abs(ours["log_ei"][i] - log) < 1e-12 * max(1, abs(log)), case
            # What underflows is zero.
            tolerance = 1e-300 + 1e-11 * exact * max(1, u**2)
            assert abs(ours["ei"][i] - exact) <= tolerance, case
            exact = mpmath.ncdf(u)
            tolerance = 1e-300 + 1e-11 * exact * max(1, u**2)
            assert abs(ours["pi"][i] - exact) <= tolerance, case


def test_slopes_of_log_ei_equal_mpmath():
    with jax.enable_x64(True):
        _, slopes = jax.tree.map(np.asarray, closed_forms(jnp.asarray(CASES)))
    with mpmath.workdps(60):

        def log_ei(mean, variance, best):
            u = (best - mean) / mpmath.sqrt(variance)
            h = mpmath.npdf(u) + u * mpmath.ncdf(u)
            return mpmath.log(mpmath.sqrt(variance) * h)

        for case, slope in zip(CASES, slopes, strict=True):
            point = tuple(map(mpmath.mpf, map(float, case)))
            for axis in range(3):
                order = tuple(int(axis == i) for i in range(3))
                exact = mpmath.diff(log_ei, point, order)
                assert abs(slope[axis] - exact) <= 1e-8 * max(1, abs(exact)), case


def test_expectations_equal_monte_carlo():
    s = 400_000
    draws = np.random.default_rng(0).normal(size=s)
    cases = CASES[np.abs(CASES[:, 2] - CASES[:, 0]) < 3 * np.sqrt(CASES[:, 1])]
    assert len(cases) > 15
    with jax.enable_x64(True):
        ours, _ = jax.tree.map(np.asarray, closed_forms(jnp.asarray(cases)))
    for i, (mean, variance, best) in enumerate(cases):
        values = mean + np.sqrt(variance) * draws
        improvement = np.maximum(best - values, 0)
        error = improvement.std() / np.sqrt(s)
        assert abs(ours["ei"][i] - improvement.mean()) < 5 * error
        better = values < best
        assert abs(ours["pi"][i] - better.mean()) < 5 * better.std() / np.sqrt(s)
        # -f is below its bound of squared width beta as often as a normal is.
        below = np.mean(-values <= ours["ucb"][i])
        expected = float(mpmath.ncdf(mpmath.sqrt(2.5)))
        assert abs(below - expected) < 5 * 0.5 / np.sqrt(s)


def test_single_precision_is_that_of_double_precision():
    single = closed_forms(jnp.asarray(CASES, jnp.float32))[0]
    with jax.enable_x64(True):
        cases = jnp.asarray(CASES.astype(np.float32), float)
        double, _ = jax.tree.map(np.asarray, closed_forms(cases))
    # log h(u) has the relative error of u^2: a few eps of the value itself.
    np.testing.assert_allclose(single["log_ei"], double["log_ei"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(single["ucb"], double["ucb"], rtol=1e-6)


def test_there_is_more_to_gain_below_a_higher_incumbent(x64):
    best = jnp.linspace(-20, 20, 201)
    for function in (log_expected_improvement, probability_of_improvement):
        values = jax.vmap(lambda b, f=function: f(jnp.zeros(()), jnp.ones(()), b))(best)
        assert np.all(np.diff(values) >= 0)
        assert values[-1] > values[0]


def test_log_ei_has_finite_slopes_where_ei_underflows(x64):
    mean, variance, best = jnp.asarray(1e3), jnp.asarray(1e-2), jnp.asarray(0.0)
    assert float(expected_improvement(mean, variance, best)) == 0
    value, slopes = jax.value_and_grad(log_expected_improvement, (0, 1))(
        mean, variance, best
    )
    assert np.isfinite(value)
    assert np.isfinite(slopes[0])
    assert np.isfinite(slopes[1])
    assert slopes[0] < 0 < slopes[1]


SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})


def test_classes_are_their_functions_of_the_marginal():
    x = jnp.array([[0.1, 0.2], [0.7, 0.4], [0.5, 0.9]])
    data = Dataset.of(x, jnp.array([0.3, -1.0, 2.0]))
    best = jnp.asarray(-1.0)
    query = jnp.array([[0.3, 0.3]])

    @eqx.filter_jit
    def both(posterior, query):
        classes = [cls(posterior, best)(query) for cls in (LogEI, EI, PI)] + [
            UCB(posterior)(query),
            UCB(posterior, 9.0)(query),
        ]
        mean, variance = posterior.marginal(query[0])
        functions = [
            log_expected_improvement(mean, variance, best),
            expected_improvement(mean, variance, best),
            probability_of_improvement(mean, variance, best),
            upper_confidence_bound(mean, variance, 2.0),
            upper_confidence_bound(mean, variance, 9.0),
        ]
        return jnp.stack(classes), jnp.stack(functions)

    classes, functions = both(GP(SPACE).condition(data), query)
    np.testing.assert_allclose(classes, functions, rtol=1e-6)
    assert len(set(np.asarray(classes).tolist())) == 5


def test_a_bound_of_no_width_slopes_like_the_mean():
    data = Dataset.of(jnp.array([[0.1, 0.2], [0.7, 0.4]]), jnp.array([0.3, -1.0]))
    query = jnp.array([[0.3, 0.3]])

    @eqx.filter_jit
    def both(posterior, query):
        mean = jax.grad(lambda x: posterior.marginal(x[0])[0])(query)
        return jax.grad(UCB(posterior, 0.0))(query), -mean

    np.testing.assert_allclose(*both(GP(SPACE).condition(data), query), rtol=1e-5)


def test_one_point_at_a_time():
    posterior = GP(SPACE).condition(Dataset.of(jnp.zeros((1, 2)), jnp.zeros(1)))
    with pytest.raises(TypeError):
        LogEI(posterior, 0.0)(jnp.zeros((2, 2)))


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_values_and_gradients_are_finite_in_any_unit(unit):
    """In single precision, which has no square of such a unit."""
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    data = Dataset.of(jnp.array([[0.0], [0.6], [1.0]]), unit * jnp.array([0.0, 0.5, 1]))
    posterior = GP(space).condition(data)
    acquisitions = [each(posterior, posterior.best_y) for each in (LogEI, EI, PI)]
    for acquisition in (*acquisitions, UCB(posterior)):
        found = jax.value_and_grad(acquisition)(jnp.array([[0.3]]))
        assert all(bool(jnp.all(jnp.isfinite(each))) for each in found)
