import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.contour import QuadContourSet

import bojax
from bojax.acquisitions import EI, UCB
from bojax.plots import posterior_2d
from bojax.surrogates import GP

PLANE = bojax.Space(
    {"lr": bojax.Float(1e-4, 1.0, log=True), "depth": bojax.Float(2.0, 4.0)}
)


def condition(space: bojax.Space, value: float | None = None):
    """On a bowl, or on values that are all the same."""
    x = space.sample(jax.random.key(0), 8)
    y = jnp.sum((x - 0.4) ** 2, axis=1) if value is None else jnp.full(8, value)
    return eqx.filter_jit(GP.condition)(GP(space), bojax.Dataset.of(x, y))


@pytest.fixture(scope="module")
def posterior():
    return condition(PLANE)


def marginals(posterior, x):
    return jax.jit(jax.vmap(posterior.marginal))(jnp.asarray(x))


def labeled(ax, label: str):
    return next(line for line in ax.lines if line.get_label() == label)


def test_panels_axes_and_observations(posterior):
    axes = posterior_2d(posterior, PLANE, UCB(posterior))
    assert [ax.get_title() for ax in axes] == ["mean", "standard deviation", "UCB"]
    configs = [PLANE.decode(x) for x in posterior.data.x]
    for ax in axes:
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("lr", "depth")
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
        np.testing.assert_allclose(ax.get_xlim(), [1e-4, 1.0])
        np.testing.assert_allclose(ax.get_ylim(), [2.0, 4.0])
        dots = labeled(ax, "observations")
        np.testing.assert_allclose(dots.get_xdata(), [c["lr"] for c in configs])
        np.testing.assert_allclose(dots.get_ydata(), [c["depth"] for c in configs])


def test_contours_span_the_posterior(posterior):
    mean_panel, std_panel = posterior_2d(posterior, PLANE)
    positions = np.linspace(0, 1, 40)
    x = np.stack(np.meshgrid(positions, positions), -1).reshape(-1, 2)
    mean, variance = map(np.asarray, marginals(posterior, x))
    (contours,) = (c for c in mean_panel.collections if isinstance(c, QuadContourSet))
    spread = float(np.ptp(mean))
    assert contours.levels[0] == pytest.approx(float(mean.min()), abs=0.05 * spread)
    assert contours.levels[-1] == pytest.approx(float(mean.max()), abs=0.05 * spread)
    (contours,) = (c for c in std_panel.collections if isinstance(c, QuadContourSet))
    assert contours.levels[0] == 0
    assert contours.levels[-1] == pytest.approx(
        float(np.sqrt(variance.max())), rel=0.05
    )


def test_the_marked_point_is_the_acquisitions_maximum(posterior):
    acquisition = EI(posterior, 0.1)
    axes = posterior_2d(posterior, PLANE, acquisition)
    marks = [labeled(ax, "maximum") for ax in axes]
    places = {(*mark.get_xdata(), *mark.get_ydata()) for mark in marks}
    assert len(places) == 1
    ((lr, depth),) = places
    x = PLANE.encode({"lr": lr, "depth": depth})
    positions = np.linspace(0, 1, 40)
    grid = np.stack(np.meshgrid(positions, positions), -1).reshape(-1, 1, 2)
    values = jax.jit(jax.vmap(acquisition))(jnp.asarray(grid))
    value = jax.jit(jax.vmap(acquisition))(jnp.asarray(x)[None, None])[0]
    assert value >= 0.95 * values.max()


@pytest.mark.parametrize("value", [0.0, -0.3, 1e20])
def test_a_posterior_without_slopes_has_one_color(value):
    posterior = condition(PLANE, value)
    (ax, _, _) = posterior_2d(posterior, PLANE, UCB(posterior, 0.0))
    (contours,) = (c for c in ax.collections if isinstance(c, QuadContourSet))
    low, high = contours.levels[[0, -1]]
    assert low == pytest.approx(value, rel=1e-6)
    assert high > low


def test_few_values_are_cells():
    space = bojax.Space(
        {"lr": bojax.Float(1e-4, 1.0, log=True), "depth": bojax.Int(1, 3)}
    )
    posterior = condition(space)
    (ax, _) = posterior_2d(posterior, space)
    (cells,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    values = np.asarray(cells.get_array())
    assert values.shape[0] == 3
    x = np.array([space.encode({"lr": 1e-4, "depth": depth}) for depth in (1, 2, 3)])
    np.testing.assert_allclose(values[:, 0], marginals(posterior, x)[0], rtol=1e-4)
    assert list(ax.get_yticks()) == [1, 2, 3]


MOMENTUM = bojax.Float(0.0, 0.9, when={"optimizer": "sgd"})


@pytest.mark.parametrize(
    "space",
    [
        bojax.Space(
            {"optimizer": bojax.Categorical("sgd", "adam"), "momentum": MOMENTUM}
        ),
        bojax.Space(
            {"momentum": MOMENTUM, "optimizer": bojax.Categorical("adam", "sgd")}
        ),
    ],
)
def test_nothing_is_drawn_where_a_parameter_does_not_exist(space):
    posterior = condition(space)
    panels = posterior_2d(posterior, space, UCB(posterior))
    parent = space.names.index("optimizer")
    sgd = space.columns[parent].parameter.values.index("sgd")
    for ax in panels:
        (cells,) = (c for c in ax.collections if isinstance(c, QuadMesh))
        values = np.moveaxis(np.ma.filled(cells.get_array(), np.nan), 1 - parent, 0)
        assert np.isfinite(values[sgd]).all()
        assert np.isnan(values[1 - sgd]).all()
        assert labeled(ax, "maximum").get_data()[parent] == [sgd]
        limits = (ax.get_xlim(), ax.get_ylim())[1 - parent]
        np.testing.assert_allclose(limits, [0.0, 0.9])


def test_a_parameter_that_hardly_ever_exists_has_its_axis():
    parent, child = bojax.Float(0.0, 1.0), {"a": (0.3, 0.3001)}
    space = bojax.Space({"a": parent, "b": bojax.Float(2.0, 4.0, when=child)})
    (ax, _) = posterior_2d(condition(space), space)
    assert ax.get_ylim() == (2.0, 4.0)


def test_what_cannot_be_drawn_is_named(posterior):
    line = bojax.Space({"lr": bojax.Float(0.0, 1.0)})
    with pytest.raises(ValueError, match="space: expected two columns, got 1"):
        posterior_2d(posterior, line)
    with pytest.raises(ValueError, match="axes: expected 2, one for each panel, got 1"):
        posterior_2d(posterior, PLANE, axes=plt.gca())
