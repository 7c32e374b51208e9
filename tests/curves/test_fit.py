"""From values to answers: units, bad input, updates, and what finished curves add."""

import math
import pickle

import jax
import jaxtyping
import numpy as np
import pytest
from scipy import special

import bojax.curves as curves
from bojax.curves import DOMHAN, LCPFN_PRIOR, ROBUST, fit

HORIZON = 30
STEPS = np.arange(1.0, HORIZON + 1)


def loss(seed=0, end=0.2, noise=0.01, t=12):
    rng = np.random.default_rng(seed)
    return (end + 0.7 / STEPS**0.8 + noise * rng.normal(size=HORIZON))[:t]


def all_answers(posterior):
    steps = [1, 7.5, HORIZON]
    return [
        posterior.mean(steps),
        posterior.std(steps),
        posterior.quantile([0.05, 0.5, 0.95], steps),
        posterior.sample(steps, num=50),
        posterior.prob_better(0.3, HORIZON),
        posterior.prob_ever_better(0.3),
    ]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("model", [LCPFN_PRIOR, ROBUST, DOMHAN], ids=type)
def test_nothing_is_ever_nan(model, direction):
    y = loss() if direction == "minimize" else 1 - loss()
    posterior = fit(y, HORIZON, model=model, direction=direction)
    for answer in all_answers(posterior):
        assert np.all(np.isfinite(answer))
    low, high = posterior.quantile([0.01, 0.99], HORIZON)[:, 0]
    assert low < (0.25 if direction == "minimize" else 0.75) < high
    assert posterior.sample([3, 30]).shape == (1000, 2)
    assert posterior.log_density([20, 30], [0.2, 0.2]).shape == (2,)


def test_units_do_not_matter():
    plain = fit(loss(), HORIZON)
    for unit in (1e-6, 1e6):
        scaled = fit(unit * loss(), HORIZON)
        np.testing.assert_allclose(
            scaled.mean(HORIZON), unit * plain.mean(HORIZON), rtol=1e-6
        )
        np.testing.assert_allclose(
            scaled.prob_better(0.2 * unit, HORIZON),
            plain.prob_better(0.2, HORIZON),
            atol=1e-6,
        )


@pytest.mark.parametrize("model", [LCPFN_PRIOR, ROBUST], ids=type)
def test_an_accuracy_is_an_error_turned_round(model):
    error = fit(loss(), HORIZON, model=model)
    accuracy = fit(1 - loss(), HORIZON, model=model, direction="maximize")
    np.testing.assert_allclose(
        accuracy.mean(HORIZON), 1 - error.mean(HORIZON), rtol=1e-6
    )
    np.testing.assert_allclose(
        accuracy.prob_better(0.8, HORIZON), error.prob_better(0.2, HORIZON), atol=1e-6
    )


def test_a_batch_of_curves_of_different_lengths():
    batch = np.full((3, 12), np.nan)
    for row, t in enumerate((12, 5, 9)):
        batch[row, :t] = loss(row, t=t)
    posterior = fit(batch, HORIZON)
    assert posterior.mean([20, 30]).shape == (3, 2)
    assert posterior.quantile(0.5, 30).shape == (3, 1)
    assert posterior.prob_better(0.2, HORIZON).shape == (3,)
    assert np.asarray(posterior.ess).shape == (3,)
    alone = fit(batch[0], HORIZON)
    np.testing.assert_allclose(posterior.mean(30)[0], alone.mean(30), rtol=1e-9)
    other = fit(batch[1, :5], HORIZON)
    spread = other.std(30)
    assert abs(posterior.mean(30)[1] - other.mean(30)) < 0.5 * spread


def test_missing_values_and_steps_of_ones_own():
    y = loss()
    y[[2, 5]] = np.nan
    holes = fit(y, HORIZON)
    kept = ~np.isnan(y)
    listed = fit(y[kept], HORIZON, steps=STEPS[:12][kept])
    assert abs(holes.mean(30) - listed.mean(30)) < 0.5 * listed.std(30)
    assert holes.converged
    assert listed.converged


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"horizon": 12}, "horizon"),
        ({"horizon": math.nan}, "horizon"),
        ({"model": "domhan"}, "model"),
        ({"method": "magic"}, "method"),
        ({"direction": "up"}, "direction"),
        ({"steps": [1, 2]}, "steps"),
        ({"steps": np.arange(12)[::-1] + 1.0}, "steps"),
        ({"steps": np.arange(12.0)}, "steps"),
        ({"y": np.zeros((2, 3, 4))}, "y"),
        ({"finished": [np.zeros((2, 2))]}, "finished"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(Exception, match=named):
        fit(**{"y": loss(), "horizon": HORIZON, **arguments})


def test_an_unknown_family():
    with pytest.raises(ValueError, match="families"):
        curves.Ensemble(("pow3", "pow17"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_size", -5),
        ("validation_size", 0),
        ("validation_size", 99.5),
        ("drops", 5),
        ("drops", (10.0, 0.0)),
        ("drops", (math.nan,)),
        ("drops", ("late",)),
    ],
)
def test_a_models_arguments_are_checked_as_it_is_made(name, value, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        curves.Robust(**{name: value})


@pytest.mark.parametrize(
    "y",
    [[], [0.5], [0.5, 0.4], [np.nan] * 5, [0.5, np.inf, 0.4, 0.3], [1.0] * 2],
    ids=str,
)
def test_too_little_is_an_honest_doubt(y):
    posterior = fit(y, HORIZON)
    assert posterior.converged is False
    for answer in all_answers(posterior):
        assert np.all(np.isfinite(answer))


def test_the_same_key_gives_the_same_answer():
    one, same = fit(loss(), HORIZON, key=3), fit(loss(), HORIZON, key=3)
    other = fit(loss(), HORIZON, key=4)
    assert one.mean(30) == same.mean(30)
    assert one.mean(30) != other.mean(30)


def test_an_update_is_close_to_fitting_anew():
    for model in (LCPFN_PRIOR, ROBUST):
        posterior = fit(loss(), HORIZON, model=model)
        updated = posterior.update(loss(t=13)[-1])
        anew = fit(loss(t=13), HORIZON, model=model)
        assert abs(updated.mean(30) - anew.mean(30)) < 0.5 * anew.std(30)
        assert len(updated.steps) == 13
    with pytest.raises(ValueError, match="new_y"):
        fit(loss(t=29), HORIZON).update(0.2).update(0.2)
    with pytest.raises(ValueError, match="new_y"):
        posterior.update([0.1, 0.2])


def test_quantiles_densities_and_probabilities_belong_together():
    posterior = fit(loss(), HORIZON)
    for q in (0.1, 0.5, 0.9):
        value = float(posterior.quantile(q, HORIZON)[0])
        assert abs(posterior.prob_better(value, HORIZON) - q) < 1e-6
    low, high = posterior.quantile([1e-4, 1 - 1e-4], HORIZON)[:, 0]
    values = np.linspace(low, high, 4001)
    density = [
        math.exp(posterior.log_density([HORIZON], [value])[0]) for value in values
    ]
    assert abs(np.trapezoid(density, values) - 1) < 2e-3
    assert posterior.prob_ever_better(0.2) >= posterior.prob_better(0.2, HORIZON)
    with pytest.raises(ValueError, match="steps"):
        posterior.mean(HORIZON + 1)
    with pytest.raises(ValueError, match="q:"):
        posterior.quantile(1.5, HORIZON)


def test_what_finished_curves_know():
    rng = np.random.default_rng(0)

    def stepped(level):
        curve = level + 0.3 / STEPS + 0.003 * rng.normal(size=HORIZON)
        return np.where(STEPS >= 15, curve - 0.2, curve)

    finished = [stepped(level) for level in rng.uniform(0.4, 0.6, 20)]
    truth = stepped(0.5)
    alone = fit(truth[:10], HORIZON)
    informed = fit(truth[:10], HORIZON, finished=finished)
    assert abs(informed.mean(30)[0] - truth[-1]) < 0.05
    assert abs(alone.mean(30)[0] - truth[-1]) > 0.1
    assert informed.converged
    nobody = fit(truth[:10], HORIZON, finished=[])
    assert nobody.mean(30) == alone.mean(30)
    batch = fit(np.stack([truth[:10], truth[:10]]), HORIZON, finished=finished)
    np.testing.assert_allclose(batch.mean(30)[0], informed.mean(30), atol=1e-6)
    assert informed.update(truth[10]).mean(30).shape == (1,)


def test_lengths_of_one_bucket_share_a_program():
    fit(loss(t=10), HORIZON, method="importance")
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if "compile" in event else None
    )
    fit(loss(seed=5, t=14), HORIZON, method="importance")
    assert compiled == []


def test_a_posterior_can_be_pickled():
    posterior = fit(loss(), HORIZON)
    again = pickle.loads(pickle.dumps(posterior))
    assert again.mean(30) == posterior.mean(30)
    assert again.update(0.3).mean(30).shape == (1,)


@pytest.mark.long
def test_known_drops_and_a_known_validation_set():
    model = curves.Robust(drops=(20.0,), validation_size=100)
    posterior = fit(loss(noise=0.0), HORIZON, model=model)
    plain = fit(loss(noise=0.0), HORIZON)
    assert posterior.std(13)[0] > plain.std(13)[0]
    assert posterior.std(30)[0] > 0.9 * math.sqrt(0.25 * 0.75 / 100)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"model": "domhan"}, "model"),
        ({"method": "magic"}, "method"),
        ({"direction": "up"}, "direction"),
        ({"y": ["low", "lower"]}, "y"),
        ({"y": np.zeros((0, 3))}, "y"),
        ({"steps": "all"}, "steps"),
        ({"finished": 5}, "finished"),
        ({"finished": [1.0, 2.0]}, "finished"),
        ({"finished": [["low"]]}, "finished"),
    ],
)
def test_bad_arguments_are_value_errors_without_a_type_checker(
    arguments, named, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        fit(**{"y": loss(), "horizon": HORIZON, **arguments})


@pytest.mark.parametrize("horizon", ["far", None])
def test_a_horizon_that_is_no_number_is_named(horizon, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match=r"^horizon: expected a number, got"):
        fit(loss(), horizon)


def test_curves_without_a_value_yet_begin_at_the_first_step():
    posterior = fit(np.zeros((2, 0)), HORIZON, method="importance")
    assert posterior.mean(HORIZON).shape == (2, 1)
    assert not posterior.converged.any()
    assert posterior.update([0.5, 0.6]).steps.tolist() == [1.0]


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_do_not_matter_to_spreads_either(unit):
    plain, scaled = fit(loss(), HORIZON), fit(unit * loss(), HORIZON)
    steps, levels = [3, 20, HORIZON], [0.05, 0.5, 0.95]
    np.testing.assert_allclose(scaled.std(steps), unit * plain.std(steps), rtol=1e-6)
    np.testing.assert_allclose(
        scaled.quantile(levels, steps), unit * plain.quantile(levels, steps), rtol=1e-6
    )
    np.testing.assert_allclose(
        scaled.prob_ever_better(0.2 * unit), plain.prob_ever_better(0.2), atol=1e-6
    )


@pytest.mark.parametrize(
    "y", [[0.5] * 8, [0.0] * 8, [-np.inf, 0.5, 0.4, 0.3], [1, 2, 3]], ids=str
)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_flat_infinite_and_whole_numbers_have_finite_answers(y, direction):
    posterior = fit(y, HORIZON, direction=direction)
    for answer in all_answers(posterior):
        assert np.all(np.isfinite(answer))
    if np.isinf(y).any():
        assert posterior.converged is False


def test_an_update_has_the_probabilities_of_fitting_anew():
    for model in (LCPFN_PRIOR, ROBUST):
        updated = fit(loss(), HORIZON, model=model).update(loss(t=13)[-1])
        anew = fit(loss(t=13), HORIZON, model=model)
        for best in (0.2, 0.25, 0.3):
            off = updated.prob_better(best, 30) - anew.prob_better(best, 30)
            # Of two estimates from a hundred effective draws or more each.
            assert abs(off) < 4 * math.sqrt(2 * 0.25 / 100)
        # Steps that have passed: the noise there is what it was, and so is the curve.
        for step in (3, 8, 12, 13):
            spread = anew.std(step)[0]
            assert abs(updated.mean(step) - anew.mean(step)) < 0.5 * spread
            assert 0.6 * spread < updated.std(step)[0] < 1.6 * spread


def test_an_update_leaves_the_curve_of_passed_steps_where_it_was():
    posterior = fit(loss(), HORIZON)
    updated = posterior.update(loss(t=13)[-1] + 0.05)
    assert updated.components.center is not posterior.components.center
    past = updated.grid < 13
    np.testing.assert_allclose(
        updated.components.center[:, :, past], updated.components.curve[:, :, past]
    )


def test_an_update_of_a_missing_value_takes_its_step():
    posterior = fit(loss(), HORIZON).update(np.nan).update(0.3)
    assert posterior.steps[-1] == 14
    assert np.isnan(posterior.observed[0, 12])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_update_of_an_infinite_value_is_an_honest_doubt(value):
    updated = fit(loss(), HORIZON).update(value)
    assert np.isfinite(updated.mean(30)).all()
    assert updated.converged is False


@pytest.mark.parametrize("model", [LCPFN_PRIOR, ROBUST, DOMHAN], ids=type)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_ever_is_at_least_as_likely_as_in_the_end(model, direction):
    y = loss() if direction == "minimize" else 1 - loss()
    posterior = fit(y, HORIZON, model=model, direction=direction)
    for best in (0.1, 0.2, 0.3, 0.7, 0.8, 0.9):
        ever, end = posterior.prob_ever_better(best), posterior.prob_better(best, 30)
        assert 0 <= end <= ever + 1e-12
        assert ever <= 1 + 1e-12


def test_ever_of_a_batch_begins_where_each_curve_ends():
    batch = np.full((2, 12), np.nan)
    batch[0, :5], batch[1] = loss(1, noise=0.05, t=5), loss(2)
    alone = fit(batch[0, :5], HORIZON)
    best = float(alone.quantile(0.3, 6)[0])
    both = fit(batch, HORIZON)
    np.testing.assert_allclose(both.mean(30)[0], alone.mean(30), rtol=1e-6)
    np.testing.assert_allclose(
        both.prob_ever_better(best)[0], alone.prob_ever_better(best), atol=1e-4
    )


@pytest.mark.parametrize(
    ("horizon", "best"), [(257, 0.24), (1000, 0.22), (20_000, 0.2)]
)
def test_ever_counts_all_whole_steps_also_beyond_the_grid(horizon, best):
    y = 0.3 + 0.02 * np.random.default_rng(1).normal(size=200)
    posterior = fit(y, horizon, model=LCPFN_PRIOR, method="importance")
    steps, never = np.arange(201, horizon + 1), []
    paths = posterior.components.center[0], posterior.components.scale[0]
    for path in zip(*paths, strict=True):
        center, scale = (np.interp(steps, posterior.grid, each) for each in path)
        never.append(np.exp(np.sum(special.log_ndtr((center - best) / scale))))
    expected = np.sum(posterior.components.weight[0] * (1 - np.array(never)))
    assert 0.02 < expected < 0.98
    assert math.isclose(posterior.prob_ever_better(best), expected, rel_tol=1e-3)


def test_a_horizon_between_steps_and_one_beyond_the_grid():
    between = fit(loss(), HORIZON + 0.5)
    assert between.horizon == HORIZON + 0.5
    assert np.isfinite(between.mean([1, 30.25, 30.5])).all()
    far = fit(loss(), 1000, model=LCPFN_PRIOR, method="importance")
    assert len(far.grid) == 256
    assert far.horizon == 1000
    assert np.isfinite(far.quantile([0.1, 0.9], [13, 500, 1000])).all()


def test_finished_curves_that_know_of_a_jump_to_come():
    rng = np.random.default_rng(1)

    def jumping(level):
        curve = level + 0.3 / STEPS + 0.003 * rng.normal(size=HORIZON)
        return np.where(STEPS >= 12, curve - 0.2, curve)

    finished = [jumping(level) for level in rng.uniform(0.4, 0.6, 20)]
    truth = jumping(0.5)
    alone = fit(truth[:8], HORIZON)
    informed = fit(truth[:8], HORIZON, finished=finished)
    drop = informed.mean([11, 12])
    assert abs(drop[1] - drop[0] + 0.2) < 0.05
    low, high = informed.quantile([0.05, 0.95], [12, 20, 30])
    assert np.all((low < truth[[11, 19, 29]]) & (truth[[11, 19, 29]] < high))
    drop = alone.mean([11, 12])
    assert abs(drop[1] - drop[0]) < 0.05
    turned = fit(
        -truth[:8], HORIZON, finished=-np.array(finished), direction="maximize"
    )
    np.testing.assert_allclose(turned.mean(30), -informed.mean(30), rtol=1e-6)
    np.testing.assert_allclose(turned.std(30), informed.std(30), rtol=1e-6)


@pytest.mark.parametrize("num", [1, 12])
def test_finished_curves_that_all_failed(num):
    posterior = fit(loss(), HORIZON, finished=np.full((num, HORIZON), np.nan))
    for answer in all_answers(posterior):
        assert np.all(np.isfinite(answer))


def test_a_finished_curve_that_failed_among_others():
    finished = [loss(seed, t=HORIZON) for seed in range(12)]
    finished[3][20:] = np.nan
    posterior = fit(loss(20), HORIZON, finished=finished)
    for answer in all_answers(posterior):
        assert np.all(np.isfinite(answer))
    # The mean is pulled by the chance to fail, the median is not.
    assert abs(posterior.quantile(0.5, 30)[0] - 0.25) < 0.05
