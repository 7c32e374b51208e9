"""GP-UCB-PE: which of the two a point is for, and what each looks for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.acquisitions import UCBPE, Belief
from bojax.data import Dataset, Status, Trials
from bojax.strategies import BayesOpt
from bojax.surrogates import GP, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0)})
GIVEN = GP(SPACE)
X = np.array([[0.0], [0.2], [0.4], [0.7], [1.0]])
Y = np.array([1.0, 0.1, 0.0, 2.0, 3.0])


@eqx.filter_jit
def posterior(gp):
    return gp.condition(Dataset.of(jnp.asarray(X), jnp.asarray(Y), capacity=8))


@eqx.filter_jit
def over(acquisition, x):
    return jax.vmap(acquisition)(x[:, None, None])


@eqx.filter_jit
def written(posterior, x):
    """Vizier's formulas in NumPy's terms, nothing pending."""
    mean, variance = jax.vmap(posterior.marginal)(x[:, None])
    known, spread = jax.vmap(posterior.marginal)(posterior.data.x)
    bound = jnp.where(posterior.data.mask, -known + 1.8 * jnp.sqrt(spread), -jnp.inf)
    threshold = -known[jnp.argmax(bound)]
    sigma = jnp.sqrt(variance)
    missing = jnp.minimum(-mean + 0.5 * sigma - threshold, 0)
    return -mean + 1.8 * sigma, sigma + 10 * missing


def test_the_bound_and_the_exploration_are_viziers():
    with jax.enable_x64(True):
        given, x = posterior(GIVEN), jnp.linspace(0, 1, 41)
        bound, exploration = written(given, x)
        np.testing.assert_allclose(over(UCBPE(given, False), x), bound, rtol=1e-9)
        # The softer edge costs at most penalty times width times log 2.
        width = 1e-2 * float(given.scale)
        difference = exploration - over(UCBPE(given, True), x)
        assert np.all(difference >= -1e-9)
        assert np.all(difference <= 10 * width * np.log(2) + 1e-9)


def test_exploration_stays_where_it_pays_and_off_what_is_pending():
    with jax.enable_x64(True):
        given, x = posterior(GIVEN), jnp.linspace(0, 1, 201)
        first = x[jnp.argmax(over(UCBPE(given, True), x))]
        # The largest standard deviation of all is where the values are bad.
        widest = x[jnp.argmax(jax.vmap(given.marginal)(x[:, None])[1])]
        assert float(first) < 0.6 < float(widest)
        after = eqx.filter_jit(lambda p, x: p.append(5, x))(given, first[None])
        second = x[jnp.argmax(over(UCBPE(after, True), x))]
        assert abs(float(second) - float(first)) > 0.02


@eqx.filter_jit
def explores(gp, trials, keys):
    objectives = Several(jax.tree.map(lambda leaf: leaf[None], posterior(gp)))

    def one(key):
        return UCBPE.of(Belief(objectives, None, None, trials, key)).explore

    return jax.vmap(one)(keys)


@pytest.mark.parametrize(
    ("pending", "log_noise", "chance"),
    [(False, -8.0, 0.1), (False, 3.0, 0.7), (True, -8.0, 0.75), (True, 3.0, 0.75)],
)
def test_who_explores(pending, log_noise, chance):
    with jax.enable_x64(True):
        trials = Trials.empty(8, 1)
        trials = trials.append(
            jnp.asarray(X),
            jnp.arange(5, dtype=np.int32),
            Status.DONE,
            y=jnp.asarray(Y[:, None]),
        )
        if pending:
            trials = trials.append(
                jnp.full((1, 1), 0.5), jnp.array([5], np.int32), Status.PENDING
            )
        gp = eqx.tree_at(
            lambda gp: gp.parameters.log_noise, GIVEN, jnp.asarray(log_noise)
        )
        count = 2000
        share = explores(gp, trials, jax.random.split(jax.random.key(0), count)).mean()
        assert abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / count)


def test_noise_that_depends_on_the_point_drowns_the_signal_too():
    with jax.enable_x64(True):
        trials = Trials.empty(8, 1)
        gp = GP(SPACE, noise="heteroscedastic")
        gp = eqx.tree_at(lambda gp: gp.parameters.excess.log_excess, gp, jnp.array(3.0))
        keys = jax.random.split(jax.random.key(0), 2000)
        share = explores(gp, trials, keys).mean()
        assert abs(share - 0.7) < 5 * np.sqrt(0.7 * 0.3 / 2000)


@pytest.mark.long
def test_batches_of_four_find_the_optimum():
    strategy = BayesOpt(SPACE, acquisition=UCBPE)
    state = strategy.init(jax.random.key(0), 64)
    for _ in range(6):
        points, state = strategy.ask(state, 4)
        assert len(np.unique(points.x)) == 4
        y = jnp.sin(9 * points.x[:, 0]) + points.x[:, 0]
        state = strategy.tell(state, points, y)
    grid = np.linspace(0, 1, 10001)
    assert np.nanmin(state.trials.y) < (np.sin(9 * grid) + grid).min() + 1e-3
