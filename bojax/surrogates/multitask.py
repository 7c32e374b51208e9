"""Learning from earlier studies: tasks that vary together."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from bojax._numerics import cholesky, invert_factor
from bojax.data import Dataset
from bojax.space import Space
from bojax.surrogates.base import Surrogate
from bojax.surrogates.fit import maximum_a_posteriori
from bojax.surrogates.gp import GP, GPPosterior, searches
from bojax.surrogates.kernels import Composed, Kernel, gram
from bojax.surrogates.likelihood import (
    Parameters,
    joint,
    log_likelihood,
    standardization,
    standardized,
    warped,
    with_excess,
)
from bojax.surrogates.outcomes import yeo_johnson
from bojax.surrogates.priors import Priors, initial


class Coregionalized(Composed):
    """Covariance of point x of task t with point x' of task t'.

        (W W' + diag(0, kappa_1, ...))[t, t'] k(x, x') + kappa_0 [t = t' = 0] k'(x, x')

    What the target, task 0, has for itself has lengthscales of its own: a source that
    varies quickly need not make the target do so.

    Args:
        kernel: k, of what is shared.
        own: k', of what the target does not share.
        task_weight: W, one row a task.
        log_task_variance: log of kappa.

    References:
        Bonilla, Chai and Williams (2007), Multi-task Gaussian process prediction;
        Alvarez, Rosasco and Lawrence (2012), Kernels for vector-valued functions,
        section 4.2.
    """

    kernel: Kernel
    own: Kernel
    task_weight: Float[Array, "t r"]
    log_task_variance: Float[Array, " t"]

    def gram(
        self, x: Float[Array, "n e"], z: Float[Array, "m e"]
    ) -> Float[Array, "n m"]:
        """Of points whose last column is the task."""
        tasks = jnp.arange(self.task_weight.shape[0])
        # Products with zeros and ones, because to select is to scatter gradients.
        left = (jnp.round(x[:, -1:]) == tasks).astype(x.dtype)
        right = (jnp.round(z[:, -1:]) == tasks).astype(z.dtype)
        variance = jnp.exp(self.log_task_variance)
        shared = (left @ self.task_weight) @ (right @ self.task_weight).T
        shared = shared + (left[:, 1:] * variance[1:]) @ right[:, 1:].T
        apart = variance[0] * left[:, :1] @ right[:, :1].T
        x, z = x[:, :-1], z[:, :-1]
        return shared * gram(self.kernel, x, z) + apart * gram(self.own, x, z)


class Given(Composed):
    """A kernel of the first task, once those of the other tasks have been seen.

        k(x, z) - k(x, S) K^-1 k(S, z)

    Args:
        kernel: over points and tasks.
        points: what was seen of the other tasks, S.
        inverse_factor: of the covariance K = L L' of the values there, L^-1.
        seen: which rows of `points` are in use.
    """

    kernel: Coregionalized
    points: Float[Array, "s e"]
    inverse_factor: Float[Array, "s s"]
    seen: Bool[Array, " s"]

    def projected(self, x: Float[Array, "n d"]) -> Float[Array, "n s"]:
        """k(x, S) L^-T."""
        cross = gram(self.kernel, _of_task(x, 0), self.points)
        return jnp.where(self.seen, cross, 0) @ self.inverse_factor.T

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Covariances given what was seen of the other tasks."""
        prior = gram(self.kernel, _of_task(x, 0), _of_task(z, 0))
        return prior - self.projected(x) @ self.projected(z).T


class GivenMean(eqx.Module):
    """The mean of the first task, once those of the other tasks have been seen."""

    mean: Callable
    kernel: Given
    white: Float[Array, " s"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """m(x) + k(x, S) K^-1 (y - m(S))."""
        prior = self.mean(_of_task(x[None], 0)[0])
        return prior + self.kernel.projected(x[None])[0] @ self.white


class _TaskMean(eqx.Module):
    """A mean of the point and a constant of the task."""

    mean: Callable
    task_bias: Float[Array, " t"]

    def __call__(self, x: Float[Array, " e"]) -> Float[Array, ""]:
        tasks = jnp.round(x[-1]) == jnp.arange(self.task_bias.shape[0])
        return self.mean(x[:-1]) + jnp.sum(jnp.where(tasks, self.task_bias, 0))


class _SourceNoise(eqx.Module):
    """Noise of the sources beyond that of the target, and what depends on the point."""

    excess: Callable | None
    log_source_noise: Float[Array, " sources"]

    def __call__(self, x: Float[Array, " e"]) -> Float[Array, ""]:
        sources = 1 + jnp.arange(self.log_source_noise.shape[0])
        chosen = jnp.round(x[-1]) == sources
        variance = jnp.sum(jnp.where(chosen, jnp.exp(self.log_source_noise), 0))
        return variance if self.excess is None else variance + self.excess(x[:-1])


class _Warped(eqx.Module):
    """The point is warped, the task stays."""

    warping: Callable

    def __call__(self, x: Float[Array, " e"]) -> Float[Array, " e"]:
        return jnp.append(self.warping(x[:-1]), x[-1])


def _of_task(x: Float[Array, "n d"], task: int) -> Float[Array, "n e"]:
    return jnp.pad(x, ((0, 0), (0, 1)), constant_values=task)


class MultiTask(Surrogate):
    """A Gaussian process that learns from earlier studies, and how far to trust them.

    Values of each task are standardized, and their covariance is learned, see
    `Coregionalized`. Given the sources, what is left is a Gaussian process of the
    target alone: `condition` returns its posterior, as that of any `GP`.

    Args:
        gp: the prior that the tasks share.
        sources: data of earlier studies on the same space, see `source`.
        rank: of W.
        outcome: map of each source's values before they are modeled; by default the
            one that `BayesOpt` maps the target's with.

    Raises:
        ValueError: if there is no source, or one is of another number of columns.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> x = jnp.linspace(0, 1, 9)[:, None]
        >>> earlier = bojax.Dataset.of(x, (x[:, 0] - 0.4) ** 2)
        >>> model = MultiTask(gp, [earlier])
        >>> now = bojax.Dataset.of(x[:2], (x[:2, 0] - 0.5) ** 2)
        >>> mean = model.condition(now)(x).mean
        >>> bool(mean[4] < mean[0])
        True

    References:
        Swersky, Snoek and Adams (2013), Multi-task Bayesian optimization.
    """

    gp: GP
    sources: Dataset
    parameters: Parameters

    def __init__(
        self,
        gp: GP,
        sources: Sequence[Dataset],
        rank: int = 1,
        outcome: Callable = yeo_johnson,
    ):
        if not sources:
            raise ValueError("sources: expected at least one dataset, got none")
        d = gp.space.num_columns
        for i, each in enumerate(sources):
            if each.x.shape[1] != d:
                raise ValueError(
                    f"sources: expected {d} columns, got {each.x.shape[1]} in {i}"
                )
        if rank < 1:
            raise ValueError(f"rank: expected at least 1, got {rank}")
        tasks = len(sources) + 1
        rows = [_prepared(each, i + 1, outcome) for i, each in enumerate(sources)]
        weight = np.zeros((tasks, rank))
        weight[:, 0] = 1.0
        apart, shared = np.full(tasks, np.log(0.1)), gp.parameters
        kernel = shared.kernel
        bias = jnp.asarray(np.zeros(tasks))
        warping, excess = shared.warping, shared.excess
        self.gp = gp
        self.sources = jax.tree.map(lambda *parts: jnp.concatenate(parts), *rows)
        self.parameters = Parameters(
            Coregionalized(kernel, kernel, jnp.asarray(weight), jnp.asarray(apart)),
            _TaskMean(shared.mean, bias),
            shared.log_noise,
            None if warping is None else _Warped(warping),
            _SourceNoise(excess, jnp.asarray(np.full(len(sources), np.log(1e-3)))),
        )

    @property
    def space(self) -> Space:
        """Of every task: that of `gp`."""
        return self.gp.space

    @property
    def priors(self) -> Priors:
        """Of the hyperparameters, by leaf name: those of `gp`."""
        return self.gp.priors

    def replace(self, parameters: Parameters) -> "MultiTask":
        """The same model with other hyperparameters."""
        return eqx.tree_at(lambda model: model.parameters, self, parameters)

    def _all(self, data: Dataset) -> Dataset:
        """Standardized values of the target and the sources, one below the other."""
        target = standardized(data, *standardization(data.y, data.mask))
        target = eqx.tree_at(lambda d: d.x, target, _of_task(data.x, 0))
        join = lambda a, b: jnp.concatenate([a, b.astype(a.dtype)])
        return jax.tree.map(join, target, self.sources)

    @eqx.filter_jit
    def fit(
        self, data: Dataset, key: PRNGKeyArray, afresh: bool | Bool[Array, ""] = True
    ) -> "MultiTask":
        """Hyperparameters of greatest posterior density given all tasks.

        A search afresh starts once more where the target has nothing in common with the
        sources: a source that misleads is a local optimum that others do not leave.
        """
        present, everything = _cast(self.parameters, data.y.dtype), self._all(data)
        search = functools.partial(
            maximum_a_posteriori, priors=self.priors, data=everything, key=key
        )
        options = searches(afresh)
        found, report = search(present, **options)
        again = {**options, "num_starts": jnp.where(afresh, 1, 0)}
        apart, other = search(self._apart(data.y.dtype), **again)
        better = other.log_density > report.log_density
        choose = lambda a, b: jnp.where(better, a, b)
        return self.replace(jax.tree.map(choose, apart, found))

    def _apart(self, dtype: Any) -> Parameters:
        """Where a fit starts, of a target that shares nothing."""
        start = _cast(initial(self.parameters, self.priors), dtype)
        weight = start.kernel.task_weight.at[0].set(0.0)
        return eqx.tree_at(lambda p: p.kernel.task_weight, start, weight)

    @eqx.filter_jit
    def log_likelihood(self, data: Dataset) -> Float[Array, ""]:
        """Log marginal likelihood of the standardized values of all tasks."""
        return log_likelihood(_cast(self.parameters, data.y.dtype), self._all(data))

    @eqx.filter_jit
    def condition(
        self, data: Dataset, pending: Bool[Array, " n"] | None = None
    ) -> GPPosterior:
        """The posterior of the target under the present hyperparameters."""
        parameters = _cast(self.parameters, data.y.dtype)
        sources = with_excess(parameters, _cast(self.sources, data.y.dtype))
        residual, covariance = joint(parameters, sources)
        inverse_factor = invert_factor(cholesky(covariance))
        points = warped(parameters, sources.x)
        kernel = Given(parameters.kernel, points, inverse_factor, sources.mask)
        warping = parameters.warping
        target = Parameters(
            kernel,
            GivenMean(parameters.mean, kernel, inverse_factor @ residual),
            parameters.log_noise,
            None if warping is None else warping.warping,
            parameters.excess.excess,
        )
        return self.gp.replace(target).condition(data, pending)


def _cast(tree, dtype):
    inexact = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.inexact)
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype) if inexact(leaf) else leaf, tree
    )


@eqx.filter_jit
def _prepared(data: Dataset, task: int, outcome: Callable) -> Dataset:
    """A source's rows, mapped and standardized, with the task as their last column."""
    y, variance = outcome(data.y, data.variance, data.mask)
    y = jnp.where(data.mask, y, 0)
    data = Dataset(_of_task(data.x, task), y, data.mask, variance)
    return standardized(data, *standardization(y, data.mask))


def source(space: Space, trials: Any, direction: str = "minimize") -> Dataset:
    """An earlier study's trials as data for `MultiTask`.

    Args:
        space: the space of the new study, which every configuration must lie in.
        trials: objects with a `config` and a `value`, such as the `trials` of a
            `Study` or of a `Result`. Failed ones are left out.
        direction: "maximize" where the values are better the larger they are.

    Raises:
        ValueError: if fewer than two succeeded, or a configuration is not in the space.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(-1, 1)})
        >>> strategy = bojax.strategies.Sobol(space)
        >>> result = bojax.minimize(
        ...     lambda c: c["a"] ** 2, space, 8, strategy=strategy, progress=False
        ... )
        >>> source(space, result.trials).x.shape
        (8, 1)
    """
    if direction not in ("minimize", "maximize"):
        raise ValueError(
            f"direction: expected 'minimize' or 'maximize', got {direction!r}"
        )
    sign = 1.0 if direction == "minimize" else -1.0
    told = [t for t in trials if t.value is not None and np.isfinite(t.value)]
    if len(told) < 2:
        raise ValueError(f"trials: expected at least 2 that succeeded, got {len(told)}")
    x = np.stack([space.encode(trial.config) for trial in told])
    y = np.array([sign * trial.value for trial in told])
    return Dataset.of(jnp.asarray(x), jnp.asarray(y))
