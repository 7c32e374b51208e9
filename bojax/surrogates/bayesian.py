"""Fully Bayesian surrogates: hyperparameters are sampled, not maximized."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from bojax._typing import PyTree
from bojax.data import Dataset
from bojax.space import Space
from bojax.surrogates import priors as hyperpriors
from bojax.surrogates.base import Surrogate
from bojax.surrogates.gp import GP
from bojax.surrogates.kernels import Scale, Sparse
from bojax.surrogates.mixture import Mixture
from bojax.surrogates.multitask import MultiTask
from bojax.surrogates.priors import by_leaf

_EDGE = 1e-3
"""A chain starts no nearer to a bound than this share of the interval."""


class Chain(eqx.Module):
    """Hyperparameter samples, and what the next chain may go on from.

    Args:
        samples: hyperparameters, with a leading axis of samples.
        inverse_mass: estimated covariance of the unbounded hyperparameters.
        step_size: of the leapfrog integrator.
    """

    samples: PyTree
    inverse_mass: Float[Array, "p p"]
    step_size: Float[Array, ""]


class Bayesian(Surrogate):
    """A surrogate whose hyperparameters are sampled from their posterior by NUTS.

        theta_s ~ p(theta | y),  p(f | y) = mean_s p(f | y, theta_s)

    The priors are those of the surrogate. A bounded hyperparameter is sampled as the
    logit of its place between its bounds.

    Args:
        surrogate: a `GP` with any kernel, or a `MultiTask`.
        num_warmup: iterations that adapt the step size and the dense mass matrix. A fit
            that goes on from the last one, `afresh=False`, keeps that one's matrix and
            adapts the step size alone, in the last tenth of them or fifty.
        num_samples: iterations after those.
        thinning: of so many iterations one is kept.
        max_tree_depth: at most two to this power evaluations an iteration.

    Raises:
        TypeError: if the surrogate is another one.
        ValueError: if a count is out of range.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> data = bojax.Dataset.of(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> bayesian = Bayesian(gp, num_warmup=16, num_samples=8, thinning=2)
        >>> len(bayesian.fit(data, jax.random.key(0)).condition(data))
        4

    References:
        Hoffman and Gelman (2014), The no-U-turn sampler; Snoek, Larochelle and Adams
        (2012), Practical Bayesian optimization, section 3.2, for the averaging.
    """

    surrogate: GP | MultiTask
    parameters: Chain
    num_warmup: int = eqx.field(static=True)
    num_samples: int = eqx.field(static=True)
    thinning: int = eqx.field(static=True)
    max_tree_depth: int = eqx.field(static=True)

    def __init__(
        self,
        surrogate: GP | MultiTask,
        num_warmup: int = 512,
        num_samples: int = 256,
        thinning: int = 16,
        max_tree_depth: int = 6,
    ):
        if not isinstance(surrogate, GP | MultiTask):
            raise TypeError(
                f"surrogate: expected a GP or a MultiTask, got {surrogate!r}"
            )
        for name, count, least in (
            ("num_warmup", num_warmup, 1),
            ("num_samples", num_samples, 1),
            ("thinning", thinning, 1),
            ("max_tree_depth", max_tree_depth, 1),
        ):
            if count < least:
                raise ValueError(f"{name}: expected at least {least}, got {count}")
        if num_samples % thinning:
            raise ValueError(
                f"num_samples: expected a multiple of thinning={thinning}, "
                f"got {num_samples}"
            )
        self.surrogate = surrogate
        self.num_warmup, self.num_samples = num_warmup, num_samples
        self.thinning, self.max_tree_depth = thinning, max_tree_depth
        count = num_samples // thinning
        # NumPy makes them: each array made by JAX would be a small compilation.
        repeat = lambda leaf: np.broadcast_to(np.asarray(leaf), (count, *leaf.shape))
        self.parameters = Chain(
            jax.tree.map(lambda leaf: jnp.asarray(repeat(leaf)), surrogate.parameters),
            jnp.asarray(np.eye(self._free.size)),
            jnp.asarray(np.ones(())),
        )

    def replace(self, parameters: Chain) -> "Bayesian":
        """The same model with other samples."""
        return eqx.tree_at(lambda model: model.parameters, self, parameters)

    @property
    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = by_leaf(self.surrogate.parameters, self.surrogate.priors)
        lower = [np.full(leaf.size, prior.lower) for leaf, prior in pairs]
        upper = [np.full(leaf.size, prior.upper) for leaf, prior in pairs]
        return np.concatenate(lower), np.concatenate(upper)

    @property
    def _free(self) -> np.ndarray:
        """Which hyperparameters have room between their bounds."""
        lower, upper = self._box
        return np.flatnonzero(lower < upper)

    @eqx.filter_jit
    def fit(
        self, data: Dataset, key: PRNGKeyArray, afresh: bool | Bool[Array, ""] = True
    ) -> "Bayesian":
        """Samples of the hyperparameters; the chain goes on from the last sample.

        Args:
            data: observations; failed ones must have been left out or replaced.
            key: of the chain.
            afresh: whether to adapt the mass matrix, or to keep that of the last fit.
        """
        dtype = jnp.result_type(float)
        cast = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree)
        chain = cast(self.parameters)
        exact = Dataset(cast(data.x), cast(data.y), data.mask, cast(data.variance))
        lower, upper = (jnp.asarray(bound, dtype) for bound in self._box)
        free, span = self._free, upper - lower
        last, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[-1], chain.samples))

        def hyperparameters(z):
            inside = lower[free] + span[free] * jax.nn.sigmoid(z)
            every = inside if free.size == lower.size else lower.at[free].set(inside)
            return unravel(every)

        def potential(z):
            parameters = hyperparameters(z)
            log_prior = sum(
                jnp.sum(prior.log_density(leaf) + prior.log_jacobian(leaf))
                for leaf, prior in by_leaf(parameters, self.surrogate.priors)
            )
            slope = jnp.sum(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))
            model = self.surrogate.replace(parameters)
            return -(model.log_likelihood(exact) + log_prior + slope)

        share = (last - lower)[free] / span[free]
        share = jnp.clip(jnp.where(jnp.isfinite(share), share, 0.5), _EDGE, 1 - _EDGE)
        start = jnp.log(share) - jnp.log1p(-share)
        z, inverse_mass, step_size = self._nuts(potential, start, chain, key, afresh)
        samples = jax.vmap(hyperparameters)(z)
        chain = Chain(samples, inverse_mass, step_size)
        chain = jax.tree.map(lambda leaf: leaf.astype(data.y.dtype), chain)
        return self.replace(chain)

    def _nuts(self, potential, start, chain, key, afresh):
        """Unbounded samples, and what the chain was adapted to."""
        from numpyro.infer.hmc import hmc
        from numpyro.infer.hmc_util import build_adaptation_schedule

        initialize, advance = hmc(potential)
        state = initialize(
            start,
            self.num_warmup,
            step_size=jnp.where(afresh, 1.0, chain.step_size),  # pyright: ignore
            inverse_mass_matrix=jnp.where(
                afresh, jnp.eye(start.size, dtype=start.dtype), chain.inverse_mass
            ),
            dense_mass=True,
            max_tree_depth=self.max_tree_depth,
            rng_key=key,
        )
        # Within the last window of its schedule, warm-up adapts the step size alone.
        windows = build_adaptation_schedule(self.num_warmup)
        first = jnp.where(afresh, 0, windows[-1].start).astype(state.i.dtype)
        window = state.adapt_state.window_idx
        window = jnp.where(afresh, 0, len(windows) - 1).astype(window.dtype)
        adapted = state.adapt_state._replace(window_idx=window)
        state = state._replace(i=first, adapt_state=adapted)

        forward = lambda _, state: advance(state)
        state = jax.lax.fori_loop(first, self.num_warmup, forward, state)

        def keep(state, _):
            state = jax.lax.fori_loop(0, self.thinning, forward, state)
            return state, state.z

        count = self.num_samples // self.thinning
        state, z = jax.lax.scan(keep, state, None, count)
        return z, state.adapt_state.inverse_mass_matrix, state.adapt_state.step_size

    @eqx.filter_jit
    def condition(
        self, data: Dataset, pending: Bool[Array, " n"] | None = None
    ) -> Mixture:
        """The mixture of the posteriors under each sample."""
        condition = lambda p: self.surrogate.replace(p).condition(data, pending)
        return Mixture(jax.vmap(condition)(self.parameters.samples))


def saas(
    space: Space, num_warmup: int = 512, num_samples: int = 256, thinning: int = 16
) -> Bayesian:
    """The fully Bayesian Gaussian process of sparse axis-aligned subspaces.

    For many columns of which few matter, see `kernels.Sparse`.

    Args:
        space: the space whose unit cube the data lies on.
        num_warmup: see `Bayesian`.
        num_samples: see `Bayesian`.
        thinning: see `Bayesian`.

    Example:
        >>> import bojax
        >>> space = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(100)})
        >>> strategy = bojax.strategies.BayesOpt(space, bojax.surrogates.saas(space))

    References:
        Eriksson and Jankowiak (2021), High-dimensional Bayesian optimization with
        sparse axis-aligned subspaces.
    """
    kernel = Scale(jnp.asarray(np.zeros(())), Sparse.of(space))
    gp = GP(space, kernel, priors=hyperpriors.saas(space.num_columns))
    return Bayesian(gp, num_warmup, num_samples, thinning)
