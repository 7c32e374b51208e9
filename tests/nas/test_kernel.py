"""Kernels of architectures: their definitions, what they are blind to, their use."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.nas import Aligned, Cell, Chain, ChainKernel, PathKernel
from bojax.strategies import BayesOpt, Random
from bojax.surrogates import GP
from bojax.surrogates.kernels import Scale, gram, matern52

CHAIN = Chain(depth=3, widths=(4, 8, 16), skips=True)
KINDS = bojax.Categorical("identity", "small", "large")
MACRO = bojax.Space({f"layer{i}": KINDS for i in range(4)})
CELL = Cell(nodes=4, operations=("none", "skip", "conv1", "conv3"))


def paths(config):
    """The counts of the definition, by going along each path."""
    found = {}
    for length in range(3):
        for middle in itertools.combinations((1, 2), length):
            ops = [
                config[f"edge{i}{j}"] for i, j in itertools.pairwise((0, *middle, 3))
            ]
            if "none" not in ops:
                word = tuple(op for op in ops if op != "skip")
                found[word] = found.get(word, 0) + 1
    return found


def test_it_is_what_counting_paths_says():
    kernel = PathKernel.of(CELL)
    x = CELL.space.sample(jax.random.key(0), 30)
    ours = gram(kernel, x, x)
    counts = [paths(CELL.space.decode(row)) or {None: 1} for row in x]
    for i, a in enumerate(counts):
        for j, b in enumerate(counts):
            dot = sum(a[word] * b.get(word, 0) for word in a)
            norms = [sum(v**2 for v in c.values()) for c in (a, b)]
            expected = np.exp(-(1 - dot / np.sqrt(norms[0] * norms[1])) / 0.25)
            np.testing.assert_allclose(ours[i, j], expected, rtol=1e-5)


def aligned():
    kernel = ChainKernel.of(MACRO, [(name,) for name in MACRO.names])
    return Aligned.of(kernel, MACRO, [("layer1", "layer2", "layer3")], "identity")


@pytest.mark.parametrize(
    ("space", "make"),
    [
        (CELL.space, lambda: PathKernel.of(CELL)),
        (CHAIN.space, lambda: ChainKernel.of_chain(CHAIN)),
        (MACRO, aligned),
    ],
    ids=["paths", "chain", "aligned"],
)
def test_it_is_positive_definite_with_finite_gradients(space, make):
    with jax.enable_x64(True):
        kernel = make()
        x = space.sample(jax.random.key(1), 40)
        matrix, slope = jax.jit(
            lambda kernel: (
                gram(kernel, x, x),
                jax.grad(lambda kernel: jnp.sum(gram(kernel, x, x)))(kernel),
            )
        )(kernel)
        assert np.linalg.eigvalsh(np.asarray(matrix))[0] > -1e-10
        for leaf in jax.tree.leaves(slope):
            assert bool(jnp.all(jnp.isfinite(leaf)))
            assert bool(jnp.any(leaf != 0))


def test_the_chain_kernel_is_what_its_definition_says():
    """Entries of phi by name, from configurations."""
    with jax.enable_x64(True):
        kernel = ChainKernel.of_chain(CHAIN)
        rng = np.random.default_rng(0)
        raw = rng.normal(size=kernel.log_lengthscale.shape)
        kernel = eqx.tree_at(
            lambda k: (k.log_lengthscale, k.log_weight_variance),
            kernel,
            (jnp.asarray(raw), jnp.asarray(-0.4)),
        )
        roles = [*(("kind", kind) for kind in ("plain", "bottleneck", "inverted"))]
        roles += ["kernel", "width", "ratio"]
        roles += [(f"skip{i}", value) for i in (0, 1) for value in (False, True)]
        scale = dict(zip(roles, np.exp(-raw), strict=False))
        places = np.exp(-raw[len(roles) :])
        assert len(places) == 3

        def phi(x):
            config, found = CHAIN.space.decode(x), {}
            position = dict(zip(CHAIN.space.names, np.asarray(x), strict=True))
            for name in config.keys() - {"depth"}:
                role, place = name[:-1], int(name[-1])
                if role == "kind" or role.startswith("skip"):
                    found[name, config[name]] = (
                        scale[role, config[name]] * places[place - 1]
                    )
                else:
                    found[name] = (
                        (position[name] - 0.5) * scale[role] * places[place - 1]
                    )
            return found

        x = CHAIN.space.sample(jax.random.key(3), 12)
        ours = np.asarray(gram(kernel, x, x))
        for i, j in itertools.product(range(12), repeat=2):
            a, b = phi(x[i]), phi(x[j])
            dot = sum(a[key] * b.get(key, 0.0) for key in a)
            square = sum(
                (a.get(key, 0.0) - b.get(key, 0.0)) ** 2 for key in a.keys() | b.keys()
            )
            expected = float(matern52(jnp.asarray(square))) + np.exp(-0.4) * dot
            np.testing.assert_allclose(ours[i, j], expected, rtol=1e-9, atol=1e-12)


def test_where_an_idle_layer_is_in_a_run_is_all_one_and_nowhere_else():
    kernel = aligned()
    names = MACRO.names

    def point(*kinds):
        return jnp.asarray(MACRO.encode(dict(zip(names, kinds, strict=True))))

    x = point("small", "identity", "large", "small")
    same = point("small", "large", "small", "identity")
    other = point("small", "small", "large", "identity")
    moved = point("identity", "small", "large", "small")
    value = float(kernel(x, x))
    np.testing.assert_allclose(float(kernel(x, same)), value, rtol=1e-6)
    assert float(kernel(x, other)) < value - 1e-3
    assert abs(float(kernel(x, moved)) - value) > 1e-3


def test_layers_that_do_not_fit_are_errors_that_name_them():
    space = bojax.Space({"p": KINDS, "q": bojax.Categorical("a", "b")})
    with pytest.raises(ValueError, match="layers: expected at least one, got none"):
        ChainKernel.of(space, [])
    with pytest.raises(ValueError, match="layers: expected names of the space, got"):
        ChainKernel.of(space, [("r",)])
    with pytest.raises(ValueError, match=r"layers: expected categories \(3,\)"):
        ChainKernel.of(space, [("p",), ("q",)])
    kernel = ChainKernel.of(space, [("p",)])
    with pytest.raises(ValueError, match="runs: expected names of the space, got 'r'"):
        Aligned.of(kernel, space, [("r",)], "identity")
    with pytest.raises(ValueError, match="idle: expected one of"):
        Aligned.of(kernel, space, [("p",)], "nothing")
    with pytest.raises(ValueError, match="runs: expected the same categories in all"):
        Aligned.of(
            kernel,
            bojax.Space({"p": KINDS, "q": bojax.Categorical("identity")}),
            [("p", "q")],
            "identity",
        )


@pytest.mark.long
def test_bayesian_optimization_on_cells_beats_random_search():
    kernel = PathKernel.of(CELL)

    def objective(x, key):
        """Sequences of operations that end in conv3 are good, each a little."""
        phi = kernel.features(x)
        word = jnp.arange(phi.shape[0] - 1) % 5 == 4
        return -jnp.sum(phi[:-1] * word) + 3.0 * phi[-1]

    gp = GP(CELL.space, Scale(jnp.zeros(()), kernel))
    keys = jax.random.split(jax.random.key(0), 4)
    ours, theirs = (
        bojax.simulate(strategy, objective, 20, keys).best_y[:, -1]
        for strategy in (BayesOpt(CELL.space, gp, num_initial=6), Random(CELL.space))
    )
    assert float(ours.mean()) < float(theirs.mean())
