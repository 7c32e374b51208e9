"""The exact Gaussian process on padded data."""

import dataclasses
import operator
from typing import Any, Literal, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax._numerics import cholesky, invert_factor
from bojax.data import Dataset
from bojax.space import Space
from bojax.surrogates import priors as hyperpriors
from bojax.surrogates.base import Normal, Posterior, Surrogate
from bojax.surrogates.fit import maximum_a_posteriori
from bojax.surrogates.kernels import Kernel, Mixed, Scale, gram
from bojax.surrogates.likelihood import (
    ConstantMean,
    ExcessNoise,
    LinearMean,
    Parameters,
    Warping,
    joint,
    log_likelihood,
    standardization,
    standardized,
    warped,
    with_excess,
)
from bojax.surrogates.paths import Paths, draw
from bojax.surrogates.priors import Priors

_WARM_EVALUATIONS = 8
"""Evaluations of the likelihood in a fit that goes on from the last one."""

_MANY = 1024
"""Of more rows than this, a fit afresh begins with a part of at most half as many."""


def searches(afresh: bool | Bool[Array, ""]) -> dict[str, Any]:
    """How thoroughly a fit searches, see `maximum_a_posteriori`."""
    return {
        "num_starts": jnp.where(afresh, 2, 1),
        "max_evaluations": jnp.where(afresh, 100, _WARM_EVALUATIONS),
        "ftol": jnp.where(afresh, 1e-6, 1e-5),
    }


class GP(Surrogate):
    """A Gaussian-process prior over functions on a space.

        f ~ GP(m, k),  y = f(x) + e,  e ~ N(0, noise + variance)

    Hyperparameters live on standardized values, posteriors in the units of the data.
    The kernel knows categories and conditions from the space, see `kernels.Mixed`.

    Args:
        space: the space whose unit cube the data lies on.
        kernel: covariance function; default: `Scale` of `Mixed`.
        mean: "constant" or "linear".
        warping: whether to learn Kumaraswamy's warp of the inputs.
        noise: "constant", or "heteroscedastic": learned where there is how much, see
            `likelihood.ExcessNoise`. Known noise, `Dataset.variance`, comes on top.
        priors: of the hyperparameters, by leaf name; default: `priors.short`,
            chosen by measurement, see `benchmarks/regret`.

    Raises:
        ValueError: if `mean` or `noise` is neither of its two.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> x = jnp.linspace(0, 1, 5)[:, None]
        >>> posterior = gp.condition(bojax.Dataset.of(x, jnp.sin(3 * x[:, 0])))
        >>> posterior(jnp.array([[0.5]])).mean.shape
        (1,)

    References:
        Rasmussen and Williams (2006), Gaussian processes for machine learning,
        chapter 2.
    """

    space: Space = eqx.field(static=True)
    parameters: Parameters
    priors: Priors

    def __init__(
        self,
        space: Space,
        kernel: Kernel | None = None,
        mean: Literal["constant", "linear"] = "constant",
        warping: bool = False,
        priors: Priors | None = None,
        noise: Literal["constant", "heteroscedastic"] = "constant",
    ):
        if mean not in ("constant", "linear"):
            raise ValueError(f"mean: expected 'constant' or 'linear', got {mean!r}")
        if noise not in ("constant", "heteroscedastic"):
            raise ValueError(
                f"noise: expected 'constant' or 'heteroscedastic', got {noise!r}"
            )
        d = space.num_columns
        zero, zeros = jnp.asarray(np.zeros(())), jnp.asarray(np.zeros(d))
        self.space = space
        self.priors = hyperpriors.short(d) if priors is None else priors
        self.parameters = Parameters(
            kernel=Scale(zero, Mixed.of(space)) if kernel is None else kernel,
            mean=ConstantMean(zero) if mean == "constant" else LinearMean(zero, zeros),
            log_noise=jnp.asarray(np.log(1e-2)),
            warping=Warping(space, zeros, zeros) if warping else None,
            excess=None if noise == "constant" else ExcessNoise.zero(),
        )
        if kernel is None:
            self.parameters = hyperpriors.initial(self.parameters, self.priors)

    @eqx.filter_jit
    def fit(
        self, data: Dataset, key: PRNGKeyArray, afresh: bool | Bool[Array, ""] = True
    ) -> "GP":
        """Hyperparameters of greatest posterior density, by local search.

        Args:
            data: observations; failed ones must have been left out or replaced.
            key: of random starts.
            afresh: whether to search to convergence, from the present hyperparameters
                and from the priors' own start. Otherwise go on for a few steps from the
                present ones: enough where little was added to the data of the last fit.
        """
        data = standardized(data, *standardization(data.y, data.mask))
        parameters, options = _cast(self.parameters, data.y), searches(afresh)
        if data.y.shape[0] > _MANY:
            # Most of the way for next to nothing, on every few of the rows.
            step = -(-data.y.shape[0] // (_MANY // 2))
            few = jax.tree.map(lambda leaf: leaf[::step], data)
            first = {**options, "num_starts": jnp.where(afresh, 2, 0)}
            parameters, _ = maximum_a_posteriori(
                parameters, self.priors, few, key, **first
            )
            last = jnp.where(afresh, 3 * _WARM_EVALUATIONS, _WARM_EVALUATIONS)
            options = {**options, "num_starts": 1, "max_evaluations": last}
        parameters, _ = maximum_a_posteriori(
            parameters, self.priors, data, key, **options
        )
        return self.replace(parameters)

    def replace(self, parameters: Parameters) -> "GP":
        """The same prior with other hyperparameters."""
        return eqx.tree_at(lambda gp: gp.parameters, self, parameters)

    @eqx.filter_jit
    def log_likelihood(self, data: Dataset) -> Float[Array, ""]:
        """Log marginal likelihood of the standardized values."""
        data = standardized(data, *standardization(data.y, data.mask))
        return log_likelihood(_cast(self.parameters, data.y), data)

    @eqx.filter_jit
    def condition(
        self, data: Dataset, pending: Bool[Array, " n"] | None = None
    ) -> "GPPosterior":
        """The posterior under the present hyperparameters.

        Args:
            data: observations.
            pending: rows of the data that are being evaluated, none of them in its
                mask. They count as observed at the value predicted for them: the mean
                stays what it is, the variance shrinks.

        References:
            Ginsbourger, Le Riche and Carraro (2010), the kriging believer.
        """
        parameters = _cast(self.parameters, data.y)
        location, scale = standardization(data.y, data.mask)
        observed = data.mask
        if pending is not None:
            data, observed = _sorted(data, pending, location)
        noisy = with_excess(parameters, standardized(data, location, scale))
        if parameters.excess is not None:
            data = dataclasses.replace(data, variance=_squared(scale, noisy.variance))
        residual, covariance = joint(parameters, noisy)
        inverse_factor = invert_factor(cholesky(covariance))
        # Of a value that was predicted from those before it, nothing is left once
        # these are accounted for.
        white = inverse_factor @ jnp.where(observed, residual, 0)
        white = jnp.where(observed, white, 0)
        if pending is not None:
            predicted = covariance @ (inverse_factor.T @ white) - residual
            y = jnp.where(observed, data.y, location + scale * predicted)
            data = Dataset(data.x, y, data.mask, data.variance)
        return GPPosterior(
            parameters=parameters,
            data=data,
            inverse_factor=inverse_factor,
            white=white,
            location=location,
            scale=scale,
            believed=data.mask & ~observed,
        )


def _squared(scale: Float[Array, ""], covariance: Array) -> Array:
    """Covariances in squared units of the data, finite for values of any size."""
    largest = jnp.finfo(covariance.dtype).max
    return jnp.clip(scale * (scale * covariance), -largest, largest)


def _positive(variance: Array, prior: Array) -> Array:
    """A variance of which rounding may have left zero or less, at an observation."""
    return jnp.maximum(variance, jnp.finfo(prior.dtype).eps * prior)


def _variance(scale: Float[Array, ""], variance: Array, prior: Array) -> Array:
    """A standardized variance in squared units of the data: positive and finite."""
    tiny = jnp.finfo(variance.dtype).tiny
    return jnp.maximum(_squared(scale, _positive(variance, prior)), tiny)


def _sorted(
    data: Dataset, pending: Bool[Array, " n"], y: Float[Array, ""]
) -> tuple[Dataset, Bool[Array, " n"]]:
    """Observations first, then what is pending as if observed, at the value `y`."""
    rank = jnp.where(data.mask, 0, jnp.where(pending, 1, 2))
    order = jnp.argsort(rank, stable=True)
    data_sorted = Dataset(
        data.x[order],
        jnp.where(pending, y, data.y)[order],
        (data.mask | pending)[order],
        data.variance[order],
    )
    return data_sorted, data.mask[order]


def _cast(parameters: Parameters, like: Float[Array, "..."]) -> Parameters:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, like.dtype), parameters)


class GPPosterior(Posterior):
    """A Gaussian process conditioned on data.

    Args:
        parameters: hyperparameters.
        data: the observations.
        inverse_factor: inverse of the lower Cholesky factor L of their covariance.
            Multiplying by it is faster than solving, point by point.
        white: L^-1 times the residuals from the prior mean.
        location: mean of the observed values.
        scale: their standard deviation.
        believed: rows whose value is not observed but predicted from those before.
    """

    parameters: Parameters
    data: Dataset
    inverse_factor: Float[Array, "n n"]
    white: Float[Array, " n"]
    location: Float[Array, ""]
    scale: Float[Array, ""]
    believed: Bool[Array, " n"]

    @property
    def trusted(self) -> Bool[Array, ""]:
        """Whether the covariance could be factorized: if not, everything is NaN."""
        return jnp.all(jnp.isfinite(self.inverse_factor))

    def _cross(self, x: Float[Array, "q d"]) -> Float[Array, "q n"]:
        points = warped(self.parameters, self.data.x)
        cross = gram(self.parameters.kernel, x, points)
        return jnp.where(self.data.mask, cross, 0)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Normal:
        """Joint distribution of the noise-free values at the rows of `x`.

        References:
            Rasmussen and Williams (2006), equations 2.25 and 2.26.
        """
        x = warped(self.parameters, x)
        projected = self._cross(x) @ self.inverse_factor.T
        mean = jax.vmap(self.parameters.mean)(x) + projected @ self.white
        prior = gram(self.parameters.kernel, x, x)
        covariance = prior - projected @ projected.T
        variance = _variance(self.scale, jnp.diagonal(covariance), jnp.diagonal(prior))
        covariance = jnp.where(
            jnp.eye(x.shape[0], dtype=bool), variance, _squared(self.scale, covariance)
        )
        return Normal(self.location + self.scale * mean, covariance)

    @eqx.filter_jit
    def marginal(
        self, x: Float[Array, " d"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean and variance of the noise-free value at one point."""
        x = warped(self.parameters, x[None])
        projected = self.inverse_factor @ self._cross(x)[0]
        mean = self.parameters.mean(x[0]) + projected @ self.white
        prior = self.parameters.kernel(x[0], x[0])
        variance = _variance(self.scale, prior - projected @ projected, prior)
        return self.location + self.scale * mean, variance

    @eqx.filter_jit
    def prior_variance(self, x: Float[Array, "q d"]) -> Float[Array, " q"]:
        """Variances of the noise-free values at the rows of `x` before any data."""
        kernel = self.parameters.kernel
        prior = jax.vmap(lambda x: kernel(x, x))(warped(self.parameters, x))
        return self.scale**2 * prior

    @eqx.filter_jit
    def projected(self, x: Float[Array, "q d"]) -> Float[Array, "q n"]:
        """L^-1 k(X, x) for each row of `x`, of which `covariance` is made."""
        return self._cross(warped(self.parameters, x)) @ self.inverse_factor.T

    @eqx.filter_jit
    def covariance(
        self,
        x: Float[Array, "q d"],
        z: Float[Array, "p d"],
        projected_z: Float[Array, "p n"],
    ) -> Float[Array, "q p"]:
        """Covariances of the noise-free values at rows of `x` with those of `z`.

        Args:
            x: points.
            z: other points.
            projected_z: what `projected` is at these, computed once for many `x`.
        """
        prior = gram(
            self.parameters.kernel,
            warped(self.parameters, x),
            warped(self.parameters, z),
        )
        return _squared(self.scale, prior - self.projected(x) @ projected_z.T)

    @property
    def best_y(self) -> Float[Array, ""]:
        """The least value observed, or believed of what is being evaluated."""
        return jnp.min(jnp.where(self.data.mask, self.data.y, jnp.inf))

    @property
    def observed(self) -> "GPPosterior":
        """The posterior without what is merely believed of pending points."""
        # A factor's leading rows are the factor of the leading observations alone.
        eye = jnp.eye(self.white.shape[0], dtype=self.white.dtype)
        believed = self.believed[:, None]
        return dataclasses.replace(
            self,
            data=dataclasses.replace(self.data, mask=self.data.mask & ~self.believed),
            inverse_factor=jnp.where(believed, eye, self.inverse_factor),
            believed=jnp.zeros_like(self.believed),
        )

    @eqx.filter_jit
    def noise(self, x: Float[Array, "q d"]) -> Float[Array, " q"]:
        """Variance of the noise of an observation at the rows of `x`, as learned."""
        noise = jnp.full(x.shape[0], self.parameters.noise)
        if self.parameters.excess is not None:
            points = warped(self.parameters, x)
            noise = noise + jax.vmap(self.parameters.excess)(points)
        return _squared(self.scale, noise)

    @property
    def incumbent(self) -> Float[Array, " d"]:
        """The point with the best posterior mean, of those observed or pending."""
        alpha = self.inverse_factor.T @ self.white
        data = standardized(self.data, self.location, self.scale)
        noise = self.parameters.noise + data.variance
        mean = data.y - noise * alpha
        return data.x[jnp.argmin(jnp.where(data.mask, mean, jnp.inf))]

    @eqx.filter_jit
    def leave_one_out(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Mean and variance of each observed value, predicted from all the others.

        References:
            Rasmussen and Williams (2006), equation 5.12.
        """
        precision = jnp.sum(self.inverse_factor**2, axis=0)
        alpha = self.inverse_factor.T @ self.white
        variance = _squared(self.scale, 1 / precision)
        return self.data.y - self.scale * alpha / precision, variance

    def sample(
        self, key: PRNGKeyArray, s: SupportsIndex, num_features: SupportsIndex = 1024
    ) -> Paths:
        """Functions from the posterior: noise-free, and callable at any point.

        Args:
            key: of the draw.
            s: how many functions.
            num_features: random features that they share. Each function's deviation
                from the exact distribution falls as their root.

        Raises:
            TypeError: if no random features are known for the kernel.
            ValueError: if a count is not positive.
        """
        return draw(
            key,
            operator.index(s),
            operator.index(num_features),
            self.parameters,
            self.data,
            self.inverse_factor,
            self.white,
            self.location,
            self.scale,
        )

    @eqx.filter_jit
    def fantasize(self, x: Float[Array, "q d"], y: Float[Array, " q"]) -> "GPPosterior":
        """The posterior after more observations, in O(n^2) for each.

        Hyperparameters and standardization stay.

        Args:
            x: where they were made.
            y: their values, in the units of the data.
        """
        n, q = self.white.shape[0], x.shape[0]
        return jax.lax.fori_loop(
            0,
            q,
            lambda i, posterior: posterior.append(n + i, x[i], y[i]),
            self.grow(q),
        )

    def grow(self, q: int) -> "GPPosterior":
        """The same posterior with `q` unused rows at the end, for `append`."""
        n = self.white.shape[0]
        data = self.data
        return GPPosterior(
            parameters=self.parameters,
            data=Dataset(
                x=jnp.pad(data.x, ((0, q), (0, 0)), constant_values=0.5),
                y=jnp.pad(data.y, (0, q)),
                mask=jnp.pad(data.mask, (0, q)),
                variance=jnp.pad(data.variance, (0, q)),
            ),
            inverse_factor=jnp.eye(n + q, dtype=self.white.dtype)
            .at[:n, :n]
            .set(self.inverse_factor),
            white=jnp.pad(self.white, (0, q)),
            location=self.location,
            scale=self.scale,
            believed=jnp.pad(self.believed, (0, q)),
        )

    def append(
        self,
        row: Int[Array, ""] | int,
        x: Float[Array, " d"],
        y: Float[Array, ""] | None = None,
    ) -> "GPPosterior":
        """The posterior after one observation, in O(n^2), in an unused last row.

        The factor of the larger covariance is [[L, 0], [l', s]], and its inverse
        [[L^-1, 0], [-l' L^-1 / s, 1 / s]].

        Args:
            row: which row of the data it goes to; no later one may be in use.
            x: where it was made.
            y: its value, in the units of the data. None: the point is pending, and
                counts as observed at the value that is predicted for it.

        References:
            Rasmussen and Williams (2006), appendix A.3, for the block inverse.
        """
        point = warped(self.parameters, x[None])
        cross = self.inverse_factor @ self._cross(point)[0]
        noise = self.parameters.noise
        variance = self.data.variance
        if self.parameters.excess is not None:
            excess = self.parameters.excess(point[0])
            noise = noise + excess
            variance = variance.at[row].set(_squared(self.scale, excess))
        prior = self.parameters.kernel(point[0], point[0]) + noise
        pivot = jnp.sqrt(_positive(prior - cross @ cross, prior))
        inverse_row = (-cross @ self.inverse_factor).at[row].set(1.0) / pivot
        predicted = self.parameters.mean(point[0]) + cross @ self.white
        believed = y is None
        if y is None:
            y, white = self.location + self.scale * predicted, jnp.zeros_like(pivot)
        else:
            white = ((y - self.location) / self.scale - predicted) / pivot
        data = self.data
        return dataclasses.replace(
            self,
            data=Dataset(
                x=data.x.at[row].set(x),
                y=data.y.at[row].set(y),
                mask=data.mask.at[row].set(True),
                variance=variance,
            ),
            inverse_factor=self.inverse_factor.at[row].set(inverse_row),
            white=self.white.at[row].set(white),
            believed=self.believed.at[row].set(believed),
        )
