"""A kernel on learned features: a neural network before a Gaussian process."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from bojax.space import Space
from bojax.surrogates.features import features
from bojax.surrogates.kernels import Composed, Kernel, Matern52, Scale, gram


class Deep(Composed):
    """k(g(x), g(z)) with a neural network g, an encoder in Flax.

    Its weights are hyperparameters like any other: a fit moves them together, under a
    normal prior, and `Bayesian` samples them.

    Args:
        space: columns; categories reach the encoder as indicators.
        kernel: over the encoder's features.
        encoder_weight: all of the encoder's parameters, flat.
        structure: what makes an encoder of them.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)})
        >>> gp = bojax.surrogates.GP(space, kernel=Deep.of(space, width=8))

    References:
        Wilson, Hu, Salakhutdinov and Xing (2016), Deep kernel learning.
    """

    space: Space = eqx.field(static=True)
    kernel: Kernel
    encoder_weight: Float[Array, " p"]
    structure: Any = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        space: Space,
        encoder: Any = None,
        kernel: Kernel | None = None,
        width: int = 16,
        num_features: int = 2,
        seed: int = 0,
    ) -> "Deep":
        """The kernel with a new encoder.

        Args:
            space: whose points it sees.
            encoder: a `flax.nnx.Module`, a function of `[Deep.num_inputs(space)]`
                numbers that returns features; default: two layers of tanh.
            kernel: over the features; default: a scaled Matern-5/2.
            width: of the default encoder.
            num_features: of the default encoder.
            seed: of the default encoder's first weights.

        Raises:
            ValueError: if the encoder does not return a vector.
        """
        from flax import nnx

        size = cls.num_inputs(space)
        if encoder is None:
            rngs = nnx.Rngs(seed)
            encoder = nnx.Sequential(
                nnx.Linear(size, width, rngs=rngs),
                jnp.tanh,
                nnx.Linear(width, width, rngs=rngs),
                jnp.tanh,
                nnx.Linear(width, num_features, rngs=rngs),
            )
        graph, state = nnx.split(encoder)
        leaves, tree = jax.tree.flatten(state)
        features = jax.eval_shape(encoder, jnp.zeros(size)).shape
        if len(features) != 1:
            raise ValueError(
                f"encoder: expected a vector of features, got shape {list(features)}"
            )
        if kernel is None:
            scale = np.full(features, math.log(0.5 * math.sqrt(features[0])))
            kernel = Scale(jnp.asarray(np.zeros(())), Matern52(jnp.asarray(scale)))
        flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
        shapes = tuple(leaf.shape for leaf in leaves)
        return cls(space, kernel, jnp.asarray(flat, float), (graph, tree, shapes))

    @staticmethod
    def num_inputs(space: Space) -> int:
        """How many numbers the encoder sees of a point."""
        counts = np.where(space.is_categorical, space.num_levels, 1)
        return int(np.sum(counts) + np.sum(space.is_conditional))

    def encode(self, x: Float[Array, " d"]) -> Float[Array, " f"]:
        """Features of a point."""
        from flax import nnx

        graph, tree, shapes = self.structure
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = jnp.split(self.encoder_weight, ends[:-1])
        leaves = [part.reshape(s) for part, s in zip(parts, shapes, strict=True)]
        encoder = nnx.merge(graph, jax.tree.unflatten(tree, leaves))
        return encoder(_inputs(self.space, x))

    def gram(
        self, x: Float[Array, "n d"], z: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        """Covariances of the features of every row of `x` with those of `z`."""
        return gram(self.kernel, jax.vmap(self.encode)(x), jax.vmap(self.encode)(z))


@features.register
def _(kernel: Deep, key, count):
    return Partial(_encoded, kernel, features(kernel.kernel, key, count))


def _encoded(kernel: Deep, inner: Callable, x: Float[Array, " d"]):
    return inner(kernel.encode(x))


def _inputs(space: Space, x: Float[Array, " d"]) -> Float[Array, " i"]:
    """Numbers about zero, indicators of categories, and of what exists."""
    parts = []
    for j, levels in enumerate(space.levels):
        if space.is_categorical[j] and levels is not None:
            parts.append((jnp.abs(x[j] - jnp.asarray(levels)) < 1e-6).astype(x.dtype))
        else:
            parts.append(2 * x[j : j + 1] - 1)
    if np.any(space.is_conditional):
        active = space.active(x)[np.flatnonzero(space.is_conditional)]
        parts.append(active.astype(x.dtype))
    return jnp.concatenate(parts)
