"""Sphinx makes a site of the pages in this folder: `make docs`, or `python -m sphinx -n -W docs docs/_build`."""

from __future__ import annotations

import runpy
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from phasecal import __version__

HERE = Path(__file__).parent

project = "phasecal"
author = copyright = "phasecal developers"
version = release = __version__
extensions = ["myst_nb", "sphinx_click", "sphinx_copybutton"]
exclude_patterns = ["_build", "jupyter_execute"]  # where Sphinx and myst-nb write
html_theme = "furo"
html_title = f"phasecal {version}"
html_copy_source = False
pygments_style = "friendly"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # a notebook needs a record; tests/system/test_calibration.py executes it with one
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_math_renderer = "mathml"


def write_mathml(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers draw themselves: Sphinx's own choice loads a script from elsewhere."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register what Sphinx has no setting for."""
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))
    runpy.run_path(str(HERE / "generated.py"))["write"]()
