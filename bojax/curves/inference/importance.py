"""Importance sampling: many shapes from the prior, each weighted by its evidence.

References:
    Owen (2013), Monte Carlo theory, methods and examples, chapter 9; Vehtari and others
    (2024) for the diagnosis.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax._sobol import sobol
from bojax.curves.inference.collapse import Moments, Normal, collapse
from bojax.curves.inference.evidence import (
    Data,
    columns_of,
    explain,
    floored,
)
from bojax.curves.inference.pareto import pareto_k
from bojax.curves.models.base import Model

NUM_SHAPES = 1024
NUM_NOISES = 12
NUM_DRAWS = 1024


class Draws(eqx.Module):
    """A posterior as draws of equal weight.

    Args:
        shape: latent shapes.
        noise: latent noises.
        coefficients: what the shapes' columns are multiplied by.
        path: the curves on the grid.
        pareto_k: of the importance weights behind the draws; under 0.7 is reliable.
        ess: the effective sample size of these weights.
    """

    shape: Float[Array, "s k"]
    noise: Float[Array, "s j"]
    coefficients: Float[Array, "s p"]
    path: Float[Array, "s g"]
    pareto_k: Any
    ess: Any


class Pool(eqx.Module):
    """Shapes of the prior, several noises for each, and what they look like.

    Args:
        shape: latent shapes.
        noise: latent noises of each.
        columns: of each shape, at the steps of the data.
        products: of pairs of columns, for models of white noise.
    """

    shape: Float[Array, "s k"]
    noise: Float[Array, "s l j"]
    columns: Float[Array, "s t p"]
    products: Float[Array, "s pp t"]


def make_pool(
    model: Model,
    steps: Float[Array, " t"],
    horizon: Float[Array, ""],
    key: PRNGKeyArray,
    num_shapes: int = NUM_SHAPES,
    num_noises: int = NUM_NOISES,
) -> Pool:
    """A pool that any number of curves can be weighed against."""
    size = model.num_shapes + 1
    point = sobol(key, jnp.arange(num_shapes), size)
    shape = _normal(point[:, :-1])
    level = (jnp.arange(num_noises) + point[:, -1:]) / num_noises
    rest = sobol(
        jax.random.fold_in(key, 1),
        jnp.arange(num_shapes * num_noises),
        max(model.num_noises - 1, 1),
    ).reshape(num_shapes, num_noises, -1)[..., : model.num_noises - 1]
    # The scale, which is last, is stratified for each shape.
    noise = jnp.concatenate([_normal(rest), _normal(level)[..., None]], axis=-1)
    columns = jax.vmap(lambda s: columns_of(model, s, steps, horizon))(shape)
    row, column = jnp.triu_indices(model.num_coefficients)
    products = (
        columns[..., row] * columns[..., column] if model.white else columns[..., :0]
    )
    return Pool(shape, noise, columns, jnp.moveaxis(products, 1, -1))


def _normal(u):
    return ndtri(jnp.clip(u, 1e-9, 1 - 1e-9))


def weigh(model: Model, pool: Pool, data: Data) -> tuple[Float[Array, "s l"], Normal]:
    """Log evidence of each member of a pool, and its coefficients."""
    prior = jax.vmap(model.coefficients)(pool.shape)
    noise = jax.vmap(jax.vmap(lambda n: floored(model.noise(n, data.horizon), data)))(
        pool.noise
    )
    if not model.white:

        def each(columns, prior, noise):
            return jax.vmap(lambda n: explain(model, columns, prior, n, data))(noise)

        evidence, posterior = jax.vmap(each)(pool.columns, prior, noise)
    else:
        # Products of columns are shared by all curves, which are then one product more.
        seen = data.mask.astype(data.y.dtype)
        y = jnp.where(data.mask, data.y, 0)
        size = model.num_coefficients
        row, column = jnp.triu_indices(size)
        place = jnp.zeros((size, size), int).at[row, column].set(jnp.arange(len(row)))
        gram = (pool.products @ seen)[:, jnp.maximum(place, place.T)]
        inner = jnp.moveaxis(pool.columns, 1, -1) @ y

        def share(gram, inner, prior, sigma):
            moments = Moments(gram, inner, y @ y, seen.sum())
            return jax.vmap(lambda s: collapse(moments, prior, s))(sigma)

        evidence, posterior = jax.vmap(share)(gram, inner, prior, noise.sigma)
    return jnp.where(jnp.isnan(evidence), -jnp.inf, evidence), posterior


def pick(
    key: PRNGKeyArray, log_weights: Float[Array, " s"], num: int
) -> Int[Array, " {num}"]:
    """Systematic resampling: indices in proportion to the weights."""
    edges = jnp.cumsum(jax.nn.softmax(log_weights))
    start = jax.random.uniform(key, dtype=edges.dtype)
    place = (jnp.arange(num) + start) / num * edges[-1]
    return jnp.clip(jnp.searchsorted(edges, place), 0, len(edges) - 1)


def finish(
    model: Model,
    shape: Float[Array, "s k"],
    noise: Float[Array, "s j"],
    posterior: Normal,
    data: Data,
    key: PRNGKeyArray,
) -> Draws:
    """Draws coefficients, and weights them by their exact prior over the normal one."""
    key, here = jax.random.split(key)
    white = jax.random.normal(here, posterior.mean.shape, data.y.dtype)
    drawn = posterior.mean + jnp.einsum("spq,sq->sp", posterior.factor, white)

    def look(shape, drawn):
        path = columns_of(model, shape, data.grid, data.horizon) @ drawn
        return path, model.log_correction(drawn, path)

    path, log_weights = jax.vmap(look)(shape, drawn)
    log_weights = jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights)
    chosen = pick(key, log_weights, len(log_weights))
    ess = 1 / jnp.sum(jax.nn.softmax(log_weights) ** 2)
    drawn = shape[chosen], noise[chosen], drawn[chosen], path[chosen]
    return Draws(*drawn, pareto_k(log_weights), ess)


def importance(
    model: Model, pool: Pool, data: Data, key: PRNGKeyArray, num_draws: int = NUM_DRAWS
) -> Draws:
    """The posterior of one curve from a pool of the prior.

    The shape of the tail is that of the evidences or that of the corrections, whichever
    is worse.
    """
    evidence, posterior = weigh(model, pool, data)
    flat = evidence.reshape(-1)
    first, second = jax.random.split(key)
    chosen = pick(first, flat, num_draws)
    row, level = chosen // evidence.shape[1], chosen % evidence.shape[1]
    posterior = Normal(posterior.mean[row, level], posterior.factor[row, level])
    draws = finish(
        model, pool.shape[row], pool.noise[row, level], posterior, data, second
    )
    ess = 1 / jnp.sum(jax.nn.softmax(flat) ** 2)
    worse = jnp.maximum(draws.pareto_k, pareto_k(flat)), jnp.minimum(draws.ess, ess)
    return eqx.tree_at(lambda d: (d.pareto_k, d.ess), draws, worse)
