"""Checks of what people pass for parameters; errors say what was expected and came."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

Value = str | int | float | bool | None
"""What a category may be."""

_LARGEST_INT = 2**53


@dataclasses.dataclass(frozen=True, repr=False)
class OneOf:
    """Several values of a parent that meet a condition, rather than an interval."""

    values: tuple[Value, ...]

    def __repr__(self) -> str:
        return repr(list(self.values))


def set_fields(value: Any, **fields: Any) -> None:
    """Sets fields of a frozen value that is being made."""
    for name, field in fields.items():
        object.__setattr__(value, name, field)


def scalar(value: Any) -> Any:
    """NumPy and JAX scalars as Python's."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def finite(name: str, value: Any) -> float:
    """The argument as a float, if it is a finite number."""
    number = scalar(value)
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {value!r}")
    return float(number)


def whole(name: str, value: Any) -> int:
    """The argument as an int, if it is a whole number that a float can hold."""
    number = scalar(value)
    if isinstance(number, bool) or not isinstance(number, numbers.Integral):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    if abs(int(number)) > _LARGEST_INT:
        raise ValueError(f"{name}: expected at most 2**53 in size, got {value!r}")
    return int(number)


def check_range(low: Any, high: Any, log: Any, step: Any) -> None:
    """Refuses bounds, scale and step that do not go together."""
    if not isinstance(log, bool):
        raise TypeError(f"log: expected True or False, got {log!r}")
    if low >= high:
        raise ValueError(f"low: expected less than high={high}, got {low}")
    if not math.isfinite(high - low):
        raise ValueError(f"high: expected a finite distance from {low}, got {high}")
    if log and low <= 0:
        raise ValueError(f"low: expected a positive number with log=True, got {low}")
    if log and math.log(low) == math.log(high):
        raise ValueError(f"low: expected less than {high} in logarithm, got {low}")
    if step is not None and not 0 < step <= high - low:
        raise ValueError(
            f"step: expected a positive number of at most high - low = {high - low}, "
            f"got {step}"
        )
    if step is not None and (high - low) / step >= _LARGEST_INT:
        raise ValueError(f"step: expected fewer than 2**53 levels, got {step}")


def is_value(value: Any) -> bool:
    """Whether it may be a category."""
    return value is None or isinstance(value, str | int | float)


def is_number(value: Any) -> bool:
    """Whether it is a number of Python's, which True and False are not for people."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def categories(values: tuple) -> tuple[Value, ...]:
    """The values of a choice, if they are distinct."""
    values = tuple(scalar(value) for value in values)
    if not values:
        raise ValueError("values: expected at least one, got none")
    for value in values:
        if not is_value(value):
            raise TypeError(
                "values: expected strings, numbers, booleans or None, as separate "
                f"arguments, got {value!r}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"values: expected finite numbers, got {value!r}")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"values: expected distinct ones, got {twice!r} twice")
    return values


def key(value: Any) -> tuple:
    """True equals 1 for Python, but not for people."""
    return isinstance(value, bool), value


def conditions(when: Any) -> tuple[tuple[str, Any], ...]:
    """The conditions as a hashable value: pairs in the order of the parents' names.

    What is allowed is a value, `OneOf` several, or two numbers in a tuple: an interval
    of a parent that is a number.
    """
    if when is None:
        return ()
    if isinstance(when, tuple):  # as it is kept, for `dataclasses.replace`
        when = dict(when)
    if not isinstance(when, Mapping):
        raise TypeError(f"when: expected a dict from parent to value, got {when!r}")
    pairs = []
    for parent, allowed in when.items():
        if not isinstance(parent, str):
            raise TypeError(f"when: expected names of parents, got {parent!r}")
        if isinstance(allowed, OneOf):
            allowed = list(allowed.values)
        several = isinstance(allowed, list | tuple | set | frozenset)
        values = tuple(map(scalar, allowed)) if several else (scalar(allowed),)
        if not values:
            raise ValueError(f"when: expected a value of {parent!r}, got {allowed!r}")
        for value in values:
            if not is_value(value):
                raise TypeError(
                    f"when: expected a value of {parent!r}, several in a list, or an "
                    f"interval (low, high), got {allowed!r}"
                )
        if isinstance(allowed, set | frozenset):
            values = tuple(sorted(values, key=repr))
        pair = isinstance(allowed, tuple) and len(values) == 2
        if pair and all(map(is_number, values)):
            pairs.append((parent, values))
        else:
            pairs.append((parent, OneOf(values) if several else values[0]))
    return tuple(sorted(pairs, key=lambda pair: pair[0]))
