"""Write the part of ARCHITECTURE.md that is read from the code: every floor, room and module, and who imports whom.

``python docs/house.py`` writes it anew; tests/test_architecture.py says when it is out of date.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "ARCHITECTURE.md"
START, END = "<!-- house: written by docs/house.py -->\n", "<!-- end of house -->\n"


def read_floors() -> list[list[str]]:
    """Read the floors that import-linter enforces, the roof first: the names of what stands on each."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def path_of(module: str) -> Path:
    """Where a module or a room lies, without its suffix."""
    return ROOT / "src" / Path(*module.split("."))


def is_room(module: str) -> bool:
    """Whether a name is that of a package."""
    return (path_of(module) / "__init__.py").is_file()


def describe_module(module: str) -> str:
    """Read the first sentence of a module's docstring."""
    file = path_of(module) / "__init__.py" if is_room(module) else path_of(module).with_suffix(".py")
    text = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return " ".join(text.split())


def list_modules(room: str) -> list[str]:
    """List the modules of a room, those of its inner rooms behind its own; a room's own name is not among them."""
    folder = path_of(room)
    own = [f"{room}.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    inner = sorted(path.name for path in folder.iterdir() if (path / "__init__.py").is_file())
    return own + [module for name in inner for module in [f"{room}.{name}", *list_modules(f"{room}.{name}")]]


def reduce_imports(floors: list[list[str]]) -> dict[str, list[str]]:
    """Find which rooms each room imports itself, without those that it reaches through another."""
    graph = grimp.build_graph("paincast")
    names = [name for floor in floors for name in floor]
    direct: dict[str, set[str]] = {name: set() for name in names}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = [module.split(".")[1] if "." in module else "" for module in (importer, imported)]
            if pair[0] in direct and pair[1] in direct and pair[0] != pair[1]:
                direct[pair[0]].add(pair[1])
    reached: dict[str, set[str]] = {}
    for name in reversed(names):
        reached[name] = direct[name].union(*(reached.get(below, set()) for below in direct[name]))
    return {
        name: sorted(
            below for below in direct[name] if not any(below in reached[other] for other in direct[name] - {below})
        )
        for name in names
    }


def write_house() -> str:
    """Compose the floors with their rooms and modules, and what each room imports, as Markdown."""
    floors, lines = read_floors(), []
    below = reduce_imports(floors)
    for number, floor in zip(range(len(floors) - 1, -1, -1), floors, strict=True):
        lines += [f"### Floor {number}", ""]
        for name in floor:
            top = f"paincast.{name}"
            imports = f" Imports {', '.join(below[name])}." if below[name] else ""
            lines.append(f"- **{name}{'/' if is_room(top) else '.py'}**: {describe_module(top)}{imports}")
            for module in list_modules(top) if is_room(top) else []:
                depth = module.count(".") - 1
                stem = module.rpartition(".")[2]
                title = f"**{stem}/**" if is_room(module) else f"`{stem}.py`"
                lines.append(f"{'  ' * depth}- {title}: {describe_module(module)}")
        lines.append("")
    return "\n".join(lines)


def replace_house(page: str, house: str) -> str:
    """Put the house between its two marks on the page."""
    head, rest = page.split(START)
    return head + START + "\n" + house + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(replace_house(PAGE.read_text(encoding="utf-8"), write_house()), encoding="utf-8")
