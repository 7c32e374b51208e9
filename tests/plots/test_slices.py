import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection

import bojax
from bojax.acquisitions import EI, UCB, LogEI
from bojax.plots import posterior_1d, slices
from bojax.plots._panels import panels_on
from bojax.surrogates import GP

LINE = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)})
MIXED = bojax.Space(
    {
        "depth": bojax.Int(1, 4),
        "batch": bojax.Ordinal(16, 64, 256),
        "optimizer": bojax.Categorical("adam", "sgd"),
        "lr": [
            bojax.Float(1e-5, 1e-2, log=True, when={"optimizer": "adam"}),
            bojax.Float(1e-3, 1.0, log=True, when={"optimizer": "sgd"}),
        ],
        "momentum": bojax.Float(0.0, 0.9, when={"optimizer": "sgd"}),
    }
)
ADAM = {"depth": 2, "batch": 64, "optimizer": "adam", "lr": 1e-3}


def above(values):
    """Infeasible for the lower half."""
    return 1e-2 - values["lr"]


@pytest.fixture(scope="module")
def posterior():
    x = jnp.array([[0.05], [0.4], [0.7], [0.95]])
    return condition(LINE, x, jnp.sin(7 * x[:, 0]))


@pytest.fixture(scope="module")
def mixed_posterior():
    x = MIXED.sample(jax.random.key(0), 12)
    return condition(MIXED, x, jnp.sum((x - 0.4) ** 2, axis=1))


def condition(space: bojax.Space, x, y):
    return eqx.filter_jit(GP.condition)(GP(space), bojax.Dataset.of(x, y, capacity=12))


@pytest.fixture(scope="module")
def adam(mixed_posterior):
    """Slices through a configuration of adam's, drawn once."""
    return slices(mixed_posterior, MIXED, LogEI(mixed_posterior, 0.1), ADAM)


def labeled(ax, label: str):
    return next(line for line in ax.lines if line.get_label() == label)


def marginals(posterior, x):
    return jax.jit(jax.vmap(posterior.marginal))(jnp.asarray(x))


def test_mean_and_band_are_the_posteriors(posterior):
    (ax,) = posterior_1d(posterior, LINE)
    line = labeled(ax, "mean, 95 %")
    x = np.array([LINE.encode({"lr": lr}) for lr in line.get_xdata()])
    assert x.min() == 0
    assert x.max() == 1
    mean, variance = marginals(posterior, x)
    np.testing.assert_allclose(line.get_ydata(), mean, atol=1e-5)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    radius = 1.96 * np.sqrt(variance)
    np.testing.assert_allclose(band.max(), (mean + radius).max(), rtol=1e-4)
    np.testing.assert_allclose(band.min(), (mean - radius).min(), rtol=1e-4)


def test_axes_are_in_natural_units(posterior):
    top, bottom = posterior_1d(posterior, LINE, EI(posterior, -0.5))
    assert top.get_xscale() == bottom.get_xscale() == "log"
    np.testing.assert_allclose(top.get_xlim(), [1e-4, 1.0])
    assert top.get_xlim() == bottom.get_xlim()
    assert (top.get_xlabel(), bottom.get_xlabel()) == ("", "lr")
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("value", "EI")
    dots = labeled(top, "observations")
    expected = [LINE.decode([x])["lr"] for x in (0.05, 0.4, 0.7, 0.95)]
    np.testing.assert_allclose(dots.get_xdata(), expected, rtol=1e-5)
    np.testing.assert_allclose(dots.get_ydata(), posterior.data.y[:4], rtol=1e-6)


@pytest.mark.parametrize("kind", [EI, LogEI, UCB])
def test_the_marked_point_is_the_acquisitions_maximum(posterior, kind):
    acquisition = kind(posterior, 1.5 if kind is UCB else -0.5)
    top, bottom = posterior_1d(posterior, LINE, acquisition)
    line, mark = bottom.lines[0], labeled(bottom, "maximum")
    x = np.array([LINE.encode({"lr": lr}) for lr in line.get_xdata()])
    values = jax.jit(jax.vmap(acquisition))(jnp.asarray(x)[:, None])
    np.testing.assert_allclose(line.get_ydata(), values, rtol=1e-2, atol=1e-4)
    best = np.argmax(line.get_ydata())
    assert mark.get_xdata() == [line.get_xdata()[best]]
    assert mark.get_ydata() == [line.get_ydata()[best]]
    for ax in (top, bottom):
        assert any(
            list(line.get_xdata()) == [*mark.get_xdata()] * 2 for line in ax.lines
        )
    low, high = bottom.get_ylim()
    assert low < mark.get_ydata()[0] < high
    assert kind is not LogEI or high - low < 13


def test_nothing_is_gained_where_it_is_infeasible(posterior):
    space = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)}, constraints=[above])
    _, bottom = posterior_1d(posterior, space, UCB(posterior, 4.0))
    line = bottom.lines[0]
    lr = np.array(line.get_xdata())
    np.testing.assert_array_equal(np.isnan(line.get_ydata()), lr < 1e-2 * (1 - 1e-6))
    assert labeled(bottom, "maximum").get_xdata()[0] >= 1e-2 * (1 - 1e-6)


def test_what_exists_is_drawn_and_labeled(adam):
    assert adam.shape == (4, 2)
    names = [ax.get_xlabel() for ax in adam[:, 1]]
    assert names == ["depth", "batch", "optimizer", "lr"]
    assert [ax.get_xscale() for ax in adam[:, 0]] == ["linear"] * 3 + ["log"]
    np.testing.assert_allclose(adam[3, 0].get_xlim(), [1e-5, 1e-2])
    assert list(adam[0, 1].get_xticks()) == [1, 2, 3, 4]
    ticks = [[t.get_text() for t in ax.get_xticklabels()] for ax in adam[1:3, 1]]
    assert ticks == [["16", "64", "256"], ["adam", "sgd"]]
    held = [labeled(ax, "held").get_xdata()[0] for ax in adam[:, 0]]
    np.testing.assert_allclose(held, [2, 1, 0, 1e-3])


def test_others_are_held_and_a_new_branch_is_in_its_middle(mixed_posterior, adam):
    rate = MIXED.decode([0.5, 0.5, 0.75, 0.5, 0.5, 0.5])["lr"]
    sgd = {**ADAM, "optimizer": "sgd", "lr": rate, "momentum": 0.45}
    depths = [{**ADAM, "depth": depth} for depth in (1, 2, 3, 4)]
    x = np.array([MIXED.encode(config) for config in (*depths, ADAM, sgd)])
    mean, variance = marginals(mixed_posterior, x)
    for ax, rows in ((adam[0, 0], slice(0, 4)), (adam[2, 0], slice(4, 6))):
        drawn = labeled(ax, "mean, 95 %").get_ydata()
        np.testing.assert_allclose(drawn, mean[rows], rtol=1e-4, atol=1e-5)
        bars = next(c for c in ax.collections if isinstance(c, LineCollection))
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        width = 2 * 1.96 * np.sqrt(variance[rows])
        np.testing.assert_allclose(ends[:, 1] - ends[:, 0], width, rtol=1e-3)


def test_the_incumbent_is_held_unless_told_otherwise(mixed_posterior):
    config = MIXED.decode(mixed_posterior.incumbent)
    axes = slices(mixed_posterior, MIXED)
    assert [ax.get_xlabel() for ax in axes[:, 0]] == list(config)
    assert labeled(axes[0, 0], "held").get_xdata() == [config["depth"]]


def test_observations_without_the_parameter_are_not_on_its_axis(mixed_posterior, adam):
    configs = [MIXED.decode(x) for x in mixed_posterior.data.x]
    rates = [c["lr"] for c in configs if c["optimizer"] == "adam"]
    drawn = np.array(labeled(adam[3, 0], "observed").get_xdata())
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], rates, rtol=1e-5)


def test_only_what_is_named_is_drawn(posterior):
    axes = slices(posterior, LINE, names=["lr"])
    assert [ax.get_xlabel() for ax in axes[:, 0]] == ["lr"]


def test_many_parameters_take_several_rows(posterior):
    panels = panels_on(None, 6, UCB(posterior))
    rows = [ax.get_subplotspec().rowspan.start for ax in panels.flat]
    assert rows == [0, 1] * 4 + [2, 3] * 2
    assert set(panels[0, 0].figure.axes) == set(panels.flat)


def test_the_callers_axes_are_used(posterior):
    _, given = plt.subplots(2, 1)
    drawn = posterior_1d(posterior, LINE, UCB(posterior), axes=given)
    assert list(drawn) == list(given)
    assert slices(posterior, LINE, UCB(posterior), axes=given).shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, m: posterior_1d(m, MIXED), "space: expected one column, got 6"),
        (
            lambda p, m: posterior_1d(p, LINE, UCB(p), axes=plt.gca()),
            "axes: expected 2",
        ),
        (lambda p, m: slices(m, MIXED, config=ADAM, names=["momentum"]), "momentum"),
        (lambda p, m: slices(m, MIXED, names=["width"]), "width"),
        (lambda p, m: slices(m, MIXED, config={"depth": 2}), "batch"),
    ],
)
def test_what_cannot_be_drawn_is_named(posterior, mixed_posterior, call, words):
    with pytest.raises(ValueError, match=words):
        call(posterior, mixed_posterior)
