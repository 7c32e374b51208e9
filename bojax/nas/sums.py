"""Sums of operations on sums: what a cell computes, and when two are the same."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple


class Sums(NamedTuple):
    """A sum of terms, of which each is the input or an operation on another such sum.

    Args:
        operations: each with the terms that it reads: 0 the input, k the k-th
            operation, from 1; it reads earlier ones only.
        output: the terms of the whole.
    """

    operations: tuple[tuple[str, tuple[int, ...]], ...]
    output: tuple[int, ...]


def of_edges(edges: dict[tuple[int, int], str], last: int) -> Sums:
    """What the last node computes, with each node the sum of what comes in.

    A skip is nothing but its node. An operation without weights that reads what
    another one of its kind reads is that other one.
    """
    operations: list[tuple[str, tuple[int, ...]]] = []
    values: dict[int, tuple[int, ...]] = {0: (0,)}
    for node in range(1, last + 1):
        terms: list[int] = []
        for (i, j), name in sorted(edges.items()):
            if j != node:
                continue
            if name == "skip":
                terms += values[i]
                continue
            operation = (name, values[i])
            if name.startswith("conv") or operation not in operations:
                operations.append(operation)
                terms.append(len(operations))
            else:
                terms.append(operations.index(operation) + 1)
        values[node] = tuple(sorted(terms))
    return Sums(tuple(operations), values[last])


def canonical(sums: Sums) -> str:
    """The same text for sums that differ in the order of their operations only.

    Operations are written one by one, each time the least that reads only what is
    written; where several are as little, all ways are gone, and the least text counts.

    Example:
        >>> canonical(of_edges({(0, 1): "conv3", (1, 2): "skip"}, 2))
        '1=conv3(x); 1'
    """
    colors = _colors(sums)
    return min(_texts(sums, colors, {0: 0}, []))


def _colors(sums: Sums) -> list[str]:
    """Of each operation, what it is made of and what is made of it."""
    made_of: list[str] = []
    for name, terms in sums.operations:
        inner = sorted(made_of[k - 1] if k else "x" for k in terms)
        made_of.append(_digest(name, *inner))
    count = len(made_of)
    colors = [""] * count
    for k in range(count, 0, -1):
        readers = sorted(
            _digest(colors[j], str(terms.count(k)))
            for j, (_, terms) in enumerate(sums.operations)
            if k in terms
        )
        colors[k - 1] = _digest(made_of[k - 1], str(sums.output.count(k)), *readers)
    return colors


def _texts(
    sums: Sums, colors: list[str], number: dict[int, int], written: list[str]
) -> Iterator[str]:
    """The texts of every order in which the least comes first."""

    def total(terms: tuple[int, ...]) -> str:
        return "+".join(str(n) if n else "x" for n in sorted(number[k] for k in terms))

    if len(number) > len(sums.operations):
        yield "; ".join([*written, total(sums.output)])
        return
    ready = {
        k: (name, total(terms), colors[k - 1])
        for k, (name, terms) in enumerate(sums.operations, 1)
        if k not in number and all(term in number for term in terms)
    }
    least = min(ready.values())
    for k, key in ready.items():
        if key == least:
            line = f"{len(number)}={key[0]}({key[1]})"
            yield from _texts(sums, colors, number | {k: len(number)}, [*written, line])


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
