"""Formulas as MathML, which browsers draw by themselves: neither a script nor a font nor a network is needed.

docutils makes MathML of LaTeX, and raises for what it does not know.
"""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def _inline(page: HTML5Translator, node: nodes.Element) -> None:
    page.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _display(page: HTML5Translator, node: nodes.Element) -> None:
    page.body.append(f"{page.starttag(node, 'div', CLASS='formula')}{tex2mathml(node.astext(), as_block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
