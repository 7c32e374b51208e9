"""The padded table of trials, against a plain list; datasets; outcomes."""

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.data import Dataset, Decision, Outcome, Status, Trials

CAPACITY = 5


@eqx.filter_jit
def append(trials, x, y, number, status):
    return trials.append(x, number, status, y=y)


def rows(trials):
    """What is in use, as a list."""
    used = np.asarray(trials.status) != Status.EMPTY
    columns = (trials.x[:, 0], trials.y[:, 0], trials.number, trials.status)
    return [
        tuple(float(c[i]) for c in map(np.asarray, columns))
        for i in np.nonzero(used)[0]
    ]


@hypothesis.given(
    st.lists(st.tuples(st.integers(1, 2), st.sampled_from([1, 2])), max_size=6)
)
@hypothesis.settings(max_examples=30)
def test_append_is_that_of_a_list_that_is_cut_off_and_flagged(batches):
    trials, model = Trials.empty(CAPACITY, 2), []
    for q, status in batches:
        number = np.arange(q, dtype=np.int32) + len(model)
        x = np.stack([number / 64, number / 32], axis=1).astype(np.float32)
        columns = map(jnp.asarray, (x, x[:, :1] + 1, number))
        trials = append(trials, *columns, Status(status))
        model += [(i / 64, i / 64 + 1, i, status) for i in number.tolist()]
        assert rows(trials) == model[:CAPACITY]
        assert int(trials.size) == min(len(model), CAPACITY)
        assert bool(trials.overflow) == (len(model) > CAPACITY)


def test_an_empty_table_contains_nothing_not_even_its_padding():
    trials = Trials.empty(3, 2)
    assert not bool(trials.contains(jnp.full(2, 0.5)))
    assert not bool(jnp.any(trials.done | trials.pending))
    assert bool(jnp.all(jnp.isnan(trials.y)))


def filled(*points, status=Status.DONE, capacity=CAPACITY):
    x = jnp.asarray(points)
    trials = Trials.empty(capacity, x.shape[1])
    number = jnp.arange(len(points), dtype=jnp.int32)
    return append(trials, x, jnp.zeros((len(points), 1)), number, status)


@pytest.mark.parametrize("status", [Status.PENDING, Status.DONE])
def test_contains_this_very_point_and_no_other(x64, status):
    trials = filled([0.1, 0.2], [0.3, 0.4], status=status)
    assert bool(trials.contains(jnp.array([0.3, 0.4])))
    assert not bool(trials.contains(jnp.array([0.1, 0.4])))
    eps = float(jnp.finfo(trials.x.dtype).eps)
    assert bool(trials.contains(jnp.array([0.3 + eps, 0.4])))
    assert not bool(trials.contains(jnp.array([0.3 + 100 * eps, 0.4])))


@pytest.mark.parametrize(
    ("tried", "rank", "chosen"),
    [
        ([], [2.0, 1.0, 3.0], 1),
        ([1], [2.0, 1.0, 3.0], 0),
        ([0, 1], [2.0, 1.0, 3.0], 2),
        ([0, 1, 2], [2.0, 1.0, 3.0], 1),
        ([], [np.inf, 1.0, 3.0], 1),
        ([1, 2], [np.inf, 3.0, 1.0], 2),
    ],
)
def test_first_untried(tried, rank, chosen):
    candidates = jnp.array([[0.1], [0.2], [0.3]])
    trials = filled(*np.asarray(candidates)[tried]) if tried else Trials.empty(5, 1)
    found = trials.first_untried(candidates, jnp.array(rank))
    np.testing.assert_array_equal(found, candidates[chosen])


def test_grow_keeps_every_row_and_the_flag(x64):
    trials = filled(*np.linspace(0, 1, 7)[:, None])
    larger = trials.grow(9)
    assert larger.capacity == 9
    assert rows(larger) == rows(trials)
    assert int(larger.size) == CAPACITY
    assert bool(larger.overflow)
    assert larger.x.dtype == trials.x.dtype
    more = append(
        larger,
        jnp.array([[0.9]]),
        jnp.ones((1, 1)),
        jnp.array([7], jnp.int32),
        Status.DONE,
    )
    assert rows(more) == [*rows(trials), (pytest.approx(0.9), 1.0, 7.0, 2.0)]


def test_grow_follows_the_table_not_the_mode():
    trials = filled([0.3])
    with jax.enable_x64(True):
        larger = trials.grow(8)
    assert larger.x.dtype == larger.y.dtype == larger.variance.dtype == jnp.float32


def test_grow_does_not_shrink():
    with pytest.raises(ValueError, match="capacity: expected at least 5, got 4"):
        Trials.empty(5, 1).grow(4)


def test_dataset_of_pads_with_what_is_masked():
    x, y = jnp.ones((3, 2)), jnp.arange(3.0)
    data = Dataset.of(x, y, capacity=5)
    assert data.mask.tolist() == [True] * 3 + [False] * 2
    np.testing.assert_array_equal(data.x[:3], x)
    np.testing.assert_array_equal(data.x[3:], 0.5)
    np.testing.assert_array_equal(data.y[:3], y)
    np.testing.assert_array_equal(data.variance, 0)
    assert Dataset.of(x, y, variance=y, capacity=5).variance.tolist() == [0, 1, 2, 0, 0]


def test_dataset_of_without_capacity_is_not_padded():
    data = Dataset.of(jnp.ones((3, 2)), jnp.arange(3.0))
    assert data.x.shape == (3, 2)
    assert bool(jnp.all(data.mask))


def test_dataset_of_more_than_fits_is_an_error():
    with pytest.raises(ValueError, match="capacity: expected at least 3 rows, got 2"):
        Dataset.of(jnp.ones((3, 2)), jnp.arange(3.0), capacity=2)


def test_an_outcome_is_done_and_a_decision_goes_on_unless_told_otherwise():
    assert Outcome(0.1).done is True
    assert Outcome(0.1).variance is None
    assert not Decision().stop
    assert not Decision().pause
