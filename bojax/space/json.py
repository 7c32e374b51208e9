"""Spaces as JSON text, with a schema version."""

import json
from typing import Any

from bojax.space.checks import OneOf
from bojax.space.parameters import (
    Categorical,
    Fidelity,
    Float,
    FullFidelity,
    Int,
    Ordinal,
    Parameter,
)

SCHEMA = 1

_NUMBERS = {"float": Float, "fidelity": Fidelity, "int": Int}
_CHOICES = {"ordinal": Ordinal, "categorical": Categorical}
_TYPES = {kind: name for name, kind in (_NUMBERS | _CHOICES).items()}
_FULL = "full fidelity"


def dump(columns: Any, num_constraints: int) -> str:
    """The text for columns (name and parameter each), one specification each."""
    parameters = [
        {"name": column.name, **_record(column.parameter)} for column in columns
    ]
    return json.dumps(
        {
            "schema": SCHEMA,
            "parameters": parameters,
            "num_constraints": num_constraints,
        },
        allow_nan=False,
    )


def load(text: Any) -> tuple[dict[str, list[Parameter]], int]:
    """The specifications of each name, and the number of constraints.

    Raises:
        ValueError: if the text is not what `dump` writes, or of another version.
        TypeError: if it is no text.
    """
    if not isinstance(text, str | bytes | bytearray):
        raise TypeError(f"text: expected JSON text, got {text!r}")
    try:
        record = json.loads(text)
    except ValueError as error:
        raise ValueError(f"text: expected JSON, got an error: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"text: expected a JSON object, got {record!r}")
    if record.get("schema") != SCHEMA:
        raise ValueError(
            f"text: expected schema version {SCHEMA}, got {record.get('schema')!r}"
        )
    _check_keys("text", record, {"schema", "parameters", "num_constraints"})
    num_constraints = record["num_constraints"]
    if type(num_constraints) is not int or num_constraints < 0:
        raise ValueError(f"num_constraints: expected a count, got {num_constraints!r}")
    if not isinstance(record["parameters"], list):
        raise ValueError(f"parameters: expected a list, got {record['parameters']!r}")
    parameters: dict[str, list[Parameter]] = {}
    for item in record["parameters"]:
        name, parameter = _parameter(item)
        parameters.setdefault(name, []).append(parameter)
    return parameters, num_constraints


def _record(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, FullFidelity):
        return _record(parameter.fidelity) | {"type": _FULL}
    record: dict[str, Any] = {"type": _TYPES[type(parameter)]}
    if isinstance(parameter, Float | Int):
        record |= {"low": parameter.low, "high": parameter.high}
        record |= {"log": parameter.log, "step": parameter.step}
    else:
        record["values"] = parameter.values
    if isinstance(parameter, Fidelity):
        return record
    when = {
        parent: {"values": allowed.values} if isinstance(allowed, OneOf) else allowed
        for parent, allowed in parameter.when
    }
    return record | {"when": when}


def _parameter(record: Any) -> tuple[str, Parameter]:
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise ValueError(f"parameters: expected objects with a name, got {record!r}")
    name, kind = record["name"], record.get("type")
    if kind == _FULL:
        _, fidelity = _parameter(record | {"type": _TYPES[Fidelity]})
        assert isinstance(fidelity, Fidelity)
        return name, FullFidelity(fidelity)
    where = f"parameter {name!r}"
    if not isinstance(kind, str) or kind not in _NUMBERS | _CHOICES:
        raise ValueError(
            f"{where}: expected a type among {', '.join(_TYPES.values())}, got {kind!r}"
        )
    own = {"values"} if kind in _CHOICES else {"low", "high", "log", "step"}
    own = own if kind == "fidelity" else own | {"when"}
    _check_keys(where, record, {"name", "type"} | own)
    if not isinstance(record.get("when", {}), dict):
        raise ValueError(f"{where}: expected an object as when, got {record['when']!r}")
    try:
        if "when" in own:
            when = {parent: _allowed(item) for parent, item in record["when"].items()}
            record = record | {"when": when}
        if kind in _NUMBERS:
            return name, _NUMBERS[kind](**{key: record[key] for key in own})
        return name, _CHOICES[kind](*_values(record), when=record["when"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _allowed(record: Any) -> Any:
    """What a condition allows of a parent; JSON has tuples as lists."""
    if isinstance(record, dict):
        _check_keys("when", record, {"values"})
        return _values(record)
    return tuple(record) if isinstance(record, list) else record


def _values(record: dict) -> list:
    if not isinstance(record["values"], list):
        raise ValueError(f"values: expected a list, got {record['values']!r}")
    return record["values"]


def _check_keys(where: str, record: dict, expected: set[str]) -> None:
    wrong = sorted(expected ^ set(record))
    if wrong:
        verb = "no" if wrong[0] in record else "a"
        raise ValueError(f"{where}: expected {verb} key {wrong[0]!r}, got {record!r}")
