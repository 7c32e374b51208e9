"""Where a search stands, and keeping it in a file."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from bojax.zero.island import Island
from bojax.zero.program import Program
from bojax.zero.search_space import SearchSpace
from bojax.zero.tasks import Tasks


@dataclasses.dataclass
class Search:
    """Where a search stands.

    Args:
        generators: of each island.
        own: of migrations.
        islands: and their populations.
        experiment: how often evolution was started anew.
        done: evaluations so far.
        spent: counts of earlier experiments.
        best: the best program by the tasks to select by.
        best_fitness: its fitness on the tasks to search on.
        best_selected: and on those to select by.
        looked_at: the experiment's best fitness when it was last tried on them.
        history: evaluations so far, and the best fitness of the experiment by then.
        seconds: how long it took so far.
    """

    generators: list[np.random.Generator]
    own: np.random.Generator
    islands: list[Island]
    experiment: int = 0
    done: int = 0
    spent: list[int] = dataclasses.field(default_factory=lambda: [0] * 7)
    best: Program | None = None
    best_fitness: float = -1.0
    best_selected: float = -1.0
    looked_at: float = -1.0
    history: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def fingerprint(
    tasks: Tasks, select: Tasks | None, space: SearchSpace, *others: Any
) -> str:
    """A hash of all that decides how a search goes."""
    digest = hashlib.sha256()
    for each in (tasks, select):
        if each is not None:
            for leaf in jax.tree.leaves(each):
                digest.update(np.ascontiguousarray(leaf).tobytes())
            digest.update(repr((each.kind, each.epochs, each.seed)).encode())
            if each.multiclass:
                digest.update(repr(each.num_classes).encode())
    start = None if space.start is None else str(space.start)
    plain = dataclasses.replace(space, start=None)
    digest.update(repr((plain, start, others)).encode())
    return digest.hexdigest()


_NUMBERS = (
    "experiment",
    "done",
    "spent",
    "best_fitness",
    "best_selected",
    "looked_at",
    "seconds",
)
_ARRAYS = [f for f in Island._fields if f not in ("forms", "behaviors")]


def save(path: pathlib.Path, name: str, search: Search) -> None:
    """Writes a search to a file, with the fingerprint of its configuration."""
    arrays = {}
    for i, each in enumerate(search.islands):
        for field in _ARRAYS:
            arrays[f"{i}.{field}"] = getattr(each, field)
        for field in ("forms", "behaviors"):
            for part, array in getattr(each, field)._asdict().items():
                arrays[f"{i}.{field}.{part}"] = array
    note = {
        "version": 1,
        "configuration": name,
        "generators": [each.bit_generator.state for each in search.generators],
        "own": search.own.bit_generator.state,
        "best": None if search.best is None else str(search.best),
        "history": search.history,
    }
    for field in _NUMBERS:
        note[field] = getattr(search, field)
    arrays["note"] = np.frombuffer(json.dumps(note).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


def load(path: pathlib.Path, name: str, search: Search, space: SearchSpace) -> Search:
    """Reads a search from a file, into one that has not begun.

    Raises:
        ValueError: if the file is none of ours or damaged, or of another configuration.
    """
    try:
        with path.open("rb") as file, np.load(file) as found:
            arrays = {key: found[key] for key in found.files}
        note = json.loads(arrays["note"].tobytes())
        configuration = note["configuration"]
    except Exception as error:  # of a damaged file: NumPy's, zipfile's, zlib's, ...
        raise ValueError(
            f"checkpoint: expected a file that evolve wrote, got {path}"
        ) from error
    if note.get("version") != 1 or configuration != name:
        raise ValueError(
            "checkpoint: expected one of the same tasks, search space and options, got "
            f"{path} of another configuration: name another file, or remove it"
        )
    for i, each in enumerate(search.islands):
        for field in _ARRAYS:
            getattr(each, field)[...] = arrays[f"{i}.{field}"]
        for field in ("forms", "behaviors"):
            for part, array in getattr(each, field)._asdict().items():
                array[...] = arrays[f"{i}.{field}.{part}"]
    for generator, state in zip(search.generators, note["generators"], strict=True):
        generator.bit_generator.state = state
    search.own.bit_generator.state = note["own"]
    search.best = None
    if note["best"] is not None:
        search.best = Program.parse(note["best"], space.memory)
    for field in _NUMBERS:
        setattr(search, field, note[field])
    search.history = [tuple(each) for each in note["history"]]
    return search
