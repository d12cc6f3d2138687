"""Every notebook runs from its first cell to its last in a fresh kernel and draws its pictures again."""

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _pictures(notebook):
    return [b64decode(o.data["image/png"]) for o in _outputs(notebook) if "image/png" in o.get("data", {})]


def _texts(notebook):
    return [output.text for output in _outputs(notebook) if output.output_type == "stream"]


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == ["01_gaussians.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_pictures_and_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(text) < 1_500_000
    assert len(_pictures(notebook)) >= 5
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.get("name") != "stderr" for output in _outputs(notebook))
    assert not any(re.search(r"/(home|root|tmp|work|Users)/|[A-Z]:\\|Warning", text) for text in _texts(notebook))


@pytest.mark.process
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_fresh_kernel(path):
    kept = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(fresh, timeout=240, kernel_name="python3").execute()
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in _outputs(fresh))
    pictures = _pictures(fresh)
    assert len(pictures) == len(_pictures(kept))
    for picture in pictures:
        with Image.open(BytesIO(picture)) as image:
            assert np.asarray(image.convert("L")).std() > 5
    # Numbers may differ in their last digit from one kind of CPU to another; sentences may not.
    words = [[re.sub(r"[\d.,e+-]+", "#", text) for text in _texts(notebook)] for notebook in (kept, fresh)]
    assert words[0] == words[1]
