import math
import sys
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax._precision import in_double
from bojax.curves import fit
from bojax.curves.inference import mcmc
from bojax.curves.inference.collapse import Normal
from bojax.curves.models.base import Model, Noise
from bojax.curves.original import original

original_module = sys.modules[original.__module__]

SIGMA = 0.1


class Line(Model):
    """A straight line in log x, whose one shape latent does nothing."""

    num_shapes: ClassVar[int] = 1
    num_noises: ClassVar[int] = 0
    num_coefficients: ClassVar[int] = 2
    num_latents: ClassVar[int] = 3
    white: ClassVar[bool] = True
    unit_interval: ClassVar[bool] = False
    bar: float = -math.inf
    validation_size: int | None = None

    def columns(self, shape, x, horizon):
        return jnp.stack([jnp.ones_like(x), jnp.log(x) / jnp.log(horizon)])

    def coefficients(self, shape):
        return Normal(jnp.zeros(2), jnp.eye(2))

    def noise(self, latent, horizon):
        return Noise.plain(jnp.asarray(SIGMA))

    def generate(self, z):
        return z[:1], z[1:]

    def feasible(self, curve):
        return curve[0] > self.bar


STEPS = np.arange(1.0, 13)
GRID = np.arange(1.0, 31)
Y = 0.3 + 0.4 * np.log(STEPS) / math.log(30) + 0.1 * np.cos(7 * STEPS)
Y[4] = np.nan


def exact():
    seen = ~np.isnan(Y)
    columns = np.stack([np.ones(12), np.log(STEPS) / math.log(30)], 1)[seen]
    precision = np.eye(2) + columns.T @ columns / SIGMA**2
    covariance = np.linalg.inv(precision)
    return covariance @ columns.T @ Y[seen] / SIGMA**2, covariance


def agrees(chains, factor=1.0):
    """Means and variances, to four standard errors of as many draws as claimed."""
    mean, covariance = exact()
    ess = chains.ess / factor
    draws = np.concatenate([chains.shapes, chains.coefficients], 1)
    mean = np.append(0.0, mean)
    variance = np.append(1.0, np.diag(covariance))
    off = (draws.mean(0) - mean) / np.sqrt(variance / ess)
    spread = (draws.var(0) / variance - 1) / np.sqrt(2 / ess)
    assert np.abs(off).max() < 4
    assert np.abs(spread).max() < 4
    correlation = np.corrcoef(chains.coefficients.T)[0, 1]
    expected = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    assert abs(math.atanh(correlation) - math.atanh(expected)) < 4 / math.sqrt(ess)


def test_nuts_finds_a_posterior_known_exactly(x64):
    chains = mcmc.nuts(Line(), Y, STEPS, 30.0, GRID, jax.random.key(0))
    assert chains.shapes.shape == (4000, 1)
    assert chains.noises.shape == (4000, 0)
    assert chains.coefficients.dtype == np.float64
    assert chains.r_hat < 1.01
    assert chains.ess > 1000
    agrees(chains)


def test_aies_finds_a_posterior_known_exactly(x64):
    chains = mcmc.aies(Line(), Y, STEPS, 30.0, GRID, jax.random.key(0))
    assert chains.shapes.shape == (20000, 1)
    assert chains.r_hat < 1.02
    agrees(chains)


def test_a_wall_cuts_the_posterior():
    mean, covariance = exact()
    model = Line(bar=float(mean[0]))
    chains = mcmc.nuts(model, Y, STEPS, 30.0, GRID, jax.random.key(1))
    height = (chains.coefficients[:, 0] - mean[0]) / math.sqrt(covariance[0, 0])
    assert height.min() > 0
    # Half of a normal distribution.
    error = 4 * math.sqrt((1 - 2 / math.pi) / chains.ess)
    np.testing.assert_allclose(height.mean(), math.sqrt(2 / math.pi), atol=error)


@pytest.mark.long
def test_a_floor_of_the_noise_is_known_to_chains_too():
    spread = {}
    for size in (None, 25):
        for method in ("importance", "nuts"):
            model = Line(validation_size=size)
            told = fit(Y, 30, model=model, method=method, direction="maximize")
            spread[size, method] = told.sample(30)[:, 0].std()
    ratio = spread[25, "nuts"] / spread[25, "importance"]
    assert abs(math.log(ratio)) < 4 / math.sqrt(1000)  # of a thousand draws or more
    assert spread[25, "nuts"] > 1.5 * spread[None, "nuts"]


def test_a_prior_without_a_feasible_curve_is_an_error():
    sizes = {"num_warmup": 5, "num_samples": 5}
    with pytest.raises(ValueError, match="model: expected a curve that is feasible"):
        mcmc.nuts(Line(bar=99.0), Y, STEPS, 30.0, GRID, jax.random.key(0), **sizes)


def test_curves_of_one_bucket_share_a_compilation(monkeypatch):
    traces, model = [], mcmc.numpyro_model
    monkeypatch.setattr(mcmc, "numpyro_model", lambda *a: traces.append(0) or model(*a))
    sizes = {"num_warmup": 7, "num_samples": 7}
    mcmc.nuts(Line(), Y, STEPS, 30.0, GRID, jax.random.key(0), **sizes)
    once = len(traces)
    assert once > 0
    missing = np.where(STEPS > 9, np.nan, Y)
    mcmc.nuts(Line(), missing, STEPS, 30.0, GRID, jax.random.key(1), **sizes)
    mcmc.nuts(Line(), Y[:7], STEPS[:7], 30.0, GRID, jax.random.key(1), **sizes)
    assert len(traces) == once


@pytest.mark.long
def test_the_original_chain_keeps_its_constraints_and_follows_a_clean_curve():
    x = np.arange(1.0, 41)
    noise = 0.005 * np.random.default_rng(0).normal(size=40)
    clean = 0.8 - 0.6 * x**-0.7
    y = (clean + noise)[:25]
    y[3] = np.nan
    found = original(y, 40, 0, num_steps=1200, num_burnt=400)
    assert found.curves.shape == (80 * 100, 40)
    assert found.kept.sum() >= 8
    assert np.isnan(found.starts[~found.kept]).all()
    assert np.all((found.sigma > 0) & (found.sigma < 1))
    assert np.all(found.weights >= 0)
    assert np.all(found.weights[:, ~found.kept] == 0)
    np.testing.assert_allclose(found.weights.sum(1), 1.0)
    # Each component rises from the second step to the last, and so does their sum.
    assert np.all(found.curves[:, 1] <= found.curves[:, -1] + 1e-12)
    assert np.all((found.curves[:, -1] >= 0) & (found.curves[:, -1] <= 100))
    # The families' mean misses the first steps, and the chain stays where it starts.
    off = found.curves.mean(0) - clean
    assert np.sqrt(np.mean(off[:25] ** 2)) < 0.02
    assert abs(off[-1]) < 0.03
    assert 0.002 < np.median(found.sigma) < 0.04


def test_the_stretch_move_draws_from_a_normal_distribution(monkeypatch):
    scale = jnp.asarray([0.01, 1.0, 1.0, 1.0, 30.0])

    def log_density(position, data):
        return -0.5 * jnp.sum((position[:5] / scale) ** 2)

    monkeypatch.setattr(original_module, "_log_density", log_density)
    moving = np.arange(7) < 5
    sizes = 60, 3000, 1000
    chain = original_module._chain
    draws = in_double(chain, np.ones(7), moving, (), jax.random.key(0), sizes).numpy()
    assert draws.shape == (2000 * 60, 7)
    assert np.all(draws[:, 5:] == 1.0)
    white = draws[:, :5] / np.asarray(scale)
    # Walkers forget in less than a hundred steps, so at least 6000 are independent.
    np.testing.assert_allclose(white.mean(0), 0.0, atol=4 / math.sqrt(6000))
    np.testing.assert_allclose(white.var(0), 1.0, atol=4 * math.sqrt(2 / 6000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, np.inf, 0.2], 9, 0), "y: expected"),
        (([0.1, 0.2, 0.3], 2, 0), "horizon: expected"),
        (([0.1, 0.2, 0.3], 9, 0, 30), "num_walkers: expected"),
        (([0.1, 0.2, 0.3], 9, 0, 100, 50, 50), "num_burnt: expected"),
    ],
)
def test_the_original_chain_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        original(*arguments)
