"""What Bayesian optimization remembers of its two searches, and whose turn it is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from bojax._typing import PyTree

_MATERIAL = 1e-2
"""Fitted noise above this share of the variance of the values is evidence of noise."""


class Fit(eqx.Module):
    """What one fit leaves to the next.

    Args:
        parameters: of the last fits, from which the next start, one output after the
            other along the leading axis: objectives, then constraints.
        restart_at: the number of observations at which the next fit starts afresh.
        trusted: whether the covariances of the last posteriors could be factorized. If
            not, what was asked came from nowhere: the posterior is not a number.
    """

    parameters: PyTree
    restart_at: Int[Array, ""]
    trusted: Bool[Array, ""] = eqx.field(converter=jnp.asarray, default=True)

    @property
    def found_noise(self) -> Bool[Array, ""]:
        """Whether noise makes up over a hundredth of the variance of the values."""
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.parameters):
            if getattr(path[-1], "name", "") == "log_noise":
                share = jnp.mean(jnp.exp(leaf[0]))
                return (self.restart_at > 0) & (share > _MATERIAL)
        return jnp.asarray(False)


class Memory(eqx.Module):
    """What Bayesian optimization carries from one proposal to the next.

    Args:
        whole: the fit to all trials.
        anew: the fit of the search that began anew, to its own trials.
        first: the draw number with which that search began; -1 if there is none.
        gain: log of the improvement expected of the last proposal from all trials, in
            standard deviations of their values; 0 before there was one.
        gain_anew: the same of the search that began anew.
    """

    whole: Fit
    anew: Fit
    first: Int[Array, ""]
    gain: Float[Array, ""]
    gain_anew: Float[Array, ""]

    @property
    def trusted(self) -> Bool[Array, ""] | np.bool_:
        """Whether the covariances of both fits could be factorized."""
        return self.whole.trusted & self.anew.trusted


def turn_of(memory: Memory, numbers: Int[Array, "*n"], q: int) -> Bool[Array, "*n"]:
    """Which draws belong to the search that began anew: every second one, or batch."""
    later = (memory.first >= 0) & (numbers >= memory.first)
    return later & ((numbers - memory.first) // q % 2 == 0)


def select(which: Bool[Array, ""], a: PyTree, b: PyTree) -> PyTree:
    """One of two pytrees of the same shapes."""
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), a, b)
