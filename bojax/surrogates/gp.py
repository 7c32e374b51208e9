"""The exact Gaussian process on padded data."""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax._numerics import (
    cholesky,
    gaussian_log_density,
    invert_factor,
    masked_covariance,
)
from bojax.data import Dataset
from bojax.space import Space
from bojax.surrogates import priors as hyperpriors
from bojax.surrogates.base import Normal, Posterior, Surrogate
from bojax.surrogates.fit import maximum_a_posteriori
from bojax.surrogates.kernels import Kernel, Mixed, Scale, gram
from bojax.surrogates.priors import Priors

_WARM_EVALUATIONS = 8
"""Evaluations of the likelihood in a fit that goes on from the last one."""


class ConstantMean(eqx.Module):
    """The same prior mean everywhere, in standard deviations of the data."""

    bias: Float[Array, ""]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Prior mean at a point."""
        return self.bias


class LinearMean(eqx.Module):
    """A prior mean that is linear in the inputs."""

    bias: Float[Array, ""]
    slope: Float[Array, " d"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Prior mean at a point."""
        return self.bias + jnp.sum(self.slope * (x - 0.5))


class Warping(eqx.Module):
    """Kumaraswamy's warp of each number, 1 - (1 - x^a)^b; categories stay.

    Args:
        space: which columns are categories.
        log_warp_a: log of a, one a column.
        log_warp_b: log of b, one a column.

    References:
        Snoek, Swersky, Zemel and Adams (2014), Input warping for Bayesian optimization
        of non-stationary functions; here with Kumaraswamy's distribution function.
    """

    space: Space = eqx.field(static=True)
    log_warp_a: Float[Array, " d"]
    log_warp_b: Float[Array, " d"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The warped point."""
        # A margin keeps the powers differentiable at the faces of the cube.
        margin = 1e-6
        inside = margin + (1 - 2 * margin) * x
        power = -jnp.expm1(jnp.exp(self.log_warp_a) * jnp.log(inside))
        warped = -jnp.expm1(jnp.exp(self.log_warp_b) * jnp.log(power))
        return jnp.where(self.space.is_categorical, x, warped)


class Parameters(eqx.Module):
    """All that a fit moves."""

    kernel: Kernel
    mean: ConstantMean | LinearMean
    log_noise: Float[Array, ""]
    warping: Warping | None


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
        priors: of the hyperparameters, by leaf name; default: `priors.optuna`.

    Raises:
        ValueError: if `mean` is neither of the two.

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
    ):
        if mean not in ("constant", "linear"):
            raise ValueError(f"mean: expected 'constant' or 'linear', got {mean!r}")
        d = space.num_columns
        zero, zeros = jnp.asarray(np.zeros(())), jnp.asarray(np.zeros(d))
        self.space = space
        self.priors = hyperpriors.optuna(d) if priors is None else priors
        self.parameters = Parameters(
            kernel=Scale(zero, Mixed.of(space)) if kernel is None else kernel,
            mean=ConstantMean(zero) if mean == "constant" else LinearMean(zero, zeros),
            log_noise=jnp.asarray(np.log(1e-2)),
            warping=Warping(space, zeros, zeros) if warping else None,
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
        return maximum_a_posteriori(
            self,
            data,
            key,
            num_starts=jnp.where(afresh, 2, 1),
            max_evaluations=jnp.where(afresh, 100, _WARM_EVALUATIONS),
            ftol=jnp.where(afresh, 1e-6, 1e-5),
        )[0]

    def log_likelihood(self, data: Dataset) -> Float[Array, ""]:
        """Log marginal likelihood of the standardized values.

        log p(y) = -1/2 r' K^-1 r - 1/2 log |K| - n/2 log 2 pi

        References:
            Rasmussen and Williams (2006), equation 2.30.
        """
        parameters = _cast(self.parameters, data.y)
        residual, covariance = _joint(parameters, data, *standardization(data))
        count = jnp.sum(data.mask)
        return gaussian_log_density(residual, covariance) - 0.5 * count * math.log(
            2 * math.pi
        )

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
        location, scale = standardization(data)
        observed = data.mask
        if pending is not None:
            data, observed = _sorted(data, pending)
        residual, covariance = _joint(parameters, data, location, scale)
        inverse_factor = invert_factor(cholesky(covariance))
        # Of a value that was predicted from those before it, nothing is left once
        # these are accounted for.
        white = inverse_factor @ jnp.where(observed, residual, 0)
        white = jnp.where(observed, white, 0)
        return GPPosterior(
            parameters=parameters,
            data=data,
            inverse_factor=inverse_factor,
            white=white,
            location=location,
            scale=scale,
        )


def _sorted(
    data: Dataset, pending: Bool[Array, " n"]
) -> tuple[Dataset, Bool[Array, " n"]]:
    """Observations first, then what is pending as if observed, at an infinite value."""
    rank = jnp.where(data.mask, 0, jnp.where(pending, 1, 2))
    order = jnp.argsort(rank, stable=True)
    y = jnp.where(pending, jnp.inf, data.y)
    data_sorted = Dataset(
        data.x[order], y[order], (data.mask | pending)[order], data.variance[order]
    )
    return data_sorted, data.mask[order]


def _joint(parameters, data, location, scale):
    """Residuals from the prior mean, and the covariance of the noisy values."""
    x = warped(parameters, data.x)
    values = jnp.where(data.mask, (data.y - location) / scale, 0)
    residual = jnp.where(data.mask, values - jax.vmap(parameters.mean)(x), 0)
    noise = jnp.exp(parameters.log_noise) + data.variance / scale**2
    covariance = masked_covariance(gram(parameters.kernel, x, x), noise, data.mask)
    return residual, covariance


def warped(parameters: Parameters, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """The points as the kernel sees them."""
    return x if parameters.warping is None else jax.vmap(parameters.warping)(x)


def _cast(parameters: Parameters, like: Float[Array, "..."]) -> Parameters:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, like.dtype), parameters)


def standardization(data: Dataset) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation of the values, safe for huge, equal and no values."""
    count = jnp.maximum(jnp.sum(data.mask), 1)
    values = jnp.where(data.mask, data.y, 0)
    unit = jnp.maximum(jnp.max(jnp.abs(values)), jnp.finfo(values.dtype).tiny)
    scaled = values / unit
    mean = jnp.sum(scaled) / count
    squares = jnp.where(data.mask, (scaled - mean) ** 2, 0)
    deviation = jnp.sqrt(jnp.sum(squares) / count)
    flat = deviation <= 8 * jnp.finfo(values.dtype).eps
    return mean * unit, jnp.where(flat, 1.0, deviation * unit)


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
    """

    parameters: Parameters
    data: Dataset
    inverse_factor: Float[Array, "n n"]
    white: Float[Array, " n"]
    location: Float[Array, ""]
    scale: Float[Array, ""]

    @property
    def trusted(self) -> Bool[Array, ""]:
        """Whether the covariance could be factorized: if not, everything is NaN."""
        return jnp.all(jnp.isfinite(self.inverse_factor))

    def _cross(self, x: Float[Array, "q d"]) -> Float[Array, "q n"]:
        points = warped(self.parameters, self.data.x)
        cross = gram(self.parameters.kernel, x, points)
        return jnp.where(self.data.mask, cross, 0)

    def __call__(self, x: Float[Array, "q d"]) -> Normal:
        """Joint distribution of the noise-free values at the rows of `x`.

        References:
            Rasmussen and Williams (2006), equations 2.25 and 2.26.
        """
        x = warped(self.parameters, x)
        projected = self._cross(x) @ self.inverse_factor.T
        mean = jax.vmap(self.parameters.mean)(x) + projected @ self.white
        covariance = gram(self.parameters.kernel, x, x) - projected @ projected.T
        return Normal(self.location + self.scale * mean, self.scale**2 * covariance)

    def marginal(
        self, x: Float[Array, " d"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean and variance of the noise-free value at one point."""
        x = warped(self.parameters, x[None])
        projected = self.inverse_factor @ self._cross(x)[0]
        mean = self.parameters.mean(x[0]) + projected @ self.white
        prior = self.parameters.kernel(x[0], x[0])
        # Rounding may leave a variance of zero or less where there is an observation.
        floor = jnp.finfo(prior.dtype).eps * prior
        variance = jnp.maximum(prior - projected @ projected, floor)
        return self.location + self.scale * mean, self.scale**2 * variance

    @property
    def incumbent(self) -> Float[Array, " d"]:
        """The observed point with the best posterior mean."""
        alpha = self.inverse_factor.T @ self.white
        noise = jnp.exp(self.parameters.log_noise) + self.data.variance / self.scale**2
        mean = (self.data.y - self.location) / self.scale - noise * alpha
        return self.data.x[jnp.argmin(jnp.where(self.data.mask, mean, jnp.inf))]

    def leave_one_out(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Mean and variance of each observed value, predicted from all the others.

        References:
            Rasmussen and Williams (2006), equation 5.12.
        """
        precision = jnp.sum(self.inverse_factor**2, axis=0)
        alpha = self.inverse_factor.T @ self.white
        variance = self.scale**2 / precision
        return self.data.y - self.scale * alpha / precision, variance

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
        )

    def append(
        self, row: Int[Array, ""] | int, x: Float[Array, " d"], y: Float[Array, ""]
    ) -> "GPPosterior":
        """The posterior after one observation, in O(n^2), in an unused last row.

        The factor of the larger covariance is [[L, 0], [l', s]], and its inverse
        [[L^-1, 0], [-l' L^-1 / s, 1 / s]].

        Args:
            row: which row of the data it goes to; no later one may be in use.
            x: where it was made.
            y: its value, in the units of the data.

        References:
            Rasmussen and Williams (2006), appendix A.3, for the block inverse.
        """
        point = warped(self.parameters, x[None])
        cross = self.inverse_factor @ self._cross(point)[0]
        noise = jnp.exp(self.parameters.log_noise)
        prior = self.parameters.kernel(point[0], point[0]) + noise
        floor = jnp.finfo(prior.dtype).eps * prior
        pivot = jnp.sqrt(jnp.maximum(prior - cross @ cross, floor))
        inverse_row = (-cross @ self.inverse_factor).at[row].set(1.0) / pivot
        residual = (y - self.location) / self.scale - self.parameters.mean(point[0])
        return GPPosterior(
            parameters=self.parameters,
            data=Dataset(
                x=self.data.x.at[row].set(x),
                y=self.data.y.at[row].set(y),
                mask=self.data.mask.at[row].set(True),
                variance=self.data.variance,
            ),
            inverse_factor=self.inverse_factor.at[row].set(inverse_row),
            white=self.white.at[row].set((residual - cross @ self.white) / pivot),
            location=self.location,
            scale=self.scale,
        )
