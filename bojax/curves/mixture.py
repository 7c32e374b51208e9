"""Forecasts that are mixtures of whole paths, on a scale where every value is finite.

Lower is better.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float
from scipy import special

DOF = 3.0
"""Degrees of freedom of each component: heavy tails, or winners would be given up."""


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
        each = t_below((z - self.path) / self.scale)
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


def t_below(x: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Distribution function of Student's t with 3 degrees of freedom."""
    x = x / np.sqrt(DOF)
    return 0.5 + (np.arctan(x) + x / (1 + x**2)) / np.pi


def t_density(x: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Its density."""
    return 2 / (np.pi * np.sqrt(DOF)) / (1 + x**2 / DOF) ** 2


@functools.cache
def _t_quantiles(s: int) -> Float[np.ndarray, " s"]:
    """Its quantiles in the middle of `s` strata."""
    return special.stdtrit(DOF, (np.arange(s) + 0.5) / s)
