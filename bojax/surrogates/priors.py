"""Priors over a surrogate's hyperparameters, found by the name of the leaf they are on.

Published choices, for outcomes standardized and inputs on the unit cube. Densities are
those of the natural parameter, as published: the maximum a posteriori depends on that.
"""

import abc
import math
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bojax._typing import PyTree


class Prior(eqx.Module):
    """A density for one hyperparameter, its bounds, and where a fit starts.

    `initial`, `lower` and `upper` are on the scale of the leaf: logarithms where its
    name begins with `log_`. All are static: they are part of the model, not of its
    state.
    """

    initial: eqx.AbstractVar[float]
    lower: eqx.AbstractVar[float]
    upper: eqx.AbstractVar[float]

    @abc.abstractmethod
    def log_density(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Log density, up to a constant, elementwise."""

    @abc.abstractmethod
    def log_jacobian(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Log slope of what the density is of, as a function of the leaf.

        Added to the log density it makes one of the leaf, which is what is sampled.
        """


class Normal(Prior):
    """A normal density of the leaf itself."""

    mean: float = eqx.field(static=True)
    deviation: float = eqx.field(static=True)
    initial: float = eqx.field(static=True)
    lower: float = eqx.field(static=True, default=-10.0)
    upper: float = eqx.field(static=True, default=10.0)

    def log_density(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """-(leaf - mean)^2 / (2 deviation^2)."""
        return -0.5 * ((leaf - self.mean) / self.deviation) ** 2

    def log_jacobian(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Zero: the density is of the leaf."""
        return jnp.zeros_like(leaf)


class LogNormal(Prior):
    """A log-normal density of exp(leaf)."""

    mean: float = eqx.field(static=True)
    deviation: float = eqx.field(static=True)
    initial: float = eqx.field(static=True)
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def log_density(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """-(leaf - mean)^2 / (2 deviation^2) - leaf."""
        return -0.5 * ((leaf - self.mean) / self.deviation) ** 2 - leaf

    def log_jacobian(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Of exp(leaf)."""
        return leaf


class Gamma(Prior):
    """A gamma density of exp(leaf)."""

    concentration: float = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    initial: float = eqx.field(static=True)
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def log_density(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """(concentration - 1) leaf - rate exp(leaf)."""
        return (self.concentration - 1) * leaf - self.rate * jnp.exp(leaf)

    def log_jacobian(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Of exp(leaf)."""
        return leaf


class InverseSquare(Prior):
    """exp(-strength (w + 1 / w)) of the weight w = exp(-2 leaf), Optuna's choice."""

    strength: float = eqx.field(static=True)
    initial: float = eqx.field(static=True)
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def log_density(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """-strength (w + 1 / w)."""
        return -self.strength * (jnp.exp(-2 * leaf) + jnp.exp(2 * leaf))

    def log_jacobian(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Of exp(-2 leaf), up to a constant."""
        return -2 * leaf


class HalfCauchy(Prior):
    """A half-Cauchy density of exp(leaf): much at zero, and a heavy tail."""

    scale: float = eqx.field(static=True)
    initial: float = eqx.field(static=True)
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def log_density(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """-log(1 + (exp(leaf) / scale)^2)."""
        return -jax.nn.softplus(2 * (leaf - math.log(self.scale)))

    def log_jacobian(self, leaf: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Of exp(leaf)."""
        return leaf


Priors = Mapping[str, Prior]
"""A prior for each name of a leaf."""

_SHARED: dict[str, Prior] = {
    "bias": Normal(mean=0.0, deviation=1.0, initial=0.0),
    "slope": Normal(mean=0.0, deviation=1.0, initial=0.0),
    "log_absence": Normal(
        mean=math.log(0.05),
        deviation=1.0,
        initial=math.log(0.05),
        lower=math.log(1e-3),
        upper=math.log(1e2),
    ),
    "log_alpha": Normal(mean=0.0, deviation=2.0, initial=0.0, lower=-5.0, upper=5.0),
    "log_period": Normal(mean=0.0, deviation=1.0, initial=0.0, lower=-5.0, upper=3.0),
    "log_weight_variance": Normal(mean=0.0, deviation=2.0, initial=0.0),
    "log_warp_a": Normal(mean=0.0, deviation=0.5, initial=0.0, lower=-2.0, upper=2.0),
    "log_warp_b": Normal(mean=0.0, deviation=0.5, initial=0.0, lower=-2.0, upper=2.0),
    "log_excess": Normal(
        mean=math.log(1e-2),
        deviation=2.0,
        initial=math.log(1e-2),
        lower=math.log(1e-6),
        upper=math.log(10.0),
    ),
    "noise_weight": Normal(mean=0.0, deviation=1.0, initial=0.0, lower=-6.0, upper=6.0),
    "task_weight": Normal(mean=0.0, deviation=1.0, initial=1.0),
    "log_task_variance": LogNormal(
        mean=0.0,
        deviation=1.5,
        initial=math.log(0.1),
        lower=math.log(1e-4),
        upper=math.log(1e2),
    ),
    "log_source_noise": LogNormal(
        mean=-8.0,
        deviation=2.0,
        initial=math.log(1e-3),
        lower=math.log(1e-6),
        upper=math.log(10.0),
    ),
    "task_bias": Normal(mean=0.0, deviation=0.5, initial=0.0, lower=-5.0, upper=5.0),
    "encoder_weight": Normal(mean=0.0, deviation=1.0, initial=0.0),
    "log_global_shrinkage": HalfCauchy(
        scale=0.1, initial=math.log(0.1), lower=-12.0, upper=6.0
    ),
    "log_local_shrinkage": HalfCauchy(scale=1.0, initial=0.0, lower=-12.0, upper=12.0),
}
_LENGTHSCALE = {"lower": math.log(5e-3), "upper": math.log(1e2)}
_VARIANCE = {"initial": 0.0, "lower": math.log(1e-3), "upper": math.log(1e3)}
_NOISE = {"initial": math.log(1e-2), "lower": math.log(1e-10), "upper": 0.0}


def _start(num_columns: int) -> float:
    return math.log(0.3 * math.sqrt(num_columns))


def optuna(num_columns: int) -> Priors:
    """Optuna's: a light pull of lengthscales to one, and of the noise to little.

    References:
        Optuna 5.0, GPSampler.
    """
    return {
        **_SHARED,
        "log_lengthscale": InverseSquare(
            strength=0.1, initial=_start(num_columns), **_LENGTHSCALE
        ),
        "log_variance": Gamma(concentration=2.0, rate=1.0, **_VARIANCE),
        "log_noise": Gamma(concentration=1.1, rate=30.0, **_NOISE),
    }


def botorch(num_columns: int) -> Priors:
    """BoTorch's: lengthscales that grow with the dimension, no output scale.

    References:
        Hvarfner, Hellsten and Nardi (2024), Vanilla Bayesian optimization performs
        great in high dimensions, section 4.
    """
    mean = math.sqrt(2) + 0.5 * math.log(num_columns)
    return {
        **_SHARED,
        "log_lengthscale": LogNormal(
            mean=mean,
            deviation=math.sqrt(3),
            initial=mean - 3,
            lower=math.log(0.025),
            upper=_LENGTHSCALE["upper"],
        ),
        "log_variance": Normal(
            mean=0.0, deviation=1.0, initial=0.0, lower=0.0, upper=0.0
        ),
        "log_noise": LogNormal(
            mean=-4.0,
            deviation=1.0,
            initial=math.log(1e-2),
            lower=math.log(1e-4),
            upper=0.0,
        ),
    }


def vizier(num_columns: int) -> Priors:
    """Vizier's: a weak penalty on each logarithm.

    References:
        Song et al. (2024), The Vizier Gaussian process bandit algorithm, section 3.2.
    """
    # The penalty 0.01 log(v / v0)^2 is a normal of deviation sqrt(50) in log v.
    deviation = math.sqrt(50)
    return {
        **_SHARED,
        "log_lengthscale": Normal(
            mean=0.5 * math.log(0.5),
            deviation=deviation / 2,
            initial=_start(num_columns),
            lower=math.log(0.1),
            upper=math.log(10.0),
        ),
        "log_variance": Normal(
            mean=math.log(0.039),
            deviation=deviation,
            initial=0.0,
            lower=math.log(1e-3),
            upper=math.log(10.0),
        ),
        "log_noise": Normal(mean=math.log(0.0039), deviation=deviation, **_NOISE),
    }


def short(num_columns: int) -> Priors:
    """A log-normal of shorter lengthscales than BoTorch's, with an output scale.

    The logarithm of the noise is normal, and so wide that both exact values and mere
    noise are within two deviations. Where a prior leans to no noise at all, a model
    follows whatever noise there is, and a search its model: see
    `benchmarks/recommendation`.
    """
    mean = math.log(0.5) + 0.5 * math.log(num_columns / 2)
    return {
        **_SHARED,
        "log_lengthscale": LogNormal(
            mean=mean, deviation=1.0, initial=_start(num_columns), **_LENGTHSCALE
        ),
        "log_variance": LogNormal(mean=0.0, deviation=1.5, **_VARIANCE),
        "log_noise": Normal(mean=-8.0, deviation=4.0, **_NOISE),
    }


def saas(num_columns: int) -> Priors:
    """For `kernels.Sparse`: most columns do not matter, a few do.

    References:
        Eriksson and Jankowiak (2021), High-dimensional Bayesian optimization with
        sparse axis-aligned subspaces, equation 2, for the shrinkage; BoTorch 0.18, for
        the output scale.
    """
    return {
        **short(num_columns),
        "log_variance": Gamma(concentration=2.0, rate=0.15, **_VARIANCE),
        "log_noise": LogNormal(mean=-8.0, deviation=2.0, **_NOISE),
    }


def by_leaf(parameters: PyTree, priors: Priors) -> list[tuple[Array, Prior]]:
    """Each leaf of a pytree with the prior of its name.

    Raises:
        ValueError: if the name of a leaf has no prior.
    """
    pairs = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        name = path[-1].name
        if name not in priors:
            raise ValueError(
                f"priors: expected a prior for the hyperparameter {name!r}, "
                f"got priors for {', '.join(priors)}"
            )
        pairs.append((leaf, priors[name]))
    return pairs


def initial(parameters: PyTree, priors: Priors) -> PyTree:
    """The same pytree with every leaf where its prior starts a fit."""
    leaves = [
        jnp.asarray(np.full(leaf.shape, prior.initial))
        for leaf, prior in by_leaf(parameters, priors)
    ]
    return jax.tree.unflatten(jax.tree.structure(parameters), leaves)
