"""Values against BoTorch's, and hypervolumes against a fine net of points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax import pareto, problems

ALL = [problems.branin_currin(), problems.c2_dtlz2(), problems.zdt1(4)]
each_problem = pytest.mark.parametrize("problem", ALL, ids=lambda each: each.name)


def sample(problem, n=64):
    return np.random.default_rng(0).uniform(size=(n, problem.space.num_columns))


@each_problem
@pytest.mark.filterwarnings("ignore")
def test_values_are_botorchs(problem):
    functions = pytest.importorskip(
        "botorch.test_functions.multi_objective", reason="BoTorch is not installed"
    )
    import torch

    peer = {
        "branin_currin": functions.BraninCurrin,
        "c2_dtlz2": lambda: functions.C2DTLZ2(dim=4, num_objectives=2),
        "zdt1": lambda: functions.ZDT1(dim=4),
    }[problem.name]()
    x = sample(problem)
    # A negated problem's corner and a minimized one's differ in sign alone.
    np.testing.assert_allclose(np.abs(peer.ref_point), problem.reference, rtol=1e-12)
    # Theirs is the best that a genetic algorithm found.
    assert peer.max_hv == pytest.approx(problem.max_hypervolume, rel=2e-3)
    with jax.enable_x64(True):
        y = jax.jit(jax.vmap(problem.fn))(jnp.asarray(x))
        theirs = peer.evaluate_true(torch.tensor(x)).numpy()
        np.testing.assert_allclose(y, theirs, rtol=1e-10)
        if problem.constraints is not None:
            g = jax.jit(jax.vmap(problem.constraints))(jnp.asarray(x))
            slack = peer.evaluate_slack_true(torch.tensor(x)).numpy()
            np.testing.assert_allclose(-g, slack, atol=1e-12)


def fine_net(problem):
    """Points among which the front is."""
    if problem.name == "branin_currin":
        return np.stack(np.meshgrid(*[np.linspace(0, 1, 2001)] * 2), -1).reshape(-1, 2)
    first = np.linspace(0, 1, 4001)
    if problem.name == "zdt1":
        return np.stack([first, *np.zeros((3, 4001))], axis=1)
    # Some of the front of C2-DTLZ2 is above the arc, at the edge of what is feasible.
    away = np.sqrt(np.linspace(0, 0.1, 201))
    grid = np.stack(np.meshgrid(first, 0.5 + away), -1).reshape(-1, 2)
    return np.concatenate([grid, np.full((len(grid), 2), 0.5)], axis=1)


@each_problem
def test_the_largest_hypervolume_is_that_of_the_front(problem):
    with jax.enable_x64(True):
        x = jnp.asarray(fine_net(problem))
        y = np.asarray(jax.jit(jax.vmap(problem.fn))(x))
        if problem.constraints is not None:
            g = np.asarray(jax.jit(jax.vmap(problem.constraints))(x))
            y = y[np.all(g <= 0, axis=1)]
    y = y[np.lexsort(y.T[::-1])]
    lowest = np.minimum.accumulate(y[:, 1])
    y = y[np.append(True, y[1:, 1] < lowest[:-1])]
    found = pareto.hypervolume(y, np.array(problem.reference))
    # Of points on a net there is a little less.
    assert found <= problem.max_hypervolume * (1 + 2e-4)
    assert found == pytest.approx(problem.max_hypervolume, rel=3e-3)


@each_problem
def test_shapes_and_precision_are_as_they_say(problem, x64):
    x = jnp.asarray(sample(problem, 3))
    y = jax.vmap(problem.fn)(x)
    assert y.shape == (3, problem.num_objectives) == (3, len(problem.reference))
    assert y.dtype == x.dtype
    if problem.constraints is None:
        assert problem.num_constraints == 0
    else:
        g = jax.vmap(problem.constraints)(x)
        assert g.shape == (3, problem.num_constraints)
        assert g.dtype == x.dtype


def test_currin_has_values_and_slopes_at_its_edge():
    fn, x = problems.branin_currin().fn, jnp.array([0.3, 0.0])
    assert np.all(np.isfinite(fn(x)))
    assert np.all(np.isfinite(jax.jacobian(fn)(x)))
    np.testing.assert_allclose(fn(x), fn(jnp.array([0.3, 1e-6])), rtol=1e-4)


def test_they_are_made_once():
    assert problems.branin_currin() is problems.branin_currin()
    assert problems.zdt1(4) is problems.zdt1(4)
    assert problems.zdt1().space.num_columns == 30
    with pytest.raises(ValueError, match="num_columns: expected at least 2, got 1"):
        problems.zdt1(1)
