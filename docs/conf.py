"""The documentation as a site: `sphinx-build -W --keep-going docs html`, in a checkout with the extra `docs`.

Nothing is fetched while it is built or read: formulas are MathML, notebooks are shown with the pictures that are kept
in them (tests run them), and there are no inventories of other projects.
"""

import sys
from pathlib import Path

from sphinx.addnodes import pending_xref

import dnmf

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "dnmf"
author = project_copyright = "The dnmf developers"
version = release = dnmf.__version__

extensions = [
    "mathml",
    "sentences",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
]
exclude_patterns = ["_extensions"]
smartquotes = False  # "--out" is no dash

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"

default_role = "code"  # of docstrings, where `X` is a name in code
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say what a value is, with its shape and unit
autosummary_generate = False
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "dnmf"
html_static_path = ["_static"]
html_css_files = ["dnmf.css"]
html_show_sourcelink = False
html_sidebars = {"faq": [], "install": []}  # they have no pages beside them
html_math_renderer = "mathml"
html_theme_options = {
    "header_links_before_dropdown": 9,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"gallery": [], "**": ["page-toc"]},  # its table is wide
    "show_toc_level": 2,
}


def _link_notebooks_here(app, doctree):
    """Pages link to ../notebooks/, where notebooks are in a checkout; the site has them as notebooks/, by a link."""
    for link in doctree.findall(pending_xref):
        target = Path(link.get("reftarget") or "")
        if target.parent == Path(app.srcdir, "notebooks").resolve():
            link["reftarget"] = f"notebooks/{target.name}"


def setup(app):
    """Look at every page when it has been parsed."""
    app.connect("doctree-read", _link_notebooks_here)
