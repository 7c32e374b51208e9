"""Measured constraints: the weight that they put on an acquisition."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.acquisitions import EI, UCB, Feasible, LogEI
from bojax.acquisitions.feasible import log_probability_feasible
from bojax.data import Dataset
from bojax.strategies import BayesOpt
from bojax.surrogates import GP, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
NO, YES = jnp.asarray(False), jnp.asarray(True)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@eqx.filter_jit
def condition(data):
    gp = GP(SPACE)
    gp = eqx.tree_at(
        lambda gp: (
            gp.parameters.log_noise,
            gp.parameters.kernel.kernel.log_lengthscale,
        ),
        gp,
        (jnp.log(1e-6), jnp.log(jnp.full(2, 0.3))),
    )
    return Several(jax.vmap(gp.condition)(data))


def outputs(count, seed=0, shift=0.0):
    """Posteriors of some functions at the same points."""
    rng = np.random.default_rng(seed)
    x, y = (
        jnp.asarray(rng.uniform(size=(6, 2))),
        jnp.asarray(rng.normal(size=(count, 6))),
    )
    y = y.at[0].add(shift)
    return condition(jax.vmap(lambda y: Dataset.of(x, y))(y))


QUERIES = np.random.default_rng(5).uniform(size=(6, 1, 2))


@eqx.filter_jit
def at_queries(acquisition):
    return jax.vmap(acquisition)(jnp.asarray(QUERIES))


@eqx.filter_jit
def beliefs(each):
    return jax.vmap(each.marginal)(jnp.asarray(QUERIES[:, 0]))


@pytest.mark.parametrize("num_constraints", [1, 2])
def test_constrained_improvement_is_its_mean_over_draws(num_constraints):
    each = outputs(1 + num_constraints)
    objective, constraints = each[0], Several(each[1:])
    best = 0.4
    acquisition = Feasible(LogEI(objective, best), constraints, YES)
    values = np.exp(at_queries(acquisition))
    rng = np.random.default_rng(1)
    for value, mean, variance in zip(values, *beliefs(each), strict=True):
        draws = rng.normal(mean, np.sqrt(variance), size=(200_000, len(mean)))
        met = np.all(draws[:, 1:] <= 0, axis=1)
        gains = np.maximum(best - draws[:, 0], 0) * met
        error = gains.std() / np.sqrt(len(gains))
        assert abs(value - gains.mean()) < 4 * error + 1e-9


def test_what_is_not_a_logarithm_is_weighted_by_the_probability():
    each = outputs(2)
    constraints = Several(each[1:])
    log = Feasible(LogEI(each[0], 0.4), constraints, YES)
    plain = Feasible(EI(each[0], 0.4), constraints, YES)
    np.testing.assert_allclose(at_queries(plain), np.exp(at_queries(log)), rtol=1e-6)
    assert log.logarithmic
    assert not plain.logarithmic


def test_a_negative_value_is_worse_where_constraints_are_improbable():
    each = outputs(2, shift=3.0)
    bound = UCB(each[0], 0.0)
    weighted = Feasible(bound, Several(each[1:]), YES)
    plain, found = at_queries(bound), at_queries(weighted)
    assert np.all(plain < 0)
    assert np.all(found < plain)


def test_while_nothing_is_feasible_the_probability_alone_counts():
    each = outputs(3)
    constraints = Several(each[1:])
    values = at_queries(Feasible(LogEI(each[0], 0.4), constraints, NO))
    mean, variance = beliefs(each)
    rng, n = np.random.default_rng(2), 100_000
    for value, mu, var in zip(values, mean[:, 1:], variance[:, 1:], strict=True):
        draws = rng.normal(mu, np.sqrt(var), size=(n, 2))
        share = np.mean(np.all(draws <= 0, axis=1))
        error = np.sqrt(share * (1 - share) / n)
        assert abs(np.exp(value) - share) < 4 * error + 1e-4


def test_far_from_what_is_feasible_there_is_still_a_slope():
    x = jnp.array([[0.2, 0.2], [0.8, 0.8]])
    data = jax.vmap(lambda y: Dataset.of(x, y))(jnp.array([[500.0, 501.0]]))
    constraints = condition(data)
    value, slope = eqx.filter_jit(
        jax.value_and_grad(lambda x: log_probability_feasible(constraints, x))
    )(jnp.array([0.21, 0.22]))
    assert value < -1000
    assert np.all(np.isfinite(slope))
    assert np.any(np.abs(slope) > 1)


def test_the_optimum_at_the_edge_of_what_is_feasible_is_found():
    """a + b is least, under a constraint, where a + b = 0.7."""
    strategy = BayesOpt(SPACE, num_initial=4)
    state = strategy.init(jax.random.key(0), 16, num_constraints=1)
    for _ in range(14):
        points, state = strategy.ask(state)
        total = jnp.sum(points.x, axis=1)
        told = bojax.Outcome(total, constraints=(0.7 - total)[:, None])
        state = strategy.tell(state, points, told)
    feasible = np.asarray(state.trials.feasible)
    best = np.asarray(state.trials.y)[feasible, 0].min()
    assert 0.7 <= best < 0.71


@pytest.mark.parametrize("strategy", [BayesOpt(SPACE, num_initial=3), None])
def test_a_constraint_that_is_never_met_is_no_success(strategy):
    def fun(config):
        # Nearest to being met at a = 1.
        return bojax.Outcome(config["a"], constraints=[2.0 - config["a"]])

    if strategy is None:
        strategy = bojax.strategies.Random(SPACE)
    result = bojax.minimize(
        fun, SPACE, 8, strategy=strategy, progress=False, num_constraints=1
    )
    assert not result.success
    assert result.x is None
    assert np.isnan(result.fun)
    assert result.pareto == ()
    assert len(result.trials) == 8
    nearest = max(result.trials, key=lambda trial: trial.config["a"])
    assert result.message == (
        "all 8 trials were run, and none met all constraints; the one nearest to it "
        f"was trial {nearest.number}"
    )
    if isinstance(strategy, BayesOpt):
        # It went where the constraint is nearest to being met.
        assert nearest.config["a"] > 0.99
