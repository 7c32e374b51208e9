"""The choice among surrogates."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.data import Dataset
from bojax.surrogates import (
    GP,
    Bayesian,
    Best,
    MultiTask,
    Surrogate,
    best,
    kernels,
    priors,
    saas,
)

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0)})


def linear():
    return GP(SPACE, kernel=kernels.Linear(jnp.zeros(1)))


def periodic():
    kernel = kernels.Periodic(jnp.zeros(1), jnp.full(1, -1.0))
    return GP(SPACE, kernel=kernels.Scale(jnp.zeros(()), kernel))


def data(fn, n=14):
    x = np.random.default_rng(0).uniform(size=(n, 1))
    noise = 0.05 * np.random.default_rng(1).normal(size=n)
    y = jnp.asarray(fn(x[:, 0]) + noise)
    return Dataset.of(jnp.asarray(x), y, capacity=n + 3)


CASES = [(lambda x: 3 * x, 0), (lambda x: np.sin(25 * x), 1)]


@pytest.mark.long
@pytest.mark.parametrize("by", ["evidence", "leave-one-out"])
def test_chooses_what_made_the_data(by):
    with jax.enable_x64(True):
        model, x = Best([linear(), periodic()], by), jnp.array([[0.3], [0.8]])
        for fn, expected in CASES:
            fitted = model.fit(data(fn), jax.random.key(0))
            assert int(fitted.index) == expected
            alone = model.surrogates[expected].fit(data(fn), jax.random.key(0))
            posterior, other = fitted.condition(data(fn)), alone.condition(data(fn))
            # Rounding, times the condition number at the least noise there is.
            atol = np.finfo(float).eps / 1e-10
            np.testing.assert_allclose(posterior(x).mean, other(x).mean, atol=atol)
            np.testing.assert_allclose(
                posterior(x).covariance, other(x).covariance, atol=atol
            )


def test_scores_are_what_they_are_called():
    with jax.enable_x64(True):
        gp, table = GP(SPACE), data(np.sin)
        posterior = gp.condition(table)
        np.testing.assert_allclose(
            best.evidence(posterior), gp.log_likelihood(table), rtol=1e-8
        )
        # Left out by hand, with the same standardization.
        total, covariance = 0.0, None
        y = (table.y - posterior.location) / posterior.scale
        inside = np.flatnonzero(table.mask)
        x = table.x[inside]
        covariance = np.asarray(kernels.gram(gp.parameters.kernel, x, x))
        covariance = covariance + np.exp(gp.parameters.log_noise) * np.eye(len(x))
        residual = np.asarray(y[inside] - gp.parameters.mean.bias)
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            weights = np.linalg.solve(
                covariance[np.ix_(rest, rest)], covariance[rest, i]
            )
            variance = covariance[i, i] - weights @ covariance[rest, i]
            z = residual[i] - weights @ residual[rest]
            total += -0.5 * (z**2 / variance + np.log(2 * np.pi * variance))
        np.testing.assert_allclose(best.leave_one_out(posterior), total, rtol=1e-7)


def test_functions_are_drawn_from_the_chosen():
    candidates = [linear(), GP(SPACE, warping=True)]
    table, x = data(np.sin), jnp.array([0.4])

    @eqx.filter_jit
    def drawn(surrogate):
        return surrogate.condition(table).sample(jax.random.key(0), 3, 32)(x)

    model = Best(candidates)
    for chosen, alone in enumerate(candidates):
        scores = jnp.zeros(2).at[chosen].set(1.0)
        fits = dataclasses.replace(model.parameters, scores=scores)
        np.testing.assert_allclose(
            drawn(model.replace(fits)), drawn(alone), rtol=1e-3, atol=1e-3
        )


def test_scores_do_not_depend_on_the_unit_of_the_values():
    table, posteriors = data(np.sin), []
    for unit in (1.0, 1e25, 1e-25):
        of = Dataset(table.x, table.y * unit, table.mask, table.variance)
        posteriors.append(GP(SPACE).condition(of))
    for score in (best.evidence, best.leave_one_out):
        expected, *others = (score(posterior) for posterior in posteriors)
        np.testing.assert_allclose(others, jnp.stack([expected] * 2), rtol=1e-4)


class Wrapped(Surrogate):
    """Of one's own, whose posterior is not known until it is conditioned."""

    inner: Bayesian

    @property
    def parameters(self):
        return self.inner.parameters

    def replace(self, parameters):
        return Wrapped(self.inner.replace(parameters))

    def fit(self, data, key, afresh=True):
        return self

    def condition(self, data, pending=None):
        return self.inner.condition(data, pending)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="surrogates: expected at least one"):
        Best([])
    with pytest.raises(TypeError, match="have a GPPosterior, got a Bayesian"):
        Best([GP(SPACE), saas(SPACE, 4, 2, 1)])
    with pytest.raises(TypeError, match="got one with a Mixture"):
        Best([Wrapped(saas(SPACE, 4, 2, 1))]).condition(data(np.sin))
    other = GP(bojax.Space({"a": bojax.Float(0.0, 2.0)}))
    for candidates in (
        [GP(SPACE), other],
        [MultiTask(other, [data(np.sin)]), linear()],
    ):
        with pytest.raises(ValueError, match="surrogates: expected all of one space"):
            Best(candidates)


def test_candidates_may_have_priors_of_their_own():
    model = Best([GP(SPACE, priors=priors.optuna(1)), GP(SPACE, warping=True)])
    fitted = model.fit(data(np.exp), jax.random.key(0))
    assert np.isfinite(fitted.parameters.scores).all()
