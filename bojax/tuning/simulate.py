"""Whole runs in one compiled program, for objectives that JAX can trace."""

import functools
from collections.abc import Callable
from typing import Any, Literal, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from bojax._numerics import bucket
from bojax._precision import compiler_options, one_blas_thread
from bojax.strategies import State, Strategy
from bojax.strategies.base import as_count, as_key
from bojax.tuning.trial import trial_key


class History(eqx.Module):
    """What a run asked for and was told, in its order.

    Args:
        x: points on the unit cube.
        y: their values, minimized; NaN where the trial failed.
        best_y: the least value at full fidelity so far; infinite before the first.
        recommended: the point recommended at the end, see `Strategy.recommend`; None
            unless it was asked for.
    """

    x: Float[Array, "*runs n d"]
    y: Float[Array, "*runs n"]
    best_y: Float[Array, "*runs n"]
    recommended: Float[Array, "*runs d"] | None = None


def simulate(
    strategy: Strategy,
    objective: Callable[[Float[Array, " d"], PRNGKeyArray], Float[Array, ""]],
    num_trials: SupportsIndex,
    keys: Any,
    recommend: Any = False,
) -> History:
    """Runs a strategy against an objective, from the first trial to the last.

    The run is the one that `bojax.Study` would make with the same key in the same
    precision: the same algorithm, in tables that grow as a study's do. Several keys run
    one after the other, because the iterations of runs in lock step add up; under
    `jax.vmap` they do as you ask. `eqx.filter_vmap` over the objective, an
    `eqx.Module` of arrays, runs several problems of one shape, and over the strategy
    several values of its numbers.

    Keys that lie on several devices run there, each device its share, one after the
    other: `jax.device_put(keys, NamedSharding(mesh, PartitionSpec("runs")))`.

    Memory: a run holds its table of n trials, `num_trials` rounded up to 64, 128, 192,
    256, 384 and so on, and while it asks the model's work on it, for a Gaussian process
    a few matrices n by n. Runs one after the other need that once a device, runs under
    `jax.vmap` once each; the history is num_trials times d + 2 numbers a run.
    `benchmarks/speed/loops.py` prints both.

    Args:
        strategy: how to search.
        objective: `objective(x, key) -> y`, traceable; x on the unit cube, y minimized.
            `strategy.space.values(x)` has natural units. A value that is not finite is
            a failed trial. The key is the one that `Trial.key` would be.
        num_trials: the length of a run.
        keys: one key, or an integer for its seed, or a batch `[k]` of one key a run; k
            is a multiple of the number of devices that they lie on.
        recommend: whether to ask for a recommendation after the last trial: True to
            decide by evidence whether there is noise, "noisy" to say that there is.

    Returns:
        The history, with a leading axis for a batch of keys.

    Raises:
        TypeError: if the objective cannot be traced: such functions need `bojax.Study`;
            or `num_trials` is no integer, or `keys` is of another type.
        ValueError: if it returns more than one number, `num_trials` is not positive, or
            `recommend` or the shape of the keys is another.

    Example:
        >>> import bojax, jax
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> history = simulate(
        ...     bojax.strategies.Sobol(space), lambda x, key: (x[0] - 0.5) ** 2, 8, keys
        ... )
        >>> history.best_y.shape
        (3, 8)
    """
    num_trials = as_count("num_trials", num_trials)
    if not isinstance(recommend, bool) and recommend != "noisy":
        raise ValueError(
            f'recommend: expected False, True or "noisy", got {recommend!r}'
        )
    if not isinstance(keys, jax.Array):
        keys = as_key("keys", keys)
    if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) or keys.ndim > 1:
        raise ValueError(
            "keys: expected a jax.random.key or a batch [k] of them, "
            f"got {keys.dtype}{list(keys.shape)}"
        )
    arrays = [
        leaf for leaf in jax.tree.leaves((strategy, objective)) if _is_array(leaf)
    ]
    # Under a transformation keys lie nowhere yet, and the outer program has options.
    if any(isinstance(leaf, Tracer) for leaf in (jnp.zeros(()), keys, *arrays)):
        return _program(False)(strategy, objective, num_trials, keys, recommend, None)
    sharding = keys.sharding if isinstance(keys.sharding, NamedSharding) else None
    on_cpu = next(iter(keys.devices())).platform == "cpu"
    program = _program(on_cpu)
    arguments = (strategy, objective, num_trials, keys, recommend, sharding)
    if not on_cpu:
        return program(*arguments)
    with one_blas_thread():
        return jax.block_until_ready(program(*arguments))


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | jax.Array)


@functools.cache
def _program(on_cpu: bool) -> Callable[..., History]:
    options = compiler_options() if on_cpu else None
    return eqx.filter_jit(  # pyright: ignore[reportCallIssue]
        _runs, compiler_options=options
    )


def _runs(
    strategy: Strategy,
    objective: Callable,
    num_trials: int,
    keys: Key[Array, "*runs"],
    recommend: bool | Literal["noisy"],
    sharding: NamedSharding | None,
) -> History:
    given, static = eqx.partition((strategy, objective), _is_array)

    def run(given: Any, keys: Key[Array, "*runs"]) -> History:
        strategy, objective = eqx.combine(given, static)

        def one(key: PRNGKeyArray) -> History:
            return _one_run(strategy, objective, num_trials, key, recommend)

        return one(keys) if keys.ndim == 0 else jax.lax.map(one, keys)

    if sharding is not None and keys.ndim:
        run = jax.shard_map(
            run,
            mesh=sharding.mesh,
            in_specs=(PartitionSpec(), sharding.spec),
            out_specs=sharding.spec,
            # Loops carry constants: what varies over devices cannot be told.
            check_vma=False,
        )
    return run(given, keys)


def _one_run(
    strategy: Strategy,
    objective: Callable,
    num_trials: int,
    key: PRNGKeyArray,
    recommend: bool | Literal["noisy"],
) -> History:
    def step(
        state: State, number: Int[Array, ""]
    ) -> tuple[State, tuple[Float[Array, " d"], Float[Array, ""]]]:
        points, state = strategy.ask(state)
        x = points.x[0]
        y = _value(objective, x, trial_key(key, number))
        y = jnp.where(jnp.isfinite(y), y, jnp.nan).astype(x.dtype)
        return strategy.tell(state, points, y[None]), (x, y)

    state = strategy.init(key, capacity=bucket(1))
    pieces, start = [], 0
    while start < num_trials:
        state = strategy.grow(state, bucket(start + 1))
        stop = min(state.trials.capacity, num_trials)
        state, piece = jax.lax.scan(step, state, jnp.arange(start, stop))
        pieces.append(piece)
        start = stop
    x, y = jax.tree.map(lambda *parts: jnp.concatenate(parts), *pieces)
    counts = jnp.isfinite(y) & strategy.space.is_full_fidelity(x)
    best_y = jax.lax.cummin(jnp.where(counts, y, jnp.inf))
    recommended = None
    if recommend:
        noisy = True if recommend == "noisy" else None
        recommended = strategy.recommend(state, noisy).x
    return History(x=x, y=y, best_y=best_y, recommended=recommended)


def _value(
    objective: Callable, x: Float[Array, " d"], key: PRNGKeyArray
) -> Float[Array, ""]:
    try:
        y = jnp.asarray(objective(x, key))
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
    ) as e:
        raise TypeError(
            "objective: simulate traces objective(x, key) as a whole, expected JAX "
            "operations only; a Python function that needs concrete numbers goes to "
            f"bojax.Study or bojax.minimize. It failed with {type(e).__name__}: "
            f"{str(e).splitlines()[0]}"
        ) from e
    if y.shape != () or not jnp.issubdtype(y.dtype, jnp.floating):
        raise ValueError(
            f"objective: expected a floating scalar, got {y.dtype}{list(y.shape)}"
        )
    return y
