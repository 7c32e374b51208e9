"""The weighted ensemble of parametric curves of Domhan, Springenberg and Hutter."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr
from jaxtyping import Array, Float

from bojax.curves.inference.collapse import Normal
from bojax.curves.models.base import Linear, Noise

_TOP = 0.7, 0.3  # mean and standard deviation of asymptotes
_FAR = 6.0  # standard deviations, beyond which rounding would speak
_START = 0.3, 0.3  # and of values at the first step

# Shapes from 1 at the first step to 0: f = top - (top - start) g(x). Each takes
# standard normal latents, which stand for parameters spread as in LC-PFN's priors.


def _power(x, u):
    return jnp.exp(-jnp.minimum(jnp.exp(u[0]), 60.0) * jnp.log(x))


def _shifted_power(x, u):
    shift = jnp.exp(u[1])
    return jnp.exp(
        -jnp.minimum(jnp.exp(u[0]), 60.0) * jnp.log((x + shift) / (1 + shift))
    )


def _morgan(x, u):
    kappa, delta = u[0], jnp.exp(0.7 * u[1])
    rise = delta * (kappa + jnp.log(x))
    return jax.nn.sigmoid(-rise) / jax.nn.sigmoid(-delta * kappa)


def _stretched(scale, spread):
    def g(x, u):
        delta = jnp.exp(spread * u[1])
        rise = jnp.exp(jnp.minimum(scale + u[0] + delta * jnp.log(x), 7.0))
        return jnp.exp(-(rise - jnp.exp(scale + u[0])))

    return g


def _slow(x, u):
    del u
    return jnp.log(2.0) / jnp.log1p(x)


# Shapes with one coefficient, the value where they level off.


def _hill(x, u):
    return jax.nn.sigmoid(jnp.exp(0.7 * u[0]) * (jnp.log(x) - u[1] - 1))


def _log_power(x, u):
    return jax.nn.sigmoid(3 * ndtr(u[1]) * (jnp.log(x) - 1 - u[0]))


def _vapor(x, u):
    return jnp.exp(4 * ndtr(u[0]) * (1 - 1 / x) - 4 + 0.1 * ndtr(u[1]) * jnp.log(x))


def _log_log(x, u):
    return jnp.log(jnp.exp(u[0] - 2) * jnp.log(x) + 1 + ndtr(u[1]))


ENDED: dict[str, tuple[Callable, int]] = {
    "pow3": (_power, 1),
    "pow4": (_shifted_power, 2),
    "mmf": (_morgan, 2),
    "exp4": (_stretched(-2.0, 0.7), 2),
    "janoschek": (_stretched(-2.0, 0.5), 2),
    "weibull": (_stretched(-1.0, 0.5), 2),
    "ilog2": (_slow, 0),
}
SCALED: dict[str, tuple[Callable, int]] = {
    "hill3": (_hill, 2),
    "log_power": (_log_power, 2),
    "vap": (_vapor, 2),
    "log_log_linear": (_log_log, 2),
}

FAMILIES = (*ENDED, *SCALED)


class Ensemble(Linear):
    """A weighted sum of parametric families, fitted all at once.

        f(x) = sum_k w_k f_k(x),  w ~ Dirichlet(1, ..., 1),  y(x) ~ N(f(x), sigma^2)
        f_k(x) = top - (top - start) g_k(x),  top ~ N(0.7, 0.3^2), start ~ N(0.3, 0.3^2)

    given f(1) < f(horizon), with ln sigma ~ N(-4, 1). Hill3, log-power, vap and the
    log-log-linear family have no value of their own at the start: they are a shape
    times N(0.7, 0.3^2).

    The posterior as published has no such priors and is improper: only the weights'
    ratios enter its likelihood, so that their sum may grow without end, and for pow3
    with alpha to infinity the likelihood tends to a constant. A chain then has no
    distribution to converge to, and what it says depends on its length;
    `bojax.curves.original` has that. Proper priors make this one a question with an
    answer, and being linear in tops and starts it is answered without sampling those.

    Args:
        families: names from `bojax.curves.families.FAMILIES`.

    Raises:
        ValueError: if a family is unknown, or there is none.

    References:
        Domhan, Springenberg and Hutter (2015), Speeding up automatic hyperparameter
        optimization of deep neural networks by extrapolation of learning curves.
    """

    families: tuple[str, ...] = eqx.field(default=FAMILIES, static=True)

    num_noises: ClassVar[int] = 1
    white: ClassVar[bool] = True
    unit_interval: ClassVar[bool] = True

    def __check_init__(self):
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown or not self.families:
            raise ValueError(
                f"families: expected some of {', '.join(FAMILIES)}, "
                f"got {unknown or self.families!r}"
            )

    @property
    def _shapes(self) -> list[tuple[Callable, int]]:
        return [{**ENDED, **SCALED}[name] for name in self.families]

    @property
    def _ended(self) -> int:
        return sum(name in ENDED for name in self.families)

    @property
    def num_shapes(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A latent for each weight, then those of the families."""
        return len(self.families) + sum(size for _, size in self._shapes)

    @property
    def num_coefficients(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One for each family, and the constant."""
        return len(self.families) + 1

    @property
    def num_latents(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All that is standard normal a priori."""
        return self.num_shapes + self.num_noises + self.num_coefficients

    def weights(self, shape: Float[Array, " k"]) -> Float[Array, " f"]:
        """The families' weights, which sum to one."""
        gamma = -log_ndtr(shape[: len(self.families)])
        return gamma / jnp.sum(gamma)

    def columns(self, shape, x, horizon):
        """Each family's shape, then 1."""
        del horizon
        shape = jnp.clip(shape, -_FAR, _FAR)
        values, at = [], len(self.families)
        for function, size in self._shapes:
            values.append(function(x, shape[at : at + size]))
            at += size
        return jnp.stack([*values, jnp.ones_like(x)])

    def coefficients(self, shape):
        """Weighted starts less tops and scales, and the sum of the weighted tops.

        Tops are in both, hence correlated: the last row of the factor.
        """
        weights = self.weights(shape)
        ended = jnp.asarray([name in ENDED for name in self.families])
        spread = _TOP[1]
        mean = jnp.where(ended, weights * (_START[0] - _TOP[0]), weights * _TOP[0])
        total = jnp.sum(jnp.where(ended, weights, 0.0)) * _TOP[0]
        scale = weights * jnp.where(ended, jnp.hypot(_TOP[1], _START[1]), spread)
        shared = jnp.where(
            ended, -weights * spread**2 / jnp.hypot(_TOP[1], _START[1]), 0.0
        )
        variance = jnp.sum(jnp.where(ended, (weights * spread) ** 2, 0.0))
        rest = jnp.sqrt(jnp.maximum(variance - jnp.sum(shared**2), 1e-12))
        factor = jnp.zeros((len(weights) + 1,) * 2, shape.dtype)
        factor = factor.at[:-1, :-1].set(jnp.diag(scale))
        factor = factor.at[-1, :-1].set(shared).at[-1, -1].set(rest)
        return Normal(jnp.append(mean, total), factor)

    def noise(self, latent, horizon):
        """Normal and independent."""
        del horizon
        return Noise.plain(jnp.exp(jnp.maximum(latent[0], -7.0) - 4))

    def feasible(self, curve):
        """Higher at the horizon than at the first step."""
        return curve[-1] > curve[0]
