"""Hyperparameters of greatest posterior density."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax import _lbfgs
from bojax.data import Dataset
from bojax.surrogates.likelihood import Parameters, log_likelihood
from bojax.surrogates.priors import Priors, by_leaf

_SPREAD = 0.7
"""Standard deviation of random starts around the priors' own, in logarithms."""


class FitReport(eqx.Module):
    """How a fit went.

    Args:
        log_density: log posterior density reached, up to a constant.
        num_evaluations: of the likelihood and its gradient, over all starts.
    """

    log_density: Float[Array, ""]
    num_evaluations: Int[Array, ""]


def maximum_a_posteriori(
    parameters: Parameters,
    priors: Priors,
    data: Dataset,
    key: PRNGKeyArray,
    num_starts: int | Int[Array, ""],
    max_evaluations: int | Int[Array, ""] = 100,
    gtol: float = 1e-2,
    ftol: float | Float[Array, ""] = 1e-6,
) -> tuple[Parameters, FitReport]:
    """The best of several local searches for log p(y | theta) + log p(theta).

    The searches run one after the other, so that their number may change from call to
    call without another compilation, and a warm start alone costs only itself.

    Args:
        parameters: the first start; the priors' own is the second.
        priors: by leaf name.
        data: standardized observations.
        key: of the other starts.
        num_starts: how many searches.
        max_evaluations: of the likelihood, for each search.
        gtol: a search stops where no slope of the log density is larger than this,
        ftol: or where a step adds less than this share of it.
    """
    dtype = data.y.dtype
    pairs = by_leaf(parameters, priors)
    warm, unravel = ravel_pytree(parameters)

    def spread(attribute: str) -> Float[Array, " p"]:
        full = [np.full(leaf.size, getattr(prior, attribute)) for leaf, prior in pairs]
        return jnp.asarray(np.concatenate(full), dtype)

    lower, upper, middle = spread("lower"), spread("upper"), spread("initial")

    def loss(theta: Float[Array, " p"], data: Dataset) -> Float[Array, ""]:
        parameters = unravel(theta)
        log_prior = sum(
            jnp.sum(prior.log_density(leaf))
            for leaf, prior in by_leaf(parameters, priors)
        )
        return -log_likelihood(parameters, data) - log_prior

    def search(i, carry):
        best, value, evaluations = carry
        noise = jax.random.normal(jax.random.fold_in(key, i), warm.shape, dtype)
        other = middle + jnp.where(i > 1, _SPREAD, 0.0) * noise
        found = _lbfgs.minimize(
            loss,
            jnp.clip(jnp.where(i == 0, warm, other), lower, upper),
            lower,
            upper,
            data,
            max_evaluations=max_evaluations,
            gtol=gtol,
            ftol=ftol,
        )
        better = found.value < value
        return (
            jnp.where(better, found.x, best),
            jnp.where(better, found.value, value),
            evaluations + found.num_evaluations,
        )

    start = (jnp.clip(warm, lower, upper), jnp.asarray(jnp.inf, dtype), jnp.int32(0))
    best, value, evaluations = jax.lax.fori_loop(0, num_starts, search, start)
    return unravel(best), FitReport(-value, evaluations)
