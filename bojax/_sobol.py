"""Scrambled Sobol points, computed from their index inside a compiled program."""

import functools
import importlib.resources

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

NUM_POINTS = 2**16
MAX_COLUMNS = 1024


_BITS = 16


@functools.cache
def _directions(num_columns: int) -> np.ndarray:
    """Direction numbers of Joe and Kuo (2008) as bits [column, digit, bit of index]."""
    if num_columns > MAX_COLUMNS:
        raise ValueError(
            f"num_columns: expected at most {MAX_COLUMNS} for Sobol points, "
            f"got {num_columns}"
        )
    file = importlib.resources.files("bojax") / "_sobol.npz"
    with file.open("rb") as stream:
        numbers = np.load(stream)["directions"][:num_columns]
    digits = np.arange(_BITS - 1, -1, -1, dtype=np.uint16)
    return ((numbers[:, None, :] >> digits[:, None]) & 1).astype(np.float32)


def sobol(
    key: PRNGKeyArray,
    index: Int[Array, "*batch"],
    num_columns: int,
    dtype: DTypeLike = float,
) -> Float[Array, "*batch d"]:
    """Points of a Sobol sequence in `[0, 1)^d`, by index, randomly scrambled.

    Each aligned block of a power of two of indices is balanced in every column. The
    sequence has 65,536 points; after these it goes on under another scramble.

    Args:
        key: of the scramble; equal keys give points of one sequence.
        index: which points of the sequence, from 0.
        num_columns: dimension d, at most 1,024.
        dtype: of the points; default: the precision that is on.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = sobol(jax.random.key(0), jnp.arange(4), 2)
        >>> sorted((4 * x[:, 0]).astype(int).tolist())
        [0, 1, 2, 3]

    References:
        Joe and Kuo (2008), the direction numbers; Matousek (1998), On the
        L2-discrepancy for anchored boxes, the random linear scramble and digital shift.
    """
    directions = _directions(num_columns)
    index = jnp.asarray(index)
    place = np.arange(_BITS, dtype=np.uint32)
    # One axis, for draws of two take five times as long to compile.
    bits = jax.random.bits(key, (num_columns * (_BITS + 1),), "uint32")
    bits = bits.reshape(num_columns, _BITS + 1)
    # Each digit becomes a random sum, modulo 2, of itself and those above it.
    below = np.tri(_BITS, k=-1, dtype=np.float32)
    scramble = np.eye(_BITS, dtype=np.float32) + below * (
        (bits[:, :-1, None] >> place) & 1
    )
    matrix = (scramble @ directions) % 2
    # Another odd multiple for each lap: another shift, without another draw.
    lap = (index // NUM_POINTS).astype(jnp.uint32)
    shift = bits[:, -1] ^ (lap[..., None] * np.uint32(0x9E3779B9))
    index = (index % NUM_POINTS).astype(jnp.uint32)
    gray = (((index ^ (index >> 1))[..., None] >> place) & 1).astype(jnp.float32)
    digits = jnp.einsum("...k,cik->...ci", gray, matrix)
    digits = (digits + ((shift[..., None] >> place) & 1)) % 2
    dtype = jnp.zeros((), dtype).dtype
    point = digits.astype(dtype) @ (0.5 ** (place + 1.0)).astype(dtype)
    # What is left of the shift fills the digits that the sequence does not reach.
    rest = (shift >> _BITS).astype(dtype) * 0.5 ** (2 * _BITS)
    return jnp.minimum(point + rest, 1 - jnp.finfo(dtype).epsneg)
