"""The public face: what ``paincast.*`` offers, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import paincast
from paincast.errors import PaincastError

FUNCTIONS = {
    "predict",
    "load_model",
    "train",
    "ingest",
    "validate_patients",
    "evaluate",
    "simulate_cohort",
    "load_cohort",
    "plan",
}
ERRORS = {"PaincastError", "SettingsError", "DataError", "RefusalError", "LeakError", "OutputError"}


def test_every_public_name_is_there_and_listed():
    assert FUNCTIONS | ERRORS | {"ResponseClassifier", "Cohort", "Plan"} <= set(dir(paincast)) == set(paincast.__all__)
    for name in paincast.__all__:
        assert getattr(paincast, name) is not None
    assert all(issubclass(getattr(paincast, name), PaincastError) for name in ERRORS)


def test_type_checkers_see_every_public_name():
    tree = ast.parse(Path(paincast.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen | {"__version__"} == set(paincast.__all__)


def test_importing_the_package_imports_nothing_of_it_but_the_version():
    code = "import sys, paincast; print(*sorted(name for name in sys.modules if name.startswith('paincast')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["paincast", "paincast.version"]


def test_the_command_line_is_a_module():
    found = subprocess.run([sys.executable, "-m", "paincast", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"paincast {paincast.__version__}\n"
