"""TPE follows its good trials, keeps away from the others, and compiles once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import problems
from bojax._numerics import bucket
from bojax.strategies import TPE, Random, parzen
from bojax.strategies.tpe import _age_weights

BRANCHES = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "a": bojax.Float(0.0, 1.0, when={"kind": "p"}),
        "b": bojax.Float(0.0, 1.0, when={"kind": "q"}),
        "c": bojax.Int(1, 9, when={"kind": "r"}),
    }
)


def branches(x, key):
    """Least, zero, at q with b = 0.8."""
    values = BRANCHES.values(x)
    each = jnp.stack(
        [
            0.3 + (values["a"] - 0.2) ** 2,
            (values["b"] - 0.8) ** 2,
            0.2 + jnp.abs(values["c"] - 3) / 9,
        ]
    )
    return each[values["kind"]]


@pytest.mark.long
@pytest.mark.parametrize("multivariate", [True, False])
def test_finds_the_branch_and_the_value_in_it(multivariate):
    keys = jax.random.split(jax.random.key(0), 8)
    ours, theirs = (
        np.asarray(bojax.simulate(strategy, branches, 50, keys).best_y[:, -1])
        for strategy in (TPE(BRANCHES, multivariate=multivariate), Random(BRANCHES))
    )
    # Random search sees q 17 times: its best b is about 1/34 off, 9e-4 in the square.
    assert np.median(ours) < np.median(theirs) / 3
    assert np.median(ours) < 3e-4


def test_the_joint_form_follows_a_ridge_better_than_columns_apart():
    space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "ab"})
    ridge = lambda x, key: 20 * (x[0] - x[1]) ** 2 + (x[0] - 0.7) ** 2
    keys = jax.random.split(jax.random.key(1), 12)
    joint, apart = (
        np.asarray(
            bojax.simulate(TPE(space, multivariate=form), ridge, 60, keys).best_y[:, -1]
        )
        for form in (True, False)
    )
    assert np.mean(np.log(joint)) < np.mean(np.log(apart))


def test_good_trials_are_the_best_tenth_and_the_rest_hold_what_is_pending_or_failed():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    strategy = TPE(space)
    state = strategy.init(jax.random.key(0), 64)
    x = jnp.linspace(0.0, 1.0, 12)[:, None]
    y = jnp.abs(x[:, 0] - 0.4).at[4].set(jnp.nan)
    state = strategy.observe(state, x, y)
    _, state = strategy.reserve(state, jnp.full((1, 1), 0.45))
    good, rest = strategy.densities(state.trials)
    held = good.x[:-1, 0][np.asarray(good.weight[:-1]) > 0]
    # Eleven have a value: two are good. The best of them, at 4/11, failed.
    np.testing.assert_allclose(np.sort(held), [3 / 11, 5 / 11], atol=1e-6)
    weight = np.asarray(rest.weight[:-1])
    assert (weight > 0).sum() == 11
    assert weight[4] > 0
    assert weight[12] > 0


def test_a_batch_keeps_apart():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    strategy = TPE(space, num_initial=5)
    state = strategy.init(jax.random.key(0), 64)
    x = jnp.linspace(0.0, 1.0, 30)[:, None]
    state = strategy.observe(state, x, (x[:, 0] - 0.5) ** 2)
    together = np.asarray(strategy.ask(state, 12)[0].x[:, 0])
    alone = []
    for number in range(12):
        # The same draw number, nothing pending.
        told = bojax.strategies.State(
            state.trials, state.key, jnp.int32(number), state.memory
        )
        alone.append(float(strategy.ask(told)[0].x[0, 0]))
    assert together.std() > 1.2 * np.std(alone)


def test_old_trials_weigh_less():
    mask = jnp.arange(64) < 60
    weight = np.asarray(_age_weights(mask, jnp.dtype("float32")))
    np.testing.assert_allclose(weight[:35], np.linspace(1 / 60, 1, 35), rtol=1e-5)
    np.testing.assert_array_equal(weight[35:60], 1)
    np.testing.assert_array_equal(weight[60:], 0)
    few = np.asarray(_age_weights(jnp.arange(64) < 20, jnp.dtype("float32")))
    np.testing.assert_array_equal(few, [1] * 20 + [0] * 44)


def test_one_trace_for_each_bucket(monkeypatch):
    space = bojax.Space({"traced_by_tpe": bojax.Float(0.0, 1.0)})
    traces = []
    original = parzen.Parzen.of.__func__

    def counted(cls, space, x, *rest):
        traces.append(x.shape[0])
        return original(cls, space, x, *rest)

    monkeypatch.setattr(parzen.Parzen, "of", classmethod(counted))
    strategy = TPE(space)
    state = strategy.init(jax.random.key(0), bucket(1))
    for number in range(140):
        if number == state.trials.capacity:
            state = strategy.grow(state, bucket(number + 1))
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, (points.x[:, 0] - 0.3) ** 2)
    # The good and the rest, once in each of three buckets.
    assert sorted(traces) == [25, 25, 25, 64, 128, 192]


def test_beats_random_search_on_a_synthetic_function():
    problem = problems.get("hartmann6")
    objective = lambda x, key: problem.fn(x)
    keys = jax.random.split(jax.random.key(2), 8)
    ours, theirs = (
        np.asarray(bojax.simulate(strategy, objective, 60, keys).best_y[:, -1])
        for strategy in (TPE(problem.space), Random(problem.space))
    )
    assert np.median(ours) < np.median(theirs) - 0.3


def test_bad_counts_are_errors_that_name_them():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    with pytest.raises(ValueError, match="num_initial: expected at least 1, got 0"):
        TPE(space, num_initial=0)
    with pytest.raises(ValueError, match="num_candidates: expected at least 1, got 0"):
        TPE(space, num_candidates=0)
