"""The reference pages of the site hold what the code declares and exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from paincast.settings import TrainingSettings

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass
class Inner:
    """Inner settings."""

    share: float = field(default=0.5, metadata={"range": (0, 1), "meaning": "Share kept."})
    kind: str | None = field(default=None, metadata={"range": ("one", "two")})
    many: list[int] = field(default_factory=lambda: list(range(100)))


@dataclass
class Outer:
    """Outer settings."""

    inner: Inner = field(default_factory=Inner)
    on: bool = field(default=True, metadata={"range": "any"})


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return import_module("reference_pages")


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return import_module("cross_references")


def list_names(settings: object, prefix: str = "") -> Iterator[str]:
    for declared in dataclasses.fields(settings):
        value = getattr(settings, declared.name)
        if dataclasses.is_dataclass(value):
            yield from list_names(value, f"{prefix}{declared.name}.")
        else:
            yield prefix + declared.name


def test_a_setting_shows_its_type_default_range_and_meaning(pages: ModuleType) -> None:
    sections = pages.list_sections(Outer)
    assert [(section.name, section.summary) for section in sections] == [
        ("", "Outer settings."),
        ("inner", "Inner settings."),
    ]
    assert [tuple(setting) for section in sections for setting in section.settings] == [
        ("on", "bool", "true", "any", ""),
        ("inner.share", "float", "0.5", "0 to 1", "Share kept."),
        ("inner.kind", "str | None", "null", "one, two", ""),
        ("inner.many", "list[int]", "100 items", "", ""),
    ]
    page = pages.format_settings(sections)
    assert "| `inner.kind` | `str \\| None` | `null` | one, two |  |" in page.splitlines()


def test_the_reference_names_every_setting_once(pages: ModuleType) -> None:
    listed = [setting.name for section in pages.list_sections(TrainingSettings) for setting in section.settings]
    assert sorted(listed) == sorted(list_names(TrainingSettings()))


def test_a_page_is_written_for_each_package_and_removed_with_it(pages: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "generated"
    pages.write_reference_pages(folder)
    (folder / "api_paincast.gone.md").touch()
    pages.write_reference_pages(folder)
    written = {page.name for page in folder.iterdir()}
    assert "api_paincast.gone.md" not in written
    assert {"settings.md", "api.md", "api_paincast.md", "api_paincast.settings.md"} <= written
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


def test_references_lead_to_the_package_that_exports(references: ModuleType) -> None:
    home = f"{TrainingSettings.__module__}.{TrainingSettings.__qualname__}"
    assert references.map_exports()[home] == "paincast.settings.TrainingSettings"
