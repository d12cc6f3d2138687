"""Docstrings of dnmf say of a parameter what it is in a sentence, behind its name; numpydoc expects a type there."""

import re

from sphinx.application import Sphinx

# A name, or some, at the left edge, and what there is to say.
SAID = re.compile(r"^(\w+(?:, \w+)*) : (.+)$")


def _move_below(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Put the sentence below its name, where numpydoc takes it for what it is. Changes `lines`, as Sphinx asks."""
    found = [(line, SAID.match(line)) for line in lines]
    lines[:] = [new for line, said in found for new in ((said[1], f"    {said[2]}") if said else (line,))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at every docstring before numpydoc does."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _move_below, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
