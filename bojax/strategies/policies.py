"""Policies over a space: a distribution for each decision, given those before it."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax._typing import PyTree
from bojax.space import Space


class Policy(eqx.Module):
    """How the choices of a space's columns depend on parameters and on one another.

    A column of up to `resolution` levels, or of categories, is a choice among these;
    any other is a choice among `resolution` equal bins, uniform within each.
    """

    space: eqx.AbstractVar[Space]
    resolution: eqx.AbstractVar[int]

    def __check_init__(self):
        if self.resolution < 1:
            raise ValueError(f"resolution: expected at least 1, got {self.resolution}")

    @abc.abstractmethod
    def init(self) -> PyTree:
        """Parameters under which every choice is equally likely."""

    @abc.abstractmethod
    def logits(self, parameters: PyTree, x: Float[Array, " d"]) -> Float[Array, "d k"]:
        """Unnormalized log probabilities of each column's choices.

        Args:
            parameters: as `init` makes them.
            x: the point; a column's logits depend on those before it in `space.order`.
        """

    def log_probability(
        self, parameters: PyTree, x: Float[Array, " d"]
    ) -> Float[Array, ""]:
        """Of the choices at a point; of those columns that exist there."""
        logits = jnp.where(self._mask(), self.logits(parameters, x), -jnp.inf)
        each = jax.nn.log_softmax(logits, axis=1)
        chosen = jnp.take_along_axis(each, self.choices(x)[:, None], axis=1)[:, 0]
        return jnp.sum(jnp.where(self.space.active(x), chosen, 0))

    def sample(self, parameters: PyTree, key: PRNGKeyArray) -> Float[Array, " d"]:
        """A point: column after column, parents first."""
        key_choice, key_within = jax.random.split(key)
        d = self.space.num_columns
        within = jax.random.uniform(key_within, (d,))
        centers, exact = self._centers(), self._is_exact()
        order = jnp.asarray(np.array(self.space.order))
        mask = jnp.asarray(self._mask())

        def step(i: Int[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
            j = order[i]
            logits = jnp.where(mask[j], self.logits(parameters, x)[j], -jnp.inf)
            k = jax.random.categorical(jax.random.fold_in(key_choice, j), logits)
            count = jnp.asarray(self._counts(), x.dtype)[j]
            value = jnp.asarray(centers, x.dtype)[j, k]
            binned = (k + within[j]) / count
            return x.at[j].set(jnp.where(jnp.asarray(exact)[j], value, binned))

        x = jax.lax.fori_loop(0, d, step, jnp.full(d, 0.5, within.dtype))
        return self.space.project(x)

    def choices(self, x: Float[Array, " d"]) -> Int[Array, " d"]:
        """Which choice of each column a point has made."""
        distance = jnp.abs(jnp.asarray(self._centers(), x.dtype) - x[:, None])
        return jnp.argmin(jnp.where(self._mask(), distance, jnp.inf), axis=1)

    def _is_exact(self) -> np.ndarray:
        levels = self.space.num_levels
        few = (levels > 0) & (levels <= self.resolution)
        return few | self.space.is_categorical

    def _counts(self) -> np.ndarray:
        return np.where(self._is_exact(), self.space.num_levels, self.resolution)

    def _mask(self) -> np.ndarray:
        counts = self._counts()
        return np.arange(counts.max()) < counts[:, None]

    def _centers(self) -> np.ndarray:
        centers = np.full(self._mask().shape, 2.0)
        for j, count in enumerate(self._counts()):
            levels = self.space.levels[j] if self._is_exact()[j] else None
            even = (np.arange(count) + 0.5) / count
            centers[j, :count] = even if levels is None else levels
        return centers


class Independent(Policy):
    """One softmax a column, whatever the others are.

    Args:
        space: what to search.
        resolution: choices of a column without few levels.

    Raises:
        ValueError: if `resolution` is not positive.

    Example:
        >>> import bojax, jax.numpy as jnp
        >>> policy = Independent(bojax.Space({"kind": bojax.Categorical("p", "q")}))
        >>> x = jnp.array([0.25])
        >>> round(float(jnp.exp(policy.log_probability(policy.init(), x))), 6)
        0.5
    """

    space: Space
    resolution: int = eqx.field(static=True, default=8)

    def init(self) -> Float[Array, "d k"]:
        """Zeros."""
        return jnp.zeros(self._mask().shape)

    def logits(
        self, parameters: Float[Array, "d k"], x: Float[Array, " d"]
    ) -> Float[Array, "d k"]:
        """The parameters themselves."""
        return parameters


class Recurrent(Policy):
    """A gated recurrent network that reads the choices made so far, parents first.

    Columns that do not exist are read as such. The layer that gives logits is zero at
    first, so that every choice is equally likely.

    Args:
        space: what to search.
        resolution: choices of a column without few levels.
        width: of the network's state.

    Raises:
        ValueError: if `resolution` or `width` is not positive.

    References:
        Zoph and Le (2017), Neural architecture search with reinforcement learning,
        section 3.
    """

    space: Space
    resolution: int = eqx.field(static=True, default=8)
    width: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        if self.width < 1:
            raise ValueError(f"width: expected at least 1, got {self.width}")

    def _cell(self) -> Any:
        from flax import nnx

        return nnx.GRUCell(
            self.width,
            self.width,
            param_dtype=jnp.zeros(()).dtype,
            rngs=nnx.Rngs(0),
        )

    def init(self) -> dict[str, PyTree]:
        """The network's parameters, from a fixed seed, and zeros for its output."""
        from flax import nnx

        d, k = self._mask().shape
        cell = nnx.to_pure_dict(nnx.state(self._cell()))
        # One row for each choice of each column, one where it is absent, and the start.
        embedding = jax.random.normal(jax.random.key(1), (d * (k + 1) + 1, self.width))
        parameters = {
            "cell": cell,
            "embedding": embedding,
            "output": jnp.zeros((d, self.width, k)),
        }
        dtype = jnp.zeros(()).dtype
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parameters)

    def logits(
        self, parameters: dict[str, PyTree], x: Float[Array, " d"]
    ) -> Float[Array, "d k"]:
        """The network's outputs while it reads the point."""
        from flax import nnx

        definition, state = nnx.split(nnx.eval_shape(self._cell))
        nnx.replace_by_pure_dict(state, parameters["cell"])
        cell = nnx.merge(definition, state)
        d, k = self._mask().shape
        order = np.array(self.space.order)
        token = jnp.where(self.space.active(x), self.choices(x), k)
        token = (token + (k + 1) * jnp.arange(d))[order]
        read = jnp.concatenate([jnp.full(1, d * (k + 1)), token[:-1]])
        carry, outputs = jnp.zeros(self.width, x.dtype), []
        for i in range(d):
            carry, out = cell(carry, parameters["embedding"][read[i]])
            outputs.append(out @ parameters["output"][order[i]])
        return jnp.stack(outputs)[np.argsort(order)]
