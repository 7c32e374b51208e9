"""Learning from earlier studies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.data import Dataset
from bojax.surrogates import GP, MultiTask, multitask, source
from bojax.surrogates.likelihood import joint, with_excess
from bojax.surrogates.outcomes import unchanged

BRANIN = bojax.problems.get("branin")
SPACE = BRANIN.space


def task(seed, n, shift=0.0, fn=None):
    x = jnp.asarray(np.random.default_rng(seed).uniform(size=(n, 2)))
    fn = BRANIN.fn if fn is None else fn
    return Dataset.of(x, jax.jit(jax.vmap(fn))(jnp.clip(x + shift, 0, 1)))


@eqx.filter_jit
def error(model, data, x, y):
    posterior = model.fit(data, jax.random.key(0)).condition(data)
    mean = jax.vmap(lambda x: posterior.marginal(x)[0])(x)
    return jnp.sqrt(jnp.mean((mean - y) ** 2)) / jnp.std(y)


def unrelated(x):
    return jnp.sin(20 * x[0]) + jnp.cos(17 * x[1])


def errors(model_of, n=10, seeds=6):
    test = task(99, 200)
    return np.array(
        [
            float(error(model_of(), task(seed, n), test.x, test.y))
            for seed in range(seeds)
        ]
    )


@pytest.fixture(scope="module")
def alone():
    with jax.enable_x64(True):
        return errors(lambda: GP(SPACE))


@pytest.mark.long
def test_a_shifted_task_helps(alone):
    with jax.enable_x64(True):
        earlier = task(50, 40, shift=0.05)
        helped = errors(lambda: MultiTask(GP(SPACE), [earlier], outcome=unchanged))
    assert np.median(helped) < 0.6 * np.median(alone)
    assert np.all(helped < alone)


def test_an_unrelated_task_does_not_hurt_much(alone):
    with jax.enable_x64(True):
        other = task(50, 40, fn=unrelated)
        misled = errors(lambda: MultiTask(GP(SPACE), [other], outcome=unchanged))
    assert np.median(misled) < 1.25 * np.median(alone)


@eqx.filter_jit
def written_out(model, data, x):
    """The joint normal of all tasks, standardized."""
    everything = with_excess(model.parameters, model._all(data))
    residual, covariance = joint(model.parameters, everything)
    points = multitask._of_task(x, 0)
    kernel = model.parameters.kernel
    cross = kernel.gram(points, everything.x)
    mean = jax.vmap(model.parameters.mean)(points)
    mean = mean + cross @ jnp.linalg.solve(covariance, residual)
    rest = kernel.gram(points, points) - cross @ jnp.linalg.solve(covariance, cross.T)
    return mean, rest


def test_conditioning_in_two_steps_is_conditioning_on_everything():
    with jax.enable_x64(True):
        model = MultiTask(GP(SPACE), [task(1, 6), task(2, 5)], rank=2)
        leaves = jax.tree.leaves(model.parameters)
        rng = np.random.default_rng(0)
        moved = [leaf + 0.3 * rng.normal(size=leaf.shape) for leaf in leaves]
        structure = jax.tree.structure(model.parameters)
        model = model.replace(jax.tree.unflatten(structure, moved))
        data, x = task(3, 7), task(4, 4).x
        posterior = model.condition(data)
        found = posterior(x)
        mean, rest = written_out(model, data, x)
        np.testing.assert_allclose(
            found.mean, posterior.location + posterior.scale * mean, rtol=1e-7
        )
        np.testing.assert_allclose(
            found.covariance, posterior.scale**2 * rest, rtol=1e-6, atol=1e-6
        )


def test_the_trials_of_a_study_are_a_source():
    study = bojax.Study(SPACE, bojax.strategies.Sobol(SPACE), direction="maximize")
    for number in range(6):
        trial = study.ask()
        study.tell(trial, float("nan") if number == 3 else float(number))
    data = source(SPACE, study.trials, direction="maximize")
    assert data.y.tolist() == [0, -1, -2, -4, -5]
    np.testing.assert_allclose(
        data.x[1], SPACE.encode(study.trials[1].config), atol=1e-6
    )
    with pytest.raises(ValueError, match="trials: expected at least 2 that succeed"):
        source(SPACE, study.trials[:1])
    with pytest.raises(ValueError, match="direction: expected 'minimize'"):
        source(SPACE, study.trials, "up")


@pytest.mark.long
def test_a_study_that_starts_warm_finds_more_early():
    """Median regret over seeds, by its geometric mean from the third to tenth trial."""
    from bojax.strategies import BayesOpt

    keys = jax.random.split(jax.random.key(0), 16)
    objective = lambda x, key: BRANIN.fn(x)

    def regret(model):
        strategy = BayesOpt(SPACE, model, num_initial=2)
        best_y = bojax.simulate(strategy, objective, 10, keys).best_y
        median = np.median(np.asarray(best_y) - BRANIN.optimum, axis=0)
        return np.exp(np.mean(np.log(median[2:])))

    with jax.enable_x64(True):
        earlier = task(50, 40, shift=0.05)
        warm = regret(MultiTask(GP(SPACE), [earlier]))
        assert warm < 0.5 * regret(GP(SPACE))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="sources: expected at least one"):
        MultiTask(GP(SPACE), [])
    with pytest.raises(ValueError, match="sources: expected 2 columns, got 1 in 0"):
        MultiTask(GP(SPACE), [Dataset.of(jnp.zeros((2, 1)), jnp.zeros(2))])
    with pytest.raises(ValueError, match="rank: expected at least 1, got 0"):
        MultiTask(GP(SPACE), [task(0, 3)], rank=0)
