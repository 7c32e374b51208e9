"""Parzen estimators on the tree of a space: mixtures of one kernel for each trial."""

import math
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax.space import Space

_MOST_BINS = 256
"""Columns of more levels count as continuous: kernels are no finer than a hundredth."""

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class Parzen(eqx.Module):
    """A density on the tree of a space, relative to the uniform one.

        p(x) = sum_i w_i prod_{j active at x} k_ij(x_j)

    The kernel k_ij is a normal truncated to [0, 1] about the trial's value, integrated
    over the bin of a level, or a category with a little of all others; it is uniform
    where trial i lacks column j. The last kernel, a prior, lacks them all. Each summand
    is normalized down the tree, so p is, and the trials of a branch are what tells
    about its own columns: nothing is assumed about them of trials elsewhere.

    Args:
        space: the columns, and when they exist.
        x: the trials' points, then one for the prior.
        active: which columns each of them has.
        weight: of each kernel; zero where there is none.
        width: standard deviations of the normals.
        log_scale: logarithms of what divides these normals' exponentials.
        count: how many kernels say something of each column, the prior included.

    References:
        Bergstra, Bardenet, Bengio and Kegl (2011), Algorithms for hyper-parameter
        optimization, section 4; Watanabe (2023), Tree-structured Parzen estimator,
        section 3.3, for the kernels; Scott (1992), for the widths of a joint density.
    """

    space: Space = eqx.field(static=True)
    x: Float[Array, "k d"]
    active: Bool[Array, "k d"]
    weight: Float[Array, " k"]
    width: Float[Array, "k d"]
    log_scale: Float[Array, "k d"]
    count: Float[Array, " d"]

    @classmethod
    def of(
        cls,
        space: Space,
        x: Float[Array, "n d"],
        weight: Float[Array, " n"],
        joint: bool = True,
    ) -> "Parzen":
        """The estimator from points and their weights, zero where there is no point.

        Of a joint density all normals of a column are 0.2 n^(-1 / (c + 4)) wide, with n
        points that have it and c columns that exist where it does. Of columns by
        themselves each is as wide as the larger gap to its neighbors. Neither is less
        than a hundredth, or than one over the number of kernels.

        Args:
            space: the columns.
            x: representable points.
            weight: of each point.
            joint: whether the joint density is what will be asked for.

        Example:
            >>> import bojax, jax.numpy as jnp
            >>> space = bojax.Space({"a": bojax.Float(0, 1)})
            >>> density = Parzen.of(space, jnp.array([[0.4], [0.5]]), jnp.ones(2))
            >>> near, far = (float(density.log_density(jnp.array([a])))
            ...              for a in (0.45, 0.9))
            >>> near > far
            True
        """
        active = jax.vmap(space.active)(x) & (weight > 0)[:, None]
        count = jnp.sum(active, axis=0).astype(x.dtype) + 1
        if joint:
            power = -1 / (space.num_siblings + 4)
            common = 0.2 * jnp.maximum(count - 1, 1) ** power.astype(x.dtype)
            width = jnp.broadcast_to(common, x.shape)
        else:
            width = jax.vmap(_widths, in_axes=1, out_axes=1)(x, active)
        width = jnp.clip(width, 1 / jnp.minimum(100.0, 1 + count), 1.0)
        low, high = _normal(-x / width), _normal((1 - x) / width)
        row = ((0, 1), (0, 0))
        return cls(
            space=space,
            x=jnp.pad(x, row, constant_values=0.5),
            active=jnp.pad(active, row),
            weight=jnp.pad(weight.astype(x.dtype), (0, 1), constant_values=1),
            width=jnp.pad(width, row, constant_values=1),
            log_scale=jnp.pad(jnp.log(width * (high - low)) + _LOG_SQRT_2PI, row),
            count=count,
        )

    def _factors(
        self, x: Float[Array, " d"]
    ) -> Iterator[tuple[np.ndarray, Float[Array, "k c"]]]:
        """Columns of a kind, and logarithms of the kernels there, 0 where uniform."""
        for columns, log_kernels in (
            (_continuous(self.space), self._log_normal),
            (_binned(self.space), self._log_bin),
            (np.flatnonzero(self.space.is_categorical), self._log_category),
        ):
            if len(columns):
                values = log_kernels(x[columns], columns)
                yield columns, jnp.where(self.active[:, columns], values, 0)

    def _log_normal(self, x: Float[Array, " c"], c: np.ndarray) -> Float[Array, "k c"]:
        standard = (x - self.x[:, c]) / self.width[:, c]
        return -0.5 * standard**2 - self.log_scale[:, c]

    def _log_bin(self, x: Float[Array, " c"], c: np.ndarray) -> Float[Array, "k c"]:
        edges = jnp.asarray(_edges(self.space), x.dtype)
        level = jnp.sum(x[:, None] >= edges[:, 1:-1], axis=1)
        low, high = edges[np.arange(len(c)), level], edges[np.arange(len(c)), level + 1]
        center, width = self.x[:, c], self.width[:, c]
        mass = _normal((high - center) / width) - _normal((low - center) / width)
        mass = jnp.maximum(mass, jnp.finfo(x.dtype).tiny) / (high - low)
        log_total = self.log_scale[:, c] - jnp.log(width) - _LOG_SQRT_2PI
        return jnp.log(mass) - log_total

    def _log_category(
        self, x: Float[Array, " c"], c: np.ndarray
    ) -> Float[Array, "k c"]:
        size, count = jnp.asarray(self.space.num_levels[c], x.dtype), self.count[c]
        log_other = -jnp.log1p(count / size)
        same = jnp.abs(x - self.x[:, c]) * size < 0.5
        return log_other + jnp.where(same, jnp.log1p(count), 0)

    def _log_kernels(
        self, x: Float[Array, " d"], known: Bool[np.ndarray, " d"]
    ) -> Float[Array, " k"]:
        """Logarithms of the kernels at a representable point, of some columns alone."""
        regarded, each = self.space.active(x) & known, jnp.zeros_like(self.weight)
        for columns, values in self._factors(x):
            each = each + jnp.sum(jnp.where(regarded[columns], values, 0), axis=1)
        return each

    def log_density(
        self, x: Float[Array, " d"], known: Bool[np.ndarray, " d"] | None = None
    ) -> Float[Array, ""]:
        """log p(x) of a representable point, less that of the uniform density.

        Args:
            x: the point.
            known: whose joint density is meant; default: all columns. What decides on
                the existence of a column must be among them where it is.
        """
        known = np.ones(x.shape, bool) if known is None else known
        each = self._log_kernels(x, known)
        return jax.nn.logsumexp(each, b=self.weight) - jnp.log(jnp.sum(self.weight))

    def log_marginals(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The same of each column by itself, from the kernels that have it.

        Whether the column exists at x is not regarded.
        """
        weight = self._column_weights()
        each = jnp.zeros_like(x)
        for columns, values in self._factors(x):
            total = jax.nn.logsumexp(values, axis=0, b=weight[:, columns])
            each = each.at[columns].set(total)
        return each - jnp.log(jnp.sum(weight, axis=0))

    def _column_weights(self) -> Float[Array, "k d"]:
        is_prior = jnp.arange(self.x.shape[0]) == self.x.shape[0] - 1
        return jnp.where(self.active | is_prior[:, None], self.weight[:, None], 0)

    def sample(
        self,
        key: PRNGKeyArray,
        x: Float[Array, " d"] | None = None,
        known: Bool[np.ndarray, " d"] | None = None,
    ) -> Float[Array, " d"]:
        """A draw: a kernel, and all columns from it.

        Args:
            key: of the draw.
            x: a representable point, some of whose columns the draw is to keep.
            known: which ones.
        """
        key_kernel, key_values = jax.random.split(key)
        share = jax.random.uniform(key_kernel, (), self.weight.dtype)
        weight = self.weight
        if x is not None and known is not None:
            each = self._log_kernels(x, known)
            weight = weight * jnp.exp(each - jnp.max(each))
        drawn = self._draw(
            key_values, jnp.full(self.x.shape[1], _at_share(weight, share))
        )
        if x is not None and known is not None:
            drawn = jnp.where(known, x, drawn)
        return self.space.project(drawn)

    def sample_marginals(self, key: PRNGKeyArray) -> Float[Array, " d"]:
        """A draw of every column from a kernel of its own, not projected."""
        key_kernel, key_values = jax.random.split(key)
        share = jax.random.uniform(key_kernel, self.count.shape, self.weight.dtype)
        chosen = jax.vmap(_at_share, in_axes=(1, 0))(self._column_weights(), share)
        return self._draw(key_values, chosen)

    def _draw(self, key: PRNGKeyArray, kernel: Int[Array, " d"]) -> Float[Array, " d"]:
        columns = np.arange(self.x.shape[1])
        x, width = self.x[kernel, columns], self.width[kernel, columns]
        active = self.active[kernel, columns]
        draws = jax.random.uniform(key, (2 * len(columns),), x.dtype).reshape(2, -1)
        low, high = _normal(-x / width), _normal((1 - x) / width)
        quantile = low + draws[0] * (high - low)
        value = jnp.clip(x + width * jax.scipy.special.ndtri(quantile), 0, 1)
        if self.space.is_categorical.any():
            size = jnp.asarray(self.space.num_levels, x.dtype)
            other = draws[1] * (1 + size / self.count) > 1
            category = jnp.where(other, draws[0], x)
            value = jnp.where(self.space.is_categorical, category, value)
        return jnp.where(active, value, draws[0])


def _normal(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Distribution function of the standard normal."""
    return 0.5 * jax.lax.erfc(-z * math.sqrt(0.5))


def _at_share(weight: Float[Array, " k"], share: Float[Array, ""]) -> Int[Array, ""]:
    """The index at this share of the total weight: the same however much is padded."""
    total = jnp.cumsum(weight)
    return jnp.sum(total[:-1] <= share * total[-1])


def _widths(x: Float[Array, " n"], active: Bool[Array, " n"]) -> Float[Array, " n"]:
    """The larger gap to the two neighbors; to the bounds where there is only one."""
    n = jnp.sum(active)
    order = jnp.argsort(jnp.where(active, x, 2.0))
    value = x[order]
    place = jnp.arange(x.shape[0])
    first, last = place == 0, place == n - 1
    below = jnp.where(first, jnp.where(n > 1, 0, value), value - jnp.roll(value, 1))
    above = jnp.where(last, jnp.where(n > 1, 0, 1 - value), jnp.roll(value, -1) - value)
    return jnp.zeros_like(x).at[order].set(jnp.maximum(below, above))


def _binned(space: Space) -> np.ndarray:
    """The columns of few ordered levels."""
    few = (space.num_levels > 0) & (space.num_levels <= _MOST_BINS)
    return np.flatnonzero(few & ~space.is_categorical)


def _continuous(space: Space) -> np.ndarray:
    """The columns that are neither categories nor of few levels."""
    many = (space.num_levels == 0) | (space.num_levels > _MOST_BINS)
    return np.flatnonzero(many & ~space.is_categorical)


def _edges(space: Space) -> Float[np.ndarray, "c l"]:
    """The edges of the bins of `_binned` columns, padded by infinity."""
    scales = [space.columns[j].parameter.scale for j in _binned(space)]
    edges = np.full((len(scales), max(s.num_levels for s in scales) + 1), np.inf)
    for row, scale in zip(edges, scales, strict=True):
        count = scale.num_levels + 1
        row[:count] = [scale.edge(level) for level in range(count)]
    return edges
