"""Acquisitions by reparameterized Monte Carlo over scrambled Sobol points.

What is drawn are the values at pending points, and under noise those at the observed
ones too. Given these, what a point adds is an integral in closed form: no draw is made
of the last point of a batch, and no smooth stand-in for an improvement is needed.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from bojax._sobol import MAX_COLUMNS, sobol
from bojax.acquisitions.analytic import log_expected_improvement
from bojax.acquisitions.base import Acquisition, Belief
from bojax.surrogates import GPPosterior
from bojax.surrogates.draws import Draws, draw_all, draw_pending

_TEMPERATURE = 1e-2
"""Of smooth extrema, in standard deviations of what is compared."""


def base_samples(
    key: PRNGKeyArray, num_samples: int, num_columns: int
) -> Float[Array, "s c"]:
    """Standard normal vectors: quantiles of scrambled Sobol points.

    Args:
        key: of the scramble.
        num_samples: how many; best a power of two.
        num_columns: their length.

    Raises:
        ValueError: if a count is not positive.

    Example:
        >>> import jax
        >>> z = base_samples(jax.random.key(0), 64, 3)
        >>> abs(float(z.mean())) < 0.05
        True

    References:
        Balandat et al. (2020), BoTorch, section 3.2.
    """
    uniform = uniform_samples(key, num_samples, num_columns)
    # Zero is a possible point, and has no quantile.
    return jax.scipy.special.ndtri(jnp.maximum(uniform, 2.0**-33))


def uniform_samples(
    key: PRNGKeyArray, num_samples: int, num_columns: int
) -> Float[Array, "s c"]:
    """Scrambled Sobol points; columns beyond the sequence's 1,024 are independent.

    Raises:
        ValueError: if a count is not positive.
    """
    for name, count in (("num_samples", num_samples), ("num_columns", num_columns)):
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count}")
    covered = min(num_columns, MAX_COLUMNS)
    points = sobol(key, jnp.arange(num_samples), covered)
    rest = (num_samples, num_columns - covered)
    further = jax.random.uniform(jax.random.fold_in(key, 1), rest, points.dtype)
    return jnp.concatenate([points, further], axis=1)


class QLogEI(Acquisition):
    """Log of what a batch is expected to improve on the best value and on what pends.

        log E[max(min(best_y, f(pending)) - min f(x), 0)]

    With one point and nothing pending it is `LogEI` exactly; with one point it is a
    mean over draws at what is pending, in closed form given each. The improvement of a
    batch is the sum of what each point adds to those before it,

        sum_j E[max(t_j - f(x_j), 0)],  t_j = min(best, f(x_1), ..., f(x_j-1)),

    and each of these is integrated over its own f(x_j) in closed form.

    Args:
        posterior: of the objective, in whose data pending points are believed.
        best_y: the value to beat.
        key: of the draws.
        q: how many points are chosen jointly.
        num_samples: how many draws; best a power of two.

    Raises:
        ValueError: if a count is not positive, or a batch has not `q` points.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = QLogEI(gp.condition(data), 0.0, jax.random.key(0), q=2)
        >>> float(acquisition(jnp.array([[0.1], [0.3]]))) < 0
        True

    References:
        Wang, Clark, Liu and Frazier (2020), Parallel Bayesian global optimization of
        expensive functions, equation 3; Ament et al. (2023), Unexpected improvements to
        expected improvement for Bayesian optimization, section 4.
    """

    logarithmic = True

    posterior: GPPosterior
    draws: Draws
    best_y: Float[Array, " s"]
    base: Float[Array, "s q"]

    def __init__(
        self,
        posterior: GPPosterior,
        best_y: Float[Array, ""] | float,
        key: PRNGKeyArray,
        q: int = 1,
        num_samples: int = 128,
    ):
        self.posterior = posterior
        self.base, rows = _base(posterior, key, q, num_samples)
        self.draws = draw_pending(posterior, rows)
        self.best_y = jnp.minimum(best_y, jnp.min(self.draws.values, axis=1))

    @classmethod
    def of(cls, belief: Belief) -> "QLogEI":
        """The acquisition for the next point of a run."""
        data, believed = belief.posterior.data, belief.posterior.believed
        measured = jnp.where(belief.feasible & ~believed, data.y, jnp.inf)
        best = jnp.min(measured)
        best = jnp.where(jnp.isinf(best), belief.best_y, best)
        return cls(belief.posterior, best, belief.key)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Log expected improvement of the rows of `x` together."""
        _check(self.base, x)
        return _log_improvement(self.draws, self.best_y, self.base, x)


class QLogNEI(Acquisition):
    """Log of what a batch is expected to improve where no value is known for certain.

        log E[max(min f(observed, pending) - min f(x), 0)]

    The values at all points observed and pending are drawn jointly and without their
    noise. Given a draw the improvement is that of `QLogEI`, in closed form for one
    point. Without noise it is `QLogEI`.

    Args:
        posterior: of the objective, in whose data pending points are believed.
        key: of the draws.
        q: how many points are chosen jointly.
        num_samples: how many draws; best a power of two.
        feasible: rows of the data that count; default: all.

    Raises:
        ValueError: if a count is not positive, or a batch has not `q` points.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = QLogNEI(gp.condition(data), jax.random.key(0))
        >>> bool(acquisition(jnp.array([[0.1]])) > acquisition(jnp.array([[0.9]])))
        True

    References:
        Letham, Karrer, Ottoni and Bakshy (2019), Constrained Bayesian optimization with
        noisy experiments, equations 7 and 8; Ament et al. (2023), section 4.
    """

    logarithmic = True

    posterior: GPPosterior
    draws: Draws
    best_y: Float[Array, " s"]
    base: Float[Array, "s q"]

    def __init__(
        self,
        posterior: GPPosterior,
        key: PRNGKeyArray,
        q: int = 1,
        num_samples: int = 128,
        feasible: Bool[Array, " n"] | None = None,
    ):
        self.posterior = posterior
        self.base, rows = _base(posterior, key, q, num_samples)
        self.draws = draw_all(posterior, rows)
        mask = posterior.data.mask
        counts = mask if feasible is None else mask & feasible
        # Where nothing is feasible yet, everything improves on the worst.
        values = self.draws.values
        worst = jnp.max(jnp.where(mask, values, -jnp.inf), axis=1)
        least = jnp.min(jnp.where(counts, values, jnp.inf), axis=1)
        self.best_y = jnp.where(jnp.any(counts), least, worst)

    @classmethod
    def of(cls, belief: Belief) -> "QLogNEI":
        """The acquisition for the next point of a run."""
        return cls(belief.posterior, belief.key, feasible=belief.feasible)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Log noisy expected improvement of the rows of `x` together."""
        _check(self.base, x)
        return _log_improvement(self.draws, self.best_y, self.base, x)


class QUCB(Acquisition):
    """Upper confidence bound of -f for a batch and what is pending, together.

        E[max_i (-mean_i + sqrt(beta pi / 2) |f_i - mean_i|)]

    over the points of the batch and the pending ones. The maximum is a smooth one with
    heavy tails, so that a point has a slope even where it is never the best.

    Args:
        posterior: of the objective, in whose data pending points are believed.
        key: of the draws.
        beta: squared width of the bound, in standard deviations.
        q: how many points are chosen jointly.
        num_samples: how many draws; best a power of two.

    Raises:
        ValueError: if a count is not positive, or a batch has not `q` points.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = QUCB(gp.condition(data), jax.random.key(0), q=2)
        >>> acquisition(jnp.array([[0.1], [0.3]])).shape
        ()

    References:
        Wilson, Moriconi, Hutter and Deisenroth (2017), The reparameterization trick for
        acquisition functions, table 1; Ament et al. (2023), appendix A.4.
    """

    posterior: GPPosterior
    draws: Draws
    best: Float[Array, " s"]
    base: Float[Array, "s q"]
    beta: Float[Array, ""]

    def __init__(
        self,
        posterior: GPPosterior,
        key: PRNGKeyArray,
        beta: Float[Array, ""] | float = 2.0,
        q: int = 1,
        num_samples: int = 128,
    ):
        self.posterior = posterior
        self.beta = jnp.asarray(beta)
        self.base, rows = _base(posterior, key, q, num_samples)
        self.draws = draw_pending(posterior, rows)
        mean = posterior.data.y
        bounds = -mean + self._width * jnp.abs(self.draws.values - mean)
        bounds = jnp.where(posterior.believed, bounds, -jnp.inf)
        self.best = jnp.max(bounds, axis=1)

    @classmethod
    def of(cls, belief: Belief) -> "QUCB":
        """The acquisition for the next point of a run."""
        return cls(belief.posterior, belief.key)

    @property
    def _width(self) -> Float[Array, ""]:
        return jnp.sqrt(self.beta * math.pi / 2)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Upper confidence bound of the rows of `x` together."""
        _check(self.base, x)
        given, covariance = self.draws(x)
        factor = batch_factor(covariance, self.posterior.prior_variance(x))
        mean = jax.vmap(self.posterior.marginal)(x)[0]
        drawn = given + self.base @ factor.T
        bounds = -mean + self._width * jnp.abs(drawn - mean)
        # A bound far below all others stands for that of nothing pending.
        unit = jax.lax.stop_gradient(jnp.max(jnp.diagonal(factor)))
        lowest = jax.lax.stop_gradient(jnp.min(bounds)) - 1e6 * unit
        best = jnp.where(jnp.isinf(self.best), lowest, self.best)
        every = jnp.concatenate([best[:, None], bounds], axis=1)
        return jnp.mean(jax.vmap(_fat_maximum, (0, None))(every, _TEMPERATURE * unit))


def _base(
    posterior: GPPosterior, key: PRNGKeyArray, q: int, num_samples: int
) -> tuple[Float[Array, "s q"], Float[Array, "s n"]]:
    """Base samples of a batch, in the sequence's best columns, and of the data."""
    if q < 1:
        raise ValueError(f"q: expected at least 1, got {q}")
    base = base_samples(key, num_samples, q + posterior.white.shape[-1])
    base = base.astype(posterior.white.dtype)
    return base[:, :q], base[:, q:]


def _check(base: Float[Array, "s q"], x: Float[Array, "p d"]) -> None:
    if x.shape[0] != base.shape[1]:
        raise ValueError(
            f"x: expected a batch of {base.shape[1]} points, as q says, "
            f"got shape {x.shape}"
        )


def batch_factor(
    covariance: Float[Array, "q q"], prior: Float[Array, " q"]
) -> Float[Array, "q q"]:
    """Cholesky factor of a batch, whose points may coincide.

    Args:
        covariance: of the values at its points.
        prior: their variances before any data: what is left of them has rounding errors
            of the size of these.
    """
    relative = 1e-5 if jnp.finfo(covariance.dtype).eps > 1e-10 else 1e-9
    return jnp.linalg.cholesky(covariance + jnp.diag(relative * prior))


def _log_improvement(
    draws: Draws,
    best_y: Float[Array, " s"],
    base: Float[Array, "s q"],
    x: Float[Array, "q d"],
) -> Float[Array, ""]:
    """Log mean over draws of what the rows of `x` improve on `best_y` together."""
    if x.shape[0] == 1:
        mean, variance = draws.marginal(x[0])
        mean, variance, to_beat = mean[:, None], variance[None], best_y[:, None]
    else:
        mean, covariance = draws(x)
        factor = batch_factor(covariance, draws.posterior.prior_variance(x))
        sigma = jnp.diagonal(factor)
        # Of each point given those before it.
        mean, variance = mean + base @ jnp.tril(factor, -1).T, sigma**2
        values = mean + base * sigma
        unit = _TEMPERATURE * jax.lax.stop_gradient(jnp.mean(sigma))
        gains = jnp.pad((best_y[:, None] - values[:, :-1]) / unit, ((0, 0), (1, 0)))
        to_beat = best_y[:, None] - unit * jax.lax.cumlogsumexp(gains, axis=1)
    of_each_point = jax.vmap(log_expected_improvement)
    each = jax.vmap(of_each_point, (0, None, 0))(mean, variance, to_beat)
    return jax.nn.logsumexp(each) - math.log(len(base))


def _fat_maximum(
    values: Float[Array, " k"], temperature: Float[Array, ""]
) -> Float[Array, ""]:
    """A smooth maximum, to which what is far below still contributes by its square.

    References:
        Ament et al. (2023), equation 13.
    """
    greatest = jnp.max(values)
    distance = (greatest - values) / temperature
    return greatest + temperature * jnp.log(jnp.sum(1 / (1 + distance**2)))
