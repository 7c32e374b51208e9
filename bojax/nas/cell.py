"""Micro spaces: a small graph with operations on its edges, repeated."""

import itertools
from typing import TYPE_CHECKING

from bojax.nas import sums
from bojax.nas.base import Architectures, Config, Cost, Graph, count
from bojax.space import Categorical, Space

if TYPE_CHECKING:
    from flax import nnx

OPERATIONS = ("none", "skip", "conv1", "conv3", "pool3")


class Cell(Architectures):
    """Nodes in a row, an operation on the edge from each to each later one, summed.

    A node is the sum of what comes in; the first is the cell's input, the last its
    output. The network is a convolution, the cell several times over, the mean over
    the image, and a dense layer. With four nodes and the five operations this is the
    space of NAS-Bench-201.

    Args:
        nodes: the cell's input and output among them.
        operations: some of "none", "skip", "conv1", "conv3" and "pool3" (a mean).
        repeats: how many cells there are.
        channels: of every node.
        inputs: channels of an image.
        classes: what it is classified into.

    Attributes:
        space: one choice for each edge, named after its ends, such as `edge01`.

    Raises:
        ValueError: if a count is not positive, there are under two nodes, or an
            operation is unknown or named twice.

    Example:
        >>> cell = Cell(nodes=3)
        >>> config = {"edge01": "conv3", "edge02": "skip", "edge12": "none"}
        >>> cell.canonical(config), len(cell.neighbors(config))
        ('x', 12)

    References:
        Dong and Yang (2020), NAS-Bench-201, section 2.
    """

    def __init__(
        self,
        nodes: int = 4,
        operations: tuple[str, ...] = OPERATIONS,
        repeats: int = 1,
        channels: int = 16,
        inputs: int = 1,
        classes: int = 10,
    ):
        if count("nodes", nodes) < 2:
            raise ValueError(f"nodes: expected at least 2, got {nodes}")
        for operation in operations:
            if operation not in OPERATIONS:
                raise ValueError(
                    f"operations: expected some of {', '.join(OPERATIONS)}, "
                    f"got {operation!r}"
                )
        self.nodes = nodes
        self.operations = tuple(operations)
        self.repeats = count("repeats", repeats)
        self.channels = count("channels", channels)
        self.inputs = count("inputs", inputs)
        self.classes = count("classes", classes)
        self.edges = tuple(itertools.combinations(range(nodes), 2))
        self.space = Space(
            {_name(i, j): Categorical(*self.operations) for i, j in self.edges}
        )

    def useful(self, config: Config) -> dict[tuple[int, int], str]:
        """The edges on a way from input to output, and their operations.

        Raises:
            ValueError: if the configuration is not of the space, or there is no way.
        """
        self.space.encode(config)
        given = {
            (i, j): config[_name(i, j)]
            for i, j in self.edges
            if config[_name(i, j)] != "none"
        }
        ahead, behind = {0}, {self.nodes - 1}
        for i, j in sorted(given):
            if i in ahead:
                ahead.add(j)
        for i, j in sorted(given, reverse=True):
            if j in behind:
                behind.add(i)
        kept = {edge: op for edge, op in given.items() if set(edge) <= ahead & behind}
        if not kept:
            raise ValueError(
                f"config: expected a path from input to output, got {config}"
            )
        return kept

    def canonical(self, config: Config) -> str:
        """What the cell computes: a sum of operations on sums, in an order of its own.

        Isomorphic cells are equal, edges that lead nowhere do not count, and a skip is
        nothing but its node. An operation that is read twice is not two operations,
        which have weights of their own; two means of the same are one.
        """
        return sums.canonical(sums.of_edges(self.useful(config), self.nodes - 1))

    def graph(self, config: Config) -> Graph:
        """A node for each useful operation; edges where one reads the other."""
        edges = sorted(self.useful(config).items())
        last = len(edges) + 1
        labels = ("input", *(op for _, op in edges), "output")
        arcs = []
        for number, ((i, j), _) in enumerate(edges, 1):
            if i == 0:
                arcs.append((0, number))
            if j == self.nodes - 1:
                arcs.append((number, last))
            arcs += [
                (number, other)
                for other, ((start, _), _) in enumerate(edges, 1)
                if start == j
            ]
        return Graph(labels, tuple(sorted(arcs)))

    def cost(self, config: Config, height: int, width: int) -> Cost:
        """Of the stem, the useful edges of each cell, and the dense layer."""
        from bojax.nas.blocks import Convolution

        c = self.channels
        layers = [Convolution(3, self.inputs, c)]
        for operation in self.useful(config).values():
            if operation.startswith("conv"):
                layers += [Convolution(int(operation[4:]), c, c)] * self.repeats
        dense = c * self.classes
        return Cost(
            sum(layer.parameters for layer in layers) + dense + self.classes,
            sum(layer.weights for layer in layers) * height * width + dense,
        )

    def build(self, config: Config, rngs: "nnx.Rngs") -> "nnx.Module":
        """The network; it is in training mode until its `eval` is called."""
        from bojax.nas.networks import CellNetwork

        return CellNetwork(
            self.useful(config),
            self.nodes,
            self.repeats,
            (self.inputs, self.channels, self.classes),
            rngs,
        )


def _name(i: int, j: int) -> str:
    return f"edge{i}{j}" if j < 10 else f"edge{i}_{j}"
