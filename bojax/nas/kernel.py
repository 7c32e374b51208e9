"""Kernels over architectures: the paths through a cell, the layers of a chain."""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bojax.nas.cell import Cell
from bojax.nas.chain import Chain, skip_name
from bojax.space import Space
from bojax.surrogates.kernels import Composed, Kernel, Matern52, gram


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


class ChainKernel(Composed):
    """Similar are chains whose layers are alike, place by place.

        k(x, z) = m(|phi(x) - phi(z)|) + v <phi(x), phi(z)>

    with m Matern's of smoothness 5/2. An entry of phi belongs to a place p and to
    something that a layer may be: a category c, with the value exp(-a_c - b_p) where
    the layer has it and 0 elsewhere; or a number u of the unit cube, with the value
    (u - 1/2) exp(-a - b_p). All places share the a: which operations resemble one
    another, and how much each counts, is learned from all layers at once. What does not
    exist has only zeros. The second term adds up what each layer does by itself.

    Args:
        space: of the columns.
        layers: the columns of each place; those of equal rank mean the same.
        log_lengthscale: a, of each category or number, then b, of each place.
        log_weight_variance: log v.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.nas import Chain
        >>> chain = Chain(depth=2, kinds=("plain",), kernels=(3, 5), widths=(8, 16))
        >>> kernel = ChainKernel.of_chain(chain)
        >>> x, z = (jnp.asarray(chain.space.encode(config)) for config in (
        ...     {"depth": 1, "kind1": "plain", "kernel1": 3, "width1": 8},
        ...     {"depth": 1, "kind1": "plain", "kernel1": 3, "width1": 16},
        ... ))
        >>> bool(kernel(x, z) < kernel(x, x))
        True
    """

    space: Space = eqx.field(static=True)
    layers: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    log_lengthscale: Float[Array, " p"]
    log_weight_variance: Float[Array, ""]

    @classmethod
    def of(cls, space: Space, layers: Sequence[Sequence[str]]) -> "ChainKernel":
        """The kernel of a space, with all lengthscales one.

        Args:
            space: what is searched.
            layers: the names of each place's parameters, in the same order everywhere.
                Parameters that no place has do not count.

        Raises:
            ValueError: if there are no layers, a name is not of the space, or columns
                of equal rank have not the same number of categories.
        """
        if not layers:
            raise ValueError("layers: expected at least one, got none")
        if unknown := {name for layer in layers for name in layer} - set(space.names):
            raise ValueError(
                f"layers: expected names of the space, got {sorted(unknown)[0]!r}"
            )
        columns = [column.name for column in space.columns]
        index = tuple(tuple(columns.index(name) for name in layer) for layer in layers)
        sizes = [tuple(_size(space, j) for j in layer) for layer in index]
        longest = max(sizes, key=len)
        for size in sizes:
            if size != longest[: len(size)]:
                raise ValueError(
                    f"layers: expected categories {longest} everywhere, got {size}"
                )
        count = sum(longest) + len(layers)
        zeros = jnp.asarray(np.zeros(count))
        return cls(space, index, zeros, jnp.asarray(np.zeros(())))

    @classmethod
    def of_chain(cls, chain: Chain) -> "ChainKernel":
        """The kernel of a chain's space; its skips count where they end."""
        names, layers = chain.space.names, []
        for place in range(1, chain.depth + 1):
            own = [f"{part}{place}" for part in ("kind", "kernel", "width", "ratio")]
            own += [skip_name(i, place) for i in range(place - 1)]
            layers.append([name for name in own if name in names])
        return cls.of(chain.space, layers)

    def features(self, x: Float[Array, " d"]) -> Float[Array, " f"]:
        """phi(x)."""
        space, active = self.space, self.space.active(x)
        longest = max(self.layers, key=len)
        sizes = [_size(space, j) for j in longest]
        weights = jnp.exp(-self.log_lengthscale)
        places = weights[sum(sizes) :]
        parts, start = [], 0
        for rank, size in enumerate(sizes):
            own = [p for p, layer in enumerate(self.layers) if rank < len(layer)]
            index = np.array([self.layers[p][rank] for p in own])
            if space.is_categorical[longest[rank]]:
                level = jnp.clip(jnp.floor(x[index] * size), 0, size - 1).astype(int)
                value = jax.nn.one_hot(level, size, dtype=x.dtype)
            else:
                value = x[index, None] - 0.5
            value = value * weights[start : start + size] * places[np.array(own), None]
            parts.append(jnp.where(active[index, None], value, 0).ravel())
            start += size
        return jnp.concatenate(parts)

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Covariances of every row of `x` with every row of `z`."""
        a, b = jax.vmap(self.features)(x), jax.vmap(self.features)(z)
        near = gram(Matern52(jnp.zeros(a.shape[1], a.dtype)), a, b)
        return near + jnp.exp(self.log_weight_variance) * a @ b.T


class Aligned(Composed):
    """A kernel of chains to which it is all one where in a run the idle layers are.

    Layers that do nothing move to the end of their run before they are compared; the
    order of the others stays. The kernel of what is equal is equal, as
    `Architectures.canonical` wants it.

    Args:
        kernel: of the chains.
        runs: the columns of each run of layers, in their order, of which none changes
            the shape of what it reads.
        idle: least and greatest position in a column that means to do nothing.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> names = ("layer0", "layer1")
        >>> kinds = bojax.Categorical("identity", "convolution")
        >>> space = bojax.Space({name: kinds for name in names})
        >>> kernel = ChainKernel.of(space, [(name,) for name in names])
        >>> kernel = Aligned.of(kernel, space, [names], "identity")
        >>> kernel.moved(jnp.array([0.25, 0.75])).tolist()
        [0.75, 0.25]
    """

    kernel: Kernel
    runs: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    idle: tuple[float, float] = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        kernel: Kernel,
        space: Space,
        runs: Sequence[Sequence[str]],
        idle: object,
    ) -> "Aligned":
        """The kernel aligned.

        Args:
            kernel: of the chains.
            space: what is searched: a category for each layer.
            runs: the names of the layers of each run.
            idle: the category that means to do nothing.

        Raises:
            ValueError: if a name is not of the space, or no such category of it.
        """
        columns = [column.name for column in space.columns]
        index = []
        for name in (name for run in runs for name in run):
            if name not in columns:
                raise ValueError(f"runs: expected names of the space, got {name!r}")
            values = getattr(space.columns[columns.index(name)].parameter, "values", ())
            if idle not in values:
                raise ValueError(f"idle: expected one of {values}, got {idle!r}")
            index.append((values.index(idle), len(values)))
        if len(set(index)) > 1:
            raise ValueError("runs: expected the same categories in all layers")
        place, size = index[0] if index else (0, 1)
        runs_of_columns = tuple(tuple(columns.index(n) for n in run) for run in runs)
        return cls(kernel, runs_of_columns, (place / size, (place + 1) / size))

    def moved(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The chain with its idle layers at the ends of their runs."""
        low, high = self.idle
        for run in self.runs:
            own = x[np.array(run)]
            order = jnp.argsort((own >= low) & (own < high), stable=True)
            x = x.at[np.array(run)].set(own[order])
        return x

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Covariances of every row of `x` with every row of `z`."""
        return gram(self.kernel, jax.vmap(self.moved)(x), jax.vmap(self.moved)(z))


def _size(space: Space, j: int) -> int:
    """How many entries of phi a column has."""
    return int(space.num_levels[j]) if space.is_categorical[j] else 1
