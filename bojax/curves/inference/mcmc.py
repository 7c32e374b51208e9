"""NumPyro's samplers for a curve's posterior: references for the faster methods."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from bojax._precision import in_double
from bojax.curves.inference.evidence import Data, floored
from bojax.curves.models.base import OUTLIER, Model, Noise

_FEWEST = 16  # steps in the smallest bucket of lengths
_PRIOR_DRAWS = 1 << 14


class Chains(NamedTuple):
    """Draws of a posterior, chain after chain, and how far to trust them.

    Args:
        shapes: latents of the curve `[s, k]`.
        noises: latents of the noise `[s, j]`.
        coefficients: what the columns are multiplied with `[s, p]`.
        r_hat: split R-hat, the largest of any coordinate; 1 where chains agree.
        ess: effective sample size, the smallest of any coordinate.
    """

    shapes: np.ndarray
    noises: np.ndarray
    coefficients: np.ndarray
    r_hat: float
    ess: float


def numpyro_model(model: Model, data: Data) -> None:
    """A model of curves as a NumPyro model.

    Its sites: `z`, a standard normal vector of `model.num_latents`, which all else is
    made of; `latents` and `coefficients`, which are deterministic; `feasible`, a factor
    of 0 or minus infinity; `y`, the observations where the mask holds.

    Args:
        model: the prior.
        data: the curve, its values finite also where the mask hides them; on its grid
            curves must be feasible.
    """
    import numpyro
    import numpyro.distributions as dist

    prior = dist.Normal(jnp.zeros(model.num_latents, data.y.dtype), 1.0).to_event(1)
    z: Any = numpyro.sample("z", prior)
    latents, coefficients = model.generate(z)
    numpyro.deterministic("latents", latents)
    numpyro.deterministic("coefficients", coefficients)
    shape, noise = latents[: model.num_shapes], latents[model.num_shapes :]

    def curve(x):
        columns = jax.vmap(functools.partial(model.columns, shape), (0, None))
        return columns(x, data.horizon) @ coefficients

    wall = jnp.where(model.feasible(curve(data.grid)), 0.0, -jnp.inf)
    numpyro.factor("feasible", wall)
    with numpyro.handlers.mask(mask=data.mask):
        noise = floored(model.noise(noise, data.horizon), data)
        center, scale = _forecast(noise, curve(data.steps), data)
        numpyro.sample("y", dist.Normal(center, scale), obs=data.y)


def _forecast(noise: Noise, curve, data: Data):
    """Mean and standard deviation of each value given the ones before."""
    y, steps = data.y, data.steps
    place = jnp.where(data.mask, jnp.arange(len(y)), -1)
    before = jnp.concatenate([jnp.full(1, -1), jax.lax.cummax(place)[:-1]])
    gap = steps - steps[before]
    linked = (before >= 0) & (gap > 0) & (noise.rho > 0)
    # Where the power is not wanted it is not taken either, for the gradient's sake.
    rho = jnp.where(linked, noise.rho, 0.5)
    decay = jnp.where(linked, rho ** jnp.where(linked, gap, 1.0), 0.0)
    outlier = jnp.any(jnp.abs(steps[:, None] - noise.outliers) <= 0.5, 1)
    scale = noise.sigma * jnp.where(outlier, OUTLIER, 1.0)
    return curve + decay * (y - curve)[before], scale * jnp.sqrt(1 - decay**2)


def nuts(
    model: Model,
    y: Any,
    steps: Any,
    horizon: float,
    grid: Any,
    key: PRNGKeyArray,
    num_warmup: int = 500,
    num_samples: int = 1000,
    num_chains: int = 4,
    max_tree_depth: int = 10,
    floor: float | int = 0.0,
) -> Chains:
    """The no-U-turn sampler, on the whitened latents.

    Chains run together and start at the likeliest of many draws from the prior. The
    edge of what is feasible is a wall at which trajectories end: draws stay correct,
    but where the posterior leans on it steps get short.

    Args:
        model: the prior.
        y: values `[t]`, NaN where there is none.
        steps: where they were measured `[t]`, positive and increasing.
        horizon: the last step.
        grid: steps from the first to the last, on which curves must be feasible.
        key: a JAX key.
        num_warmup: iterations that adapt the sampler and are not kept.
        num_samples: draws kept of each chain.
        num_chains: how many chains.
        max_tree_depth: trajectories have at most two to this power steps; 8 is faster,
            but on some curves too short for chains to agree.
        floor: standard deviation that the noise has at least.

    Raises:
        ValueError: if no draw from the prior is feasible.
    """
    sizes = num_warmup, num_samples, num_chains, 1, max_tree_depth
    return _chains(_nuts, model, y, steps, floor, horizon, grid, key, sizes)


def aies(
    model: Model,
    y: Any,
    steps: Any,
    horizon: float,
    grid: Any,
    key: PRNGKeyArray,
    num_warmup: int = 500,
    num_samples: int = 2000,
    num_chains: int = 100,
    thinning: int = 10,
    floor: float | int = 0.0,
) -> Chains:
    """Goodman and Weare's affine-invariant ensemble with emcee's stretch move.

    Walkers learn from one another, so R-hat and the effective sample size, which take
    them for independent chains, are optimistic.

    Args:
        model: the prior.
        y: values `[t]`, NaN where there is none.
        steps: where they were measured `[t]`, positive and increasing.
        horizon: the last step.
        grid: steps from the first to the last, on which curves must be feasible.
        key: a JAX key.
        num_warmup: iterations that are not kept.
        num_samples: iterations after those.
        num_chains: how many walkers; raised to the next even number, and to twice the
            dimensions if there are fewer.
        thinning: of so many iterations one is kept.
        floor: standard deviation that the noise has at least.

    Raises:
        ValueError: if no draw from the prior is feasible.
    """
    num_chains = max(num_chains + num_chains % 2, 2 * model.num_latents)
    sizes = num_warmup, num_samples, num_chains, thinning, None
    return _chains(_aies, model, y, steps, floor, horizon, grid, key, sizes)


def _chains(
    sample: Callable, model, y, steps, floor, horizon, grid, key, sizes
) -> Chains:
    """Runs a sampler on a curve padded to its bucket, and looks at its chains."""
    from numpyro import diagnostics

    y, steps = np.asarray(y, float), np.asarray(steps, float)
    length = max(_FEWEST, 1 << max(len(y) - 1, 0).bit_length())
    padding = length - len(y)
    mask = np.pad(~np.isnan(y), (0, padding))
    y = np.pad(np.nan_to_num(y), (0, padding))
    steps = np.pad(steps, (0, padding), constant_values=float(horizon))
    data = y, mask, steps, float(floor), float(horizon), np.asarray(grid, float)
    found = in_double(sample, model, data, key, sizes)
    z, latents, coefficients, valid = (each.numpy() for each in found)
    if not valid:
        raise ValueError(
            f"model: expected a curve that is feasible among {_PRIOR_DRAWS} draws from "
            "the prior, got none"
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of chains that never moved
        r_hat = np.max(diagnostics.split_gelman_rubin(z))
        ess = np.min(diagnostics.effective_sample_size(z))
    latents, coefficients = (np.concatenate(each) for each in (latents, coefficients))
    shapes, noises = np.split(latents, [model.num_shapes], axis=1)
    return Chains(shapes, noises, coefficients, float(r_hat), float(ess))


def _nuts(model, data, key, sizes):
    from numpyro.infer import NUTS

    def kernel(potential):
        return NUTS(potential_fn=potential, max_tree_depth=sizes[-1], dense_mass=True)

    return _run(kernel, model, data, key, sizes)


def _aies(model, data, key, sizes):
    from numpyro.infer import AIES

    def kernel(potential):
        return AIES(potential_fn=potential, moves={AIES.StretchMove(): 1.0})

    return _run(kernel, model, data, key, sizes)


def _run(kernel: Callable, model, data, key, sizes):
    """The whole of MCMC in one compilation, which a curve's mask does not enter."""
    from numpyro.infer import MCMC
    from numpyro.infer.util import potential_energy

    num_warmup, num_samples, num_chains, thinning, _ = sizes

    def potential(z):
        return potential_energy(numpyro_model, (model, Data(*data)), {}, {"z": z})

    start_key, run_key = jax.random.split(key)
    start, valid = _starts(potential, model.num_latents, num_chains, start_key)
    with jax.ensure_compile_time_eval():  # AIES looks at its weights as it is made
        sampler = kernel(potential)
    mcmc = MCMC(
        sampler,
        num_warmup=num_warmup,
        num_samples=num_samples,
        num_chains=num_chains,
        thinning=thinning,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(run_key, init_params=start)
    z = mcmc.get_samples(group_by_chain=True)
    latents, coefficients = jax.vmap(jax.vmap(model.generate))(z)
    return z, latents, coefficients, valid


def _starts(potential: Callable, size: int, num: int, key: PRNGKeyArray):
    """The likeliest draws from the prior, jittered copies where too few are feasible.

    Returns:
        Starts [num, size], and whether any is feasible.
    """
    draw_key, jitter_key = jax.random.split(key)
    z = jax.random.normal(draw_key, (_PRIOR_DRAWS, size))
    energy = jax.lax.map(potential, z, batch_size=256)
    energy = jnp.where(jnp.isnan(energy), jnp.inf, energy)
    # The density of whitened latents says more of their number than of a curve's fit.
    fit = 0.5 * jnp.sum(z**2, 1) - energy
    _, best = jax.lax.top_k(fit, num)
    best = z[best]
    feasible = jnp.isfinite(jax.vmap(potential)(best))[:, None]
    jittered = best[0] + 0.01 * jax.random.normal(jitter_key, best.shape)
    near = jnp.isfinite(jax.vmap(potential)(jittered))[:, None]
    start = jnp.where(feasible, best, jnp.where(near, jittered, best[0]))
    return start, feasible[0, 0]
