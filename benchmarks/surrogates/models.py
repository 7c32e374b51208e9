"""What is judged: (x [n, d], y [n], seed, x at the test points) -> mean, deviation."""

import functools
import math
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax import surrogates
from bojax.surrogates import GP, Bayesian, Best, kernels

Predict = Callable[
    [np.ndarray, np.ndarray, int, np.ndarray], tuple[np.ndarray, np.ndarray]
]

CAPACITY = 64
"""All of ours are padded to it: one compilation for each number of columns."""


def _scaled(kind: type, d: int) -> kernels.Scale:
    scale = np.full(d, math.log(0.3 * math.sqrt(d)))
    return kernels.Scale(jnp.asarray(np.zeros(())), kind(jnp.asarray(scale)))


OURS = {
    "GP": GP,
    "GP, RBF kernel": lambda s: GP(s, _scaled(kernels.RBF, s.num_columns)),
    "GP, Matern-3/2 kernel": lambda s: GP(s, _scaled(kernels.Matern32, s.num_columns)),
    "GP, linear mean": lambda s: GP(s, mean="linear"),
    "GP, warped inputs": lambda s: GP(s, warping=True),
    "GP, heteroscedastic": lambda s: GP(s, noise="heteroscedastic"),
    "GP, deep kernel": lambda s: GP(s, surrogates.Deep.of(s)),
    "Best of Matern and RBF": lambda s: Best(
        [GP(s), GP(s, _scaled(kernels.RBF, s.num_columns))]
    ),
    "Bayesian GP": lambda s: Bayesian(GP(s)),
    "SAAS": surrogates.saas,
}
"""Name: space -> surrogate, each with its defaults."""


@functools.cache
def _space(d: int) -> bojax.Space:
    return bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(d)})


@functools.cache
def _compiled(name: str, d: int) -> Callable:
    surrogate = OURS[name](_space(d))

    @jax.jit
    def predict(data, key, x):
        posterior = surrogate.fit(data, key).condition(data)
        return jax.lax.map(posterior.marginal, x)

    return predict


def ours(name: str) -> Predict:
    """A surrogate of ours; a mixture by its first two moments."""

    def predict(x, y, seed, at):
        with jax.enable_x64(True):
            data = bojax.Dataset.of(jnp.asarray(x), jnp.asarray(y), capacity=CAPACITY)
            program = _compiled(name, x.shape[1])
            mean, variance = program(data, jax.random.key(seed), jnp.asarray(at))
        return np.asarray(mean), np.sqrt(np.asarray(variance))

    return predict


def gaussian_process(x, y, seed, at):
    """scikit-learn's: scaled Matern-5/2 with a lengthscale a column, and noise."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    d = x.shape[1]
    kernel = ConstantKernel(1.0) * Matern(np.full(d, 0.5), (1e-2, 1e2), nu=2.5)
    model = GaussianProcessRegressor(
        kernel + WhiteKernel(1e-4, (1e-8, 1.0)),
        normalize_y=True,
        n_restarts_optimizer=4,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
        return model.predict(at, return_std=True)


def random_forest(x, y, seed, at):
    """scikit-learn's of 100 trees: mean and deviation of what they say."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(random_state=seed).fit(x, y)
    said = np.array([tree.predict(at) for tree in model.estimators_])
    return said.mean(axis=0), said.std(axis=0)


MODELS: dict[str, Predict] = {
    **{name: ours(name) for name in OURS},
    "scikit-learn GP": gaussian_process,
    "scikit-learn forest": random_forest,
}
