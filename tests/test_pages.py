"""What the pages say is so: examples run, commands are ones that dnmf takes, the README's links lead somewhere.

Links inside docs/ are checked where the site is built.
"""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

import dnmf
from dnmf.cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = {str(page.relative_to(ROOT)): page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
# A cluster of its own; scikit-learn's iterations until they are done.
SLOW = ("docs/guide/clusters.md", "docs/guide/scikit-learn.md")

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?: {4}|\$ )(?:.*&& )?dnmf ([a-z]+\b[^&\n]*)", re.MULTILINE)


def _with(pattern: re.Pattern[str]) -> list[str]:
    return [name for name, page in PAGES.items() if pattern.search(page.read_text(encoding="utf-8"))]


def _marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.process) if name in SLOW else name


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """What is there before the first example of a page, with a run that most of them go on with."""
    folder = tmp_path_factory.mktemp("pages")
    X = np.random.default_rng(0).random((60, 30))
    for name in ("X.zarr", "NEW.zarr"):
        zarr.create_array(str(folder / name), data=X)
    dnmf.factorize(folder / "X.zarr", rank=20, out=folder / "run.zarr")
    return folder


@pytest.mark.parametrize("name", [_marked(name) for name in _with(BLOCK)])
def test_the_examples_of_a_page_run_one_after_the_other(name, before, tmp_path, monkeypatch):
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    page = PAGES[name].read_text(encoding="utf-8")
    if 'out="run.zarr"' in page:
        shutil.rmtree("run.zarr")
    space: dict[str, object] = {}
    for block in BLOCK.finditer(page):
        line = page.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], name, "exec"), space)


@pytest.mark.parametrize("name", _with(COMMAND))
def test_the_commands_of_a_page_are_ones_that_dnmf_takes(name):
    for command in COMMAND.findall(PAGES[name].read_text(encoding="utf-8")):
        verb, *words = shlex.split(command, comments=True)
        cli.commands[verb].make_context(verb, words)


def test_the_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)", PAGES["README.md"].read_text(encoding="utf-8"))
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []
