"""The space of configurations, as a unit cube with one column per specification."""

import dataclasses
import functools
import math
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_args, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax.space import feasibility, json
from bojax.space.checks import set_fields
from bojax.space.codec import Codec, Column
from bojax.space.conditions import Box, count, resolve
from bojax.space.cube import Cube
from bojax.space.parameters import (
    Categorical,
    Choice,
    Fidelity,
    FullFidelity,
    Ordinal,
    Parameter,
)

Constraint = Callable[[dict[str, Array]], Any]
"""From `Space.values` to a number that is at most 0 where feasible."""

_MOST_LEVELS = 2**20


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, init=False, repr=False, eq=False)
class Space:
    """Parameters by name, the conditions under which they exist, and constraints.

    A point is a vector in `[0, 1]^d`, one column per specification: numbers on their
    scale, level or category i of k at (i + 1/2) / k, inactive columns at 1/2.

    A space is a value: immutable, hashable, a static argument of compiled functions,
    so that equal spaces share one compilation. As a pytree it has no leaves.

    Args:
        parameters: a dict with a specification for each name, or several in a list
            where they exist under disjoint conditions. Their order is the columns'.
        constraints: a list of module-level, traceable functions of `values(x)`, at most
            0 where feasible. Equal means identical for these.

    Attributes:
        columns: name and specification of each column.
        constraints: as given.

    Raises:
        ValueError: if the space is empty, a condition is about an unknown parent, goes
            in a circle or cannot be met, two specifications of a name can coexist,
            or no feasible point was found.
        TypeError: if an argument is not of the type that is expected.

    Example:
        >>> import bojax
        >>> space = bojax.Space({
        ...     "layers": bojax.Int(1, 4),
        ...     "optimizer": bojax.Categorical("adam", "sgd"),
        ...     "momentum": bojax.Float(0.0, 0.9, when={"optimizer": "sgd"}),
        ... })
        >>> x = space.encode({"layers": 4, "optimizer": "sgd", "momentum": 0.9})
        >>> x.tolist()
        [0.875, 0.75, 1.0]
        >>> space.decode([0.1, 0.2, 0.3])
        {'layers': 1, 'optimizer': 'adam'}
    """

    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    _order: tuple[int, ...]
    _boxes: tuple[list[Box], ...]
    _cube: Cube
    _codec: Codec
    _hash: int
    _witness: np.ndarray | None

    def __init__(self, parameters: Any, constraints: Any = ()):
        self._assemble(_columns(parameters), _checked_constraints(constraints))
        witness = feasibility.find(self) if self.constraints else None
        set_fields(self, _witness=witness)

    def _assemble(self, columns: tuple[Column, ...], constraints: tuple) -> None:
        names = [column.name for column in columns]
        parameters = [column.parameter for column in columns]
        order, boxes = resolve(names, parameters)
        set_fields(
            self,
            columns=columns,
            constraints=constraints,
            _order=order,
            _boxes=boxes,
            _cube=Cube([parameter.scale for parameter in parameters], boxes),
            _codec=Codec(columns, order, boxes),
            _hash=hash((columns, tuple(map(id, constraints)))),
        )

    # What it is.

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters, each once, in their order."""
        return tuple(dict.fromkeys(column.name for column in self.columns))

    @property
    def num_columns(self) -> int:
        """How many columns a point has: one per specification."""
        return len(self.columns)

    @property
    def order(self) -> tuple[int, ...]:
        """The columns, parents before their children."""
        return self._order

    @functools.cached_property
    def is_categorical(self) -> Bool[np.ndarray, " d"]:
        """Which columns have values without an order."""
        kinds = [isinstance(column.parameter, Categorical) for column in self.columns]
        return _read_only(kinds, bool)

    @functools.cached_property
    def is_fidelity(self) -> Bool[np.ndarray, " d"]:
        """Which columns are fidelities."""
        kinds = Fidelity | FullFidelity
        return _read_only([isinstance(p, kinds) for _, p in self.columns], bool)

    @functools.cached_property
    def full_fidelity(self) -> "Space":
        """The space of the same columns with every fidelity held at its highest.

        Its points are those of this space at full fidelity, and what depends on a
        fidelity always exists there, or never.

        Raises:
            ValueError: if no feasible point was found there.

        Example:
            >>> import bojax
            >>> space = bojax.Space({
            ...     "epochs": bojax.Fidelity(1, 9),
            ...     "layers": bojax.Int(1, 4),
            ... })
            >>> space.size, space.full_fidelity.size
            (inf, 4.0)
        """
        if not any(isinstance(p, Fidelity) for _, p in self.columns):
            return self
        held = {
            name: [FullFidelity(p) if isinstance(p, Fidelity) else p for p in several]
            for name, several in self._specifications().items()
        }
        return Space(held, self.constraints)

    def at_full_fidelity(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """The same points with every fidelity at its highest."""
        if not self.is_fidelity.any():
            return x
        full = [np.nan if v is None else v[-1] for v in self.levels]
        full = np.where(np.isnan(full), 1.0, full)
        return jnp.where(self.is_fidelity, full.astype(x.dtype), x)

    def is_full_fidelity(self, x: Float[Array, "... d"]) -> Bool[Array, "..."]:
        """Whether points have every fidelity at its highest, as near as 1e-6."""
        near = jnp.abs(x - self.at_full_fidelity(x)) <= 1e-6
        return jnp.all(near, axis=-1)

    @functools.cached_property
    def is_conditional(self) -> Bool[np.ndarray, " d"]:
        """Which columns exist under conditions only."""
        return _read_only(self._cube.is_conditional, bool)

    @functools.cached_property
    def depth(self) -> Int[np.ndarray, " d"]:
        """How many columns above each column decide on its existence, in a line."""
        depth = np.zeros(self.num_columns, np.int64)
        for j in self._order:
            parents = {column for box in self._boxes[j] for column in box}
            depth[j] = 1 + max((depth[parent] for parent in parents), default=-1)
        return _read_only(depth, np.int64)

    @functools.cached_property
    def num_siblings(self) -> Int[np.ndarray, " d"]:
        """How many columns exist on the same conditions as each, itself included."""
        return _read_only([self._boxes.count(box) for box in self._boxes], np.int64)

    @functools.cached_property
    def num_levels(self) -> Int[np.ndarray, " d"]:
        """How many values each column has; 0 where it is continuous."""
        return _read_only([c.parameter.num_levels for c in self.columns], np.int64)

    @functools.cached_property
    def levels(self) -> tuple[Float[np.ndarray, " k"] | None, ...]:
        """Where the values of each column lie; None where continuous, or over 2**20."""
        scales = [column.parameter.scale for column in self.columns]
        return tuple(
            _read_only(scale.centers(), float)
            if 0 < scale.num_levels <= _MOST_LEVELS
            else None
            for scale in scales
        )

    @functools.cached_property
    def size(self) -> float:
        """How many distinct configurations there are; infinite if any is continuous.

        Parameters that do not exist do not count; constraints are not regarded.
        """
        levels = self.num_levels.tolist()
        if any(boxes and not k for boxes, k in zip(self._boxes, levels, strict=True)):
            return math.inf
        total = count(self._order, self._boxes, levels)
        return float(min(total, int(sys.float_info.max)))

    # Between configurations and points.

    def encode(self, config: Any) -> Float[np.ndarray, " d"]:
        """The point of a configuration.

        Args:
            config: a dict with a value for each parameter that exists, and no other.

        Raises:
            ValueError: if a key is missing or too many, or a value is out of range.
            TypeError: if a value is of the wrong type, or `config` is no mapping.
        """
        return self._codec.encode(config)

    def decode(self, x: Any) -> dict[str, Any]:
        """The configuration of the nearest representable point, as Python values.

        Args:
            x: any point; parameters that do not exist there are left out.

        Raises:
            ValueError: if `x` has another shape, or is not finite.
        """
        x = np.asarray(x)
        if x.dtype.kind in "iub":
            x = x.astype(float)
        self._check_shape(x)
        return self._codec.decode(x)

    @overload
    def active(self, x: Float[Array, " d"]) -> Bool[Array, " d"]: ...
    @overload
    def active(self, x: Float[np.ndarray, " d"]) -> Bool[np.ndarray, " d"]: ...

    def active(
        self, x: Float[Array | np.ndarray, " d"]
    ) -> Bool[Array | np.ndarray, " d"]:
        """Which columns exist at the nearest representable point, traceable."""
        x, xp = self._point(x)
        return self._cube.active(self._cube.snap(x, xp), xp)

    def where_active(self, column: int) -> Float[np.ndarray, " d"]:
        """A point at which a column exists, feasible or not."""
        return self._cube.where_active(column)

    @overload
    def project(self, x: Float[Array, " d"]) -> Float[Array, " d"]: ...
    @overload
    def project(self, x: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]: ...

    def project(
        self, x: Float[Array | np.ndarray, " d"]
    ) -> Float[Array | np.ndarray, " d"]:
        """The nearest representable point, traceable; what does not exist is at 1/2.

        Follows the dtype of `x`. Gradients pass through continuous columns. A column
        with more levels than the dtype can tell apart is treated as continuous.
        """
        x, xp = self._point(x)
        return self._cube.project(x, xp)

    def values(self, x: Float[Array | np.ndarray, " d"]) -> dict[str, Array]:
        """The values of the nearest representable point in natural units, traceable.

        Numbers, and ordinals whose values are numbers, have the dtype of `x`;
        categories and other ordinals are int32 indices of their values. What does not
        exist has the value in the middle of its column: mask it where it matters.

        Example:
            >>> import bojax, jax.numpy as jnp
            >>> space = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)})
            >>> round(float(space.values(jnp.array([0.5]))["lr"]), 6)
            0.01
        """
        x = jnp.asarray(x)
        self._check_shape(x)
        z = self._cube.snap(x, jnp)
        active = self._cube.active(z, jnp)
        number = self._cube.number(z, jnp)
        if self.is_conditional.any():
            number = jnp.where(active, number, self._middle.astype(x.dtype))
        values: dict[str, Array] = {}
        for j, (name, parameter) in enumerate(self.columns):
            value = number[j]
            if isinstance(parameter, Choice):
                value = value.astype(jnp.int32)
            if isinstance(parameter, Ordinal) and parameter.is_numeric:
                table = jnp.asarray(np.array(parameter.values), x.dtype)
                value = table.at[value].get(mode="promise_in_bounds")
            if name in values:
                value = jnp.where(active[j], value, values[name])
            values[name] = value
        return values

    @functools.cached_property
    def _middle(self) -> np.ndarray:
        """Values in the middle of the columns, levels of choices by their index."""
        middle = []
        for _, parameter in self.columns:
            where = parameter.scale.where(0.5)
            choice = isinstance(parameter, Choice)
            middle.append(where if choice else parameter.read(where))
        return np.array(middle, float)

    # Which points there are.

    def violations(self, x: Float[Array | np.ndarray, " d"]) -> Float[Array, " c"]:
        """The constraints at the nearest representable point: feasible where <= 0.

        Raises:
            TypeError: if a constraint returns something else than a scalar number.
        """
        x = jnp.asarray(x)
        self._check_shape(x)
        if not self.constraints:
            return jnp.zeros(0, x.dtype)
        values = self.values(x)
        results = []
        for i, constraint in enumerate(self.constraints):
            result = jnp.asarray(constraint(dict(values)))
            if result.shape != () or result.dtype == bool:
                raise TypeError(
                    f"constraints[{i}]: expected a scalar number, at most 0 where "
                    f"feasible, got {result.dtype} of shape {result.shape}"
                )
            results.append(result.astype(x.dtype))
        return jnp.stack(results)

    def feasible(self, x: Float[Array | np.ndarray, " d"]) -> Bool[Array, ""]:
        """Whether all constraints are met at the nearest representable point."""
        return jnp.all(self.violations(x) <= 0)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """Independent, uniform draws from the representable, feasible points.

        Uniform means on the cube: log where a parameter is, and each level of a column
        equally often. Constraints are met by rejection; where thousands of draws in a
        row are rejected, the point is one known feasible point.

        Raises:
            ValueError: if `n` is negative.
        """
        if n < 0:
            raise ValueError(f"n: expected a count of points, got {n}")
        return feasibility.sample(self, key, n)

    def enumerate(self, limit: int) -> Float[np.ndarray, "size d"] | None:
        """All distinct feasible points, in the order of their columns.

        Args:
            limit: None is returned if `size` is more than this.
        """
        return None if self.size > limit else self._everything

    @functools.cached_property
    def _everything(self) -> np.ndarray:
        points = np.full((1, self.num_columns), 0.5)
        for j in self._order:
            levels = self.columns[j].parameter.scale.centers()
            active = self._cube.active(points, np)[:, j]
            several = np.repeat(points[active], len(levels), axis=0)
            several[:, j] = np.tile(levels, int(active.sum()))
            points = np.concatenate([points[~active], several])
        points = points[np.lexsort(points.T[::-1])]
        return _read_only(points[feasibility.which(self, points)], float)

    # JSON.

    def to_json(self) -> str:
        """The space as JSON text; of constraints, only how many there are."""
        return json.dump(self.columns, len(self.constraints))

    @classmethod
    def from_json(cls, text: Any, constraints: Any = ()) -> "Space":
        """The space that `to_json` wrote.

        Args:
            text: the JSON text.
            constraints: the space's own, which are not in the text.

        Raises:
            ValueError: if the text has another schema version, an unknown key or type,
                or was written by a space with another number of constraints.
            TypeError: if it is no text.
        """
        parameters, num_constraints = json.load(text)
        constraints = _checked_constraints(constraints)
        if len(constraints) != num_constraints:
            raise ValueError(
                f"constraints: expected the {num_constraints} of the space that was "
                f"saved, got {len(constraints)}"
            )
        return cls(parameters, constraints)

    # A value.

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Space):
            return NotImplemented
        return (
            self._hash == other._hash
            and self.columns == other.columns
            and len(self.constraints) == len(other.constraints)
            and all(map(operator.is_, self.constraints, other.constraints))
        )

    def __hash__(self) -> int:
        return self._hash

    def __copy__(self) -> "Space":
        return self

    def __deepcopy__(self, memo: dict) -> "Space":
        return self

    def __reduce__(self) -> tuple:
        return _restore, (self.columns, self.constraints, self._witness)

    def __repr__(self) -> str:
        parameters = ", ".join(
            f"{name!r}: {several[0] if len(several) == 1 else several!r}"
            for name, several in self._specifications().items()
        )
        names = [getattr(g, "__qualname__", repr(g)) for g in self.constraints]
        constraints = f", constraints=[{', '.join(names)}]" if names else ""
        return f"Space({{{parameters}}}{constraints})"

    def _specifications(self) -> dict[str, list[Parameter]]:
        specifications: dict[str, list[Parameter]] = {}
        for name, parameter in self.columns:
            specifications.setdefault(name, []).append(parameter)
        return specifications

    # Checks of points.

    def _check_shape(self, x: Any) -> None:
        if x.shape != (self.num_columns,):
            raise ValueError(
                f"x: expected a point of shape ({self.num_columns},), got {x.shape}"
            )

    def _point(self, x: Any) -> tuple[Any, Any]:
        """A point, and the module for it: NumPy's stay so, and keep their dtype."""
        xp = np if isinstance(x, np.ndarray) else jnp
        x = xp.asarray(x)
        self._check_shape(x)
        return x, xp


def _restore(columns: tuple, constraints: tuple, witness: Any) -> Space:
    """A space that was checked before."""
    space = object.__new__(Space)
    space._assemble(columns, constraints)
    set_fields(space, _witness=witness)
    return space


def _columns(parameters: Any) -> tuple[Column, ...]:
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters: expected a dict by name, got {parameters!r}")
    if not parameters:
        raise ValueError("parameters: expected at least one, got none")
    columns = []
    for name, given in parameters.items():
        if not isinstance(name, str):
            raise TypeError(f"parameters: expected names as strings, got {name!r}")
        if not name:
            raise ValueError("parameters: expected names, got an empty one")
        several = list(given) if isinstance(given, list | tuple) else [given]
        if not several:
            raise ValueError(f"{name!r}: expected a specification, got an empty list")
        for parameter in several:
            if not isinstance(parameter, get_args(Parameter)):
                raise TypeError(
                    f"{name!r}: expected a Float, Fidelity, Int, Ordinal or "
                    f"Categorical, or a list of these, got {parameter!r}"
                )
            columns.append(Column(name, parameter))
    return tuple(columns)


def _checked_constraints(constraints: Any) -> tuple[Constraint, ...]:
    if not isinstance(constraints, list | tuple):
        raise TypeError(f"constraints: expected a list, got {constraints!r}")
    for i, constraint in enumerate(constraints):
        if not callable(constraint):
            raise TypeError(
                f"constraints[{i}]: expected a function, got {constraint!r}"
            )
    return tuple(constraints)


def _read_only(values: Any, dtype: Any) -> np.ndarray:
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array
