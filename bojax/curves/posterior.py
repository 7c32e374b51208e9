"""What is believed of learning curves: a mixture of paths, and questions to it."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

RELIABLE = 0.7
"""A Pareto k above this does not support an average."""

_FEW = 0.1  # share of effective components under which an update fits anew
_MOST = 2048  # steps at which a path is looked at


@dataclasses.dataclass(frozen=True)
class Components:
    """Paths over a grid of steps, and what is measured about each.

        y(x) | component ~ center(x) + scale(x) t(dof)

    Args:
        weight: of the components; they sum to one.
        curve: the noise-free curve of each.
        center: where a measurement is expected, which what was measured last may pull
            away from the curve.
        scale: of a measurement.
        dof: of Student's t; infinite for a normal.
        rho: correlation of the noise of neighboring steps; negative where what follows
            from one more value is not known.
    """

    weight: Float[np.ndarray, "n s"]
    curve: Float[np.ndarray, "n s g"]
    center: Float[np.ndarray, "n s g"]
    scale: Float[np.ndarray, "n s g"]
    dof: Float[np.ndarray, "n s"]
    rho: Float[np.ndarray, "n s"]

    def pulled(
        self,
        grid: Float[np.ndarray, " g"],
        last: Float[np.ndarray, " n"],
        step: float,
        off: Float[np.ndarray, "n s"],
    ) -> "Components":
        """What is expected once noise that is correlated goes on from another step.

            center(x) = curve(x) + rho^(x - step) off

        Args:
            grid: of the components.
            last: where it went on from before.
            step: where it goes on from now.
            off: how far each curve was off there; NaN where nothing is known, and
                nothing changes.
        """
        rho = np.maximum(self.rho, 0)[:, :, None]
        span = (grid[-1] - last)[:, None, None]
        sigma = self.scale[:, :, -1:] / np.sqrt(1 - rho ** (2 * span))
        gap = np.maximum(grid - step, 0)
        decay = np.where(gap > 0, rho**gap, 0.0)
        center = self.curve + decay * off[:, :, None]
        known = ~np.isnan(off)[:, :, None]
        return dataclasses.replace(
            self,
            center=np.where(known, center, self.center),
            scale=np.where(known, sigma * np.sqrt(1 - decay**2), self.scale),
        )

    def joined(self, other: "Components", share: Float[np.ndarray, " n"]):
        """Both, of which the other has this share."""

        def both(a, b):
            return np.concatenate([a, b], 1)

        weights = [self.weight * (1 - share[:, None]), other.weight * share[:, None]]
        rest = [
            both(getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)[1:]
        ]
        return Components(both(*weights), *rest)


@dataclasses.dataclass(frozen=True, eq=False)
class CurvePosterior:
    """The posterior of one learning curve, or of a batch of them.

    A batch adds a leading axis `n` to every answer. Steps may be any numbers between
    the first one and the horizon; between the points of the grid paths are straight.

    Args:
        observed: the values so far; NaN where there is none.
        steps: where they were measured.
        grid: steps from the first one to the horizon.
        components: the mixture over them.
        ess: the effective sample size behind each posterior.
        pareto_k: the shape of its importance weights; -inf where there were none.
        converged: whether it can be relied on. Where not, do not stop a training.
        minimize: whether low values are good.
        single: whether there is one curve, and no leading axis.
        refit: fits anew when `update` has more to say than reweighting can.
    """

    observed: Float[np.ndarray, "n t"]
    steps: Float[np.ndarray, " t"]
    grid: Float[np.ndarray, " g"]
    components: Components
    ess: Float[np.ndarray, " n"] | float
    pareto_k: Float[np.ndarray, " n"] | float
    converged: Bool[np.ndarray, " n"] | bool
    minimize: bool
    single: bool
    refit: Callable = dataclasses.field(repr=False)

    @property
    def horizon(self) -> float:
        """The last step."""
        return float(self.grid[-1])

    def sample(self, steps, num: int = 1000, seed: int = 0):
        """Noise-free curves, drawn with their weights: `[num, m]`."""
        curve = self._at(steps, self.components.curve)
        rng = np.random.default_rng(seed)
        place = (np.arange(num) + rng.random()) / num
        rows = []
        for weight, each in zip(self.components.weight, curve, strict=True):
            edges = np.cumsum(weight)
            which = np.searchsorted(edges / edges[-1], place)
            rows.append(each[np.minimum(which, len(weight) - 1)])
        return self._out(np.stack(rows))

    def mean(self, steps):
        """The mean of what would be observed: `[m]`."""
        center = self._at(steps, self.components.center)
        return self._out(np.einsum("ns,nsm->nm", self.components.weight, center))

    def std(self, steps):
        """The standard deviation of what would be observed: `[m]`."""
        center = self._at(steps, self.components.center)
        weight = self.components.weight[:, :, None]
        mean = np.sum(weight * center, 1, keepdims=True)
        dof = self.components.dof[:, :, None]
        heavy = dof / np.where(np.isinf(dof), 1.0, dof - 2)
        noise = self._at(steps, self.components.scale) ** 2
        noise = noise * np.where(np.isinf(dof), 1.0, heavy)
        return self._out(np.sqrt(np.sum(weight * ((center - mean) ** 2 + noise), 1)))

    def quantile(self, q, steps):
        """Values that stay above what would be observed with probability `q`.

        Args:
            q: a probability, or several `[k]`, which then lead: `[k, m]`.
            steps: where.
        """
        levels = np.atleast_1d(np.asarray(q, float))
        if not np.all((levels > 0) & (levels < 1)):
            raise ValueError(f"q: expected probabilities between 0 and 1, got {q!r}")
        center = self._at(steps, self.components.center)
        scale = self._at(steps, self.components.scale)
        far = 60 * scale
        low, high = (center - far).min(1), (center + far).max(1)
        low = np.repeat(low[None], len(levels), 0)
        high = np.repeat(high[None], len(levels), 0)
        for _ in range(50):
            middle = 0.5 * (low + high)
            below = np.stack([self._below(each, center, scale) for each in middle])
            under = below < levels[:, None, None]
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        found = 0.5 * (low + high)
        found = found[:, 0] if self.single else np.moveaxis(found, 0, 1)
        return found[..., 0, :] if np.ndim(q) == 0 else found

    def log_density(self, steps, y):
        """Log predictive density of values, noise included: `[m]`, one a step."""
        y = np.asarray(y, float)
        y = y[None] if self.single else y
        center = self._at(steps, self.components.center)
        scale = self._at(steps, self.components.scale)
        dof = self.components.dof[:, :, None]
        log_each = _log_t((y[:, None] - center) / scale, dof) - np.log(scale)
        with np.errstate(divide="ignore"):
            log_weight = np.log(self.components.weight)[:, :, None]
        return self._out(special.logsumexp(log_each + log_weight, axis=1))

    def prob_better(self, best: float | int, step: float | int):
        """P(what is observed at a step beats `best`)."""
        center = self._at(step, self.components.center)
        scale = self._at(step, self.components.scale)
        below = self._below(np.asarray(float(best)), center, scale)[:, 0]
        better = below if self.minimize else 1 - below
        return float(better[0]) if self.single else better

    def prob_ever_better(self, best: float | int):
        """P(anything observed on the rest of the path beats `best`).

        That is at the whole steps left and at the horizon. Noise at different steps is
        taken as independent given the curve; of thousands some stand for their
        neighbors.
        """
        last = np.minimum(self._last(), np.nextafter(self.horizon, 0.0))
        steps, counts = self._left(float(last.min()))
        dof = self.components.dof[:, :, None]
        log_never = np.zeros(self.components.weight.shape)
        # No more of them at a time than the components hold already.
        for at in range(0, len(steps), len(self.grid)):
            here = slice(at, at + len(self.grid))
            center = self._at(steps[here], self.components.center)
            scale = self._at(steps[here], self.components.scale)
            below = _t_below((best - center) / scale, dof)
            worse = 1 - below if self.minimize else below
            log_worse = np.log(np.maximum(worse, 1e-300))
            count = np.where(steps[here] > last[:, None], counts[here], 0.0)
            log_never += np.einsum("nsm,nm->ns", log_worse, count)
        ever = np.sum(self.components.weight * (1 - np.exp(log_never)), axis=1)
        return float(ever[0]) if self.single else ever

    def update(self, new_y) -> "CurvePosterior":
        """The posterior after one more step.

        The step is the last one and 1. Components are weighted anew by what they said
        of it. Where few are left, or finished curves have a say, everything is fitted
        anew.

        Args:
            new_y: the value at the next step, NaN where there is none; a batch's `[n]`.
        """
        new_y = np.atleast_1d(np.asarray(new_y, float))
        if new_y.shape != (len(self.observed),):
            raise ValueError(
                f"new_y: expected {len(self.observed)} values, got {new_y.shape}"
            )
        step = float(self.steps[-1] + 1) if len(self.steps) else 1.0
        if step > self.horizon:
            raise ValueError(
                f"new_y: expected none beyond the horizon {self.horizon:g}"
            )
        observed = np.concatenate([self.observed, new_y[:, None]], 1)
        steps = np.append(self.steps, step)
        seen = np.where(np.isfinite(new_y), new_y, 0.0)[:, None]
        scale = self._at(step, self.components.scale)[:, :, 0]
        center = self._at(step, self.components.center)[:, :, 0]
        gain = _log_t((seen - center) / scale, self.components.dof) - np.log(scale)
        gain = np.where(np.isnan(new_y)[:, None], 0.0, gain)
        gain = np.maximum(gain - gain.max(1, keepdims=True), -700.0)
        weight = self.components.weight * np.exp(gain)
        weight /= weight.sum(1, keepdims=True)
        left = 1 / np.sum(weight**2, 1)
        doubtful = ~np.asarray(self.converged) | ~(left >= _FEW * weight.shape[1])
        again = np.any(doubtful) or np.any(self.components.rho < 0)
        # At the horizon there is nothing left to be foretold.
        if (again or np.any(np.isinf(new_y))) and step < self.horizon:
            return self.refit(observed, steps)
        components = dataclasses.replace(self.components, weight=weight)
        if np.any(components.rho > 0) and step < self.horizon:
            off = new_y[:, None] - self._at(step, self.components.curve)[:, :, 0]
            components = components.pulled(self.grid, self._last(), step, off)
        return dataclasses.replace(
            self,
            observed=observed,
            steps=steps,
            components=components,
            ess=float(left[0]) if self.single else left,
        )

    def _last(self):
        """The last step of each curve that has a value, -1 if none has."""
        seen = np.where(np.isnan(self.observed), -1.0, self.steps)
        return seen.max(1, initial=-1.0)

    def _left(self, last: float):
        """The whole steps after another and the horizon, and for how many each stands.

        Those that stand for several lie evenly in the logarithm, as those of the grid.
        """
        first = max(math.floor(last) + 1.0, float(self.grid[0]))
        end = float(math.floor(self.horizon))
        steps, counts = np.empty(0), np.empty(0)
        if first <= end:
            steps = np.unique(np.round(np.geomspace(first, end, _MOST)))
            middle = np.floor(0.5 * (steps[1:] + steps[:-1]))
            counts = np.diff(np.concatenate([[first - 1], middle, [end]]))
        if end < self.horizon:
            steps, counts = np.append(steps, self.horizon), np.append(counts, 1.0)
        return steps, counts

    def _at(self, steps, paths):
        """Paths at any steps, along straight lines between those of the grid."""
        steps = np.atleast_1d(np.asarray(steps, float))
        if steps.ndim != 1 or not np.all(
            (steps >= self.grid[0]) & (steps <= self.grid[-1])
        ):
            raise ValueError(
                f"steps: expected numbers from {self.grid[0]:g} to the horizon "
                f"{self.grid[-1]:g}, got {steps}"
            )
        right = np.clip(np.searchsorted(self.grid, steps), 1, len(self.grid) - 1)
        left = right - 1
        width = self.grid[right] - self.grid[left]
        part = np.where(
            width > 0, (steps - self.grid[left]) / np.where(width > 0, width, 1), 1
        )
        return paths[:, :, left] * (1 - part) + paths[:, :, right] * part

    def _below(self, value, center, scale):
        """P(observed < value) at each step."""
        value = np.broadcast_to(value, (len(center), center.shape[2]))
        u = (value[:, None] - center) / scale
        each = _t_below(u, self.components.dof[:, :, None])
        return np.einsum("ns,nsm->nm", self.components.weight, each)

    def _out(self, answer):
        return answer[0] if self.single else answer


def _t_below(u, dof):
    dof = np.broadcast_to(dof, u.shape)
    below = special.ndtr(u)
    heavy = np.isfinite(dof)
    below[heavy] = special.stdtr(dof[heavy], u[heavy])
    return below


def _log_t(u, dof):
    dof = np.broadcast_to(dof, u.shape)
    heavy = np.isfinite(dof)
    log = -0.5 * u**2 - 0.5 * math.log(2 * math.pi)
    d, v = dof[heavy], u[heavy]
    log[heavy] = (
        special.gammaln((d + 1) / 2)
        - special.gammaln(d / 2)
        - 0.5 * np.log(d * math.pi)
        - (d + 1) / 2 * np.log1p(v**2 / d)
    )
    return log
