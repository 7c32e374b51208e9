"""What the finished trainings of a study say about those that still run.

Lower is better, on any scale. A few simple experts forecast the rest of a curve: by its
last value, or by a ridge regression on its level, its slope and the like. To each is
added what it had missed on every finished curve when that one was left out, in the
units of the study, or in those of how fast a curve still moves. What was missed is a
whole path, so a forecast is a mixture of paths, and its steps hang together as those of
real curves do. What was missed on curves like this one counts for more, and so do
experts that did well on curves like this one. Where the finished curves fell in the
forecasts made without them says at last how wide a forecast has to be.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from bojax.curves.mixture import Mixture, Warp, t_below, t_density


class _Expert(NamedTuple):
    """How it forecasts: regressing on so many features, and in which units it errs."""

    features: int
    paced: bool = False


_EXPERTS = (_Expert(0), _Expert(1), _Expert(2), _Expert(4), _Expert(0, paced=True))
_RIDGE = 1.0  # pseudo-curves that show no effect of a standardized feature
_FAR = 10.0  # a standardized feature at most
_FASTER = 100.0  # times that one curve moves as fast as another, at most
_STILL = 1e-5  # of the span: a curve that moves less does not move
_BACKGROUND = 2.0  # curves' worth of weight that alike and unlike ones share
_BANDWIDTH = 1.0  # of the kernel for one curve, in robust standard deviations
_NARROW = 0.88  # a pool of calibrated forecasts is too wide
_LOCAL = 0.5  # distance, in standardized level and slope, within which experts compete
_SCORED = 128  # finished curves that experts are scored on, at most
_PARTS = 8  # of a forecast, from its middle to its ends
_UNIFORM = 1.0  # curves' worth of belief that forecasts are calibrated as they are


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
        Gneiting and Ranjan (2013), "Combining predictive distributions": a pool of
        calibrated forecasts is not calibrated; where truths fell in it mends that.
    """

    def __init__(self, finished: Float[np.ndarray, "k H"], t: int):
        self.t = t
        self.warp = Warp.of(finished)
        z = self.warp(finished)
        self.worst = z.max()
        self.rest = z[:, t:] - z[:, t - 1 : t]
        features = _features(z, t)
        self.center = features.mean(0)
        spread = 1.25 * np.abs(features - np.median(features, 0)).mean(0)
        self.spread = np.where(spread > 1e-9 * self.warp.span, spread, np.inf)
        self.curves = self._described(z)
        self.ridges = [
            _Ridge(self.curves.x[:, : expert.features], self.rest)
            for expert in _EXPERTS
        ]
        scored = np.linspace(0, len(z) - 1, min(len(z), _SCORED)).astype(int)
        self.at = self.curves.x[scored, :2]
        last = self.rest.shape[1] - 1
        self.calibration = np.ones(_PARTS)
        if len(z) < 2:  # nobody is left to leave out
            scores = np.zeros((1, 1, len(_EXPERTS)))
            self.share, self.vote = _stack(scores, 1.0)
            return
        scores, below = self._left_out(scored, np.unique([0, last // 2, last]))
        each = len(z) / len(scored)
        self.share, self.vote = _stack(scores, each)
        share = self._shares(self.at, alone=True)
        late = np.einsum("nhe,ne->nh", below, share)[:, -2:]
        counts = np.histogram(np.abs(2 * late - 1), _PARTS, (0, 1))[0]
        counts = each / late.shape[1] * counts
        self.calibration = (counts + _UNIFORM / _PARTS) / (len(z) + _UNIFORM) * _PARTS

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
        curves = self._described(z)
        parts = [self._expert(e, curves, steps) for e in range(len(_EXPERTS))]
        weight, path, scale = (
            np.concatenate(each, 1) for each in zip(*parts, strict=True)
        )
        weight *= np.repeat(self._shares(curves.x[:, :2]), len(self.rest), 1)
        return Mixture(
            warp=self.warp,
            worst=np.maximum(self.worst, z.max(1)),
            weight=self._calibrated(weight, path[:, :, -1]),
            path=path + z[:, -1, None, None],
            scale=scale,
        )

    def _described(self, z: Float[np.ndarray, "n t"]) -> "_Curves":
        # No regression is to be extrapolated without bound.
        x = np.clip((_features(z, self.t) - self.center) / self.spread, -_FAR, _FAR)
        return _Curves(x, _pace(z[:, : self.t]) + _STILL * self.warp.span)

    def _shares(
        self, at: Float[np.ndarray, "n 2"], alone: bool = False
    ) -> Float[np.ndarray, "n e"]:
        """Weights of the experts for curves there; `alone`, without their own votes.

        They compete anew near each curve: what is right for a training that is stuck
        says little about one that learns.
        """
        near = np.exp(-0.5 * ((at[:, None] - self.at) ** 2).sum(2) / _LOCAL**2)
        if alone:
            np.fill_diagonal(near, 0)
        share = self.share + near @ self.vote
        return share / share.sum(1, keepdims=True)

    def _left_out(
        self, scored: Int[np.ndarray, " n"], steps: Int[np.ndarray, " h"]
    ) -> tuple[Float[np.ndarray, "n h e"], Float[np.ndarray, "n h e"]]:
        """What experts say of finished curves that they were not shown.

        Returns:
            Log density of the truth, and probability of what is below it.
        """
        truth = self.rest[scored][:, steps]
        scores, below = [], []
        for e in range(len(_EXPERTS)):
            curves = _Curves(self.curves.x[scored], self.curves.pace[scored])
            weight, path, scale = self._expert(e, curves, steps, left_out=scored)
            off = (truth[:, None] - path) / scale
            density = np.einsum("nm,nmh->nh", weight, t_density(off) / scale)
            scores.append(np.log(density))
            below.append(np.einsum("nm,nmh->nh", weight, t_below(off)))
        return np.stack(scores, 2), np.stack(below, 2)

    def _expert(
        self,
        expert: int,
        curves: "_Curves",
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
        ridge, (x, pace) = self.ridges[expert], curves
        missed = ridge.missed[None, :, steps]
        moved = self.rest[None, :, steps]
        if _EXPERTS[expert].paced:
            faster = np.clip(pace[:, None] / self.curves.pace, 1 / _FASTER, _FASTER)
            missed, moved = faster[:, :, None] * missed, faster[:, :, None] * moved
        alike = np.exp(-0.5 * ((x[:, None, :2] - self.curves.x[:, :2]) ** 2).sum(2))
        weight = alike + _BACKGROUND / len(self.rest)
        mean, leverage = ridge(x, steps)
        if left_out is not None:
            weight[np.arange(len(x)), left_out] = 0
            mean = self.rest[left_out][:, steps] - ridge.missed[left_out][:, steps]
            leverage = ridge.leverage[left_out] / (1 - ridge.leverage[left_out])
        weight /= weight.sum(1, keepdims=True)
        size = 1 / (weight**2).sum(1)[:, None, None]  # curves the weights are worth
        center, scale = _spread(missed, weight)
        # With very few curves their spread says little: add how far they move at all.
        scale += np.median(np.abs(moved), 1)[:, None] / size**2
        width = _BANDWIDTH / np.sqrt(size)
        shrink = _NARROW / np.sqrt(1 + width**2)
        # A curve far from the others is forecast worse than they were.
        far = np.sqrt(1 + leverage)[:, None, None]
        near = np.sqrt(1 - ridge.leverage)[:, None]
        path = center + shrink * (far * near * missed - center)
        scale = width * far * scale + 1e-9 * self.warp.span
        return weight, mean[:, None] + path, scale

    def _calibrated(
        self, weight: Float[np.ndarray, "n m"], last: Float[np.ndarray, "n m"]
    ) -> Float[np.ndarray, "n m"]:
        """Weights such that truths fall as often into each part as they did."""
        order = np.argsort(last, 1)
        total = np.cumsum(np.take_along_axis(weight, order, 1), 1)
        middle = total - 0.5 * np.take_along_axis(weight, order, 1)
        part = (_PARTS * np.abs(2 * middle / total[:, -1:] - 1)).astype(int)
        factor = np.empty_like(weight)
        factor[np.arange(len(weight))[:, None], order] = self.calibration[
            np.minimum(part, _PARTS - 1)
        ]
        weight = weight * factor
        return weight / weight.sum(1, keepdims=True)


class _Curves(NamedTuple):
    """Standardized features `[n, 4]` of curves, and how fast each still moves `[n]`."""

    x: np.ndarray
    pace: np.ndarray


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


def _pace(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Mean absolute step over the last quarter."""
    t = z.shape[1]
    if t < 2:
        return np.zeros(len(z))
    return np.abs(np.diff(z[:, max(t - 1 - max(1, t // 4), 0) :], axis=1)).mean(1)


def _spread(
    missed: Float[np.ndarray, "#n k h"], weight: Float[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, "n 1 h"], Float[np.ndarray, "n k h"]]:
    """Median at each step, and a spread about it: wider for what lies farther out."""
    center = _median(missed, weight)[:, None]
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


def _stack(
    scores: Float[np.ndarray, "n h e"], each: float
) -> tuple[Float[np.ndarray, " e"], Float[np.ndarray, "n e"]]:
    """Weights of experts that maximize the mixture's score, and each curve's vote.

    A curve has one vote, whatever the number of its steps, and counts for `each`.
    Before there are any, the experts are equal.
    """
    likelihood = np.exp(scores - scores.max(2, keepdims=True))
    share = np.full(scores.shape[2], 1 / scores.shape[2])
    for _ in range(30):
        vote = likelihood * share
        vote = (vote / vote.sum(2, keepdims=True)).mean(1)
        share = each * vote.sum(0) + 1
        share /= share.sum()
    return share, vote
