"""The page on the architecture says what the code is: every module is named, and the floors are those enforced."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def house() -> ModuleType:
    pytest.importorskip("grimp")
    spec = importlib.util.spec_from_file_location("house", ROOT / "docs" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_imports_say(house: ModuleType) -> None:
    page = house.PAGE.read_text(encoding="utf-8")
    assert page == house.replace_house(page, house.write_house()), "run: python docs/house.py"


def test_every_module_is_on_the_page(house: ModuleType) -> None:
    page = house.PAGE.read_text(encoding="utf-8")
    for path in (ROOT / "src" / "paincast").rglob("*.py"):
        if path.stem == "__init__":
            assert path.parent.name == "paincast" or f"**{path.parent.name}/**" in page
        else:
            assert f"`{path.name}`" in page or f"**{path.name}**" in page, path


def test_no_room_has_more_than_twelve_modules() -> None:
    rooms = [path.parent for path in (ROOT / "src" / "paincast").rglob("__init__.py")]
    counts = {str(room.relative_to(ROOT)): len([*room.glob("*.py")]) - 1 for room in rooms}
    assert {room: count for room, count in counts.items() if count > 12} == {}
