"""Covariance functions, each written for one pair of points.

Parameters are unconstrained leaves named after their logarithm, so that any optimizer
can move them and any prior can be found by name (`bojax.surrogates.priors`).
"""

import abc
import functools
import math
import operator

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
        case Mixed():
            return _mixed_gram(kernel, x, z)
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
    return jnp.maximum(squares - 2 * x @ z.T, 0)


def _differ(x: Float[Array, "..."], z: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Whether two categories differ, be it that they come in different precisions."""
    return jnp.abs(x - z) > 1e-6


def _root(squares: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Square root whose gradient at zero is zero rather than infinite."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)


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
        return jnp.exp(-_root(r2))


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
        r = math.sqrt(3) * _root(r2)
        return (1 + r) * jnp.exp(-r)


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


def matern52(r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Matern-5/2 correlation at a squared distance."""
    return _matern52(r2)


@jax.custom_jvp
def _matern52(r2):
    r = jnp.sqrt(5 * r2)
    return (1 + r + r**2 / 3) * jnp.exp(-r)


@_matern52.defjvp
def _matern52_jvp(primals, tangents):
    # As a function of r^2 the slope, -5/6 (1 + sqrt(5) r) exp(-sqrt(5) r), has no
    # singularity at zero; through sqrt it would have.
    r = jnp.sqrt(5 * primals[0])
    decay = jnp.exp(-r)
    value = (1 + r + r**2 / 3) * decay
    return value, (-5 / 6) * (1 + r) * decay * tangents[0]


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


class Mixed(Kernel):
    """Matern-5/2 over a whole space: numbers, categories and conditions.

    Numbers are at their distance, and two categories at distance one, each column in
    units of its lengthscale. A column that exists under a condition has a factor of its
    own, with activities a, a' in {0, 1},

        rho + (1 - rho) (a a' k(x, z) + (1 - a) (1 - a')),

    which is positive definite: a mixture of a constant and of a kernel over the
    disjoint union of "absent" and the column's values. Between a point that has the
    parameter and one that lacks it the correlation falls to rho, which is learned.

    Args:
        space: which columns are categories, and when each is active.
        log_lengthscale: one a column.
        logit_rho: of rho, one a conditional column.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> kernel = Mixed.of(space)
        >>> float(kernel(jnp.zeros(1), jnp.zeros(1)))
        1.0
    """

    space: Space = eqx.field(static=True)
    log_lengthscale: Float[Array, " d"]
    logit_rho: Float[Array, " c"]

    @classmethod
    def of(cls, space: Space) -> "Mixed":
        """The kernel with lengthscales 0.3 sqrt(d) and rho 1/2."""
        d, conditional = space.num_columns, np.sum(space.is_conditional)
        return cls(
            space=space,
            log_lengthscale=jnp.asarray(np.full(d, np.log(0.3 * np.sqrt(d)))),
            logit_rho=jnp.asarray(np.zeros(conditional)),
        )

    @property
    def is_conditional(self) -> bool:
        """Whether any column exists only under a condition."""
        return bool(np.any(self.space.is_conditional))

    def __call__(
        self, x: Float[Array, " d"], z: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Correlation of two points."""
        space = self.space
        distance = jnp.where(space.is_categorical, _differ(x, z).astype(x.dtype), x - z)
        squares = (distance * jnp.exp(-self.log_lengthscale)) ** 2
        if not self.is_conditional:
            return matern52(jnp.sum(squares))
        always = ~space.is_conditional
        value = matern52(jnp.sum(jnp.where(always, squares, 0)))
        a, b = space.active(x)[~always], space.active(z)[~always]
        both, neither = a & b, ~a & ~b
        own = matern52(jnp.where(both, squares[~always], 0))
        rho = jax.nn.sigmoid(self.logit_rho)
        factors = rho + (1 - rho) * (jnp.where(both, own, 0) + neither)
        return value * jnp.prod(factors)


def _mixed_gram(
    kernel: Mixed, x: Float[Array, "n d"], z: Float[Array, "m d"]
) -> Float[Array, "n m"]:
    """Numbers by one matrix product, categories one at a time, conditions at once."""
    space, weights = kernel.space, jnp.exp(-kernel.log_lengthscale)
    always = ~space.is_conditional
    # A product with zero, because to select columns is to scatter their gradients.
    weighted = jnp.where(always & ~space.is_categorical, weights, 0)
    squares = _squared_distances(x * weighted, z * weighted)
    for j in np.flatnonzero(always & space.is_categorical):
        squares = squares + _differ(x[:, j, None], z[None, :, j]) * weights[j] ** 2
    value = matern52(squares)
    return value * _factors(kernel, x, z) if kernel.is_conditional else value


def _factors(
    kernel: Mixed, x: Float[Array, "n d"], z: Float[Array, "m d"]
) -> Float[Array, "n m"]:
    """The product of the factors of all conditional columns."""
    space = kernel.space
    own = np.flatnonzero(space.is_conditional)
    a = jax.vmap(space.active)(x)[:, own].T[:, :, None]
    b = jax.vmap(space.active)(z)[:, own].T[:, None, :]
    left, right = x[:, own].T[:, :, None], z[:, own].T[:, None, :]
    squares = jnp.where(
        space.is_categorical[own, None, None],
        _differ(left, right).astype(x.dtype),
        (left - right) ** 2,
    )
    weights = jnp.exp(-2 * kernel.log_lengthscale[own, None, None])
    alike = matern52(jnp.where(a & b, squares, 0) * weights)
    shared = jnp.where(a & b, alike, (~a & ~b).astype(alike.dtype))
    rho = jax.nn.sigmoid(kernel.logit_rho)[:, None, None]
    # Without the barrier every factor is computed anew in the gradient of each other.
    return _product(jax.lax.optimization_barrier(rho + (1 - rho) * shared))


@jax.custom_jvp
def _product(factors: Float[Array, "c n m"]) -> Float[Array, "n m"]:
    """Over the first axis; no factor may be zero."""
    return functools.reduce(operator.mul, factors)


@_product.defjvp
def _product_jvp(primals, tangents):
    product = _product(*primals)
    return product, product * jnp.sum(tangents[0] / primals[0], axis=0)


class Sparse(Composed):
    """`Mixed` with inverse squared lengthscales rho_i = tau lambda_i that shrink to 0.

    Under half-Cauchy priors of the global shrinkage tau and the local lambda_i most
    columns do not matter, and the data may let a few of them matter much: the sparse
    axis-aligned subspaces of SAAS, to be sampled by `Bayesian`.

    Args:
        space: which columns are categories, and when each is active.
        log_global_shrinkage: log of tau.
        log_local_shrinkage: log of lambda, one a column.
        logit_rho: see `Mixed`.

    References:
        Eriksson and Jankowiak (2021), High-dimensional Bayesian optimization with
        sparse axis-aligned subspaces, section 4.1, with a Matern kernel.
    """

    space: Space = eqx.field(static=True)
    log_global_shrinkage: Float[Array, ""]
    log_local_shrinkage: Float[Array, " d"]
    logit_rho: Float[Array, " c"]

    @classmethod
    def of(cls, space: Space) -> "Sparse":
        """The kernel with tau 0.1 and every lambda 1."""
        return cls(
            space=space,
            log_global_shrinkage=jnp.asarray(np.log(0.1)),
            log_local_shrinkage=jnp.asarray(np.zeros(space.num_columns)),
            logit_rho=jnp.asarray(np.zeros(np.sum(space.is_conditional))),
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
        return Mixed(self.space, -0.5 * log_rho, self.logit_rho)
