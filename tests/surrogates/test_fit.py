"""Fits against SciPy's L-BFGS-B on the same log posterior density."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax.flatten_util import ravel_pytree

import bojax
from bojax.data import Dataset
from bojax.surrogates import GP, kernels, priors
from bojax.surrogates.fit import maximum_a_posteriori
from bojax.surrogates.likelihood import standardization, standardized

N, ROWS, D = 30, 32, 3
SPACE = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abc"})
CHOICES = {f.__name__: f for f in (priors.optuna, priors.botorch, priors.vizier)}
CHOICES["short"] = priors.short


def model(choice="optuna"):
    return GP(SPACE, priors=CHOICES[choice](D))


def datasets():
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(N, D))
    smooth = np.sin(4 * x[:, 0]) + np.cos(3 * x[:, 1]) + x[:, 2] ** 2
    noise = rng.normal(size=N)
    values = {
        "smooth": smooth,
        "noisy": smooth + 0.3 * noise,
        "one column matters": np.sin(7 * x[:, 0]),
        "pure noise": noise,
        "a trend": 100 * x.sum(axis=1) + 0.1 * noise,
        "a valley": np.exp(-30 * np.sum((x - 0.4) ** 2, axis=1)),
    }
    return {
        name: Dataset.of(jnp.asarray(x), jnp.asarray(y), capacity=ROWS)
        for name, y in values.items()
    }


@eqx.filter_jit
def report(gp, data, key, num_starts):
    """The fit of so many starts, and how it went."""
    data = standardized(data, *standardization(data.y, data.mask))
    parameters, found = maximum_a_posteriori(
        gp.parameters, gp.priors, data, key, num_starts
    )
    return gp.replace(parameters), found


def log_prior(parameters, published):
    return sum(
        jnp.sum(prior.log_density(leaf))
        for leaf, prior in priors.by_leaf(parameters, published)
    )


def log_likelihood(parameters, data):
    return GP(SPACE).replace(parameters).log_likelihood(data)


@pytest.fixture(scope="module")
def compiled():
    """Log likelihood and log prior over raveled parameters, each compiled once."""
    with jax.enable_x64(True):
        parameters = jax.tree.map(jnp.asarray, GP(SPACE).parameters)
        _, unravel = ravel_pytree(parameters)
        likelihood = jax.jit(
            jax.value_and_grad(lambda theta, data: log_likelihood(unravel(theta), data))
        )
        prior = {
            name: jax.jit(
                jax.value_and_grad(
                    lambda theta, published=published: log_prior(
                        unravel(theta), published(D)
                    )
                )
            )
            for name, published in CHOICES.items()
        }
    return unravel, likelihood, prior


def scipys_best(compiled, name, data, num_starts=8):
    unravel, likelihood, prior = compiled
    rng = np.random.default_rng(0)

    def loss(theta):
        theta = jnp.asarray(theta)
        first, second = likelihood(theta, data), prior[name](theta)
        return -float(first[0] + second[0]), -np.asarray(first[1] + second[1])

    pairs = priors.by_leaf(unravel(jnp.zeros(D + 3)), CHOICES[name](D))
    spread = lambda what: np.concatenate(
        [np.full(leaf.size, getattr(prior, what)) for leaf, prior in pairs]
    )
    lower, upper, middle = spread("lower"), spread("upper"), spread("initial")
    best = np.inf
    for i in range(num_starts):
        start = middle + (i > 0) * rng.normal(size=middle.size)
        found = scipy.optimize.minimize(
            loss,
            np.clip(start, lower, upper),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(lower, upper, strict=True)),
        )
        best = min(best, found.fun)
    return -best


def density(compiled, name, gp, data):
    _, likelihood, prior = compiled
    theta, _ = ravel_pytree(gp.parameters)
    return float(likelihood(theta, data)[0] + prior[name](theta)[0])


@pytest.fixture(scope="module")
def fits():
    """`fits(choice, name)`: a dataset fitted under a choice of priors."""

    @functools.cache
    def fit(choice, name):
        with jax.enable_x64(True):
            return model(choice).fit(datasets()[name], jax.random.key(0))

    return fit


every_choice = pytest.mark.parametrize(
    "choice",
    [
        "optuna",
        "short",
        pytest.param("botorch", marks=pytest.mark.long),
        pytest.param("vizier", marks=pytest.mark.long),
    ],
)


@pytest.mark.long
@every_choice
def test_reaches_what_scipy_reaches_from_eight_starts(choice, compiled, fits):
    with jax.enable_x64(True):
        short_of = {
            name: scipys_best(compiled, choice, data)
            - density(compiled, choice, fits(choice, name), data)
            for name, data in datasets().items()
            # There are many ways to explain noise, each a maximum of its own.
            if name != "pure noise"
        }
    assert max(short_of.values()) < 1e-3, short_of


@every_choice
def test_bounds_are_respected_and_fixed_parameters_stay(choice, fits):
    for name in datasets():
        gp = fits(choice, name)
        for leaf, prior in priors.by_leaf(gp.parameters, CHOICES[choice](D)):
            leaf = np.asarray(leaf)
            assert np.all(leaf >= prior.lower), name
            assert np.all(leaf <= prior.upper), name
        if choice == "botorch":
            assert float(gp.parameters.kernel.log_variance) == 0


def test_a_fit_ends_at_a_bound_that_is_in_its_way():
    given = CHOICES["optuna"](D)
    narrow = dataclasses.replace(given["log_noise"], lower=-4.0)
    gp = GP(SPACE, priors={**given, "log_noise": narrow})
    with jax.enable_x64(True):
        gp = gp.fit(datasets()["smooth"], jax.random.key(0))
    assert float(gp.parameters.log_noise) == -4.0


def test_learns_which_column_matters_and_how_noisy_it_is(fits):
    lengths = fits("optuna", "one column matters").parameters.kernel.kernel
    lengths = np.exp(lengths.log_lengthscale)
    assert lengths[0] < 0.3 * lengths[1:].min()
    noise = {
        name: float(fits("optuna", name).parameters.log_noise) for name in datasets()
    }
    assert noise["smooth"] < noise["noisy"] - 1
    np.testing.assert_allclose(np.exp(noise["noisy"]), 0.3**2 / 1.3, rtol=2)


def test_a_warm_start_takes_few_evaluations(compiled, fits):
    with jax.enable_x64(True):
        for name, data in datasets().items():
            gp = fits("optuna", name)
            key, one = jax.random.key(1), jnp.asarray(1)
            again, warm = report(gp, data, key, one)
            _, cold = report(model(), data, key, one)
            assert int(warm.num_evaluations) <= 5, name
            assert int(cold.num_evaluations) > int(warm.num_evaluations)
            reached = density(compiled, "optuna", again, data)
            assert reached >= density(compiled, "optuna", gp, data) - 1e-9
            np.testing.assert_allclose(warm.log_density, reached, rtol=1e-9)


def test_more_starts_are_never_worse_and_count_every_evaluation(fits):
    with jax.enable_x64(True):
        data, key = datasets()["a valley"], jax.random.key(0)
        reports = [report(model(), data, key, jnp.asarray(k))[1] for k in (1, 2, 6)]
        densities = [float(r.log_density) for r in reports]
        assert densities == sorted(densities)
        counts = [int(r.num_evaluations) for r in reports]
        assert counts[0] < counts[1] < counts[2]


def test_a_fit_afresh_leaves_a_bad_start_behind(compiled, fits):
    with jax.enable_x64(True):
        data = datasets()["smooth"]
        gp = model()
        gp = gp.replace(jax.tree.map(lambda leaf: leaf + 4.0, gp.parameters))
        reached = density(compiled, "optuna", gp.fit(data, jax.random.key(0)), data)
        best = density(compiled, "optuna", fits("optuna", "smooth"), data)
        assert reached > best - 1e-2


def test_a_fit_that_goes_on_is_never_worse_than_where_it_starts(compiled, fits):
    with jax.enable_x64(True):
        data, key = datasets()["noisy"], jax.random.key(0)
        warm = fits("optuna", "smooth")
        before = density(compiled, "optuna", warm, data)
        reached = density(
            compiled, "optuna", warm.fit(data, key, jnp.array(False)), data
        )
        assert reached > before + 1


def test_single_precision_comes_near(compiled, fits):
    """Where noise is next to nothing, rounding decides what is learned of it."""
    least = float(np.log(30 * np.finfo(np.float32).eps))

    def no_less_noise(gp):
        """With the least noise that single precision knows, see `Parameters.noise`."""
        log_noise = jnp.maximum(gp.parameters.log_noise, least)
        return eqx.tree_at(lambda gp: gp.parameters.log_noise, gp, log_noise)

    @jax.jit
    def in_single(parameters, data):
        prior = log_prior(parameters, CHOICES["optuna"](D))
        return log_likelihood(parameters, data) + prior

    with jax.enable_x64(True):
        best = {name: fits("optuna", name).parameters for name in datasets()}
        best = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), best)
    single, told = {}, {}
    for name, data in datasets().items():
        gp = model().fit(data, jax.random.key(0))
        assert gp.parameters.log_noise.dtype == jnp.float32
        single[name] = jax.tree.map(np.asarray, gp.parameters)
        told[name] = [float(in_single(p, data)) for p in (single[name], best[name])]
    with jax.enable_x64(True):
        for name, data in datasets().items():
            points = (
                jax.tree.map(lambda leaf: jnp.asarray(leaf, float), parameters)
                for parameters in (single[name], best[name])
            )
            reached, greatest = (
                density(compiled, "optuna", no_less_noise(model().replace(p)), data)
                for p in points
            )
            # What is higher in single precision is, by as much as that errs at either.
            errors = np.abs(np.array([reached, greatest]) - told[name])
            assert errors.max() < 1, name
            assert reached > greatest - 0.1 - errors.sum(), name


MIXED = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q"),
        "a": bojax.Float(0.0, 1.0),
        "only_q": bojax.Float(0.0, 1.0, when={"kind": "q"}),
    }
)


@pytest.mark.long
def test_fits_everything_there_is_to_fit():
    """Linear mean, warped inputs, categories and conditions."""
    gp = GP(MIXED, mean="linear", warping=True)
    x = MIXED.sample(jax.random.key(0), 20)
    y = jnp.where(x[:, 0] > 0.5, jnp.sin(9 * x[:, 2]), x[:, 1] ** 3) + x[:, 1]
    data = Dataset.of(x, y, capacity=ROWS)

    @eqx.filter_jit
    def log_density(gp):
        return gp.log_likelihood(data) + log_prior(gp.parameters, gp.priors)

    fitted = gp.fit(data, jax.random.key(0))
    assert float(log_density(fitted)) > float(log_density(gp)) + 1
    moved = jax.tree.map(
        lambda a, b: bool(jnp.any(a != b)), gp.parameters, fitted.parameters
    )
    assert moved.mean.slope
    assert moved.warping.log_warp_a
    assert moved.kernel.kernel.log_absence


def test_a_hyperparameter_without_prior_is_an_error():
    kernel = kernels.Periodic(jnp.zeros(D), jnp.zeros(D))
    few = {
        name: priors.Normal(0.0, 1.0, 0.0)
        for name in ("log_lengthscale", "log_noise", "bias")
    }
    gp = GP(SPACE, kernel=kernel, priors=few)
    with pytest.raises(ValueError, match=r"prior for the hyperparameter 'log_period'"):
        gp.fit(datasets()["smooth"], jax.random.key(0))
