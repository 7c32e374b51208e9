"""Random features: waves whose products average to a kernel.

A feature is a complex function of one point, phi(x) = a(x) exp(i theta(x)), drawn so
that

    E[phi(x) conj(phi(z))] = k(x, z).

Features of a product of kernels are products of independent features: amplitudes
multiply and phases add. `features` makes them for each kind of kernel; another kind is
taught by `features.register`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from bojax.surrogates import kernels
from bojax.surrogates.kernels import Kernel

_PITCH = 1e4
"""Frequency at which categories, a thousandth apart or more, are out of phase."""


@functools.singledispatch
def features(kernel: Kernel, key: PRNGKeyArray, count: int) -> Callable:
    """Random features of a kernel.

    Args:
        kernel: one of `kernels`, or of a class that was registered.
        key: of the draw.
        count: how many features, l.

    Returns:
        A pytree that maps a point `[d]` to amplitudes and phases, `[l]` each or a
        scalar that they share.

    Raises:
        TypeError: if no features are known for the kernel's class.

    Example:
        >>> import jax, jax.numpy as jnp, math
        >>> waves = features(kernels.RBF(jnp.zeros(1)), jax.random.key(0), 4096)
        >>> phase = waves(jnp.ones(1))[1] - waves(jnp.zeros(1))[1]
        >>> abs(float(jnp.mean(jnp.cos(phase))) - math.exp(-0.5)) < 0.05
        True

    References:
        Rahimi and Recht (2007), Random features for large-scale kernel machines,
        theorem 1, Bochner's.
    """
    known = sorted(cls.__name__ for cls in features.registry if cls is not object)
    raise TypeError(
        "kernel: expected one whose random features are known "
        f"({', '.join(known)}), got {type(kernel).__name__}"
    )


def _inverse_chi2(key: PRNGKeyArray, degrees: int, shape, dtype) -> Float[Array, "..."]:
    """degrees / chi^2: the squared scale that makes a normal vector Student's."""
    white = jax.random.normal(key, (*shape, degrees), dtype)
    return 1 / jnp.mean(white**2, axis=-1)


def _plane(frequencies: Float[Array, "l d"], x: Float[Array, " d"]):
    return jnp.ones((), x.dtype), frequencies @ x


def _stationary(kernel: kernels.Stationary, key, count, squared_scale):
    weights = jnp.exp(-kernel.log_lengthscale)
    white = jax.random.normal(key, (count, weights.shape[0]), weights.dtype)
    return Partial(_plane, white * weights * jnp.sqrt(squared_scale)[:, None])


@features.register
def _(kernel: kernels.RBF, key, count):
    return _stationary(kernel, key, count, jnp.ones(count))


@features.register(kernels.Matern12)
@features.register(kernels.Matern32)
@features.register(kernels.Matern52)
def _(kernel, key, count):
    """The spectral density of smoothness nu is Student's of 2 nu degrees."""
    degrees = {kernels.Matern12: 1, kernels.Matern32: 3, kernels.Matern52: 5}
    own, shared = jax.random.split(key)
    dtype = kernel.log_lengthscale.dtype
    scale = _inverse_chi2(shared, degrees[type(kernel)], (count,), dtype)
    return _stationary(kernel, own, count, scale)


@features.register
def _(kernel: kernels.RationalQuadratic, key, count):
    """A mixture of RBFs whose inverse squared lengthscale is Gamma(alpha, alpha)."""
    own, shared = jax.random.split(key)
    alpha = jnp.exp(kernel.log_alpha)
    scale = jax.random.gamma(shared, alpha, (count,), alpha.dtype) / alpha
    return _stationary(kernel, own, count, scale)


@features.register
def _(kernel: kernels.Periodic, key, count):
    """An RBF on circles: |c(x) - c(z)|^2 = 4 sin^2(pi (x - z) / p)."""
    weights = jnp.exp(-kernel.log_lengthscale)
    white = jax.random.normal(key, (2, count, weights.shape[0]), weights.dtype)
    turns = 2 * jnp.pi * jnp.exp(-kernel.log_period)
    return Partial(_circles, white * weights, turns)


def _circles(frequencies: Float[Array, "2 l d"], turns, x: Float[Array, " d"]):
    phase = frequencies[0] @ jnp.cos(turns * x) + frequencies[1] @ jnp.sin(turns * x)
    return jnp.ones((), x.dtype), phase


@features.register
def _(kernel: kernels.Linear, key, count):
    deviation = jnp.exp(0.5 * kernel.log_weight_variance)
    shape = (count, deviation.shape[0])
    return Partial(_line, deviation * jax.random.normal(key, shape, deviation.dtype))


def _line(slopes: Float[Array, "l d"], x: Float[Array, " d"]):
    return slopes @ (x - 0.5), jnp.zeros((), x.dtype)


@features.register
def _(kernel: kernels.Hamming, key, count):
    """A column's factor is 1 with probability exp(-1 / l), else [x = z]."""
    weights = jnp.exp(-kernel.log_lengthscale)
    choice, own = jax.random.split(key)
    shape = (count, weights.shape[0])
    alike = jax.random.uniform(choice, shape, weights.dtype) < jnp.exp(-weights)
    white = jax.random.normal(own, shape, weights.dtype)
    return Partial(_labels, jnp.where(alike, 0, _PITCH * white))


def _labels(frequencies: Float[Array, "l d"], x: Float[Array, " d"]):
    return _plane(frequencies, jax.lax.stop_gradient(x))


@features.register
def _(kernel: kernels.Scale, key, count):
    inner = features(kernel.kernel, key, count)
    return Partial(_scaled, jnp.exp(0.5 * kernel.log_variance), inner)


def _scaled(deviation: Float[Array, "*l"], inner: Callable, x: Float[Array, " d"]):
    amplitude, phase = inner(x)
    return deviation * amplitude, phase


@features.register
def _(kernel: kernels.Product, key, count):
    left, right = jax.random.split(key)
    return Partial(
        _product,
        features(kernel.left, left, count),
        features(kernel.right, right, count),
    )


def _product(left: Callable, right: Callable, x: Float[Array, " d"]):
    (a, theta), (b, eta) = left(x), right(x)
    return a * b, theta + eta


@features.register
def _(kernel: kernels.Sum, key, count):
    """A random half of the features is the left kernel's."""
    choice, left, right = jax.random.split(key, 3)
    # Drawn anew for every sum: halves of nested sums must be independent.
    is_left = jax.random.permutation(choice, np.arange(count) < max(count // 2, 1))
    return Partial(
        _sum,
        is_left,
        features(kernel.left, left, count),
        features(kernel.right, right, count),
    )


def _sum(is_left: Bool[Array, " l"], left: Callable, right: Callable, x):
    (a, theta), (b, eta) = left(x), right(x)
    share = jnp.mean(is_left, dtype=x.dtype)
    root = jnp.sqrt(jnp.where(is_left, share, 1 - share))
    return jnp.where(is_left, a, b) / root, jnp.where(is_left, theta, eta)


@features.register
def _(kernel: kernels.Columns, key, count):
    inner = features(kernel.kernel, key, count)
    return Partial(functools.partial(_columns, kernel.index), inner)


def _columns(index: tuple[int, ...], inner: Callable, x: Float[Array, " d"]):
    return inner(x[np.array(index)])


@features.register
def _(kernel: kernels.Mixed, key, count):
    """Student's waves over the Euclidean space to which all points are mapped."""
    own, shared = jax.random.split(key)
    dtype = kernel.log_lengthscale.dtype
    size = kernel.embed(jnp.full(kernel.space.num_columns, 0.5, dtype)).shape[0]
    white = jax.random.normal(own, (count, size), dtype)
    scale = _inverse_chi2(shared, 5, (count,), dtype)
    return Partial(_embedded, white * jnp.sqrt(scale)[:, None], kernel)


def _embedded(frequencies: Float[Array, "l e"], kernel, x: Float[Array, " d"]):
    return _plane(frequencies, kernel.embed(x))


@features.register
def _(kernel: kernels.Sparse, key, count):
    return features(kernel.mixed, key, count)
