"""Priors against scipy.stats, up to a constant, and against what was published."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.surrogates import GP, kernels, priors

LEAF = np.linspace(-6, 3, 37)
V = np.exp(LEAF)


def log_density(prior):
    with jax.enable_x64(True):
        return np.asarray(prior.log_density(jnp.asarray(LEAF)))


def assert_equal_up_to_a_constant(ours, theirs):
    np.testing.assert_allclose(
        ours - ours[0], theirs - theirs[0], rtol=1e-10, atol=1e-9
    )


@pytest.mark.parametrize(
    ("prior", "theirs"),
    [
        (
            priors.Normal(0.3, 1.4, 0.0),
            stats.norm(0.3, 1.4).logpdf(LEAF),
        ),
        (
            priors.LogNormal(0.3, 1.4, 0.0, -9.0, 9.0),
            stats.lognorm(s=1.4, scale=math.exp(0.3)).logpdf(V),
        ),
        (
            priors.Gamma(1.1, 30.0, 0.0, -9.0, 9.0),
            stats.gamma(1.1, scale=1 / 30).logpdf(V),
        ),
        (
            priors.InverseSquare(0.1, 0.0, -9.0, 9.0),
            -0.1 * (V**-2 + V**2),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_densities_are_those_of_the_natural_parameter(prior, theirs):
    assert_equal_up_to_a_constant(log_density(prior), theirs)


def test_botorchs_are_those_of_its_default_model():
    d = 6
    published = priors.botorch(d)
    length = stats.lognorm(s=math.sqrt(3), scale=math.exp(math.sqrt(2)) * math.sqrt(d))
    assert_equal_up_to_a_constant(
        log_density(published["log_lengthscale"]), length.logpdf(V)
    )
    noise = stats.lognorm(s=1, scale=math.exp(-4))
    assert_equal_up_to_a_constant(log_density(published["log_noise"]), noise.logpdf(V))
    # Its fit starts at the mode of the lengthscale's density.
    mode = LEAF[np.argmax(length.logpdf(V))]
    assert abs(published["log_lengthscale"].initial - mode) <= LEAF[1] - LEAF[0]
    assert published["log_variance"].lower == published["log_variance"].upper == 0


def test_optunas_are_those_of_its_sampler():
    published = priors.optuna(6)
    weight = V**-2.0
    assert_equal_up_to_a_constant(
        log_density(published["log_lengthscale"]), -(0.1 / weight + 0.1 * weight)
    )
    assert_equal_up_to_a_constant(
        log_density(published["log_variance"]), stats.gamma(2).logpdf(V)
    )
    assert_equal_up_to_a_constant(
        log_density(published["log_noise"]), stats.gamma(1.1, scale=1 / 30).logpdf(V)
    )


def test_viziers_are_those_of_its_report():
    published = priors.vizier(6)
    penalty = lambda ratio: -0.01 * np.log(ratio) ** 2
    for name, theirs in {
        "log_lengthscale": penalty(V**2 / 0.5),
        "log_variance": penalty(V / 0.039),
        "log_noise": penalty(V / 0.0039),
    }.items():
        assert_equal_up_to_a_constant(log_density(published[name]), theirs)


def test_noise_of_the_default_may_be_none_or_all_there_is():
    noise = priors.short(6)["log_noise"]
    for share in (1.0, 1e-6):
        assert noise.log_density(jnp.log(share)) >= -2.0
    assert noise.log_density(jnp.log(1e-10)) < -5.0


CHOICES = [priors.optuna, priors.botorch, priors.vizier, priors.short]


@pytest.mark.parametrize("published", CHOICES, ids=lambda choice: choice.__name__)
@pytest.mark.parametrize("d", [1, 3, 20])
def test_every_start_is_inside_its_bounds_and_its_support(published, d):
    for name, prior in published(d).items():
        assert prior.lower <= prior.initial <= prior.upper, name
        for leaf in (prior.lower, prior.initial, prior.upper):
            assert np.isfinite(prior.log_density(jnp.asarray(leaf))), (name, leaf)


SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})


def test_initial_puts_every_leaf_where_its_prior_starts():
    gp = GP(SPACE, mean="linear", warping=True, priors=priors.short(2))
    for leaf, prior in priors.by_leaf(gp.parameters, gp.priors):
        np.testing.assert_allclose(leaf, prior.initial, rtol=1e-6)
    start = priors.initial(gp.parameters, priors.botorch(2))
    lengths = start.kernel.kernel.log_lengthscale
    assert lengths.shape == (2,)
    expected = priors.botorch(2)["log_lengthscale"].initial
    np.testing.assert_allclose(lengths, expected, rtol=1e-6)


def test_a_hyperparameter_without_prior_is_an_error_that_names_it():
    kernel = kernels.Periodic(jnp.zeros(2), jnp.zeros(2))
    given = {"log_lengthscale": priors.Normal(0.0, 1.0, 0.0)}
    with pytest.raises(ValueError, match=r"'log_period', got priors for log_length"):
        priors.by_leaf(kernel, given)
