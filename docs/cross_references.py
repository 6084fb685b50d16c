"""Lead references in docstrings to the page of what is exported, and warn of those to names that are gone.

A docstring names things where they are defined; their pages are under the package that exports them. What no
package exports has no page: it is shown as code. Whatever else is left unresolved is a warning, and fails the build.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from reference_pages import map_exports

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment


def resolve_reference(
    _app: Sphinx, environment: BuildEnvironment, node: pending_xref, content: Element
) -> Element | None:
    """Resolve what Sphinx could not, or give None, which makes it warn."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    exported = map_exports().get(target)  # the name of its page
    if exported is not None:
        domain = environment.domains.python_domain
        return domain.resolve_xref(environment, node["refdoc"], environment.app.builder, "obj", exported, node, content)
    return content if is_defined(target) else None


@cache
def is_defined(name: str) -> bool:
    """Whether some module has this name: the full one, or one that stands for itself in the module it is used in."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        return has_path(found, parts[cut:])
    ours = [module for key, module in sorted(sys.modules.items()) if key.partition(".")[0] == "paincast"]
    return any(has_path(module, parts) for module in ours)


def has_path(value: object, attributes: list[str]) -> bool:
    """Whether attributes follow one another from a value."""
    for attribute in attributes:
        if not hasattr(value, attribute):
            return attribute in getattr(value, "__annotations__", {})
        value = getattr(value, attribute)
    return True
