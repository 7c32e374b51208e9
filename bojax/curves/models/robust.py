"""A model for curves as they come: flat, declining, diverging, stepped and noisy."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from bojax.curves.inference.collapse import Normal
from bojax.curves.models.base import Linear, Noise

BENDS = "pow", "weibull", "mmf", "ilog2", "log", "flat"
TURNS = "none", "step", "decline", "diverge"
_TURN_SHARES = 0.8, 0.9, 0.97
_NOISE_SHARES = 1 / 3, 2 / 3
_FAR = 5.0  # standard deviations: beyond them products lose their last digits
_LEAST = 1e-4  # noise, in units of what was observed: no curve is known exactly


class Robust(Linear):
    """One family a curve, between two ends, with what real trainings add to it.

        f(x) = b1 + b2 h(x) + b3 r(x) + sum_j b_j 1[x >= drop_j]

    in units of what was observed. The bend h runs from 0 at the first step to 1 at the
    horizon: pow3, Weibull (also Janoschek and exp4), MMF (also hill3 and log-power),
    ilog2, the logarithm that vap and log-log-linear come down to, or none. The turn r
    is nothing, a step at a step to be learned, a decline or an exponential divergence
    from there on. Noise is normal, heavy-tailed (two of the horizon's steps are
    outliers of ten times the usual noise) or autocorrelated.
    Which of each is a latent variable, hence chosen by evidence.

    Args:
        drops: steps from which on a known schedule trains at a lower learning rate.
        validation_size: how many examples an accuracy or error rate was measured on, if
            known: its binomial deviation is a floor for the noise.

    Raises:
        ValueError: if an argument is out of range.
    """

    drops: tuple[float, ...] = eqx.field(default=(), static=True)
    validation_size: int | None = eqx.field(default=None, static=True)

    num_shapes: ClassVar[int] = 7
    num_noises: ClassVar[int] = 4
    white: ClassVar[bool] = False
    unit_interval: ClassVar[bool] = False

    def __check_init__(self):
        drops, size = self.drops, self.validation_size
        if not isinstance(drops, tuple) or not all(map(_is_step, drops)):
            raise ValueError(f"drops: expected a tuple of steps > 0, got {drops!r}")
        is_integer = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if size is not None and not (is_integer and size >= 1):
            raise ValueError(
                f"validation_size: expected an integer >= 1 or None, got {size!r}"
            )

    @property
    def num_coefficients(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Level, change, turn and a step for each known drop."""
        return 3 + len(self.drops)

    @property
    def num_latents(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All that is standard normal a priori."""
        return self.num_shapes + self.num_noises + self.num_coefficients

    def columns(self, shape, x, horizon):
        """1, the bend, the turn, and whether each drop is past."""
        shape = jnp.clip(shape, -_FAR, _FAR)
        kind = _choice(
            ndtr(shape[0]), [(i + 1) / len(BENDS) for i in range(len(BENDS) - 1)]
        )
        log_h, log_x = jnp.log(horizon), jnp.log(x)
        alpha = jnp.exp(jnp.clip(shape[1] - 0.7, -6.0, 3.0))
        at = log_h * ndtr(shape[2])  # log of the step where half is done
        delta = jnp.exp(jnp.clip(0.5 * shape[1], -3.0, 3.0))

        def bends(log_x):
            rise = delta * (log_x - at)
            return jnp.stack(
                [
                    -jnp.exp(-alpha * log_x),
                    -jnp.exp(-jnp.exp(jnp.clip(rise, -30.0, 5.0))),
                    jax.nn.sigmoid(rise),
                    -1 / jnp.log1p(jnp.exp(log_x)),
                    log_x,
                    jnp.zeros_like(log_x),
                ]
            )[kind]

        low, high, here = bends(jnp.zeros(())), bends(log_h), bends(log_x)
        bend = (here - low) / jnp.maximum(high - low, 1e-9)
        turn = _choice(ndtr(shape[3]), _TURN_SHARES)
        since = ndtr(shape[4]) * horizon
        late = jnp.maximum(x - since, 0.0) / jnp.maximum(horizon - since, 1.0)
        turns = jnp.stack(
            [
                jnp.zeros_like(x),
                jax.nn.sigmoid(4 * (x - since)),
                -late,
                -jnp.expm1(jnp.minimum(3 * late, 3.0)) / 20,
            ]
        )[turn]
        known = [jnp.where(x >= drop, 1.0, 0.0) for drop in self.drops]
        return jnp.stack([jnp.ones_like(x), bend, turns, *known]).astype(x.dtype)

    def coefficients(self, shape):
        """Level, change, turn and steps: in proportion to a scale of the shape's."""
        shape = jnp.clip(shape, -_FAR, _FAR)
        scale = 1.2 * jnp.exp(0.4 * shape[5])
        turn = scale * jnp.exp(0.5 * shape[6] - 1.2)
        one = jnp.ones((), shape.dtype)
        # What a lower learning rate gains halves from drop to drop.
        known = [0.05 * 0.5**j * scale for j in range(len(self.drops))]
        mean = jnp.stack([-0.5 * one, 0.7 * scale, 0.2 * turn, *known])
        return Normal(mean, jnp.diag(jnp.stack([1.5 * one, scale, 0.7 * turn, *known])))

    def noise(self, latent, horizon):
        """Independent, with two outliers somewhere, or autocorrelated."""
        latent = jnp.clip(latent, -_FAR, _FAR)
        kind = _choice(ndtr(latent[0]), _NOISE_SHARES)
        rho = jnp.where(kind == 2, 0.95 * ndtr(latent[1]), 0.0)
        outliers = jnp.where(kind == 1, 0.5 + horizon * ndtr(latent[1:3]), jnp.inf)
        return Noise(jnp.exp(1.2 * latent[3] - 2.5) + _LEAST, rho, outliers)

    def feasible(self, curve):
        """Any curve."""
        return jnp.all(jnp.isfinite(curve))


def _is_step(drop: Any) -> bool:
    is_number = isinstance(drop, int | float | np.number)
    return is_number and bool(0 < drop < math.inf)


def _choice(u: Float[Array, ""], edges) -> Array:
    """Which interval between the edges a number lies in."""
    return sum(((u >= edge).astype(int) for edge in edges), jnp.zeros((), int))
