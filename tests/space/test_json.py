"""Spaces as text; test_properties.py has the round trip of random ones."""

import json
import math

import jax.numpy as jnp
import pytest

from bojax.space import Categorical, Float, Int, Ordinal, Space


def at_most_half(values):
    return values["a"] - 0.5


SPACE = Space(
    {
        "a": Float(0.1, 1.0, log=True),
        "b": Int(0, 9, step=3),
        "c": Categorical("x", None, True, 2.5),
        "d": [
            Ordinal(1, 2, when={"c": ["x", True], "b": [3, 9]}),
            Ordinal("s", "t", when={"c": None, "a": (0.2, 0.5)}),
        ],
    }
)


def test_round_trip():
    text = SPACE.to_json()
    again = Space.from_json(text)
    assert again == SPACE
    assert Space.from_json(text.encode()) == SPACE
    assert again.columns[2].parameter.values == ("x", None, True, 2.5)
    assert type(again.columns[2].parameter.values) is tuple


def test_text_is_standard_json_with_a_version():
    record = json.loads(SPACE.to_json(), parse_constant=pytest.fail)
    assert record["schema"] == 1
    assert record["num_constraints"] == 0
    assert record["parameters"][0] == {
        "name": "a",
        "type": "float",
        "low": 0.1,
        "high": 1.0,
        "log": True,
        "step": None,
        "when": {},
    }
    assert [item["name"] for item in record["parameters"]] == ["a", "b", "c", "d", "d"]


def test_a_list_of_values_is_no_interval():
    whens = [item["when"] for item in json.loads(SPACE.to_json())["parameters"]]
    assert whens[3]["b"] == {"values": [3, 9]}
    assert whens[4]["a"] == [0.2, 0.5]
    intervals = Space({"a": Int(0, 9), "b": Int(0, 1, when={"a": (3, 9)})})
    values = Space({"a": Int(0, 9), "b": Int(0, 1, when={"a": [3, 9]})})
    assert intervals != values
    for space in (intervals, values):
        assert Space.from_json(space.to_json()) == space


def test_constraints_are_passed_again():
    space = Space({"a": Float(0, 1)}, constraints=[at_most_half])
    text = space.to_json()
    again = Space.from_json(text, constraints=[at_most_half])
    assert again == space
    assert not again.feasible(jnp.array([0.6]))
    with pytest.raises(ValueError, match=r"constraints: expected the 1 .* got 0"):
        Space.from_json(text)
    with pytest.raises(ValueError, match=r"constraints: expected the 0 .* got 1"):
        Space.from_json(SPACE.to_json(), constraints=[at_most_half])


def changed(**changes):
    return json.dumps(json.loads(SPACE.to_json()) | changes)


def parameter(**changes):
    """A text whose first parameter differs; None takes a key away."""
    record = json.loads(SPACE.to_json())
    first = record["parameters"][0] | changes
    record["parameters"][0] = {k: v for k, v in first.items() if v != "gone"}
    return json.dumps(record)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (None, TypeError, "text: expected JSON text, got None"),
        ("{", ValueError, "text: expected JSON, got an error"),
        ("[]", ValueError, r"text: expected a JSON object, got \[\]"),
        ("{}", ValueError, "text: expected schema version 1, got None"),
        (changed(schema=2), ValueError, "text: expected schema version 1, got 2"),
        (changed(extra=0), ValueError, "text: expected no key 'extra'"),
        (
            changed(num_constraints=None),
            ValueError,
            "num_constraints: expected a count",
        ),
        (changed(num_constraints=-1), ValueError, "num_constraints: .* got -1"),
        (changed(parameters={}), ValueError, "parameters: expected a list, got {}"),
        (
            changed(parameters=[3]),
            ValueError,
            "parameters: expected objects with a name",
        ),
        (changed(parameters=[]), ValueError, "parameters: expected at least one"),
        (parameter(name=3), ValueError, "parameters: expected objects with a name"),
        (parameter(type="double"), ValueError, "'a': expected a type .* got 'double'"),
        (parameter(type=[]), ValueError, r"parameter 'a': expected a type .* got \[\]"),
        (parameter(unit="s"), ValueError, "parameter 'a': expected no key 'unit'"),
        (parameter(low="gone"), ValueError, "parameter 'a': expected a key 'low'"),
        (parameter(low=2), ValueError, "parameter 'a': low: expected less than high"),
        (parameter(low="0"), ValueError, "parameter 'a': low: expected a number"),
        (parameter(when=3), ValueError, "parameter 'a': expected an object as when"),
        (parameter(when={"z": 1}), ValueError, "when of 'a': expected parents among"),
        (
            parameter(when={"b": {"values": 3}}),
            ValueError,
            "parameter 'a': values: expected a list, got 3",
        ),
        (
            parameter(when={"b": {"low": 3}}),
            ValueError,
            "parameter 'a': when: expected no key 'low'",
        ),
        (
            changed(
                parameters=[
                    {"name": "a", "type": "ordinal", "values": "xy", "when": {}},
                ]
            ),
            ValueError,
            "parameter 'a': values: expected a list, got 'xy'",
        ),
    ],
)
def test_bad_text_is_refused(text, kind, message):
    with pytest.raises(kind, match=message):
        Space.from_json(text)


def test_numbers_survive_to_the_last_bit():
    space = Space({"a": Float(math.nextafter(0.1, 1), 1 / 3), "b": Int(0, 2**53)})
    assert Space.from_json(space.to_json()) == space
