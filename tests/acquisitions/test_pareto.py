"""Hypervolume and scalarization: against integrals, host hypervolumes and BoTorch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import pareto
from bojax.acquisitions import ParEGO, QLogEHVI, QLogNEHVI
from bojax.acquisitions.pareto import Cells
from bojax.data import Dataset
from bojax.surrogates import GP, Several

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)})


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@eqx.filter_jit
def condition(data, pending=None, noise=1e-6):
    gp = GP(SPACE)
    gp = eqx.tree_at(
        lambda gp: (
            gp.parameters.log_noise,
            gp.parameters.kernel.kernel.log_lengthscale,
        ),
        gp,
        (jnp.log(noise), jnp.log(jnp.full(2, 0.15))),
    )
    return Several(jax.vmap(lambda data: gp.condition(data, pending))(data))


def posteriors(m, n=6, noise=0.0, num_pending=0):
    rng = np.random.default_rng(m)
    x, y = jnp.asarray(rng.uniform(size=(n, 2))), jnp.asarray(rng.normal(size=(m, n)))
    pending = jnp.arange(n) >= n - num_pending

    def data(y):
        return Dataset(x, y, ~pending, jnp.full(n, noise**2))

    return condition(jax.vmap(data)(y), pending if num_pending else None)


@eqx.filter_jit
def best(acquisition):
    """Where on a grid it is greatest."""
    grid = jnp.stack(jnp.meshgrid(*[jnp.linspace(0.02, 0.97, 11)] * 2), -1)
    grid = grid.reshape(-1, 1, 2)
    return grid[jnp.argmax(jax.vmap(acquisition)(grid))]


log_improvement = jax.jit(Cells.log_improvement)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_of_a_certain_point_it_is_the_difference_of_hypervolumes(m):
    rng = np.random.default_rng(0)
    reference = np.full(m, 1.2)
    make = jax.jit(Cells.of)
    for _ in range(20):
        y = rng.uniform(size=(7, m))
        y[rng.uniform(size=7) < 0.2] = 2.0  # beyond the reference: of no account
        mask = rng.uniform(size=7) < 0.8
        point = rng.uniform(size=m)
        cells = make(jnp.asarray(y), jnp.asarray(mask), jnp.asarray(reference))
        found = np.exp(log_improvement(cells, jnp.asarray(point), jnp.full(m, 1e-20)))
        before = pareto.hypervolume(y[mask], reference)
        after = pareto.hypervolume(np.vstack([y[mask], point]), reference)
        np.testing.assert_allclose(found, after - before, atol=1e-8)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_of_an_uncertain_point_it_is_the_mean_over_draws(m):
    rng = np.random.default_rng(1)
    reference, y = np.full(m, 1.2), rng.uniform(size=(6, m))
    mean, sigma = rng.uniform(size=m), rng.uniform(0.05, 0.5, size=m)
    cells = Cells.of(jnp.asarray(y), jnp.ones(6, bool), jnp.asarray(reference))
    found = np.exp(log_improvement(cells, jnp.asarray(mean), jnp.asarray(sigma**2)))
    before, draws = pareto.hypervolume(y, reference), rng.normal(mean, sigma, (3000, m))
    gains = [
        pareto.hypervolume(np.vstack([y, draw]), reference) - before for draw in draws
    ]
    error = np.std(gains) / np.sqrt(len(gains))
    assert abs(found - np.mean(gains)) < 4 * error


def test_far_from_any_gain_it_still_has_a_slope():
    cells = Cells.of(jnp.zeros((1, 2)), jnp.ones(1, bool), jnp.ones(2))
    mean, variance = jnp.array([30.0, 40.0]), jnp.ones(2)
    value, slope = jax.value_and_grad(Cells.log_improvement, argnums=1)(
        cells, mean, variance
    )
    assert value < -1000
    assert np.all(np.asarray(slope) < -20)


def test_a_front_that_is_too_long_is_thinned_out_evenly():
    t = jnp.linspace(0, 1, 80)
    y = jnp.stack([t, 1 - t], axis=1)
    cells = Cells.of(y, jnp.ones(80, bool), jnp.full(2, 1.5))
    assert cells.edges.shape == (1, 33)
    edges = np.asarray(cells.edges[0])
    # Both ends stay. (Crowding of a full front is even, so any others may.)
    assert edges[0] == 0
    assert edges[31] == 1


@pytest.mark.parametrize("m", [2, 3])
def test_cells_that_no_front_needs_change_nothing(m):
    rng = np.random.default_rng(0)
    y = jnp.asarray(rng.uniform(size=(12, m)))
    cells = Cells.of(y, jnp.arange(12) < 5, jnp.full(m, 1.2))
    assert cells.edges.shape == (m - 1, 13)
    few = cells.first(5)
    assert few.bound.shape == (6,) * (m - 1)
    mean, variance = jnp.full(m, 0.3), jnp.full(m, 0.04)
    expected = log_improvement(cells, mean, variance)
    np.testing.assert_allclose(log_improvement(few, mean, variance), expected, 1e-12)
    assert abs(log_improvement(cells.first(4), mean, variance) - expected) > 1e-6


@pytest.mark.parametrize("acquisition", [QLogEHVI, QLogNEHVI])
def test_two_points_are_worth_more_than_one_and_less_than_their_sum(acquisition):
    outputs, reference = posteriors(2), jnp.full(2, 2.0)
    key = jax.random.key(0)
    one = eqx.filter_jit(acquisition(outputs, reference, key, num_samples=256))
    two = eqx.filter_jit(acquisition(outputs, reference, key, 2, 256))
    x = best(one) + jnp.array([[0.0, 0.0], [0.05, 0.02]])
    each = np.exp([float(one(x[:1])), float(one(x[1:]))])
    together = np.exp(float(two(x)))
    assert each.max() < together < each.sum()
    # The same twice is no more than once, up to the jitter of a batch.
    np.testing.assert_allclose(
        np.exp(float(two(x[jnp.array([0, 0])]))), each[0], rtol=0.02
    )


def test_without_noise_the_noisy_form_is_the_other_one():
    outputs, reference = posteriors(2), jnp.full(2, 2.0)
    x = jnp.array([[0.3, 0.6]])
    plain = QLogEHVI(outputs, reference, jax.random.key(0))(x)
    noisy = QLogNEHVI(outputs, reference, jax.random.key(0))(x)
    np.testing.assert_allclose(noisy, plain, atol=5e-3)


def test_what_is_pending_takes_its_share():
    reference, key = jnp.full(2, 2.0), jax.random.key(0)
    outputs = posteriors(2, num_pending=1)
    near = outputs[0].data.x[-1:] + 0.01
    taken = QLogEHVI(outputs, reference, key)
    free = QLogEHVI(outputs.observed, reference, key)
    assert taken(near) < free(near) - 1


@pytest.mark.parametrize(("m", "noise"), [(2, 0.0), (3, 0.0), (4, 0.0), (2, 0.3)])
@pytest.mark.filterwarnings("ignore")
def test_values_are_botorchs(m, noise):
    """On the same posterior, given to BoTorch as joint draws of ours."""
    pytest.importorskip("botorch", reason="BoTorch is not installed")
    import torch
    from botorch.acquisition.multi_objective.logei import (
        qLogExpectedHypervolumeImprovement,
    )
    from botorch.utils.multi_objective.box_decompositions import (
        FastNondominatedPartitioning,
    )
    from botorch.utils.multi_objective.hypervolume import Hypervolume

    outputs, reference = posteriors(m, noise=noise), np.full(m, 1.5)
    y = np.asarray(outputs.each.data.y).T
    torch.set_default_dtype(torch.float64)
    theirs = Hypervolume(torch.tensor(-reference)).compute(torch.tensor(-y))
    np.testing.assert_allclose(pareto.hypervolume(y, reference), theirs, rtol=1e-9)
    if noise:
        return
    acquisition = QLogEHVI(outputs, jnp.asarray(reference), jax.random.key(0))
    x = best(acquisition)
    mean, variance = outputs.marginal(x[0])
    draws = np.random.default_rng(2).normal(size=(2**14, m))
    draws = np.asarray(mean) + np.sqrt(np.asarray(variance)) * draws
    parts = FastNondominatedPartitioning(torch.tensor(-reference), Y=torch.tensor(-y))

    class Drawn(torch.nn.Module):
        num_outputs = m

        def posterior(self, *args, **kwargs):
            return self

    their = qLogExpectedHypervolumeImprovement(
        Drawn(), torch.tensor(-reference), parts, tau_relu=1e-6, fat=False
    )
    samples = torch.tensor(-draws)[:, None, None, :]
    value = float(their._compute_log_qehvi(samples=samples, X=torch.zeros(1, 1, 2)))
    gains = [
        pareto.hypervolume(np.vstack([y, d]), reference) for d in draws[:1000]
    ] - np.asarray(pareto.hypervolume(y, reference))
    error = gains.std() / gains.mean() / np.sqrt(len(draws))
    assert abs(float(acquisition(x)) - value) < 4 * error + 1e-3


@pytest.mark.parametrize("q", [1, 2])
@pytest.mark.filterwarnings("ignore")
def test_noisy_values_are_botorchs(q):
    """Both from independent draws, so the tolerance comes from their spread."""
    pytest.importorskip("botorch", reason="BoTorch is not installed")
    import torch
    from botorch.acquisition.multi_objective.logei import (
        qLogNoisyExpectedHypervolumeImprovement,
    )
    from botorch.models import ModelListGP
    from botorch.sampling import SobolQMCNormalSampler

    from benchmarks.acquisitions.peer import botorch_model

    rng = np.random.default_rng(1)
    data = jax.vmap(lambda y: Dataset.of(jnp.asarray(x), y))
    x, y = rng.uniform(size=(8, 2)), jnp.asarray(rng.normal(size=(2, 8)))
    outputs, reference = condition(data(y), noise=0.1), jnp.full(2, 1.5)
    location, unit = outputs.each.location, outputs.each.scale
    model = ModelListGP(*(botorch_model(outputs[i]) for i in range(2)))
    at = rng.uniform(size=(q, 2))

    def theirs(seed):
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model,
            torch.tensor(np.asarray(-(reference - location) / unit)),
            torch.tensor(x),
            SobolQMCNormalSampler(torch.Size([256]), seed=seed),
            prune_baseline=False,
            tau_relu=1e-6,
            fat=False,
        )
        with torch.no_grad():
            return float(acquisition(torch.tensor(at)).exp())

    @jax.jit
    @jax.vmap
    def ours(key):
        acquisition = QLogNEHVI(outputs, reference, key, q, num_samples=256)
        return jnp.exp(acquisition(jnp.asarray(at))) / jnp.prod(unit)

    given = np.array([theirs(seed) for seed in range(8)])
    found = np.asarray(ours(jax.random.split(jax.random.key(3), 8)))
    error = np.sqrt((given.var(ddof=1) + found.var(ddof=1)) / 8)
    assert error < 0.05 * given.mean()
    assert abs(found.mean() - given.mean()) < 4 * error


def test_a_scalarization_improves_as_its_draws_do():
    outputs, weights = posteriors(2), np.array([0.3, 0.7])
    acquisition = ParEGO(
        outputs, jnp.asarray(weights), jax.random.key(0), num_samples=1024
    )
    y = np.asarray(outputs.each.data.y).T
    low, span = y.min(axis=0), np.ptp(y, axis=0)

    def scalar(y):
        z = weights * (y - low) / span
        return z.max(axis=-1) + 0.05 * z.sum(axis=-1)

    x = best(acquisition)
    mean, variance = map(np.asarray, outputs.marginal(x[0]))
    draws = np.random.default_rng(0).normal(mean, np.sqrt(variance), (100_000, 2))
    expected = np.log(np.maximum(scalar(y).min() - scalar(draws), 0).mean())
    # A thousand quasi-random draws, and an improvement smooth to a hundredth.
    np.testing.assert_allclose(acquisition(x), expected, atol=0.05)


def test_bad_arguments_are_named():
    outputs, key = posteriors(2), jax.random.key(0)
    with pytest.raises(ValueError, match="reference: expected 2 numbers"):
        QLogEHVI(outputs, jnp.ones(3), key)
    with pytest.raises(ValueError, match="num_objectives: expected 2, 3 or 4, got 1"):
        QLogNEHVI(posteriors(1), jnp.ones(1), key)
    with pytest.raises(ValueError, match="q: expected at least 1, got 0"):
        QLogEHVI(outputs, jnp.ones(2), key, q=0)
    with pytest.raises(ValueError, match="x: expected a batch of 1 points"):
        QLogEHVI(outputs, jnp.ones(2), key)(jnp.zeros((2, 2)))
