"""The reference pages of the site hold what the code declares and exports, and the Python of all pages runs."""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import paincast
import paincast.training
from paincast.settings import TrainingSettings, list_settings
from paincast.settings.declare import setting

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITH_PYTHON = [
    page
    for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "examples" / "README.md")
    if BLOCK.search(page.read_text(encoding="utf-8"))
]


@dataclass
class Inner:
    """Inner settings."""

    share: float = setting(0.5, "Share kept.", at_least=0, at_most=1)
    kind: str | None = setting(None, "Kind | none.", one_of=("one", "two"))
    many: list[int] = setting([*range(100)], "Many.")


@dataclass
class Outer:
    """Outer settings."""

    inner: Inner = field(default_factory=Inner)
    on: bool = setting(True, "Whether it is on.")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return import_module("reference_pages")


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return import_module("cross_references")


def test_a_setting_shows_its_type_default_range_and_meaning(pages: ModuleType) -> None:
    page = pages.format_settings(Outer)
    assert re.findall(r"^(\w+)\n-+\n\n(.*)$", page, re.MULTILINE) == [
        ("General", "Outer settings."),
        ("inner", "Inner settings."),
    ]
    shown = re.findall(
        r"confval:: (\S+)\n +:type: ``(.+)``\n +:default: ``(.+)``\n\n +(.+)\n(?:\n +Allowed: (.+))?", page
    )
    assert shown == [
        ("on", "bool", "true", "Whether it is on.", ""),
        ("inner.share", "float", "0.5", "Share kept.", "0 to 1"),
        ("inner.kind", "str | None", "null", r"Kind \| none.", "one, two"),
        ("inner.many", "list[int]", "100 items", "Many.", ""),
    ]


def test_the_reference_names_every_setting_once(pages: ModuleType) -> None:
    named = re.findall(r"^.. confval:: (\S+)$", pages.format_settings(TrainingSettings), re.MULTILINE)
    assert sorted(named) == sorted(setting.name for setting in list_settings(TrainingSettings))


def test_a_page_is_written_for_each_package_and_removed_with_it(pages: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "generated"
    pages.write_reference_pages(folder)
    (folder / "api_paincast.gone.md").touch()
    pages.write_reference_pages(folder)
    written = {page.name for page in folder.iterdir()}
    assert "api_paincast.gone.md" not in written
    assert {"settings.rst", "api.md", "api_paincast.md", "api_paincast.settings.md"} <= written
    assert "   predict" in (folder / "api_paincast.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("paincast.settings.TrainingSettings", True),
        ("paincast.settings.TrainingSettings.seed", True),
        ("TrainingSettings", True),
        ("paincast.settings.no_such_setting", False),
        ("paincast.no_such_room.function", False),
        ("no_such_function", False),
    ],
)
def test_references_to_names_that_are_gone_are_known(references: ModuleType, name: str, is_there: bool) -> None:
    assert references.is_defined(name) is is_there


def test_references_lead_to_the_package_that_exports(pages: ModuleType) -> None:
    assert pages.map_exports()[pages.find_home(TrainingSettings)] == "paincast.settings.TrainingSettings"


def test_what_two_packages_export_has_one_page(pages: ModuleType) -> None:
    assert pages.map_exports()[pages.find_home(paincast.train)] == "paincast.train"
    assert ":py:obj:`paincast.train`" in pages.format_package(paincast.training)
    assert "   train" not in pages.format_package(paincast.training).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that holds what the pages speak of: models, and a file of patients."""
    with zipfile.ZipFile(ROOT / "tests" / "golden" / "bundles" / "format2.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / "linear").rename(tmp_path / "models")
    shutil.copy(ROOT / "examples" / "patients.csv", tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)
