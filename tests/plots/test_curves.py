import dataclasses
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection

import bojax.curves
from bojax.curves.posterior import Components
from bojax.data import Decision
from bojax.plots import curve, curves, families

HORIZON = 20
STEPS = np.arange(1, HORIZON + 1)
TRUTH = 0.2 + 0.7 / STEPS + 0.005 * np.cos(9 * STEPS)
MODEL = bojax.curves.LCPFN_PRIOR


def fit(y, **options) -> bojax.curves.CurvePosterior:
    options = {"model": MODEL, "method": "importance", **options}
    return bojax.curves.fit(y, HORIZON, **options)


@pytest.fixture(scope="module", params=["minimize", "maximize"])
def posterior(request: pytest.FixtureRequest) -> bojax.curves.CurvePosterior:
    """Of six values of a loss, or of an accuracy."""
    sign = {"minimize": TRUTH, "maximize": 1 - TRUTH}[request.param]
    return fit(sign[:6], direction=request.param)


def batch(num: int) -> bojax.curves.CurvePosterior:
    """Of one loss `num` times, each 0.01 higher, the last of them two steps behind.

    It is put together: a batch would be compiled anew.
    """
    one, shift = fit(TRUTH[:6]), 0.01 * np.arange(num)
    observed = one.observed + shift[:, None]
    observed[-1, 4:] = np.nan
    fields = {
        field.name: np.repeat(getattr(one.components, field.name), num, axis=0)
        for field in dataclasses.fields(one.components)
    }
    for name in ("curve", "center"):
        fields[name] = fields[name] + shift[:, None, None]
    return dataclasses.replace(
        one,
        observed=observed,
        components=Components(**fields),
        ess=np.full(num, 100.0),
        pareto_k=np.full(num, 0.1),
        converged=np.full(num, True),
        single=False,
    )


def lines(ax) -> dict[str, tuple[list, list]]:
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in ax.lines
    }


def bands(ax) -> list[np.ndarray]:
    """Edges of each band, `[m, 2]`."""
    found = []
    for each in ax.collections:
        assert isinstance(each, PolyCollection)
        x, y = each.get_paths()[0].vertices.T
        steps = np.unique(x)
        found.append(np.array([[y[x == s].min(), y[x == s].max()] for s in steps]))
    return found


def test_what_was_observed_and_what_is_to_come(posterior):
    drawn = lines(curve(posterior))
    assert drawn["observed"] == (list(STEPS[:6]), list(posterior.observed[0]))
    assert drawn["mean"][0] == list(STEPS[6:])
    np.testing.assert_allclose(drawn["mean"][1], posterior.mean(STEPS[6:]))


def test_bands_are_those_of_what_would_be_observed(posterior):
    drawn = bands(curve(posterior))
    edges = posterior.quantile([0.025, 0.975, 0.1, 0.9, 0.25, 0.75], STEPS[6:])
    for i, band in enumerate(drawn):
        np.testing.assert_allclose(band.T, edges[2 * i : 2 * i + 2])
    assert len(drawn) == 3


def test_the_value_to_beat_is_a_line_with_the_chance_to_beat_it(posterior):
    best = 0.25
    ax = curve(posterior, best=best)
    chance = posterior.prob_better(best, HORIZON)
    (line,) = (each for each in ax.lines if "best" in str(each.get_label()))
    assert line.get_label() == f"best so far, P(better) = {chance:.2g}"
    assert line.get_linestyle() == "--"
    assert list(line.get_ydata()) == [best, best]
    legend = ax.get_legend()
    assert legend is not None
    assert line.get_label() in [text.get_text() for text in legend.get_texts()]


def test_the_truth_is_drawn_where_it_is_known(posterior):
    known = np.where(STEPS < 12, TRUTH, np.nan)
    x, y = lines(curve(posterior, truth=known))["truth"]
    assert x == list(STEPS)
    np.testing.assert_array_equal(y, known)


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (Decision(stop=True, reason="no chance"), "stop: no chance"),
        (Decision(pause=True), "pause"),
        (Decision(probability=0.25), "go on: P(better) = 0.25"),
    ],
)
def test_a_decision_is_put_in_words(posterior, decision, words):
    ax = curve(posterior, decision=decision)
    assert [text.get_text() for text in ax.texts] == [words]
    assert any(list(line.get_xdata()) == [6, 6] for line in ax.lines)


def test_before_the_first_value():
    drawn = lines(curve(fit([np.nan]), decision=Decision()))
    assert drawn["observed"] == ([], [])
    assert drawn["mean"][0] == list(STEPS)


def test_steps_without_a_value():
    y = np.where(STEPS == 3, np.nan, TRUTH)[:6]
    assert lines(curve(fit(y)))["observed"][0] == [1, 2, 4, 5, 6]


def test_infinite_values_are_left_out():
    y = np.where(STEPS == 3, np.inf, TRUTH)[:6]
    assert lines(curve(fit(y)))["observed"][0] == [1, 2, 4, 5, 6]


def test_at_the_horizon():
    ended = fit(TRUTH[-7:-1], steps=STEPS[-7:-1]).update(TRUTH[-1])
    drawn = lines(curve(ended, best=0.1))
    assert drawn["observed"][0] == list(STEPS[-7:])
    assert "mean" not in drawn


def test_the_callers_axes_are_used(posterior):
    _, ax = plt.subplots()
    assert curve(posterior, ax=ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "value")
    assert list(curves(posterior, axes=ax)) == [ax]


def test_one_curve_is_asked_for():
    with pytest.raises(ValueError, match="posterior: expected that of one curve"):
        curve(batch(2))


def test_a_few_curves_share_a_panel():
    both = batch(2)
    (ax,) = curves(both, truth=np.stack([TRUTH, TRUTH + 0.1]), best=0.2)
    drawn = lines(ax)
    for i in range(2):
        last = 6 if i == 0 else 4
        mean = both.mean(STEPS[last:])[i]
        np.testing.assert_allclose(drawn[f"curve {i}"][1], mean)
        edges = both.quantile([0.1, 0.9], STEPS[last:])[i]
        np.testing.assert_allclose(bands(ax)[i].T, edges)
    assert drawn["best so far"][1] == [0.2, 0.2]


def test_many_curves_have_a_panel_each():
    seven = batch(7)
    panels = curves(seven, best=0.2)
    assert len(panels) == 7
    assert len(panels[0].figure.axes) == 7
    for i, panel in enumerate(panels):
        drawn = lines(panel)
        last = 4 if i == 6 else 6
        assert drawn["observed"][0] == list(STEPS[:last])
        assert drawn["mean"][0] == list(STEPS[last:])
    mean = seven.mean(STEPS[4:])[6]
    np.testing.assert_allclose(lines(panels[6])["mean"][1], mean)


def test_as_many_axes_and_truths_as_curves():
    seven = batch(7)
    _, axes = plt.subplots(2, 3)
    with pytest.raises(ValueError, match="axes: expected 7"):
        curves(seven, axes=axes)
    with pytest.raises(ValueError, match="truth: expected 7 curves"):
        curves(seven, truth=TRUTH)


def test_each_family_is_fitted_alone():
    accuracy = 1 - TRUTH[:6]
    options = {"direction": "maximize", "method": "importance"}
    (panel,) = families(accuracy, HORIZON, ["pow3"], **options)
    alone = fit(accuracy, model=bojax.curves.Ensemble(families=("pow3",)), **options)
    drawn = lines(panel)
    assert panel.get_title() == "pow3"
    assert drawn["mean"][0] == list(STEPS)
    np.testing.assert_allclose(drawn["mean"][1], alone.mean(STEPS))
    assert drawn["observed"][1] == list(accuracy)


def test_all_eleven_by_default(monkeypatch: pytest.MonkeyPatch):
    asked, posterior = [], fit(TRUTH[:6])

    def instead(y, horizon, model, **options):
        asked.extend(model.families)
        return posterior

    # The function of this name hides the module from the package.
    monkeypatch.setattr(sys.modules["bojax.plots.curves"], "fit", instead)
    panels = families(TRUTH[:6], HORIZON, truth=TRUTH)
    assert [panel.get_title() for panel in panels] == asked
    assert len(set(asked)) == 11


def test_unknown_families_and_several_curves():
    with pytest.raises(ValueError, match="families: expected some of"):
        families(TRUTH[:6], HORIZON, names=["pow5"])
    with pytest.raises(ValueError, match="y: expected one curve"):
        families(TRUTH[None, :6], HORIZON)
