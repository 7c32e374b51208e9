import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.acquisitions import LogEI
from bojax.data import Outcome, Status, Trials
from bojax.strategies import TuRBO
from bojax.strategies.turbo import _best, _order, _rank

SPACE = bojax.Space({f"region_{j}": bojax.Float(0.0, 1.0) for j in range(3)})
CAPACITY = 64


@pytest.fixture(scope="module")
def strategy():
    return TuRBO(SPACE, num_initial=4, num_candidates=64)


@jax.jit
@jax.vmap
def bowl(x):
    return jnp.sum((x - 0.3) ** 2)


def designed(strategy, y):
    """A run whose design has been told these values."""
    state = strategy.init(jax.random.key(0), CAPACITY)
    points, state = strategy.ask(state, 4)
    return strategy.ask(strategy.tell(state, points, jnp.asarray(y)), 4)


def after(strategy, *batches):
    """Memory after batches of outcomes, each told before the next is asked for."""
    points, state = designed(strategy, [4.0, 3.0, 2.0, 1.0])
    for batch in batches:
        state = strategy.tell(state, points, jnp.asarray(batch))
        points, state = strategy.ask(state, 4)
    return state.memory


def test_three_successes_in_a_row_double_the_region(strategy):
    better = [[9.0, 0.9, 9.0, 9.0], [9.0, 9.0, 9.0, 0.8], [0.7, 9.0, 9.0, 9.0]]
    assert float(after(strategy, *better[:2]).length) == pytest.approx(0.8)
    assert int(after(strategy, *better[:2]).successes) == 2
    doubled = after(strategy, *better)
    assert float(doubled.length) == pytest.approx(1.6)
    assert int(doubled.successes) == 0


def test_failures_are_counted_by_trials_and_halve_the_region(strategy):
    assert float(after(strategy, [9.0] * 4).length) == pytest.approx(0.4)
    # A thousandth is what counts.
    assert float(after(strategy, [0.9995] * 4).length) == pytest.approx(0.4)
    assert float(after(strategy, [jnp.nan] * 4).length) == pytest.approx(0.4)


def test_a_batch_is_what_arrived_between_two_proposals(strategy):
    points, state = designed(strategy, [4.0, 3.0, 2.0, 1.0])
    rows = lambda index: jax.tree.map(lambda leaf: leaf[np.array(index)], points)
    state = strategy.tell(state, rows([3, 1]), jnp.full(2, 9.0))
    _, state = strategy.ask(state)
    assert int(state.memory.failures) == 2
    _, again = strategy.ask(state)
    assert int(again.memory.failures) == 2
    state = strategy.tell(again, rows([0]), jnp.full(1, 0.5))
    _, state = strategy.ask(state)
    assert (int(state.memory.failures), int(state.memory.successes)) == (0, 1)


def test_a_collapsed_region_gives_way_to_a_new_design(strategy):
    points, state = designed(strategy, [4.0, 3.0, 2.0, 1.0])
    short = dataclasses.replace(state.memory, length=jnp.asarray(0.01))
    state = dataclasses.replace(state, memory=short)
    state = strategy.tell(state, points, jnp.full(4, 9.0))
    points, state = strategy.ask(state, 4)
    assert float(state.memory.length) == pytest.approx(0.8)
    assert int(state.memory.first) == 8
    expected, _ = strategy.model.initial.propose(
        None, state.trials, state.key, points.number
    )
    np.testing.assert_array_equal(points.x, expected)


@pytest.mark.parametrize("acquisition", [None, LogEI])
def test_points_lie_in_the_box(acquisition):
    strategy = TuRBO(SPACE, None, acquisition, num_initial=4, num_candidates=64)
    state = strategy.init(jax.random.key(0), CAPACITY)
    points, state = strategy.ask(state, 4)
    state = strategy.tell(state, points, bowl(points.x))
    short = dataclasses.replace(state.memory, length=jnp.asarray(0.05))
    points, after = strategy.ask(dataclasses.replace(state, memory=short), 4)
    kernel = after.memory.surrogate.parameters.kernel.kernel
    log = np.asarray(kernel.log_lengthscale[0])
    sides = 0.05 * np.exp(log - log.mean())
    center = state.trials.x[
        jnp.argmin(jnp.where(state.trials.done, bowl(state.trials.x), 9))
    ]
    assert np.all(np.abs(points.x - center) <= sides / 2 + 1e-5)
    assert len(np.unique(points.x, axis=0)) == 4


def test_finds_the_minimum(strategy):
    state = strategy.init(jax.random.key(1), CAPACITY)
    for _ in range(10):
        points, state = strategy.ask(state, 4)
        state = strategy.tell(state, points, bowl(points.x))
    assert np.nanmin(state.trials.y) < 1e-3


def test_feasible_candidates_come_first_then_least_violation():
    y = jnp.array([0.0, 2.0, 1.0, -1.0])
    g = jnp.array([[3.0, -1.0, -2.0, 1.0], [-1.0, -1.0, 0.0, -1.0]])
    assert _rank(jnp.concatenate([y[None], g])).tolist() == [3, 1, 0, 2]


def test_the_center_is_feasible_or_of_least_violation():
    trials = Trials.empty(6, 1, num_constraints=1)
    y = jnp.array([[0.0], [2.0], [1.0], [-1.0], [jnp.nan]])
    g = jnp.array([[3.0], [-1.0], [-2.0], [1.0], [-1.0]])
    told = {"y": y, "constraints": g}
    full = trials.append(jnp.zeros((5, 1)), jnp.arange(5), Status.DONE, **told)
    assert _order(full)[:4].tolist() == [2, 1, 3, 0]
    assert [leaf.tolist() for leaf in _best(full)] == [False, 1.0]
    violated = full.write(jnp.array([1, 2]), constraints=jnp.full((2, 1), 5.0))
    assert _order(violated)[0] == 3
    assert [leaf.tolist() for leaf in _best(violated)] == [True, 1.0]


def test_constraints_are_met_by_most_points_in_the_end(strategy):
    """The least value is where both are violated."""
    evaluate = lambda x: Outcome(
        bowl(x), constraints=jnp.stack([0.5 - x[:, 0], x[:, 1] - 0.1], 1)
    )
    state = strategy.init(jax.random.key(1), CAPACITY, num_constraints=2)
    for _ in range(12):
        points, state = strategy.ask(state, 4)
        state = strategy.tell(state, points, evaluate(points.x))
    # One in twenty points of the cube is feasible.
    assert jnp.mean(state.trials.feasible[28:48]) > 0.5
    assert not bool(state.memory.infeasible)


def test_a_constraint_that_is_never_met_leaves_least_violation(strategy):
    evaluate = lambda x: Outcome(bowl(x), constraints=1 + x[:, :1])
    state = strategy.init(jax.random.key(1), CAPACITY, num_constraints=1)
    for _ in range(8):
        points, state = strategy.ask(state, 4)
        state = strategy.tell(state, points, evaluate(points.x))
    assert bool(state.memory.infeasible)
    assert float(jnp.nanmin(state.trials.x[:32, 0])) < 0.05


@pytest.mark.parametrize("value", [jnp.nan, 1.0, 1e30])
def test_failures_alone_and_constant_data(strategy, value):
    state = strategy.init(jax.random.key(0), CAPACITY)
    for _ in range(4):
        points, state = strategy.ask(state, 4)
        state = strategy.tell(state, points, jnp.full(4, value))
    x = np.asarray(state.trials.x[:16])
    assert np.all(np.isfinite(x))
    assert len(np.unique(x, axis=0)) == 16


MIXED = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q"),
        "layers": bojax.Int(1, 5),
        "only_q": bojax.Float(0.0, 1.0, when={"kind": "q"}),
    }
)


def test_conditional_columns_are_drawn_whole_and_projected():
    strategy = TuRBO(MIXED, num_initial=4, num_candidates=64)
    center = jnp.asarray(MIXED.encode({"kind": "p", "layers": 3}), jnp.float32)
    low, high = strategy._box(center, jnp.full(3, 0.2))
    assert low.tolist() == pytest.approx([0, 0.4, 0])
    assert high.tolist() == pytest.approx([1, 0.6, 1])
    x = strategy._candidates(jax.random.key(0), center, low, high)
    np.testing.assert_allclose(x, jax.vmap(MIXED.project)(x), atol=1e-6)
    other = np.asarray(x[x[:, 0] > 0.5, 2])
    assert len(other) > 8
    assert other.min() < 0.2
    assert other.max() > 0.8


def test_a_batch_larger_than_a_finite_space():
    space = bojax.Space({"region_few": bojax.Int(1, 5)})
    strategy = TuRBO(space, num_initial=2, num_candidates=8)
    state = strategy.init(jax.random.key(0), CAPACITY)
    points, state = strategy.ask(state, 2)
    state = strategy.tell(state, points, points.x[:, 0])
    points, state = strategy.ask(state, 7)
    assert len(np.unique(state.trials.x[:9])) == 5


def test_bad_arguments():
    with pytest.raises(ValueError, match="num_initial: expected at least 2, got 1"):
        TuRBO(SPACE, num_initial=1)
    with pytest.raises(ValueError, match="num_candidates: expected at least 1, got 0"):
        TuRBO(SPACE, num_candidates=0)
    with pytest.raises(ValueError, match="successes: expected at least 1, got 0"):
        TuRBO(SPACE, successes=0)


LINE = bojax.Space({"a": bojax.Float(0.0, 1.0)})


def noisy_line():
    """A run on a bowl, least at 0.3, with a lucky value at 0.55."""
    x = jnp.linspace(0, 1, 21)[:, None]
    rough = jax.random.normal(jax.random.key(0), (21,))
    y = (x[:, 0] - 0.3) ** 2 + 0.06 * rough
    strategy = TuRBO(LINE, num_initial=2, num_candidates=64)
    state = strategy.init(jax.random.key(0), CAPACITY)
    state = strategy.observe(state, x, y.at[11].set(-0.12))
    _, state = strategy.ask(state)
    return strategy, state


def test_under_noise_the_luckiest_is_neither_recommended_nor_the_center():
    strategy, state = noisy_line()
    fit = state.memory.surrogate
    assert bool(strategy.fitted_noise(state.memory))
    trials = state.trials
    assert int(jnp.argmin(jnp.where(trials.done, trials.y[:, 0], jnp.inf))) == 11
    assert abs(float(strategy.recommend(state).x[0]) - 0.3) < 0.15
    belief, fit = eqx.filter_jit(strategy.model.believe)(fit, trials, state.key)
    center = _order(strategy._denoised(trials, belief, fit))[0]
    assert abs(float(trials.x[center, 0]) - 0.3) < 0.15


def test_without_noise_values_are_believed():
    strategy, state = noisy_line()
    trials = dataclasses.replace(
        state.trials, y=jnp.sum((state.trials.x - 0.3) ** 2, axis=1, keepdims=True)
    )
    fit = strategy.model.unfitted(trials)
    belief, fit = eqx.filter_jit(strategy.model.believe)(fit, trials, state.key)
    found = strategy._denoised(trials, belief, fit)
    np.testing.assert_array_equal(found.y, trials.y)
