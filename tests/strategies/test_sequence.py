"""Draws in sequence know those before them."""

import jax.numpy as jnp

from bojax.data import Trials
from bojax.strategies.sequence import one_by_one


def test_each_draw_sees_what_was_drawn_before_it_in_a_full_table_too():
    candidates = jnp.linspace(0, 1, 5)[:, None]

    def draw(trials, number):
        assert trials.capacity == 1 + 4
        return trials.first_untried(candidates, jnp.arange(5.0))

    table = Trials.empty(1, 1)
    numbers = jnp.arange(4, dtype=jnp.int32)
    assert one_by_one(draw, table, numbers)[:, 0].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert int(table.size) == 0
