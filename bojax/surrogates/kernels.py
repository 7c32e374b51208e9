"""Covariance functions, each written for one pair of points.

Parameters are unconstrained leaves named after their logarithm, so that any optimizer
can move them and any prior can be found by name (`bojax.surrogates.priors`).
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from bojax.space import Space


class Kernel(eqx.Module):
    """A positive definite function of two points."""

    @abc.abstractmethod
    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of the function's values at `x` and `z`."""


def gram(
    kernel: Kernel, x: Float[Array, "n d"], z: Float[Array, "m d"]
) -> Float[Array, "n m"]:
    """Covariances of every row of `x` with every row of `z`.

    Equal to two `vmap`s of the kernel; where the kernel is built on weighted squared
    distances these come from one matrix product, which is a good deal faster.
    """
    match kernel:
        case Scale():
            return jnp.exp(kernel.log_variance) * gram(kernel.kernel, x, z)
        case Sum():
            return gram(kernel.left, x, z) + gram(kernel.right, x, z)
        case Product():
            return gram(kernel.left, x, z) * gram(kernel.right, x, z)
        case Columns():
            index = np.array(kernel.index)
            return gram(kernel.kernel, x[:, index], z[:, index])
        case Stationary():
            weights = jnp.exp(-kernel.log_lengthscale)
            return kernel.profile(_squared_distances(x * weights, z * weights))
        case Composed():
            return kernel.gram(x, z)
    return jax.vmap(lambda x: jax.vmap(lambda z: kernel(x, z))(z))(x)


class Composed(Kernel):
    """A kernel made of another one, through whose matrix its own is found fastest."""

    @abc.abstractmethod
    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Covariances of every row of `x` with every row of `z`, for `gram`."""

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of two points."""
        return self.gram(x[None], z[None])[0, 0]


def _squared_distances(
    x: Float[Array, "n d"], z: Float[Array, "m d"]
) -> Float[Array, "n m"]:
    squares = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(z * z, axis=1)[None, :]
    squares = squares - 2 * x @ z.T
    # Rounding may leave less than zero where points coincide. To clip it would be to
    # lose the curvature of a kernel there.
    return squares - jax.lax.stop_gradient(jnp.minimum(squares, 0))


def _differ(x: Float[Array, "..."], z: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Whether two categories differ, be it that they come in different precisions."""
    return jnp.abs(x - z) > 1e-6


@jax.custom_jvp
def _root(squares: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Square root whose gradient at zero is zero rather than infinite."""
    return jnp.sqrt(squares)


@_root.defjvp
def _root_jvp(primals, tangents):
    root = _root(*primals)
    slope = jnp.where(root > 0, 0.5 / jnp.where(root > 0, root, 1), 0)
    return root, slope * tangents[0]


# Matern correlations of smoothness nu = 1/2, 3/2 and 5/2 as functions of t = 2 nu r^2.
# Each is, but for a factor, the slope of the next, so that a derivative which exists at
# zero is found without that of a root. Abramowitz and Stegun (1964), 9.6.28.


def _one_half(t):
    return jnp.exp(-_root(t))


@jax.custom_jvp
def _three_halves(t):
    r = _root(t)
    return (1 + r) * jnp.exp(-r)


@_three_halves.defjvp
def _three_halves_jvp(primals, tangents):
    return _three_halves(*primals), -0.5 * _one_half(*primals) * tangents[0]


@jax.custom_jvp
def _five_halves(t):
    r = _root(t)
    return (1 + r + r**2 / 3) * jnp.exp(-r)


@_five_halves.defjvp
def _five_halves_jvp(primals, tangents):
    return _five_halves(*primals), (-1 / 6) * _three_halves(*primals) * tangents[0]


def matern52(r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Matern-5/2 correlation at a squared distance."""
    return _five_halves(5 * r2)


class Stationary(Kernel):
    """A function of the distance r, each column measured in its lengthscale."""

    log_lengthscale: eqx.AbstractVar[Float[Array, " d"]]

    @abc.abstractmethod
    def profile(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Correlation as a function of the squared distance, elementwise."""

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Correlation of two points."""
        return self.profile(jnp.sum(((x - z) * jnp.exp(-self.log_lengthscale)) ** 2))


class RBF(Stationary):
    """Squared exponential, exp(-r^2 / 2): infinitely smooth.

    Args:
        log_lengthscale: one a column.

    References:
        Rasmussen and Williams (2006), equation 4.9.
    """

    log_lengthscale: Float[Array, " d"]

    def profile(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """exp(-r^2 / 2)."""
        return jnp.exp(-0.5 * r2)


class Matern12(Stationary):
    """Matern of smoothness 1/2, exp(-r): continuous, nowhere differentiable.

    Args:
        log_lengthscale: one a column.

    References:
        Rasmussen and Williams (2006), equation 4.18.
    """

    log_lengthscale: Float[Array, " d"]

    def profile(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """exp(-r)."""
        return _one_half(r2)


class Matern32(Stationary):
    """Matern of smoothness 3/2, (1 + sqrt(3) r) exp(-sqrt(3) r).

    Args:
        log_lengthscale: one a column.

    References:
        Rasmussen and Williams (2006), equation 4.17.
    """

    log_lengthscale: Float[Array, " d"]

    def profile(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """(1 + sqrt(3) r) exp(-sqrt(3) r)."""
        return _three_halves(3 * r2)


class Matern52(Stationary):
    """Matern of smoothness 5/2, twice differentiable: the usual choice.

    Args:
        log_lengthscale: one a column.

    References:
        Rasmussen and Williams (2006), equation 4.17.
    """

    log_lengthscale: Float[Array, " d"]

    def profile(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """(1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)."""
        return matern52(r2)


class RationalQuadratic(Stationary):
    """A mixture of RBFs over lengthscales, (1 + r^2 / (2 alpha))^-alpha.

    Args:
        log_lengthscale: one a column.
        log_alpha: log of the shape alpha; the larger, the nearer to an RBF.

    References:
        Rasmussen and Williams (2006), equation 4.19.
    """

    log_lengthscale: Float[Array, " d"]
    log_alpha: Float[Array, ""]

    def profile(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """(1 + r^2 / (2 alpha))^-alpha."""
        alpha = jnp.exp(self.log_alpha)
        return jnp.exp(-alpha * jnp.log1p(r2 / (2 * alpha)))


class Periodic(Kernel):
    """exp(-2 sum_j sin^2(pi |x_j - z_j| / p_j) / l_j^2): repeats itself.

    Args:
        log_lengthscale: one a column.
        log_period: log of the period p, one a column.

    References:
        MacKay (1998); Rasmussen and Williams (2006), equation 4.31.
    """

    log_lengthscale: Float[Array, " d"]
    log_period: Float[Array, " d"]

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Correlation of two points."""
        sine = jnp.sin(jnp.pi * (x - z) * jnp.exp(-self.log_period))
        return jnp.exp(-2 * jnp.sum((sine * jnp.exp(-self.log_lengthscale)) ** 2))


class Linear(Kernel):
    """sum_j v_j (x_j - 1/2) (z_j - 1/2): straight lines through the middle.

    Args:
        log_weight_variance: log of the variance v of each slope.

    References:
        Rasmussen and Williams (2006), section 4.2.2.
    """

    log_weight_variance: Float[Array, " d"]

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of two points."""
        return jnp.sum(jnp.exp(self.log_weight_variance) * (x - 0.5) * (z - 0.5))


class Hamming(Kernel):
    """exp(-sum_j [x_j != z_j] / l_j): for categories, which have no order.

    Args:
        log_lengthscale: one a column; the longer, the more alike the categories.

    References:
        Ru et al. (2020), Bayesian optimisation over multiple continuous and categorical
        inputs, equation 3, in exponential form.
    """

    log_lengthscale: Float[Array, " d"]

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Correlation of two points."""
        return jnp.exp(
            -jnp.sum(jnp.where(_differ(x, z), jnp.exp(-self.log_lengthscale), 0))
        )


class Sum(Kernel):
    """The sum of two kernels: a sum of independent functions."""

    left: Kernel
    right: Kernel

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of two points."""
        return self.left(x, z) + self.right(x, z)


class Product(Kernel):
    """The product of two kernels."""

    left: Kernel
    right: Kernel

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of two points."""
        return self.left(x, z) * self.right(x, z)


class Scale(Kernel):
    """A kernel times a variance.

    Args:
        log_variance: log of the variance.
        kernel: what is scaled.
    """

    log_variance: Float[Array, ""]
    kernel: Kernel

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of two points."""
        return jnp.exp(self.log_variance) * self.kernel(x, z)


class Columns(Kernel):
    """A kernel that sees some of the columns only.

    Args:
        kernel: a kernel of `len(index)` columns.
        index: which columns it sees.
    """

    kernel: Kernel
    index: tuple[int, ...] = eqx.field(static=True)

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Covariance of two points."""
        index = np.array(self.index)
        return self.kernel(x[index], z[index])


class Mixed(Composed):
    """Matern-5/2 over a whole space: numbers, categories and conditions.

    A function of the distance r in a Euclidean space to which all points are mapped,

        r^2 = sum_j d_j^2 / l_j^2,

    with d_j = |x_j - z_j| for numbers and [x_j != z_j] / 2 for categories: as far as
    the two values of a switch, and little farther than two numbers at random, 1/3. To
    lack a parameter is to have it in the middle, and to be away from there by e_j in a
    direction of its own: d_j^2 = (x_j - 1/2)^2 + e_j^2 where one of two points has it,
    1/8 + e_j^2 for a category, 0 where neither has. What is learned of one branch tells
    something of the others, the less the greater e_j, which is learned too.

    Args:
        space: which columns are categories, and when each is active.
        log_lengthscale: of l, one a column.
        log_absence: of e, one a conditional column.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> kernel = Mixed.of(space)
        >>> float(kernel(jnp.zeros(1), jnp.zeros(1)))
        1.0

    References:
        Swersky, Duvenaud, Snoek, Hutter and Osborne (2014), Raiders of the lost
        architecture, section 3, for conditions as an embedding, another one.
    """

    space: Space = eqx.field(static=True)
    log_lengthscale: Float[Array, " d"]
    log_absence: Float[Array, " c"]

    @classmethod
    def of(cls, space: Space) -> "Mixed":
        """The kernel with lengthscales 0.3 sqrt(d) and absences 0.05."""
        d, conditional = space.num_columns, np.sum(space.is_conditional)
        return cls(
            space=space,
            log_lengthscale=jnp.asarray(np.full(d, np.log(0.3 * np.sqrt(d)))),
            log_absence=jnp.asarray(np.full(conditional, np.log(0.05))),
        )

    def embed(self, x: Float[Array, " d"]) -> Float[Array, " e"]:
        """Where a point is mapped to, in units of the lengthscales.

        Categories are the corners of a simplex with sides of length 1/2, on an axis
        each. The middle of a number, and the absence of a category, is the origin; a
        conditional column has one axis more, on which only those that have it move.
        """
        space, weights = self.space, jnp.exp(-self.log_lengthscale)
        count = np.where(space.is_categorical, space.num_levels, 1)
        axis = np.repeat(np.arange(space.num_columns), count)
        level = np.arange(len(axis)) - np.repeat(np.cumsum(count) - count, count)
        active, categorical = space.active(x), space.is_categorical[axis]
        # The bin of a category, rather than its center, whatever the precision.
        bin = jnp.clip(jnp.floor(x[axis] * count[axis]), 0, count[axis] - 1)
        corner = (bin == level).astype(x.dtype) * (0.5 * math.sqrt(0.5))
        # From the middle, because distances lose less to rounding near the origin.
        value = jnp.where(categorical, corner, x[axis] - 0.5)
        value = jnp.where(active[axis], value, 0)
        own = np.flatnonzero(space.is_conditional)
        away = jnp.where(active[own], jnp.exp(self.log_absence), 0)
        return jnp.concatenate([value * weights[axis], away * weights[own]])

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Correlations of every row of `x` with every row of `z`."""
        return matern52(
            _squared_distances(jax.vmap(self.embed)(x), jax.vmap(self.embed)(z))
        )


class Sparse(Composed):
    """`Mixed` with inverse squared lengthscales rho_i = tau lambda_i that shrink to 0.

    Under half-Cauchy priors of the global shrinkage tau and the local lambda_i most
    columns do not matter, and the data may let a few of them matter much: the sparse
    axis-aligned subspaces of SAAS, to be sampled by `Bayesian`.

    Args:
        space: which columns are categories, and when each is active.
        log_global_shrinkage: log of tau.
        log_local_shrinkage: log of lambda, one a column.
        log_absence: see `Mixed`.

    References:
        Eriksson and Jankowiak (2021), High-dimensional Bayesian optimization with
        sparse axis-aligned subspaces, section 4.1, with a Matern kernel.
    """

    space: Space = eqx.field(static=True)
    log_global_shrinkage: Float[Array, ""]
    log_local_shrinkage: Float[Array, " d"]
    log_absence: Float[Array, " c"]

    @classmethod
    def of(cls, space: Space) -> "Sparse":
        """The kernel with tau 0.1 and every lambda 1."""
        return cls(
            space=space,
            log_global_shrinkage=jnp.asarray(np.log(0.1)),
            log_local_shrinkage=jnp.asarray(np.zeros(space.num_columns)),
            log_absence=Mixed.of(space).log_absence,
        )

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Those of `mixed`."""
        return gram(self.mixed, x, z)

    @property
    def mixed(self) -> Mixed:
        """The same function, as `Mixed` of lengthscales rho^-1/2."""
        log_rho = self.log_global_shrinkage + self.log_local_shrinkage
        return Mixed(self.space, -0.5 * log_rho, self.log_absence)
