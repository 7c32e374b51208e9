"""Ends a run where there is little left to gain, and says so."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from bojax._precision import in_double
from bojax.acquisitions import optimize
from bojax.acquisitions.base import Acquisition
from bojax.acquisitions.feasible import log_probability_feasible
from bojax.strategies import BayesOpt, State
from bojax.surrogates import Posterior, Several
from bojax.surrogates.outcomes import unchanged
from bojax.tuning.study import Study
from bojax.tuning.trial import Trial

_UNLIKELY = 0.05
"""A point is out of the question if constraints are met there with less probability."""


class _Lower(Acquisition):
    """The lower confidence bound of f, negated, where constraints may be met."""

    posterior: Posterior
    constraints: Several | None
    width: Float[Array, ""]

    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        mean, variance = self.posterior.marginal(x[0])
        value = self.width * jnp.sqrt(variance) - mean
        if self.constraints is None:
            return value
        log_probability = log_probability_feasible(self.constraints, x[0])
        return jnp.where(log_probability < math.log(_UNLIKELY), -jnp.inf, value)


@eqx.filter_jit
def regret_bound(
    strategy: BayesOpt, state: State, num_deviations: float | Float[Array, ""] = 2.0
) -> Float[Array, ""]:
    """How much better than the best evaluated point any point can be believed to be.

        min over evaluated x of (m + w s)(x)  -  min over all x of (m - w s)(x)

    with posterior mean m, standard deviation s and width w; over evaluated x that meet
    the constraints, and over all x that may, both at full fidelity. The posterior is
    one of the values as they are, without `strategy.outcome`, so that the bound is in
    their units. It bounds the simple regret as far as the bounds of confidence hold.

    Args:
        strategy: whose surrogate is asked.
        state: the run; there must be at least two values.
        num_deviations: the width w of the confidence bounds.

    Returns:
        The bound, at least 0, in units of the objective; infinite where nothing that
        meets the constraints was evaluated at full fidelity.

    References:
        Makarova et al. (2022), Automatic termination for hyperparameter optimization,
        equation 4.
    """
    plain = BayesOpt(
        strategy.space,
        strategy.surrogate,
        outcome=unchanged,
        cost=strategy.cost,
        learn_failures=strategy.learn_failures,
    )
    key = jax.random.fold_in(state.key, state.num_asked)
    belief, _ = plain.believe(state.memory.whole, state.trials, key)
    posterior = belief.posterior.observed
    width = jnp.asarray(num_deviations, state.trials.x.dtype)
    means, variances = jax.vmap(posterior.marginal)(state.trials.x)
    upper = means + width * jnp.sqrt(variances)
    space, trials = strategy.space, state.trials
    counts = trials.feasible & space.is_full_fidelity(trials.x)
    upper = jnp.min(jnp.where(counts, upper, jnp.inf))
    _, lower = optimize(
        _Lower(posterior, belief.constraints, width),
        space.full_fidelity,
        key,
        near=belief.incumbent[None],
    )
    return jnp.maximum(upper + lower, 0)


def _bound(
    strategy: BayesOpt, state: State, width: Any
) -> tuple[Float[Array, ""], Int[Array, ""], Bool[Array, ""]]:
    """The bound, where the latest search began, and whether others ever will."""
    restarts = strategy.restarts(state.trials) & ~strategy.fitted_noise(state.memory)
    return regret_bound(strategy, state, width), state.memory.first, restarts


class Converged:
    """A callback that ends a run once nothing much better can be expected.

    After each trial it bounds the regret of the best point, see `regret_bound`, and
    raises `StopIteration`, with the reason in words, where the bound has been under the
    tolerance `patience` times in a row. Only for one objective, and
    `BayesOpt`: the others have no model.

    A model that has learned one valley well can be sure, and wrong, that there is no
    other. So where the strategy begins anew (`BayesOpt(restart_below=...)`), which it
    does not under noise, the run goes on until another search has converged too. By
    default each search is polished for long; `BayesOpt(restart_below=1e-3)` begins the
    next one sooner and so ends the run sooner. See `benchmarks/convergence`.

    Args:
        tolerance: regret that is as good as none, in units of the objective.
        patience: how many bounds in a row must be under it.
        min_trials: no bound is computed before as many trials have a value; default:
            twice the strategy's initial design.
        num_deviations: width of the confidence bounds, in standard deviations.
        num_searches: how many searches must have converged, where the strategy begins
            anew.

    Raises:
        ValueError: if an argument is out of range; see also `check`.

    Example:
        >>> Converged(tolerance=1e-3).patience
        3

    References:
        Makarova et al. (2022), Automatic termination for hyperparameter optimization.
    """

    def __init__(
        self,
        tolerance: float,
        patience: int = 3,
        min_trials: int | None = None,
        num_deviations: float = 2.0,
        num_searches: int = 2,
    ):
        if not (math.isfinite(tolerance) and tolerance > 0):
            raise ValueError(f"tolerance: expected a number > 0, got {tolerance!r}")
        for name, count in (
            ("patience", patience),
            ("min_trials", min_trials),
            ("num_searches", num_searches),
        ):
            if count is not None and count < 1:
                raise ValueError(f"{name}: expected at least 1, got {count!r}")
        if not num_deviations > 0:
            raise ValueError(
                f"num_deviations: expected a number > 0, got {num_deviations!r}"
            )
        self.tolerance = tolerance
        self.patience = patience
        self.min_trials = min_trials
        self.num_deviations = num_deviations
        self.num_searches = num_searches
        self._begun: set[int] = set()
        self.bounds: list[float] = []
        """The bound after each trial, NaN where none was computed."""

    def check(self, study: Study) -> BayesOpt:
        """The study's strategy, if the regret of such a study can be bounded.

        `bojax.minimize` asks before the first trial.

        Raises:
            TypeError: if the strategy has no surrogate.
            ValueError: if there are several objectives, of which no trial is the best.
        """
        strategy, count = study.strategy, study.num_objectives
        if not isinstance(strategy, BayesOpt):
            raise TypeError(
                "strategy: expected a BayesOpt for Converged, "
                f"got {type(strategy).__name__}"
            )
        if count > 1:
            raise ValueError(f"num_objectives: expected 1 for Converged, got {count}")
        return strategy

    def __call__(self, study: Study, trial: Trial) -> None:
        """Called after each trial.

        Raises:
            StopIteration: where the run has converged.
        """
        strategy = self.check(study)
        succeeded = sum(t.state in ("done", "stopped") for t in study.trials)
        least = self.min_trials or 2 * strategy.num_initial
        if succeeded < max(least, 2):
            self.bounds.append(math.nan)
            return
        search = study._search
        found = in_double(
            _bound, search.strategy, search.state, np.float64(self.num_deviations)
        )
        bound, first, restarts = (held.numpy() for held in found)
        self.bounds.append(float(bound))
        # Each search but the first begins where the one before it has converged.
        if first >= 0:
            self._begun.add(int(first))
        enough = not restarts or len(self._begun) >= self.num_searches
        last = self.bounds[-self.patience :]
        under = len(last) == self.patience and all(b <= self.tolerance for b in last)
        if under and enough:
            raise StopIteration(
                f"converged: the regret is believed to be under {last[-1]:.3g}, within "
                f"the tolerance of {self.tolerance:g}"
            )
