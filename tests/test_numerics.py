"""Buckets, Cholesky, the likelihood's gradient, the tails of log EI."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bojax._numerics import bucket, cholesky, gaussian_log_density, log_h


def test_buckets_hold_what_they_are_for_and_waste_less_than_half():
    sizes = [bucket(n) for n in range(1, 3000)]
    assert all(size >= n for n, size in enumerate(sizes, 1))
    assert sizes == sorted(sizes)
    assert all(size < 2 * n for n, size in enumerate(sizes, 1) if n > 64)
    assert len(set(sizes[:200])) <= 4


def _sweep():
    return np.concatenate(
        [
            np.linspace(-1e3, 1e3, 201),
            np.linspace(-8, 3, 221),
            -np.geomspace(1, 1e3, 50),
            [-1.0, -5.0, np.nextafter(-1, 0), np.nextafter(-5, 0)],
        ]
    )


def test_log_h_equals_mpmath():
    u = _sweep()
    with jax.enable_x64(True):
        values = np.asarray(jax.vmap(log_h)(jnp.asarray(u)))
        slopes = np.asarray(jax.vmap(jax.grad(log_h))(jnp.asarray(u)))
    with mpmath.workdps(50):
        for point, value, slope in zip(u, values, slopes, strict=True):
            exact = mpmath.mpf(float(point))
            h = mpmath.npdf(exact) + exact * mpmath.ncdf(exact)
            log = mpmath.log(h)
            assert abs(value - log) < 1e-12 * max(1, abs(log)), point
            assert abs(slope - mpmath.ncdf(exact) / h) < 1e-11 * slope, point


@pytest.mark.parametrize("double", [False, True])
def test_log_h_is_finite_increasing_and_has_finite_gradients_everywhere(double):
    with jax.enable_x64(double):
        largest = float(jnp.sqrt(jnp.finfo(jnp.zeros(()).dtype).max))
        u = jnp.asarray(np.sort(np.concatenate([_sweep(), [-largest, largest]])))
        values = np.asarray(jax.vmap(log_h)(u))
        slopes = np.asarray(jax.vmap(jax.grad(log_h))(u))
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(slopes))
    assert np.all(slopes >= 0)
    assert np.all(np.diff(values) >= -1e-5)


def test_log_h_in_single_precision_is_that_of_double_precision():
    u = _sweep()
    single = np.asarray(jax.vmap(log_h)(jnp.asarray(u, jnp.float32)))
    with jax.enable_x64(True):
        double = np.asarray(jax.vmap(log_h)(jnp.asarray(u.astype(np.float32), float)))
    np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-5)


def _covariance(n):
    points = np.random.default_rng(0).normal(size=(n, 2 * n))
    return points @ points.T / n + 0.1 * np.eye(n)


def test_log_density_equals_scipy_and_its_gradient_that_of_autodiff():
    with jax.enable_x64(True):
        covariance = jnp.asarray(_covariance(7))
        residual = jnp.asarray(np.random.default_rng(1).normal(size=7))

        def plain(residual, covariance):
            factor = jnp.linalg.cholesky(covariance)
            white = jax.scipy.linalg.solve_triangular(factor, residual, lower=True)
            return -0.5 * white @ white - jnp.sum(jnp.log(jnp.diagonal(factor)))

        value = gaussian_log_density(residual, covariance) - 3.5 * np.log(2 * np.pi)
        expected = multivariate_normal.logpdf(residual, cov=np.asarray(covariance))
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        ours = jax.grad(gaussian_log_density, (0, 1))(residual, covariance)
        reference = jax.grad(plain, (0, 1))(residual, covariance)
        np.testing.assert_allclose(ours[0], reference[0], rtol=1e-10)
        # Autodiff of a Cholesky fills one triangle; the symmetric part is what counts.
        symmetric = (reference[1] + reference[1].T) / 2
        np.testing.assert_allclose(ours[1], symmetric, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("double", [False, True])
def test_cholesky_survives_a_matrix_of_rank_one(double):
    with jax.enable_x64(double):
        factor = np.asarray(cholesky(jnp.ones((20, 20))))
    product = factor @ factor.T
    assert np.all(np.isfinite(product))
    np.testing.assert_allclose(product, 1.0, atol=2e-3)


def test_cholesky_adds_no_jitter_where_none_is_needed():
    with jax.enable_x64(True):
        matrix = jnp.asarray(_covariance(9))
        np.testing.assert_array_equal(cholesky(matrix), jnp.linalg.cholesky(matrix))


def test_cholesky_returns_nan_for_what_is_not_positive_at_all():
    assert np.isnan(np.asarray(cholesky(-jnp.eye(3)))).any()
