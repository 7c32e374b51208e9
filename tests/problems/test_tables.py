"""Tables are read as they lie in their folder; here from one made for the test."""

import gzip
import itertools
import json

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import bojax
from bojax import problems


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hpo").mkdir()
    (tmp_path / "nas").mkdir()
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    values[1, 0, 1] = np.nan
    np.savez(
        tmp_path / "hpo" / "nasbench201_cifar10.npz",
        values=values,
        names=np.array(["op", "width"]),
        choices=np.array(json.dumps({"op": ["none", "conv"], "width": [8, 16, 64]})),
        direction=np.array("maximize"),
    )
    rows = {
        "".join(name): {"test_acc": [90.0 + i, 91.0 + i, 92.0 + i], "params": 100 * i}
        for i, name in enumerate(itertools.product("012", repeat=2))
    }
    with gzip.open(tmp_path / "nas" / "nas-bench-macro_cifar10.json.gz", "wt") as file:
        json.dump(rows, file)
    return tmp_path


def test_a_table_of_choices_is_minimized_and_averaged(folder):
    table = problems.table("nasbench201", folder)
    assert table.space == bojax.Space(
        {"op": bojax.Categorical("none", "conv"), "width": bojax.Ordinal(8, 16, 64)}
    )
    x = table.space.encode({"op": "conv", "width": 64})
    assert float(table.mean(x)) == -(5 + 11) / 2
    assert table.optimum == -8.0
    keys = jax.random.split(jax.random.key(0), 50)
    seen = jax.vmap(lambda key: table(x, key))(keys)
    assert set(np.unique(seen)) == {-5.0, -11.0}
    lacking = table.space.encode({"op": "none", "width": 16})
    seen = jax.vmap(lambda key: table(lacking, key))(keys)
    assert set(np.unique(seen)) == {-1.0}
    assert float(table.mean(lacking)) == -1.0


def test_the_macro_table_has_parameters_too(folder):
    table = problems.table("nasbench_macro", folder)
    x = table.space.encode({"layer0": "expand3_kernel3", "layer1": "expand6_kernel5"})
    assert float(table.mean(x)) == -(91.0 + 5)
    assert float(table.parameters[tuple(np.asarray(table.level(x)))]) == 500


def test_a_search_on_a_table_compiles_as_a_whole(folder, monkeypatch):
    monkeypatch.setenv("BOJAX_DATA", str(folder))
    table = problems.table("nasbench_macro")
    strategy = bojax.strategies.RegularizedEvolution(table.space, population=3)
    keys = jax.random.split(jax.random.key(0), 2)
    history = bojax.simulate(strategy, table, 9, keys)
    means = jax.vmap(jax.vmap(table.mean))(history.x)
    assert bool(jnp.all(jnp.abs(history.y - means) <= 1.001))


def test_what_is_missing_is_an_error_that_names_it(folder, monkeypatch):
    with pytest.raises(ValueError, match="name: expected one of slice_localization, "):
        problems.table("nasbench999", folder)
    with pytest.raises(FileNotFoundError, match="folder: expected it to hold hpo/hpob"):
        problems.table("phoneme", folder)
    monkeypatch.delenv("BOJAX_DATA", raising=False)
    with pytest.raises(ValueError, match="folder: expected a path, or one in BOJAX"):
        problems.table("phoneme")
    with pytest.raises(ValueError, match=r"values: expected axes of \[2\] levels"):
        problems.Table(bojax.Space({"a": bojax.Int(1, 2)}), np.zeros((1, 3)))
    space = bojax.Space({"a": bojax.Int(1, 2)})
    for name, shape in (("parameters", 3), ("curves", (2, 2, 5)), ("test", (2, 2))):
        with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=name):
            problems.Table(space, np.zeros((1, 2)), **{name: np.zeros(shape)})
    with pytest.raises(ValueError, match="curve: expected a table with curves"):
        problems.Table(space, np.zeros((1, 2))).curve(np.zeros(1), jax.random.key(0))


def test_a_curve_is_that_of_the_value_with_the_same_key():
    space = bojax.Space({"a": bojax.Int(1, 2)})
    curves = np.arange(12.0).reshape(2, 2, 3)
    curves[1, 1] = np.nan
    table = problems.Table(space, curves[..., -1], curves=curves)
    for key in jax.random.split(jax.random.key(0), 5):
        for x in (np.array([0.2]), np.array([0.8])):
            assert float(table.curve(x, key)[-1]) == float(table(x, key))
    lacking = jax.vmap(table.curve, (None, 0))(
        np.array([0.8]), jax.random.split(jax.random.key(0), 20)
    )
    np.testing.assert_array_equal(lacking, np.tile([3.0, 4.0, 5.0], (20, 1)))
    assert table.optimum == 5.0


def test_what_was_never_measured_is_a_failed_trial_and_no_optimum():
    space = bojax.Space({"a": bojax.Int(1, 2)})
    table = problems.Table(space, np.array([[np.nan, 1.0], [np.nan, 3.0]]))
    assert np.isnan(float(table(np.array([0.2]), jax.random.key(0))))
    assert table.optimum == 2.0
