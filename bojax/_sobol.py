"""Scrambled Sobol points, computed from their index inside a compiled program."""

import functools
import importlib.resources

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

NUM_POINTS = 2**16
MAX_COLUMNS = 1024


@functools.cache
def _directions(num_columns: int) -> np.ndarray:
    """Direction numbers of Joe and Kuo (2008), 16 bits each, one row a column."""
    if num_columns > MAX_COLUMNS:
        raise ValueError(
            f"num_columns: expected at most {MAX_COLUMNS} for Sobol points, "
            f"got {num_columns}"
        )
    file = importlib.resources.files("bojax") / "_sobol.npz"
    with file.open("rb") as stream:
        return np.load(stream)["directions"][:num_columns].astype(np.uint32)


def sobol(
    key: PRNGKeyArray, index: Int[Array, "*batch"], num_columns: int
) -> Float[Array, "*batch d"]:
    """Points of a Sobol sequence in `[0, 1)^d`, by index, randomly scrambled.

    Each aligned block of a power of two of indices is balanced in every column. The
    sequence has 65,536 points; after these it goes on under another scramble.

    Args:
        key: of the scramble; equal keys give points of one sequence.
        index: which points of the sequence, from 0.
        num_columns: dimension d, at most 1,024.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = sobol(jax.random.key(0), jnp.arange(4), 2)
        >>> sorted((4 * x[:, 0]).astype(int).tolist())
        [0, 1, 2, 3]

    References:
        Joe and Kuo (2008), the direction numbers; Laine and Karras (2011), section 3.1,
        and Burley (2020), the hashed nested uniform scramble.
    """
    directions = _directions(num_columns)
    index = jnp.asarray(index)
    seeds = jax.random.bits(key, (num_columns,), "uint32")
    lap = (index // NUM_POINTS).astype(jnp.uint32)
    # Another odd multiple for each lap: another scramble, without another draw.
    seeds = seeds ^ (lap[..., None] * np.uint32(0x9E3779B9))
    index = (index % NUM_POINTS).astype(jnp.uint32)
    gray = index ^ (index >> 1)
    point = jnp.zeros((*index.shape, num_columns), jnp.uint32)
    for bit in range(directions.shape[1]):
        chosen = (gray[..., None] >> bit) & 1
        point = point ^ (chosen * directions[:, bit])
    scrambled = _scramble(point << 16, seeds)
    dtype = jnp.zeros(()).dtype
    digits = min(jnp.finfo(dtype).nmant, 32)
    return (scrambled >> (32 - digits)).astype(dtype) / 2**digits


def _scramble(
    x: UInt32[Array, "*shape"], seed: UInt32[Array, "*shape"]
) -> UInt32[Array, "*shape"]:
    """Nested uniform scramble: each bit is flipped by a hash of the bits above it."""
    x = _reverse_bits(x)
    x = x + seed
    for multiplier in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        x = x ^ (x * np.uint32(multiplier))
    return _reverse_bits(x)


def _reverse_bits(x: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    for shift, mask in (
        (1, 0x55555555),
        (2, 0x33333333),
        (4, 0x0F0F0F0F),
        (8, 0x00FF00FF),
        (16, 0x0000FFFF),
    ):
        low = np.uint32(mask)
        x = ((x >> shift) & low) | ((x & low) << shift)
    return x
