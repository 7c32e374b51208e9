"""Reinforcement learning: a policy that is rewarded for good points."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax._typing import PyTree
from bojax.data import Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.policies import Independent, Policy

_ATTEMPTS = 8


class Memory(eqx.Module):
    """What has been learned, from which rows of the table.

    Args:
        parameters: of the policy.
        optimizer: Adam's moments.
        baseline: moving average of the rewards; NaN before the first.
        worst: the least reward so far, infinite before the first.
        learned: how many rows, from the first on, these come from.
    """

    parameters: PyTree
    optimizer: PyTree
    baseline: Float[Array, ""]
    worst: Float[Array, ""]
    learned: Int[Array, ""]


class Reinforce(Strategy):
    """Draw points from a policy, and follow the gradient of its expected reward.

        theta += Adam((r - b) grad log pi(x; theta)),   r = -y

    with b a moving average of the rewards. Only decisions that exist at x count. A
    failed trial is rewarded like the worst so far. Trials are learned from in the order
    in which they were asked for; where one is still pending, what is learned from those
    after it is provisional, and learned again once its value is known, so that the
    policy does not depend on which of several workers was the faster. Points may
    repeat. Points that were observed or enqueued are learned from as if drawn.

    Args:
        space: what to search.
        policy: default: `Independent(space)`; `Recurrent(space)` reads what it has
            already decided.
        learning_rate: Adam's.
        decay: of the moving average, from 0 (the last reward) to below 1.

    Raises:
        ValueError: if the policy is for another space, a number out of its range, or
            the trials have several objectives.

    Example:
        >>> import bojax, jax
        >>> strategy = Reinforce(bojax.Space({"kind": bojax.Categorical(*"pqrs")}))
        >>> state = strategy.init(jax.random.key(0))
        >>> for _ in range(40):
        ...     points, state = strategy.ask(state)
        ...     state = strategy.tell(state, points, points.x[:, 0])
        >>> float(jax.nn.softmax(state.memory.parameters[0])[0]) > 0.5
        True

    References:
        Williams (1992), Simple statistical gradient-following algorithms for
        connectionist reinforcement learning; Dong and Yang (2020), NAS-Bench-201, for
        the independent policy.
    """

    most_objectives: ClassVar[int | None] = 1

    space: Space
    policy: Policy
    learning_rate: float | Float[Array, ""]
    decay: float | Float[Array, ""]

    def __init__(
        self,
        space: Space,
        policy: Policy | None = None,
        learning_rate: float | Float[Array, ""] = 0.1,
        decay: float | Float[Array, ""] = 0.9,
    ):
        # What is traced cannot be looked at.
        if not isinstance(learning_rate, Tracer) and not 0 < learning_rate < np.inf:
            raise ValueError(
                f"learning_rate: expected a positive number, got {learning_rate}"
            )
        if not isinstance(decay, Tracer) and not 0 <= decay < 1:
            raise ValueError(f"decay: expected a number from 0 to 1, got {decay}")
        self.space = space
        self.policy = Independent(space) if policy is None else policy
        if self.policy.space != space:
            raise ValueError(
                "policy: expected one of the space to search, got one of "
                f"{self.policy.space!r}"
            )
        self.learning_rate, self.decay = learning_rate, decay

    def start(self, trials: Trials) -> Memory:
        """Every choice equally likely."""
        parameters = self.policy.init()
        dtype = jnp.zeros(()).dtype
        return Memory(
            parameters=parameters,
            optimizer=self._adam().init(parameters),
            baseline=jnp.asarray(np.nan, dtype),
            worst=jnp.asarray(np.inf, dtype),
            learned=jnp.asarray(np.int32(0)),
        )

    def propose(
        self,
        memory: Memory,
        trials: Trials,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
    ) -> tuple[Float[Array, "q d"], Memory]:
        """Draws from the policy, after it has learned what is new."""
        rows = jnp.arange(trials.capacity)
        waiting = jnp.min(jnp.where(trials.pending, rows, trials.size))
        memory = self._learn(memory, trials, waiting.astype(jnp.int32))
        now = self._learn(memory, trials, trials.size)

        attempts = _ATTEMPTS if self.space.constraints else 1

        def draw(number: Int[Array, ""]) -> Float[Array, " d"]:
            key_draws, key_spare = jax.random.split(jax.random.fold_in(key, number))
            keys = jax.random.split(key_draws, attempts)
            x = jax.vmap(lambda key: self.policy.sample(now.parameters, key))(keys)
            spare = self.space.sample(key_spare, 1).astype(x.dtype)
            x = jnp.concatenate([x, spare])
            return x[jnp.argmax(jax.vmap(self.space.feasible)(x))]

        return jax.vmap(draw)(numbers), memory

    def _adam(self) -> PyTree:
        import optax

        return optax.adam(self.learning_rate)

    def _learn(self, memory: Memory, trials: Trials, stop: Int[Array, ""]) -> Memory:
        """One step for each row up to `stop` that is done and not learned yet."""
        y, adam = trials.y[:, 0], self._adam()

        def surprise(parameters: PyTree, x: Array, advantage: Array) -> Array:
            return -advantage * self.policy.log_probability(parameters, x)

        def step(memory: Memory) -> Memory:
            row = memory.learned
            reward = jnp.where(jnp.isfinite(y[row]), -y[row], memory.worst)
            reward = reward.astype(memory.worst.dtype)
            known = trials.done[row] & jnp.isfinite(reward)
            baseline = jnp.where(jnp.isnan(memory.baseline), reward, memory.baseline)
            advantage = jnp.where(known, reward - baseline, 0)
            slope = jax.grad(surprise)(memory.parameters, trials.x[row], advantage)
            change, optimizer = adam.update(slope, memory.optimizer)
            moved = Memory(
                parameters=jax.tree.map(jnp.add, memory.parameters, change),
                optimizer=optimizer,
                baseline=self.decay * baseline + (1 - self.decay) * reward,
                worst=jnp.minimum(memory.worst, reward),
                learned=memory.learned,
            )
            moved = jax.tree.map(
                lambda new, old: jnp.where(known, new, old).astype(old.dtype),
                moved,
                memory,
            )
            return eqx.tree_at(lambda memory: memory.learned, moved, row + 1)

        return jax.lax.while_loop(lambda memory: memory.learned < stop, step, memory)
