"""The box-constrained optimizer, held to SciPy's L-BFGS-B on twenty-four problems."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from bojax import _lbfgs


class Problem(NamedTuple):
    fun: Callable
    start: np.ndarray
    lower: float | np.ndarray = -np.inf
    upper: float | np.ndarray = np.inf


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rotation(p: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(p).normal(size=(p, p)))[0]


def quadratic(p: int, condition: float, center: float) -> Callable:
    turn = rotation(p)
    matrix = turn @ np.diag(np.logspace(0, np.log10(condition), p)) @ turn.T

    def fun(x):
        away = x - jnp.asarray(center * np.cos(np.arange(p)), x.dtype)
        return 0.5 * away @ jnp.asarray(matrix, x.dtype) @ away

    return fun


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def beale(x):
    powers = x[1] ** jnp.arange(1, 4)
    return jnp.sum((jnp.array([1.5, 2.25, 2.625]) - x[0] * (1 - powers)) ** 2)


def powell_singular(x):
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def trigonometric(x):
    p = x.size
    i = jnp.arange(1, p + 1)
    residual = p - jnp.sum(jnp.cos(x)) + i * (1 - jnp.cos(x)) - jnp.sin(x)
    return jnp.sum(residual**2)


def helical_valley(x):
    angle = jnp.arctan2(x[1], x[0]) / (2 * jnp.pi)
    radius = jnp.sqrt(x[0] ** 2 + x[1] ** 2)
    return 100 * ((x[2] - 10 * angle) ** 2 + (radius - 1) ** 2) + x[2] ** 2


def wood(x):
    a, b, c, d = x
    return (
        100 * (b - a**2) ** 2
        + (1 - a) ** 2
        + 90 * (d - c**2) ** 2
        + (1 - c) ** 2
        + 10 * (b + d - 2) ** 2
        + 0.1 * (b - d) ** 2
    )


def plateau(x):
    return -jnp.exp(-0.5 * jnp.sum((x - 0.6) ** 2) / 0.15**2)


def barrier(x):
    """Finite only inside the simplex."""
    return jnp.arange(1, 6) @ x - 0.1 * (jnp.sum(jnp.log(x)) + jnp.log(1 - jnp.sum(x)))


def logarithms(x):
    """NaN for negative numbers, to which the first step from the start leads."""
    return jnp.sum(x * jnp.log(x) - 0.1 * x)


def kinked(x):
    return jnp.sum((jnp.arange(1, 9)) * jnp.abs(x - 0.37) ** 1.5)


def linear(x):
    return jnp.cos(3.0 * jnp.arange(x.size)) @ x


def gp_data(n=14, d=3):
    rng = np.random.default_rng(7)
    x = rng.uniform(size=(n, d))
    y = np.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.05 * rng.normal(size=n)
    return jnp.asarray(x), jnp.asarray((y - y.mean()) / y.std())


def gram(x, z, theta):
    away = (x[:, None, :] - z[None, :, :]) * jnp.exp(-theta)
    r = jnp.sqrt(jnp.sum(away**2, -1) + 1e-20)
    return (1 + np.sqrt(5) * r + 5 / 3 * r**2) * jnp.exp(-np.sqrt(5) * r)


def marginal_likelihood(theta):
    """Log lengthscales, log signal variance and log noise variance of a small GP."""
    x, y = gp_data()
    signal, noise = jnp.exp(theta[-2:])
    covariance = signal * gram(x, x, theta[:-2]) + (noise + 1e-6) * jnp.eye(x.shape[0])
    chol = jnp.linalg.cholesky(covariance)
    white = jax.scipy.linalg.solve_triangular(chol, y, lower=True)
    log_prior = -0.5 * jnp.sum((theta - jnp.array([-1, -1, -1, 0, -6.0])) ** 2) / 4
    return 0.5 * white @ white + jnp.sum(jnp.log(jnp.diagonal(chol))) - log_prior


def minus_log_ei(z):
    from bojax._numerics import log_h

    x, y = gp_data()
    theta = jnp.log(jnp.array([0.3, 0.5, 1.5]))
    chol = jnp.linalg.cholesky(gram(x, x, theta) + 1e-4 * jnp.eye(x.shape[0]))
    cross = gram(x, z[None], theta)[:, 0]
    white = jax.scipy.linalg.solve_triangular(chol, cross, lower=True)
    mean = white @ jax.scipy.linalg.solve_triangular(chol, y, lower=True)
    sigma = jnp.sqrt(jnp.maximum(1 + 1e-4 - white @ white, 1e-12))
    return -log_h((jnp.min(y) - mean) / sigma) - jnp.log(sigma)


ONES = np.ones
FIXED = np.array([-1.0, 0.5, -1.0, 0.25, -1.0, -1.0])
PROBLEMS = {
    "rosenbrock-2": Problem(rosenbrock, np.array([-1.2, 1.0])),
    "rosenbrock-4": Problem(rosenbrock, np.array([-1.2, 1.0, -1.2, 1.0])),
    "rosenbrock-10": Problem(rosenbrock, np.tile([-1.2, 1.0], 5)),
    "rosenbrock-50": Problem(rosenbrock, np.tile([-1.2, 1.0], 25)),
    "rosenbrock-10 active": Problem(rosenbrock, np.tile([-1.2, 0.7], 5), -2, 0.8),
    "rosenbrock-4 corner": Problem(rosenbrock, np.full(4, -2.0), -2, 2),
    "rosenbrock-50 box": Problem(rosenbrock, np.tile([-1.2, 1.0], 25), -1.5, 0.9),
    "quadratic 1e6": Problem(quadratic(20, 1e6, 1.0), np.zeros(20)),
    "quadratic 1e6 active": Problem(quadratic(20, 1e6, 1.0), np.zeros(20), -0.4, 0.6),
    "quadratic fixed": Problem(
        quadratic(6, 100, 1.0),
        np.zeros(6),
        FIXED,
        np.where(FIXED == -1, 1.0, FIXED),
    ),
    "plateau": Problem(plateau, np.zeros(3) + 0.05, 0, 1),
    "at the optimum": Problem(quadratic(4, 10, 0.0), np.zeros(4), -1, 1),
    "helical valley": Problem(helical_valley, np.array([-1.0, 0.01, 0.0])),
    "wood": Problem(wood, np.array([-3.0, -1.0, -3.0, -1.0]), -10, 10),
    "non-finite region": Problem(logarithms, np.full(3, 2.0)),
    "barrier": Problem(barrier, np.full(5, 0.15)),
    "kinked": Problem(kinked, np.linspace(-1, 2, 8), -1, 2),
    "himmelblau": Problem(himmelblau, np.array([0.5, 1.0]), -5, 5),
    "beale": Problem(beale, np.array([1.0, 1.0]), -4.5, 4.5),
    "powell singular": Problem(powell_singular, np.array([3.0, -1.0, 0.0, 1.0])),
    "trigonometric": Problem(trigonometric, np.full(10, 0.1), -1, 1),
    "linear": Problem(linear, np.full(30, 0.4), 0, 1),
    "marginal likelihood": Problem(
        marginal_likelihood, np.array([0.0, 0, 0, 0, -2]), -6, 6
    ),
    "log EI": Problem(minus_log_ei, np.array([0.2, 0.7, 0.4]), 0, 1),
}


def bounds(problem: Problem, dtype=np.float64) -> tuple[jax.Array, jax.Array]:
    full = [
        np.broadcast_to(each, problem.start.shape)
        for each in (problem.lower, problem.upper)
    ]
    return jnp.asarray(full[0], dtype), jnp.asarray(full[1], dtype)


def scipy_minimum(problem: Problem, **options) -> float:
    """The value at which SciPy's L-BFGS-B ends; not finite counts as very large."""
    value_and_grad = jax.jit(jax.value_and_grad(problem.fun))

    def objective(x):
        value, gradient = map(np.asarray, value_and_grad(x))
        return np.nan_to_num(value, nan=1e300, posinf=1e300), np.nan_to_num(gradient)

    return scipy.optimize.minimize(
        objective,
        problem.start,
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(*map(np.asarray, bounds(problem))),
        options={"maxfun": 2000, "maxiter": 2000} | options,
    ).fun


def projected_gradient(fun, x, lower, upper):
    return jnp.max(jnp.abs(jnp.clip(x - jax.grad(fun)(x), lower, upper) - x))


@pytest.mark.parametrize("name", PROBLEMS)
def test_same_optimum_as_scipy(name):
    problem = PROBLEMS[name]
    with jax.enable_x64(True):
        start, (lower, upper) = jnp.asarray(problem.start), bounds(problem)

        @jax.jit
        def run(start):
            result = _lbfgs.minimize(
                problem.fun, start, lower, upper, max_evaluations=2000, ftol=1e-14
            )
            norm = projected_gradient(problem.fun, result.x, lower, upper)
            return result, problem.fun(result.x), norm

        result, value, norm = run(start)
        theirs = scipy_minimum(problem, gtol=1e-6, ftol=1e-14)
        assert result.value <= theirs + 1e-6 * max(1, abs(theirs))
        assert jnp.all((result.x >= lower) & (result.x <= upper))
        np.testing.assert_allclose(result.value, value, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(result.gradient_norm, norm, rtol=1e-6, atol=1e-9)
        assert jnp.all(result.scale > 0)
