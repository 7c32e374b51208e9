"""Domhan, Springenberg and Hutter's fit as they had published it."""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from numpy.typing import ArrayLike

from bojax._precision import in_double
from bojax.curves.families import FAMILIES

_TOP = 100.0  # no curve may end above
_WEIGHT = 10.0  # of each family at the start
_BALL = 1e-6  # standard deviation of the walkers at the start
_FEWEST = 16  # steps in the smallest bucket of lengths
_THINNING = 10
_SIZES = tuple(len(family.parameters) for family in FAMILIES.values())
_SPLITS = tuple(np.cumsum(_SIZES).tolist())
_OWNERS = np.repeat(np.arange(len(_SIZES)), _SIZES)  # the family of each parameter


class Original(NamedTuple):
    """Where the chain of the original method went.

    Args:
        curves: draws of the curve without noise, at steps 1, 2, ... `[s, horizon]`.
        sigma: draws of the noise's standard deviation `[s]`.
        weights: draws of the families' weights, which sum to one `[s, f]`; zero for
            those dropped.
        families: names of the families.
        kept: which of them could be fitted `[f]`.
        starts: each family's curve fitted by least squares `[f, horizon]`, NaN for
            those dropped.
        components: draws of the families' parameters, all in a row `[s, p]`.
    """

    curves: np.ndarray
    sigma: np.ndarray
    weights: np.ndarray
    families: tuple[str, ...]
    kept: np.ndarray
    starts: np.ndarray
    components: np.ndarray


def original(
    y: ArrayLike,
    horizon: int,
    key: PRNGKeyArray | int,
    num_walkers: int = 100,
    num_steps: int = 2500,
    num_burnt: int = 500,
) -> Original:
    """The chain of Domhan, Springenberg and Hutter, at their settings.

        f(x) = sum_k w_k f_k(x) / sum_k w_k,   y(x) ~ N(f(x), sigma^2)

    on accuracies in [0, 1] that rise. Parameters of the 11 families and weights w >= 0
    have flat priors without end, sigma one on (0, 1), given for each family that
    f_k(2) <= f_k(horizon) and 0 <= f_k(horizon) <= 100. That makes 48 dimensions. All
    walkers start in a ball of 1e-6 around least-squares fits of each family, weighted
    alike; a family whose fit fails or is not feasible is dropped, and keeps no
    dimension.

    This posterior is improper. Only the weights' ratios enter the likelihood, so that
    the prior's mass along the ray of any ratios is infinite; and for pow3 with alpha to
    infinity the likelihood tends to a constant, which under a flat prior has infinite
    mass too. The chain has no distribution to converge to: results depend on its
    length. They depend on the start even more: in so many dimensions the ball grows to
    the width of the tightest direction, and there the stretch move stops to spread it,
    so that weights hardly leave where they began, in 20,000 steps too.
    `bojax.curves.models.domhan` has proper priors.

    Args:
        y: values `[t]` at steps 1, 2, ..., t; NaN where there is none.
        horizon: the last step.
        key: a JAX key or an integer.
        num_walkers: an even number of walkers; at least twice the dimensions.
        num_steps: steps of each walker, of which one in ten is kept.
        num_burnt: how many of these at the start are not.

    Raises:
        ValueError: if an argument is out of range, or no family could be fitted.

    References:
        Domhan, Springenberg and Hutter (2015), Speeding up automatic hyperparameter
        optimization of deep neural networks by extrapolation of learning curves;
        their code where it differs from the paper.
    """
    y = np.asarray(y, float)
    if y.ndim != 1 or np.isinf(y).any() or np.sum(~np.isnan(y)) < 2:
        raise ValueError(f"y: expected at least two finite values [t], got {y}")
    if horizon != int(horizon) or horizon < max(len(y), 2):
        raise ValueError(
            f"horizon: expected whole steps from {max(len(y), 2)} on, got {horizon!r}"
        )
    least = 2 * (len(_OWNERS) + len(_SIZES) + 1)
    if num_walkers % 2 or num_walkers < least:
        raise ValueError(
            f"num_walkers: expected an even number from {least} on, got {num_walkers!r}"
        )
    if not 0 <= num_burnt < num_steps - _THINNING:
        raise ValueError(
            f"num_burnt: expected less than {num_steps - _THINNING}, got {num_burnt!r}"
        )
    key = jax.random.key(int(key)) if isinstance(key, int | np.integer) else key
    horizon = int(horizon)
    seen = np.flatnonzero(~np.isnan(y))
    theta, kept = _least_squares(seen + 1.0, y[seen], float(horizon))
    if not kept.any():
        raise ValueError(
            "y: expected a curve that some family fits, got none that does"
        )
    whole = np.arange(1.0, horizon + 1)
    starts = np.where(kept[:, None], in_double(_families, theta, whole).numpy(), np.nan)
    residual = y[seen] - np.nanmean(starts[:, seen], 0)
    sigma = float(np.clip(residual.std(), 2 * _BALL, 1 - 2 * _BALL))
    center = np.concatenate([theta, np.where(kept, _WEIGHT, 0.0), [sigma]])
    moving = np.concatenate([kept[_OWNERS], kept, [True]])
    length = max(_FEWEST, 1 << (len(seen) - 1).bit_length())
    mask = np.arange(length) < len(seen)
    steps = np.pad(seen + 1.0, (0, length - len(seen)), mode="edge")
    values = np.pad(y[seen], (0, length - len(seen)))
    data = values, mask, steps, float(horizon), kept
    sizes = num_walkers, num_steps // _THINNING, num_burnt // _THINNING
    draws = in_double(_chain, center, moving, data, key, sizes).numpy()
    curves, weights = (each.numpy() for each in in_double(_curves, draws, kept, whole))
    components = draws[:, : len(_OWNERS)]
    names = tuple(FAMILIES)
    return Original(curves, draws[:, -1], weights, names, kept, starts, components)


def _families(theta, steps):
    """Each family's curve [f, t], all of their parameters in a row."""
    parts = jnp.split(theta, _SPLITS[:-1])
    families = zip(FAMILIES.values(), parts, strict=True)
    return jnp.stack([family.function(steps, *part) for family, part in families])


def _slopes(theta, steps):
    """What each curve changes by with each of its own parameters [t, p]."""
    jacobian = jax.jacfwd(_families)(theta, steps)
    return jacobian[_OWNERS, :, np.arange(len(_OWNERS))].T


def _least_squares(steps, y, horizon):
    """Parameters by least squares, and which families' fits are feasible."""
    from scipy.optimize import least_squares, minimize

    theta = np.concatenate([_start(family) for family in FAMILIES.values()])
    # Unobserved steps pad, for there is a compilation for each length.
    length = max(_FEWEST, 1 << (len(steps) - 1).bit_length())
    padded = np.pad(steps, (0, length - len(steps)), mode="edge")
    kept = np.zeros(len(_SIZES), bool)
    for number in range(len(_SIZES)):
        own = np.equal(_OWNERS, number)

        def at(part, own=own, theta=theta):
            moved = theta.copy()
            moved[own] = part
            return moved

        def residual(part, number=number, at=at):
            curves = in_double(_families, at(part), padded).numpy()
            return curves[number, : len(y)] - y

        def slope(part, own=own, at=at):
            return in_double(_slopes, at(part), padded).numpy()[: len(y), own]

        def loss(part, residual=residual):
            return float(np.sum(residual(part) ** 2))

        def loss_slope(part, residual=residual, slope=slope):
            return 2 * slope(part).T @ residual(part)

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = None
            try:
                fit = least_squares(
                    residual,
                    theta[own],
                    slope,  # pyright: ignore[reportArgumentType]
                    method="lm",
                    max_nfev=1000,
                )
                found = fit.x if fit.success else None
            except ValueError:  # fewer values than parameters, or no number
                pass
            if found is None:
                fit = minimize(loss, theta[own], jac=loss_slope, method="L-BFGS-B")
                found = fit.x if np.isfinite(fit.fun) else None
        if found is not None and np.isfinite(found).all():
            moved = theta.copy()
            moved[own] = found
            ends = in_double(_families, moved, np.array([2.0, horizon])).numpy()[number]
            kept[number] = ends[0] <= ends[1] and 0 <= ends[1] <= _TOP
            theta = moved if kept[number] else theta
    return theta, kept


def _start(family) -> np.ndarray:
    start = family.start
    if isinstance(start, dict):
        start = [start[name] for name in family.parameters]
    return np.asarray(start, float)


def _log_density(position, data):
    y, mask, steps, horizon, kept = data
    theta, weights, sigma = jnp.split(
        position, [len(_OWNERS), len(_OWNERS) + len(_SIZES)]
    )
    sigma = sigma[0]
    curves = _families(
        theta, jnp.concatenate([steps, jnp.stack([2.0 + 0 * horizon, horizon])])
    )
    first, last = curves[:, -2], curves[:, -1]
    # Comparisons with what is no number are false, and so such a curve is refused.
    fine = (first <= last) & (last >= 0) & (last <= _TOP)
    inside = jnp.all(fine | ~kept) & jnp.all(weights >= 0) & (sigma > 0) & (sigma < 1)
    mean = _mix(weights, kept, curves[:, :-2])
    white = jnp.where(mask, (y - mean) / sigma, 0.0)
    fit = -0.5 * jnp.sum(white**2) - jnp.sum(mask) * jnp.log(sigma)
    return jnp.where(inside & jnp.isfinite(fit), fit, -jnp.inf)


def _mix(weights, kept, curves):
    weights = jnp.where(kept, weights, 0.0)
    curves = jnp.where(kept[:, None], curves, 0.0)
    return weights @ curves / jnp.sum(weights)


def _chain(center, moving, data, key, sizes):
    """Goodman and Weare's stretch move of one half of the walkers, then of the other.

    What does not move is the same for all walkers, and so no stretch changes it.
    """
    num_walkers, num_kept, num_burnt = sizes
    half, dimensions = num_walkers // 2, jnp.sum(moving)
    log_density = jax.vmap(lambda position: _log_density(position, data))

    def stretch(key, active, other):
        walkers, density = active
        keys = jax.random.split(key, 3)
        # p(z) is proportional to 1 / sqrt(z) between 1/2 and 2.
        z = (jax.random.uniform(keys[0], (half,)) + 1) ** 2 / 2
        partners = other[jax.random.randint(keys[1], (half,), 0, half)]
        proposal = partners + z[:, None] * (walkers - partners)
        proposed = log_density(proposal)
        ratio = (dimensions - 1) * jnp.log(z) + proposed - density
        # A ratio of two walkers outside is no number, and is refused.
        accept = jnp.log(jax.random.uniform(keys[2], (half,))) < ratio
        walkers = jnp.where(accept[:, None], proposal, walkers)
        return walkers, jnp.where(accept, proposed, density)

    def step(number, state):
        key, first, second = state
        key, one, two = jax.random.split(key, 3)
        first = stretch(one, first, second[0])
        return key, first, stretch(two, second, first[0])

    def several(state, _):
        state = jax.lax.fori_loop(0, _THINNING, step, state)
        return state, jnp.concatenate([state[1][0], state[2][0]])

    key, ball = jax.random.split(key)
    noise = jax.random.normal(ball, (num_walkers, len(center)))
    walkers = center + _BALL * noise * moving
    density = log_density(walkers)
    state = key, (walkers[:half], density[:half]), (walkers[half:], density[half:])
    _, kept = jax.lax.scan(several, state, None, length=num_kept)
    return kept[num_burnt:].reshape(-1, len(center))


def _curves(draws, kept, steps):
    """Curves of draws on all steps, and their weights as shares."""

    def one(position):
        theta, weights, _ = jnp.split(
            position, [len(_OWNERS), len(_OWNERS) + len(_SIZES)]
        )
        shares = jnp.where(kept, weights, 0.0)
        return _mix(weights, kept, _families(theta, steps)), shares / jnp.sum(shares)

    return jax.lax.map(one, draws, batch_size=100)
