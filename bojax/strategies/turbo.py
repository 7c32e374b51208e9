"""Bayesian optimization in a trust region, for many dimensions and many trials."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax._numerics import cholesky
from bojax._sobol import sobol
from bojax._typing import PyTree
from bojax.acquisitions import Belief
from bojax.data import ENUMERABLE, Status, Trials
from bojax.space import Space
from bojax.strategies.anew import Fit
from bojax.strategies.base import State, Strategy
from bojax.strategies.bayes import BayesOpt
from bojax.surrogates import Several, Surrogate

_LENGTH, _SHORTEST, _LONGEST = 0.8, 2.0**-7, 1.6
"""L at the start, the L below which a region is given up, and the longest."""

_IMPROVEMENT = 1e-3
"""What counts as an improvement, as a share of the best value."""

_PERTURBED = 20
"""How many columns of a candidate differ from the center, on average."""

_SPARE = 32
"""Points from anywhere, for when every candidate is taken or infeasible."""


class Memory(eqx.Module):
    """What a trust region carries from one proposal to the next.

    Args:
        surrogate: where the next fit starts.
        first: the first row of the table that belongs to the present region.
        length: side L of the region before it is scaled by lengthscales.
        successes: batches in a row with an improvement.
        failures: trials in a row without one.
        counted: how many outcomes of the region have been counted as either.
        infeasible: whether none of these met the constraints.
        best: the least value of those that did; the least violation if none did.
    """

    surrogate: Fit
    first: Int[Array, ""]
    length: Float[Array, ""]
    successes: Int[Array, ""]
    failures: Int[Array, ""]
    counted: Int[Array, ""]
    infeasible: Bool[Array, ""]
    best: Float[Array, ""]


class TuRBO(Strategy):
    """Bayesian optimization in a box around the best point, which learns its size.

    The box has sides L l_j / (l_1 ... l_d)^(1/d), where l are the lengthscales of a
    surrogate fitted to the trials of this region alone. Candidates in it differ from
    the center in some 20 columns. Each point of a batch is where one joint draw from
    the posterior at all candidates is least: Thompson sampling. Where constraints are
    measured they are drawn too; the least value among candidates that are feasible in
    the draw is taken, or the candidate of least violation if none is. Where the model
    finds noise, the center is where its mean is least.

    The outcomes that arrive between two proposals count as one batch, however many they
    are and in whichever order they are told. A batch that improves on the best of
    the region by a thousandth of it is a success, in any other each trial is a failure.
    L doubles after some successes in a row and is halved after max(4, d) failures in
    a row; below 2^-7 the region is given up, and another begins with a new design.

    Args:
        space: what to search. Columns that do not exist at the center are drawn from
            their whole range, and so are categories.
        surrogate: model of the objective and of each constraint; default: `GP(space)`,
            whose kernel is a Matern-5/2.
        acquisition: None for Thompson sampling; otherwise what `BayesOpt` takes, such
            as `LogEI`, maximized within the box.
        num_initial: trials of the design of each region; default: 2 d.
        num_candidates: default: 100 d up to 5,000.
        outcome: as in `BayesOpt`.
        successes: in a row, after which L doubles. The paper's 3 suits a valley that is
            to be followed far; with 10, as in BoTorch's tutorials, the region stays
            small where constraints leave little room.

    Raises:
        TypeError: as in `BayesOpt`.
        ValueError: if the surrogate is of another space, `num_initial` is under 2, or
            `num_candidates` or `successes` under 1.

    Example:
        >>> import bojax, jax
        >>> strategy = TuRBO(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> points, state = strategy.ask(strategy.init(jax.random.key(0)), q=2)
        >>> state = strategy.tell(state, points, (points.x[:, 0] - 0.3) ** 2)
        >>> float(state.memory.length)
        0.8...

    References:
        Eriksson, Pearce, Gardner, Turner and Poloczek (2019), Scalable global
        optimization via local Bayesian optimization; Eriksson and Poloczek (2021),
        Scalable constrained Bayesian optimization, for constraints.
    """

    most_objectives: ClassVar[int | None] = 1

    space: Space
    model: BayesOpt
    thompson: bool = eqx.field(static=True)
    num_initial: int = eqx.field(static=True)
    num_candidates: int = eqx.field(static=True)
    successes: int = eqx.field(static=True)

    def __init__(
        self,
        space: Space,
        surrogate: Surrogate | None = None,
        acquisition: Any = None,
        num_initial: int | None = None,
        num_candidates: int | None = None,
        outcome: Callable | None = None,
        successes: int = 3,
    ):
        d = space.num_columns
        if num_initial is None:
            num_initial = max(2 * d, 2)
        if num_initial < 2:
            raise ValueError(f"num_initial: expected at least 2, got {num_initial}")
        if num_candidates is None:
            num_candidates = min(100 * d, 5000)
        if num_candidates < 1:
            raise ValueError(
                f"num_candidates: expected at least 1, got {num_candidates}"
            )
        if successes < 1:
            raise ValueError(f"successes: expected at least 1, got {successes}")
        self.successes = successes
        self.space = space
        self.model = BayesOpt(
            space, surrogate, acquisition, num_initial, outcome=outcome
        )
        self.thompson = acquisition is None
        self.num_initial = num_initial
        self.num_candidates = num_candidates

    def start(self, trials: Trials) -> Memory:
        """The first region, without trials."""
        return _region(self.model.unfitted(trials), jnp.asarray(np.int32(0)), trials)

    def propose(
        self,
        memory: Memory,
        trials: Trials,
        key: PRNGKeyArray,
        numbers: Int[Array, " q"],
    ) -> tuple[Float[Array, "q d"], Memory]:
        """A design at first, then points of the box."""
        memory = self._counted(memory, trials)
        own = _since(trials, memory.first)
        known = jnp.sum(own.done & jnp.isfinite(own.y[:, 0]))
        in_use = jnp.sum(own.status != Status.EMPTY)
        return jax.lax.cond(
            (in_use >= self.num_initial) & (known >= 2),
            lambda: self._from_region(memory, trials, own, key, numbers),
            lambda: self._from_design(memory, trials, key, numbers),
        )

    def _counted(self, memory: Memory, trials: Trials) -> Memory:
        """The region after the outcomes that came since the last proposal."""
        own = _since(trials, memory.first)
        done = jnp.sum(own.done).astype(jnp.int32)
        infeasible, best = _best(own)
        news = done - memory.counted
        # The design is where the count begins.
        counts = (news > 0) & (memory.counted >= self.num_initial)
        threshold = memory.best - _IMPROVEMENT * jnp.abs(memory.best)
        better = jnp.where(
            infeasible == memory.infeasible,
            best < jnp.where(jnp.isfinite(memory.best), threshold, jnp.inf),
            memory.infeasible,
        )
        success, failure = counts & better, counts & ~better
        successes = jnp.where(failure, 0, memory.successes + success)
        failures = jnp.where(success, 0, memory.failures + jnp.where(failure, news, 0))
        double = successes >= self.successes
        halve = failures >= max(4, self.space.num_columns)
        length = jnp.where(
            double,
            jnp.minimum(2 * memory.length, _LONGEST),
            jnp.where(halve, memory.length / 2, memory.length),
        )
        same = Memory(
            memory.surrogate,
            memory.first,
            length,
            jnp.where(double, 0, successes),
            jnp.where(halve, 0, failures),
            done,
            infeasible,
            best,
        )
        other = _region(self.model.unfitted(trials), trials.size, trials)
        return jax.tree.map(
            lambda a, b: jnp.where(length < _SHORTEST, a, b), other, same
        )

    def _from_design(self, memory, trials, key, numbers):
        x, _ = self.model.initial.propose(None, trials, key, numbers)
        return x, memory

    def _from_region(self, memory, trials, own, key, numbers):
        own_key = jax.random.fold_in(key, numbers[0])
        belief, surrogate = self.model.believe(memory.surrogate, own, own_key)
        memory = dataclasses.replace(memory, surrogate=surrogate)
        center = own.x[_order(self._denoised(own, belief, surrogate))[0]]
        scales = _scales(surrogate.parameters, self.space.num_columns)
        low, high = self._box(center, memory.length * scales)
        if not self.thompson:
            belief = dataclasses.replace(belief, trials=trials)
            x, _ = self.model.choose(belief, key, numbers, (low, high))
            return x, memory
        candidates = self._candidates(own_key, center, low, high)
        feasible = jax.vmap(self.space.feasible)(candidates)
        draws = _draws(belief, candidates, key, numbers)
        spare = self._spare(own_key, center)
        everything = jnp.concatenate([candidates, spare])

        def choose(trials, each):
            number, draw = each
            rank = jnp.where(feasible, _rank(draw), jnp.inf)
            last = len(candidates) + jnp.arange(len(spare), dtype=rank.dtype)
            x = trials.first_untried(everything, jnp.concatenate([rank, last]))
            return trials.append(x[None], number[None], Status.PENDING), x

        room = trials.grow(trials.capacity + numbers.shape[0])
        return jax.lax.scan(choose, room, (numbers, draws))[1], memory

    def _denoised(self, own: Trials, belief: Belief, fit: Fit) -> Trials:
        """The same, with posterior means for values where the model found noise."""
        mean, _ = jax.vmap(belief.objectives.observed.marginal)(own.x)
        y = jnp.where(fit.found_noise, mean, own.y)
        return dataclasses.replace(own, y=jnp.where(own.done[:, None], y, own.y))

    def expected(self, state: State) -> tuple[Float[Array, " n"], Float[Array, "n c"]]:
        """Posterior means at the rows of the table, of a fit to all of them."""
        return self.model.expected_after(state.memory.surrogate, state)

    def fitted_noise(self, memory: Memory) -> Bool[Array, ""]:
        """Whether the model of the region found noise that matters."""
        return memory.surrogate.found_noise

    def _box(
        self, center: Float[Array, " d"], sides: Float[Array, " d"]
    ) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """The region, whole in columns without order or absent at the center."""
        local = self.space.active(center) & ~self.space.is_categorical
        low = jnp.where(local, jnp.maximum(center - sides / 2, 0), 0)
        high = jnp.where(local, jnp.minimum(center + sides / 2, 1), 1)
        return low, high

    def _candidates(
        self,
        key: PRNGKeyArray,
        center: Float[Array, " d"],
        low: Float[Array, " d"],
        high: Float[Array, " d"],
    ) -> Float[Array, "c d"]:
        """Points of the box that differ from its center in some of the columns."""
        d, shape = self.space.num_columns, (self.num_candidates, center.shape[0])
        spread = sobol(key, jnp.arange(self.num_candidates), d, center.dtype)
        mask_key, column_key = jax.random.split(jax.random.fold_in(key, 1))
        moved = jax.random.uniform(mask_key, shape) < min(1.0, _PERTURBED / d)
        column = jax.random.randint(column_key, shape[:1], 0, d)
        # One at least, and whatever a change of its parent brings into existence.
        moved |= jnp.arange(d) == column[:, None]
        moved |= ~self.space.active(center)
        x = jnp.where(moved, low + (high - low) * spread, center)
        return jax.vmap(self.space.project)(x)

    def _spare(
        self, key: PRNGKeyArray, center: Float[Array, " d"]
    ) -> Float[Array, "s d"]:
        """Feasible points of the whole space, of a small finite one all, near first."""
        small = None
        if not math.isinf(self.space.size):
            small = self.space.enumerate(ENUMERABLE)
        if small is None:
            spare = self.space.sample(jax.random.fold_in(key, 2), _SPARE)
            return spare.astype(center.dtype)
        small = jnp.asarray(small, center.dtype)
        far = jnp.sum(jnp.abs(small - center), axis=1)
        return small[jnp.argsort(far)]


def _region(surrogate: Fit, first: Int[Array, ""], trials: Trials) -> Memory:
    """A region without trials, to which the rows from `first` on will belong."""
    zero = jnp.asarray(np.int32(0))
    return Memory(
        surrogate=surrogate,
        first=first,
        length=jnp.asarray(_LENGTH, trials.x.dtype),
        successes=zero,
        failures=zero,
        counted=zero,
        infeasible=jnp.asarray(np.True_),
        best=jnp.asarray(np.inf, trials.y.dtype),
    )


def _since(trials: Trials, first: Int[Array, ""]) -> Trials:
    """The table as if there were nothing before row `first`."""
    own = jnp.arange(trials.capacity) >= first
    status = jnp.where(own, trials.status, Status.EMPTY)
    return dataclasses.replace(trials, status=status)


def _violation(trials: Trials) -> Float[Array, " n"]:
    """Sum of what exceeds zero, each constraint in units of its mean size."""
    g = jnp.where(trials.done[:, None], trials.constraints, jnp.nan)
    unit = jnp.nanmean(jnp.abs(g), axis=0) + jnp.finfo(g.dtype).tiny
    return jnp.sum(jnp.maximum(g, 0) / unit, axis=1)


def _order(trials: Trials) -> Int[Array, " n"]:
    """Rows from best to worst: feasible ones by value, then others by violation."""
    violation, y = _violation(trials), trials.y[:, 0]
    known = trials.done & jnp.isfinite(y) & jnp.isfinite(violation)
    kind = jnp.where(trials.feasible, 0, jnp.where(known, 1, 2))
    return jnp.lexsort((jnp.where(trials.feasible, y, violation), kind))


def _best(trials: Trials) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Whether no row is feasible; the least value, or else the least violation."""
    infeasible = ~jnp.any(trials.feasible)
    g = jnp.sum(jnp.maximum(trials.constraints, 0), axis=1)
    known = trials.done & jnp.isfinite(trials.y[:, 0]) & jnp.isfinite(g)
    least_y = jnp.min(jnp.where(trials.feasible, trials.y[:, 0], jnp.inf))
    least_violation = jnp.min(jnp.where(known, g, jnp.inf))
    return infeasible, jnp.where(infeasible, least_violation, least_y)


def _scales(parameters: PyTree, d: int) -> Float[Array, " d"]:
    """Lengthscales of the objective relative to their geometric mean."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        if getattr(path[-1], "name", "") == "log_lengthscale" and leaf.shape[-1] == d:
            log = jnp.mean(leaf[0].reshape(-1, d), axis=0)
            return jnp.exp(log - jnp.mean(log))
    return jnp.ones(d)


def _draws(
    belief: Belief,
    x: Float[Array, "c d"],
    key: PRNGKeyArray,
    numbers: Int[Array, " q"],
) -> Float[Array, "q k c"]:
    """Joint draws of each output at all of `x`, a set of them for each number."""
    outputs = [belief.objectives]
    outputs += [] if belief.constraints is None else [belief.constraints]

    def white(number):
        shape = (sum(map(len, outputs)), x.shape[0])
        return jax.random.normal(jax.random.fold_in(key, number), shape, x.dtype)

    base = jax.vmap(white, out_axes=1)(numbers)

    def draw(posterior, base):
        joint = posterior(x)
        # Close candidates are nearly collinear: without this the first of several
        # attempts to factorize would as good as always be in vain.
        jitter = 100 * jnp.finfo(x.dtype).eps * jnp.mean(joint.variance)
        covariance = joint.covariance + jitter * jnp.eye(x.shape[0], dtype=x.dtype)
        return joint.mean + base @ cholesky(covariance).T

    every = Several(
        jax.tree.map(lambda *leaf: jnp.concatenate(leaf), *[o.each for o in outputs])
    )
    draws = jax.lax.map(lambda each: draw(*each), (every.each, base))
    return jnp.swapaxes(draws, 0, 1)


def _rank(draw: Float[Array, "k c"]) -> Float[Array, " c"]:
    """Place of each candidate: feasible ones by value, then others by violation."""
    y, g = draw[0], draw[1:]
    unit = jnp.mean(jnp.abs(g), axis=1, keepdims=True) + jnp.finfo(g.dtype).tiny
    violation = jnp.sum(jnp.maximum(g, 0) / unit, axis=0)
    violated = violation > 0
    order = jnp.lexsort((jnp.where(violated, violation, y), violated))
    return jnp.zeros_like(y).at[order].set(jnp.arange(y.shape[0], dtype=y.dtype))
