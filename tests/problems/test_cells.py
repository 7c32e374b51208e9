"""The table in the package is that of the space it claims to be of."""

import importlib.resources
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import problems
from bojax.nas import Cell, PathKernel

TABLE = problems.cells()
CELL = Cell(nodes=4, operations=("none", "skip", "conv1", "conv3"), channels=8)


def test_it_is_of_every_cell_and_small():
    assert TABLE.space == CELL.space
    assert int(TABLE.space.size) == 4**6
    assert TABLE.values.shape == (3, *(4,) * 6)
    assert TABLE.curves.shape == (*TABLE.values.shape, 16)
    assert TABLE.test.shape == TABLE.values.shape
    path = importlib.resources.files("bojax.problems") / "_cells.npz"
    assert len(path.read_bytes()) < 300_000


@pytest.mark.long
def test_cells_that_compute_the_same_have_the_same_entries():
    seen = {}
    for level, kinds in zip(
        itertools.product(range(4), repeat=6),
        itertools.product(CELL.operations, repeat=6),
        strict=True,
    ):
        at = (slice(None), *level)
        config = dict(zip(CELL.space.names, kinds, strict=True))
        try:
            form = CELL.canonical(config)
        except ValueError:
            assert np.isnan(TABLE.values[at]).all()
            assert np.isnan(TABLE.curves[at]).all()
            assert np.isnan(TABLE.test[at]).all()
            assert np.isnan(TABLE.parameters[level])
            continue
        assert TABLE.parameters[level] == CELL.cost(config, 8, 8).parameters
        entry = (TABLE.curves[at].tobytes(), TABLE.test[at].tobytes())
        assert seen.setdefault(form, entry) == entry
    assert len(seen) == 1010
    assert len(set(seen.values())) == 1010
    assert np.isnan(TABLE.parameters).sum() == 169


def test_errors_are_percents_and_curves_go_down_to_the_values():
    for errors in (TABLE.values, TABLE.curves, TABLE.test):
        known = errors[~np.isnan(errors)]
        assert known.min() > 0
        assert known.max() <= 100
    np.testing.assert_array_equal(TABLE.curves[..., -1], TABLE.values)
    assert np.nanmean(TABLE.curves[..., 0]) > 3 * np.nanmean(TABLE.values)


def level(**operations):
    config = dict.fromkeys(CELL.space.names, "none") | operations
    return tuple(CELL.operations.index(config[name]) for name in CELL.space.names)


def test_more_of_what_sees_neighbors_is_better():
    mean = TABLE.values.mean(axis=0)
    chain = [
        level(edge01=a, edge12=b, edge23=c)
        for a, b, c in (
            ("skip", "skip", "skip"),
            ("skip", "skip", "conv3"),
            ("skip", "conv3", "conv3"),
            ("conv3", "conv3", "conv3"),
        )
    ]
    errors = [mean[at] for at in chain]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[-1]
    # What stays at chance has nothing but the stem and convolutions of single pixels.
    at = np.unravel_index(np.nanargmax(mean), mean.shape)
    assert CELL.operations.index("conv3") not in at
    best = np.unravel_index(np.nanargmin(mean), mean.shape)
    assert CELL.operations.index("conv3") in best
    assert TABLE.optimum == pytest.approx(mean[best])


def test_trainings_differ_less_than_cells_do():
    known = TABLE.test[:, ~np.isnan(TABLE.parameters)]
    within = known.var(axis=0, ddof=1).mean()
    assert 0 < within < known.mean(axis=0).var() / 4


def test_what_has_no_path_is_a_failed_trial_of_a_search():
    strategy = bojax.strategies.Random(TABLE.space)
    keys = jax.random.split(jax.random.key(0), 4)
    history = bojax.simulate(strategy, TABLE, 40, keys)
    failed = np.isnan(np.asarray(history.y))
    levels = np.asarray(jax.vmap(jax.vmap(TABLE.level))(history.x))
    pathless = np.isnan(TABLE.parameters)[tuple(np.moveaxis(levels, -1, 0))]
    np.testing.assert_array_equal(failed, pathless)
    assert failed.any()
    assert bool(jnp.all(jnp.isfinite(history.best_y[:, -1])))


def test_a_path_kernel_knows_its_columns():
    kernel = PathKernel.of(CELL)
    x, z = (
        jnp.asarray(TABLE.space.encode(dict.fromkeys(TABLE.space.names, "none") | ops))
        for ops in (
            {"edge01": "conv3", "edge13": "skip"},
            {"edge02": "skip", "edge23": "conv3"},
        )
    )
    assert float(kernel(x, z)) == pytest.approx(1.0)
    assert float(TABLE.mean(x)) == float(TABLE.mean(z))
