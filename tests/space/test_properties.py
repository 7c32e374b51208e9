"""What holds for every space: random ones, by hypothesis."""

import copy
import json
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import bojax.space as bs
from bojax.space.checks import OneOf, key
from tests.space.generators import spaces, spaces_and_points

# Few, because each example compiles its own space; the NumPy path is cheap.
compiled = settings(max_examples=5)
cheap = settings(max_examples=60)


@cheap
@given(spaces_and_points())
def test_encode_inverts_decode(given):
    space, x = given
    config = space.decode(x)
    projected = space.project(x)
    np.testing.assert_allclose(space.encode(config), projected, atol=1e-9)
    again = space.decode(space.encode(config))
    assert again.keys() == config.keys()
    for name, value in config.items():
        if isinstance(value, float):
            assert math.isclose(again[name], value, rel_tol=1e-9, abs_tol=1e-9)
        else:
            assert again[name] == value
            assert type(again[name]) is type(value)


@cheap
@given(spaces_and_points())
def test_decode_projects_and_stays_in_bounds(given):
    space, x = given
    config = space.decode(x)
    assert config.keys() == {
        name for (name, _), on in zip(space.columns, space.active(x), strict=True) if on
    }
    for (name, parameter), on in zip(space.columns, space.active(x), strict=True):
        if not on:
            continue
        value = config[name]
        if isinstance(parameter, bs.Float | bs.Int):
            assert parameter.low <= value <= parameter.high
            assert type(value) is (float if isinstance(parameter, bs.Float) else int)
        else:
            assert any(value is v or value == v for v in parameter.values)


def is_met(config, parent, allowed):
    if parent not in config:
        return False
    if isinstance(allowed, tuple):  # of numbers, as generated
        return allowed[0] <= config[parent] <= allowed[1]
    values = allowed.values if isinstance(allowed, OneOf) else [allowed]
    return key(config[parent]) in map(key, values)


@cheap
@given(spaces_and_points())
def test_a_parameter_exists_where_its_conditions_say(given):
    space, x = given
    config = space.decode(x)
    exists = [
        all(is_met(config, *condition) for condition in parameter.when)
        for _, parameter in space.columns
    ]
    np.testing.assert_array_equal(space.active(x), exists)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@cheap
@given(given=spaces_and_points())
def test_project_is_idempotent_and_keeps_the_dtype(dtype, given):
    space, x = given
    once = space.project(x.astype(dtype))
    assert once.dtype == dtype
    assert np.all((once >= 0) & (once <= 1))
    np.testing.assert_array_equal(space.project(once), once)
    np.testing.assert_array_equal(space.active(once), space.active(x.astype(dtype)))
    np.testing.assert_array_equal(once[~space.active(once)], 0.5)
    always = ~space.is_conditional
    assert np.all(space.active(once)[always])


@cheap
@given(spaces())
def test_every_column_exists_somewhere(space):
    for column in range(space.num_columns):
        assert space.active(space.where_active(column))[column]


@cheap
@given(spaces_and_points())
def test_levels_are_where_project_goes(given):
    space, x = given
    projected, active = space.project(x), space.active(x)
    for j, levels in enumerate(space.levels):
        if levels is None:
            assert space.num_levels[j] == 0
            expected = x[j]
        else:
            assert len(levels) == space.num_levels[j]
            expected = levels[np.argmin(np.abs(levels - projected[j]))]
        if active[j]:
            assert abs(projected[j] - expected) < 1e-12


@cheap
@given(spaces())
def test_values_survive(space):
    again = bs.Space.from_json(space.to_json())
    for other in (again, pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert other == space
        assert hash(other) == hash(space)
        assert repr(other) == repr(space)
        assert other.to_json() == space.to_json()
    assert json.loads(space.to_json())["schema"] == 1
    names = {"Space", "Float", "Int", "Ordinal", "Categorical"}
    assert eval(repr(space), {name: getattr(bs, name) for name in names}) == space


@cheap
@given(spaces(max_names=4, discrete=True))
def test_size_counts_what_enumerate_lists(space):
    limit = 20_000
    everything = space.enumerate(limit)
    if space.size > limit:
        assert everything is None
        return
    assert everything.shape == (space.size, space.num_columns)
    assert len(np.unique(everything, axis=0)) == space.size
    for x in everything[:: max(1, len(everything) // 20)]:
        np.testing.assert_allclose(space.project(x), x, rtol=0, atol=1e-14)
    # Nothing is missing: random points are among them.
    x = np.random.default_rng(0).random((20, space.num_columns))
    rows = {tuple(row) for row in everything.round(12)}
    assert all(tuple(space.project(row).round(12)) in rows for row in x)


@compiled
@given(spaces())
def test_compiled_equals_eager_equals_numpy(space):
    draws = np.random.default_rng(0).random((16, space.num_columns))
    for x64, dtype in ((False, np.float32), (True, np.float64)):
        with jax.enable_x64(x64):
            x = draws.astype(dtype)
            project = jax.jit(jax.vmap(lambda x: (space.project(x), space.active(x))))
            points, exist = map(np.asarray, project(x))
            assert points.dtype == dtype
            rounding = 32 * np.finfo(dtype).eps
            loop = np.stack([space.project(row) for row in x])
            np.testing.assert_allclose(points, loop, rtol=0, atol=rounding)
            np.testing.assert_array_equal(
                exist, np.stack([space.active(row) for row in x])
            )
            np.testing.assert_array_equal(project(points)[0], points)
            if x64:
                eager = space.project(jnp.asarray(x[0]))
                np.testing.assert_allclose(eager, points[0], rtol=0, atol=rounding)


@compiled
@given(spaces())
def test_values_are_what_decode_reads(space):
    draws = np.random.default_rng(1).random((16, space.num_columns))
    with jax.enable_x64(True):
        values = jax.jit(jax.vmap(space.values))(draws)
    assert set(values) == set(space.names)
    for i, x in enumerate(draws):
        config, active = space.decode(x), space.active(x)
        for (name, parameter), on in zip(space.columns, active, strict=True):
            if not on:
                continue
            numeric = not isinstance(parameter, bs.Categorical) and not (
                isinstance(parameter, bs.Ordinal) and not parameter.is_numeric
            )
            value = config[name]
            expected = value if numeric else parameter.index(value)
            np.testing.assert_allclose(values[name][i], expected, rtol=1e-9, atol=1e-9)


@compiled
@given(spaces())
def test_samples_are_points_of_the_space(space):
    x = np.asarray(space.sample(jax.random.key(0), 32))
    assert x.shape == (32, space.num_columns)
    for row in x:
        np.testing.assert_allclose(space.project(row), row, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(row[~space.active(row)], 0.5)
        space.encode(space.decode(row))
