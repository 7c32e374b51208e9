"""Every notebook runs from top to bottom and was committed as it ran.

`make test-long` runs them in smoke mode, with fewer steps. With `BOJAX_SMOKE=0` they
run in full, and what they print and draw has to be what was committed:

    BOJAX_SMOKE=0 python -m pytest -m long tests/test_notebooks.py

After a change, write the new outputs with

    jupyter execute --inplace --NotebookClient.record_timing=False notebooks/NAME.ipynb
"""

import base64
import io
import os
import pathlib
from collections.abc import Iterator

import matplotlib.image
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SMOKE = os.environ.get("BOJAX_SMOKE", "1")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: pathlib.Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        output.text
        for cell in code(notebook)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    ]


def pictures(notebook: nbformat.NotebookNode) -> Iterator[np.ndarray]:
    for cell in code(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                png = base64.b64decode(output.data["image/png"])
                yield matplotlib.image.imread(io.BytesIO(png))


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_it_opens_with_a_question_and_ends_with_a_picture(path: pathlib.Path):
    notebook = read(path)
    title = notebook.cells[0].source.splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?")
    *_, last = (cell for cell in code(notebook) if cell.outputs)
    assert "image/png" in last.outputs[-1].data


@each_notebook
def test_it_was_committed_as_it_ran(path: pathlib.Path):
    cells = code(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}
    assert all(output.get("name") != "stderr" for output in outputs)
    assert path.stat().st_size < 1.5e6


@pytest.mark.long
@each_notebook
def test_it_runs(path: pathlib.Path, tmp_path: pathlib.Path):
    committed, notebook = read(path), read(path)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(
        env={
            **os.environ,
            "BOJAX_SMOKE": SMOKE,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), os.environ.get("PYTHONPATH", "")]
            ),
        }
    )
    assert len(list(pictures(notebook))) == len(list(pictures(committed)))
    if SMOKE == "0":
        assert texts(notebook) == texts(committed)
        for new, old in zip(pictures(notebook), pictures(committed), strict=True):
            assert new.shape == old.shape
            assert np.mean(np.abs(new - old)) < 1e-3
