"""Monte-Carlo acquisitions: against closed forms, plain simulation and BoTorch."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import bojax
from bojax.acquisitions import (
    QUCB,
    UCB,
    Belief,
    LogEI,
    QLogEI,
    QLogNEI,
    optimize,
)
from bojax.acquisitions.montecarlo import base_samples
from bojax.data import Dataset, Trials
from bojax.surrogates import GP, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})
GIVEN = GP(SPACE)
NUM_KEYS = 8


def points(n, seed=1):
    return np.random.default_rng(seed).uniform(size=(n, 2))


def data(noise=0.0, capacity=10):
    x = points(6, 0)
    y = np.sin(5 * x[:, 0]) + x[:, 1] ** 2
    variance = jnp.full(6, noise)
    return Dataset.of(jnp.asarray(x), jnp.asarray(y), variance, capacity)


@eqx.filter_jit
def posterior(data, pending=0):
    rows = jnp.arange(data.mask.size)
    return GIVEN.condition(data, (rows >= 6) & (rows < 6 + pending))


def with_pending(count, noise=0.0):
    """The posterior with points being evaluated, and these points."""
    given = data(noise)
    x = points(4, 2)[:count]
    given = eqx.tree_at(lambda d: d.x, given, given.x.at[6 : 6 + count].set(x))
    return posterior(given, count), x


@functools.cache
def replicates(cls, q, num_samples):
    """Compiled: values under as many independent scrambles as there are keys."""

    @eqx.filter_jit
    def values(posterior, x, *args):
        def each(key):
            return cls(posterior, *args, key=key, q=q, num_samples=num_samples)(x)

        return jax.lax.map(each, jax.random.split(jax.random.key(3), NUM_KEYS))

    return values


def agree(ours, theirs):
    """Two sets of independent estimates have one mean, within five standard errors."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    error = np.hypot(scipy.stats.sem(ours), scipy.stats.sem(theirs))
    assert error < 0.1 * np.abs(theirs.mean())
    assert abs(ours.mean() - theirs.mean()) < 5 * error


def test_base_samples_are_normal_and_go_on_beyond_the_sequence():
    with jax.enable_x64(True):
        z = np.asarray(base_samples(jax.random.key(0), 512, 1030))
    assert z.shape == (512, 1030)
    assert np.all(np.isfinite(z))
    # A column of the sequence has one point in each of 512 equal strata.
    ranks = np.sort(scipy.stats.norm.cdf(z[:, :1024]) * 512, axis=0)
    assert np.all(ranks.astype(int) == np.arange(512)[:, None])
    # The standard deviation of 6 x 512 independent normal numbers' mean is 0.018.
    assert abs(z[:, 1024:].mean()) < 5 / np.sqrt(6 * 512)
    assert abs(z[:, 1024:].std() - 1) < 5 / np.sqrt(2 * 6 * 512)
    for counts, name in (((0, 2), "num_samples"), ((2, 0), "num_columns")):
        with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
            base_samples(jax.random.key(0), *counts)


def test_one_point_and_nothing_pending_is_log_ei(x64):
    given = posterior(data())

    @eqx.filter_jit
    def both(posterior, x):
        ours = QLogEI(posterior, -0.9, jax.random.key(0), num_samples=4)
        return jax.vmap(jax.value_and_grad(ours))(x), jax.vmap(
            jax.value_and_grad(LogEI(posterior, -0.9))
        )(x)

    (ours, slopes), (exact, exact_slopes) = both(given, points(20)[:, None])
    tolerance = 1e-8 if x64 else 1e-3
    np.testing.assert_allclose(ours, exact, rtol=tolerance)
    np.testing.assert_allclose(slopes, exact_slopes, rtol=tolerance, atol=tolerance)


def test_without_noise_qlognei_is_log_ei():
    """At the least noise that a fit may find, to the order of its deviation."""
    with jax.enable_x64(True):
        quiet = eqx.tree_at(
            lambda gp: gp.parameters.log_noise, GIVEN, jnp.asarray(np.log(1e-6))
        )

        @eqx.filter_jit
        def both(data, x):
            posterior = quiet.condition(data)
            ours = QLogNEI(posterior, jax.random.key(0))
            return jax.vmap(ours)(x), jax.vmap(LogEI(posterior, posterior.best_y))(x)

        ours, exact = map(np.exp, both(data(), points(20)[:, None]))
        scale = exact.max()
        np.testing.assert_allclose(ours, exact, atol=2e-3 * scale)


def simulated(posterior, x, pending, best_y, count=2**17):
    """Plain Monte Carlo of what x improves on `best_y` and the pending points."""
    normal = eqx.filter_jit(posterior.observed)(
        jnp.asarray(np.concatenate([x, pending]))
    )
    drawn = np.random.default_rng(0).multivariate_normal(
        np.asarray(normal.mean), np.asarray(normal.covariance), count, method="eigh"
    )
    own, other = drawn[:, : len(x)], drawn[:, len(x) :]
    to_beat = np.minimum(best_y, np.min(other, axis=1, initial=np.inf))
    gain = np.maximum(to_beat - own.min(axis=1), 0)
    return gain.mean(), gain.std() / np.sqrt(count)


@pytest.mark.parametrize(("q", "pending"), [(1, 2), (3, 0), (3, 2)])
def test_qlogei_is_what_plain_simulation_finds(q, pending):
    with jax.enable_x64(True):
        given, x_pending = with_pending(pending)
        x = points(q, 4)
        best_y = float(given.observed.best_y) + 0.3
        ours = np.exp(replicates(QLogEI, q, 512)(given, x, best_y))
        mean, error = simulated(given, x, x_pending, best_y)
        assert abs(ours.mean() - mean) < 5 * np.hypot(error, scipy.stats.sem(ours))


@pytest.mark.parametrize(("q", "pending"), [(1, 0), (1, 2), (3, 2)])
def test_qlognei_is_what_plain_simulation_finds(q, pending):
    with jax.enable_x64(True):
        given, x_pending = with_pending(pending, noise=0.04)
        x = points(q, 4)
        ours = np.exp(replicates(QLogNEI, q, 512)(given, x))
        baseline = np.concatenate([np.asarray(given.data.x[:6]), x_pending])
        mean, error = simulated(given, x, baseline, np.inf)
        assert abs(ours.mean() - mean) < 5 * np.hypot(error, scipy.stats.sem(ours))


def test_qucb_of_one_point_is_ucb():
    with jax.enable_x64(True):
        given, x = posterior(data()), points(1, 4)
        ours = replicates(QUCB, 1, 512)(given, x)
        exact = float(eqx.filter_jit(UCB(given, 2.0))(jnp.asarray(x)))
        # What is random is the mean of |z|, known to far better than 1/sqrt(512).
        assert abs(ours.mean() - exact) < 5 * scipy.stats.sem(ours) + 1e-4


def test_qucb_knows_what_is_pending():
    """Next to a pending point there is less to gain than its bound alone says."""
    with jax.enable_x64(True):
        given, pending = with_pending(1)
        beside, apart = pending + 1e-3, 1 - pending

        @eqx.filter_jit
        def gain(posterior, x, other):
            bound = QUCB(posterior, jax.random.key(0), q=2)
            return bound(jnp.concatenate([x, other])) - bound(jnp.concatenate([x, x]))

        assert gain(given, beside, beside) < 1e-8
        alone = eqx.filter_jit(lambda p, x: QUCB(p, jax.random.key(0))(x))
        both, one = alone(given, apart), alone(given, beside)
        assert both > one
        # The batch is worth at least what pends.
        bound = eqx.filter_jit(lambda p, x: UCB(p, 2.0)(x))(given.observed, pending)
        assert one > bound - 0.05


def test_the_posterior_given_draws_keeps_the_mean_of_the_observations(x64):
    """Averaged over draws, what each implies elsewhere is what is known."""
    from bojax.surrogates.draws import draw_all

    given, _ = with_pending(1, noise=0.04)

    @eqx.filter_jit
    def both(posterior, x):
        draws = draw_all(posterior, base_samples(jax.random.key(0), 1024, 10))
        each, variance = jax.vmap(draws.marginal)(x)
        return each, variance, jax.vmap(posterior.observed.marginal)(x), draws.trusted

    each, variance, (mean, total), trusted = both(given, points(10, 5))
    assert bool(trusted)
    spread = np.std(each, axis=1)
    np.testing.assert_allclose(each.mean(axis=1), mean, atol=5 * spread.max() / 32)
    # The law of total variance.
    np.testing.assert_allclose(variance + spread**2, total, rtol=0.1, atol=1e-4)


def test_ill_conditioned_points_are_trusted(x64):
    """A hundred identical points, and a pending one among them."""
    x = jnp.full((101, 2), 0.3)
    given = Dataset.of(x[:100], jnp.sin(jnp.arange(100.0)), capacity=128)
    given = eqx.tree_at(lambda d: d.x, given, given.x.at[100].set(0.3))

    @eqx.filter_jit
    def values(data, x):
        posterior = GIVEN.condition(data, jnp.arange(128) == 100)
        key = jax.random.key(0)
        found = [
            jax.vmap(jax.value_and_grad(acquisition))(x)
            for acquisition in (
                QLogEI(posterior, -1.0, key, num_samples=16),
                QLogNEI(posterior, key, num_samples=16),
                QUCB(posterior, key, num_samples=16),
            )
        ]
        return found, QLogNEI(posterior, key).draws.trusted

    found, trusted = values(given, jnp.concatenate([x[:1], points(3)])[:, None])
    assert bool(trusted)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))


def test_a_batch_of_known_points_is_a_number_however_wide_the_prior(x64):
    """Nothing but rounding is left of the prior's variance there."""
    x = jnp.asarray(points(30, 0))
    y = jnp.sin(3 * x[:, 0]) + x[:, 1] ** 2
    where = lambda gp: (gp.parameters.kernel.log_variance, gp.parameters.log_noise)
    wide = eqx.tree_at(where, GIVEN, (jnp.asarray(6.0), jnp.asarray(-11.0)))

    @eqx.filter_jit
    def values(gp, data):
        posterior, key = gp.condition(data), jax.random.key(0)
        pair = QLogEI(posterior, 0.0, key, q=2, num_samples=16)
        one = QUCB(posterior, key, num_samples=16)
        twice = jnp.stack([data.x, data.x], axis=1)
        return jax.vmap(pair)(twice), jax.vmap(one)(data.x[:, None])

    for found in values(wide, Dataset.of(x, y)):
        assert np.all(np.isfinite(found))


def test_a_joint_batch_is_at_least_as_good_as_a_greedy_one():
    with jax.enable_x64(True):
        given, key = posterior(data(0.04)), jax.random.key(0)

        @eqx.filter_jit
        def joint(posterior):
            return QLogNEI(posterior, key, q=2)

        batch = joint(given)
        x, value = optimize(batch, SPACE, jax.random.key(1), q=2)
        one = eqx.filter_jit(lambda p: QLogNEI(p, key))
        first, _ = optimize(one(given), SPACE, jax.random.key(1))
        after = eqx.filter_jit(lambda p, x: p.append(8, x))(given, first[0])
        second, _ = optimize(one(after), SPACE, jax.random.key(1))
        greedy = eqx.filter_jit(batch)(jnp.concatenate([first, second]))
        assert float(value) > float(greedy) - 1e-3
        assert np.abs(x[0] - x[1]).max() > 0.01


def test_far_from_any_improvement_the_joint_slope_is_finite(x64):
    given = posterior(data())

    @eqx.filter_jit
    def slope(posterior, x):
        return jax.value_and_grad(QLogEI(posterior, -40.0, jax.random.key(0), 3))(x)

    value, slopes = slope(given, points(3))
    assert value < -100
    assert np.all(np.isfinite(slopes))
    assert np.abs(slopes).max() > 0


def test_of_a_belief_the_best_is_what_was_measured():
    given, x_pending = with_pending(1)
    trials = Trials.empty(10, 2)
    objectives = Several(jax.tree.map(lambda leaf: leaf[None], given))
    belief = Belief(objectives, None, None, trials, jax.random.key(0))

    @eqx.filter_jit
    def best(belief):
        return QLogEI.of(belief).best_y, belief.posterior.observed.best_y

    drawn, measured = best(belief)
    assert drawn.shape == (128,)
    assert float(drawn.max()) == pytest.approx(float(measured))
    assert np.asarray(belief.posterior.data.x[6]) == pytest.approx(x_pending[0])


def test_bad_input():
    given, key = posterior(data()), jax.random.key(0)
    for make in (
        lambda **kwargs: QLogEI(given, 0.0, key, **kwargs),
        lambda **kwargs: QLogNEI(given, key, **kwargs),
        lambda **kwargs: QUCB(given, key, **kwargs),
    ):
        with pytest.raises(ValueError, match="num_samples: expected at least 1, got 0"):
            make(num_samples=0)
        with pytest.raises(ValueError, match="q: expected at least 1, got 0"):
            make(q=0)
        with pytest.raises(ValueError, match="x: expected a batch of 2 points"):
            jax.eval_shape(lambda x, make=make: make(q=2)(x), jnp.zeros((3, 2)))


@pytest.fixture(scope="module")
def botorch():
    """BoTorch's model of the same posterior, in double precision."""
    pytest.importorskip("botorch", reason="BoTorch is not installed")
    from benchmarks.acquisitions.peer import botorch_model

    with jax.enable_x64(True):
        given = posterior(data(0.0))
        return botorch_model(given), given


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("q", [1, 2, 4])
@pytest.mark.parametrize("name", ["qLogEI", "qLogNEI", "qUCB"])
def test_values_are_those_of_botorch(botorch, name, q):
    """Both from independent scrambles, so the tolerance comes from their spread."""
    import torch
    from botorch.acquisition import logei, monte_carlo
    from botorch.sampling import SobolQMCNormalSampler

    model, given = botorch
    unit, location = float(given.scale), float(given.location)
    x = points(q, 4)
    best = float(given.best_y) + 0.1
    standard = (best - location) / unit

    def theirs(seed):
        sampler = SobolQMCNormalSampler(torch.Size([1024]), seed=seed)
        match name:
            case "qLogEI":
                acquisition = logei.qLogExpectedImprovement(
                    model, -standard, sampler, tau_max=1e-4
                )
            case "qLogNEI":
                acquisition = logei.qLogNoisyExpectedImprovement(
                    model,
                    model.train_inputs[0],
                    sampler,
                    tau_max=1e-4,
                    prune_baseline=False,
                )
            case "qUCB":
                acquisition = monte_carlo.qUpperConfidenceBound(model, 2.0, sampler)
        with torch.no_grad():
            return float(acquisition(torch.tensor(x)))

    reference = np.array([theirs(seed) for seed in range(NUM_KEYS)])
    with jax.enable_x64(True):
        if name == "qUCB":
            ours = np.asarray(replicates(QUCB, q, 1024)(given, x))
            agree((ours + location) / unit, reference)
        elif name == "qLogEI":
            ours = np.exp(replicates(QLogEI, q, 1024)(given, x, best))
            agree(ours / unit, np.exp(reference))
        else:
            ours = np.exp(replicates(QLogNEI, q, 1024)(given, x))
            agree(ours / unit, np.exp(reference))
