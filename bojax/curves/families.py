"""The 11 parametric learning curves, each a function of one step.

The identities between them, which leave about six that differ, stand with each.

References:
    Domhan, Springenberg and Hutter (2015), Speeding up automatic hyperparameter
    optimization of deep neural networks by extrapolation of learning curves, table 1;
    for start values the code released with it.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Number = Float[Array, "..."] | float
"""One step or parameter, or as many as broadcast."""


def _log(x):
    return jnp.log(jnp.asarray(x, jnp.result_type(float)))


def _decay(rate, log_x):
    """exp(-rate x), for rates and steps of any size."""
    return jnp.exp(-jnp.exp(jnp.minimum(_log(rate) + log_x, 7.0)))


def vap(x: Number, a: Number, b: Number, c: Number) -> Float[Array, "..."]:
    """Vapor pressure: exp(a + b / x + c ln x).

    Example:
        >>> float(vap(1.0, 0.0, 0.0, 1.0))
        1.0
    """
    return jnp.exp(jnp.minimum(a + b / x + c * _log(x), 80.0))


def pow3(x: Number, c: Number, a: Number, alpha: Number) -> Float[Array, "..."]:
    """Power law with three parameters: c - a x^-alpha, of alpha > 0.

    It is `pow4` with b = 0 and a^(-1 / alpha) for a.

    Example:
        >>> float(pow3(4.0, 1.0, 0.5, 0.5))
        0.75
    """
    return c - a * jnp.exp(-alpha * _log(x))


def log_log_linear(x: Number, a: Number, b: Number) -> Float[Array, "..."]:
    """Log-log linear: ln(a ln x + b), of a > 0 and b > 0.

    Example:
        >>> float(log_log_linear(1.0, 1.0, 1.0))
        0.0
    """
    return jnp.log(a * _log(x) + b)


def hill3(x: Number, theta: Number, eta: Number, kappa: Number) -> Float[Array, "..."]:
    """Hill's curve: theta x^eta / (kappa^eta + x^eta), of kappa > 0.

    It is `log_power` with c = -eta and b = ln kappa, and `mmf` with beta = 0, delta =
    eta and 1 / kappa for kappa.

    Example:
        >>> round(float(hill3(3.0, 0.8, 2.0, 3.0)), 4)
        0.4
    """
    return theta * jax.nn.sigmoid(eta * (_log(x) - _log(kappa)))


def log_power(x: Number, a: Number, b: Number, c: Number) -> Float[Array, "..."]:
    """Log power: a / (1 + (x / e^b)^c).

    Example:
        >>> round(float(log_power(1.0, 0.8, 0.0, -1.0)), 4)
        0.4
    """
    return a * jax.nn.sigmoid(-c * (_log(x) - b))


def pow4(
    x: Number, c: Number, a: Number, b: Number, alpha: Number
) -> Float[Array, "..."]:
    """Power law with four parameters: c - (a x + b)^-alpha, of a, alpha > 0, b >= 0.

    Example:
        >>> float(pow4(1.0, 1.0, 3.0, 1.0, 0.5))
        0.5
    """
    return c - jnp.exp(jnp.minimum(-alpha * jnp.log(a * x + b), 80.0))


def mmf(
    x: Number, alpha: Number, beta: Number, kappa: Number, delta: Number
) -> Float[Array, "..."]:
    """Morgan, Mercer and Flodin: alpha - (alpha - beta) / (1 + (kappa x)^delta).

    Example:
        >>> float(mmf(2.0, 0.75, 0.25, 0.5, 3.0))
        0.5
    """
    return alpha - (alpha - beta) * jax.nn.sigmoid(-delta * (_log(x) + _log(kappa)))


def exp4(
    x: Number, c: Number, a: Number, b: Number, alpha: Number
) -> Float[Array, "..."]:
    """Exponential with four parameters: c - exp(-a x^alpha + b), of a, alpha > 0.

    It is `janoschek` where e^b is the difference of its two levels.

    Example:
        >>> float(exp4(1.0, 1.0, 0.5, 0.5, 1.0))
        0.0
    """
    return c - _decay(a, alpha * _log(x)) * jnp.exp(b)


def janoschek(
    x: Number, alpha: Number, beta: Number, k: Number, delta: Number
) -> Float[Array, "..."]:
    """Janoschek: alpha - (alpha - beta) exp(-k x^delta), of k, delta > 0.

    Example:
        >>> round(float(janoschek(1.0, 1.0, 0.0, 1.0, 2.0)), 4)
        0.6321
    """
    return alpha - (alpha - beta) * _decay(k, delta * _log(x))


def weibull(
    x: Number, alpha: Number, beta: Number, kappa: Number, delta: Number
) -> Float[Array, "..."]:
    """Weibull: alpha - (alpha - beta) exp(-(kappa x)^delta), of kappa, delta > 0.

    It is `janoschek` with k = kappa^delta.

    Example:
        >>> round(float(weibull(2.0, 1.0, 0.0, 0.5, 3.0)), 4)
        0.6321
    """
    rise = jnp.exp(jnp.minimum(delta * (_log(kappa) + _log(x)), 7.0))
    return alpha - (alpha - beta) * jnp.exp(-rise)


def ilog2(x: Number, c: Number, a: Number) -> Float[Array, "..."]:
    """Inverse logarithm: c - a / ln(x + 1).

    Example:
        >>> round(float(ilog2(1.0, 1.0, 0.6931472)), 4)
        0.0
    """
    return c - a / jnp.log1p(jnp.asarray(x, jnp.result_type(float)))


@dataclasses.dataclass(frozen=True)
class Family:
    """A family by its name, with the values that least squares starts from.

    Args:
        name: as in `FAMILIES`.
        function: of a step and the parameters.
        start: value of each parameter, by name and in order.
    """

    name: str
    function: Callable[..., Float[Array, ""]]
    start: dict[str, float]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Their names, in the order of the function's arguments."""
        return tuple(self.start)


FAMILIES: dict[str, Family] = {
    function.__name__: Family(function.__name__, function, start)
    for function, start in (
        (vap, {"a": -0.622, "b": -0.470, "c": 0.0423}),
        (pow3, {"c": 0.84, "a": 0.52, "alpha": 0.01}),
        (log_log_linear, {"a": 1.0, "b": 1.0}),
        (hill3, {"theta": 0.772, "eta": 0.586, "kappa": 2.461}),
        (log_power, {"a": 0.77, "b": 2.98, "c": -0.51}),
        (pow4, {"c": 0.8, "a": 200.0, "b": 0.0, "alpha": 0.1}),
        (mmf, {"alpha": 0.7, "beta": 0.1, "kappa": 0.01, "delta": 5.0}),
        (exp4, {"c": 0.7, "a": 0.8, "b": -0.8, "alpha": 0.3}),
        (janoschek, {"alpha": 0.73, "beta": 0.07, "k": 0.355, "delta": 0.46}),
        (weibull, {"alpha": 0.7, "beta": 0.1, "kappa": 0.01, "delta": 1.0}),
        (ilog2, {"c": 0.78, "a": 0.43}),
    )
}
"""All eleven, by name."""
