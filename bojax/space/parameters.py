"""The kinds of parameters, and what they make of values.

`where` is the level of a value, counted from 0, or its position on the unit interval
where a parameter is continuous.
"""

import dataclasses
import functools
import numbers
from typing import Any

from bojax.space.checks import (
    Value,
    categories,
    check_range,
    conditions,
    finite,
    is_number,
    is_value,
    key,
    scalar,
    set_fields,
    whole,
)
from bojax.space.scale import Scale, decimal


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Float:
    """A real number.

    Args:
        low: the least value, at position 0.
        high: the greatest value, at position 1.
        log: whether positions are linear in the logarithm of the value.
        step: only `low`, `low + step`, ... up to `high` are values, each with a bin of
            equal width (on the scale of the value); None: all real numbers are.
        when: the parameter exists only when each named parent has the value given here,
            one of several in a list, or is a number in the closed interval that a tuple
            stands for: `[2, 5]` is 2 or 5, `(2, 5)` whatever is from 2 to 5.

    Raises:
        ValueError: if the bounds are not finite and increasing, not positive where
            `log`, or a step is not positive or larger than the range.
        TypeError: if an argument is not of the type that is expected.

    Example:
        >>> import bojax
        >>> bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)}).encode({"lr": 0.01})
        array([0.5])
        >>> bojax.Space({"dropout": bojax.Float(0, 0.3, step=0.1)}).decode([0.7])
        {'dropout': 0.2}
    """

    low: float
    high: float
    log: bool
    step: float | None
    when: tuple[tuple[str, Any], ...]

    def __init__(
        self, low: Any, high: Any, log: Any = False, step: Any = None, when: Any = None
    ):
        low, high = finite("low", low), finite("high", high)
        step = None if step is None else finite("step", step)
        check_range(low, high, log, step)
        when = conditions(when)
        set_fields(self, low=low, high=high, log=log, step=step, when=when)

    @functools.cached_property
    def num_levels(self) -> int:
        """How many values there are; 0 where continuous."""
        if self.step is None:
            return 0
        return int((decimal(self.high) - decimal(self.low)) // decimal(self.step)) + 1

    @functools.cached_property
    def scale(self) -> Scale:
        """Where values lie on the unit interval."""
        if self.step is None:
            return Scale.of(self.low, self.high, 1.0, 0, self.log)
        last = self._level(self.num_levels - 1)
        return Scale.of(self.low, last, self.step, self.num_levels, self.log)

    def _level(self, level: int | float) -> float:
        assert self.step is not None
        return float(decimal(self.low) + int(level) * decimal(self.step))

    def read(self, where: int | float) -> float:
        """The value of a level, or at a position where continuous."""
        if self.step is not None:
            return self._level(where)
        if where <= 0 or where >= 1:
            return self.low if where <= 0 else self.high
        return min(max(self.scale.number(where), self.low), self.high)

    def find(self, value: Any) -> int | float:
        """The level or position of a value; ValueError or TypeError if it is none."""
        number = scalar(value)
        if isinstance(number, bool) or not isinstance(number, numbers.Real):
            raise TypeError(f"expected {self.words()}, got {value!r}")
        number = float(number)
        if not self.low <= number <= self.high:
            raise ValueError(f"expected {self.words()}, got {value!r}")
        if self.step is None:
            return self.scale.position(number)
        level = min(round((number - self.low) / self.step), self.num_levels - 1)
        if abs(self._level(level) - number) > 1e-9 * self.step:
            raise ValueError(f"expected {self.words()}, got {value!r}")
        return level

    def words(self) -> str:
        """What is expected, for messages."""
        steps = "" if self.step is None else f" in steps of {self.step}"
        return f"a number from {self.low} to {self.high}{steps}"

    def __repr__(self) -> str:
        return _number_repr(self)


class Fidelity(Float):
    """How closely an evaluation is made: a share of the data, a resolution, epochs.

    A number of which `high` is the real thing, and anything less a cheaper likeness. A
    strategy that knows of fidelities chooses them; all others evaluate at `high`. Only
    what was evaluated at `high` can be the best.

    Args:
        low: the least fidelity, at position 0.
        high: the full fidelity, at position 1.
        log: whether positions are linear in the logarithm of the value.
        step: only `low`, `low + step`, ... up to `high` are values, each with a bin of
            equal width; None: all real numbers are.

    Raises:
        ValueError: if the bounds are not finite and increasing, not positive where
            `log`, or `high` is no whole number of steps from `low`.
        TypeError: if an argument is not of the type that is expected.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"epochs": bojax.Fidelity(1, 9)})
        >>> space.decode([0.5])
        {'epochs': 5.0}
    """

    def __init__(self, low: Any, high: Any, log: Any = False, step: Any = None):
        super().__init__(low, high, log, step)
        if self.step is not None and self._level(self.num_levels - 1) != self.high:
            raise ValueError(
                f"high: expected a whole number of steps of {self.step} from "
                f"{self.low}, got {self.high}"
            )


@dataclasses.dataclass(frozen=True)
class FullFidelity:
    """A fidelity that is held at its highest: one level, where that lies.

    Args:
        fidelity: what is held.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"epochs": bojax.Fidelity(1, 9)}).full_fidelity
        >>> space.decode([0.5]), space.size
        ({'epochs': 9.0}, 1.0)
    """

    fidelity: Fidelity

    @property
    def when(self) -> tuple[tuple[str, Any], ...]:
        """A fidelity has no conditions."""
        return ()

    @property
    def log(self) -> bool:
        """One value has no scale to take logarithms on."""
        return False

    @property
    def num_levels(self) -> int:
        """Only the highest value."""
        return 1

    @functools.cached_property
    def where(self) -> int | float:
        """The level of the highest value among the fidelity's, or its position."""
        return self.fidelity.find(self.fidelity.high)

    @functools.cached_property
    def scale(self) -> Scale:
        """One level, at the position that the highest value has."""
        high = self.fidelity.high
        only = Scale.of(high, high, 1.0, 1, False)
        return dataclasses.replace(only, middle=self.fidelity.scale.center(self.where))

    def read(self, where: int | float) -> float:
        """The highest value."""
        return self.fidelity.high

    def find(self, value: Any) -> int:
        """Level 0; ValueError or TypeError if it is not the highest value."""
        if self.fidelity.find(value) != self.where:
            raise ValueError(f"expected {self.words()}, got {value!r}")
        return 0

    def words(self) -> str:
        """What is expected, for messages."""
        return f"the full fidelity {self.fidelity.high}"


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Int:
    """A whole number.

    Each value has a bin of equal width, `low` and `high` included: value i of k lies at
    (i + 1/2) / k. With `log`, the bins are those of rounding on the logarithmic scale
    from `low - 1/2` to `high + 1/2`.

    Args:
        low: the least value.
        high: the greatest value.
        log: whether positions are linear in the logarithm of the value.
        step: only `low`, `low + step`, ... up to `high` are values; None: all are.
        when: the parameter exists only when each named parent has the value given here,
            one of several in a list, or is a number in the closed interval that a tuple
            stands for: `[2, 5]` is 2 or 5, `(2, 5)` whatever is from 2 to 5.

    Raises:
        ValueError: if the bounds are not increasing, not positive where `log`, too
            large for a float, or a step is not positive or larger than the range.
        TypeError: if an argument is not of the type that is expected.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"layers": bojax.Int(1, 4)})
        >>> space.levels
        (array([0.125, 0.375, 0.625, 0.875]),)
        >>> space.decode([0.99])
        {'layers': 4}
    """

    low: int
    high: int
    log: bool
    step: int | None
    when: tuple[tuple[str, Any], ...]

    def __init__(
        self, low: Any, high: Any, log: Any = False, step: Any = None, when: Any = None
    ):
        low, high = whole("low", low), whole("high", high)
        step = None if step is None else whole("step", step)
        check_range(low, high, log, step)
        when = conditions(when)
        set_fields(self, low=low, high=high, log=log, step=step, when=when)

    @property
    def num_levels(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    @functools.cached_property
    def scale(self) -> Scale:
        """Where values lie on the unit interval."""
        step = self.step or 1
        last = self.low + (self.num_levels - 1) * step
        return Scale.of(
            float(self.low), float(last), float(step), self.num_levels, self.log
        )

    def read(self, where: int | float) -> int:
        """The value of a level."""
        return self.low + int(where) * (self.step or 1)

    def find(self, value: Any) -> int:
        """The level of a value; ValueError or TypeError if it is none of them."""
        number = scalar(value)
        if isinstance(number, bool) or not isinstance(number, numbers.Integral):
            raise TypeError(f"expected {self.words()}, got {value!r}")
        level, rest = divmod(int(number) - self.low, self.step or 1)
        if rest or not 0 <= level < self.num_levels:
            raise ValueError(f"expected {self.words()}, got {value!r}")
        return level

    def words(self) -> str:
        """What is expected, for messages."""
        steps = "" if self.step is None else f" in steps of {self.step}"
        return f"a whole number from {self.low} to {self.high}{steps}"

    def __repr__(self) -> str:
        return _number_repr(self)


@dataclasses.dataclass(frozen=True, init=False, repr=False, eq=False)
class Choice:
    """What ordinal and categorical parameters have in common."""

    values: tuple[Value, ...]
    when: tuple[tuple[str, Any], ...]

    def __init__(self, *values: Any, when: Any = None):
        set_fields(self, values=categories(values), when=conditions(when))

    @property
    def num_levels(self) -> int:
        """How many values there are."""
        return len(self.values)

    @functools.cached_property
    def scale(self) -> Scale:
        """Where values lie on the unit interval."""
        return Scale.of(0.0, len(self.values) - 1.0, 1.0, len(self.values), False)

    @functools.cached_property
    def _keys(self) -> tuple:
        return tuple(map(key, self.values))

    @functools.cached_property
    def _index(self) -> dict:
        return {key: index for index, key in enumerate(self._keys)}

    def read(self, where: int | float) -> Value:
        """The value of a level."""
        return self.values[int(where)]

    def index(self, value: Any) -> int | None:
        """Which of the values it is, or None."""
        value = scalar(value)
        return self._index.get(key(value)) if is_value(value) else None

    def find(self, value: Any) -> int:
        """The level of a value; ValueError if it is none of them."""
        index = self.index(value)
        if index is None:
            raise ValueError(f"expected {self.words()}, got {value!r}")
        return index

    def words(self) -> str:
        """What is expected, for messages."""
        return f"one of {', '.join(map(repr, self.values))}"

    def __repr__(self) -> str:
        parts = [*map(repr, self.values), *_when_repr(self)]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Choice)
        return (self._keys, self.when) == (other._keys, other.when)

    def __hash__(self) -> int:
        return hash((type(self), self._keys, self.when))


class Ordinal(Choice):
    """One of several values in an order: neighbors are alike.

    Args:
        *values: strings, numbers, booleans or None, in their order.
        when: the parameter exists only when each named parent has the value given here,
            one of several in a list, or is a number in the closed interval that a tuple
            stands for: `[2, 5]` is 2 or 5, `(2, 5)` whatever is from 2 to 5.

    Raises:
        ValueError: if there are no values, or one of them twice.
        TypeError: if a value is of another type.

    Example:
        >>> import bojax
        >>> bojax.Space({"batch": bojax.Ordinal(16, 32, 64, 128)}).decode([0.6])
        {'batch': 64}
    """

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers, which `Space.values` then gives."""
        return all(map(is_number, self.values))


class Categorical(Choice):
    """One of several values without an order.

    Args:
        *values: strings, numbers, booleans or None.
        when: the parameter exists only when each named parent has the value given here,
            one of several in a list, or is a number in the closed interval that a tuple
            stands for: `[2, 5]` is 2 or 5, `(2, 5)` whatever is from 2 to 5.

    Raises:
        ValueError: if there are no values, or one of them twice.
        TypeError: if a value is of another type.

    Example:
        >>> Categorical(True, False, when={"optimizer": "sgd"})
        Categorical(True, False, when={'optimizer': 'sgd'})
    """


Parameter = Float | Fidelity | FullFidelity | Int | Ordinal | Categorical


def _when_repr(parameter: Any) -> list[str]:
    return [f"when={dict(parameter.when)!r}"] if parameter.when else []


def _number_repr(parameter: Any) -> str:
    parts = [f"{parameter.low!r}, {parameter.high!r}"]
    parts += ["log=True"] if parameter.log else []
    parts += [f"step={parameter.step!r}"] if parameter.step is not None else []
    parts += _when_repr(parameter)
    return f"{type(parameter).__name__}({', '.join(parts)})"
