"""A kernel over cells: which sequences of operations lead from input to output."""

import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bojax.nas.cell import Cell
from bojax.surrogates.kernels import Kernel


class PathKernel(Kernel):
    """Similar are cells whose paths from input to output read alike.

        k(x, z) = exp(-(1 - <phi(x), phi(z)> / |phi(x)| |phi(z)|) / l^2)

    with phi counting each sequence of operations on the paths, skips left out, as
    `Cell.canonical` leaves them out: so isomorphic cells are equal. Cells without a
    path are similar to one another only.

    Args:
        nodes: of the cell.
        operations: that an edge of it may have.
        log_lengthscale: log l, of one entry.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.nas import Cell
        >>> cell = Cell(nodes=3)
        >>> kernel = PathKernel.of(cell)
        >>> x, z = (jnp.asarray(cell.space.encode(config)) for config in (
        ...     {"edge01": "conv3", "edge02": "none", "edge12": "skip"},
        ...     {"edge01": "skip", "edge02": "none", "edge12": "conv3"},
        ... ))
        >>> float(kernel(x, z))
        1.0

    References:
        White, Neiswanger and Savani (2021), BANANAS, section 3, for the paths.
    """

    nodes: int = eqx.field(static=True)
    operations: tuple[str, ...] = eqx.field(static=True)
    log_lengthscale: Float[Array, "1"]

    @classmethod
    def of(cls, cell: Cell) -> "PathKernel":
        """The kernel of a cell's space, with lengthscale one half."""
        return cls(cell.nodes, cell.operations, jnp.asarray(np.log([0.5])))

    def features(self, x: Float[Array, " d"]) -> Float[Array, " p"]:
        """How many paths there are of each sequence of operations."""
        size = len(self.operations)
        levels = jnp.clip(jnp.floor(x * size), 0, size - 1).astype(int)
        columns = {
            edge: c
            for c, edge in enumerate(itertools.combinations(range(self.nodes), 2))
        }
        # A sequence is a number in base size + 1, of digits from 1; a skip has none.
        total = (size + 1) ** (self.nodes - 1)
        skip, none = (
            self.operations.index(name) if name in self.operations else -1
            for name in ("skip", "none")
        )
        phi = jnp.zeros(total + 1, x.dtype)
        for length in range(self.nodes - 1):
            for middle in itertools.combinations(range(1, self.nodes - 1), length):
                stops = (0, *middle, self.nodes - 1)
                code, exists = jnp.asarray(0), jnp.asarray(True)
                for edge in itertools.pairwise(stops):
                    level = levels[columns[edge]]
                    code = jnp.where(level == skip, code, code * (size + 1) + level + 1)
                    exists = exists & (level != none)
                phi = phi.at[jnp.where(exists, code, total)].add(1)
        # The last entry collects what does not exist: it counts where nothing does.
        return phi.at[total].set(jnp.where(jnp.any(phi[:total] > 0), 0, 1))

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Correlation of two cells."""
        a, b = self.features(x), self.features(z)
        cosine = a @ b / jnp.sqrt((a @ a) * (b @ b))
        return jnp.exp(-(1 - cosine) * jnp.exp(-2 * self.log_lengthscale[0]))
