"""A long run compiles one program for each bucket of padding, and no more."""

import collections
import importlib

import jax
import jax.numpy as jnp
import pytest

import bojax
from bojax._numerics import bucket
from bojax.strategies import BayesOpt
from bojax.surrogates import gp

# The package's attribute of this name is the function.
maximization = importlib.import_module("bojax.acquisitions.optimize")

# Names that no other test has: a space is part of what compilations are known by.
SPACE = bojax.Space(
    {"traced_a": bojax.Float(0.0, 1.0), "traced_b": bojax.Float(0.0, 1.0)}
)
NUM_TRIALS = 200


@pytest.fixture
def traces(monkeypatch):
    """How often the bodies of both compiled parts were traced."""
    counts = collections.Counter()

    def count(module, name):
        original = getattr(module, name)

        def counted(*args, **kwargs):
            counts[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    count(gp, "maximum_a_posteriori")
    count(maximization, "_raw_points")
    return counts


def test_two_hundred_trials_compile_once_for_each_bucket(traces):
    strategy = BayesOpt(SPACE)
    state = strategy.init(jax.random.key(0), bucket(1))
    measure = jax.jit(lambda x: jnp.sum((x - 0.3) ** 2, axis=1))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if "compile" in event else None
    )
    buckets = set()
    for number in range(NUM_TRIALS):
        before = len(compiled)
        if number == state.trials.capacity:
            state = strategy.grow(state, bucket(number + 1))
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, measure(points.x))
        if state.trials.capacity in buckets and number > 1:
            assert len(compiled) == before, f"trial {number} compiled something"
        buckets.add(state.trials.capacity)
    assert buckets == {bucket(n + 1) for n in range(NUM_TRIALS)}
    assert int(state.trials.done.sum()) == NUM_TRIALS
    assert not bool(state.overflow)
    assert 0 < traces["maximum_a_posteriori"] <= len(buckets)
    assert 0 < traces["_raw_points"] <= len(buckets)
