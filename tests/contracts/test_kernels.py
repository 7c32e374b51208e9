"""What every kernel keeps."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.surrogates import kernels, priors
from bojax.surrogates.kernels import Kernel

D = 3
NUMBERS = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abc"})
CONDITIONAL = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "depth": bojax.Int(1, 4),
        "rate": bojax.Float(0.0, 1.0, when={"kind": ("p", "q")}),
    }
)


def filled(value):
    return jnp.full(D, value)


def conditional():
    kernel = kernels.Mixed.of(CONDITIONAL)
    return kernels.Mixed(CONDITIONAL, kernel.log_lengthscale, jnp.full(1, 0.4))


KERNELS = {
    "RBF": lambda: kernels.RBF(filled(-0.5)),
    "Matern12": lambda: kernels.Matern12(filled(-0.5)),
    "Matern32": lambda: kernels.Matern32(filled(-0.5)),
    "Matern52": lambda: kernels.Matern52(filled(-0.5)),
    "RationalQuadratic": lambda: kernels.RationalQuadratic(
        filled(-0.5), jnp.asarray(0.3)
    ),
    "Periodic": lambda: kernels.Periodic(filled(-0.5), filled(0.2)),
    "Linear": lambda: kernels.Linear(filled(0.7)),
    "Hamming": lambda: kernels.Hamming(filled(0.2)),
    "Sum": lambda: kernels.Sum(kernels.RBF(filled(0.0)), kernels.Linear(filled(0.0))),
    "Product": lambda: kernels.Product(
        kernels.Matern12(filled(0.0)), kernels.Periodic(filled(0.0), filled(0.2))
    ),
    "Scale": lambda: kernels.Scale(jnp.asarray(1.2), kernels.Matern52(filled(-0.5))),
    "Columns": lambda: kernels.Columns(kernels.RBF(jnp.full(2, -0.5)), (2, 0)),
    "Mixed": lambda: kernels.Mixed.of(NUMBERS),
    "Mixed, conditional": conditional,
    "Sparse": lambda: kernels.Sparse.of(CONDITIONAL),
}


def test_the_grid_is_complete():
    final = {
        name
        for name, value in vars(kernels).items()
        if inspect.isclass(value)
        and issubclass(value, Kernel)
        and not inspect.isabstract(value)
    }
    assert final == {name.partition(",")[0] for name in KERNELS}


@pytest.fixture(params=KERNELS)
def kernel(request, x64):
    return KERNELS[request.param]()


def points(kernel, n=6):
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(n, D)))
    x = x.at[n - 1].set(x[0])  # one point twice
    space = getattr(kernel, "space", NUMBERS)
    return jax.vmap(space.project)(x)


@eqx.filter_jit
def report(kernel, x):
    """Gram matrices both ways, and gradients through both."""

    def product(kernel, x):
        return kernels.gram(kernel, x, x)

    def pairwise(kernel, x):
        return jax.vmap(lambda a: jax.vmap(lambda b: kernel(a, b))(x))(x)

    weights = jnp.arange(1.0, x.shape[0] + 1)[:, None].astype(x.dtype)

    def total(function):
        return lambda arguments: jnp.sum(weights * function(*arguments))

    return (
        product(kernel, x),
        pairwise(kernel, x),
        jax.grad(total(product))((kernel, x)),
        jax.grad(total(pairwise))((kernel, x)),
    )


def test_gram_is_two_vmaps_with_finite_gradients_at_coincident_points(kernel, x64):
    matrix, pairwise, slopes, slopes_pairwise = report(kernel, points(kernel))
    dtype = jnp.float64 if x64 else jnp.float32
    assert matrix.dtype == pairwise.dtype == dtype
    # Squared distances from one product carry a rounding error eps, and distances its
    # root: a Matern-1/2 at coincident points shows it.
    tolerance = 4 * np.sqrt(np.finfo(dtype).eps)
    np.testing.assert_allclose(matrix, pairwise, atol=tolerance)
    np.testing.assert_allclose(pairwise, pairwise.T, rtol=1e-6)
    smallest = np.linalg.eigvalsh(np.asarray(matrix, float))[0]
    assert smallest >= -10 * tolerance
    for leaf in jax.tree.leaves((slopes, slopes_pairwise)):
        assert leaf.dtype == dtype
        assert bool(jnp.all(jnp.isfinite(leaf)))


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_of_gram_are_those_of_the_kernel(name):
    """At distinct points, where there is but one gradient."""
    with jax.enable_x64(True):
        kernel = KERNELS[name]()
        x = points(kernel).at[-1].set(points(kernel)[1] * 0.9 + 0.05)
        _, _, slopes, slopes_pairwise = report(kernel, x)
        ours, theirs = jax.tree.leaves(slopes), jax.tree.leaves(slopes_pairwise)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)


def test_every_hyperparameter_has_a_shared_prior(kernel):
    for published in (priors.optuna, priors.botorch, priors.vizier, priors.short):
        pairs = priors.by_leaf(kernel, published(D))
        assert len(pairs) == len(jax.tree.leaves(kernel))


def test_parameters_are_named_after_the_unconstrained_scale(kernel):
    for path, _ in jax.tree_util.tree_leaves_with_path(kernel):
        assert path[-1].name.startswith("log_")
