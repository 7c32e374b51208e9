"""First points drawn from what a user believes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.acquisitions import Prior
from bojax.strategies import BayesOpt
from bojax.strategies.believed import believed


def near_a_third(values):
    return -0.5 * ((values["a"] - 0.3) / 0.05) ** 2


def threes(values):
    return jnp.log(jnp.where(values["a"] == 3, 0.9, 0.025))


LINE = bojax.Space({"a": bojax.Float(0.0, 1.0)})
DICE = bojax.Space({"a": bojax.Int(1, 5)})


@pytest.mark.long
def test_every_second_of_the_first_points_is_a_draw_from_the_prior():
    strategy = BayesOpt(LINE, prior=near_a_third, num_initial=400)
    points, _ = strategy.ask(strategy.init(jax.random.key(0), capacity=512), 400)
    x = np.asarray(points.x[:, 0])
    drawn, uniform = x[::2], x[1::2]
    # Four standard errors of each.
    assert abs(drawn.mean() - 0.3) < 4 * 0.05 / np.sqrt(200)
    assert abs(drawn.std() - 0.05) < 4 * 0.05 / np.sqrt(2 * 200)
    assert abs(uniform.mean() - 0.5) < 4 / np.sqrt(12 * 200)
    assert abs(uniform.std() - 1 / np.sqrt(12)) < 4 / np.sqrt(180 * 200 * 4 / 12)


def test_categories_are_drawn_as_often_as_they_are_believed():
    trials = BayesOpt(DICE).init(jax.random.key(0), 16).trials
    prior = Prior(DICE, threes)
    draws = jax.vmap(
        lambda number: believed(DICE, prior, trials, jax.random.key(1), number[None])
    )(2 * jnp.arange(300))
    share = np.mean([DICE.decode(x)["a"] == 3 for x in np.asarray(draws[:, 0])])
    assert abs(share - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 300)


def test_a_finite_space_is_not_drawn_from_twice():
    strategy = BayesOpt(DICE, prior=threes, num_initial=5)
    points, _ = strategy.ask(strategy.init(jax.random.key(0), 16), 5)
    values = [DICE.decode(x)["a"] for x in points.x]
    assert sorted(values) == [1, 2, 3, 4, 5]
    assert values[0] == 3
