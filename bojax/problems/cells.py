"""A table that is part of the package: every cell of a small space, on digits."""

import functools
import importlib.resources

import numpy as np

from bojax.problems.tables import Table
from bojax.space import Categorical, Space


@functools.cache
def cells() -> Table:
    """All cells of four nodes and four operations, each trained three times.

    On each of the six edges there is nothing, a skip, a 1x1 or a 3x3 convolution: the
    space of `nas.Cell(operations=("none", "skip", "conv1", "conv3"), channels=8)`. The
    trainings are on 600 of scikit-learn's digits, for 16 epochs;
    `benchmarks/searches/cells.py` makes them again. Values and curves are errors on 400
    other images, in percent; `test` has those on the remaining 797. Cells that compute
    the same share their trainings. The 169 of 4,096 that have no path from input to
    output have NaN everywhere: to try one is a failed trial.

    Returns:
        The table, with parameters, curves and test errors; the same object at every
        call.

    Example:
        >>> import jax
        >>> table = cells()
        >>> names = ("edge01", "edge02", "edge03", "edge12", "edge13", "edge23")
        >>> x = table.space.encode(dict.fromkeys(names, "conv3"))
        >>> float(table.parameters[tuple(table.level(x))])
        3730.0
        >>> curve = table.curve(x, jax.random.key(0))
        >>> curve.shape, bool(curve[-1] == table(x, jax.random.key(0)))
        ((16,), True)

    References:
        Dong and Yang (2020), NAS-Bench-201, for the cells; Alpaydin and Kaynak (1998),
        Optical recognition of handwritten digits, for the images.
    """
    file = importlib.resources.files("bojax.problems") / "_cells.npz"
    with file.open("rb") as stream, np.load(stream) as stored:
        form, parameters = stored["form"], stored["parameters"]
        curves, test = stored["curves"], stored["test"]
        operations, names = stored["operations"].tolist(), stored["names"].tolist()
        _, chosen_by, judged_by = stored["images"].tolist()

    def spread(counts: np.ndarray, images: int = 1) -> np.ndarray:
        """From forms, on the first axis, to cells; in percent of the images."""
        values = (counts / images).astype(np.float32)[form]
        values[form < 0] = np.nan
        return values

    errors = spread(100.0 * np.moveaxis(curves, 0, -1), chosen_by)
    errors = np.moveaxis(errors, -1, 0)
    return Table(
        Space({name: Categorical(*operations) for name in names}),
        errors[..., -1],
        parameters=spread(parameters),
        curves=errors,
        test=np.moveaxis(spread(100.0 * test.T, judged_by), -1, 0),
    )
