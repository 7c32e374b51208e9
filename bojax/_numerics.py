"""Numerics that everything stands on: buckets, Cholesky, likelihood, log-EI tails."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def bucket(n: int) -> int:
    """The padded size for `n` rows: 64, 128, then steps of about 1.5.

    Every size is one compilation, and padding is wasted work: cubic work, hence the
    finer steps where it tells.

    Example:
        >>> [bucket(n) for n in (1, 65, 129, 200, 500)]
        [64, 128, 192, 256, 512]
    """
    if n <= 128:
        return 64 if n <= 64 else 128
    power = 2 ** math.floor(math.log2(n))
    return next(size for size in (power, 3 * power // 2, 2 * power) if n <= size)


def cholesky(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Lower Cholesky factor, with as little jitter as makes it succeed.

    The jitter starts at nothing and grows a hundredfold until the factor is finite, at
    most up to about 1e-2 (float64: 1e-4) of the mean diagonal. What fails even then is
    returned as it came, NaN, for the caller to flag.
    """
    eps = jnp.finfo(matrix.dtype).eps
    limit = 1e-2 if eps > 1e-10 else 1e-4
    unit = jnp.mean(jnp.diagonal(matrix))
    eye = jnp.eye(matrix.shape[0], dtype=matrix.dtype)

    def attempt(carry):
        _, jitter = carry
        factor = jnp.linalg.cholesky(
            matrix + (jitter * unit) * eye, symmetrize_input=False
        )
        return factor, jnp.maximum(100 * jitter, 10 * eps)

    def failed(carry):
        factor, jitter = carry
        # The last pivot is enough: a breakdown leaves NaN in all that follows it.
        return ~jnp.isfinite(factor[-1, -1]) & (jitter <= limit)

    start = (jnp.full_like(matrix, jnp.nan), jnp.zeros((), matrix.dtype))
    return jax.lax.while_loop(failed, attempt, start)[0]


def invert_factor(factor: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Inverse of a lower triangular matrix."""
    eye = jnp.eye(factor.shape[0], dtype=factor.dtype)
    return jax.lax.linalg.triangular_solve(factor, eye, left_side=True, lower=True)


@jax.custom_vjp
def gaussian_log_density(
    residual: Float[Array, " n"], covariance: Float[Array, "n n"]
) -> Float[Array, ""]:
    """Log density of N(0, covariance) at `residual`, up to -n/2 log 2 pi.

        log p = -1/2 r' K^-1 r - 1/2 log |K|

    Its gradient is written out, 1/2 (alpha alpha' - K^-1) with alpha = K^-1 r, which
    costs about half of differentiating through the Cholesky. NaN where the covariance
    has no factor: whoever maximizes turns back there.

    References:
        Rasmussen and Williams (2006), equations 5.8 and 5.9.
    """
    factor = jnp.linalg.cholesky(covariance, symmetrize_input=False)
    white = jax.scipy.linalg.solve_triangular(factor, residual, lower=True)
    return -0.5 * white @ white - _half_log_determinant(factor)


def _half_log_determinant(factor):
    return jnp.sum(jnp.log(jnp.diagonal(factor)))


def _log_density_forward(residual, covariance):
    factor = jnp.linalg.cholesky(covariance, symmetrize_input=False)
    eye = jnp.eye(residual.shape[0], dtype=residual.dtype)
    precision = jax.scipy.linalg.cho_solve((factor, True), eye)
    alpha = precision @ residual
    log_density = -0.5 * residual @ alpha - _half_log_determinant(factor)
    return log_density, (precision, alpha)


def _log_density_backward(saved, cotangent):
    precision, alpha = saved
    return -cotangent * alpha, (0.5 * cotangent) * (jnp.outer(alpha, alpha) - precision)


gaussian_log_density.defvjp(_log_density_forward, _log_density_backward)


def masked_covariance(
    gram: Float[Array, "n n"], noise: Float[Array, " n"], mask: Bool[Array, " n"]
) -> Float[Array, "n n"]:
    """Covariance of noisy values, in which rows outside the mask are unit vectors.

    Padding then adds nothing to a determinant, and nothing to a solution.
    """
    both = mask[:, None] & mask[None, :]
    return jnp.where(both, gram, 0) + jnp.diag(jnp.where(mask, noise, 1))


@functools.partial(jax.custom_jvp)
def log_h(u: Float[Array, ""]) -> Float[Array, ""]:
    """log h(u) of h(u) = phi(u) + u Phi(u), the expected improvement in units of sigma.

    Without underflow for any u: above -8 as it is written, below with the continued
    fraction of Mills' ratio Phi(u) / phi(u) = 1 / (t + c), t = -u, by which h(u) =
    phi(u) c / (t + c) without cancellation.

    References:
        Ament et al. (2023), equation 8, for the function; Abramowitz and Stegun (1964),
        26.2.14, for the fraction.
    """
    return _log_h(u)[0]


@log_h.defjvp
def _log_h_jvp(primals, tangents):
    value, slope = _log_h(primals[0])
    return value, slope * tangents[0]


def _log_h(u):
    """log h(u) and its derivative Phi(u) / h(u)."""
    # Each branch sees only arguments that it can digest, so that where() never mixes a
    # NaN into a gradient.
    near = jnp.maximum(u, -8.0)
    phi = jnp.exp(-0.5 * near**2 - _LOG_SQRT_2PI)
    cdf = 0.5 * jax.lax.erfc(-near * math.sqrt(0.5))
    h = phi + near * cdf

    t = jnp.maximum(-u, 8.0)
    tail = t
    for k in range(14, 1, -1):
        tail = t + k / tail
    c = 1 / tail
    # Halving first keeps t * t from overflowing at half of its range.
    far = -(0.5 * t) * t - _LOG_SQRT_2PI - (jnp.log(tail) + jnp.log(t + c))
    return jnp.where(u > -8, jnp.log(h), far), jnp.where(u > -8, cdf / h, tail)
