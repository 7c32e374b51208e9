"""Reinforcement learning: policies that are distributions, and what they learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.strategies import Independent, Random, Recurrent, Reinforce

TREE = bojax.Space(
    {
        # A child before its parent: the order is the tree's, not the columns'.
        "units": bojax.Int(1, 4, when={"kind": "q"}),
        "kind": bojax.Categorical("p", "q", "r"),
        "depth": bojax.Ordinal(2, 4),
    }
)
POLICIES = {"independent": Independent, "recurrent": lambda s: Recurrent(s, width=5)}
each = pytest.mark.parametrize("name", POLICIES)


def perturbed(policy, scale=0.7):
    """Parameters that are not those of a uniform policy."""
    leaves, structure = jax.tree.flatten(policy.init())
    keys = jax.random.split(jax.random.key(3), len(leaves))
    return jax.tree.unflatten(
        structure,
        [
            leaf + scale * jax.random.normal(key, leaf.shape, leaf.dtype)
            for key, leaf in zip(keys, leaves, strict=True)
        ],
    )


@each
def test_a_policy_is_a_distribution_and_its_draws_follow_it(name):
    policy = POLICIES[name](TREE)
    parameters = perturbed(policy)
    points = jnp.asarray(TREE.enumerate(100), jnp.float32)
    assert len(points) == 2 * (2 + 4)
    chance = np.exp(
        jax.jit(jax.vmap(lambda x: policy.log_probability(parameters, x)))(points)
    )
    # Masked: what does not exist is no decision, or this would be more than one.
    np.testing.assert_allclose(chance.sum(), 1, rtol=1e-5)
    keys = jax.random.split(jax.random.key(0), 6000)
    x = jax.jit(jax.vmap(lambda key: policy.sample(parameters, key)))(keys)
    which = jnp.argmin(jnp.sum((x[:, None] - points) ** 2, axis=2), axis=1)
    observed = np.bincount(np.asarray(which), minlength=len(points))
    chance = chance.astype(float) / chance.sum(dtype=float)
    assert stats.chisquare(observed, chance * len(keys)).pvalue > 1e-3


@each
def test_it_begins_uniform(name):
    policy = POLICIES[name](TREE)
    x = jnp.asarray(TREE.encode({"units": 3, "kind": "q", "depth": 4}), jnp.float32)
    chance = jnp.exp(policy.log_probability(policy.init(), x))
    np.testing.assert_allclose(chance, 1 / 24, rtol=1e-5)


def test_numbers_are_drawn_within_bins():
    space = bojax.Space({"rate": bojax.Float(1e-4, 1.0, log=True)})
    policy = Independent(space, resolution=4)
    parameters = jnp.array([[0.0, 50.0, 0.0, 0.0]])
    keys = jax.random.split(jax.random.key(0), 500)
    x = np.asarray(jax.vmap(lambda key: policy.sample(parameters, key))(keys))
    assert stats.kstest(4 * x[:, 0] - 1, "uniform").pvalue > 1e-3
    assert policy.choices(jnp.array([0.49])).tolist() == [1]


def test_only_decisions_that_exist_are_learned_from():
    strategy = Reinforce(TREE)
    state = strategy.init(jax.random.key(0), 8)
    x = np.stack(
        [TREE.encode({"kind": kind, "depth": 2}) for kind in ("p", "r", "p", "r")]
    )
    state = strategy.observe(state, jnp.asarray(x), jnp.array([1.0, 0.0, 1.0, 0.0]))
    _, state = strategy.ask(state)
    parameters = np.asarray(state.memory.parameters)
    np.testing.assert_array_equal(parameters[0], 0)
    assert parameters[1, 2] > parameters[1, 0]


def test_a_step_is_adams_along_the_gradient_of_the_log_probability():
    space = bojax.Space({"kind": bojax.Categorical("p", "q")})
    strategy = Reinforce(space, learning_rate=0.3, decay=0.5)
    state = strategy.init(jax.random.key(0), 8)
    x = jnp.array([[0.25], [0.75]])
    state = strategy.observe(state, x, jnp.array([1.0, 0.0]))
    _, state = strategy.ask(state)
    # The first reward is its own baseline; the second is one above it, and the
    # gradient (-1/2, 1/2). Adam's second step, after one of nothing: m = 0.1 g and
    # v = 0.001 g^2, over 1 - 0.9^2 and 1 - 0.999^2.
    expected = 0.3 * (0.1 / 0.19) / np.sqrt(0.001 / (1 - 0.999**2))
    np.testing.assert_allclose(
        state.memory.parameters[0], [-expected, expected], rtol=1e-4
    )
    np.testing.assert_allclose(state.memory.baseline, -0.5)
    assert int(state.memory.learned) == 2


def test_what_is_pending_holds_back_nothing_and_the_order_of_telling_does_not_matter():
    strategy = Reinforce(TREE)
    state = strategy.init(jax.random.key(1), 16)
    points, state = strategy.ask(state, 4)
    rows = lambda index: jax.tree.map(lambda leaf: leaf[np.array(index)], points)
    y = jnp.array([3.0, 1.0, 2.0, 0.0])
    late = strategy.tell(state, rows([1, 2, 3]), y[1:])
    _, late = strategy.ask(late)
    assert int(late.memory.learned) == 0
    learned = strategy._learn(late.memory, late.trials, late.trials.size)
    assert float(jnp.abs(learned.parameters).max()) > 0
    late = strategy.tell(late, rows([0]), y[:1])
    _, late = strategy.ask(late)
    assert int(late.memory.learned) == 4
    whole = strategy.tell(state, points, y)
    _, whole = strategy.ask(whole)
    _, whole = strategy.ask(whole)
    np.testing.assert_array_equal(late.memory.parameters, whole.memory.parameters)


def test_a_failure_is_as_bad_as_the_worst_and_never_poisons_the_policy():
    space = bojax.Space({"kind": bojax.Categorical("p", "q")})
    strategy = Reinforce(space)
    state = strategy.init(jax.random.key(0), 16)
    x = jnp.array([[0.25], [0.75], [0.75], [0.25], [0.25]])
    y = jnp.array([jnp.nan, 1.0, 0.0, jnp.inf, -jnp.inf])
    state = strategy.observe(state, x, y)
    _, state = strategy.ask(state)
    parameters = np.asarray(state.memory.parameters[0])
    assert np.all(np.isfinite(parameters))
    assert parameters[1] > parameters[0]
    assert float(state.memory.worst) == -1


@pytest.mark.long
@each
def test_it_learns_a_choice_that_depends_on_another(name):
    """Only the recurrent policy can tell apart what is good with p and with q."""
    space = bojax.Space(
        {"a": bojax.Categorical(*"pqrs"), "b": bojax.Categorical(*"pqrs")}
    )

    def objective(x, key):
        return (jnp.abs(x[0] - x[1]) > 0.1) + 0.1 * x[0]

    strategy = Reinforce(space, POLICIES[name](space))
    keys = jax.random.split(jax.random.key(0), 4)
    y = bojax.simulate(strategy, objective, 150, keys).y
    random = bojax.simulate(Random(space), objective, 16, keys).y
    assert float(y[:, -40:].mean()) < float(random.mean()) - 0.3


def test_its_numbers_may_be_traced():
    def run(learning_rate, decay):
        strategy = Reinforce(TREE, learning_rate=learning_rate, decay=decay)
        return bojax.simulate(strategy, lambda x, key: x[0], 3, jax.random.key(0)).y

    numbers = jnp.array([0.1, 0.2]), jnp.array([0.9, 0.5])
    assert jax.eval_shape(jax.vmap(run), *numbers).shape == (2, 3)


def test_bad_arguments_are_errors_that_name_them():
    for policy in (Independent, Recurrent):
        with pytest.raises(ValueError, match="resolution: expected at least 1, got 0"):
            policy(TREE, resolution=0)
    with pytest.raises(ValueError, match="width: expected at least 1, got 0"):
        Recurrent(TREE, width=0)
    with pytest.raises(ValueError, match="learning_rate: expected a positive number"):
        Reinforce(TREE, learning_rate=0.0)
    with pytest.raises(ValueError, match="decay: expected a number from 0 to 1"):
        Reinforce(TREE, decay=1.0)
    other = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    with pytest.raises(ValueError, match="policy: expected one of the space"):
        Reinforce(TREE, Independent(other))
