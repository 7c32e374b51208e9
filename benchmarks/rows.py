"""Runs on disk, appended as they finish: an interrupted benchmark loses none."""

import csv
import io
import pathlib
from collections.abc import Iterable, Sequence


def read(path: pathlib.Path) -> list[dict[str, str]]:
    """All whole rows, by field; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        # What was torn off lacks its last fields.
        return [row for row in csv.DictReader(stream) if None not in row.values()]


def append(path: pathlib.Path, fields: Sequence[str], *rows: Iterable[object]) -> None:
    """Adds rows, under the names of the fields if the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not before:
        writer.writerow(fields)
    elif not before.endswith(b"\n"):
        # A row was torn off: what follows is not to become part of it.
        text.write("\n")
    writer.writerows(rows)
    with path.open("a", newline="") as stream:
        stream.write(text.getvalue())
