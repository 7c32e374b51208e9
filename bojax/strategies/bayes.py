"""Bayesian optimization."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax._typing import PyTree
from bojax.acquisitions import Belief, LogEI, average, optimize
from bojax.data import Dataset, Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.sobol import Sobol
from bojax.surrogates import GP, Posterior, Several, Surrogate
from bojax.surrogates.outcomes import yeo_johnson

_RESTART_GROWTH = 1.3
"""A fit starts afresh, not only from the last one, whenever data has grown by this."""


class Memory(eqx.Module):
    """What Bayesian optimization carries from one proposal to the next.

    Args:
        parameters: of the last fits, from which the next start, one output after the
            other along the leading axis: objectives, then constraints.
        restart_at: the number of observations at which the next fit starts afresh.
    """

    parameters: PyTree
    restart_at: Int[Array, ""]


class BayesOpt(Strategy):
    """Fit a surrogate to what is known, and ask where the acquisition is greatest.

    The first points are scrambled Sobol points. Pending points, and the points of a
    batch among themselves, count as observed at the value that the surrogate predicts
    for them. Failed trials count as having been as bad as the worst that succeeded.

    Args:
        space: what to search.
        surrogate: model of the objective; default: `GP(space)`.
        acquisition: what makes an `Acquisition` of a `Belief`: a class of them with
            the method `of`, or a module-level function; default: `LogEI`.
        num_initial: trials before the surrogate is asked; default: 2 + d up to 16.
        outcome: increasing map of the observed values before they are modeled, and of
            their variances, `(y, variance, mask) -> (y, variance)`, see
            `surrogates.outcomes`; heavy tails would otherwise rule the fit.

    Raises:
        ValueError: if `num_initial` is under 2, or the trials have several objectives.

    Example:
        >>> import bojax, jax
        >>> strategy = BayesOpt(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> points, state = strategy.ask(strategy.init(jax.random.key(0)))
        >>> state = strategy.tell(state, points, (points.x[:, 0] - 0.3) ** 2)
        >>> int(state.trials.done.sum())
        1

    References:
        Jones, Schonlau and Welch (1998), Efficient global optimization of expensive
        black-box functions; Garnett (2023), Bayesian optimization, algorithm 1.1.
    """

    space: Space
    surrogate: Surrogate
    initial: Strategy
    acquisition: Callable = eqx.field(static=True)
    num_initial: int = eqx.field(static=True)
    outcome: Callable = eqx.field(static=True)

    def __init__(
        self,
        space: Space,
        surrogate: Surrogate | None = None,
        acquisition: Any = None,
        num_initial: int | None = None,
        outcome: Callable = yeo_johnson,
    ):
        if num_initial is not None and num_initial < 2:
            raise ValueError(f"num_initial: expected at least 2, got {num_initial}")
        self.space = space
        self.surrogate = GP(space) if surrogate is None else surrogate
        make = LogEI if acquisition is None else acquisition
        self.acquisition = getattr(make, "of", make)
        self.num_initial = (
            min(2 + space.num_columns, 16) if num_initial is None else num_initial
        )
        self.initial = Sobol(space)
        self.outcome = outcome

    def start(self, trials: Trials) -> Memory:
        """The surrogate as it was given, once for each output."""
        num_outputs = trials.y.shape[1] + trials.constraints.shape[1]

        def repeat(leaf):
            leaf = jnp.asarray(leaf, trials.y.dtype)
            return jnp.broadcast_to(leaf, (num_outputs, *leaf.shape))

        parameters = jax.tree.map(repeat, self.surrogate.parameters)
        return Memory(parameters, jnp.asarray(np.int32(0)))

    def propose(
        self,
        memory: Memory,
        trials: Trials,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
    ) -> tuple[Float[Array, "q d"], Memory]:
        """Initial points at first, then those of greatest acquisition."""
        if trials.y.shape[1] != 1:
            raise ValueError(
                f"num_objectives: expected 1 for BayesOpt, got {trials.y.shape[1]}"
            )
        known = jnp.sum(trials.done & jnp.all(jnp.isfinite(trials.y), axis=1))
        return jax.lax.cond(
            (trials.size >= self.num_initial) & (known >= 2),
            lambda: self._from_surrogate(memory, trials, key, numbers),
            lambda: self._from_design(memory, trials, key, numbers),
        )

    def _from_design(self, memory, trials, key, numbers):
        x, _ = self.initial.propose(None, trials, key, numbers)
        return x, memory

    def _from_surrogate(self, memory, trials, key, numbers):
        fit_key = jax.random.fold_in(key, numbers[0])
        belief, memory = self.believe(memory, trials, fit_key)

        def choose(belief, number):
            belief = belief.at(jax.random.fold_in(key, number))
            x, _ = optimize(
                average(self.acquisition, belief),
                self.space,
                belief.key,
                near=belief.incumbent[None],
                tried=belief.trials,
            )
            return x[0]

        if numbers.shape[0] == 1:
            return choose(belief, numbers[0])[None], memory

        q, capacity = numbers.shape[0], trials.capacity

        def step(belief, i):
            x = choose(belief, numbers[i])
            return belief.append(capacity + i, x, numbers[i]), x

        _, x = jax.lax.scan(step, belief.grow(q), jnp.arange(q))
        return x, memory

    def believe(
        self, memory: Memory, trials: Trials, key: PRNGKeyArray
    ) -> tuple[Belief, Memory]:
        """What is believed after a fit to all that was told, and what it leaves.

        Args:
            memory: what the last fit left.
            trials: all that is known.
            key: of whatever is random in the fit.
        """
        data = self._data(trials)
        count = jnp.sum(trials.done)
        afresh = count >= memory.restart_at

        def learn(parameters: PyTree, data: Dataset) -> tuple[Posterior, PyTree]:
            surrogate = self.surrogate.replace(parameters).fit(data, key, afresh)
            return surrogate.condition(data, trials.pending), surrogate.parameters

        # One after the other: each output's search takes the steps that it needs.
        posteriors, parameters = jax.lax.map(
            lambda output: learn(*output), (memory.parameters, data)
        )
        again = jnp.ceil(count * _RESTART_GROWTH).astype(jnp.int32)
        memory = Memory(parameters, jnp.where(afresh, again, memory.restart_at))
        m, outputs = trials.y.shape[1], Several(posteriors)
        constraints = Several(outputs[m:]) if len(outputs) > m else None
        return Belief(Several(outputs[:m]), constraints, trials, key), memory

    def _data(self, trials: Trials) -> Dataset:
        """What the surrogates see, one output after the other on the leading axis."""

        def objective(y, variance):
            known = trials.done & jnp.isfinite(y)
            worst = jnp.max(jnp.where(known, y, -jnp.inf))
            y = jnp.where(known, y, worst)
            y, variance = self.outcome(y, variance, trials.done)
            return jnp.where(trials.done, y, 0), variance

        def constraint(g):
            known = trials.done & jnp.isfinite(g)
            worst = jnp.max(jnp.where(known, g, -jnp.inf))
            return jnp.where(known, g, worst), jnp.zeros_like(g)

        parts = [
            jax.vmap(objective, in_axes=1)(trials.y, trials.variance),
            jax.vmap(constraint, in_axes=1)(trials.constraints),
        ]
        y, variance = jax.tree.map(lambda *parts: jnp.concatenate(parts), *parts)
        y = jnp.where(trials.done, y, 0)
        return jax.vmap(lambda y, v: Dataset(trials.x, y, trials.done, v))(y, variance)
