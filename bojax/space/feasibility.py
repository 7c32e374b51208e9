"""Points that meet a space's constraints: which do, one that does, and random ones."""

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bojax.space.parameters import FullFidelity

if TYPE_CHECKING:
    from bojax.space.space import Space

_ATTEMPTS = 10_000
_BLOCK = 1_000


def which(space: "Space", points: np.ndarray) -> np.ndarray:
    """Which of the points `[n, d]` are feasible; works inside a trace as well."""
    if not space.constraints:
        return np.ones(len(points), bool)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        return np.asarray(_which(space, points))


def find(space: "Space") -> np.ndarray:
    """A feasible point, from all there are or from many random ones.

    Raises:
        ValueError: if none is feasible.
    """
    held = any(isinstance(column.parameter, FullFidelity) for column in space.columns)
    where = " at full fidelity" if held else ""
    everything = space.enumerate(_ATTEMPTS)
    if everything is not None:
        if len(everything):
            return everything[0]
        raise ValueError(
            f"constraints: no feasible point among all {int(space.size)} "
            f"configurations{where}"
        )
    random = np.random.default_rng(0)
    for _ in range(_ATTEMPTS // _BLOCK):
        draws = random.random((_BLOCK, space.num_columns))
        feasible = which(space, draws)
        if feasible.any():
            return np.asarray(space.project(draws[np.argmax(feasible)]))
    raise ValueError(
        f"constraints: no feasible point among {_ATTEMPTS} random draws{where}"
    )


@functools.partial(jax.jit, static_argnums=0)
def _which(space: "Space", points: Any) -> Array:
    return jax.vmap(space.feasible)(points)


@functools.partial(jax.jit, static_argnums=(0, 2))
def sample(space: "Space", key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
    """Uniform draws from the feasible points; see `Space.sample`."""
    d = space.num_columns

    def draw(key: PRNGKeyArray) -> Array:
        # One axis, because XLA takes five times as long to compile draws of two.
        x = jax.random.uniform(key, (n * d,)).reshape(n, d)
        return jax.vmap(space.project)(x)

    if not space.constraints:
        return draw(key)

    def again(carry: tuple) -> tuple:
        attempt, x, found = carry
        new = draw(jax.random.fold_in(key, attempt))
        x = jnp.where(found[:, None], x, new)
        return attempt + 1, x, found | jax.vmap(space.feasible)(new)

    def missing(carry: tuple) -> Array:
        attempt, _, found = carry
        return ~jnp.all(found) & (attempt < _ATTEMPTS)

    known = jnp.asarray(space._witness, jnp.zeros(()).dtype)
    start = (jnp.int32(0), jnp.zeros((n, d), known.dtype), jnp.zeros(n, bool))
    _, x, found = jax.lax.while_loop(missing, again, start)
    return jnp.where(found[:, None], x, known)
