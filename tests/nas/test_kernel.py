"""The path kernel: positive definite, blind to names of nodes, and of use to a GP."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.nas import Cell, PathKernel
from bojax.strategies import BayesOpt, Random
from bojax.surrogates import GP
from bojax.surrogates.kernels import Scale, gram

CELL = Cell(nodes=4, operations=("none", "skip", "conv1", "conv3"))


def paths(config):
    """The counts of the definition, by going along each path."""
    found = {}
    for length in range(3):
        for middle in itertools.combinations((1, 2), length):
            ops = [
                config[f"edge{i}{j}"] for i, j in itertools.pairwise((0, *middle, 3))
            ]
            if "none" not in ops:
                word = tuple(op for op in ops if op != "skip")
                found[word] = found.get(word, 0) + 1
    return found


def test_it_is_what_counting_paths_says():
    kernel = PathKernel.of(CELL)
    x = CELL.space.sample(jax.random.key(0), 30)
    ours = gram(kernel, x, x)
    counts = [paths(CELL.space.decode(row)) or {None: 1} for row in x]
    for i, a in enumerate(counts):
        for j, b in enumerate(counts):
            dot = sum(a[word] * b.get(word, 0) for word in a)
            norms = [sum(v**2 for v in c.values()) for c in (a, b)]
            expected = np.exp(-(1 - dot / np.sqrt(norms[0] * norms[1])) / 0.25)
            np.testing.assert_allclose(ours[i, j], expected, rtol=1e-5)


def test_it_is_positive_definite_with_finite_gradients():
    with jax.enable_x64(True):
        kernel = PathKernel.of(CELL)
        x = CELL.space.sample(jax.random.key(1), 40)
        matrix = np.asarray(gram(kernel, x, x))
        assert np.linalg.eigvalsh(matrix)[0] > -1e-10
        slope = jax.grad(lambda kernel: jnp.sum(gram(kernel, x, x)))(kernel)
        assert bool(jnp.all(jnp.isfinite(slope.log_lengthscale)))


@pytest.mark.long
def test_bayesian_optimization_on_cells_beats_random_search():
    kernel = PathKernel.of(CELL)

    def objective(x, key):
        """Sequences of operations that end in conv3 are good, each a little."""
        phi = kernel.features(x)
        word = jnp.arange(phi.shape[0] - 1) % 5 == 4
        return -jnp.sum(phi[:-1] * word) + 3.0 * phi[-1]

    gp = GP(CELL.space, Scale(jnp.zeros(()), kernel))
    keys = jax.random.split(jax.random.key(0), 4)
    ours, theirs = (
        bojax.simulate(strategy, objective, 20, keys).best_y[:, -1]
        for strategy in (BayesOpt(CELL.space, gp, num_initial=6), Random(CELL.space))
    )
    assert float(ours.mean()) < float(theirs.mean())
