"""Sequential Monte Carlo: from the prior to the posterior by way of powers of evidence.

References:
    Del Moral, Doucet and Jasra (2006), Sequential Monte Carlo samplers, section 3.3;
    Chopin (2002), A sequential particle filter method for static models.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from bojax.curves.inference.evidence import Data, columns_of, explain, floored
from bojax.curves.inference.importance import Draws, Pool, finish, pick, weigh
from bojax.curves.models.base import Model

NUM_PARTICLES = 384
NUM_MOVES = 6
_MAX_STAGES = 60


def smc(
    model: Model,
    pool: Pool,
    data: Data,
    key: PRNGKeyArray,
    num_particles: int = NUM_PARTICLES,
    num_moves: int = NUM_MOVES,
    num_draws: int = 1024,
) -> Draws:
    """The posterior of one curve, shapes and noises moved towards it in stages.

    Each stage raises the evidence to the highest power that leaves half of the
    particles effective, resamples, and moves them by random walks of their own
    covariance. The pool of the prior is the first stage.
    """
    split = model.num_shapes
    evidence = weigh(model, pool, data)[0].reshape(-1)
    num_noises = pool.noise.shape[1]
    start, key = jax.random.split(key)
    power = _next_power(evidence, jnp.zeros(()), 1.0 * num_particles)
    chosen = pick(start, power * evidence, num_particles)
    latent = jnp.concatenate(
        [
            pool.shape[chosen // num_noises],
            pool.noise[chosen // num_noises, chosen % num_noises],
        ],
        axis=1,
    )
    size = latent.shape[1]

    def explained(latent):
        shape = latent[:split]
        columns = columns_of(model, shape, data.steps, data.horizon)
        noise = floored(model.noise(latent[split:], data.horizon), data)
        value, posterior = explain(
            model, columns, model.coefficients(shape), noise, data
        )
        return jnp.where(jnp.isnan(value), -jnp.inf, value), posterior

    def move_all(latent, evidence, power, scale, key):
        centered = latent - latent.mean(0)
        covariance = centered.T @ centered / num_particles
        factor = jnp.linalg.cholesky(covariance + 1e-6 * jnp.eye(size))

        def move(carry, key):
            latent, evidence, scale = carry
            step, far, accept = jax.random.split(key, 3)
            jump = jax.random.normal(step, latent.shape, latent.dtype) @ factor.T
            # Short and long steps in turn of one another: modes differ in width.
            length = jnp.exp(jax.random.normal(far, (num_particles, 1), latent.dtype))
            new = latent + scale * length * jump
            value = jax.vmap(lambda u: explained(u)[0])(new)
            gain = power * (value - evidence) - 0.5 * jnp.sum(new**2 - latent**2, 1)
            gain = jnp.where(jnp.isnan(gain), -jnp.inf, gain)
            chance = jnp.exp(jnp.minimum(gain, 0.0))
            taken = jax.random.uniform(accept, chance.shape, chance.dtype) < chance
            latent = jnp.where(taken[:, None], new, latent)
            evidence = jnp.where(taken, value, evidence)
            scale = jnp.clip(scale * jnp.exp(chance.mean() - 0.3), 0.05, 2.0)
            return (latent, evidence, scale), None

        keys = jax.random.split(key, num_moves)
        return jax.lax.scan(move, (latent, evidence, scale), keys)[0]

    def advance(carry):
        latent, evidence, scale, power, key, stage = carry
        key, first, second = jax.random.split(key, 3)
        new = _next_power(evidence, power, 0.5 * num_particles)
        new = jnp.where(stage < _MAX_STAGES, new, 1.0)
        kept = pick(first, (new - power) * evidence, num_particles)
        latent, evidence, scale = move_all(
            latent[kept], evidence[kept], new, scale, second
        )
        return latent, evidence, scale, new, key, stage + 1

    key, here, last = jax.random.split(key, 3)
    scale = jnp.asarray(1.2 / jnp.sqrt(size))
    latent, evidence, scale = move_all(latent, evidence[chosen], power, scale, here)
    carry = (latent, evidence, scale, power, key, jnp.zeros((), int))
    latent, *_ = jax.lax.while_loop(lambda c: c[3] < 1, advance, carry)

    latent = jnp.tile(latent, (-(-num_draws // num_particles), 1))[:num_draws]
    posterior = jax.vmap(explained)(latent)[1]
    return finish(model, latent[:, :split], latent[:, split:], posterior, data, last)


def _next_power(
    evidence: Float[Array, " s"], power: Float[Array, ""], target: float
) -> Float[Array, ""]:
    """The highest power at which so many particles are still effective."""

    def effective(new):
        return 1 / jnp.sum(jax.nn.softmax((new - power) * evidence) ** 2)

    # Powers differ by orders of magnitude: bisect in their logarithm.
    def halve(_, bounds):
        low, high = bounds
        middle = 0.5 * (low + high)
        good = effective(power + (1 - power) * jnp.exp(middle)) >= target
        return jnp.where(good, middle, low), jnp.where(good, high, middle)

    span = jnp.asarray(-16.0), jnp.zeros(())
    low, _ = jax.lax.fori_loop(0, 24, halve, span)
    one = jnp.ones(())
    return jnp.where(effective(one) >= target, one, power + (1 - power) * jnp.exp(low))
