"""Functions drawn from a posterior, to be evaluated anywhere and differentiated."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bojax.data import Dataset
from bojax.surrogates.features import features
from bojax.surrogates.kernels import gram
from bojax.surrogates.likelihood import Parameters, warped


class Paths(eqx.Module):
    """s functions from a Gaussian-process posterior, by Matheron's rule.

        f(x) = m(x) + phi(x) w + k(x, X) (K + noise)^-1 (y - m(X) - phi(X) w - e)

    with random features phi and w ~ N(0, I) for a function from the prior, noise
    e ~ N(0, noise), and the kernel itself for what the data changes in it.

    Args:
        parameters: hyperparameters.
        data: what the posterior was conditioned on.
        waves: random features of the kernel.
        weights: w of each function, of the waves' cosines and of their sines.
        update: (K + noise)^-1 (y - m(X) - phi(X) w - e) of each function.
        location: mean of the observed values.
        scale: their standard deviation.

    Example:
        >>> import bojax, jax, jax.numpy as jnp
        >>> gp = bojax.surrogates.GP(bojax.Space({"a": bojax.Float(0, 1)}))
        >>> x = jnp.linspace(0, 1, 5)[:, None]
        >>> posterior = gp.condition(bojax.Dataset.of(x, jnp.sin(3 * x[:, 0])))
        >>> paths = posterior.sample(jax.random.key(0), 3)
        >>> paths(jnp.array([0.3])).shape
        (3,)

    References:
        Wilson, Borovitskiy, Terenin, Mostowsky and Deisenroth (2020), Efficiently
        sampling functions from Gaussian process posteriors, equation 13.
    """

    parameters: Parameters
    data: Dataset
    waves: Callable
    weights: Float[Array, "s 2 l"]
    update: Float[Array, "s n"]
    location: Float[Array, ""]
    scale: Float[Array, ""]

    @eqx.filter_jit
    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " s"]:
        """Noise-free values of all functions at one point, in units of the data."""
        x = warped(self.parameters, x[None])
        points = warped(self.parameters, self.data.x)
        cross = jnp.where(self.data.mask, gram(self.parameters.kernel, x, points)[0], 0)
        mean = self.parameters.mean(x[0])
        value = mean + _prior(self.waves, self.weights, x[0]) + self.update @ cross
        return self.location + self.scale * value

    def __len__(self) -> int:
        """How many functions there are."""
        return self.weights.shape[0]

    def __getitem__(self, index: int | slice | Int[Array, " k"]) -> "Paths":
        """Some of the functions; of an integer, that one alone.

        Raises:
            IndexError: if there is no such function.
        """
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index: expected one of {len(self)}, got {index}")
            index = slice(index % len(self), index % len(self) + 1)
        where = lambda paths: (paths.weights, paths.update)
        return eqx.tree_at(where, self, (self.weights[index], self.update[index]))


def _prior(
    waves: Callable, weights: Float[Array, "s 2 l"], x: Float[Array, " d"]
) -> Float[Array, " s"]:
    amplitude, phase = waves(x)
    phase = jnp.broadcast_to(phase, weights.shape[-1:])
    unit = amplitude / jnp.sqrt(weights.shape[-1])
    return weights[:, 0] @ (unit * jnp.cos(phase)) + weights[:, 1] @ (
        unit * jnp.sin(phase)
    )


@eqx.filter_jit
def draw(
    key: PRNGKeyArray,
    s: int,
    num_features: int,
    parameters: Parameters,
    data: Dataset,
    inverse_factor: Float[Array, "n n"],
    white: Float[Array, " n"],
    location: Float[Array, ""],
    scale: Float[Array, ""],
) -> Paths:
    """Functions from the posterior that has these parts, see `GPPosterior`.

    Rows that are believed have nothing left in `white`: the functions then vary as
    after an evaluation there, around the mean as it is.

    Args:
        key: of the draw.
        s: how many.
        num_features: how many random features the functions share.
        parameters: hyperparameters.
        data: the observations.
        inverse_factor: L^-1 of the factor L of their covariance.
        white: L^-1 (y - m(X)).
        location: mean of the observed values.
        scale: their standard deviation.

    Raises:
        TypeError: if no random features are known for the kernel.
        ValueError: if a count is not positive.
    """
    for name, count in (("s", s), ("num_features", num_features)):
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count}")
    of_waves, of_weights, of_noise = jax.random.split(key, 3)
    waves = features(parameters.kernel, of_waves, num_features)
    dtype = white.dtype
    weights = jax.random.normal(of_weights, (s, 2, num_features), dtype)
    noise = parameters.noise + (jnp.sqrt(data.variance) / scale) ** 2
    deviation = jnp.sqrt(noise)
    error = deviation * jax.random.normal(of_noise, (s, white.shape[0]), dtype)
    points = warped(parameters, data.x)
    prior = jax.vmap(lambda x: _prior(waves, weights, x), out_axes=1)(points)
    drawn = jnp.where(data.mask, prior + error, 0)
    update = (white - drawn @ inverse_factor.T) @ inverse_factor
    return Paths(parameters, data, waves, weights, update, location, scale)
