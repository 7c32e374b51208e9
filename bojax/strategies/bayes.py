"""Bayesian optimization."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax import pareto
from bojax._typing import PyTree
from bojax.acquisitions import (
    KG,
    Acquisition,
    Belief,
    Feasible,
    KnownCost,
    LearnedCost,
    LogEI,
    PerCost,
    PiBO,
    Prior,
    QLogNEHVI,
    average,
    optimize,
)
from bojax.data import Dataset, Status, Trials
from bojax.space import Space
from bojax.strategies.anew import Fit, Memory, select, turn_of
from bojax.strategies.base import State, Strategy
from bojax.strategies.believed import believed
from bojax.strategies.observed import observed
from bojax.strategies.sobol import Sobol
from bojax.surrogates import GP, Posterior, Several, Surrogate
from bojax.surrogates.likelihood import standardization
from bojax.surrogates.outcomes import yeo_johnson

_RESTART_GROWTH = 1.3
"""A fit starts afresh, not only from the last one, whenever data has grown by this."""

_PRIOR_STRENGTH = 10.0
"""beta of `PiBO`: the user's prior weighs as the acquisition after so many outcomes."""


@dataclasses.dataclass(frozen=True)
class _Product:
    """The product of some values."""

    names: tuple[str, ...]

    def __call__(self, values: dict[str, Float[Array, ""]]) -> Float[Array, ""]:
        return functools.reduce(operator.mul, (values[name] for name in self.names))


class BayesOpt(Strategy):
    """Fit a surrogate to what is known, and ask where the acquisition is greatest.

    The first points are scrambled Sobol points. Pending points, and the points of a
    batch among themselves, count as observed at the value that the surrogate predicts
    for them. Failed trials count as having been as bad as the worst that succeeded, or
    teach where trials fail (`learn_failures`).

    A model that has learned one valley well can be sure, and wrong, that there is no
    other. So once next to no improvement is expected, every second proposal, or batch,
    belongs to a search that begins anew: with initial points of its own and a surrogate
    that sees its own trials only, until it has converged too and the next one begins.
    The other half of the proposals goes on with all that is known.

    Args:
        space: what to search.
        surrogate: model of the objective; default: `GP(space)`.
        acquisition: what makes an `Acquisition` of a `Belief`: a class of them with
            the method `of`, or a module-level function; default: `LogEI`, and
            `QLogNEHVI` for several objectives. Where constraints are measured, it is
            weighted by the probability that they are met, see `Feasible`; their
            surrogates see sign(g) log(1 + |g|) (Eriksson and Poloczek 2021).
        num_initial: trials before the surrogate is asked; default: 2 + d up to 16.
        outcome: increasing map of the observed values before they are modeled, and of
            their variances, `(y, variance, mask) -> (y, variance)`, see
            `surrogates.outcomes`; default: `yeo_johnson`, because heavy tails would
            rule the fit, and for several objectives `unchanged`.
        reference: of several objectives, minimized, the corner beyond which nothing is
            gained; default: a tenth beyond the front so far.
        prior: log density of where the optimum is believed to be, up to a constant: a
            module-level function of the values of a point in natural units, as
            constraints are, see `PiBO`. Every second of the first points is a draw from
            it. It is forgotten as outcomes come in; multiply it by a number for a
            stronger or weaker belief. It weighs acquisitions whose value is a
            logarithm, and others are refused.
        restart_below: the expected improvement, in standard deviations of the values,
            below which a search has converged and another begins; 0 for never. Only of
            one objective with `LogEI` alone: no constraints, learned failures,
            fidelities, cost or prior; and not while the model finds noise.
        cost: of an evaluation, by which what is gained is divided, see `PerCost`: a
            module-level function of the values of a point in natural units, or True to
            learn it from `Outcome.cost`. Of a space with fidelities, False stands for
            the product of their values.
        search: how the acquisition is maximized: a module-level function with the
            arguments of `acquisitions.optimize`, the default, or
            `functools.partial(optimize, num_starts=20)`, say.
        learn_failures: whether failed trials are left out of the model of the objective
            and teach a surrogate of their own where trials fail, by whose probability
            the acquisition is weighted as by a constraint's. Where the optimum lies at
            the edge of what succeeds this comes nearer to it; anywhere it has more
            trials fail. See `benchmarks/failures`.

    Raises:
        TypeError: if `surrogate` is not one, `acquisition`, `outcome` or `search` not a
            function, or `prior` not one that JAX can trace.
        ValueError: if the surrogate is of another space, `num_initial` is under 2,
            `restart_below` is negative, `reference` is not finite, or does not have as
            many numbers as there are objectives, or these are more than 4, or `prior`
            does not return one number, finite somewhere.

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

    chooses_fidelity: ClassVar[bool] = True
    most_objectives: ClassVar[int | None] = 4

    space: Space
    surrogate: Surrogate
    initial: Strategy
    acquisition: Callable | None = eqx.field(static=True)
    num_initial: int = eqx.field(static=True)
    outcome: Callable | None = eqx.field(static=True)
    reference: tuple[float, ...] | None = eqx.field(static=True)
    prior: Prior | None = eqx.field(static=True)
    cost: Callable | bool = eqx.field(static=True)
    restart_below: float = eqx.field(static=True)
    search: Callable | None = eqx.field(static=True)
    learn_failures: bool = eqx.field(static=True)

    def __init__(
        self,
        space: Space,
        surrogate: Surrogate | None = None,
        acquisition: Any = None,
        num_initial: int | None = None,
        outcome: Callable | None = None,
        reference: Sequence[float] | None = None,
        prior: Callable | None = None,
        cost: Any = False,
        restart_below: float = 1e-4,
        search: Callable | None = None,
        learn_failures: bool = False,
    ):
        if num_initial is not None and num_initial < 2:
            raise ValueError(f"num_initial: expected at least 2, got {num_initial}")
        self.space = space
        self.surrogate = GP(space) if surrogate is None else surrogate
        _check_surrogate(self.surrogate, space)
        self.acquisition = getattr(acquisition, "of", acquisition)
        for name, function in (
            ("acquisition", self.acquisition),
            ("outcome", outcome),
            ("search", search),
        ):
            if function is not None and not callable(function):
                raise TypeError(f"{name}: expected a function, got {function!r}")
        self.num_initial = (
            min(2 + space.num_columns, 16) if num_initial is None else num_initial
        )
        self.initial = Sobol(space)
        self.outcome = outcome
        self.reference = None if reference is None else tuple(map(float, reference))
        if self.reference is not None and not np.all(np.isfinite(self.reference)):
            raise ValueError(f"reference: expected finite numbers, got {reference}")
        self.prior = None if prior is None else Prior(space, prior)
        if not (isinstance(cost, bool) or callable(cost)):
            raise TypeError(f"cost: expected a function or True, got {cost!r}")
        if cost is False and space.is_fidelity.any():
            cost = _Product(tuple(np.array(space.names)[space.is_fidelity]))
        self.cost = cost
        if not restart_below >= 0:
            raise ValueError(
                f"restart_below: expected at least 0, got {restart_below!r}"
            )
        self.restart_below = float(restart_below)
        self.search = search
        self.learn_failures = bool(learn_failures)

    def start(self, trials: Trials) -> Memory:
        """Before any fit, and with no search begun anew."""
        m = trials.y.shape[1]
        if self.reference is not None and len(self.reference) != m:
            raise ValueError(
                f"reference: expected {m} numbers, one for each objective, "
                f"got {len(self.reference)}"
            )
        fit = self.unfitted(trials)
        zero = jnp.asarray(np.zeros((), trials.y.dtype))
        return Memory(fit, fit, jnp.asarray(np.int32(-1)), zero, zero)

    def unfitted(self, trials: Trials) -> Fit:
        """The surrogate as it was given, once for each output."""
        num_outputs = trials.y.shape[1] + trials.constraints.shape[1]
        num_outputs += self.learn_failures
        num_outputs += self.cost is True

        def repeat(leaf):
            leaf = jnp.asarray(leaf, trials.y.dtype)
            return jnp.broadcast_to(leaf, (num_outputs, *leaf.shape))

        parameters = jax.tree.map(repeat, self.surrogate.parameters)
        return Fit(parameters, jnp.asarray(np.int32(0)))

    def propose(
        self,
        memory: Memory,
        trials: Trials,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
    ) -> tuple[Float[Array, "q d"], Memory]:
        """Initial points at first, then those of greatest acquisition."""
        if not self.restarts(trials):
            x, whole, _ = self._propose(memory.whole, trials, trials, key, numbers)
            return x, dataclasses.replace(memory, whole=whole)
        memory = self._begun(memory, numbers[0])
        own = turn_of(memory, trials.number, numbers.shape[0])
        turn = turn_of(memory, numbers[0], numbers.shape[0])
        status = jnp.where(own | ~turn, trials.status, Status.EMPTY)
        seen = dataclasses.replace(trials, status=status)
        fit = select(turn, memory.anew, memory.whole)
        x, fit, gain = self._propose(fit, seen, trials, key, numbers)
        return x, Memory(
            whole=select(turn, memory.whole, fit),
            anew=select(turn, fit, memory.anew),
            first=memory.first,
            gain=jnp.where(turn, memory.gain, gain),
            gain_anew=jnp.where(turn, gain, memory.gain_anew),
        )

    def restarts(self, trials: Trials) -> bool:
        """Whether a search that has converged is followed by another."""
        plain = self.acquisition in (None, LogEI.of)
        plain = plain and self.cost is False and self.prior is None
        alone = trials.y.shape[1] == 1 and trials.constraints.shape[1] == 0
        alone = alone and not self.learn_failures
        fidelity = self.space.is_fidelity.any()
        return plain and alone and not fidelity and self.restart_below > 0

    def _begun(self, memory: Memory, number: Int[Array, ""]) -> Memory:
        """The same, or with a search that begins anew with this draw.

        Where the model found noise, with none: there the luckiest value makes gains
        look small long before the search has converged.
        """
        threshold = math.log(self.restart_below)
        gain = jnp.where(memory.first < 0, memory.gain, memory.gain_anew)
        begun = dataclasses.replace(
            memory,
            anew=Fit(memory.whole.parameters, jnp.zeros_like(memory.anew.restart_at)),
            first=number,
            gain_anew=jnp.zeros_like(memory.gain_anew),
        )
        memory = select(gain < threshold, begun, memory)
        first = jnp.where(memory.whole.found_noise, -1, memory.first)
        return dataclasses.replace(memory, first=first)

    def _propose(
        self,
        fit: Fit,
        seen: Trials,
        trials: Trials,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
    ) -> tuple[Float[Array, "q d"], Fit, Float[Array, ""]]:
        """Points from the trials seen, the fit, and the gain expected of the first."""

        def from_design():
            if self.prior is None:
                x, _ = self.initial.propose(None, trials, key, numbers)
            else:
                x = believed(self.space, self.prior, trials, key, numbers)
            return x, fit, jnp.zeros((), trials.y.dtype)

        def from_surrogate():
            fit_key = jax.random.fold_in(key, numbers[0])
            belief, fitted = self.believe(fit, seen, fit_key)
            # What was tried by whichever search is not chosen again.
            belief = dataclasses.replace(belief, trials=trials)
            x, values = self.choose(belief, key, numbers)
            _, scale = standardization(self._observed(seen).y[0], seen.done)
            return x, fitted, (values[0] - jnp.log(scale)).astype(trials.y.dtype)

        in_use = jnp.sum(seen.status != Status.EMPTY)
        known = jnp.sum(seen.done & jnp.all(jnp.isfinite(seen.y), axis=1))
        enough = (in_use >= self.num_initial) & (known >= 2)
        return jax.lax.cond(enough, from_surrogate, from_design)

    def choose(
        self,
        belief: Belief,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
        bounds: tuple[Float[Array, " d"], Float[Array, " d"]] | None = None,
    ) -> tuple[Float[Array, "q d"], Float[Array, " q"]]:
        """The points of greatest acquisition, each given that those before it pend.

        Args:
            belief: what the surrogates say.
            key: the run's key.
            numbers: draw numbers, one a point.
            bounds: of each column, if only a part of the space is searched.

        Returns:
            The points, and the acquisition's value of each when it was chosen.
        """
        search = optimize if self.search is None else self.search

        def choose(belief, number):
            belief = belief.at(jax.random.fold_in(key, number))
            acquisition = average(self._make, belief)
            chooses = acquisition.chooses_fidelity
            x, value = search(
                acquisition,
                self.space if chooses else self.space.full_fidelity,
                belief.key,
                near=belief.incumbent[None],
                tried=belief.trials,
                bounds=bounds,
            )
            return x[0], value

        if numbers.shape[0] == 1:
            x, value = choose(belief, numbers[0])
            return x[None], value[None]

        q, capacity = numbers.shape[0], belief.trials.capacity

        def step(belief, i):
            x, value = choose(belief, numbers[i])
            return belief.append(capacity + i, x, numbers[i]), (x, value)

        return jax.lax.scan(step, belief.grow(q), jnp.arange(q))[1]

    def _make(self, belief: Belief) -> Acquisition:
        """The acquisition, weighted by constraints and by what the user believes."""
        default = LogEI if len(belief.objectives) == 1 else QLogNEHVI
        if default is LogEI and self.space.is_fidelity.any():
            default = KG
        make = default.of if self.acquisition is None else self.acquisition
        acquisition = make(belief)
        if belief.constraints is not None:
            any_feasible = jnp.any(belief.trials.feasible)
            acquisition = Feasible(acquisition, belief.constraints, any_feasible)
        if self.cost is not False:
            if callable(self.cost):
                log_cost = KnownCost(self.space, self.cost)
            else:
                log_cost = LearnedCost(belief.log_cost)
            acquisition = PerCost(acquisition, log_cost)
        if self.prior is not None:
            num_outcomes = jnp.maximum(jnp.sum(belief.trials.done), 1)
            strength = _PRIOR_STRENGTH / num_outcomes
            acquisition = PiBO(acquisition, self.prior, strength)
        return acquisition

    def expected(self, state: State) -> tuple[Float[Array, " n"], Float[Array, "n c"]]:
        """Posterior means at the rows of the table, and those of the constraints.

        On the scale of `outcome`: their order is what counts.
        """
        return self.expected_after(state.memory.whole, state)

    def expected_after(
        self, fit: Fit, state: State
    ) -> tuple[Float[Array, " n"], Float[Array, "n c"]]:
        """The same after a fit that begins from what another left."""
        trials = state.trials

        def from_surrogate():
            key = jax.random.fold_in(state.key, state.num_asked)
            belief, _ = self.believe(fit, trials, key)

            def means(several: Several) -> Float[Array, "n k"]:
                return jax.vmap(several.observed.marginal)(trials.x)[0]

            constraints = trials.constraints
            if belief.constraints is not None:
                # Without whether trials fail: of those told that is known.
                constraints = means(belief.constraints)[:, : constraints.shape[1]]
            return means(belief.objectives)[:, 0], constraints

        known = jnp.sum(trials.done & jnp.isfinite(trials.y[:, 0]))
        # A model of a handful of values believes too much of them.
        return jax.lax.cond(
            known >= 2, from_surrogate, lambda: Strategy.expected(self, state)
        )

    def fitted_noise(self, memory: Memory) -> Bool[Array, ""]:
        """Whether noise makes up over a hundredth of the variance of the values.

        As far as the last fit knows; see `benchmarks/recommendation`.
        """
        return memory.whole.found_noise

    def believe(
        self, fit: Fit, trials: Trials, key: PRNGKeyArray
    ) -> tuple[Belief, Fit]:
        """What is believed after a fit to all that was told, and what it leaves.

        Args:
            fit: what the last one left.
            trials: all that is known.
            key: of whatever is random in the fit.
        """
        data = self._observed(trials)
        count = jnp.sum(trials.done)
        afresh = count >= fit.restart_at

        def learn(parameters: PyTree, data: Dataset) -> tuple[Posterior, PyTree]:
            surrogate = self.surrogate.replace(parameters).fit(data, key, afresh)
            return surrogate.condition(data, trials.pending), surrogate.parameters

        # One after the other: each output's search takes the steps that it needs.
        posteriors, parameters = jax.lax.map(
            lambda output: learn(*output), (fit.parameters, data)
        )
        again = jnp.ceil(count * _RESTART_GROWTH).astype(jnp.int32)
        trusted = jnp.all(jax.vmap(_trusted)(posteriors))
        restart_at = jnp.where(afresh, again, fit.restart_at)
        fit = Fit(parameters, restart_at, trusted)
        m, c = trials.y.shape[1], trials.constraints.shape[1]
        c += self.learn_failures
        outputs = Several(posteriors)
        belief = Belief(
            objectives=Several(outputs[:m]),
            constraints=Several(outputs[m : m + c]) if c else None,
            log_cost=outputs[-1] if self.cost is True else None,
            reference=self._reference(trials, jax.vmap(lambda d: d.y)(data)[:m].T),
            trials=trials,
            key=key,
            space=self.space,
        )
        return belief, fit

    def _observed(self, trials: Trials) -> Dataset:
        """What the surrogates see, one output after the other on the leading axis."""
        outcome = self.outcome
        if outcome is None and trials.y.shape[1] == 1:
            outcome = yeo_johnson
        return observed(trials, outcome, self.learn_failures, self.cost is True)

    def _reference(
        self, trials: Trials, y: Float[Array, "n m"]
    ) -> Float[Array, " m"] | None:
        """The user's, or one that suits the front so far."""
        if y.shape[1] == 1:
            return None
        if self.reference is not None:
            return jnp.asarray(self.reference, y.dtype)
        counts = jnp.where(jnp.any(trials.feasible), trials.feasible, trials.done)
        return pareto.reference_point(y, counts)


def _check_surrogate(surrogate: Any, space: Space) -> None:
    if not isinstance(surrogate, Surrogate):
        raise TypeError(f"surrogate: expected a Surrogate, got {surrogate!r}")
    # Not every surrogate has a space; constraints make none another.
    own = getattr(surrogate, "space", None)
    if isinstance(own, Space) and own.columns != space.columns:
        raise ValueError(
            f"surrogate: expected one of the space to search, got one of {own!r}"
        )


def _trusted(posterior: Posterior) -> Bool[Array, ""]:
    # Not every posterior can say so; one that cannot is taken at its word.
    return jnp.asarray(getattr(posterior, "trusted", True))
