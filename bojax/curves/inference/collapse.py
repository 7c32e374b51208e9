"""The linear part of a model integrated out: its evidence and its coefficients."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_LOG_2PI = math.log(2 * math.pi)
_UNROLLED = 6


class Normal(eqx.Module):
    """A joint normal distribution of coefficients, N(mean, factor factor').

    Args:
        mean: of each coefficient.
        factor: a square root of the covariance.
    """

    mean: Float[Array, "*batch p"]
    factor: Float[Array, "*batch p p"]


class Moments(eqx.Module):
    """What a likelihood needs to know of a curve and of the columns that explain it.

    Args:
        gram: inner products of the columns, over what was observed.
        inner: inner products of the columns with the values.
        square: the sum of the squared values.
        count: how many values there are.
    """

    gram: Float[Array, "p p"]
    inner: Float[Array, " p"]
    square: Float[Array, ""]
    count: Float[Array, ""]


def collapse(
    moments: Moments, prior: Normal, sigma: Float[Array, ""]
) -> tuple[Float[Array, ""], Normal]:
    """Evidence and posterior of coefficients b in y = X b + noise.

        b = m + L e,   A = I + L' X'X L / sigma^2,   r = X'(y - X m)
        log p(y) = -n/2 log 2 pi sigma^2 - |y - X m|^2 / 2 sigma^2
                   + |A^-1/2 L'r|^2 / 2 sigma^4 - 1/2 log |A|

    Args:
        moments: of the curve.
        prior: of the coefficients, N(m, L L').
        sigma: standard deviation of the noise.

    Returns:
        The log evidence, and the posterior of the coefficients.

    References:
        Rasmussen and Williams (2006), section 2.1.
    """
    precision = 1 / sigma**2
    size = prior.mean.shape[0]
    explained = moments.gram @ prior.mean
    square = moments.square + prior.mean @ (explained - 2 * moments.inner)
    target = precision * (prior.factor.T @ (moments.inner - explained))
    information = jnp.eye(size) + precision * (
        prior.factor.T @ moments.gram @ prior.factor
    )
    root = _factor(information)
    inverse = _invert(root)
    white = inverse @ target
    log_evidence = (
        -0.5 * moments.count * (_LOG_2PI + 2 * jnp.log(sigma))
        - 0.5 * precision * square
        + 0.5 * white @ white
        - jnp.sum(jnp.log(jnp.diagonal(root)))
    )
    factor = prior.factor @ inverse.T
    return log_evidence, Normal(prior.mean + factor @ white, factor)


def _factor(matrix: Float[Array, "p p"]) -> Float[Array, "p p"]:
    size = matrix.shape[0]
    if size > _UNROLLED:
        return jnp.linalg.cholesky(matrix, symmetrize_input=False)
    # Written out, a batch of small factors is one loop instead of a call for each.
    root = [[jnp.zeros_like(matrix[0, 0])] * size for _ in range(size)]
    for j in range(size):
        squared = matrix[j, j] - sum((root[j][k] ** 2 for k in range(j)), 0.0)
        # One at least, for the identity is part of the matrix; rounding may hide it.
        root[j][j] = jnp.sqrt(jnp.maximum(squared, 1.0))
        for i in range(j + 1, size):
            inner = sum((root[i][k] * root[j][k] for k in range(j)), 0.0)
            root[i][j] = (matrix[i, j] - inner) / root[j][j]
    return jnp.stack([jnp.stack(row) for row in root])


def _invert(root: Float[Array, "p p"]) -> Float[Array, "p p"]:
    size = root.shape[0]
    if size > _UNROLLED:
        return jax.scipy.linalg.solve_triangular(root, jnp.eye(size), lower=True)
    inverse = [[jnp.zeros_like(root[0, 0])] * size for _ in range(size)]
    for j in range(size):
        inverse[j][j] = 1 / root[j, j]
        for i in range(j + 1, size):
            inner = sum((root[i, k] * inverse[k][j] for k in range(j, i)), 0.0)
            inverse[i][j] = -inner / root[i, i]
    return jnp.stack([jnp.stack(row) for row in inverse])
