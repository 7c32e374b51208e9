"""What a user believes about where the optimum is."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bojax.acquisitions.base import Acquisition, check_logarithmic, complete
from bojax.space import Space

_LEAST = math.log(1e-12)
"""Log of the least density, relative to the greatest seen: nothing is ruled out."""
_NUM_CHECKED = 256


class PiBO(Acquisition):
    """An acquisition, in logarithms, weighted by a prior of where the optimum is.

        log a(x) + strength log pi(x),  strength = beta / n

    with n the number of outcomes: what the data say counts more and more.

    Args:
        acquisition: in logarithms, `LogEI` for one.
        log_prior: log density of the optimum at a point of the unit cube, up to a
            constant: a module-level function, or a `Prior`.
        strength: beta / n.

    Raises:
        ValueError: if the acquisition's value is no logarithm.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 0.0]))
        >>> def low(x):
        ...     return -10 * x[0]
        >>> acquisition = PiBO(bojax.acquisitions.LogEI(gp.condition(data), 0.0), low)
        >>> bool(acquisition(jnp.array([[0.3]])) > acquisition(jnp.array([[0.7]])))
        True

    References:
        Hvarfner et al. (2022), piBO: Augmenting acquisition functions with user beliefs
        for Bayesian optimization, equation 6.
    """

    logarithmic: ClassVar[bool] = True

    acquisition: Acquisition
    log_prior: Callable = eqx.field(static=True)
    strength: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1.0)

    def __check_init__(self):
        check_logarithmic(self.acquisition)

    @property
    def chooses_fidelity(self) -> bool:
        """Whether what is wrapped does."""
        return self.acquisition.chooses_fidelity

    def complete(self, x: Float[Array, "q d"]) -> Float[Array, "rows d"]:
        """The rows of what is wrapped."""
        return complete(self.acquisition, x)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """The acquisition of the rows of `x`, and what is believed of each of them."""
        # What a one-shot acquisition would recommend is not evaluated.
        evaluated = x[:1] if self.chooses_fidelity else x
        believed = jnp.sum(jax.vmap(self.log_prior)(evaluated))
        return self.acquisition(x) + (self.strength * believed).astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class Prior:
    """A user's log density of the optimum, as a function on the unit cube.

    A density that is zero or not a number counts as 1e-12 of the greatest of 256 points
    of the space, so that a wrong prior can be forgotten.

    Args:
        space: the space.
        log_density: of its values in natural units, as constraints have them; up to a
            constant; module-level, traceable.

    Raises:
        TypeError: if `log_density` cannot be called or traced.
        ValueError: if it does not return one number, or none that is finite.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> def small(values):
        ...     return -((jnp.log10(values["rate"]) + 3) ** 2)
        >>> space = bojax.Space({"rate": bojax.Float(1e-5, 1e-1, log=True)})
        >>> round(float(Prior(space, small)(jnp.array([0.75]))), 3)
        -1.0
    """

    space: Space
    log_density: Callable
    least: float = dataclasses.field(init=False)

    def __post_init__(self):
        if not callable(self.log_density):
            raise TypeError(
                "prior: expected a function of the values of a point, "
                f"got {type(self.log_density).__name__}"
            )
        with jax.ensure_compile_time_eval():
            x = self.space.sample(jax.random.key(0), _NUM_CHECKED)
            try:
                found = jax.vmap(self._written)(x)
            except (
                jax.errors.ConcretizationTypeError,
                jax.errors.TracerArrayConversionError,
            ) as error:
                raise TypeError(
                    "prior: expected JAX operations only, for it is traced; it failed "
                    f"with {type(error).__name__}: {str(error).splitlines()[0]}"
                ) from error
            finite = jnp.isfinite(found)
            if not bool(jnp.any(finite)):
                raise ValueError(
                    "prior: expected finite log densities, got "
                    f"{found[0]} at {self.space.decode(x[0])} and none anywhere else"
                )
            greatest = float(jnp.max(jnp.where(finite, found, -jnp.inf)))
        object.__setattr__(self, "least", greatest + _LEAST)

    def _written(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        value = jnp.asarray(self.log_density(self.space.values(x)))
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.number):
            raise ValueError(
                "prior: expected one log density, "
                f"got {value.dtype} of shape {value.shape}"
            )
        return value.astype(jnp.result_type(value, jnp.zeros(())))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Log density at a point of the unit cube, never less than `least`."""
        value = self._written(x)
        value = jnp.where(jnp.isfinite(value), value, self.least)
        return jnp.maximum(value, self.least)
