"""Every notebook runs from its first cell to its last in a fresh kernel and draws its pictures again."""

import ast
import re
from base64 import b64decode
from difflib import SequenceMatcher
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Of a function in a notebook; what is longer belongs into dnmf.
LINES = 15


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _pictures(notebook):
    return [b64decode(o.data["image/png"]) for o in _outputs(notebook) if "image/png" in o.get("data", {})]


def _texts(notebook):
    return [output.text for output in _outputs(notebook) if output.output_type == "stream"]


def _slides(notebook):
    """Pictures of the cells with the tag "slide"."""
    tagged = [cell for cell in notebook.cells if "slide" in cell.metadata.get("tags", [])]
    return [b64decode(o.data["image/png"]) for c in tagged for o in c.outputs if "image/png" in o.get("data", {})]


def test_there_are_notebooks_and_each_is_in_the_gallery():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{number:02}_" for number in range(1, 14)]
    gallery = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert set(re.findall(r"notebooks/(\w+)", gallery)) == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_picture_in_the_gallery_is_the_notebooks(path):
    (slide,) = _slides(nbformat.read(path, as_version=4))
    assert (ROOT / "docs" / "gallery" / f"{path.stem}.png").read_bytes() == slide


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_function_of_a_notebook_is_long(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(re.sub(r"^%.*$", "", cell.source, flags=re.M) for cell in cells if cell.cell_type == "code")
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]
    assert all(node.end_lineno - node.lineno < LINES for node in functions)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_pictures_and_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(text) < 1_500_000
    assert len(_pictures(notebook)) >= 3
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.get("name") != "stderr" for output in _outputs(notebook))
    assert not any(re.search(r"/(home|root|tmp|work|Users)/|[A-Z]:\\|Warning", text) for text in _texts(notebook))


@pytest.mark.process
@pytest.mark.network
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_fresh_kernel(path):
    kept = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Where Jupyter starts it; it finds the recipes from there.
    where = {"metadata": {"path": str(path.parent)}}
    try:
        NotebookClient(fresh, timeout=240, kernel_name="python3", resources=where).execute()
    except CellExecutionError as error:
        if "was not fetched" in str(error):
            pytest.skip("a package is out of reach")
        raise
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in _outputs(fresh))
    pictures = _pictures(fresh)
    assert len(pictures) == len(_pictures(kept))
    for picture in pictures:
        with Image.open(BytesIO(picture)) as image:
            assert np.asarray(image.convert("L")).std() > 5
    # Numbers may differ in their last digit from one kind of CPU to another, and seconds altogether; what is named by
    # its rank (words, genes, languages) may then trade places. What is told around them may not change.
    told = [re.sub(r" *[\d.,e+-]+", " # ", " ".join(_texts(notebook))).split() for notebook in (kept, fresh)]
    assert SequenceMatcher(None, *told, autojunk=False).ratio() > 0.9
