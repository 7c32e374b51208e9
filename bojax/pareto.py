"""Several objectives at once, all minimized: dominance, fronts, hypervolume."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


def dominates(
    a: Float[Array, " m"], b: Float[Array, " m"]
) -> Bool[Array | np.ndarray, ""]:
    """Whether `a` is nowhere worse than `b`, and better somewhere.

    Example:
        >>> import jax.numpy as jnp
        >>> bool(dominates(jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0])))
        True
    """
    return jnp.all(a <= b) & jnp.any(a < b)


def non_dominated(y: Float[Array, "n m"], mask: Bool[Array, " n"]) -> Bool[Array, " n"]:
    """Which points of the mask no other point of it dominates.

    Example:
        >>> import jax.numpy as jnp
        >>> y = jnp.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
        >>> non_dominated(y, jnp.array([True, True, True, False])).tolist()
        [True, True, False, False]
    """
    beaten = jax.vmap(lambda b: jnp.any(jax.vmap(lambda a: dominates(a, b))(y) & mask))
    return mask & ~beaten(y)


def fronts(y: Float[Array, "n m"], mask: Bool[Array, " n"]) -> Int[Array, " n"]:
    """The front of each point: 0 where nothing dominates it, and so on; n outside mask.

    Example:
        >>> import jax.numpy as jnp
        >>> y = jnp.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
        >>> fronts(y, jnp.array([True, True, True, False])).tolist()
        [0, 0, 1, 4]

    References:
        Deb, Pratap, Agarwal and Meyarivan (2002), A fast and elitist multiobjective
        genetic algorithm: NSGA-II, section III A.
    """
    n = y.shape[0]
    beats = jax.vmap(lambda a: jax.vmap(lambda b: dominates(a, b))(y))(y)
    beats = beats & mask[:, None]

    def peel(carry: tuple) -> tuple:
        level, left, front = carry
        best = left & ~jnp.any(beats & left[:, None], axis=0)
        return level + 1, left & ~best, jnp.where(best, level, front)

    start = (jnp.int32(0), mask, jnp.full(n, n, jnp.int32))
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), peel, start)[2]


def crowding(y: Float[Array, "n m"], front: Int[Array, " n"]) -> Float[Array, " n"]:
    """How far the neighbors of each point in its front are apart: the ends' infinitely.

    The sum over objectives of the gap between the two neighbors, in units of the
    objective's range over all points of a front below n.

    References:
        Deb et al. (2002), section III B.
    """
    n, inside = y.shape[0], front < y.shape[0]
    span = jnp.max(jnp.where(inside[:, None], y, -jnp.inf), axis=0) - jnp.min(
        jnp.where(inside[:, None], y, jnp.inf), axis=0
    )
    span = jnp.where(span > 0, span, 1)

    def gaps(value: Float[Array, " n"], span: Float[Array, ""]) -> Float[Array, " n"]:
        order = jnp.lexsort((value, front))
        value, level = value[order], front[order]
        same = level[1:] == level[:-1]
        gap = jnp.where(same, value[1:] - value[:-1], jnp.inf) / span
        end = jnp.full(1, jnp.inf, gap.dtype)
        both = jnp.concatenate([end, gap]) + jnp.concatenate([gap, end])
        return jnp.zeros(n, y.dtype).at[order].set(both)

    return jnp.sum(jax.vmap(gaps, in_axes=(1, 0))(y, span), axis=0)


def reference_point(
    y: Float[Array, "n m"], mask: Bool[Array, " n"]
) -> Float[Array, " m"]:
    """A corner a little worse than the front: its nadir and a tenth of its range more.

    Where all of the front has one value of an objective, a tenth of the range of all
    points, or of the value itself.

    Args:
        y: points, minimized.
        mask: which rows count.

    Example:
        >>> import jax.numpy as jnp
        >>> y = jnp.array([[1.0, 2.0], [2.0, 1.0], [4.0, 4.0]])
        >>> [round(float(r), 6) for r in reference_point(y, jnp.ones(3, bool))]
        [2.1, 2.1]

    References:
        Ishibuchi, Imada, Setoguchi and Nojima (2018), How to specify a reference point
        in hypervolume calculation for fair performance comparison, for the tenth.
    """

    def span(mask: Bool[Array, " n"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        least = jnp.min(jnp.where(mask[:, None], y, jnp.inf), axis=0)
        most = jnp.max(jnp.where(mask[:, None], y, -jnp.inf), axis=0)
        return most, most - least

    nadir, of_front = span(non_dominated(y, mask))
    _, of_all = span(mask)
    tenth = 0.1 * jnp.where(of_front > 0, of_front, of_all)
    tenth = jnp.where(tenth > 0, tenth, 0.1 * jnp.maximum(jnp.abs(nadir), 1e-6))
    return jnp.where(jnp.any(mask), nadir + tenth, 1.0)


def hypervolume(
    y: Float[np.ndarray, "n m"], reference: Float[np.ndarray, " k"]
) -> float:
    """The volume that the points dominate below a reference point, exactly.

    By slices along the last objective: for fronts of a few hundred points in two
    objectives, a few dozen in four. On the host, in double precision.

    Args:
        y: points; rows with a NaN, and those not below the reference, add nothing.
        reference: the corner that no point of interest exceeds.

    Raises:
        ValueError: if the shapes do not go together, or the reference is not finite.

    Example:
        >>> import numpy as np
        >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0]))
        3.0

    References:
        While, Hingston, Barone and Huband (2006), A faster algorithm for calculating
        hypervolume, section II.
    """
    y, reference = np.asarray(y, float), np.asarray(reference, float)
    if y.ndim != 2 or reference.shape != y.shape[1:]:
        raise ValueError(
            f"reference: expected one number for each column of y {list(y.shape)}, "
            f"got shape {list(reference.shape)}"
        )
    if not np.all(np.isfinite(reference)):
        raise ValueError(f"reference: expected finite numbers, got {reference}")
    return float(_volume(y[np.all(y < reference, axis=1)], reference))


def _volume(y: np.ndarray, reference: np.ndarray) -> float:
    if not len(y):
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - y.min())
    y = y[np.argsort(y[:, -1])]
    upper = np.append(y[1:, -1], reference[-1])
    return sum(
        (top - low) * _volume(y[: i + 1, :-1], reference[:-1])
        for i, (low, top) in enumerate(zip(y[:, -1], upper, strict=True))
        if top > low
    )
