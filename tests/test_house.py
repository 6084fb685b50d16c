"""The habits of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "src" / "paincast").rglob("*.py"))
OTHER_YAML = ("dvc.yaml", "CITATION.cff", ".pre-commit-config.yaml", ".github/workflows/ci.yml")
YAML_FILES = sorted([*(ROOT / "configs").rglob("*.yaml"), *(ROOT / name for name in OTHER_YAML)])
HEAVY = ("pandas", "numpy", "sklearn", "xgboost", "shap", "mlflow", "hydra", "matplotlib")
UNNAMED_HOMES = {"utils", "helpers", "common", "core", "misc"}

# Bracketed letters keep this file from holding what it looks for.
FORBIDDEN = re.compile(
    r"(?<![\w.])/(wor[k]|tm[p]|roo[t]|hom[e]|User[s])/"  # a folder of one machine
    r"|py[p]i\.o|python[h]osted|deb\.de[b]ian|registry\.n[p]m"  # a registry's address: the client knows it
    r"|far[m]-(bench|studio)|\bthis sessio[n]\b|\bcoding (agen[t]|assistan[t])\b",  # how the work was done
    re.IGNORECASE,
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def function_lengths(module: Path) -> dict[str, int]:
    """Count the lines of each function below its docstring."""
    lengths = {}
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            lengths[node.name] = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
    return lengths


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_modules_stay_short(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_functions_stay_short(module: Path) -> None:
    assert {name: length for name, length in function_lengths(module).items() if length > 60} == {}


def test_every_error_has_a_code_of_its_own() -> None:
    family = {"SettingsError", "DataError", "RefusalError", "LeakError", "OutputError", "PaincastError", "error"}
    family.add("RequestError")
    codes: list[str] = []
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in family:
                given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
                assert given, f"{name_of(module)}:{call.lineno} raises without a code"
                codes += [value.value for value in given if isinstance(value, ast.Constant)]
    assert len(codes) > 250
    assert sorted(codes) == sorted(set(codes))
    assert [code for code in codes if not re.fullmatch(r"PC-[A-Z-]+-\d{2,3}", code)] == []


@pytest.mark.slow
def test_most_functions_are_very_short() -> None:
    lengths = [length for module in MODULES for length in function_lengths(module).values()]
    assert statistics.median(lengths) <= 12


def test_modules_are_named_for_what_they_hold() -> None:
    assert [name_of(module) for module in MODULES if module.stem in UNNAMED_HOMES] == []


def test_nothing_of_one_machine_or_of_the_work_is_in_the_project() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so nobody knows which files belong to the project")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        lines = content.decode("utf-8", errors="ignore").splitlines()
        found += [f"{name}:{number}" for number, line in enumerate(lines, 1) if FORBIDDEN.search(line)]
    assert found == []


def test_importing_the_package_costs_nothing_and_says_nothing() -> None:
    check = f"import sys, paincast; sys.exit(','.join(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr.strip()) == ("", "")


@pytest.mark.parametrize("file", YAML_FILES, ids=name_of)
def test_yaml_is_well_formed(file: Path) -> None:
    assert yaml.safe_load(file.read_text(encoding="utf-8")) is not None


def test_the_folders_of_the_fast_tests_are_there() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    listed = re.search(r"^FAST_TESTS \?= (.*)$", text, re.MULTILINE)
    assert listed is not None
    assert [path for path in listed[1].split() if not (ROOT / path).exists()] == []
