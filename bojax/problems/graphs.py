"""A synthetic problem on graphs, of which every value is known."""

import itertools

import numpy as np

from bojax.problems.tables import Table
from bojax.space import Categorical, Space

_EPISTASIS = 0.5


def graph(nodes: int = 4, operations: int = 5, seed: int = 0) -> Table:
    """Choose an operation for each edge between nodes in a row.

        y = -mean over edges of s[edge, operation] - 1/2 [all edges from node 0 have w]

    The scores s are uniform draws from 0 to 1. The second term is had only where all
    edges from the first node have the operation w, the one of least total score there:
    what each edge is best at by itself does not lead to it.

    Args:
        nodes: in a row; there is an edge from each to each later one.
        operations: that an edge may have.
        seed: of the scores.

    Returns:
        A table of one repeat, without noise; its `optimum` is exact.

    Raises:
        ValueError: if there are under two of either, or more than a million graphs.

    Example:
        >>> table = graph(nodes=3, operations=2)
        >>> table.space.names, int(table.space.size)
        (('edge01', 'edge02', 'edge12'), 8)
    """
    for name, count in (("nodes", nodes), ("operations", operations)):
        if count < 2:
            raise ValueError(f"{name}: expected at least 2, got {count}")
    edges = list(itertools.combinations(range(nodes), 2))
    if operations ** len(edges) > 1_000_000:
        raise ValueError(
            "nodes: expected at most a million graphs, got "
            f"{operations} ** {len(edges)}"
        )
    scores = np.random.default_rng(seed).uniform(size=(len(edges), operations))
    axes = np.ix_(*scores)
    total = sum(axes, np.zeros(()))
    value = -total / len(edges)
    first = [c for c, (i, _) in enumerate(edges) if i == 0]
    worst = int(np.argmin(scores[first].sum(axis=0)))
    index = tuple(worst if c in first else slice(None) for c in range(len(edges)))
    value[index] -= _EPISTASIS
    names = [f"op{k}" for k in range(operations)]
    space = Space(
        {
            f"edge{i}{j}" if j < 10 else f"edge{i}_{j}": Categorical(*names)
            for i, j in edges
        }
    )
    return Table(space, value[None])
