"""Entropy search: what a noisy value tells about the minimum.

The objective is known to be at least its minimum f*, so that given f* its value at x is
a truncated normal. With gamma = (mean - f*) / sigma, r = phi(gamma) / Phi(gamma), and
rho the correlation of the value with its noisy observation, all here follows.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bojax import _lbfgs
from bojax._sobol import sobol
from bojax.acquisitions.base import Acquisition, Belief
from bojax.data import ENUMERABLE
from bojax.space import Space
from bojax.surrogates import GPPosterior, Paths

NUM_MINIMA = 32
"""Minima that an acquisition averages over."""

_NUM_FEATURES = 512
_NUM_RAW = 512
"""Points at which the search for a function's minimum begins."""

_MAX_EVALUATIONS = 20
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_TAIL = 3.0
"""Further below, Mills' ratio is a continued fraction."""

_FAR = 4.0
"""Beyond this on either side, Phi log Phi / phi is expanded."""

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(8)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def _fraction(t: Float[Array, "*batch"], first: int) -> Float[Array, "*batch"]:
    """t + first / (t + (first + 1) / (t + ...)), for t of at least 3."""
    tail = t
    for k in range(first + 15, first - 1, -1):
        tail = t + k / tail
    return tail


def _log_cdf(u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """log Phi(u), to full relative precision on both sides."""
    middle = jnp.clip(u, -_TAIL, 0)
    below = jnp.log(0.5 * jax.lax.erfc(-middle * math.sqrt(0.5)))
    above = jnp.log1p(-0.5 * jax.lax.erfc(jnp.maximum(u, 0) * math.sqrt(0.5)))
    t = jnp.maximum(-u, _TAIL)
    far = -0.5 * t * t - _LOG_SQRT_2PI - jnp.log(_fraction(t, 1))
    return jnp.where(u > 0, above, jnp.where(u > -_TAIL, below, far))


def _slope(u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """r = phi(u) / Phi(u), the slope of log Phi."""
    near = jnp.maximum(u, -_TAIL)
    density = jnp.exp(-0.5 * near * near - _LOG_SQRT_2PI)
    ratio = density / (0.5 * jax.lax.erfc(-near * math.sqrt(0.5)))
    return jnp.where(u > -_TAIL, ratio, _fraction(jnp.maximum(-u, _TAIL), 1))


def truncated_variance(gamma: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """1 - r (gamma + r), the variance of a standard normal below gamma.

    Without cancellation in the lower tail, where it is about 1 / gamma^2.

    Example:
        >>> print(f"{truncated_variance(jnp.array(0.0)):.4f}")  # 1 - 2 / pi
        0.3634
    """
    near = jnp.maximum(gamma, -_TAIL)
    ratio = _slope(near)
    t = jnp.maximum(-gamma, _TAIL)
    # r = t + 1 / (t + l), with l the next level of the fraction.
    l = 2 / _fraction(t, 3)
    k = 1 / (t + l)
    far = (l - k) / (t + l)
    return jnp.where(gamma > -_TAIL, 1 - ratio * (near + ratio), far)


def _weighed_log_cdf(u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Phi(u) log Phi(u) / phi(u): -u / 2 far below, -1 / u far above."""
    middle = jnp.clip(u, -_FAR, _FAR)
    near = _log_cdf(middle) / _slope(middle)
    t = jnp.maximum(jnp.abs(u), _FAR)
    mills = 1 / _fraction(t, 1)
    below = mills * (-0.5 * t * t - _LOG_SQRT_2PI + jnp.log(mills))
    # log(1 - Q) (1 - Q) = -Q (1 - Q / 2 - ...), with Q = phi(t) mills under 4e-5.
    above = -mills * (1 - 0.5 * mills * jnp.exp(-0.5 * t * t - _LOG_SQRT_2PI))
    far = jnp.where(u < 0, below, above)
    return jnp.where(jnp.abs(u) < _FAR, near, far)


def truncation_information(
    gamma: Float[Array, "*batch"], rho2: Float[Array, "*#batch"]
) -> Float[Array, "*batch"]:
    """Nats of entropy that a noisy value loses when its noise-free part is truncated.

    Given the truncation the noisy value has the density phi(z) Phi(u(z)) / Phi(gamma),
    u(z) = (gamma - rho z) / c with c^2 = 1 - rho^2. Its entropy is smaller by

        1/2 rho^2 gamma r - log Phi(gamma) + c r E[Phi(u) log Phi(u) / phi(u)],

    the expectation being over u ~ N(c gamma, rho^2): completing the square leaves an
    integrand so smooth that eight nodes of Gauss and Hermite are exact to 1e-7.
    Without noise the last term is zero, and the rest is the formula of 2017.

    Args:
        gamma: (mean - f*) / sigma, the truncation, in standard deviations.
        rho2: the share of the noise-free value in the variance of the noisy one.

    Example:
        >>> information = truncation_information(jnp.array(0.0), jnp.array(1.0))
        >>> print(f"{information:.4f}")  # log 2
        0.6931

    References:
        Wang and Jegelka (2017), Max-value entropy search for efficient Bayesian
        optimization, equation 6; Moss, Leslie, Gonzalez and Rayson (2021), GIBBON,
        section 3.2, for the density, of which they bound the entropy.
    """
    # Below -30 a path's minimum was missed: no draw is that far from the mean.
    gamma = jnp.maximum(gamma, -30.0)
    ratio = _slope(gamma)
    # A root whose slope is zero, rather than infinite, where there is no noise.
    noisy = rho2 < 1
    c = jnp.where(noisy, jnp.sqrt(jnp.where(noisy, 1 - rho2, 1)), 0)
    rho = jnp.sqrt(jnp.maximum(rho2, jnp.finfo(gamma.dtype).tiny))
    nodes = _NODES.astype(gamma.dtype)
    u = (c * gamma)[..., None] + rho[..., None] * nodes
    expected = _weighed_log_cdf(u) @ _WEIGHTS.astype(gamma.dtype)
    return 0.5 * rho2 * gamma * ratio - _log_cdf(gamma) + c * ratio * expected


@eqx.filter_jit
def sample_minima(
    paths: Paths, space: Space, key: PRNGKeyArray
) -> tuple[Float[Array, "s d"], Float[Array, " s"]]:
    """Where functions drawn from a posterior are least, and their values there.

    Each is screened at the points of the data and at scrambled Sobol points, from the
    best of which L-BFGS descends in the numeric columns. All configurations of a finite
    space of up to 4,096 are screened instead.

    Args:
        paths: the functions.
        space: its conditions and constraints are respected.
        key: of the screened points.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> posterior = bojax.surrogates.GP(space).condition(data)
        >>> paths = posterior.sample(jax.random.key(0), 4)
        >>> x, f = sample_minima(paths, space, jax.random.key(1))
        >>> x.shape, f.shape
        ((4, 1), (4,))
    """
    dtype = paths.weights.dtype
    everything = None if math.isinf(space.size) else space.enumerate(ENUMERABLE)
    if everything is None:
        spread = sobol(key, jnp.arange(_NUM_RAW), space.num_columns, dtype)
        known = jnp.where(paths.data.mask[:, None], paths.data.x, 0.5)
        raw = jax.vmap(space.project)(jnp.concatenate([spread, known]))
    else:
        raw = jnp.asarray(everything, dtype)
    values = _feasible(space, raw, jax.vmap(paths)(raw))
    best = jnp.argmin(values, axis=0)
    x, value = raw[best], jnp.min(values, axis=0)
    numeric = ~space.is_categorical & (space.num_levels == 0)
    if everything is not None or not np.any(numeric):
        return x, value

    def descend(i, x):
        end = _lbfgs.minimize(
            lambda x, path: path(x)[0],
            x,
            jnp.where(numeric, 0, x),
            jnp.where(numeric, 1, x),
            paths[i[None]],
            max_evaluations=_MAX_EVALUATIONS,
        ).x
        end = space.project(end)
        return end, paths[i[None]](end)[0]

    end, reached = jax.vmap(descend)(jnp.arange(len(paths)), x)
    reached = _feasible(space, end, reached)
    lower = reached < value
    return jnp.where(lower[:, None], end, x), jnp.where(lower, reached, value)


def _feasible(
    space: Space, x: Float[Array, "c d"], values: Float[Array, "c ..."]
) -> Float[Array, "c ..."]:
    """The values, infinite where a point is infeasible."""
    if not space.constraints:
        return values
    feasible = jax.vmap(space.feasible)(x)
    return jnp.where(feasible.reshape(-1, *[1] * (values.ndim - 1)), values, jnp.inf)


def _minima_of(
    belief: Belief, num_minima: int
) -> tuple[Float[Array, "s d"], Float[Array, " s"]]:
    if belief.space is None:
        raise ValueError("belief: expected one with a space to search for minima in")
    draw, spread = jax.random.split(belief.key)
    paths = belief.posterior.sample(draw, num_minima, _NUM_FEATURES)
    return sample_minima(paths, belief.space.full_fidelity, spread)


class MES(Acquisition):
    """Max-value entropy search: what a noisy value tells about the minimum's value.

        I(y; f*) = H(y) - E[H(y | f*)], with f >= f* at this point

    in nats, over draws of f*. Exact for noisy values, see `truncation_information`.

    Args:
        posterior: of the objective.
        minima: draws of its least value.

    Example:
        >>> import bojax
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = MES(gp.condition(data), jnp.array([-0.5, -0.1]))
        >>> bool(acquisition(jnp.array([[0.2]])) > acquisition(jnp.array([[0.0]])))
        True

    References:
        Wang and Jegelka (2017), Max-value entropy search for efficient Bayesian
        optimization, equation 6; Takeno et al. (2020), Multi-fidelity Bayesian
        optimization with max-value entropy search, for noise.
    """

    posterior: GPPosterior
    minima: Float[Array, " s"]

    @classmethod
    def of(cls, belief: Belief, num_minima: int = NUM_MINIMA) -> "MES":
        """The acquisition for the next point of a run.

        Args:
            belief: pending points count as observed at what is predicted for them.
            num_minima: draws of the least value.

        Raises:
            ValueError: if the belief knows no space, or the count is not positive.
        """
        return cls(belief.posterior, _minima_of(belief, num_minima)[1])

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Information about the minimum, in nats, from the only row of `x`."""
        mean, variance = self.posterior.marginal(x[0])
        gamma = (mean - self.minima) / jnp.sqrt(variance)
        rho2 = variance / (variance + self.posterior.noise(x)[0])
        return jnp.mean(truncation_information(gamma, rho2))


class JES(Acquisition):
    """Joint entropy search: what a noisy value tells about the minimum and its place.

        I(y; x*, f*) = H(y) - E[H(y | f(x*) = f*, f >= f* at this point)]

    in nats, over draws of (x*, f*). The truncated value with its noise counts as a
    normal of the same variance, which bounds the information from below.

    Args:
        posterior: of the objective.
        minimizers: draws x* of where it is least.
        minima: their values f*.

    Raises:
        ValueError: if there are not as many minima as minimizers.

    Example:
        >>> import bojax
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> acquisition = JES(gp.condition(data), jnp.array([[0.2]]), jnp.array([-0.5]))
        >>> bool(acquisition(jnp.array([[0.2]])) > acquisition(jnp.array([[0.9]])))
        True

    References:
        Hvarfner, Hutter and Nardi (2022), Joint entropy search for maximally-informed
        Bayesian optimization, equations 9 to 11; Tu, Gandy, Kantas and Shafei (2022),
        for the bound.
    """

    posterior: GPPosterior
    minimizers: Float[Array, "s d"]
    minima: Float[Array, " s"]
    _projected: Float[Array, "s n"]
    _mean: Float[Array, " s"]
    _variance: Float[Array, " s"]

    def __init__(
        self,
        posterior: GPPosterior,
        minimizers: Float[Array, "s d"],
        minima: Float[Array, " t"],
    ):
        if minimizers.shape[0] != minima.shape[0]:
            raise ValueError(
                f"minima: expected {minimizers.shape[0]}, one a minimizer, "
                f"got {minima.shape[0]}"
            )
        self.posterior, self.minimizers, self.minima = posterior, minimizers, minima
        self._projected = posterior.projected(minimizers)
        self._mean, self._variance = jax.vmap(posterior.marginal)(minimizers)

    @classmethod
    def of(cls, belief: Belief, num_minima: int = NUM_MINIMA) -> "JES":
        """The acquisition for the next point of a run.

        Args:
            belief: pending points count as observed at what is predicted for them.
            num_minima: draws of the minimum.

        Raises:
            ValueError: if the belief knows no space, or the count is not positive.
        """
        return cls(belief.posterior, *_minima_of(belief, num_minima))

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Information about the minimum, in nats, from the only row of `x`."""
        posterior = self.posterior
        mean, variance = posterior.marginal(x[0])
        noise = posterior.noise(x)[0]
        covariance = posterior.covariance(x, self.minimizers, self._projected)[0]
        gain = covariance / self._variance
        mean = mean + gain * (self.minima - self._mean)
        # At a minimizer nothing is left but rounding.
        floor = jnp.finfo(variance.dtype).eps * variance
        left = jnp.maximum(variance - gain * covariance, floor)
        gamma = (mean - self.minima) / jnp.sqrt(left)
        truncated = left * truncated_variance(jnp.maximum(gamma, -30.0))
        entropies = jnp.log(variance + noise) - jnp.log(truncated + noise)
        return 0.5 * jnp.mean(entropies)
