"""The 11 parametric learning curves, each a function of one step.

The identities between them, which leave about six that differ, stand with each.

Values and gradients are finite, in either precision, at steps from 1 to 1e6 where
positive parameters lie between 1e-6 and 1e6 and the others within 100 of zero: beyond
five standard deviations of LC-PFN's priors. Exponents above 40 count as 40, which no
curve that is seen comes near to. Where a logarithm has no argument the value is NaN.

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


def _exp(exponent):
    """Exponential that leaves room for its gradient in single precision."""
    return jnp.exp(jnp.minimum(exponent, 40.0))


def _rate(log_rate):
    """Exponential of which nothing but exp(-rate) matters: that is 0 from e^7 on."""
    return jnp.exp(jnp.minimum(log_rate, 7.0))


def _between(alpha, beta, rate):
    """From beta up to alpha as the rate grows, exact at either end."""
    return beta * jnp.exp(-rate) - alpha * jnp.expm1(-rate)


def vap(x: Number, a: Number, b: Number, c: Number) -> Float[Array, "..."]:
    """Vapor pressure: exp(a + b / x + c ln x).

    Args:
        x: the step.
        a: logarithm of the level, of either sign.
        b: what the first steps lack, or have too much, of either sign.
        c: power of the growth at the end, of either sign. It rises throughout where b
            <= 0 and c >= 0.

    References:
        Domhan et al. (2015), table 1, "vapor pressure".

    Example:
        >>> float(vap(1.0, 0.0, 0.0, 1.0))
        1.0
    """
    return _exp(a + b / x + c * jnp.log(x))


def pow3(x: Number, c: Number, a: Number, alpha: Number) -> Float[Array, "..."]:
    """Power law with three parameters: c - a x^-alpha.

    It is `pow4` with b = 0 and, for a > 0, a^(-1 / alpha) in place of a.

    Args:
        x: the step.
        c: the limit.
        a: what step 1 is short of it, of either sign.
        alpha: the power, positive.

    References:
        Domhan et al. (2015), table 1, "pow3"; Kolachina et al. (2012).

    Example:
        >>> float(pow3(4.0, 1.0, 0.5, 0.5))
        0.75
    """
    return c - a * jnp.exp(-alpha * jnp.log(x))


def log_log_linear(x: Number, a: Number, b: Number) -> Float[Array, "..."]:
    """Log-log linear: ln(a ln x + b).

    It has no limit.

    Args:
        x: the step.
        a: slope of the inner line, positive.
        b: its value at step 1, positive.

    References:
        Domhan et al. (2015), table 1, "log log linear".

    Example:
        >>> float(log_log_linear(1.0, 1.0, 1.0))
        0.0
    """
    return jnp.log(a * jnp.log(x) + b)


def hill3(x: Number, theta: Number, eta: Number, kappa: Number) -> Float[Array, "..."]:
    """Hill's curve: theta x^eta / (kappa^eta + x^eta).

    It is `log_power` with c = -eta and b = ln kappa, and `mmf` with beta = 0, delta =
    eta and 1 / kappa in place of kappa.

    Args:
        x: the step.
        theta: the limit.
        eta: steepness, positive.
        kappa: the step that is half-way from 0 to the limit, positive.

    References:
        Domhan et al. (2015), table 1, "Hill3".

    Example:
        >>> round(float(hill3(3.0, 0.8, 2.0, 3.0)), 4)
        0.4
    """
    return theta * jax.nn.sigmoid(eta * jnp.log(x / kappa))


def log_power(x: Number, a: Number, b: Number, c: Number) -> Float[Array, "..."]:
    """Log power: a / (1 + (x / e^b)^c).

    It is `hill3` with eta = -c and kappa = e^b.

    Args:
        x: the step.
        a: the limit, where c < 0.
        b: logarithm of the step that is half-way there, of either sign.
        c: steepness, negative for a curve that rises.

    References:
        Domhan et al. (2015), table 1, "log power".

    Example:
        >>> round(float(log_power(1.0, 0.8, 0.0, -1.0)), 4)
        0.4
    """
    return a * jax.nn.sigmoid(-c * (jnp.log(x) - b))


def pow4(
    x: Number, c: Number, a: Number, b: Number, alpha: Number
) -> Float[Array, "..."]:
    """Power law with four parameters: c - (a x + b)^-alpha.

    With b = 0 it is `pow3`, with a^-alpha in place of a.

    Args:
        x: the step.
        c: the limit.
        a: scale of the steps, positive.
        b: their shift, zero or positive.
        alpha: the power, positive.

    References:
        Domhan et al. (2015), table 1, "pow4"; Kolachina et al. (2012).

    Example:
        >>> float(pow4(1.0, 1.0, 3.0, 1.0, 0.5))
        0.5
    """
    return c - _exp(-alpha * jnp.log(a * x + b))


def mmf(
    x: Number, alpha: Number, beta: Number, kappa: Number, delta: Number
) -> Float[Array, "..."]:
    """Morgan, Mercer and Flodin: alpha - (alpha - beta) / (1 + (kappa x)^delta).

    With beta = 0 it is `hill3`, with eta = delta and 1 / kappa in place of kappa.

    Args:
        x: the step.
        alpha: the limit.
        beta: the level that it comes from.
        kappa: inverse of the step that is half-way, positive.
        delta: steepness, positive.

    References:
        Domhan et al. (2015), table 1, "MMF"; Morgan, Mercer and Flodin (1975), General
        model for nutritional responses of higher organisms.

    Example:
        >>> float(mmf(2.0, 0.75, 0.25, 0.5, 3.0))
        0.5
    """
    z = delta * jnp.log(kappa * x)
    return alpha * jax.nn.sigmoid(z) + beta * jax.nn.sigmoid(-z)


def exp4(
    x: Number, c: Number, a: Number, b: Number, alpha: Number
) -> Float[Array, "..."]:
    """Exponential with four parameters: c - exp(-a x^alpha + b).

    It is `janoschek` with limit c, level c - e^b before the first step, k = a and delta
    = alpha; so every `janoschek` that rises is one of these.

    Args:
        x: the step.
        c: the limit.
        a: rate, positive.
        b: logarithm of the whole rise, of either sign.
        alpha: power of the steps, positive.

    References:
        Domhan et al. (2015), table 1, "exp4"; Kolachina et al. (2012).

    Example:
        >>> float(exp4(1.0, 1.0, 0.5, 0.5, 1.0))
        0.0
    """
    return c - _exp(b - _rate(jnp.log(a) + alpha * jnp.log(x)))


def janoschek(
    x: Number, alpha: Number, beta: Number, k: Number, delta: Number
) -> Float[Array, "..."]:
    """Janoschek: alpha - (alpha - beta) exp(-k x^delta).

    It is `weibull` with kappa = k^(1 / delta) and, for alpha > beta, `exp4` with e^b =
    alpha - beta.

    Args:
        x: the step.
        alpha: the limit.
        beta: the level that it comes from.
        k: rate, positive.
        delta: power of the steps, positive.

    References:
        Domhan et al. (2015), table 1, "Janoschek".

    Example:
        >>> round(float(janoschek(1.0, 1.0, 0.0, 1.0, 2.0)), 4)
        0.6321
    """
    return _between(alpha, beta, _rate(jnp.log(k) + delta * jnp.log(x)))


def weibull(
    x: Number, alpha: Number, beta: Number, kappa: Number, delta: Number
) -> Float[Array, "..."]:
    """Weibull: alpha - (alpha - beta) exp(-(kappa x)^delta).

    It is `janoschek` with k = kappa^delta.

    Args:
        x: the step.
        alpha: the limit.
        beta: the level that it comes from.
        kappa: inverse of the step with all but 1 / e of the rise behind it, positive.
        delta: power of the steps, positive.

    References:
        Domhan et al. (2015), table 1, "Weibull".

    Example:
        >>> round(float(weibull(2.0, 1.0, 0.0, 0.5, 3.0)), 4)
        0.6321
    """
    return _between(alpha, beta, _rate(delta * jnp.log(kappa * x)))


def ilog2(x: Number, c: Number, a: Number) -> Float[Array, "..."]:
    """Inverse logarithm: c - a / ln(x + 1).

    Others write ln x, which is infinite at step 1.

    Args:
        x: the step.
        c: the limit, approached as slowly as the logarithm grows.
        a: what is missing at step e - 1, of either sign.

    References:
        Domhan et al. (2015), table 1, "ilog2"; Kolachina et al. (2012).

    Example:
        >>> round(float(ilog2(1.0, 1.0, 0.6931472)), 4)
        0.0
    """
    return c - a / jnp.log1p(x)


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
