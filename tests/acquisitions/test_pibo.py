"""Users' priors: what they weigh, what they speed up, how wrong ones are forgotten."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import problems
from bojax._precision import one_blas_thread
from bojax.acquisitions import UCB, Average, Feasible, LogEI, PiBO, Prior
from bojax.data import Dataset
from bojax.strategies import BayesOpt
from bojax.surrogates import GP, Several

SPACE = bojax.Space(
    {"rate": bojax.Float(1e-5, 1e-1, log=True), "width": bojax.Int(1, 9)}
)


def around_a_thousandth(values):
    return -2 * (jnp.log10(values["rate"]) + 3) ** 2 - 0.1 * values["width"]


def test_it_adds_the_weighted_log_density(x64):
    with_units = Prior(SPACE, around_a_thousandth)
    x = jnp.array([[0.25, 0.0], [0.5, 0.5]])
    given = GP(SPACE).condition(Dataset.of(x, jnp.array([0.0, 1.0])))
    query = jnp.array([[0.25, 1.0]])

    @eqx.filter_jit
    def values(posterior, x):
        plain = LogEI(posterior, 0.0)
        return plain(x), PiBO(plain, with_units, 0.5)(x)

    plain, weighted = values(given, query)
    values_there = SPACE.values(query[0])
    assert float(values_there["rate"]) == pytest.approx(1e-4, rel=1e-4)
    expected = 0.5 * float(around_a_thousandth(values_there))
    np.testing.assert_allclose(weighted - plain, expected, rtol=1e-4)
    assert weighted.dtype == (jnp.float64 if x64 else jnp.float32)


def test_what_wraps_it_takes_it_for_a_logarithm():
    x = jnp.array([[0.25, 0.0], [0.5, 0.5], [0.8, 0.3]])
    y = jnp.array([[0.0, 1.0, 0.5], [0.3, -1.0, 0.7]])
    prior, query = Prior(SPACE, around_a_thousandth), jnp.array([[0.25, 1.0]])

    @eqx.filter_jit
    def values(x, y, query):
        each = jax.vmap(lambda y: GP(SPACE).condition(Dataset.of(x, y)))(y)
        weigh = lambda acquisition: PiBO(acquisition, prior, 0.5)
        plain = eqx.filter_vmap(lambda given: LogEI(given, 0.0))(each)
        one = LogEI(Several(each)[0], 0.0)
        met = lambda one: Feasible(one, Several(each), jnp.asarray(True))
        inside = Average(eqx.filter_vmap(weigh)(plain)), met(weigh(one))
        outside = weigh(Average(plain)), weigh(met(one))
        return [a(query) for a in inside], [a(query) for a in outside]

    inside, outside = values(x, y, query)
    np.testing.assert_allclose(inside, outside, rtol=1e-5)
    with pytest.raises(ValueError, match=r"acquisition: expected one whose.*got UCB"):
        PiBO(UCB(GP(SPACE).condition(Dataset.of(x, y[0]))), prior)


def nowhere(values):
    return jnp.where(values["rate"] < 1, -jnp.inf, 0.0)


def never_a_number(values):
    return jnp.nan * values["rate"]


def left_half_only(values):
    return jnp.where(values["rate"] < 1e-3, 0.0, -jnp.inf)


def a_row(values):
    return jnp.stack([values["rate"], values["rate"]])


def concrete(values):
    return float(values["rate"])


@pytest.mark.parametrize("bad", [nowhere, never_a_number])
def test_a_prior_that_is_finite_nowhere_is_refused(bad):
    with pytest.raises(ValueError, match="prior: expected finite log densities, got"):
        BayesOpt(SPACE, prior=bad)


def test_what_is_no_log_density_is_refused():
    with pytest.raises(ValueError, match=r"prior: expected one log density, got.*\(2,"):
        BayesOpt(SPACE, prior=a_row)
    with pytest.raises(TypeError, match="prior"):
        BayesOpt(SPACE, prior=0.5)
    with pytest.raises(TypeError, match="prior: expected JAX operations"):
        BayesOpt(SPACE, prior=concrete)


def test_nothing_is_ruled_out():
    prior = jax.jit(Prior(SPACE, left_half_only))
    inside, outside = prior(jnp.array([0.2, 0.5])), prior(jnp.array([0.8, 0.5]))
    assert float(inside) == 0
    assert float(outside) == pytest.approx(np.log(1e-12))


PROBLEM = problems.get("branin")


def good(values):
    """Around one of the three optima, (pi, 2.275)."""
    return _normal(values, 3.5, 2.5)


def wrong(values):
    """Around the worst corner."""
    return _normal(values, -4.0, 1.0)


def _normal(values, first, second):
    a, b = values["x0"], values["x1"]
    return -0.5 * (((a - first) / 1.5) ** 2 + ((b - second) / 1.5) ** 2)


@pytest.mark.long
def test_a_good_prior_speeds_up_and_a_wrong_one_is_forgotten():
    """Twelve paired runs on Branin, in double precision."""

    def runs(prior):
        strategy = BayesOpt(PROBLEM.space, prior=prior)
        history = bojax.simulate(
            strategy, branin, 60, jax.random.split(jax.random.key(0), 12)
        )
        return np.asarray(history.best_y) - PROBLEM.optimum

    def branin(x, key):
        return PROBLEM.fn(x)

    with jax.enable_x64(True), one_blas_thread():
        plain, helped, misled = runs(None), runs(good), runs(wrong)
    early = 9
    ahead = np.log10(plain[:, early] / helped[:, early])
    assert ahead.mean() > 2 * ahead.std(ddof=1) / np.sqrt(12)
    assert np.median(misled[:, early]) > np.median(plain[:, early])
    assert np.median(misled[:, -1]) < 1e-2
