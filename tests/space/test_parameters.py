"""Single parameters: their scales, their values, and what they refuse."""

import dataclasses
import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest

from bojax.space import Categorical, Float, Int, Ordinal, Space


@functools.cache
def single(parameter):
    return Space({"p": parameter})


def unit(parameter, value):
    return single(parameter).encode({"p": value})[0]


def natural(parameter, position):
    return single(parameter).decode([position])["p"]


def test_float_endpoints_are_exact():
    for parameter in (
        Float(-0.3, 0.7),
        Float(1e-5, 1e-2, log=True),
        Float(0.1, 0.30000000000000004),
        Float(1e-300, 1e300, log=True),
    ):
        assert natural(parameter, 0.0) == parameter.low
        assert natural(parameter, 1.0) == parameter.high
        assert unit(parameter, parameter.low) == 0
        assert unit(parameter, parameter.high) == 1


def test_log_float_is_linear_in_the_logarithm():
    lr = Float(1e-4, 1.0, log=True)
    assert math.isclose(unit(lr, 1e-3), 0.25)
    assert math.isclose(natural(lr, 0.75), 0.1)


def test_stepped_float_has_bins_of_equal_width():
    p = Float(0, 0.35, step=0.1)
    assert single(p).levels[0].tolist() == [0.125, 0.375, 0.625, 0.875]
    assert [natural(p, u) for u in (0.0, 0.25, 0.74, 0.76, 1.0)] == [
        0.0,
        0.1,
        0.2,
        0.3,
        0.3,
    ]
    assert unit(p, 0.1 + 0.2) == 0.875  # what arithmetic makes of 0.3


def test_int_has_full_bins_at_both_ends():
    p = Int(-1, 2)
    x = np.linspace(0, 1, 401)
    values = np.array([natural(p, u) for u in x])
    counts = [np.sum(values == v) for v in (-1, 0, 1, 2)]
    assert max(counts) - min(counts) <= 1
    assert [unit(p, v) for v in (-1, 0, 1, 2)] == [0.125, 0.375, 0.625, 0.875]
    assert [natural(Int(3, 10, step=3), u) for u in (0, 0.5, 1)] == [3, 6, 9]


@pytest.mark.parametrize("low", [1, 5])
def test_log_int_rounds_on_the_log_scale(low):
    p = Int(low, 40, log=True)
    start, span = math.log(low - 0.5), math.log(40.5) - math.log(low - 0.5)
    for u in np.linspace(0, 1, 92):  # none of them a tie
        assert natural(p, u) == round(min(max(math.exp(start + u * span), low), 40))
    for value in (low, 17, 40):
        assert math.isclose(unit(p, value), (math.log(value) - start) / span)


def test_log_step_keeps_a_positive_scale():
    p = Int(1, 101, log=True, step=20)
    assert natural(p, 0.0) == 1
    assert natural(p, 1.0) == 101
    positions = single(p).levels[0]
    assert np.all(np.diff(positions) > 0)
    assert [natural(p, u) for u in positions] == [1, 21, 41, 61, 81, 101]


def test_huge_int_is_decoded_to_whole_numbers_in_bounds():
    p = Int(0, 2**53)
    assert natural(p, 1.0) == 2**53
    assert natural(p, 0.0) == 0
    assert type(natural(p, 0.3)) is int
    value = natural(p, 0.3)
    assert abs(unit(p, value) - 0.3) < 1e-15
    assert single(p).levels == (None,)


def test_more_levels_than_a_dtype_has_are_continuous():
    # 2**-24 is the resolution of float32 below 1.
    space = single(Int(0, 10**8))
    x = np.float32([0.3])
    assert space.project(x) == x
    assert space.project(x.astype(float)) != x


def test_categories_keep_their_types():
    space = single(Categorical("a", None, True, 0, 2.5))
    values = [space.decode([u])["p"] for u in space.levels[0]]
    assert values == ["a", None, True, 0, 2.5]
    assert [type(v) for v in values] == [str, type(None), bool, int, float]
    assert space.encode({"p": True})[0] == 0.5
    with pytest.raises(
        ValueError, match=r"config\['p'\]: expected one of 'a', .* got 1"
    ):
        space.encode({"p": 1})


def test_true_is_not_one():
    assert Ordinal(1, 2) != Ordinal(True, 2)
    assert Ordinal(1, 2) != Categorical(1, 2)
    assert hash(Ordinal(1, 2)) == hash(Ordinal(1, 2))
    assert not Ordinal(True, 2).is_numeric


def test_numpy_and_jax_scalars_are_numbers():
    assert Float(np.float32(0.5), jnp.float32(2)) == Float(0.5, 2.0)
    assert Int(np.int64(1), jnp.int32(4)) == Int(1, 4)
    assert Categorical(np.str_("a"), np.int64(3)).values == ("a", 3)
    assert unit(Int(1, 4), np.int32(1)) == 0.125
    assert unit(Float(0, 4), jnp.float32(1)) == 0.25


def test_one_value_is_a_choice():
    space = single(Categorical("only"))
    assert space.decode([0.1]) == {"p": "only"}
    assert space.project(np.array([0.1])) == 0.5
    assert space.size == 1


def test_repr_is_code():
    when = {"a": "x", "b": (1, 2)}
    for parameter in (
        Float(0.0, 1.0),
        Float(1e-3, 1.0, log=True, when=when),
        Float(0.0, 1.0, step=0.1),
        Int(1, 8, log=True, step=2),
        Ordinal(1, 2.5, None, when={"b": ["u", "v"]}),
        Categorical("a", True),
    ):
        assert eval(repr(parameter)) == parameter


def test_fields_can_be_replaced():
    p = Float(0.0, 1.0, when={"a": ("x", "y")})
    assert dataclasses.replace(p, high=2) == Float(0, 2, when={"a": ["x", "y"]})


def test_ties_go_up_in_every_precision():
    # The middle of Int(1, 4) on its logarithmic scale is exactly 1.5.
    space = single(Int(1, 4, log=True))
    assert space.decode([0.5]) == {"p": 2}
    for dtype in (np.float32, np.float64):
        x = space.project(np.array([0.5], dtype))
        assert space.decode(x) == {"p": 2}


def test_conditions_are_values():
    a = Float(0, 1, when={"a": ["x", "y"], "b": 2})
    b = Float(0, 1, when={"b": 2, "a": ("x", "y")})
    assert a == b
    assert hash(a) == hash(b)
    assert Float(0, 1, when={"a": {"x", "y"}}) == Float(0, 1, when={"a": {"y", "x"}})


BAD = [
    (lambda: Float(1, 1), ValueError, "low: expected less than high=1.0, got 1.0"),
    (lambda: Float(2, 1), ValueError, "low: expected less than high=1.0, got 2.0"),
    (lambda: Float(math.nan, 1), ValueError, "low: expected a finite number, got nan"),
    (lambda: Float(0, math.inf), ValueError, "high: expected a finite number, got inf"),
    (lambda: Float("0", 1), TypeError, "low: expected a number, got '0'"),
    (lambda: Float(0, True), TypeError, "high: expected a number, got True"),
    (lambda: Float(0, None), TypeError, "high: expected a number, got None"),
    (lambda: Float(-1e308, 1e308), ValueError, "high: expected a finite distance"),
    (lambda: Float(0, 1, log=True), ValueError, "low: expected a positive number"),
    (lambda: Float(-1, 1, log=True), ValueError, "low: expected a positive number"),
    (lambda: Float(0, 1, log="yes"), TypeError, "log: expected True or False"),
    (
        lambda: Float(1e10, 1e10 + 2e-6, log=True),
        ValueError,
        "low: expected less than .* in logarithm",
    ),
    (lambda: Float(0, 1, step=0), ValueError, "step: expected a positive number"),
    (lambda: Float(0, 1, step=-0.1), ValueError, "step: .* got -0.1"),
    (lambda: Float(0, 1, step=1.1), ValueError, "step: .* at most high - low = 1.0"),
    (lambda: Float(0, 1, step=1e-300), ValueError, "step: expected fewer than 2"),
    (lambda: Float(0, 1, step="a"), TypeError, "step: expected a number, got 'a'"),
    (lambda: Float(0, 1, when="a"), TypeError, "when: expected a dict"),
    (lambda: Float(0, 1, when={1: 2}), TypeError, "when: expected names of parents"),
    (lambda: Float(0, 1, when={"a": []}), ValueError, "when: expected a value of 'a'"),
    (lambda: Float(0, 1, when={"a": {}}), TypeError, "when: expected a value of 'a'"),
    (lambda: Float(0, 1, when={"a": [[1]]}), TypeError, "when: expected a value of"),
    (lambda: Int(3, 3), ValueError, "low: expected less than high=3, got 3"),
    (lambda: Int(0.5, 3), TypeError, "low: expected a whole number, got 0.5"),
    (lambda: Int(0, 3.0), TypeError, "high: expected a whole number, got 3.0"),
    (lambda: Int(False, 3), TypeError, "low: expected a whole number, got False"),
    (lambda: Int(0, 2**53 + 1), ValueError, r"high: expected at most 2\*\*53"),
    (lambda: Int(0, 3, log=True), ValueError, "low: expected a positive number"),
    (lambda: Int(0, 3, step=4), ValueError, "step: .* at most high - low = 3, got 4"),
    (lambda: Int(0, 3, step=0), ValueError, "step: .* got 0"),
    (lambda: Int(0, 3, step=1.0), TypeError, "step: expected a whole number, got 1.0"),
    (lambda: Ordinal(), ValueError, "values: expected at least one, got none"),
    (lambda: Categorical(), ValueError, "values: expected at least one, got none"),
    (lambda: Categorical("a", "b", "a"), ValueError, "values: .* got 'a' twice"),
    (lambda: Categorical(1, True), ValueError, "values: expected distinct"),
    (lambda: Categorical(["a", "b"]), TypeError, "values: expected strings"),
    (lambda: Categorical("a", {}), TypeError, "values: expected strings"),
    (lambda: Ordinal(1, math.nan), ValueError, "values: expected finite numbers"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD)
def test_bad_parameters_are_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


VALUES = [
    (Float(0, 1), "0.5", TypeError, "expected a number from 0.0 to 1.0, got '0.5'"),
    (Float(0, 1), None, TypeError, "got None"),
    (Float(0, 1), True, TypeError, "got True"),
    (Float(0, 1), math.nan, ValueError, "got nan"),
    (Float(0, 1), 1.1, ValueError, "got 1.1"),
    (Float(0, 1, step=0.1), 0.55, ValueError, "in steps of 0.1, got 0.55"),
    (Int(0, 4), True, TypeError, "expected a whole number from 0 to 4, got True"),
    (Int(0, 4), 2.0, TypeError, "got 2.0"),
    (Int(0, 4), 5, ValueError, "got 5"),
    (Int(0, 4, step=2), 3, ValueError, "in steps of 2, got 3"),
    (Ordinal(1, 2, 4), 3, ValueError, "expected one of 1, 2, 4, got 3"),
    (Categorical("a"), [], ValueError, r"expected one of 'a', got \[\]"),
]


@pytest.mark.parametrize(("parameter", "value", "kind", "message"), VALUES)
def test_bad_values_are_refused(parameter, value, kind, message):
    with pytest.raises(kind, match=r"config\['p'\]: .*" + message):
        single(parameter).encode({"p": value})
