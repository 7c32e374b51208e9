"""Bayesian optimization."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax._typing import PyTree
from bojax.acquisitions import Acquisition, LogEI, optimize
from bojax.data import Dataset, Status, Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.sobol import Sobol
from bojax.surrogates import GP, Posterior, Surrogate
from bojax.surrogates.outcomes import yeo_johnson

_RESTART_GROWTH = 1.3
"""A fit starts afresh, not only from the last one, whenever data has grown by this."""


class Memory(eqx.Module):
    """What Bayesian optimization carries from one proposal to the next.

    Args:
        parameters: of the last fit, from which the next one starts.
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
        acquisition: `(posterior, best_y) -> Acquisition`, a class or a module-level
            function; default: `LogEI`.
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
    acquisition: Callable[[Posterior, Float[Array, ""]], Acquisition] = eqx.field(
        static=True
    )
    num_initial: int = eqx.field(static=True)
    outcome: Callable = eqx.field(static=True)

    def __init__(
        self,
        space: Space,
        surrogate: Surrogate | None = None,
        acquisition: Callable[[Posterior, Float[Array, ""]], Acquisition] | None = None,
        num_initial: int | None = None,
        outcome: Callable = yeo_johnson,
    ):
        if num_initial is not None and num_initial < 2:
            raise ValueError(f"num_initial: expected at least 2, got {num_initial}")
        self.space = space
        self.surrogate = GP(space) if surrogate is None else surrogate
        self.acquisition = LogEI if acquisition is None else acquisition
        self.num_initial = (
            min(2 + space.num_columns, 16) if num_initial is None else num_initial
        )
        self.initial = Sobol(space)
        self.outcome = outcome

    def start(self) -> Memory:
        """The surrogate as it was given."""
        dtype = jnp.zeros(()).dtype
        parameters = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, dtype), self.surrogate.parameters
        )
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
        known = jnp.sum(trials.done & jnp.isfinite(trials.y[:, 0]))
        return jax.lax.cond(
            (trials.size >= self.num_initial) & (known >= 2),
            lambda: self._from_surrogate(memory, trials, key, numbers),
            lambda: self._from_design(memory, trials, key, numbers),
        )

    def _from_design(self, memory, trials, key, numbers):
        x, _ = self.initial.propose(None, trials, key, numbers)
        return x, memory

    def _from_surrogate(self, memory, trials, key, numbers):
        data = self._data(trials)
        surrogate = self.surrogate.replace(memory.parameters)
        count = jnp.sum(data.mask)
        afresh = count >= memory.restart_at
        surrogate = surrogate.fit(data, jax.random.fold_in(key, numbers[0]), afresh)
        again = jnp.ceil(count * _RESTART_GROWTH).astype(jnp.int32)
        memory = Memory(
            surrogate.parameters,
            jnp.where(afresh, again, memory.restart_at),
        )
        posterior = surrogate.condition(data, trials.pending)
        incumbent = trials.x[jnp.argmin(jnp.where(data.mask, data.y, jnp.inf))]

        def choose(posterior, trials, number):
            acquisition = self.acquisition(posterior, posterior.best_y)
            key_number = jax.random.fold_in(key, number)
            x, _ = optimize(
                acquisition, self.space, key_number, near=incumbent[None], tried=trials
            )
            return x[0]

        if numbers.shape[0] == 1:
            return choose(posterior, trials, numbers[0])[None], memory

        q, capacity = numbers.shape[0], trials.capacity

        def step(carry, i):
            posterior, trials = carry
            x = choose(posterior, trials, numbers[i])
            mean, _ = posterior.marginal(x)
            posterior = posterior.append(capacity + i, x, mean)
            blank = jnp.full((1, 1), jnp.nan, trials.y.dtype)
            trials = trials.append(
                x[None], blank, jnp.zeros_like(blank), numbers[i][None], Status.PENDING
            )
            return (posterior, trials), x

        room = (posterior.grow(q), trials.grow(capacity + q))
        _, x = jax.lax.scan(step, room, jnp.arange(q))
        return x, memory

    def _data(self, trials: Trials) -> Dataset:
        """What the surrogate sees."""
        y = trials.y[:, 0]
        known = trials.done & jnp.isfinite(y)
        worst = jnp.max(jnp.where(known, y, -jnp.inf))
        y = jnp.where(known, y, worst)
        y, variance = self.outcome(y, trials.variance[:, 0], trials.done)
        y = jnp.where(trials.done, y, 0)
        return Dataset(trials.x, y, trials.done, variance)
