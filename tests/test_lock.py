"""The lock holds what pyproject.toml declares, for every Python it covers, with hashes and without addresses."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAMES = ("core", "dev", "build", "spark")
LOCKS = {name: (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8") for name in NAMES}
CORE = PYPROJECT["project"]["dependencies"]
EXTRAS = [text for texts in PYPROJECT["project"].get("optional-dependencies", {}).values() for text in texts]
GROUPS = PYPROJECT["dependency-groups"]
DECLARED = {"core": CORE, "dev": [*CORE, *GROUPS["dev"], *GROUPS["build"]]}
DECLARED |= {name: GROUPS[name] for name in ("build", "spark")}
PLATFORMS = [
    {
        "python_version": version,
        "python_full_version": f"{version}.4",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for version in ("3.11", "3.12")
    for system, machine in (("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64"))
]


def pins(lock: str) -> list[Requirement]:
    lines = LOCKS[lock].splitlines()
    return [Requirement(line.rstrip("\\ ")) for line in lines if line and not line.startswith((" ", "#"))]


def version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda held: f"{held['python_version']}-{held['sys_platform']}")
def test_every_declared_dependency_is_pinned_once_and_within_its_bounds(lock: str, platform: dict[str, str]) -> None:
    here = [pin for pin in pins(lock) if pin.marker is None or pin.marker.evaluate(platform)]
    for declared in map(Requirement, DECLARED[lock]):
        found = [pin for pin in here if canonicalize_name(pin.name) == canonicalize_name(declared.name)]
        assert len(found) == 1, f"{declared}: run 'make lock'"
        assert declared.specifier.contains(version(found[0])), f"{declared}: run 'make lock'"


@pytest.mark.parametrize("smaller", ["core", "build"])
def test_the_locks_hold_the_same_versions(smaller: str) -> None:
    in_dev = {(pin.name, version(pin)) for pin in pins("dev")}
    assert {(pin.name, version(pin)) for pin in pins(smaller)} <= in_dev


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_there_are_no_addresses(lock: str) -> None:
    entries = LOCKS[lock].replace("\\\n", "").splitlines()
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCKS[lock]


def test_the_build_backend_is_in_the_build_group() -> None:
    backend = {Requirement(text).name for text in PYPROJECT["build-system"]["requires"]}
    assert backend <= {pin.name for pin in pins("build")}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    homes = {
        "hydra": "hydra-core",
        "interpret": "interpret-core",
        "python_calamine": "python-calamine",
        "sklearn": "scikit-learn",
        "xgboost": "xgboost-cpu",
        "yaml": "pyyaml",
    }
    imported = set()
    for module in (ROOT / "src" / "paincast").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"paincast"}
    plugins = {"hydra-joblib-launcher", "psycopg"}  # Hydra and SQLAlchemy find them by themselves
    declared = {canonicalize_name(Requirement(text).name) for text in (*CORE, *EXTRAS)} - plugins
    assert {homes.get(name, name) for name in foreign} == declared
