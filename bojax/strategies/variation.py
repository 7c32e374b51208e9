"""How evolution varies points: mutation of one parameter, crossover of two parents."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from bojax.data import Trials
from bojax.space import Space

_SCALE = 0.2
"""Standard deviation of a step in a numeric column, of the unit interval."""

_ATTEMPTS = 8


def mutate(
    space: Space, key: PRNGKeyArray, x: Float[Array, " d"]
) -> Float[Array, " d"]:
    """The point with one of its existing parameters changed.

    A category becomes another one; a number takes a normal step, of a level at least.
    What comes to exist by the change is drawn uniformly.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> space = bojax.Space({"kind": bojax.Categorical("p", "q")})
        >>> mutate(space, jax.random.key(0), jnp.array([0.25])).tolist()
        [0.75]
    """
    key_column, key_step, key_other, key_fill = jax.random.split(key, 4)
    count = jnp.asarray(space.num_levels, x.dtype)
    movable = space.active(x) & (space.num_levels != 1)
    j = jax.random.categorical(key_column, jnp.where(movable, 0.0, -jnp.inf))
    step = _SCALE * jax.random.normal(key_step, (), x.dtype)
    least = jnp.where(count > 0, 1 / jnp.maximum(count, 1), 0)[j]
    step = jnp.where(step < 0, -1, 1) * jnp.maximum(jnp.abs(step), least)
    step = jnp.where((x[j] + step < 0) | (x[j] + step > 1), -step, step)
    share = jax.random.uniform(key_other, (), x.dtype)
    other = jnp.floor(1 + share * (count[j] - 1)) / jnp.maximum(count[j], 1)
    value = jnp.where(
        jnp.asarray(space.is_categorical)[j], (x[j] + other) % 1, x[j] + step
    )
    child = jnp.where(space.active(x), x, jax.random.uniform(key_fill, x.shape))
    return space.project(child.astype(x.dtype).at[j].set(jnp.clip(value, 0, 1)))


def crossover(
    space: Space, key: PRNGKeyArray, a: Float[Array, " d"], b: Float[Array, " d"]
) -> Float[Array, " d"]:
    """Each parameter from one of the parents, from the one that has it if one lacks it.

    References:
        Syswerda (1989), Uniform crossover in genetic algorithms.
    """
    key_coin, key_fill = jax.random.split(key)
    has_a, has_b = space.active(a), space.active(b)
    from_a = has_a & (~has_b | jax.random.bernoulli(key_coin, shape=a.shape))
    fill = jax.random.uniform(key_fill, a.shape, a.dtype)
    return space.project(jnp.where(from_a, a, jnp.where(has_b, b, fill)))


def check_chance(name: str, chance: object) -> None:
    """A number is to be a probability; what is traced cannot be looked at."""
    if isinstance(chance, int | float) and not 0 <= chance <= 1:
        raise ValueError(f"{name}: expected a chance from 0 to 1, got {chance}")


def first_new(
    space: Space,
    trials: Trials,
    key: PRNGKeyArray,
    breed: Callable[[PRNGKeyArray], Float[Array, " d"]],
    parent: Float[Array, " d"],
) -> Float[Array, " d"]:
    """Of a few children the first that is feasible, no parent's twin, and not tried.

    Where all were tried the first may be a repeat; where none is feasible it is random.

    Args:
        space: where they live.
        trials: what was tried.
        key: of the children.
        breed: from a key to a child.
        parent: what a child should differ from.
    """
    children = jax.vmap(breed)(jax.random.split(key, _ATTEMPTS))
    stranger = space.sample(key, 1).astype(children.dtype)
    twin = jnp.all(jnp.abs(children - parent) < 1e-6, axis=1)
    feasible = jax.vmap(space.feasible)(children)
    order = jnp.arange(_ATTEMPTS) + jnp.where(twin, _ATTEMPTS, 0)
    rank = jnp.where(feasible, order, jnp.inf)
    candidates = jnp.concatenate([children, stranger])
    last = jnp.where(jnp.any(feasible), 4.0 * _ATTEMPTS, 0.0)
    return trials.first_untried(candidates, jnp.append(rank, last))
