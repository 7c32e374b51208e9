"""Spaces of architectures: what is equal, what is near, what it costs, what it is."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bojax.nas import Cell, Chain

CELL = Cell(nodes=4, channels=3, repeats=2)
SMALL = Cell(nodes=3, operations=("none", "skip", "conv1", "pool3"), channels=2)
CHAIN = Chain(depth=3, widths=(4, 6), skips=True)


INVERTED = {
    "depth": 2,
    "kind1": "bottleneck",
    "kernel1": 5,
    "width1": 4,
    "ratio1": 2,
    "kind2": "inverted",
    "kernel2": 3,
    "width2": 4,
    "ratio2": 2,
    "skip02": True,
}


def drawn(architectures, n, seed=0):
    points = architectures.space.sample(jax.random.key(seed), n)
    return [architectures.space.decode(x) for x in points]


def with_path(cell, n, seed=0):
    found = []
    for config in drawn(cell, 3 * n, seed):
        try:
            cell.useful(config)
        except ValueError:
            continue
        found.append(config)
    return found[:n]


def num_parameters(network):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))


@pytest.mark.parametrize(
    ("architectures", "configs"),
    [(CELL, with_path(CELL, 2)), (CHAIN, [INVERTED])],
    ids=["cell", "chain"],
)
def test_the_cost_is_that_of_the_network_which_gives_logits(architectures, configs):
    for config in configs:
        network = architectures.build(config, nnx.Rngs(0))
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6, 1)))
        logits = network(x)
        assert logits.shape == (2, 10)
        assert bool(jnp.all(jnp.isfinite(logits)))
        assert architectures.cost(config, 5, 6).parameters == num_parameters(network)


def test_multiply_adds_are_counted_by_hand():
    config = {
        "depth": 2,
        "kind1": "plain",
        "kernel1": 3,
        "width1": 4,
        "kind2": "bottleneck",
        "kernel2": 5,
        "width2": 6,
        "ratio2": 2,
        "skip02": True,
    }
    cost = CHAIN.cost(config, 8, 8)
    # plain; 1x1 to 3, 5x5, 1x1 to 6, 1x1 shortcut; skip 1 to 4; dense.
    weights = 9 * 4 + 4 * 3 + 25 * 9 + 3 * 6 + 4 * 6 + 4
    assert cost.multiply_adds == 64 * weights + 60
    assert cost.parameters == weights + 2 * (4 + 3 + 3 + 6 + 6 + 4) + 60 + 10


def permuted(config, order):
    """The cell with its inner nodes renamed; None where an edge would turn around."""
    place = {old: new for new, old in enumerate((0, *order, 3))}
    new = {f"edge{i}{j}": "none" for i, j in CELL.edges}
    for i, j in CELL.edges:
        a, b = place[i], place[j]
        if config[f"edge{i}{j}"] == "none":
            continue
        if a > b:
            return None
        new[f"edge{a}{b}"] = config[f"edge{i}{j}"]
    return new


def test_isomorphic_cells_are_equal():
    pairs = 0
    for config in drawn(CELL, 300):
        config["edge12"] = "none"
        other = permuted(config, (2, 1))
        try:
            expected = CELL.canonical(config)
        except ValueError:
            continue
        assert CELL.canonical(other) == expected
        pairs += config != other
    assert pairs > 100


def value(cell, config, weights):
    """The last node, of numbers, where an operation's weight is given by its edge."""
    values = {0: 1.0}
    for (i, j), op in sorted(cell.useful(config).items()):
        if op == "skip":
            term = values[i]
        elif op == "pool3":
            term = np.cos(values[i]) - 0.3
        else:
            a, b, c = weights[i, j]
            term = a + b * np.tanh(c * values[i]) + (0.2 if op == "conv3" else 0)
        values[j] = values.get(j, 0.0) + term
    return values[cell.nodes - 1]


def test_equal_cells_compute_the_same_for_some_weights_of_theirs():
    """Some edges of the one are those of the other, weights and all."""
    cell = Cell(operations=("skip", "conv1", "conv3", "pool3"))
    groups = {}
    for config in with_path(cell, 400, seed=5):
        groups.setdefault(cell.canonical(config), []).append(config)
    pairs = 0
    for first, *others in groups.values():
        rng = np.random.default_rng(0)
        weights = {edge: rng.normal(size=3) for edge in cell.edges}
        expected = value(cell, first, weights)
        sources = [e for e, op in cell.useful(first).items() if op.startswith("conv")]
        for other in others:
            if other == first:
                continue
            pairs += 1
            ends = [e for e, op in cell.useful(other).items() if op.startswith("conv")]
            assert len(ends) == len(sources)
            assert any(
                np.isclose(
                    value(
                        cell,
                        other,
                        dict(zip(order, (weights[e] for e in sources), strict=True)),
                    ),
                    expected,
                    rtol=1e-12,
                )
                for order in itertools.permutations(ends)
            )
    assert pairs > 20


def test_cells_with_other_texts_compute_something_else():
    """Whatever the order of the weights, of all cells with three nodes."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=3) for _ in range(3)]
    found = {}
    for ops in itertools.product(SMALL.operations, repeat=3):
        config = dict(zip(SMALL.space.names, ops, strict=True))
        try:
            text = SMALL.canonical(config)
        except ValueError:
            continue
        reached = frozenset(
            round(value(SMALL, config, dict(zip(SMALL.edges, order, strict=True))), 9)
            for order in itertools.permutations(weights)
        )
        assert found.setdefault(text, reached) == reached
    assert len(set(found.values())) == len(found)


def test_one_operation_read_twice_is_not_two_operations():
    def cell(**given):
        return dict.fromkeys(CELL.space.names, "none") | given

    shared = cell(edge01="conv3", edge12="skip", edge13="skip", edge23="skip")
    apart = cell(edge01="conv3", edge02="conv3", edge13="skip", edge23="skip")
    assert CELL.canonical(shared) == "1=conv3(x); 1+1"
    assert CELL.canonical(apart) == "1=conv3(x); 2=conv3(x); 1+2"
    means = cell(edge01="pool3", edge02="pool3", edge13="skip", edge23="skip")
    assert CELL.canonical(means) == "1=pool3(x); 1+1"


def test_cells_without_a_path_are_those_that_are_cut_off():
    cell = Cell(operations=("none", "skip", "conv1"))
    texts, lost = set(), 0
    for ops in itertools.product(cell.operations, repeat=6):
        config = dict(zip(cell.space.names, ops, strict=True))
        try:
            texts.add(cell.canonical(config))
        except ValueError:
            lost += 1
    shut = 0
    for e01, e02, e03, e12, e13, e23 in itertools.product((0, 1), repeat=6):
        way = e03 or (e01 and e13) or (e02 and e23) or (e01 and e12 and e23)
        shut += 0 if way else 2 ** (e01 + e02 + e03 + e12 + e13 + e23)
    assert lost == shut
    # Most have a twin: a node renamed, an edge that leads nowhere, a skip.
    assert len(texts) < (3**6 - lost) / 2


def test_neighbors_differ_in_one_choice_and_are_mutual():
    config = with_path(CELL, 1)[0]
    around = CELL.neighbors(config)
    assert len(around) == 6 * 4
    for other in around:
        assert sum(other[name] != config[name] for name in config) == 1
        assert config in CELL.neighbors(other)
    chain = {"depth": 1, "kind1": "plain", "kernel1": 3, "width1": 4}
    depths = {other["depth"] for other in CHAIN.neighbors(chain)}
    assert depths == {1, 2, 3}
    for other in CHAIN.neighbors(chain):
        CHAIN.canonical(other)


def test_a_graph_runs_from_its_input_to_its_output():
    cases = [(CELL, config) for config in with_path(CELL, 10)]
    cases += [(CHAIN, config) for config in drawn(CHAIN, 10)]
    for architectures, config in cases:
        labels, edges = architectures.graph(config)
        assert (labels[0], labels[-1]) == ("input", "output")
        heads, tails = {i for i, _ in edges}, {j for _, j in edges}
        assert heads == set(range(len(labels) - 1))
        assert tails == set(range(1, len(labels)))


def test_a_cell_without_a_path_is_an_error():
    config = dict.fromkeys(CELL.space.names, "none") | {"edge01": "conv3"}
    for method in (CELL.canonical, CELL.graph, lambda c: CELL.build(c, nnx.Rngs(0))):
        with pytest.raises(ValueError, match="config: expected a path from input to"):
            method(config)


def test_bad_arguments_are_errors_that_name_them():
    with pytest.raises(ValueError, match="operations: expected some of none, skip"):
        Cell(operations=("skip", "conv7"))
    with pytest.raises(ValueError, match="nodes: expected at least 2, got 1"):
        Cell(nodes=1)
    with pytest.raises(ValueError, match="channels: expected a whole number >= 1"):
        Cell(channels=0)
    with pytest.raises(ValueError, match="kinds: expected some of plain, bottleneck"):
        Chain(kinds=("plain", "dense"))
    with pytest.raises(ValueError, match="kernels: expected odd sizes, got 4"):
        Chain(kernels=(3, 4))
    with pytest.raises(ValueError, match="widths: expected a whole number >= 1, got 0"):
        Chain(widths=(0, 4))
    with pytest.raises(ValueError, match=r"config\['kind1'\]"):
        CHAIN.cost({"depth": 1, "kind1": "x", "kernel1": 3, "width1": 4}, 8, 8)
