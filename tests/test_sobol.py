"""Sobol points: the sequence is SciPy's, the scramble keeps it balanced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, qmc

from bojax import _sobol
from bojax._sobol import sobol


def test_directions_are_those_of_scipy():
    directions = _sobol._directions(40)
    index = np.arange(64)
    gray = ((index ^ (index >> 1))[:, None] >> np.arange(16)) & 1
    digits = np.einsum("nk,cik->nci", gray, directions) % 2
    points = digits @ 0.5 ** np.arange(1, 17)
    expected = qmc.Sobol(40, scramble=False).random(64)
    np.testing.assert_array_equal(points, expected)


@pytest.mark.parametrize("double", [False, True])
def test_every_aligned_block_has_one_point_in_each_stratum(double):
    with jax.enable_x64(double):
        x = np.asarray(sobol(jax.random.key(3), jnp.arange(256), 7))
    assert np.all((x >= 0) & (x < 1))
    for start in (0, 64, 192):
        cells = np.sort((64 * x[start : start + 64]).astype(int), axis=0)
        np.testing.assert_array_equal(cells, np.tile(np.arange(64)[:, None], (1, 7)))


def test_one_point_over_many_scrambles_is_uniform():
    keys = jax.random.split(jax.random.key(0), 2000)
    x = jax.jit(jax.vmap(lambda key: sobol(key, jnp.asarray(5), 2)))(keys)
    for column in np.asarray(x).T:
        assert kstest(column, "uniform").pvalue > 1e-3


def test_points_depend_on_key_and_index_alone():
    key = jax.random.key(1)
    together = sobol(key, jnp.arange(10), 3)
    alone = jnp.stack([sobol(key, jnp.asarray(i), 3) for i in range(10)])
    np.testing.assert_array_equal(together, alone)
    assert not np.allclose(together, sobol(jax.random.key(2), jnp.arange(10), 3))


def test_the_sequence_goes_on_after_its_last_point():
    key = jax.random.key(1)
    lap = sobol(key, jnp.asarray([0, _sobol.NUM_POINTS]), 3)
    assert not np.allclose(lap[0], lap[1])


def test_integrates_better_than_random_points():
    keys = jax.random.split(jax.random.key(0), 50)

    def error(x):
        return jnp.mean(jnp.prod(2 * x, axis=1)) - 1

    index = jnp.arange(512)
    quasi = jax.vmap(lambda key: error(sobol(key, index, 4)))(keys)
    plain = jax.vmap(lambda key: error(jax.random.uniform(key, (512, 4))))(keys)
    assert np.std(np.asarray(quasi)) < 0.2 * np.std(np.asarray(plain))


def test_too_many_columns_is_an_error():
    with pytest.raises(ValueError, match="num_columns: expected at most 1024"):
        sobol(jax.random.key(0), jnp.arange(2), 1025)
