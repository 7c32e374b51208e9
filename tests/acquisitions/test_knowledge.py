"""The knowledge gradient against brute force, fidelities, and cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import _lbfgs
from bojax.acquisitions import KG, KnownCost, LogEI, PerCost, optimize
from bojax.data import Dataset, Outcome
from bojax.strategies import BayesOpt, Random
from bojax.surrogates import GP
from bojax.surrogates.likelihood import ExcessNoise

LINE = bojax.Space({"a": bojax.Float(0.0, 1.0)})
EPOCHS = bojax.Space({"a": bojax.Float(0.0, 1.0), "s": bojax.Fidelity(1.0, 10.0)})


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@eqx.filter_jit
def condition(space, x, y):
    gp = eqx.tree_at(lambda gp: gp.parameters.log_noise, GP(space), jnp.log(1e-2))
    return gp.condition(Dataset.of(x, y))


make = eqx.filter_jit(KG)


def line():
    x = jnp.array([[0.1], [0.4], [0.6], [0.95]])
    return condition(LINE, x, jnp.array([0.8, 0.1, -0.2, 0.9]))


def test_it_is_what_the_least_mean_is_expected_to_fall():
    posterior = line()
    grid = jnp.linspace(0, 1, 201)[:, None]
    acquisition = make(posterior, LINE, jax.random.key(0), num_fantasies=16)
    x = jnp.array([[0.75]])
    noise = jnp.exp(posterior.parameters.log_noise) * posterior.scale**2
    joint = posterior(jnp.concatenate([x, grid]))
    deviation = jnp.sqrt(joint.covariance[0, 0] + noise)
    z = np.random.default_rng(0).normal(size=20_000)
    slope = np.asarray(joint.covariance[0, 1:] / deviation)
    after = np.asarray(joint.mean[1:]) + z[:, None] * slope
    gains = np.asarray(joint.mean[1:]).min() - after.min(axis=1)
    error = gains.std() / np.sqrt(len(z))

    def value(rows):
        return acquisition(jnp.concatenate([x, rows]))

    # The rows of the one-shot form, climbing from where they start.
    rows = acquisition.complete(x)[1:]
    start = float(value(rows))
    climb = jax.jit(jax.value_and_grad(value))
    for _ in range(200):
        _, slope = climb(rows)
        rows = jnp.clip(rows + 2e-3 * slope / (1e-9 + jnp.abs(slope).max()), 0, 1)
    found = float(value(rows))
    assert found > start - 1e-9
    np.testing.assert_allclose(np.exp(found), gains.mean(), atol=4 * error + 2e-3)


@pytest.mark.filterwarnings("ignore")
def test_what_is_gained_is_what_botorch_gains():
    """Rows climb from where they start; BoTorch maximizes after each fantasy."""
    pytest.importorskip("botorch", reason="BoTorch is not installed")
    import torch
    from botorch.acquisition import qKnowledgeGradient
    from botorch.sampling import SobolQMCNormalSampler

    from benchmarks.acquisitions.peer import botorch_model

    posterior = line()
    model = botorch_model(posterior)
    grid = torch.linspace(0, 1, 201, dtype=torch.float64)[:, None, None]
    now = model.posterior(grid).mean.max().detach()
    theirs = [
        qKnowledgeGradient(
            model,
            num_fantasies=256,
            sampler=SobolQMCNormalSampler(torch.Size([256]), seed=seed),
            current_value=now,
        )
        for seed in range(4)
    ]
    bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    @jax.jit
    def ours(x):
        acquisition = KG(posterior, LINE, jax.random.key(0), num_fantasies=64)
        x = acquisition.complete(x)
        climb = jax.grad(lambda rows: acquisition(jnp.concatenate([x[:1], rows])))

        def step(_, rows):
            slope = climb(rows)
            slope = slope / (1e-9 + jnp.max(jnp.abs(slope)))
            return jnp.clip(rows + 1e-3 * slope, 0, 1)

        rows = jax.lax.fori_loop(0, 100, step, x[1:])
        return jnp.exp(acquisition(jnp.concatenate([x[:1], rows])))

    for x in (0.5, 0.7, 0.75):
        at = torch.tensor([[[x]]], dtype=torch.float64)
        given = np.array(
            [
                float(each.evaluate(at, bounds=bounds, num_restarts=2, raw_samples=32))
                for each in theirs
            ]
        )
        found = float(ours(jnp.array([[x]]))) / float(posterior.scale)
        error = given.std(ddof=1) / np.sqrt(len(given))
        # A quadrature of 64 nodes, across the kinks of a maximum, errs by about 1 %.
        assert abs(found - given.mean()) < 4 * error + 0.01 * found


def test_a_point_comes_first_and_its_recommendations_follow():
    acquisition = make(line(), LINE, jax.random.key(0))
    x, value = optimize(acquisition, LINE, jax.random.key(1))
    assert x.shape == (9, 1)
    np.testing.assert_allclose(acquisition(x), value, rtol=1e-9)
    with pytest.raises(ValueError, match="x: expected a point and 8 recommendations"):
        acquisition(x[:4])
    with pytest.raises(ValueError, match="num_fantasies: expected at least 1, got 0"):
        KG(line(), LINE, jax.random.key(0), num_fantasies=0)


def test_more_is_learned_at_full_fidelity_and_less_paid_below():
    x = jnp.array([[0.1, 1.0], [0.4, 0.5], [0.6, 1.0], [0.95, 0.2]])
    posterior = condition(EPOCHS, x, jnp.array([0.8, 0.1, -0.2, 0.9]))
    acquisition = make(posterior, EPOCHS, jax.random.key(0))
    log_cost = KnownCost(EPOCHS, lambda values: values["s"])
    per_cost = PerCost(acquisition, log_cost)
    full, low = (
        acquisition.complete(jnp.array([[0.75, fidelity]])) for fidelity in (1.0, 0.4)
    )
    assert acquisition(full) > acquisition(low)
    # Recommendations are at full fidelity, wherever their rows say they are.
    moved = low.at[1:, 1].set(0.3)
    np.testing.assert_allclose(acquisition(moved), acquisition(low))
    cost = 1 + 9 * 0.4
    np.testing.assert_allclose(per_cost(low), acquisition(low) - np.log(cost))
    with pytest.raises(ValueError, match="acquisition: expected one whose value"):
        PerCost(bojax.acquisitions.UCB(posterior), log_cost)
    with pytest.raises(ValueError, match="cost: expected one number, got shape"):
        KnownCost(EPOCHS, lambda values: jnp.ones(2))(x[0])


BOX = bojax.Space(
    {**{f"x{i}": bojax.Float(0.0, 1.0) for i in range(3)}, "s": bojax.Fidelity(1, 10)}
)
LONG, SHORT = 0.5, 0.05
"""Lengthscales: of the numbers, and of the fidelity, of which half tells nothing."""


def box():
    x = jax.random.uniform(jax.random.key(1), (12, 4)).at[:, 3].set(1.0)
    y = jnp.sum((x[:, :3] - 0.37) ** 2, axis=1)
    lengths = jnp.log(jnp.array([LONG, LONG, LONG, SHORT]))
    gp = eqx.tree_at(lambda gp: gp.parameters.log_noise, GP(BOX), jnp.log(1e-4))
    where = lambda gp: gp.parameters.kernel.kernel.log_lengthscale
    return eqx.filter_jit(eqx.tree_at(where, gp, lengths).condition)(Dataset.of(x, y))


@eqx.filter_jit
def gained(acquisition, x):
    """What a point gains once its recommendations have moved."""
    rows = acquisition.complete(x)[1:]

    def loss(flat, acquisition):
        return -acquisition(jnp.concatenate([x, flat.reshape(rows.shape)]))

    return jnp.exp(-_lbfgs.minimize(loss, rows.ravel(), 0, 1, acquisition).value)


def test_what_teaches_nothing_gains_nothing_however_cheap_it_is():
    posterior, key = box(), jax.random.key(0)
    acquisition = make(posterior, BOX, key)
    place = jnp.array([[0.3, 0.3, 0.4, 1.0]])
    useful, useless = (gained(acquisition, place.at[0, 3].set(s)) for s in (1.0, 0.0))
    assert useful > 1e-3 * posterior.scale
    assert 0 <= useless < 1e-3 * useful
    per_cost = PerCost(acquisition, KnownCost(BOX, lambda values: values["s"] - 0.99))
    x, _ = optimize(per_cost, BOX, key)
    assert x[0, 3] > 0.8


@pytest.mark.parametrize("double", [False, True])
def test_recommendations_that_lose_have_a_slope_towards_gaining(double):
    with jax.enable_x64(double):
        acquisition = make(line(), LINE, jax.random.key(0))
        rows = jnp.linspace(0, 0.5, 9)[:, None]
        value, slope = jax.jit(jax.value_and_grad(acquisition))(rows)
        assert bool(jnp.isfinite(value) & jnp.all(jnp.isfinite(slope)))
        # The mean is least at 0.6.
        assert bool(jnp.all(slope[3:] > 0))


def test_less_is_gained_where_the_noise_is_greater():
    """The slope is a covariance in deviations of what would be observed there."""
    excess = ExcessNoise(jnp.log(4.0), jnp.zeros(1))
    gp = GP(LINE, noise="heteroscedastic")
    gp = eqx.tree_at(lambda gp: gp.parameters.excess, gp, excess)
    x = jnp.array([[0.1], [0.4], [0.6], [0.95]])
    y = jnp.array([0.8, 0.1, -0.2, 0.9])

    @eqx.filter_jit
    def values(gp, x, y):
        noisy = gp.condition(Dataset.of(x, y))
        # The same posterior, in which only what comes next has no excess.
        quiet = eqx.tree_at(lambda p: p.parameters.excess, noisy, None)
        acquisitions = [KG(each, LINE, jax.random.key(0)) for each in (noisy, quiet)]
        rows = acquisitions[1].complete(jnp.array([[0.75]]))
        variance = noisy.marginal(rows[0])[1]
        slopes = [each._after(rows[0], rows[1:])[1] for each in acquisitions]
        noise = [each.noise(rows[:1])[0] for each in (noisy, quiet)]
        return slopes, jnp.sqrt(variance + jnp.stack(noise))

    (noisy, quiet), deviations = values(gp, x, y)
    np.testing.assert_allclose(noisy / quiet, deviations[1] / deviations[0], rtol=1e-6)
    assert deviations[0] > 1.5 * deviations[1]


def low(values):
    return values["a"] - 0.3


def test_recommendations_meet_the_constraints_of_the_space():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)}, constraints=[low])
    x = jnp.array([[0.05], [0.1], [0.2]])
    posterior = condition(space, x, jnp.array([0.8, 0.6, 0.1]))
    acquisition = make(posterior, space, jax.random.key(0))
    found, value = optimize(acquisition, space, jax.random.key(0))
    assert bool(jnp.isfinite(value))
    assert bool(jnp.all(found <= 0.3))
    # What is least falls towards the edge, and beyond.
    grid = jnp.linspace(0, 0.3, 301)[:, None]
    np.testing.assert_allclose(acquisition.least, posterior(grid).mean.min(), atol=1e-4)


def objective(x):
    return (x[0] - 0.3) ** 2 + 0.1 * (1 - x[1])


measure = jax.jit(jax.vmap(objective))


@pytest.mark.long
def test_bayesian_optimization_mixes_fidelities_and_recommends_the_full_one():
    strategy = BayesOpt(EPOCHS, num_initial=4)
    state = strategy.init(jax.random.key(0), 32)
    for _ in range(6):
        points, state = strategy.ask(state, 2)
        state = strategy.tell(state, points, measure(points.x))
    fidelities = np.asarray(state.trials.x[:12, 1])
    assert fidelities.min() < 0.5
    state = strategy.observe(state, jnp.array([[0.35, 1.0]]), jnp.array([0.0025]))
    found = strategy.recommend(state)
    assert float(found.x[1]) == 1


def test_others_evaluate_at_full_fidelity():
    modeled = BayesOpt(EPOCHS, num_initial=2, acquisition=LogEI)
    for strategy, start in ((Random(EPOCHS), 0), (modeled, 2)):
        state = strategy.init(jax.random.key(0), 16)
        for number in range(4):
            points, state = strategy.ask(state)
            state = strategy.tell(state, points, measure(points.x))
            if number >= start:
                assert float(points.x[0, 1]) == 1


def test_a_cost_that_is_measured_is_learned():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
    strategies = [BayesOpt(space, num_initial=6, cost=cost) for cost in (True, False)]
    paid = []
    for strategy in strategies:
        state = strategy.init(jax.random.key(0), 32)
        for _ in range(16):
            points, state = strategy.ask(state)
            x = points.x
            cost = jnp.exp(4 * x[:, 0])
            y = (x[:, 1] - 0.3) ** 2
            state = strategy.tell(state, points, Outcome(y, cost=cost))
        paid.append(float(jnp.sum(state.trials.cost[6:16])))
    # The objective does not depend on what is dear.
    assert paid[0] < 0.7 * paid[1]
    with pytest.raises(TypeError, match="cost: expected a function or True, got 3"):
        BayesOpt(space, cost=3)
