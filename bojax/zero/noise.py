"""The random numbers that programs draw: a table, the same for every backend.

Entry j of a draw is number k + j + 40503 floor(j / M), modulo M, of a table of
M = 65536 uniform or normal numbers. Where it begins, k, is a hash of the task, the
function that runs, the step, and which of the function's draws it is. (The multiple of
40503 keeps the rows of large matrices from repeating.)
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, Int, UInt32

from bojax.zero._compile import compiled

SIZE = 1 << 16
STRIDE = 40503
SETUP, PREDICT, LEARN, VALIDATE = range(4)
"""Which function runs; Predict has other numbers when it validates."""

_SEED, _TASK, _PHASE, _STEP, _SLOT = (
    0x165667B1,
    0x9E3779B1,
    0x85EBCA77,
    0xC2B2AE3D,
    0x27D4EB2F,
)
_MASK = 0xFFFFFFFF


@functools.cache
def tables() -> Float64[np.ndarray, "2 M"]:
    """Uniform numbers in [0, 1), and normal ones."""
    rng = np.random.default_rng(20200306)
    table = np.stack([rng.random(SIZE), rng.standard_normal(SIZE)])
    table.setflags(write=False)
    return table


@compiled
def start(seed, task, phase, step, slot):
    """Where in the table a draw begins."""
    x = (seed * _SEED + task * _TASK + phase * _PHASE) & _MASK
    x = (x + step * _STEP + slot * _SLOT) & _MASK
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & _MASK
    x ^= x >> 12
    x = (x * 0x297A2D39) & _MASK
    x ^= x >> 15
    return x & (SIZE - 1)


def start_jax(
    seed: int | Int[Array, ""],
    task: Int[Array | np.ndarray, ""],
    phase: int,
    step: Int[Array, ""],
    slot: Int[Array | np.ndarray, ""],
) -> UInt32[Array, ""]:
    """The same in JAX."""
    parts = (seed, _SEED), (task, _TASK), (phase, _PHASE), (step, _STEP), (slot, _SLOT)
    x = jnp.uint32(0)
    for value, weight in parts:
        x += jnp.asarray(value).astype(jnp.uint32) * jnp.uint32(weight)
    x ^= x >> 15
    x *= jnp.uint32(0x2C1B3C6D)
    x ^= x >> 12
    x *= jnp.uint32(0x297A2D39)
    x ^= x >> 15
    return x & jnp.uint32(SIZE - 1)
