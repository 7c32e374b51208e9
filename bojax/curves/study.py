"""What the finished trainings of a study say about those that still run.

Lower is better, on any scale. A few simple experts forecast the rest of a curve: by its
last value, or by a ridge regression on its level, its slope and the like. To each is
added what it had missed on every finished curve when that one was left out. What was
missed is a whole path, so a forecast is a mixture of paths, and its steps hang together
as those of real curves do. What was missed on curves like this one counts for more, and
so do experts that did well on curves like this one. Nothing is left to be tuned.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int
from scipy import special

# Each expert: how many features it regresses on, and whether alike curves count for
# more. The first is the baseline: the last value and what it missed on all the others.
_EXPERTS = ((0, False), (0, True), (1, True), (2, True), (4, True))
_RIDGE = 1.0  # pseudo-curves that show no effect of a standardized feature
_FAR = 10.0  # a standardized feature at most
_BACKGROUND = 2.0  # curves' worth of weight that alike and unlike ones share
_DOF = 3.0  # of the kernel: heavy tails, or winners would be given up
_BANDWIDTH = 0.4  # of the kernel on what was missed, in robust standard deviations
_NARROW = 0.93  # a pool of calibrated forecasts is too wide
_LOCAL = 0.5  # distance, in standardized level and slope, within which experts compete
_SCORED = 128  # finished curves that experts are scored on, at most


@dataclasses.dataclass(frozen=True)
class Warp:
    """Makes any curve finite, and leaves alone whatever may become the best.

        z = y                         up to the edge
        z = edge + span v / (1 + v)   beyond, with v = (y - edge) / span

    A loss of 1e19 is then an ordinary bad value, and a failure the far end.
    """

    edge: float
    span: float

    @classmethod
    def of(cls, curves: Float[np.ndarray, "k H"]) -> "Warp":
        """The edge lies as far above the usual start as the best lies below."""
        finite = curves[np.isfinite(curves)]
        if not finite.size:
            return cls(0.0, 1.0)
        starts = curves[:, 0][np.isfinite(curves[:, 0])]
        start = float(np.median(starts if starts.size else finite))
        span = start - float(finite.min()) or abs(start) or 1.0
        return cls(start + span, span)

    def __call__(self, y: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
        """To the scale of the model."""
        excess = np.where(np.isnan(y), np.inf, y) - self.edge
        v = np.maximum(excess, 0) / self.span
        return np.where(v > 0, self.edge + self.span * (1 - 1 / (1 + v)), y)

    def inverse(self, z: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
        """Back to the user's scale; the far end is infinity."""
        v = np.clip((z - self.edge) / self.span, 0, 1)
        with np.errstate(divide="ignore"):
            return np.where(v > 0, self.edge + self.span * v / (1 - v), z)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """The rest of `n` curves: a Student t of 3 degrees about each component's path.

    The same t moves the whole of a path, each step by its own scale.

    Args:
        warp: to the scale of the model, in which the others are.
        worst: no forecast is worse than what was seen.
        weight: of each component; they sum to one.
        path: where they are.
        scale: of the t.
    """

    warp: Warp
    worst: Float[np.ndarray, " n"]
    weight: Float[np.ndarray, "n m"]
    path: Float[np.ndarray, "n m h"]
    scale: Float[np.ndarray, "n m h"]

    def prob_below(self, value: float) -> Float[np.ndarray, "n h"]:
        """P(y < value) at each step, exactly."""
        z = self.warp(np.asarray(value, float))
        each = _t_below((z - self.path) / self.scale)
        each = np.where((z > self.worst)[:, None, None], 1.0, each)
        return np.einsum("nm,nmh->nh", self.weight, each)

    def paths(self, s: int, seed: int = 0) -> Float[np.ndarray, "n {s} h"]:
        """Joint samples, on the user's scale; a failure is infinity.

        Components by systematic resampling, their noise by a Latin square.
        """
        rng = np.random.default_rng(seed)
        u = (np.arange(s) + 0.5) / s
        noise, order = rng.permutation(_t_quantiles(s)), rng.permutation(s)
        n, m = self.weight.shape
        which = np.stack([np.searchsorted(np.cumsum(w), u) for w in self.weight])
        which, rows = np.minimum(which, m - 1), np.arange(n)[:, None]
        z = self.path[rows, which] + noise[:, None] * self.scale[rows, which]
        y = self.warp.inverse(np.minimum(z, self.worst[:, None, None]))
        return y[:, order]


class Study:
    """The finished curves, made ready for curves of which `t` values are known.

    Args:
        finished: at least one, all of the same length; NaN where a training had failed.
        t: how many values of a running curve are known, at least one.

    References:
        Stone (1974), "Cross-validatory choice and assessment of statistical
        predictions": what each curve missed when left out, in closed form.
        Yao, Vehtari, Simpson and Gelman (2018), "Using stacking to average Bayesian
        predictive distributions", equation 4: the weights, here by EM and with a prior.
        West (1993), "Approximating posterior distributions by mixtures": kernels about
        shrunken points, which keep the variance.
    """

    def __init__(
        self,
        finished: Float[np.ndarray, "k H"],
        t: int,
    ):
        self.t = t
        self.warp = Warp.of(finished)
        z = self.warp(finished)
        self.worst = z.max()
        self.rest = z[:, t:] - z[:, t - 1 : t]
        features = _features(z, t)
        self.center = features.mean(0)
        spread = 1.25 * np.abs(features - np.median(features, 0)).mean(0)
        self.spread = np.where(spread > 1e-9 * self.warp.span, spread, np.inf)
        self.x = self._standardize(features)
        self.ridges = [_Ridge(self.x[:, :p], self.rest) for p, _ in _EXPERTS]
        scored = np.linspace(0, len(z) - 1, min(len(z), _SCORED)).astype(int)
        self.at = self.x[scored, :2]
        prior = np.ones(len(_EXPERTS))
        last = self.rest.shape[1] - 1
        steps = np.unique([0, last // 2, last])
        if len(z) < 2:  # nobody is left to leave out
            scores = np.zeros((1, len(steps), len(prior)))
        else:
            scores = self._scores(scored, steps)
        self.share, self.vote = _stack(scores, prior, len(z) / len(scored))

    def __call__(
        self,
        observed: Float[np.ndarray, "n t"],
        steps: Int[np.ndarray, " h"] | None = None,
    ) -> Mixture:
        """Forecast curves from their first `t` values.

        Args:
            observed: those values; NaN or infinity where a training has failed.
            steps: positions after the `t` known ones, else all.
        """
        steps = np.arange(self.rest.shape[1]) if steps is None else steps
        z = self.warp(observed)
        x = self._standardize(_features(z, self.t))
        # Experts compete anew near each curve: what is right for a training that is
        # stuck says little about one that learns.
        near = np.exp(-0.5 * ((x[:, None, :2] - self.at) ** 2).sum(2) / _LOCAL**2)
        share = self.share + near @ self.vote
        share /= share.sum(1, keepdims=True)
        parts = [self._expert(e, x, steps) for e in range(len(_EXPERTS))]
        weight, path, scale = (
            np.concatenate(each, 1) for each in zip(*parts, strict=True)
        )
        return Mixture(
            warp=self.warp,
            worst=np.maximum(self.worst, z.max(1)),
            weight=weight * np.repeat(share, len(self.x), 1),
            path=path + z[:, -1, None, None],
            scale=scale,
        )

    def _standardize(self, features: Float[np.ndarray, "n p"]) -> np.ndarray:
        """No regression is to be extrapolated without bound."""
        return np.clip((features - self.center) / self.spread, -_FAR, _FAR)

    def _scores(
        self, scored: Int[np.ndarray, " n"], steps: Int[np.ndarray, " h"]
    ) -> Float[np.ndarray, "n h e"]:
        """Log density that each expert gives to finished curves it was not shown."""
        truth = self.rest[scored][:, steps]
        return np.stack(
            [
                _log_density(
                    truth, *self._expert(e, self.x[scored], steps, left_out=scored)
                )
                for e in range(len(_EXPERTS))
            ],
            2,
        )

    def _expert(
        self,
        expert: int,
        x: Float[np.ndarray, "n p"],
        steps: Int[np.ndarray, " h"],
        left_out: Int[np.ndarray, " n"] | None = None,
    ) -> tuple[
        Float[np.ndarray, "n k"],
        Float[np.ndarray, "n k h"],
        Float[np.ndarray, "n k h"],
    ]:
        """Weight, path and scale of one component for each finished curve.

        With `left_out` row i is the forecast of that finished curve by all the others.
        """
        ridge, k = self.ridges[expert], len(self.x)
        missed = ridge.missed[:, steps]
        weight = np.ones((len(x), k))
        if _EXPERTS[expert][1]:
            alike = np.exp(-0.5 * ((x[:, None, :2] - self.x[:, :2]) ** 2).sum(2))
            weight = alike + _BACKGROUND / k
        mean, leverage = ridge(x, steps)
        if left_out is not None:
            weight[np.arange(len(x)), left_out] = 0
            mean = self.rest[left_out][:, steps] - missed[left_out]
            leverage = ridge.leverage[left_out] / (1 - ridge.leverage[left_out])
        weight /= weight.sum(1, keepdims=True)
        size = 1 / (weight**2).sum(1)  # how many curves the weights are worth
        center, scale = _spread(missed, weight)
        # With very few curves their spread says little: add how far they move at all.
        scale += np.median(np.abs(self.rest[:, steps]), 0) / size[:, None, None] ** 2
        width = _BANDWIDTH * size[:, None, None] ** -0.2
        shrink = _NARROW / np.sqrt(1 + width**2)
        # A curve far from the others is forecast worse than they were.
        far = np.sqrt(1 + leverage)[:, None, None]
        near = np.sqrt(1 - ridge.leverage)[:, None]
        path = center + shrink * (far * near * missed - center)
        scale = width * far * scale + 1e-9 * self.warp.span
        return weight, mean[:, None] + path, scale


class _Ridge:
    """Regression of the rests of curves on their features, with leave-one-out errors.

        missed_i = (y_i - yhat_i) / (1 - leverage_i)

    The mean is free, the slopes are shrunk. Without features it is no regression at
    all: the last value stays.
    """

    def __init__(self, x: Float[np.ndarray, "k p"], y: Float[np.ndarray, "k h"]):
        k, p = x.shape
        self.free = 1 / k if p and k > 1 else 0.0
        self.gram = np.linalg.inv(x.T @ x + _RIDGE * np.eye(p))
        self.mean = y.mean(0) if self.free else np.zeros(y.shape[1])
        self.slope = self.gram @ (x.T @ (y - self.mean))
        fit, leverage = self(x)
        self.leverage = np.minimum(leverage, 0.95)
        self.missed = (y - fit) / (1 - self.leverage)[:, None]

    def __call__(
        self,
        x: Float[np.ndarray, "n q"],
        steps: Int[np.ndarray, " h"] | slice = np.s_[:],
    ) -> tuple[Float[np.ndarray, "n h"], Float[np.ndarray, " n"]]:
        x = x[:, : len(self.gram)]
        leverage = self.free + np.einsum("np,pq,nq->n", x, self.gram, x)
        return self.mean[steps] + x @ self.slope[:, steps], leverage


def _features(z: Float[np.ndarray, "n t"], t: int) -> Float[np.ndarray, "n 4"]:
    """Level, slope over the last quarter, noise of the last value, rise since early."""
    last = z[:, t - 1]
    before = max(t - 1 - max(1, t // 4), 0)
    recent = z[:, max(t - 3, 0) : t].mean(1)
    early = z[:, : (t + 1) // 2].mean(1)
    return np.stack([last, last - z[:, before], recent - last, last - early], 1)


def _spread(
    missed: Float[np.ndarray, "k h"], weight: Float[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, "n 1 h"], Float[np.ndarray, "n k h"]]:
    """Median at each step, and a spread about it: wider for what lies farther out."""
    center = _median(missed[None], weight)[:, None]
    off = np.abs(missed - center)
    return center, np.maximum(1.48 * _median(off, weight)[:, None], off)


def _median(
    values: Float[np.ndarray, "#n k h"], weight: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n h"]:
    """Weighted median over `k`; `values` may be the same for all rows."""
    order = np.argsort(values, 1)
    order = np.broadcast_to(order, (len(weight), *order.shape[1:]))
    total = np.cumsum(np.take_along_axis(weight[:, :, None], order, 1), 1)
    place = np.argmax(total >= 0.5 * total[:, -1:], 1)[:, None]
    values = np.broadcast_to(values, order.shape)
    found = np.take_along_axis(order, place, 1)
    return np.take_along_axis(values, found, 1)[:, 0]


def _t_below(x: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Distribution function of Student's t with 3 degrees of freedom."""
    x = x / np.sqrt(_DOF)
    return 0.5 + (np.arctan(x) + x / (1 + x**2)) / np.pi


@functools.cache
def _t_quantiles(s: int) -> Float[np.ndarray, " s"]:
    """Its quantiles in the middle of `s` strata."""
    return special.stdtrit(_DOF, (np.arange(s) + 0.5) / s)


def _log_density(
    y: Float[np.ndarray, "n h"],
    weight: Float[np.ndarray, "n m"],
    path: Float[np.ndarray, "n m h"],
    scale: Float[np.ndarray, "n m h"],
) -> Float[np.ndarray, "n h"]:
    """Of a mixture of such t's, at each step by itself."""
    off = (y[:, None] - path) / scale
    density = 2 / (np.pi * np.sqrt(_DOF)) / scale / (1 + off**2 / _DOF) ** 2
    return np.log(np.einsum("nm,nmh->nh", weight, density))


def _stack(
    scores: Float[np.ndarray, "n h e"], prior: Float[np.ndarray, " e"], each: float
) -> tuple[Float[np.ndarray, " e"], Float[np.ndarray, "n e"]]:
    """Weights of experts that maximize the mixture's score, and each curve's vote.

    A curve has one vote, whatever the number of its steps, and counts for `each`.
    """
    likelihood = np.exp(scores - scores.max(2, keepdims=True))
    share = prior / prior.sum()
    for _ in range(30):
        vote = likelihood * share
        vote = (vote / vote.sum(2, keepdims=True)).mean(1)
        share = each * vote.sum(0) + prior
        share /= share.sum()
    return share, vote
