"""What finished trainings say of one that runs: exact where there is a closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bojax.curves import fit
from bojax.curves.finished import ENOUGH, foretold, own_share
from bojax.curves.mixture import Mixture, Warp
from bojax.curves.study import Study, _Ridge

HORIZON = 20


def drawn(num: int, seed: int = 0) -> np.ndarray:
    """Losses that fall as powers of the step, each at its own pace."""
    rng = np.random.default_rng(seed)
    end, start = rng.uniform(0.2, 0.6, (num, 1)), rng.uniform(0.5, 1.5, (num, 1))
    power = rng.uniform(0.5, 2, (num, 1))
    noise = 0.005 * rng.standard_normal((num, HORIZON))
    return end + start * np.arange(1.0, HORIZON + 1) ** -power + noise


@given(
    st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.floats(-1e9, 1e9, allow_nan=False)
)
def test_a_warp_is_undone_and_keeps_the_order(edge, span, y):
    warp = Warp(edge, span)
    z = float(warp(np.asarray(y)))
    assert z <= edge + span
    if y <= edge:
        assert z == y
    elif y < edge + 100 * span:
        back = float(warp.inverse(np.asarray(z)))
        assert math.isclose(back, y, abs_tol=1e-4 * (abs(edge) + span))
    assert warp(np.asarray(math.nan)) == warp(np.asarray(math.inf)) >= z


def test_a_failure_lies_at_the_far_end():
    curves = np.array([[1.0, 0.5], [1.0, math.nan], [1.2, math.inf]])
    warp = Warp.of(curves)
    z = warp(curves)
    assert np.isfinite(z).all()
    assert z[1, 1] == z[2, 1] == z.max() == warp.edge + warp.span
    assert warp.inverse(z)[2, 1] == math.inf
    assert Warp.of(np.full((2, 3), math.nan))(np.full(1, math.nan)) == 1.0


def test_probabilities_are_those_of_paths():
    mixture = Study(drawn(12), 6)(drawn(3, seed=1)[:, :6])
    num = 20_000
    paths = mixture.paths(num)
    for value in (0.3, 0.5, 0.8):
        expected = mixture.prob_below(value)
        share = (paths < value).mean(1)
        bound = 5 * np.sqrt(expected * (1 - expected) / num) + 2 / num
        assert (np.abs(share - expected) < bound).all()
    assert (paths <= mixture.worst[:, None, None] + 1e-12).all()


def test_nothing_is_worse_than_what_was_seen():
    mixture = Mixture(
        Warp(10.0, 10.0), np.ones(1), np.ones((1, 1)), *np.ones((2, 1, 1, 1))
    )
    assert mixture.prob_below(1.5) == 1
    assert mixture.prob_below(1.0) == 0.5


def test_what_a_regression_misses_left_out_is_what_it_misses_without():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 2)), rng.standard_normal((9, 3))
    x -= x.mean(0)
    missed = _Ridge(x, y).missed
    for out in range(9):
        others = np.arange(9) != out
        ones = np.concatenate([np.ones((8, 1)), x[others]], 1)
        gram = ones.T @ ones + np.diag([0.0, 1.0, 1.0])  # the mean is free
        slope = np.linalg.solve(gram, ones.T @ y[others])
        truth = y[out] - np.append(1.0, x[out]) @ slope
        np.testing.assert_allclose(missed[out], truth, atol=1e-12)


def test_without_features_the_last_value_stays():
    y = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_array_equal(_Ridge(np.empty((4, 0)), y).missed, y)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 12), st.floats(1e-6, 1e6), st.floats(-10, 10), st.integers(1, 19))
def test_units_and_order_do_not_matter(num, unit, shift, t):
    finished, running = drawn(num), drawn(4, seed=1)
    best = 0.35
    expected = Study(finished, t)(running[:, :t]).prob_below(best)

    def scaled(y):
        return unit * (y + shift)

    mixture = Study(scaled(finished[::-1]), t)(scaled(running[:, :t]))
    np.testing.assert_allclose(mixture.prob_below(scaled(best)), expected, atol=1e-5)


def test_rows_and_steps_are_forecast_as_if_alone():
    study, running = Study(drawn(12), 6), drawn(3, seed=1)[:, :6]
    steps = np.array([2, 13])
    together = study(running).prob_below(0.5)
    for row in range(3):
        alone = study(running[row : row + 1]).prob_below(0.5)
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-12)
    some = study(running, steps).prob_below(0.5)
    np.testing.assert_allclose(some, together[:, steps], rtol=1e-12)


@pytest.mark.parametrize("num", [1, 2, 3])
def test_few_finished_curves_are_few(num):
    """From one curve it can't be said that nothing else will ever happen."""
    mixture = Study(drawn(num), 6)(drawn(1, seed=1)[:, :6])
    for part in (mixture.weight, mixture.path, mixture.scale):
        assert np.isfinite(part).all()
    at_the_end = mixture.prob_below(0.1)[0, -1]
    sure = Study(drawn(40), 6)(drawn(1, seed=1)[:, :6]).prob_below(0.1)[0, -1]
    assert at_the_end > sure


def test_intervals_cover_what_they_say():
    """8,000 forecasts, but of 40 studies: the bound is of what differs among these."""
    levels, rates = np.array([0.5, 0.8, 0.95]), []
    for seed in range(40):
        curves = drawn(220, seed)
        mixture = Study(curves[:20], 6)(curves[20:, :6], np.array([HORIZON - 7]))
        paths = np.sort(mixture.paths(400)[:, :, 0], 1)
        place = (paths < curves[20:, -1:]).mean(1)
        rates.append([(np.abs(2 * place - 1) < level).mean() for level in levels])
    mean, error = np.mean(rates, 0), np.std(rates, 0) / math.sqrt(40)
    assert (np.abs(mean - levels) < 0.04 + 3 * error).all(), mean


def test_a_training_that_hardly_moves_is_forecast_by_how_it_moves():
    """Half of them are stuck: what the others do says little of these."""
    rng = np.random.default_rng(0)
    stuck = 0.693 + 1e-5 * rng.standard_normal((20, HORIZON))
    curves = np.concatenate([drawn(10), stuck[:10]])
    mixture = Study(curves, 10)(stuck[10:, :10], np.array([HORIZON - 11]))
    width = np.quantile(mixture.paths(1000)[:, :, 0], [0.25, 0.75], axis=1)
    assert (width[1] - width[0] < 1e-3).all()


def test_rows_of_different_lengths_are_told_as_if_alone():
    values = drawn(4, seed=1)
    values[1, 6:], values[2, 3:], values[3, :] = math.nan, math.nan, math.nan
    values = values[:, :10]
    steps, grid = np.arange(1.0, 11), np.arange(1.0, HORIZON + 1)
    rows, told = foretold(values, steps, drawn(12), grid, True)
    assert rows.tolist() == [0, 1, 2]
    for row in rows:
        only, alone = foretold(values[row : row + 1], steps, drawn(12), grid, True)
        assert only.tolist() == [0]
        np.testing.assert_allclose(alone.curve[0], told.curve[row])
        np.testing.assert_allclose(alone.weight[0], told.weight[row])


@pytest.mark.parametrize("horizon", [HORIZON, HORIZON - 1])
def test_steps_without_a_value_are_no_failures(horizon):
    curves, y = drawn(12), drawn(1, seed=1)[0, :6]
    seldom, held = curves.copy(), curves.copy()
    seldom[:, ::2] = math.nan  # reported at even steps alone, some beyond the horizon
    held[:, 2::2], held[:, 0] = curves[:, 1:-1:2], curves[:, 1]
    seldom[3, 14:] = held[3, 14:] = math.nan  # this one had failed
    expected = fit(y, horizon, finished=held[:, :horizon])
    told = fit(y, horizon, finished=seldom)
    np.testing.assert_array_equal(told.components.curve, expected.components.curve)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_an_infinite_value_is_a_failure_whatever_its_sign(direction):
    sign = 1 if direction == "minimize" else -1
    curves, y = sign * drawn(12), sign * drawn(1, seed=1)[0, :6]
    curves[3, 9:] = math.nan
    expected = fit(y, HORIZON, finished=curves, direction=direction).mean(HORIZON)
    for infinite in (math.inf, -math.inf):
        curves[3, 9:] = infinite
        told = fit(y, HORIZON, finished=curves, direction=direction).mean(HORIZON)
        np.testing.assert_array_equal(told, expected)


def test_finished_curves_take_over():
    """A little for each, until a curve's own posterior is not even computed."""
    assert [own_share(k) for k in (0, ENOUGH, ENOUGH + 1)] == [1, 0, 0]
    y = drawn(1, seed=1)[0, :6]
    own = fit(y, HORIZON, method="importance")
    some = fit(y, HORIZON, method="importance", finished=drawn(2))
    enough = fit(y, HORIZON, method="importance", finished=drawn(ENOUGH))
    assert some.pareto_k == own.pareto_k
    assert enough.pareto_k == -math.inf
    assert enough.converged
    assert enough.ess > 1
    study = Study(drawn(2), 6)(y[None]).prob_below(0.4)[0, -1]
    share = own_share(2)
    expected = (1 - share) * study + share * own.prob_better(0.4, HORIZON)
    assert math.isclose(some.prob_better(0.4, HORIZON), expected, rel_tol=1e-6)
