"""Sphinx: the Markdown pages as they lie in the project, and the settings and the API read from the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from paincast import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "paincast"
author = "The paincast developers"
project_copyright = author
version = release = __version__

# The source folder is the project's root, so that links between README, docs/ and configs/ hold on a forge and here.
root_doc = "docs/index"
include_patterns = [
    *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"),
    *("docs/**.md", "docs/**.rst", "configs/mapping/README.md", "examples/README.md", "benchmarks/README.md"),
]
exclude_patterns = [
    *(".*", "src", "tests", "data", "models", "requirements", "build", "dist"),
    *("mlartifacts", "outputs", "multirun", "predictions", "reports", "docs/_build", "docs/_templates", "docs/site"),
]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
templates_path = [str(HERE / "_templates")]
nitpicky = True

myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

autodoc_typehints = "none"  # docstrings say types and shapes
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = f"paincast {__version__}"
html_extra_path = ["site"]  # the site's first page leads to docs/
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navbar_align": "left", "show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}


def setup(app: Sphinx) -> None:
    """Write the pages that are made from the code before the sources are read."""
    from cross_references import resolve_reference
    from reference_pages import write_reference_pages

    app.connect("config-inited", lambda *_: write_reference_pages(HERE / "_generated"))
    app.connect("missing-reference", resolve_reference)
    app.connect("autodoc-skip-member", skip_foreign)


def skip_foreign(_app: Sphinx, _kind: str, _name: str, member: object, _skip: bool, _options: object) -> bool | None:
    """Leave out what a library puts into our classes, and the rest to Sphinx."""
    home = getattr(member, "__module__", None)
    return True if isinstance(home, str) and home.partition(".")[0] != "paincast" else None
