"""The surrogate that explains the data best, of several."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from bojax._typing import PyTree
from bojax.data import Dataset
from bojax.space import Space
from bojax.surrogates.base import Surrogate
from bojax.surrogates.bayesian import Bayesian
from bojax.surrogates.features import features
from bojax.surrogates.gp import GPPosterior
from bojax.surrogates.kernels import Composed, Kernel, gram
from bojax.surrogates.likelihood import Parameters


def evidence(posterior: GPPosterior) -> Float[Array, ""]:
    """Log marginal likelihood of the observed values, standardized.

    log p(y | theta) = -1/2 |L^-1 r|^2 - log |L| - n/2 log 2 pi

    At hyperparameters that were learned, theirs is evidence of the second kind. With
    pending points believed, the posterior's `observed` is what counts.

    References:
        Rasmussen and Williams (2006), equation 5.8.
    """
    mask = posterior.data.mask
    inside = jnp.where(mask, jnp.diagonal(posterior.inverse_factor), 1)
    white = jnp.where(mask, posterior.white, 0)
    constant = 0.5 * math.log(2 * math.pi) * jnp.sum(mask)
    return -0.5 * white @ white + jnp.sum(jnp.log(inside)) - constant


def leave_one_out(posterior: GPPosterior) -> Float[Array, ""]:
    """Sum of the log densities of each observed value given all the others.

    References:
        Rasmussen and Williams (2006), equation 5.11.
    """
    mean, _ = posterior.leave_one_out()
    mask = posterior.data.mask
    # Standardized, for the square of a scale may overflow.
    precision = jnp.where(mask, jnp.sum(posterior.inverse_factor**2, axis=0), 1)
    z = jnp.where(mask, posterior.data.y - mean, 0) / posterior.scale
    density = -0.5 * (z**2 * precision - jnp.log(precision / (2 * math.pi)))
    return jnp.sum(jnp.where(mask, density, 0))


def _switch(index: Int[Array, ""], branches: list[Callable]) -> Array:
    """What the branch of this number returns, in the precision of all of them."""
    dtype = jnp.result_type(*(jax.eval_shape(branch).dtype for branch in branches))
    cast = [lambda branch=branch: branch().astype(dtype) for branch in branches]
    return jax.lax.switch(index, cast)


class ChosenKernel(Composed):
    """One of several kernels, by its number."""

    kernels: tuple[Kernel, ...]
    index: Int[Array, ""]

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """That of the chosen kernel."""
        return _switch(self.index, [lambda k=k: gram(k, x, z) for k in self.kernels])


@features.register
def _(kernel: ChosenKernel, key, count):
    waves = tuple(features(each, key, count) for each in kernel.kernels)
    return Partial(functools.partial(_chosen, count), waves, kernel.index)


def _chosen(count: int, waves: tuple[Callable, ...], index, x: Float[Array, " d"]):
    def wave(each):
        return jnp.stack([jnp.broadcast_to(part, count) for part in each(x)])

    amplitude, phase = _switch(index, [lambda w=w: wave(w) for w in waves])
    return amplitude, phase


class Chosen(eqx.Module):
    """One of several functions of a point, by its number; `default` for None."""

    functions: tuple[Callable | None, ...]
    index: Int[Array, ""]
    default: Callable = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"]) -> Array:
        """That of the chosen function."""
        functions = [self.default if f is None else f for f in self.functions]
        return _switch(self.index, [lambda f=f: f(x) for f in functions])


def _identity(x):
    return x


def _zero(x):
    return jnp.zeros((), x.dtype)


class Fits(eqx.Module):
    """Hyperparameters of each candidate, and how well each explains the data."""

    each: tuple[PyTree, ...]
    scores: Float[Array, " m"]


class Best(Surrogate):
    """Of several surrogates the one that explains the data best, chosen at each fit.

    All are fitted. The posterior is the `GPPosterior` of the best, so that any
    acquisition accepts it and the choice needs no compilation.

    Args:
        surrogates: candidates whose posterior is a `GPPosterior`: `GP` with any kernel,
            mean or noise, `MultiTask`.
        by: "evidence", the log marginal likelihood at the fitted hyperparameters, or
            "leave-one-out", the log density of each value given the others.

    Raises:
        TypeError: if a candidate is `Bayesian`, whose posterior is a `Mixture`.
        ValueError: if there is no candidate, they are of several spaces, or `by` is
            neither.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> space = bojax.Space({"a": bojax.Float(0, 1)})
        >>> GP = bojax.surrogates.GP
        >>> best = Best([GP(space), GP(space, mean="linear")])
        >>> x = jnp.linspace(0, 1, 5)[:, None]
        >>> data = bojax.Dataset.of(x, jnp.sin(3 * x[:, 0]))
        >>> best.fit(data, jax.random.key(0)).condition(data)(x).mean.shape
        (5,)
    """

    surrogates: tuple[Surrogate, ...]
    by: str = eqx.field(static=True)
    parameters: Fits

    def __init__(
        self,
        surrogates: Sequence[Surrogate],
        by: Literal["evidence", "leave-one-out"] = "evidence",
    ):
        if not surrogates:
            raise ValueError("surrogates: expected at least one, got none")
        _check_alike(surrogates)
        if by not in _SCORES:
            raise ValueError(f"by: expected one of {', '.join(_SCORES)}, got {by!r}")
        self.surrogates, self.by = tuple(surrogates), by
        scores = jnp.asarray(np.zeros(len(self.surrogates)))
        self.parameters = Fits(tuple(s.parameters for s in self.surrogates), scores)

    @property
    def index(self) -> Int[Array, ""]:
        """Which of the candidates was chosen."""
        scores = self.parameters.scores
        return jnp.argmax(jnp.where(jnp.isnan(scores), -jnp.inf, scores))

    def replace(self, parameters: Fits) -> "Best":
        """The same candidates with other hyperparameters and scores."""
        return eqx.tree_at(lambda model: model.parameters, self, parameters)

    def _each(self) -> list[Surrogate]:
        pairs = zip(self.surrogates, self.parameters.each, strict=True)
        return [surrogate.replace(parameters) for surrogate, parameters in pairs]

    @eqx.filter_jit
    def fit(
        self, data: Dataset, key: PRNGKeyArray, afresh: bool | Bool[Array, ""] = True
    ) -> "Best":
        """Every candidate fitted and scored."""
        each = [surrogate.fit(data, key, afresh) for surrogate in self._each()]
        posteriors = [_checked(surrogate.condition(data)) for surrogate in each]
        scores = jnp.stack([_SCORES[self.by](posterior) for posterior in posteriors])
        parameters = tuple(surrogate.parameters for surrogate in each)
        return self.replace(Fits(parameters, scores))

    @eqx.filter_jit
    def condition(
        self, data: Dataset, pending: Bool[Array, " n"] | None = None
    ) -> GPPosterior:
        """The posterior of the chosen candidate."""
        each = [_checked(s.condition(data, pending)) for s in self._each()]
        index, parameters = self.index, [p.parameters for p in each]

        def chosen(name: str, default: Callable) -> Chosen | None:
            functions = tuple(getattr(p, name) for p in parameters)
            if all(function is None for function in functions):
                return None
            return Chosen(functions, index, default)

        def select(*leaves):
            return jnp.stack(leaves)[index]

        rest = [
            eqx.tree_at(lambda p: p.parameters, p, p.parameters.log_noise) for p in each
        ]
        best = jax.tree.map(select, *rest)
        kernel = ChosenKernel(tuple(p.kernel for p in parameters), index)
        merged = Parameters(
            kernel,
            chosen("mean", _zero),  # pyright: ignore[reportArgumentType]
            best.parameters,
            chosen("warping", _identity),
            chosen("excess", _zero),
        )
        return eqx.tree_at(lambda p: p.parameters, best, merged)


_SCORES = {"evidence": evidence, "leave-one-out": leave_one_out}


def _check_alike(surrogates: Sequence[Surrogate]) -> None:
    if any(isinstance(surrogate, Bayesian) for surrogate in surrogates):
        raise TypeError(
            "surrogates: expected such as have a GPPosterior, got a Bayesian"
        )
    # Not every surrogate says what its space is.
    spaces = [getattr(surrogate, "space", None) for surrogate in surrogates]
    spaces = [space for space in spaces if isinstance(space, Space)]
    for space in spaces[1:]:
        if space.columns != spaces[0].columns:
            raise ValueError(
                f"surrogates: expected all of one space, got {spaces[0]!r} and "
                f"{space!r}"
            )


def _checked(posterior) -> GPPosterior:
    if not isinstance(posterior, GPPosterior):
        raise TypeError(
            "surrogates: expected such as have a GPPosterior, "
            f"got one with a {type(posterior).__name__}"
        )
    return posterior
