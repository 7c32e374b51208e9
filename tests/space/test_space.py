"""A space as a whole: points, values, sampling, constraints, and being a value."""

import copy
import functools
import math
import pickle
from collections import Counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax.space as bs
from bojax.space import Categorical, Float, Int, Ordinal, Space


def design() -> dict:
    """A space with everything in it."""
    return {
        "layers": Int(1, 6),
        "batch": Ordinal(16, 32, 64, 128),
        "optimizer": Categorical("adam", "sgd", "none"),
        "lr": [
            Float(1e-5, 1e-2, log=True, when={"optimizer": "adam"}),
            Float(1e-3, 1e0, log=True, when={"optimizer": "sgd"}),
        ],
        "momentum": Float(0.0, 0.99, when={"optimizer": "sgd"}),
        "units": Int(8, 1024, log=True),
        "decay": Float(1e-6, 1e-1, log=True),
        "dropout": Float(0, 0.5, step=0.1),
        "nesterov": Categorical(True, False, when={"momentum": (0.5, 0.99)}),
    }


SPACE = Space(design())


def small_network(values):
    return values["layers"] * values["units"] - 1000.0


def exact(values):
    return abs(values["a"] - 7.0) - 0.5


def impossible(values):
    return values["a"] ** 2 + 1.0


def low_b(values):
    return values["b"] - 0.375


def thin(values):
    return abs(values["a"] - values["b"]) - 0.005


def test_columns_describe_the_cube():
    assert SPACE.num_columns == len(SPACE.columns) == 10
    assert SPACE.names == tuple(design())
    assert SPACE.is_categorical.tolist() == [
        column.name in ("optimizer", "nesterov") for column in SPACE.columns
    ]
    assert SPACE.is_conditional.tolist() == [
        column.name in ("lr", "momentum", "nesterov") for column in SPACE.columns
    ]
    assert SPACE.num_levels.tolist() == [6, 4, 3, 0, 0, 0, 1017, 0, 6, 2]
    for levels, k in zip(SPACE.levels, SPACE.num_levels, strict=True):
        assert levels is None if k == 0 else len(levels) == k
    np.testing.assert_allclose(SPACE.levels[2], [1 / 6, 3 / 6, 5 / 6])
    assert SPACE.size == math.inf
    assert SPACE.enumerate(10**9) is None
    with pytest.raises(ValueError, match="read-only"):
        SPACE.is_categorical[0] = True


def test_values_select_the_specification_that_exists():
    for optimizer, lr, index in (("adam", 1e-4, 0), ("sgd", 0.1, 1)):
        config = {
            "layers": 3,
            "batch": 64,
            "optimizer": optimizer,
            "lr": lr,
            "units": 100,
            "decay": 1e-3,
            "dropout": 0.3,
        }
        if optimizer == "sgd":
            config |= {"momentum": 0.9, "nesterov": False}
        with jax.enable_x64(True):
            values = SPACE.values(SPACE.encode(config))
        assert values["optimizer"] == index
        assert values["optimizer"].dtype == jnp.int32
        for name in ("layers", "batch", "lr", "units", "decay", "dropout"):
            np.testing.assert_allclose(values[name], config[name], rtol=1e-12)
        assert values["lr"].dtype == jnp.float64
        if optimizer == "sgd":
            assert values["nesterov"] == 1


def test_values_of_what_does_not_exist_are_in_the_middle(x64):
    x = SPACE.encode(
        {
            "layers": 1,
            "batch": 16,
            "optimizer": "none",
            "units": 8,
            "decay": 1e-6,
            "dropout": 0.0,
        }
    )
    values = SPACE.values(jnp.asarray(x))
    rtol = 1e-12 if x64 else 1e-5
    np.testing.assert_allclose(values["momentum"], 0.495, rtol=rtol)
    np.testing.assert_allclose(values["lr"], 10**-3.5, rtol=rtol)


def test_gradients_pass_continuous_columns_up_to_the_bounds(x64):
    space = Space(
        {
            "a": Float(-2.0, 6.0),
            "b": Float(1e-3, 1e1, log=True),
            "c": Int(1, 5),
            "d": Int(1, 50, log=True),
            "e": Float(0, 1, when={"c": (1, 2)}),
        }
    )
    span = math.log(1e4)

    def total(x):
        values = space.values(x)
        return values["a"] + values["b"] + values["c"] + values["d"] + values["e"]

    gradient, jacobian = jax.jit(jax.grad(total)), jax.jit(jax.jacobian(space.project))
    for a, b in ((0.3, 0.7), (0.0, 1.0), (1.0, 0.0)):
        x = jnp.array([a, b, 0.1, 0.4, 0.5])
        expected = [8.0, span * 1e-3 * math.exp(span * b), 0.0, 0.0, 1.0]
        rtol = 1e-9 if x64 else 1e-4
        np.testing.assert_allclose(gradient(x), expected, rtol=rtol)
        # The same through project; nothing from what does not exist.
        x = x.at[2].set(0.9)
        np.testing.assert_array_equal(jacobian(x), np.diag([1.0, 1.0, 0.0, 0.0, 0.0]))


def test_equal_levels_are_equal_to_the_last_bit(x64):
    # Kernels compare categories by equality, of points from many programs.
    for k in [*range(2, 40), 49, 100]:
        space = Space({"c": Categorical(*range(k))})
        dtype = np.float64 if x64 else np.float32
        levels = space.levels[0].astype(dtype)[:, None]
        rng = np.random.default_rng(k)
        x = (np.arange(k)[:, None] + rng.uniform(0.01, 0.99, (k, 1))) / k
        x = x.astype(dtype)
        assert np.array_equal(np.stack([space.project(row) for row in x]), levels)
        if k in (3, 6, 7, 10, 49, 100):
            project = jax.jit(jax.vmap(space.project))
            assert np.array_equal(project(x), levels)
            assert np.array_equal(project(levels), levels)
            assert np.array_equal(space.project(jnp.asarray(x[-1])), levels[-1])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_dtypes_are_followed(dtype):
    x = jnp.full(SPACE.num_columns, 0.7, dtype)
    projected = SPACE.project(x)
    assert projected.dtype == dtype
    np.testing.assert_array_equal(SPACE.project(projected), projected)
    assert SPACE.values(x)["lr"].dtype == dtype
    SPACE.encode(SPACE.decode(projected))


def count(jaxpr):
    """Equations, those of inner programs included."""
    inner = [eqn.params.get("jaxpr") for eqn in jaxpr.eqns]
    return sum(1 if program is None else count(program.jaxpr) for program in inner)


def test_compiled_programs_are_small():
    x = jnp.zeros(SPACE.num_columns)
    assert count(jax.make_jaxpr(SPACE.project)(x).jaxpr) < 50
    assert count(jax.make_jaxpr(SPACE.active)(x).jaxpr) < 50
    plain = Space({f"x{i}": Float(0, 1) for i in range(10)})
    assert count(jax.make_jaxpr(plain.project)(jnp.zeros(10)).jaxpr) < 10
    # Twice the columns make no more operations.
    twice = Space(
        {n + s: p for n, p in design().items() for s in "12" if "optim" not in n}
        | {"optimizer": design()["optimizer"], "momentum": Float(0, 1)}
    )
    assert count(jax.make_jaxpr(twice.project)(jnp.zeros(twice.num_columns)).jaxpr) < 50


# Sampling.


def test_integer_levels_are_equally_frequent():
    space = Space(
        {"a": Int(-2, 4), "b": Ordinal("u", "v", "w"), "c": Int(0, 9, step=3)}
    )
    n = 7000
    x = np.asarray(space.sample(jax.random.key(1), n))
    for j, levels in enumerate(space.levels):
        counts = np.array([np.sum(np.abs(x[:, j] - u) < 1e-6) for u in levels])
        assert counts.sum() == n
        # A fixed key; a fair draw fails one time in a thousand.
        assert stats.chisquare(counts).pvalue > 1e-3


def test_samples_are_uniform_and_depend_on_the_key():
    space = Space({"a": Float(0, 1), "b": Float(1e-4, 1, log=True)})
    x = np.asarray(space.sample(jax.random.key(0), 2000))
    for column in x.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    again = np.asarray(space.sample(jax.random.key(0), 2000))
    np.testing.assert_array_equal(x, again)
    assert not np.array_equal(x, space.sample(jax.random.key(1), 2000))
    assert space.sample(jax.random.key(0), 0).shape == (0, 2)
    with pytest.raises(ValueError, match="n: expected a count of points, got -1"):
        space.sample(jax.random.key(0), -1)


def test_samples_meet_conditions():
    x = np.asarray(SPACE.sample(jax.random.key(2), 200))
    seen = Counter()
    for row in x:
        config = SPACE.decode(row)
        seen[config["optimizer"]] += 1
        assert ("lr" in config) == (config["optimizer"] != "none")
        assert ("momentum" in config) == (config["optimizer"] == "sgd")
        assert ("nesterov" in config) == (config.get("momentum", 0) >= 0.5)
    # Binomial(200, 1/3) leaves this range one time in 10,000.
    assert all(40 < seen[name] < 96 for name in ("adam", "sgd", "none"))


def test_samples_meet_constraints():
    space = Space(design(), constraints=[small_network])
    # As many rows for each key, in a trace and under vmap.
    keys = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    def batches(keys):
        x = jax.vmap(lambda key: space.sample(key, 16))(keys)
        return x, jax.vmap(jax.vmap(space.feasible))(x)

    x, feasible = map(np.asarray, batches(keys))
    assert x.shape == (3, 16, 10)
    assert feasible.all()
    np.testing.assert_allclose(x[1], space.sample(keys[1], 16), rtol=0, atol=1e-6)
    configs = [space.decode(row) for row in x.reshape(-1, 10)]
    assert all(c["layers"] * c["units"] <= 1000 for c in configs)
    assert len({tuple(row) for row in x.reshape(-1, 10)}) == 48
    assert not space.feasible(jnp.ones(10))


def test_rare_feasible_points_are_found(x64):
    space = Space({"a": Float(0, 1), "b": Float(0, 1)}, constraints=[thin])
    x = space.sample(jax.random.key(0), 64)
    assert np.all(np.abs(x[:, 0] - x[:, 1]) <= 0.005)
    assert len(np.unique(x, axis=0)) == 64
    # One level in a thousand: all are tried, and draws end at the one that is known.
    space = Space({"a": Int(0, 999)}, constraints=[exact])
    assert [space.decode(row) for row in space.sample(jax.random.key(0), 3)] == [
        {"a": 7}
    ] * 3
    assert space.enumerate(1000).shape == (1, 1)


def test_violations_are_the_constraints_values(x64):
    space = Space(
        {"a": Float(0, 10), "b": Float(0, 1)},
        constraints=[exact, low_b],
    )
    violations = jax.jit(space.violations)
    gradient = jax.jit(jax.jacobian(space.violations))
    x = jnp.array([0.7, 0.5])
    np.testing.assert_allclose(violations(x), [-0.5, 0.125], rtol=1e-5)
    assert violations(x).dtype == x.dtype
    assert not jax.jit(space.feasible)(x)
    x = jnp.array([0.9, 0.5])
    np.testing.assert_allclose(gradient(x), [[10.0, 0.0], [0.0, 1.0]], rtol=1e-6)
    free = Space({"a": Float(0, 1)})
    assert free.violations(x[:1]).shape == (0,)
    assert free.feasible(x[:1])


@pytest.mark.parametrize(
    "parameters", [{"a": Float(0, 1)}, {"a": Int(0, 9)}, {"a": Int(0, 10**6)}]
)
def test_infeasible_constraints_are_refused(parameters):
    with pytest.raises(ValueError, match="constraints: no feasible point among"):
        Space(parameters, constraints=[impossible])


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (exact, "constraints: expected a list"),
        ([3], r"constraints\[0\]: expected a function, got 3"),
        ([exact, lambda v: v["a"] < 0.5], r"constraints\[1\]: .* got bool"),
        ([lambda v: jnp.stack([v["a"], v["a"]])], r"constraints\[0\]: .* shape \(2,\)"),
    ],
)
def test_bad_constraints_are_refused(constraints, message):
    with pytest.raises(TypeError, match=message):
        Space({"a": Float(0, 10)}, constraints=constraints)


def test_nan_is_not_feasible():
    space = Space({"a": Float(-1, 1)}, constraints=[lambda v: jnp.sqrt(v["a"]) - 0.5])
    assert not space.feasible(jnp.array([0.1]))
    assert space.feasible(jnp.array([0.55]))


# All there is.


def test_enumerate_lists_what_exists_once():
    space = Space(
        {
            "a": Categorical("x", "y"),
            "b": Int(1, 3, when={"a": "x"}),
            "c": Ordinal(1, 2, when={"b": (2, 3)}),
        }
    )
    points = space.enumerate(6)
    assert space.size == 6
    configs = [space.decode(x) for x in points]
    assert configs == [
        {"a": "x", "b": 1},
        {"a": "x", "b": 2, "c": 1},
        {"a": "x", "b": 2, "c": 2},
        {"a": "x", "b": 3, "c": 1},
        {"a": "x", "b": 3, "c": 2},
        {"a": "y"},
    ]
    assert space.enumerate(5) is None
    assert space.enumerate(7) is points


def test_enumerate_lists_what_is_feasible_also_inside_a_trace():
    space = Space({"a": Int(0, 9), "b": Categorical("u", "v")}, constraints=[exact])

    @jax.jit
    def how_many(x):
        inside = Space({"a": Int(0, 9)}, constraints=[exact])
        return x + len(space.enumerate(100)) + len(inside.enumerate(10))

    assert how_many(0.0) == 3.0
    assert [space.decode(x) for x in space.enumerate(100)] == [
        {"a": 7, "b": "u"},
        {"a": 7, "b": "v"},
    ]


def test_size_of_huge_spaces_is_a_number():
    space = Space({f"p{i}": Int(0, 2**50) for i in range(30)})
    assert 1e300 < space.size < math.inf
    assert Space({f"p{i}": Int(1, 10) for i in range(5)}).size == 1e5


# A value.


def test_equal_spaces_are_one_compilation():
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def by_argument(space, x):
        traces.append(0)
        return space.project(x)

    @jax.jit
    def by_leaf(space, x):
        traces.append(1)
        return space.project(x)

    class Holder(eqx.Module):
        space: Space = eqx.field(static=True)

    @eqx.filter_jit
    def by_module(holder, x):
        traces.append(2)
        return holder.space.project(x)

    x = jnp.zeros(10)
    for _ in range(3):
        space = Space(design())
        by_argument(space, x)
        by_leaf(space, x)
        by_module(Holder(space), x)
    assert sorted(traces) == [0, 1, 2]
    by_leaf(Space(design() | {"layers": Int(1, 7)}), x)
    assert sorted(traces) == [0, 1, 1, 2]
    assert jax.tree.leaves(SPACE) == []


def test_equality_is_of_everything():
    assert Space(design()) == SPACE
    assert hash(Space(design())) == hash(SPACE)
    assert SPACE != "space"
    reordered = dict(reversed(design().items()))
    assert Space(reordered) != SPACE
    assert Space({"a": [Float(0, 1)]}) == Space({"a": Float(0, 1)})
    assert Space({"a": Ordinal(True, 2)}) != Space({"a": Ordinal(1, 2)})
    constrained = Space(design(), constraints=[small_network])
    assert constrained != SPACE
    assert constrained == Space(design(), constraints=(small_network,))
    other = Space(design(), constraints=[lambda values: -1.0])
    assert constrained != other


def test_spaces_are_immutable_and_copies_are_equal():
    space = Space(design(), constraints=[small_network])
    with pytest.raises(AttributeError):
        space.columns = ()
    with pytest.raises(AttributeError):
        del space.columns
    for other in (
        copy.copy(space),
        copy.deepcopy(space),
        pickle.loads(pickle.dumps(space)),
    ):
        assert other == space
        assert hash(other) == hash(space)
        x = other.sample(jax.random.key(0), 2)
        np.testing.assert_array_equal(x, space.sample(jax.random.key(0), 2))


def test_repr_says_all():
    space = Space({"a": Int(0, 9), "b": Categorical("u", "v")}, constraints=[exact])
    assert repr(space) == (
        "Space({'a': Int(0, 9), 'b': Categorical('u', 'v')}, constraints=[exact])"
    )


# What is refused.


@pytest.mark.parametrize(
    ("parameters", "kind", "message"),
    [
        ({}, ValueError, "parameters: expected at least one, got none"),
        ([("a", Float(0, 1))], TypeError, "parameters: expected a dict by name"),
        ({1: Float(0, 1)}, TypeError, "parameters: expected names as strings, got 1"),
        ({"": Float(0, 1)}, ValueError, "parameters: expected names, got an empty"),
        (
            {"a": 3},
            TypeError,
            "'a': expected a Float, .* or .* got 3",
        ),
        (
            {"a": (0, 1)},
            TypeError,
            "'a': expected a Float, .* or .* got 0",
        ),
        (
            {"a": Float},
            TypeError,
            "'a': expected a Float, Fidelity, Int, Ordinal",
        ),
        ({"a": []}, ValueError, "'a': expected a specification, got an empty list"),
    ],
)
def test_bad_parameters_are_refused(parameters, kind, message):
    with pytest.raises(kind, match=message):
        Space(parameters)


GOOD = {
    "layers": 1,
    "batch": 16,
    "optimizer": "adam",
    "lr": 1e-3,
    "units": 8,
    "decay": 1e-6,
    "dropout": 0.0,
}


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        (None, TypeError, "config: expected a dict, got None"),
        ({}, ValueError, "config: expected 'layers', a whole number .*, got none"),
        (GOOD | {"lrr": 1}, ValueError, "config: expected keys among .*, got 'lrr'"),
        (
            {k: v for k, v in GOOD.items() if k != "lr"},
            ValueError,
            "config: expected 'lr', a number from 1e-05 to 0.01, got none",
        ),
        (
            GOOD | {"momentum": 0.5},
            ValueError,
            "config: expected no 'momentum', .* only when optimizer = 'sgd', got 0.5",
        ),
        (
            GOOD | {"optimizer": "none"},
            ValueError,
            "config: expected no 'lr', .* optimizer = 'adam' or optimizer = 'sgd'",
        ),
        (GOOD | {"lr": "1e-3"}, TypeError, r"config\['lr'\]: .* got '1e-3'"),
        (GOOD | {"lr": math.nan}, ValueError, r"config\['lr'\]: .* got nan"),
        (GOOD | {"lr": 0.5}, ValueError, r"config\['lr'\]: .* got 0.5"),
        (GOOD | {"layers": True}, TypeError, r"config\['layers'\]: .* got True"),
        (GOOD | {"batch": 17}, ValueError, r"config\['batch'\]: .* got 17"),
        (GOOD | {"optimizer": None}, ValueError, r"config\['optimizer'\]: .* got None"),
    ],
)
def test_bad_configurations_are_refused(config, kind, message):
    assert SPACE.encode(GOOD).shape == (10,)
    with pytest.raises(kind, match=message):
        SPACE.encode(config)


@pytest.mark.parametrize(
    "method", ["project", "active", "values", "feasible", "decode"]
)
def test_points_of_another_shape_are_refused(method):
    for x in (jnp.zeros(3), np.zeros(11)):
        with pytest.raises(ValueError, match=r"x: expected a point of shape \(10,\)"):
            getattr(SPACE, method)(x)


def test_decode_takes_any_sequence_and_refuses_nan():
    space = Space({"a": Float(0, 4), "b": Int(0, 1)})
    for x in ([0, 1], (0, 1), np.array([0, 1]), jnp.array([0, 1]), [-0.5, 7.0]):
        assert space.decode(x) == {"a": 0.0, "b": 1}
    with pytest.raises(ValueError, match="x: expected finite numbers, got"):
        space.decode([0.5, math.nan])


def test_everything_is_exported():
    names = {"Space", "Float", "Int", "Ordinal", "Categorical", "Column", "Parameter"}
    assert names <= set(dir(bs))


def test_how_deep_columns_are_and_what_exists_beside_them():
    space = Space(
        {
            "deep": Float(0.0, 1.0, when={"kind": "q", "mode": "s"}),
            "kind": Categorical("p", "q"),
            "mode": Categorical("s", "t", when={"kind": "q"}),
            "width": Int(1, 9, when={"kind": "q"}),
            "other": Float(0.0, 1.0),
        }
    )
    assert space.depth.tolist() == [2, 0, 1, 1, 0]
    assert space.num_siblings.tolist() == [1, 2, 2, 2, 2]
