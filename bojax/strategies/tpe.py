"""The tree-structured Parzen estimator."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from bojax.data import ENUMERABLE, Status, Trials
from bojax.space import Space
from bojax.strategies.base import Strategy
from bojax.strategies.parzen import Parzen
from bojax.strategies.random import Random
from bojax.strategies.sequence import one_by_one

_MOST_GOOD = 25
_SPARE = 16


class TPE(Strategy):
    """Model where good trials lie and where all others do; ask where the former rules.

        x = argmax l(x) / g(x)   among draws from l

    with l the density of the best tenth of the trials, up to 25 of them, and g that of
    the rest; where there are conditions, first for the columns that always exist, then
    for those that exist given these, and so on. Pending points belong to the rest, so
    that a batch keeps apart (a constant liar who is a pessimist), and so do failed
    trials. In g all but the last 25 trials weigh the less the older they are. The first
    points are random.

    Args:
        space: what to search.
        num_initial: trials before the densities are asked.
        num_candidates: draws from l of which the best is taken.
        multivariate: whether the densities are joint ones over each branch of the
            space, or every column is searched by itself.

    Raises:
        ValueError: if a count is not positive, or the trials have several objectives.

    Example:
        >>> import bojax, jax
        >>> strategy = TPE(bojax.Space({"a": bojax.Float(0, 1)}), num_initial=4)
        >>> state = strategy.init(jax.random.key(0))
        >>> for _ in range(20):
        ...     points, state = strategy.ask(state)
        ...     state = strategy.tell(state, points, (points.x[:, 0] - 0.3) ** 2)
        >>> float(state.trials.y[:20].min()) < 0.01
        True

    References:
        Bergstra, Bardenet, Bengio and Kegl (2011), Algorithms for hyper-parameter
        optimization, section 4; Falkner, Klein and Hutter (2018), BOHB, for the
        multivariate form.
    """

    most_objectives: ClassVar[int | None] = 1

    space: Space
    num_initial: int = eqx.field(static=True, default=10)
    num_candidates: int = eqx.field(static=True, default=24)
    multivariate: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        for name in ("num_initial", "num_candidates"):
            if (count := getattr(self, name)) < 1:
                raise ValueError(f"{name}: expected at least 1, got {count}")

    def start(self, trials: Trials) -> None:
        """Everything is in the table of trials."""

    def propose(
        self, memory: None, trials: Trials, key: PRNGKeyArray, numbers: Int[Array, " q"]
    ) -> tuple[Float[Array, "q d"], None]:
        """Random points at first, then those of the greatest ratio."""

        def draw(trials: Trials, number: Int[Array, ""]) -> Float[Array, " d"]:
            return jax.lax.cond(
                trials.size >= self.num_initial,
                lambda: self._from_densities(trials, jax.random.fold_in(key, number)),
                lambda: Random(self.space).propose(None, trials, key, number[None])[0][
                    0
                ],
            )

        if numbers.shape[0] == 1:
            return draw(trials, numbers[0])[None], None
        return one_by_one(draw, trials, numbers), None

    def _from_densities(self, trials: Trials, key: PRNGKeyArray) -> Float[Array, " d"]:
        good, rest = self.densities(trials)
        key_draws, key_spare = jax.random.split(key)
        keys = jax.random.split(key_draws, self.num_candidates)
        if self.multivariate:
            x, ratio = self._down_the_tree(good, rest, keys)
        else:
            x = self._columns_apart(good, rest, keys)
            ratio = -jnp.arange(x.shape[0], dtype=x.dtype)
        return self._first(trials, x, -ratio, key_spare)

    def _down_the_tree(
        self, good: Parzen, rest: Parzen, keys: Key[Array, " c"]
    ) -> tuple[Float[Array, "c d"], Float[Array, " c"]]:
        """Draws that share what is best of the columns above the deepest ones.

        A branch is chosen for what is known of the branch, and not for how narrow the
        densities within it have become.
        """
        x, depth = jax.vmap(good.sample)(keys), self.space.depth
        for level in range(depth.max() + 1):
            known = depth <= level
            ratio = jax.vmap(
                lambda x, known=known: (
                    good.log_density(x, known) - rest.log_density(x, known)
                )
            )(x)
            if level < depth.max():
                best = x[jnp.argmax(jnp.where(jnp.isnan(ratio), -jnp.inf, ratio))]
                fresh = jax.vmap(lambda key, n: jax.random.fold_in(key, n), (0, None))
                draw = lambda key, best=best, known=known: good.sample(key, best, known)
                x = jax.vmap(draw)(fresh(keys, level))
        return x, ratio

    def _columns_apart(
        self, good: Parzen, rest: Parzen, keys: Key[Array, " c"]
    ) -> Float[Array, "c d"]:
        """Points whose columns are each the best, the second best, and so on."""
        x = jax.vmap(good.sample_marginals)(keys)
        ratio = jax.vmap(lambda x: good.log_marginals(x) - rest.log_marginals(x))(x)
        order = jnp.argsort(-ratio, axis=0)
        return jax.vmap(self.space.project)(jnp.take_along_axis(x, order, axis=0))

    def _first(
        self,
        trials: Trials,
        x: Float[Array, "c d"],
        rank: Float[Array, " c"],
        key: PRNGKeyArray,
    ) -> Float[Array, " d"]:
        """The best that may be taken; in a finite space one that was not tried."""
        spare = self.space.sample(key, _SPARE).astype(x.dtype)
        if not math.isinf(self.space.size):
            everything = self.space.enumerate(ENUMERABLE)
            if everything is not None:
                spare = jax.random.permutation(key, jnp.asarray(everything, x.dtype))
        worse = jnp.nanmax(rank) + 1 + jnp.arange(len(spare), dtype=x.dtype)
        feasible = jax.vmap(self.space.feasible)(x)
        rank = jnp.where(feasible & ~jnp.isnan(rank), rank, jnp.inf)
        candidates = jnp.concatenate([x, spare])
        rank = jnp.concatenate([rank, worse])
        if math.isinf(self.space.size):
            return candidates[jnp.argmin(rank)]
        return trials.first_untried(candidates, rank)

    def densities(self, trials: Trials) -> tuple[Parzen, Parzen]:
        """Those of the good trials, and of the rest.

        Args:
            trials: of one objective.
        """
        y = trials.y[:, 0]
        y = jnp.where(trials.done & jnp.isfinite(y), y, jnp.inf)
        known = jnp.sum(y < jnp.inf)
        num_good = jnp.minimum(jnp.ceil(0.1 * known), _MOST_GOOD)
        best = jnp.argsort(y)[:_MOST_GOOD]
        is_good = (jnp.arange(len(best)) < num_good).astype(y.dtype)
        others = (trials.status != Status.EMPTY).at[best].min(is_good == 0)
        weight, joint = _age_weights(others, y.dtype), self.multivariate
        good = Parzen.of(self.space, trials.x[best], is_good, joint)
        return good, Parzen.of(self.space, trials.x, weight, joint)


def _age_weights(mask: Bool[Array, " n"], dtype: jnp.dtype) -> Float[Array, " n"]:
    """One for the last 25, and before them from 1 / n in even steps up to one."""
    n = jnp.sum(mask).astype(dtype)
    age = jnp.cumsum(mask) - 1
    steps = jnp.maximum(n - _MOST_GOOD - 1, 1)
    ramp = 1 / jnp.maximum(n, 1) + (1 - 1 / jnp.maximum(n, 1)) * age / steps
    weight = jnp.where(age >= n - _MOST_GOOD, 1, jnp.minimum(ramp, 1))
    return jnp.where(mask, weight, 0).astype(dtype)
