"""Values against formulas written a second time, optima against a search for better."""

import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from bojax import problems

ALL = problems.names()


def branin(z):
    a, b, c, r, s, t = 1, 5.1 / 4 / np.pi**2, 5 / np.pi, 6, 10, 1 / 8 / np.pi
    return a * (z[1] - b * z[0] ** 2 + c * z[0] - r) ** 2 + s * (
        1 + (1 - t) * math.cos(z[0])
    )


def camelback(z):
    u, v = z
    return 4 * u**2 - 2.1 * u**4 + u**6 / 3 + u * v - 4 * v**2 + 4 * v**4


def goldstein_price(z):
    u, v = z
    a = (u + v + 1) ** 2 * (19 - 14 * u + 3 * u**2 - 14 * v + 6 * u * v + 3 * v**2)
    b = (2 * u - 3 * v) ** 2 * (
        18 - 32 * u + 12 * u**2 + 48 * v - 36 * u * v + 27 * v**2
    )
    return (1 + a) * (30 + b)


def hartmann(z):
    if len(z) == 3:
        scales = [[3, 10, 30], [0.1, 10, 35]] * 2
        centers = "3689 1170 2673 4699 4387 7470 1090 8732 5547 381 5743 8828"
    else:
        scales = [
            [10, 3, 17, 3.5, 1.7, 8],
            [0.05, 10, 17, 0.1, 8, 14],
            [3, 3.5, 1.7, 10, 17, 8],
            [17, 8, 0.05, 10, 0.1, 14],
        ]
        centers = (
            "1312 1696 5569 124 8283 5886 2329 4135 8307 3736 1004 9991 "
            "2348 1451 3522 2883 3047 6650 4047 8828 8732 5743 1091 381"
        )
    centers = np.array(centers.split(), float).reshape(4, len(z)) / 1e4
    total = 0.0
    for weight, scale, center in zip((1, 1.2, 3, 3.2), scales, centers, strict=True):
        total -= weight * math.exp(-np.dot(scale, (z - center) ** 2))
    return total


def michalewicz(z):
    return -sum(
        math.sin(v) * math.sin((i + 1) * v * v / math.pi) ** 20 for i, v in enumerate(z)
    )


def rosenbrock(z):
    return sum(
        100 * (z[i + 1] - z[i] ** 2) ** 2 + (1 - z[i]) ** 2 for i in range(len(z) - 1)
    )


def levy(z):
    w = (z[0] + 3) / 4
    return (
        math.sin(math.pi * w) ** 2
        + (w - 1) ** 2
        + (w - 1) ** 2 * math.sin(2 * math.pi * w) ** 2
    )


def ackley(z):
    a = -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in z) / len(z)))
    return (
        a
        - math.exp(sum(math.cos(2 * math.pi * v) for v in z) / len(z))
        + 20
        + math.exp(1)
    )


def rkhs(z):
    wide = {0.1: 4, 0.15: -1, 0.08: 2, 0.3: -2, 0.4: 1}
    narrow = {0.8: 3, 0.85: 4, 0.9: 2, 0.95: 1, 0.92: -1, 0.74: 2, 0.91: 2}
    narrow |= {0.89: 3, 0.79: 3, 0.88: 2, 0.86: -1, 0.96: -2, 0.99: 4, 0.82: -3}
    return -sum(
        v * math.exp(-0.5 * ((z[0] - s) / width) ** 2)
        for bumps, width in ((wide, 0.1), (narrow, 0.01))
        for s, v in bumps.items()
    )


FORMULAS = {
    "hartmann3": hartmann,
    "hartmann6": hartmann,
    "michalewicz10": michalewicz,
    "rosenbrock4": rosenbrock,
    "rosenbrock5": rosenbrock,
    "ackley5": ackley,
    "ackley10": ackley,
}


def sobol(d, n, seed=0):
    return scipy.stats.qmc.Sobol(d, rng=seed).random(n)


@pytest.mark.parametrize("name", ALL)
def test_equals_an_independent_formula(name):
    problem = problems.get(name)
    formula = FORMULAS.get(name) or globals()[name]
    for x in sobol(problem.space.num_columns, 16):
        z = np.array(list(problem.space.decode(x).values()))
        expected = formula(z)
        with jax.enable_x64(True):
            assert float(problem.fn(jnp.asarray(x))) == pytest.approx(
                expected, rel=1e-10, abs=1e-10
            )


@pytest.mark.parametrize("name", ALL)
def test_has_its_optimum_at_its_minimizers(name):
    problem = problems.get(name)
    with jax.enable_x64(True):
        for x in problem.minimizers:
            value, slope = jax.value_and_grad(problem.fn)(jnp.asarray(x))
            assert float(value) == pytest.approx(problem.optimum, rel=1e-13, abs=1e-13)
            # Ackley's hole has a tip, where the gradient is defined as that of the
            # ripples; elsewhere the minimizers are known to half of the digits.
            assert np.max(np.abs(slope)) < 1e-6 * problem.range


@pytest.mark.parametrize("name", ALL)
def test_no_search_passes_the_optimum_or_the_range(name):
    problem = problems.get(name)
    d = problem.space.num_columns
    with jax.enable_x64(True):
        evaluate = jax.jit(jax.vmap(problem.fn))
        slope = jax.jit(jax.value_and_grad(problem.fn))
        x = sobol(d, 8192)
        # Corners, edges and faces hold many a maximum.
        x = np.concatenate([x, np.clip(1.4 * x - 0.2, 0, 1)])
        y = np.asarray(evaluate(x))
        order = np.argsort(y)

        def search(start, sign):
            def fun(v):
                value, gradient = slope(jnp.asarray(v))
                return sign * float(value), sign * np.asarray(gradient)

            found = scipy.optimize.minimize(
                fun, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * d
            )
            return sign * found.fun

        smallest = min(search(x[i], 1) for i in order[:12])
        largest = max(search(x[i], -1) for i in order[-12:])
    assert smallest >= problem.optimum - 1e-9 * problem.range
    assert problem.optimum + problem.range == pytest.approx(
        largest, abs=1e-2 * problem.range
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("x64", [False, True])
def test_follows_the_dtype_and_maps_like_a_loop(name, x64):
    problem = problems.get(name)
    d = problem.space.num_columns
    with jax.enable_x64(x64):
        x = jnp.asarray(sobol(d, 4))
        together = jax.jit(jax.vmap(problem.fn))(x)
        alone = jnp.stack([problem.fn(row) for row in x])
        assert together.dtype == x.dtype
        assert together.shape == (4,)
        error = 1e3 * float(jnp.finfo(x.dtype).eps) * problem.range
        np.testing.assert_allclose(together, alone, rtol=0, atol=error)


def test_the_suite_is_all_known():
    assert len(problems.HPOLIB) == len(set(problems.HPOLIB)) == 11
    assert set(problems.HPOLIB) <= set(ALL)


def test_problems_are_values():
    problem = problems.get("hartmann6")
    assert problems.get("hartmann6") is problem
    assert hash(problem) == hash(problems.get("hartmann6"))
    copy = pickle.loads(pickle.dumps(problem))
    x = jnp.full(6, 0.25)
    assert float(copy.fn(x)) == float(problem.fn(x))
    assert copy.space == problem.space


def test_ackley_in_any_number_of_dimensions():
    problem = problems.get("ackley20")
    assert problem.space.num_columns == 20
    assert float(problem.fn(jnp.full(20, 0.5))) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["brannin", "ackley0", "ackley", "ackley5 ", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"name: expected one of ackley10, .*got"):
        problems.get(name)


def test_augmented_hartmann_is_hartmann_at_full_fidelity_and_higher_below():
    problem, plain = problems.augmented_hartmann(), problems.get("hartmann6")
    with jax.enable_x64(True):
        x = jnp.asarray(problem.minimizers[0])
        np.testing.assert_allclose(problem.fn(x), plain.optimum, atol=1e-9)
        low = problem.fn(x.at[6].set(0.0))
        # Only the first of four wells is shallower, by a tenth.
        weight = np.array([1.0, 1.2, 3.0, 3.2])
        assert 0 < low - problem.fn(x) < 0.1 * weight[0]
