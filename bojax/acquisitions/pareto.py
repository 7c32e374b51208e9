"""Acquisitions for several objectives: hypervolume gained, and random scalarizations.

The hypervolume that one point adds to a front, given draws of the front, is an integral
in closed form, because the objectives are independent. So no draw is made of the last
point of a batch, and no smooth stand-in for an improvement is needed.
"""

import functools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax import pareto
from bojax._numerics import log_h
from bojax.acquisitions.base import Acquisition, Belief
from bojax.acquisitions.montecarlo import base_samples, batch_factor
from bojax.surrogates import Several
from bojax.surrogates.draws import Draws, draw_all, draw_pending

_MOST_POINTS = {2: 32, 3: 24, 4: 10}
"""Of a front in so many objectives: cells number (points + 1)^(objectives - 1)."""


class Cells(eqx.Module):
    """The region that a front does not dominate below a reference point, in cells.

    The first m - 1 objectives are cut at every coordinate of the front; over each cell
    of that grid the last objective may be anything below a bound, the least value of
    the points that are nowhere above the cell. These bounds are among the coordinates
    of the front too, so that one expectation for each coordinate serves all cells.

    Args:
        edges: ascending cuts of the first m - 1 objectives; the last is the reference.
        bounds: the values that a bound may have; the last is the reference.
        bound: which of them each cell has.

    References:
        Couckuyt, Deschrijver and Dhaene (2014), Fast calculation of multiobjective
        probability of improvement and expected improvement criteria, for cells; the
        grid is chosen here for its static shape.
    """

    edges: Float[Array, "cut_objectives points"]
    bounds: Float[Array, " points"]
    bound: Int[Array, "..."]

    @classmethod
    def of(
        cls,
        y: Float[Array, "n m"],
        mask: Bool[Array, " n"],
        reference: Float[Array, " m"],
    ) -> "Cells":
        """The cells of the front of some points.

        A front of over 32 points in two objectives, 24 in three and 10 in four is
        thinned out to those whose neighbors are furthest apart.

        Args:
            y: points, minimized.
            mask: which rows count.
            reference: the corner beyond which nothing is gained.

        Example:
            >>> import jax.numpy as jnp
            >>> y = jnp.array([[1.0, 2.0], [2.0, 1.0]])
            >>> cells = Cells.of(y, jnp.ones(2, bool), jnp.array([3.0, 3.0]))
            >>> cells.edges.tolist(), cells.bounds[cells.bound].tolist()
            ([[1.0, 2.0, 3.0]], [3.0, 2.0, 1.0])
        """
        n, m = y.shape
        mask = mask & jnp.all(y < reference, axis=1)
        most = min(_MOST_POINTS[m], n)
        if most < n:
            mask = pareto.non_dominated(y, mask)
            spread = pareto.crowding(y, jnp.where(mask, 0, n))
            chosen = jnp.argsort(jnp.where(mask, -spread, jnp.inf))[:most]
            y, mask = y[chosen], mask[chosen]
        # Where there is no point, the reference adds cells of no width.
        y = jnp.where(mask[:, None], y, reference)
        order = jnp.argsort(y[:, :-1], axis=0)
        edges = jnp.take_along_axis(y[:, :-1], order, axis=0)
        edges = jnp.concatenate([edges, reference[None, :-1]]).T
        place = jnp.argsort(order, axis=0)  # of each point among the cuts
        # A cell begins at a cut: the point bounds the cells from there on.
        size = most + 1
        least = jnp.full((size,) * (m - 1), jnp.inf, y.dtype)
        least = least.at[tuple(place.T + 1)].min(y[:, -1])
        for axis in range(m - 1):
            least = jax.lax.cummin(least, axis=axis)
        least = jnp.minimum(least, reference[-1])
        bounds = jnp.sort(jnp.append(y[:, -1], reference[-1]))
        return cls(edges, bounds, jnp.searchsorted(bounds, least))

    def first(self, count: int) -> "Cells":
        """The same region, of a front that has no more points than this."""
        cells = (slice(count + 1),) * self.bound.ndim
        edges, bounds = self.edges[:, : count + 1], self.bounds[: count + 1]
        return Cells(edges, bounds, self.bound[cells])

    def log_improvement(
        self, mean: Float[Array, " m"], variance: Float[Array, " m"]
    ) -> Float[Array, ""]:
        """Log of the hypervolume that a point with normal values is expected to add.

        Over each cell the expectation of the product is the product of expectations

            E[max(u - max(y, l), 0)] = E[max(u - y, 0)] - E[max(l - y, 0)]
        """
        sigma = jnp.sqrt(variance)
        widths = jax.vmap(_log_differences)(self.edges, mean[:-1], sigma[:-1])
        z = (self.bounds - mean[-1]) / sigma[-1]
        total = (jnp.log(sigma[-1]) + jax.vmap(log_h)(z))[self.bound]
        axes = total.ndim
        for axis in range(axes):
            shape = [1] * axes
            shape[axis] = -1
            total = total + widths[axis].reshape(shape)
        return jax.nn.logsumexp(total)


def _log_differences(
    edges: Float[Array, " c"], mean: Float[Array, ""], sigma: Float[Array, ""]
) -> Float[Array, " c"]:
    """log(E[max(u - y, 0)] - E[max(l - y, 0)]) of neighboring cuts l, u."""
    z = (edges - mean) / sigma
    log_upper = jnp.log(sigma) + jax.vmap(log_h)(z)
    first = log_upper[:1]
    upper, lower, width = log_upper[1:], log_upper[:-1], z[1:] - z[:-1]
    # Over a narrow cell the slope is constant. Each branch sees only what it digests.
    narrow = width < jnp.finfo(z.dtype).eps ** 0.25
    empty = width <= 0
    ratio = jnp.where(narrow, -1.0, lower - upper)
    wide = upper + jnp.log(-jnp.expm1(ratio))
    middle = jnp.where(narrow, z[:-1] + 0.5 * width, 0.0)
    thin = jnp.log(sigma) + jnp.log(jnp.where(narrow & ~empty, width, 1.0))
    thin = thin + jax.scipy.special.log_ndtr(middle)
    rest = jnp.where(empty, -jnp.inf, jnp.where(narrow, thin, wide))
    return jnp.concatenate([first, rest])


class _Gain(eqx.Module):
    """What points add to drawn fronts.

    Args:
        draws: of the objectives, along a leading axis.
        front: points in whose place something is known or drawn, infinite elsewhere.
        cells: of each draw's front.
        reference: the corner beyond which nothing is gained.
        base: standard normal numbers of the points of a batch.
    """

    draws: Draws
    front: Float[Array, "s n m"]
    cells: Cells
    reference: Float[Array, " m"]
    base: Float[Array, "m s q"]

    def __init__(
        self,
        draw: Callable,
        objectives: Several,
        reference: Float[Array, " m"],
        key: PRNGKeyArray,
        q: int,
        num_samples: int,
        feasible: Bool[Array, " n"] | None,
    ):
        m = len(objectives)
        if not 2 <= m <= 4:
            raise ValueError(f"num_objectives: expected 2, 3 or 4, got {m}")
        if jnp.shape(reference) != (m,):
            raise ValueError(
                f"reference: expected {m} numbers, one for each objective, "
                f"got shape {jnp.shape(reference)}"
            )
        self.base, rows = several_base(objectives, key, q, num_samples)
        self.draws = jax.vmap(draw)(objectives[:], rows)
        self.front = _drawn_values(objectives, self.draws, feasible)
        self.reference = jnp.asarray(reference, self.base.dtype)
        self.cells = jax.vmap(self._cells)(self.front)

    def _cells(self, front: Float[Array, "n m"]) -> Cells:
        return Cells.of(front, jnp.all(jnp.isfinite(front), axis=1), self.reference)

    def _improvements(
        self, cells: Cells, mean: Float[Array, "s m"], variance: Float[Array, " m"]
    ) -> Float[Array, " s"]:
        """Of each draw, over as many cells as the longest of their fronts needs.

        That does not depend on where the point is: of many points, too, one branch is
        evaluated.
        """

        def over(count: int) -> Float[Array, " s"]:
            few = jax.vmap(lambda cells: cells.first(count))(cells)
            improvement = jax.vmap(Cells.log_improvement, in_axes=(0, 0, None))
            return improvement(few, mean, variance)

        most = cells.edges.shape[-1] - 1
        counts = sorted({max(most // 4, 1), max(most // 2, 1), most})
        used = jnp.sum(cells.edges[:, 0] < self.reference[0], axis=1)
        which = jnp.searchsorted(jnp.asarray(counts), jnp.max(used))
        branches = [functools.partial(over, count) for count in counts]
        return jax.lax.switch(which, branches)

    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Log of the mean over draws of what the rows of `x` add together."""
        q = self.base.shape[2]
        if x.shape[0] != q:
            raise ValueError(
                f"x: expected a batch of {q} points, as q says, got shape {x.shape}"
            )
        if q == 1:
            mean, variance = jax.vmap(lambda draws: draws.marginal(x[0]))(self.draws)
            return _log_mean(self._improvements(self.cells, mean.T, variance))

        def joint(draws):
            mean, covariance = draws(x)
            prior = draws.posterior.prior_variance(x)
            return mean, batch_factor(covariance, prior)

        mean, factor = jax.vmap(joint)(self.draws)
        sigma = jnp.diagonal(factor, axis1=1, axis2=2)
        # Each point's mean given those before it, and what is drawn of it.
        mean = mean + jnp.einsum("msq,mpq->msp", self.base, jnp.tril(factor, -1))
        values = jnp.moveaxis(mean + self.base * sigma[:, None], 0, -1)
        each = []
        for point in range(q):
            front = jnp.concatenate([self.front, values[:, :point]], axis=1)
            cells = self.cells if point == 0 else jax.vmap(self._cells)(front)
            means, variance = mean[:, :, point].T, sigma[:, point] ** 2
            each.append(self._improvements(cells, means, variance))
        return _log_mean(jax.nn.logsumexp(jnp.stack(each), axis=0))


def several_base(
    objectives: Several, key: PRNGKeyArray, q: int, num_samples: int
) -> tuple[Float[Array, "m s q"], Float[Array, "m s n"]]:
    """Standard normal numbers of a batch, and of the rows of the data."""
    if q < 1:
        raise ValueError(f"q: expected at least 1, got {q}")
    m, n = len(objectives), objectives[0].data.y.shape[-1]
    base = base_samples(key, num_samples, m * (q + n))
    # The batch has the sequence's best columns.
    batch = base[:, : m * q].reshape(num_samples, m, q)
    rows = base[:, m * q :].reshape(num_samples, m, n)
    dtype = objectives[0].data.y.dtype
    batch, rows = jnp.moveaxis(batch, 1, 0), jnp.moveaxis(rows, 1, 0)
    return batch.astype(dtype), rows.astype(dtype)


def _drawn_values(
    objectives: Several, draws: Draws, feasible: Bool[Array, " n"] | None
) -> Float[Array, "s n m"]:
    """What was drawn, or else observed, at the data; infinite in rows of no account."""
    drawn = jnp.moveaxis(draws.values, 0, -1)
    observed = jax.vmap(lambda each: each.data.y, out_axes=-1)(objectives.each)
    mask = objectives[0].data.mask
    mask = mask if feasible is None else mask & feasible
    values = jnp.where(jnp.isfinite(drawn), drawn, observed)
    return jnp.where(mask[:, None], values, jnp.inf)


def _log_mean(values: Float[Array, " s"]) -> Float[Array, ""]:
    return jax.nn.logsumexp(values) - math.log(values.shape[0])


class QLogEHVI(Acquisition):
    """Log of the hypervolume that a batch is expected to add to the measured front.

        log E[HV(front, pending, f(x)) - HV(front, pending)]

    With one point and nothing pending it is the integral itself; else a mean over draws
    at what is pending, in closed form given each. What a batch adds is the sum of what
    each point adds to those before it, of which all but the last are drawn.

    Args:
        objectives: their posteriors, in whose data pending points are believed.
        reference: the corner beyond which nothing is gained.
        key: of the draws.
        q: how many points are chosen jointly.
        num_samples: how many draws; best a power of two.
        feasible: rows of the data that count; default: all.

    Raises:
        ValueError: if there are not two to four objectives, `reference` has not as many
            numbers, a count is not positive, or a batch has not `q` points.

    References:
        Daulton, Balandat and Bakshy (2020), Differentiable expected hypervolume
        improvement for parallel multi-objective Bayesian optimization, equation 2;
        Ament et al. (2023), section 4, for the logarithm.
    """

    logarithmic = True

    objectives: Several
    gain: _Gain

    def __init__(
        self,
        objectives: Several,
        reference: Float[Array, " m"],
        key: PRNGKeyArray,
        q: int = 1,
        num_samples: int = 32,
        feasible: Bool[Array, " n"] | None = None,
    ):
        self.objectives = objectives
        self.gain = _Gain(
            draw_pending, objectives, reference, key, q, num_samples, feasible
        )

    @classmethod
    def of(cls, belief: Belief) -> "QLogEHVI":
        """The acquisition for the next point of a run."""
        return cls(
            belief.objectives, belief.corner, belief.key, feasible=belief.feasible
        )

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Log expected hypervolume added by the rows of `x` together."""
        return self.gain(x)


class QLogNEHVI(Acquisition):
    """Log of the hypervolume that a batch is expected to add, under noise.

    The values at all points observed and pending are drawn jointly and without their
    noise; each draw has a front of its own. Given it, all is as in `QLogEHVI`, which it
    is where there is no noise.

    Args:
        objectives: their posteriors, in whose data pending points are believed.
        reference: the corner beyond which nothing is gained.
        key: of the draws.
        q: how many points are chosen jointly.
        num_samples: how many draws; best a power of two.
        feasible: rows of the data that count; default: all.

    Raises:
        ValueError: as `QLogEHVI` does.

    References:
        Daulton, Balandat and Bakshy (2021), Parallel Bayesian optimization of multiple
        noisy objectives with expected hypervolume improvement, equation 3; Ament et al.
        (2023), section 4.
    """

    logarithmic = True

    objectives: Several
    gain: _Gain

    def __init__(
        self,
        objectives: Several,
        reference: Float[Array, " m"],
        key: PRNGKeyArray,
        q: int = 1,
        num_samples: int = 32,
        feasible: Bool[Array, " n"] | None = None,
    ):
        self.objectives = objectives
        self.gain = _Gain(
            draw_all, objectives, reference, key, q, num_samples, feasible
        )

    @classmethod
    def of(cls, belief: Belief) -> "QLogNEHVI":
        """The acquisition for the next point of a run."""
        return cls(
            belief.objectives, belief.corner, belief.key, feasible=belief.feasible
        )

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """Log expected hypervolume added by the rows of `x` together."""
        return self.gain(x)


class ParEGO(Acquisition):
    """Log expected improvement of a random scalarization of the objectives.

        s(y) = max_j w_j z_j + 0.05 sum_j w_j z_j,  z = (y - low) / (high - low)

    with weights w drawn uniformly from the simplex for each point of a run, and the
    range of each objective over the data. Every point of a front minimizes some s. What
    is known and pending is drawn as in `QLogNEHVI`, and so is f(x), with a smooth
    improvement.

    Args:
        objectives: their posteriors, in whose data pending points are believed.
        weights: of the objectives, of sum one.
        key: of the draws.
        num_samples: how many draws; best a power of two.
        feasible: rows of the data that count; default: all.

    Raises:
        ValueError: if a count is not positive.

    References:
        Knowles (2006), ParEGO, equation 2; Daulton et al. (2020), appendix B.6, for the
        Monte-Carlo form; Ament et al. (2023), equation 12, for the smooth improvement.
    """

    logarithmic = True

    objectives: Several
    draws: Draws
    base: Float[Array, "m s"]
    weights: Float[Array, " m"]
    low: Float[Array, " m"]
    span: Float[Array, " m"]
    best: Float[Array, " s"]

    def __init__(
        self,
        objectives: Several,
        weights: Float[Array, " m"],
        key: PRNGKeyArray,
        num_samples: int = 128,
        feasible: Bool[Array, " n"] | None = None,
    ):
        self.objectives, self.weights = objectives, weights
        base, rows = several_base(objectives, key, 1, num_samples)
        self.base = base[:, :, 0]
        self.draws = jax.vmap(draw_all)(objectives[:], rows)
        observed = jax.vmap(lambda each: each.data.y)(objectives.each)
        mask = objectives[0].data.mask
        self.low = jnp.min(jnp.where(mask, observed, jnp.inf), axis=1)
        span = jnp.max(jnp.where(mask, observed, -jnp.inf), axis=1) - self.low
        self.span = jnp.where(span > 0, span, 1)
        values = _drawn_values(objectives, self.draws, feasible)
        scalars = jnp.where(jnp.isfinite(values[..., 0]), self._scalar(values), jnp.inf)
        all_of_them = self._scalar(_drawn_values(objectives, self.draws, None))
        worst = jnp.max(jnp.where(mask, all_of_them, -jnp.inf), axis=1)
        best = jnp.min(scalars, axis=1)
        self.best = jnp.where(jnp.isfinite(best), best, worst)

    @classmethod
    def of(cls, belief: Belief) -> "ParEGO":
        """The acquisition for the next point of a run."""
        key_weights, key_draws = jax.random.split(belief.key)
        exponential = jax.random.exponential(key_weights, (len(belief.objectives),))
        dtype = belief.objectives[0].data.y.dtype
        weights = (exponential / jnp.sum(exponential)).astype(dtype)
        return cls(belief.objectives, weights, key_draws, feasible=belief.feasible)

    def _scalar(self, y: Float[Array, "... m"]) -> Float[Array, "..."]:
        z = self.weights * (y - self.low) / self.span
        return jnp.max(z, axis=-1) + 0.05 * jnp.sum(z, axis=-1)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "1 d"]) -> Float[Array, ""]:
        """Log expected improvement at the only row of `x`."""
        mean, variance = jax.vmap(lambda draws: draws.marginal(x[0]))(self.draws)
        values = mean + jnp.sqrt(variance)[:, None] * self.base
        gain = self.best - self._scalar(values.T)
        # Softplus with a tail: what is far from improving still has a slope.
        unit = 1e-2 * jax.lax.stop_gradient(
            jnp.max(self.weights * jnp.sqrt(variance) / self.span)
        )
        z = gain / unit
        smooth = jnp.log(jax.nn.softplus(z) + 1 / (1 + jnp.minimum(z, 0) ** 2) * 1e-3)
        return _log_mean(smooth + jnp.log(unit))
