"""Kernels against scikit-learn's and tinygp's; Mixed by what it promises."""

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.gaussian_process.kernels as sk
import tinygp

import bojax
from bojax.surrogates import kernels

gram = eqx.filter_jit(kernels.gram)

LENGTHS = np.array([0.3, 0.7, 1.6])
LOG_LENGTHS = np.log(LENGTHS)
ALPHA, PERIOD = 1.7, 0.6


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def points(n, d, seed=0):
    return np.random.default_rng(seed).uniform(size=(n, d))


def euclidean(kernel):
    return kernel(distance=tinygp.kernels.distance.L2Distance())


def scaled(kernel):
    """A kernel of tinygp with a lengthscale a column."""
    return tinygp.transforms.Linear(1 / LENGTHS, kernel)


def isotropic(kernel, length):
    """A kernel of one column at a lengthscale, where scikit-learn has no more."""
    return kernel(jnp.full(1, np.log(length)))


REFERENCES = {
    "rbf": (
        lambda: kernels.RBF(jnp.asarray(LOG_LENGTHS)),
        sk.RBF(LENGTHS),
        lambda: scaled(tinygp.kernels.ExpSquared()),
    ),
    "matern12": (
        lambda: kernels.Matern12(jnp.asarray(LOG_LENGTHS)),
        sk.Matern(LENGTHS, nu=0.5),
        lambda: scaled(euclidean(tinygp.kernels.Exp)),
    ),
    "matern32": (
        lambda: kernels.Matern32(jnp.asarray(LOG_LENGTHS)),
        sk.Matern(LENGTHS, nu=1.5),
        lambda: scaled(euclidean(tinygp.kernels.Matern32)),
    ),
    "matern52": (
        lambda: kernels.Matern52(jnp.asarray(LOG_LENGTHS)),
        sk.Matern(LENGTHS, nu=2.5),
        lambda: scaled(euclidean(tinygp.kernels.Matern52)),
    ),
    "rational quadratic": (
        lambda: kernels.RationalQuadratic(
            jnp.full(3, np.log(0.4)), jnp.asarray(np.log(ALPHA))
        ),
        sk.RationalQuadratic(0.4, ALPHA),
        lambda: tinygp.transforms.Linear(
            np.full(3, 1 / 0.4),
            tinygp.kernels.RationalQuadratic(
                alpha=ALPHA, distance=tinygp.kernels.distance.L2Distance()
            ),
        ),
    ),
    "periodic": (
        lambda: kernels.Periodic(jnp.full(1, np.log(0.9)), jnp.full(1, np.log(PERIOD))),
        sk.ExpSineSquared(0.9, PERIOD),
        lambda: tinygp.kernels.ExpSineSquared(scale=PERIOD, gamma=2 / 0.9**2),
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_scikit_learn_and_tinygp(name):
    make, sklearn, theirs = REFERENCES[name]
    kernel = make()
    d = kernel.log_lengthscale.size
    x, z = points(7, d), points(5, d, seed=1)
    ours = gram(kernel, jnp.asarray(x), jnp.asarray(z))
    np.testing.assert_allclose(ours, sklearn(x, z), rtol=1e-12, atol=1e-12)
    if d == 1:
        x, z = x[:, 0], z[:, 0]
    theirs = theirs()(jnp.asarray(x), jnp.asarray(z))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_periodic_of_several_columns_is_a_product():
    lengths, periods = np.array([0.5, 0.9]), np.array([0.3, 0.8])
    kernel = kernels.Periodic(jnp.log(lengths), jnp.log(periods))
    x, z = points(4, 2), points(3, 2, seed=1)
    parts = [
        sk.ExpSineSquared(l, p)(x[:, [j]], z[:, [j]])
        for j, (l, p) in enumerate(zip(lengths, periods, strict=True))
    ]
    ours = gram(kernel, jnp.asarray(x), jnp.asarray(z))
    np.testing.assert_allclose(ours, parts[0] * parts[1], rtol=1e-12)


def test_linear_is_a_dot_product_about_the_middle():
    variances = np.array([0.5, 2.0])
    x, z = points(4, 2), points(3, 2, seed=1)
    shift = lambda x: (x - 0.5) * np.sqrt(variances)
    expected = sk.DotProduct(sigma_0=0)(shift(x), shift(z))
    ours = gram(kernels.Linear(jnp.log(variances)), jnp.asarray(x), jnp.asarray(z))
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_hamming_counts_the_columns_that_differ():
    kernel = kernels.Hamming(jnp.log(jnp.array([2.0, 0.5])))
    x = jnp.array([[0.25, 0.25], [0.25, 0.75], [0.75, 0.75]])
    expected = np.exp(-np.array([[0, 2, 2.5], [2, 0, 0.5], [2.5, 0.5, 0]]))
    np.testing.assert_allclose(gram(kernel, x, x), expected, rtol=1e-12)


def test_sum_product_scale_and_columns_compose():
    a = kernels.RBF(jnp.zeros(1))
    b = kernels.Matern32(jnp.zeros(2))
    x = jnp.asarray(points(4, 3))
    first = kernels.Columns(a, (1,))
    second = kernels.Columns(b, (2, 0))
    k_a, k_b = gram(a, x[:, 1:2], x[:, 1:2]), gram(b, x[:, [2, 0]], x[:, [2, 0]])
    together = kernels.Scale(jnp.log(3.0), kernels.Sum(first, second))
    np.testing.assert_allclose(gram(together, x, x), 3 * (k_a + k_b), rtol=1e-12)
    product = kernels.Product(first, second)
    np.testing.assert_allclose(gram(product, x, x), k_a * k_b, rtol=1e-12)


# Minus the second derivative by a column at x = z, in squared lengthscales.
CURVATURES = {
    "rbf": 1,
    "matern32": 3,
    "matern52": 5 / 3,
    "rational quadratic": 1,
    "periodic": (2 * np.pi / PERIOD) ** 2,
}


@pytest.mark.parametrize("name", CURVATURES)
def test_second_derivatives_where_points_coincide(name):
    kernel = REFERENCES[name][0]()
    lengths = np.exp(kernel.log_lengthscale)
    x = jnp.asarray(points(20, lengths.size))

    @jax.jit
    def curvature(kernel, x):
        of = lambda a, b: kernels.gram(kernel, a[None], b)[0]
        near = jax.vmap(jax.hessian(of), (0, None))(x, x)
        alone = jax.vmap(jax.hessian(kernel))(x, x)
        return near[jnp.arange(len(x)), jnp.arange(len(x))], alone

    expected = np.diag(-CURVATURES[name] / lengths**2)
    # Beside zero, by the rounding of a squared distance, stands a distance of its root.
    rtol = 100 * np.sqrt(np.finfo(float).eps)
    for found in curvature(kernel, x):
        np.testing.assert_allclose(
            found, np.tile(expected, (20, 1, 1)), rtol=rtol, atol=rtol
        )


# Mixed.

PLAIN = bojax.Space({"a": bojax.Float(0.0, 1.0), "b": bojax.Int(0, 9)})
CONDITIONAL = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q"),
        "a": bojax.Float(0.0, 1.0),
        "only_q": bojax.Float(0.0, 1.0, when={"kind": "q"}),
    }
)


def test_mixed_over_numbers_is_a_matern():
    kernel = kernels.Mixed(PLAIN, jnp.log(jnp.array([0.3, 0.7])), jnp.zeros(0))
    x, z = points(6, 2), points(4, 2, seed=1)
    expected = sk.Matern([0.3, 0.7], nu=2.5)(x, z)
    np.testing.assert_allclose(
        gram(kernel, jnp.asarray(x), jnp.asarray(z)), expected, rtol=1e-12
    )


def test_mixed_has_categories_at_distance_one_half():
    space = bojax.Space({"kind": bojax.Categorical(1, 2, 3)})
    kernel = kernels.Mixed(space, jnp.log(jnp.array([0.4])), jnp.zeros(0))
    x = jnp.array([[1 / 6], [3 / 6], [5 / 6]])
    apart = float(sk.Matern(0.4, nu=2.5)(np.zeros((1, 1)), [[0.5]])[0, 0])
    expected = np.where(np.eye(3), 1, apart)
    np.testing.assert_allclose(gram(kernel, x, x), expected, rtol=1e-12)


def test_mixed_is_beside_the_middle_where_a_parameter_is_absent():
    absence, lengths = 0.6, np.array([0.8, 0.5, 0.3])
    kernel = kernels.Mixed(CONDITIONAL, jnp.log(lengths), jnp.full(1, np.log(absence)))
    matern = lambda r: float(sk.Matern(1.0, nu=2.5)(np.zeros((1, 1)), [[r]])[0, 0])
    p = np.array([0.25, 0.4, 0.5])
    q_low, q_high = np.array([0.75, 0.4, 0.1]), np.array([0.75, 0.4, 0.7])
    x = jnp.asarray([p, q_low, q_high])
    own = matern(0.6 / 0.3)
    low, high = (
        matern(np.sqrt((0.5 / 0.8) ** 2 + (off**2 + absence**2) / 0.3**2))
        for off in (0.4, 0.2)
    )
    expected = [[1, low, high], [low, 1, own], [high, own, 1]]
    np.testing.assert_allclose(gram(kernel, x, x), expected, rtol=1e-12)


def test_mixed_has_an_absent_category_as_far_from_each_of_the_others():
    space = bojax.Space(
        {
            "kind": bojax.Categorical("p", "q"),
            "own": bojax.Categorical(1, 2, 3, when={"kind": "q"}),
        }
    )
    absence = 0.5
    kernel = kernels.Mixed(space, jnp.zeros(2), jnp.full(1, np.log(absence)))
    x = jnp.asarray([[0.25, 0.5], [0.75, 1 / 6], [0.75, 0.5], [0.75, 5 / 6]])
    r = np.sqrt(1 / 4 + 1 / 8 + absence**2)
    expected = float(sk.Matern(1.0, nu=2.5)(np.zeros((1, 1)), [[r]])[0, 0])
    np.testing.assert_allclose(gram(kernel, x, x)[0, 1:], expected, rtol=1e-12)


def test_mixed_does_not_see_what_does_not_exist():
    kernel = kernels.Mixed.of(CONDITIONAL)
    x = np.array([[0.25, 0.4, 0.5], [0.25, 0.4, 0.9]])
    np.testing.assert_allclose(gram(kernel, jnp.asarray(x), jnp.asarray(x)), 1)


# A strategy draws plain values: the run-time type checks that are on here use `random`.
SPECIFICATIONS = st.lists(
    st.tuples(
        st.sampled_from(["float", "int", "categorical"]),
        st.none() | st.integers(0, 3),
        st.integers(1, 3),
    ),
    min_size=4,
    max_size=4,
)


def conditional_space(specifications):
    """Chains and fans of conditions, on categories and on numbers."""
    parameters = {"p0": bojax.Categorical("a", "b", "c")}
    for i, (kind, parent, width) in enumerate(specifications, 1):
        when = None
        if parent is not None:
            parent = f"p{parent % i}"
            match parameters[parent]:
                case bojax.Categorical():
                    when = {parent: "abc"[width - 1]}
                case bojax.Int():
                    when = {parent: (1, width)}
                case _:
                    when = {parent: (0.1, 0.25 * width)}
        match kind:
            case "float":
                parameters[f"p{i}"] = bojax.Float(0.0, 1.0, when=when)
            case "int":
                parameters[f"p{i}"] = bojax.Int(1, 4, when=when)
            case _:
                parameters[f"p{i}"] = bojax.Categorical("a", "b", "c", when=when)
    return bojax.Space(parameters)


def smallest_eigenvalue(gram, space, x, log_lengths, log_absence):
    kernel = kernels.Mixed(space, jnp.asarray(log_lengths), jnp.asarray(log_absence))
    x = jnp.asarray(x)
    matrix = np.asarray(gram(kernel, x, x))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-9)
    return np.linalg.eigvalsh(matrix)[0]


@hypothesis.given(SPECIFICATIONS, st.integers(0, 2**31), st.floats(-5, 5))
@hypothesis.settings(max_examples=15)
def test_mixed_is_positive_definite_on_conditional_spaces(given, seed, level):
    space = conditional_space(given)
    n, d = 24, space.num_columns
    rng = np.random.default_rng(seed)
    x = np.stack([space.encode(space.decode(x)) for x in rng.uniform(size=(n, d))])
    absence = level + rng.normal(size=int(space.is_conditional.sum()))
    # Each space is new: compiling for it would cost more than it saves.
    smallest = smallest_eigenvalue(
        kernels.gram, space, x, rng.normal(-0.5, 1, d), absence
    )
    assert smallest >= -1e-9 * n


FREE = 3
SWITCHES = bojax.Space(
    {f"switch{j}": bojax.Categorical(0, 1) for j in range(FREE)}
    | {f"x{j}": bojax.Float(0.0, 1.0, when={f"switch{j}": 1}) for j in range(FREE)}
)


@hypothesis.given(st.integers(0, 2**31), st.floats(0, 1), st.floats(-5, 5))
@hypothesis.settings(max_examples=40)
def test_mixed_is_positive_definite_over_any_masks(seed, share, level):
    """The conditional columns alone: the switches themselves are next to invisible."""
    n = 30
    rng = np.random.default_rng(seed)
    masks = rng.uniform(size=(n, FREE)) < share
    x = np.concatenate(
        [
            np.where(masks, 0.75, 0.25),
            np.where(masks, rng.uniform(size=masks.shape), 0.5),
        ],
        axis=1,
    )
    log_lengths = np.concatenate([np.full(FREE, 20.0), rng.normal(-1, 1, FREE)])
    smallest = smallest_eigenvalue(gram, SWITCHES, x, log_lengths, np.full(FREE, level))
    assert smallest >= -1e-9 * n
