"""What every space of architectures offers besides being a space."""

import abc
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bojax.space import Space

if TYPE_CHECKING:
    from flax import nnx

Config = dict[str, Any]
"""An architecture: a configuration of its space."""


class Graph(NamedTuple):
    """A directed acyclic graph of operations.

    Args:
        labels: the operation of each node; the first is the input, the last the output.
        edges: from node to node.
    """

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]


class Cost(NamedTuple):
    """What an architecture takes, without building it.

    Args:
        parameters: weights that are trained.
        multiply_adds: of convolutions and dense layers, for one image.
    """

    parameters: int
    multiply_adds: int


class Architectures(abc.ABC):
    """A space of architectures: a `bojax.Space`, and what an architecture is."""

    space: Space

    @abc.abstractmethod
    def canonical(self, config: Config) -> str:
        """The same text for architectures that compute the same functions."""

    @abc.abstractmethod
    def graph(self, config: Config) -> Graph:
        """The architecture's operations and what passes between them."""

    @abc.abstractmethod
    def cost(self, config: Config, height: int, width: int) -> Cost:
        """Parameters and multiply-adds, exactly, for images of this size."""

    @abc.abstractmethod
    def build(self, config: Config, rngs: "nnx.Rngs") -> "nnx.Module":
        """The network: `[n, height, width, channels]` to logits `[n, classes]`."""

    def neighbors(self, config: Config) -> list[Config]:
        """Every architecture that one changed choice leads to.

        What comes to exist by the change takes the value in the middle of its column.
        """
        space = self.space
        x = np.asarray(space.encode(config))
        found = {}
        for j in np.flatnonzero(space.active(x)).tolist():
            for level in _levels(space, j):
                other = x.copy()
                other[j] = level
                other = np.asarray(space.project(other))
                if not np.allclose(other, x):
                    found[other.tobytes()] = space.decode(other)
        return list(found.values())


def count(name: str, value: Any) -> int:
    """The argument, if it is a positive whole number."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: expected a whole number >= 1, got {value!r}")
    return int(value)


def _levels(space: Space, j: int) -> np.ndarray:
    levels = space.levels[j]
    return np.zeros(0) if levels is None else levels
