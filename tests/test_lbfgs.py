"""The box-constrained optimizer, held to SciPy's L-BFGS-B on twenty-four problems."""

import functools
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
    "plateau": Problem(plateau, np.full(3, 0.2), 0, 1),
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
    "log EI": Problem(minus_log_ei, np.array([0.48, 0.55, 0.29]), 0, 1),
}


def bounds(problem: Problem, dtype=np.float64) -> tuple[jax.Array, jax.Array]:
    full = [
        np.broadcast_to(each, problem.start.shape)
        for each in (problem.lower, problem.upper)
    ]
    return jnp.asarray(full[0], dtype), jnp.asarray(full[1], dtype)


def scipy_minimum(problem: Problem, value_and_grad: Callable) -> float:
    """The value at which SciPy's L-BFGS-B ends; not finite counts as very large."""

    def objective(x):
        value, gradient = map(np.asarray, value_and_grad(x))
        return np.nan_to_num(value, nan=1e300, posinf=1e300), np.nan_to_num(gradient)

    return scipy.optimize.minimize(
        objective,
        problem.start,
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(*map(np.asarray, bounds(problem))),
        # Enough for both to converge on the problem of condition 1e6.
        options={"maxfun": 6000, "maxiter": 6000, "gtol": 1e-6, "ftol": 1e-14},
    ).fun


@pytest.mark.parametrize("name", PROBLEMS)
def test_same_optimum_as_scipy(name):
    problem = PROBLEMS[name]
    with jax.enable_x64(True):
        lower, upper = bounds(problem)
        value_and_grad = jax.jit(jax.value_and_grad(problem.fun))
        result = jax.jit(
            lambda start: _lbfgs.minimize(
                problem.fun, start, lower, upper, max_evaluations=6000, ftol=1e-14
            )
        )(jnp.asarray(problem.start))

        theirs = scipy_minimum(problem, value_and_grad)
        assert result.value <= theirs + 1e-6 * max(1, abs(theirs))
        assert jnp.all((result.x >= lower) & (result.x <= upper))
        if name in ("barrier", "non-finite region"):  # convex; SciPy gives up on them
            assert result.gradient_norm < 1e-4
        # What is reported is what is found at the point reported.
        value, gradient = value_and_grad(result.x)
        norm = jnp.max(jnp.abs(jnp.clip(result.x - gradient, lower, upper) - result.x))
        np.testing.assert_allclose(result.value, value, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(result.gradient_norm, norm, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "name",
    ["rosenbrock-4", "quadratic fixed", "non-finite region", "log EI"],
)
def test_single_precision_comes_as_near_as_it_can(name):
    problem = PROBLEMS[name]
    with jax.enable_x64(True):
        theirs = scipy_minimum(problem, jax.jit(jax.value_and_grad(problem.fun)))
    with jax.enable_x64(False):
        lower, upper = bounds(problem, np.float32)
        start = jnp.asarray(problem.start, jnp.float32)
        result = jax.jit(_lbfgs.minimize, static_argnums=0)(
            problem.fun, start, lower, upper
        )
        assert result.x.dtype == result.value.dtype == jnp.float32
        assert result.value <= theirs + 1e-4 * max(1, abs(theirs))


def bowl(x, data):
    """Quartic around a center; infinite beyond a wall."""
    away = x - data["center"]
    value = jnp.sum(data["weight"] * (0.5 * away**2 + away**4)) + away[0] * away[1]
    return jnp.where(x[0] < data["wall"], jnp.inf, value)


TRACES = []


def counted_bowl(x, data):
    TRACES.append(x.dtype)
    return bowl(x, data)


@jax.jit
def minimize_bowl(x0, data, max_evaluations, gtol, ftol):
    return _lbfgs.minimize(
        counted_bowl,
        x0,
        -1,
        jnp.array([1.0, 1.0, jnp.inf, 0.5]),
        data,
        max_evaluations=max_evaluations,
        gtol=gtol,
        ftol=ftol,
    )


minimize_bowls = jax.jit(jax.vmap(minimize_bowl, in_axes=(0, 0, 0, 0, 0)))


def bowls(lanes: int, gtol=1e-5, ftol=0.0):
    rng = np.random.default_rng(3)
    data = {
        "center": jnp.asarray(rng.uniform(-1.5, 1.5, size=(lanes, 4))),
        "weight": jnp.asarray(rng.uniform(2, 20, size=(lanes, 4))),
        "wall": jnp.full(lanes, -jnp.inf),
    }
    x0 = jnp.asarray(rng.uniform(-1, 0.5, size=(lanes, 4)))
    full = lambda value: jnp.full(lanes, value)
    return x0, data, full(100), full(gtol), full(ftol)


def lane(tree, i):
    return jax.tree.map(lambda leaf: leaf[i], tree)


def test_batch_is_loop_and_jit_is_eager(x64):
    lanes, tolerance = 8, 1e-7 if x64 else 1e-3
    arguments = bowls(lanes, gtol=1e-6 if x64 else 1e-3)
    batch = minimize_bowls(*arguments)
    assert np.all(batch.status == _lbfgs.GRADIENT)
    assert len(set(batch.num_evaluations.tolist())) > 1  # lanes that end apart
    for i in range(lanes):
        single = minimize_bowl(*lane(arguments, i))
        np.testing.assert_allclose(single.x, batch.x[i], atol=tolerance)
        np.testing.assert_allclose(single.value, batch.value[i], rtol=tolerance)
        assert abs(single.num_evaluations - batch.num_evaluations[i]) <= 1
        assert single.status == batch.status[i]
    eager = minimize_bowl.__wrapped__(*lane(arguments, 0))
    np.testing.assert_allclose(eager.x, batch.x[0], atol=tolerance)
    assert eager.status == batch.status[0]


def test_one_trace_for_many_calls():
    with jax.enable_x64(True):
        x0, data, budget, gtol, ftol = lane(bowls(1), 0)
        minimize_bowl(x0, data, budget, gtol, ftol)
        before = len(TRACES)
        for i in range(5):
            changed = jax.tree.map(lambda leaf, i=i: leaf + 0.1 * i, data)
            minimize_bowl(x0 - 0.1 * i, changed, budget + i, gtol * (i + 1), ftol + i)
        assert len(TRACES) == before


def test_one_copy_of_the_objective_in_the_program():
    def objective(x, data):
        return jnp.sum(jnp.sinh(x) ** 2) + bowl(x, data)

    x0, data, *_ = lane(bowls(1), 0)
    text = str(
        jax.make_jaxpr(lambda x0, data: _lbfgs.minimize(objective, x0, -1, 1, data))(
            x0, data
        )
    )
    assert text.count(" sinh ") == 1


def test_each_lane_says_why_it_stopped():
    with jax.enable_x64(True):
        x0, data, budget, gtol, ftol = bowls(5)
        data["center"] = jnp.zeros_like(data["center"])
        x0 = x0.at[:].set(jnp.array([0.5, -0.4, 0.3, 0.2])).at[4, 1].set(jnp.nan)
        # Downhill from the third lane's start there is nothing but the wall.
        data["wall"] = data["wall"].at[2].set(0.5)
        data["weight"] = data["weight"].at[2].set(jnp.array([1.0, 0, 0, 0]))
        x0 = x0.at[2].set(jnp.array([0.5, 0.0, 0.0, 0.0]))
        result = minimize_bowls(
            x0,
            data,
            budget.at[3].set(3),
            gtol.at[1:].set(0.0),
            ftol.at[1].set(1e-3),
        )
    assert [_lbfgs.STATUS[status] for status in result.status] == list(_lbfgs.STATUS)
    assert result.num_evaluations[3] == 3
    assert result.num_evaluations[4] == 1
    assert result.num_evaluations[1] < 30
    np.testing.assert_array_equal(result.x[2], x0[2])
    assert np.isinf(result.value[4])
    assert np.isinf(result.gradient_norm[4])
    assert np.all(np.isfinite(result.value[:4]))


def test_finished_lanes_are_frozen():
    """A lane beside slower ones ends as it does beside its like."""
    with jax.enable_x64(True):
        arguments = bowls(8)
        first = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), arguments
        )
        alone, among = minimize_bowls(*first), minimize_bowls(*arguments)
        assert alone.num_evaluations[0] < jnp.max(among.num_evaluations)
        for ours, theirs in zip(
            jax.tree.leaves(alone), jax.tree.leaves(among), strict=True
        ):
            np.testing.assert_array_equal(ours[0], theirs[0])


def test_analytic_gradient_is_taken_at_its_word():
    def with_gradient(x, center):
        return jnp.sum((x - center) ** 2), 2 * (x - center)

    def against_the_gradient(x, center):
        return jnp.sum((x - center) ** 2), -2 * (x - center)

    center, x0 = jnp.array([0.3, 2.0]), jnp.zeros(2)

    @functools.partial(jax.jit, static_argnums=0)
    def run(fun):
        return _lbfgs.minimize(fun, x0, -1, 1, center, has_gradient=True)

    np.testing.assert_allclose(run(with_gradient).x, [0.3, 1.0], atol=1e-4)
    wrong = run(against_the_gradient)
    assert wrong.status == _lbfgs.LINE_SEARCH
    np.testing.assert_array_equal(wrong.x, x0)


@pytest.mark.parametrize(("p", "limit"), [(1, 20), (500, 80)])
def test_sizes(p, limit):
    with jax.enable_x64(True):
        curvature = jnp.linspace(1, 50, p)
        target = jnp.linspace(-2, 2, p) + 0.1

        def fun(x):
            return jnp.sum(curvature * jnp.cosh(x - target))

        result = jax.jit(lambda x0: _lbfgs.minimize(fun, x0, -1, 1, ftol=0.0))(
            jnp.zeros(p)
        )
        np.testing.assert_allclose(result.x, jnp.clip(target, -1, 1), atol=1e-5)
        assert result.num_evaluations <= limit


def test_start_outside_fixed_entries_and_infinite_bounds(x64):
    lower = jnp.array([-jnp.inf, 0.25, -1.0, 0.0])
    upper = jnp.array([jnp.inf, 0.25, jnp.inf, 0.5])
    target = jnp.array([3.0, 9.0, -4.0, 0.1])
    x0 = jnp.array([50.0, -3.0, -7.0, 8.0])
    result = jax.jit(_lbfgs.minimize, static_argnums=0)(
        lambda x: jnp.sum((x - target) ** 2) + x[0] * x[3], x0, lower, upper
    )
    solution = np.linalg.solve([[2.0, 1.0], [1.0, 2.0]], [6.0, 0.2])
    assert solution[1] < 0  # so its bound is active, and the first entry alone is left
    np.testing.assert_allclose(result.x, [3.0, 0.25, -1.0, 0.0], atol=1e-3)
    assert result.x[1] == 0.25
    assert result.x[2] == -1.0


def test_flat_start_is_left_by_longer_steps():
    """A gradient of 4e-4 that only grows: steps of that length would take hundreds."""
    problem = PROBLEMS["plateau"]
    with jax.enable_x64(True):
        result = jax.jit(lambda x0: _lbfgs.minimize(plateau, x0, 0, 1, ftol=0.0))(
            jnp.asarray(problem.start)
        )
        np.testing.assert_allclose(result.x, 0.6, atol=1e-5)
        assert result.num_evaluations < 40


def uphill(pairs, g):
    return -g, jnp.any(pairs)


def undefined(pairs, g):
    return g * jnp.nan, jnp.any(pairs)


def into_the_wall(pairs, g):
    return g - jnp.array([1.0, 0.0]), jnp.any(pairs)


@pytest.mark.parametrize("metric", [uphill, undefined, into_the_wall])
def test_a_bad_metric_gives_way_to_the_steepest_descent(metric, monkeypatch):
    """The first two directions never descend, the third finds only infinite values."""
    monkeypatch.setattr(_lbfgs, "_metric", metric)

    def fun(x):
        return jnp.where(x[0] < 0, jnp.inf, jnp.exp(x[1]) + x[1] ** 2)

    with jax.enable_x64(True):
        result = jax.jit(
            lambda x0: _lbfgs.minimize(fun, x0, -3, 3, max_evaluations=2000, ftol=0.0)
        )(jnp.array([0.0, 1.0]))
    assert result.status == _lbfgs.GRADIENT
    np.testing.assert_allclose(result.x, [0.0, -0.35173371], atol=1e-6)


def test_no_gradient_flows_and_scan_carries():
    def endpoint(center):
        def step(x, _):
            x = _lbfgs.minimize(lambda x, c: jnp.sum((x - c) ** 2), x, -1, 1, center).x
            return x, x

        return jax.lax.scan(step, jnp.zeros(2), length=2)[1][-1]

    center = jnp.array([0.5, 3.0])
    np.testing.assert_allclose(endpoint(center), [0.5, 1.0], atol=1e-4)
    np.testing.assert_array_equal(jax.jacobian(endpoint)(center), 0)


def test_mixed_precision_follows_the_start():
    with jax.enable_x64(True):
        wide = jnp.array([0.5, 0.25])  # float64, and so is the objective's value
        result = jax.jit(_lbfgs.minimize, static_argnums=0)(
            lambda x, c: jnp.sum((x - c) ** 2), jnp.zeros(2, jnp.float32), 0, 1, wide
        )
        assert result.x.dtype == result.value.dtype == jnp.float32
        np.testing.assert_allclose(result.x, wide, atol=1e-4)
