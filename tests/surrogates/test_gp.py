"""The Gaussian process against scikit-learn, tinygp and plain linear algebra."""

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.gaussian_process as sk
import tinygp

import bojax
from bojax.data import Dataset
from bojax.surrogates import GP, kernels
from bojax.surrogates.likelihood import LinearMean

L2 = tinygp.kernels.distance.L2Distance()


def numbers(d):
    return bojax.Space({f"x{j}": bojax.Float(0.0, 1.0) for j in range(d)})


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@eqx.filter_jit
def evaluate(gp, data, x):
    """All that a GP has to say, compiled once for each shape."""
    posterior = gp.condition(data)
    joint = posterior(x)
    return {
        "log_likelihood": gp.log_likelihood(data),
        "mean": joint.mean,
        "covariance": joint.covariance,
        "marginal": jax.vmap(posterior.marginal)(x),
        "leave_one_out": posterior.leave_one_out(),
        "incumbent": posterior.incumbent,
        "trusted": posterior.trusted,
    }


def dense(gp, x, y, noise, location, scale, query):
    """Posterior mean and covariance by solving, in units of the data."""
    kernel, mean = gp.parameters.kernel, jax.vmap(gp.parameters.mean)
    x, query = jnp.asarray(x), jnp.asarray(query)
    gram = lambda a, b: np.asarray(kernels.gram(kernel, a, b))
    covariance = gram(x, x) + np.diag(noise)
    residual = (np.asarray(y) - location) / scale - np.asarray(mean(x))
    cross = gram(query, x)
    m = np.asarray(mean(query)) + cross @ np.linalg.solve(covariance, residual)
    c = gram(query, query) - cross @ np.linalg.solve(covariance, cross.T)
    return location + scale * m, scale**2 * c


def with_noise(gp, noise, bias=0.0):
    where = lambda gp: (gp.parameters.log_noise, gp.parameters.mean.bias)
    return eqx.tree_at(where, gp, (jnp.log(noise), jnp.asarray(bias)))


# (observations, rows, columns, noise, whether each observation has its own noise too)
CASES = {
    "rbf": (5, 8, 1, 1e-3, False),
    "default": (20, 20, 3, 1e-2, False),
    "matern32": (60, 64, 6, 1e-4, True),
}


def models(name, d, rng):
    """The same model here, in scikit-learn and in tinygp."""
    lengths, variance = rng.uniform(0.3, 1.5, d), rng.uniform(0.5, 2)
    log_lengths = jnp.asarray(np.log(lengths))
    space = numbers(d)
    ours = {
        "rbf": kernels.RBF(log_lengths),
        "default": kernels.Mixed(space, log_lengths, jnp.zeros(0)),
        "matern32": kernels.Matern32(log_lengths),
    }[name]
    sklearn = {
        "rbf": sk.kernels.RBF(lengths),
        "default": sk.kernels.Matern(lengths, nu=2.5),
        "matern32": sk.kernels.Matern(lengths, nu=1.5),
    }[name]
    theirs = {
        "rbf": tinygp.kernels.ExpSquared(),
        "default": tinygp.kernels.Matern52(distance=L2),
        "matern32": tinygp.kernels.Matern32(distance=L2),
    }[name]
    gp = GP(space, kernel=kernels.Scale(jnp.log(variance), ours))
    if name == "default":
        default = GP(space).parameters.kernel
        assert jax.tree.structure(default) == jax.tree.structure(gp.parameters.kernel)
    return (
        gp,
        sk.kernels.ConstantKernel(variance) * sklearn,
        variance * tinygp.transforms.Linear(1 / lengths, theirs),
    )


def observations(n, d, each, rng):
    x = rng.uniform(size=(n, d))
    y = 3 + 40 * (np.sin(5 * x).sum(axis=1) + 0.1 * rng.normal(size=n))
    variance = rng.uniform(0, 2, n) * each
    return x, y, variance


@jax.jit
def tinygps(kernel, x, diagonal, bias, z, query):
    process = tinygp.GaussianProcess(kernel, x, diag=diagonal, mean=bias)
    nothing = tinygp.noise.Diagonal(jnp.zeros(len(query)))
    conditioned = process.condition(z, query, noise=nothing).gp
    return process.log_probability(z), (conditioned.mean, conditioned.covariance)


@pytest.mark.parametrize("name", CASES)
def test_equals_scikit_learn_and_tinygp(name, double):
    n, capacity, d, noise, each = CASES[name]
    rng = np.random.default_rng(n)
    gp, sklearn, theirs = models(name, d, rng)
    x, y, variance = observations(n, d, each, rng)
    query = rng.uniform(size=(7, d))
    diagonal = noise + variance / y.std() ** 2

    data = Dataset.of(*map(jnp.asarray, (x, y, variance)), capacity=capacity)
    ours = evaluate(with_noise(gp, noise), data, jnp.asarray(query))
    reference = sk.GaussianProcessRegressor(
        sklearn, alpha=diagonal, optimizer=None, normalize_y=True
    ).fit(x, y)
    mean, covariance = reference.predict(query, return_cov=True)
    likelihood = reference.log_marginal_likelihood_value_
    np.testing.assert_allclose(ours["log_likelihood"], likelihood, rtol=1e-8)
    np.testing.assert_allclose(ours["mean"], mean, rtol=1e-8)
    np.testing.assert_allclose(
        ours["covariance"], covariance, rtol=1e-8, atol=1e-8 * y.var()
    )
    means, variances = ours["marginal"]
    np.testing.assert_allclose(means, mean, rtol=1e-8)
    np.testing.assert_allclose(
        variances, np.diag(covariance), rtol=1e-8, atol=1e-8 * y.var()
    )

    bias = 0.3
    ours = evaluate(with_noise(gp, noise, bias), data, jnp.asarray(query))
    z = (y - y.mean()) / y.std()
    likelihood, conditioned = tinygps(theirs, x, diagonal, bias, z, query)
    np.testing.assert_allclose(ours["log_likelihood"], likelihood, rtol=1e-8)
    expected = y.mean() + y.std() * conditioned[0]
    np.testing.assert_allclose(ours["mean"], expected, rtol=1e-8)
    expected = y.var() * conditioned[1]
    np.testing.assert_allclose(
        ours["covariance"], expected, rtol=1e-8, atol=1e-8 * y.var()
    )


def test_single_precision_is_as_near_as_its_digits_allow():
    """Solving with a matrix K loses a factor cond(K) of the precision, no more."""
    n, capacity, d, noise, _ = CASES["default"]
    rng = np.random.default_rng(n)
    x, y, variance = observations(n, d, False, rng)
    query = rng.uniform(size=(7, d))
    results = []
    for double in (False, True):
        with jax.enable_x64(double):
            gp, *_ = models("default", d, np.random.default_rng(5))
            data = Dataset.of(*map(jnp.asarray, (x, y, variance)), capacity=capacity)
            results.append(evaluate(with_noise(gp, noise), data, jnp.asarray(query)))
            if double:
                gram = kernels.gram(gp.parameters.kernel, *[jnp.asarray(x)] * 2)
                condition = np.linalg.cond(np.asarray(gram) + noise * np.eye(n))
    single, double = results
    assert single["mean"].dtype == jnp.float32
    tolerance = np.finfo(np.float32).eps * condition
    assert tolerance < 1e-3
    np.testing.assert_allclose(single["mean"], double["mean"], atol=tolerance * y.std())
    np.testing.assert_allclose(
        single["covariance"], double["covariance"], atol=tolerance * y.var()
    )
    np.testing.assert_allclose(
        single["log_likelihood"], double["log_likelihood"], rtol=tolerance * n
    )


# What must not matter: rows outside the mask, and the order of rows.

PAIR = numbers(2)
FEW, MORE = 6, 9
QUERY = np.random.default_rng(9).uniform(size=(4, 2))


def pair():
    kernel = kernels.Scale(
        jnp.asarray(0.4),
        kernels.Mixed(PAIR, jnp.log(jnp.array([0.3, 0.8])), jnp.zeros(0)),
    )
    return with_noise(GP(PAIR, kernel=kernel), 1e-3, 0.2)


@hypothesis.given(
    st.integers(1, FEW), st.integers(0, 2**31), st.permutations(range(MORE))
)
@hypothesis.settings(max_examples=25)
def test_padding_and_permutation_change_nothing(n, seed, order):
    order = np.array(order)
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(size=(n, 2)), rng.normal(size=n)
    variance = rng.uniform(0, 0.1, n)
    garbage = rng.choice([np.nan, np.inf, -1e300, 3.0], size=(MORE, 2))
    with jax.enable_x64(True):
        query = jnp.asarray(QUERY)
        plain = Dataset.of(*map(jnp.asarray, (x, y, variance)), capacity=FEW)
        plain = evaluate(pair(), plain, query)
        mask = np.arange(MORE) < n
        rows = lambda values, rest: np.concatenate([values, rest])[order]
        table = Dataset(
            x=jnp.asarray(rows(x, rng.uniform(size=(MORE - n, 2)))),
            y=jnp.asarray(rows(y, garbage[n:, 0])),
            mask=jnp.asarray(mask[order]),
            variance=jnp.asarray(rows(variance, garbage[n:, 1])),
        )
        ours = evaluate(pair(), table, query)
    assert bool(ours["trusted"])
    for name in ("log_likelihood", "mean", "covariance", "incumbent"):
        np.testing.assert_allclose(ours[name], plain[name], rtol=1e-9, atol=1e-11)
    used = order[mask[order]]
    for a, b in zip(ours["leave_one_out"], plain["leave_one_out"], strict=True):
        np.testing.assert_allclose(a[mask[order]], b[:n][used], rtol=1e-8, atol=1e-10)


def test_the_gradient_does_not_see_masked_rows(double):
    x, y = jnp.asarray(QUERY), jnp.arange(4.0)
    mask = jnp.array([True, True, False, True])
    slope = eqx.filter_jit(eqx.filter_grad(lambda gp, data: gp.log_likelihood(data)))
    gradients = [
        slope(pair(), Dataset(x, y.at[2].set(hole), mask, jnp.zeros(4).at[2].set(hole)))
        for hole in (0.0, np.nan, 1e300)
    ]
    leaves = [jax.tree.leaves(gradient) for gradient in gradients]
    for first, *others in zip(*leaves, strict=True):
        assert bool(jnp.all(jnp.isfinite(first)))
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_leave_one_out_is_leaving_one_out(double):
    gp, rng = pair(), np.random.default_rng(4)
    x, y = rng.uniform(size=(FEW, 2)), 5 + rng.normal(size=FEW)
    variance = rng.uniform(0, 0.3, FEW)
    data = Dataset.of(*map(jnp.asarray, (x, y, variance)))
    means, variances = evaluate(gp, data, jnp.asarray(QUERY))["leave_one_out"]
    noise = 1e-3 + variance / y.var()
    for i in range(FEW):
        rest = np.arange(FEW) != i
        mean, covariance = dense(
            gp, x[rest], y[rest], noise[rest], y.mean(), y.std(), x[[i]]
        )
        np.testing.assert_allclose(means[i], mean[0], rtol=1e-8)
        # Of the value that is observed, noise included.
        expected = covariance[0, 0] + y.var() * noise[i]
        np.testing.assert_allclose(variances[i], expected, rtol=1e-8)


def test_the_incumbent_is_the_observed_point_of_least_posterior_mean(double):
    """Not that of least value, where noise is large: two points nearly coincide."""
    x = np.array([[0.1, 0.1], [0.1, 0.11], [0.9, 0.9], [0.9, 0.5]])
    y = np.array([-2.0, 2.4, -1.0, 1.0])
    gp = with_noise(pair(), 0.3)
    data = Dataset.of(jnp.asarray(x), jnp.asarray(y), capacity=FEW)
    found = evaluate(gp, data, jnp.asarray(QUERY))["incumbent"]
    mean, _ = dense(gp, x, y, np.full(4, 0.3), y.mean(), y.std(), x)
    assert np.argmin(mean) != np.argmin(y)
    np.testing.assert_array_equal(found, x[np.argmin(mean)])


def test_what_cannot_be_factorized_is_not_trusted(double):
    data = Dataset.of(jnp.full((FEW, 2), jnp.nan), jnp.arange(6.0))
    assert not bool(evaluate(pair(), data, jnp.asarray(QUERY))["trusted"])


# More observations while hyperparameters and standardization stand.


@eqx.filter_jit
def fantasized(gp, data, x, y, query):
    posterior = gp.condition(data).fantasize(x, y)
    joint = posterior(query)
    return joint.mean, joint.covariance, posterior


def test_fantasize_is_conditioning_on_everything(double):
    gp, rng = pair(), np.random.default_rng(6)
    x, y = rng.uniform(size=(7, 2)), 5 + rng.normal(size=7)
    # Two rows are empty, one of them between observations.
    mask = np.array([True, True, False, True, True, False])
    table_x, table_y = np.full((FEW, 2), 0.5), np.full(FEW, np.nan)
    table_x[mask], table_y[mask] = x[:4], y[:4]
    data = Dataset(*map(jnp.asarray, (table_x, table_y, mask, np.zeros(FEW))))
    mean, covariance, posterior = fantasized(
        gp, data, *map(jnp.asarray, (x[4:], y[4:], QUERY))
    )
    location, scale = y[:4].mean(), y[:4].std()
    expected = dense(gp, x, y, np.full(7, 1e-3), location, scale, QUERY)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-8)
    np.testing.assert_allclose(covariance, expected[1], rtol=1e-8, atol=1e-8 * scale**2)
    assert int(posterior.data.mask.sum()) == 7
    np.testing.assert_allclose(posterior.location, location)
    np.testing.assert_allclose(posterior.scale, scale)


@eqx.filter_jit
def appended(gp, data, x, y, query):
    """One observation at a time, in rows that are chosen at run time."""

    def step(carry, point):
        posterior, row = carry
        return (posterior.append(row, *point), row + 1), None

    posterior = gp.condition(data).grow(x.shape[0])
    start = (posterior, jnp.asarray(data.y.shape[0]))
    (posterior, _), _ = jax.lax.scan(step, start, (x, y))
    return posterior(query)


def test_append_one_by_one_is_fantasize(double):
    gp, rng = pair(), np.random.default_rng(7)
    x, y = rng.uniform(size=(7, 2)), rng.normal(size=7)
    data = Dataset.of(jnp.asarray(x[:4]), jnp.asarray(y[:4]), capacity=FEW)
    more = [jnp.asarray(part) for part in (x[4:], y[4:], QUERY)]
    together = fantasized(gp, data, *more)
    one_by_one = appended(gp, data, *more)
    np.testing.assert_allclose(one_by_one.mean, together[0], rtol=1e-10)
    np.testing.assert_allclose(one_by_one.covariance, together[1], atol=1e-12)


def test_the_same_point_again_and_again_stays_finite(x64):
    gp = with_noise(pair(), 1e-6)
    data = Dataset.of(jnp.asarray(QUERY), jnp.arange(4.0), capacity=FEW)
    x = jnp.broadcast_to(jnp.asarray(QUERY[0]), (20, 2))
    mean, covariance, _ = fantasized(gp, data, x, jnp.zeros(20), jnp.asarray(QUERY))
    assert bool(jnp.all(jnp.isfinite(mean)) & jnp.all(jnp.isfinite(covariance)))
    assert abs(float(mean[0])) < 1e-2


@eqx.filter_jit
def conditioned(gp, data, pending, query):
    posterior = gp.condition(data, pending)
    return jax.vmap(posterior.marginal)(query), posterior.incumbent, posterior.best_y


def test_pending_points_keep_the_mean_and_shrink_the_variance(double):
    gp, rng = pair(), np.random.default_rng(8)
    x, y = rng.uniform(size=(FEW, 2)), 5 + rng.normal(size=FEW)
    known = np.array([False, True, True, False, True, False])
    pending = np.array([True, False, False, True, False, False])
    data = Dataset(*map(jnp.asarray, (x, np.where(known, y, 0), known, np.zeros(FEW))))
    query = np.concatenate([QUERY, x[pending]])
    (means, variances), incumbent, best_y = conditioned(
        gp, data, jnp.asarray(pending), jnp.asarray(query)
    )
    location, scale = y[known].mean(), y[known].std()
    mean, before = dense(
        gp, x[known], y[known], np.full(3, 1e-3), location, scale, query
    )
    seen = known | pending
    _, after = dense(gp, x[seen], y[seen], np.full(5, 1e-3), location, scale, query)
    np.testing.assert_allclose(means, mean, rtol=1e-9)
    np.testing.assert_allclose(variances, np.diag(after), rtol=1e-7, atol=1e-12)
    assert np.all(variances <= np.diag(before) * (1 + 1e-9))
    assert np.all(variances[-2:] < 1e-2 * np.diag(before)[-2:])
    # What is pending counts at the value that is predicted for it.
    believed = np.append(y[known], means[-2:])
    np.testing.assert_allclose(best_y, believed.min(), rtol=1e-9)
    everything = np.concatenate([x[known], x[pending]])
    (predicted, _), _, _ = conditioned(
        gp, data, jnp.asarray(pending), jnp.asarray(everything)
    )
    np.testing.assert_array_equal(incumbent, everything[np.argmin(predicted)])


def test_nothing_pending_is_plain_conditioning(double):
    gp, rng = pair(), np.random.default_rng(8)
    x, y = rng.uniform(size=(FEW, 2)), rng.normal(size=FEW)
    data = Dataset.of(jnp.asarray(x), jnp.asarray(y))
    query = jnp.asarray(QUERY)
    plain = evaluate(gp, data, query)
    (means, variances), _, best_y = conditioned(gp, data, jnp.zeros(FEW, bool), query)
    np.testing.assert_allclose(means, plain["mean"], rtol=1e-12)
    np.testing.assert_allclose(variances, np.diag(plain["covariance"]), rtol=1e-8)
    assert best_y == y.min()


def test_a_variance_is_positive_where_there_is_an_observation(x64):
    """With a prior so wide and noise so small that rounding would leave less."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(size=(30, 2)))
    y = jnp.sin(3 * x[:, 0]) + x[:, 1] ** 2
    gp = with_noise(GP(PAIR), 1e-12)
    gp = eqx.tree_at(lambda gp: gp.parameters.kernel.log_variance, gp, jnp.asarray(6.0))

    @eqx.filter_jit
    def moments(gp, data):
        posterior = gp.condition(data)
        return posterior(x), jax.vmap(posterior.marginal)(x)[1]

    joint, alone = moments(gp, Dataset.of(x, y))
    assert bool(jnp.all(joint.variance > 0) & jnp.all(alone > 0))
    # Both are what is left of a prior variance of e^6 in squared deviations.
    eps = np.finfo(np.float64 if x64 else np.float32).eps
    atol = 100 * eps * np.exp(6) * float(jnp.var(y))
    np.testing.assert_allclose(joint.variance, alone, atol=atol)


# Draws.


def test_draws_have_the_moments_of_the_posterior(double):
    gp, rng = pair(), np.random.default_rng(2)
    x, y = rng.uniform(size=(FEW, 2)), rng.normal(size=FEW)
    query = np.concatenate([QUERY, QUERY[:1]])  # one point twice: of deficient rank
    data = Dataset.of(jnp.asarray(x), jnp.asarray(y))
    joint = eqx.filter_jit(lambda gp, data, x: gp.condition(data)(x))(
        gp, data, jnp.asarray(query)
    )
    s = 20_000
    draws = np.asarray(joint.sample(jax.random.key(0), s))
    assert draws.shape == (s, 5)
    np.testing.assert_allclose(draws[:, 0], draws[:, -1], atol=1e-6)
    deviation = np.sqrt(np.asarray(joint.variance))
    # Five standard errors of a mean, and of a covariance of normal variables.
    np.testing.assert_array_less(
        np.abs(draws.mean(axis=0) - joint.mean), 5 * deviation / np.sqrt(s)
    )
    error = np.cov(draws.T) - joint.covariance
    np.testing.assert_array_less(
        np.abs(error), 5 * np.sqrt(2 / s) * np.outer(deviation, deviation)
    )


# Prior means.


def test_a_linear_mean_is_extrapolated(double):
    gp = GP(PAIR, mean="linear", kernel=pair().parameters.kernel)
    mean = LinearMean(jnp.asarray(0.1), jnp.array([2.0, -1.0]))
    gp = eqx.tree_at(lambda gp: gp.parameters.mean, gp, mean)
    np.testing.assert_allclose(mean(jnp.array([0.75, 0.5])), 0.1 + 2 * 0.25)
    rng = np.random.default_rng(3)
    x, y = rng.uniform(size=(FEW, 2)), rng.normal(size=FEW)
    ours = evaluate(gp, Dataset.of(jnp.asarray(x), jnp.asarray(y)), jnp.asarray(QUERY))
    noise = np.full(FEW, np.exp(gp.parameters.log_noise))
    expected, _ = dense(gp, x, y, noise, y.mean(), y.std(), QUERY)
    np.testing.assert_allclose(ours["mean"], expected, rtol=1e-9)


def test_an_unknown_mean_is_an_error():
    # Under the run-time type checks of these tests that is a TypeError of theirs.
    with pytest.raises((ValueError, TypeError), match="mean"):
        GP(PAIR, mean="cubic")


# Values that data may have.


SINGLE = numbers(1)
ROWS = 100


@eqx.filter_jit
def fitted(gp, data, key, x):
    gp = gp.fit(data, key)
    posterior = gp.condition(data)
    return (
        jax.vmap(posterior.marginal)(x),
        posterior.trusted,
        jax.tree.leaves(gp.parameters),
    )


def extreme_data(kind, unit):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(8, 1)), rng.uniform(0.5, 1, 8)
    return {
        "ordinary": lambda: (x, y),
        "constant": lambda: (x, np.full(8, 0.7)),
        "almost constant": lambda: (x, 1 + 1e-15 * np.arange(8)),
        "zero": lambda: (x, np.zeros(8)),
        "one": lambda: (x[:1], y[:1]),
        "none": lambda: (x[:0], y[:0]),
        "repeated": lambda: (np.full((ROWS, 1), 0.3), rng.uniform(0.5, 1, ROWS)),
        "one point, one value": lambda: (np.full((ROWS, 1), 0.3), np.full(ROWS, 0.7)),
        "outlier": lambda: (x, np.append(1e-6 * y[:7], 1.0)),
    }[kind]()


KINDS = (
    "ordinary",
    "constant",
    "almost constant",
    "zero",
    "one",
    "none",
    "repeated",
    "one point, one value",
    "outlier",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["tiny", "ordinary", "huge"])
def test_everything_is_finite_and_sane_whatever_the_data(x64, kind, size):
    huge = 1e300 if x64 else 1e37
    unit = {"tiny": 1 / huge, "ordinary": 1.0, "huge": huge}[size]
    x, y = extreme_data(kind, unit)
    y = y * unit
    query = np.array([[0.0], [0.3], [1.0]])
    data = Dataset.of(jnp.asarray(x), jnp.asarray(y), capacity=ROWS)
    (means, variances), trusted, parameters = fitted(
        GP(SINGLE), data, jax.random.key(0), jnp.asarray(query)
    )
    assert bool(trusted)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in parameters)
    assert bool(jnp.all(jnp.isfinite(means)))
    assert bool(jnp.all((variances > 0) & jnp.isfinite(variances)))
    low, high = (y.min(), y.max()) if len(y) else (0, 0)
    span = max(high - low, abs(high) * 1e-6)
    assert np.all(np.asarray(means, float) >= low - span)
    assert np.all(np.asarray(means, float) <= high + span)
    if kind in ("constant", "one point, one value", "zero"):
        np.testing.assert_allclose(means, y[0], rtol=1e-6)
    if kind == "repeated":
        # Averaged, then pulled towards the mean by the prior, which is the same. Of the
        # mean of n values, single precision cannot tell two apart whose densities of
        # about n nats differ by rounding: those within the root of 2 eps deviations.
        deviation = unit * (y / unit).std()
        atol = 0 if x64 else np.sqrt(2 * np.finfo(np.float32).eps) * deviation
        np.testing.assert_allclose(means[1], y.mean(), rtol=1e-5, atol=atol)
    if size == "ordinary" and kind != "none":
        assert float(variances[1]) <= float(variances.max())


def noisy_line(n=120):
    """A line whose noise grows from a hundredth to one."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(n, 1))
    deviation = 10 ** (2 * x[:, 0] - 2)
    y = 3 * x[:, 0] + deviation * rng.normal(size=n)
    return Dataset.of(jnp.asarray(x), jnp.asarray(y))


def test_heteroscedastic_noise_is_learned():
    with jax.enable_x64(True):
        space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
        data, key = noisy_line(), jax.random.key(0)
        gp = GP(space, noise="heteroscedastic").fit(data, key)
        plain = GP(space).fit(data, key)
        assert gp.log_likelihood(data) > plain.log_likelihood(data) + 10
        posterior = gp.condition(data)
        x = jnp.array([[0.1], [0.5], [0.9]])
        found = jnp.sqrt(posterior.noise(x))
        # An estimate from some thirty values each, of deviations a factor ten apart.
        np.testing.assert_allclose(np.log10(found), [-1.8, -1.0, -0.2], atol=0.35)
        flat = plain.condition(data).noise(x)
        np.testing.assert_allclose(flat, flat[0])
        # What is learned counts as the variance of each observation.
        own = posterior.noise(data.x) - posterior.noise(data.x).min()
        variance = posterior.data.variance - posterior.data.variance.min()
        np.testing.assert_allclose(variance, own, atol=1e-8)


def test_an_appended_point_has_the_noise_of_its_place():
    with jax.enable_x64(True):
        space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
        gp = GP(space, noise="heteroscedastic").fit(noisy_line(40), jax.random.key(0))
        data = noisy_line(40)
        first = jax.tree.map(lambda leaf: leaf[:30], data)
        whole = gp.condition(data)
        posterior = gp.condition(first).fantasize(data.x[30:], data.y[30:])
        # Their standardizations differ, hence the noise in units of each.
        ratio = posterior.data.variance / posterior.scale**2
        np.testing.assert_allclose(
            ratio, whole.data.variance / whole.scale**2, rtol=1e-8
        )
