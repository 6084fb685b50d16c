"""Mappings, contracts and gates of which any place holds what it should not: read, or refused with a code."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from own_registry import CONTRACT, MAPPING

from paincast.cli.hydra_app import read_gate
from paincast.cohort.registry.mapping import load_mapping
from paincast.contract import load_contract
from paincast.errors import PaincastError
from paincast.settings import find_configs

DEEP: list[Any] = []
for _ in range(30):
    DEEP = [DEEP]
VALUES: list[Any] = [
    *(None, "", [], {}, [[]], [{}], {"": ""}, DEEP, True, -1, 0.5, 10**400, -1e308, float("inf"), float("nan")),
    *("x", "TODO", "%", "1_000", "9" * 400, "\x1b[31m", "\u202e", "${a.b}", "???", "2024-02-30", ["x", "x"]),
    *({"column": "x"}, {"always": "x"}, {"means": "x", "where": []}, [1, 2, 3]),
]


def change(tree: Any, rng: random.Random) -> Any:
    """Put a wrong value in some place of a tree, or take it out."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for name in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, name))
            walk(node[name])

    walk(tree)
    node, name = rng.choice(places)
    if rng.random() < 0.1:
        del node[name]
    elif rng.random() < 0.1 and isinstance(node, dict):
        node[rng.choice(["", "x", "1", "é\x85"])] = node.pop(name)
    else:
        node[name] = copy.deepcopy(rng.choice(VALUES))
    return tree


DECLARATIONS: dict[str, tuple[Callable[[], str], Callable[[Path], object]]] = {
    "mapping": (lambda: MAPPING, load_mapping),
    "contract": (lambda: CONTRACT, load_contract),
    "gate": (lambda: (find_configs() / "gate" / "default.yaml").read_text("utf-8"), lambda path: read_gate(str(path))),
}


@pytest.mark.parametrize(
    ("kind", "n"),
    [
        ("mapping", 5),
        ("contract", 5),
        pytest.param("mapping", 60, marks=pytest.mark.slow),
        pytest.param("contract", 60, marks=pytest.mark.slow),
        pytest.param("gate", 20, marks=pytest.mark.slow),
    ],
)
def test_a_declaration_with_a_wrong_value_anywhere_is_read_or_refused(kind: str, n: int, tmp_path: Path) -> None:
    write, load = DECLARATIONS[kind]
    codes = []
    (tmp_path / "contract.yaml").write_text(CONTRACT, encoding="utf-8")
    for number in range(n):
        tree = change(yaml.safe_load(write()), random.Random(f"{kind} {number}"))
        file = tmp_path / ("contract.yaml" if kind == "contract" else f"{kind}.yaml")
        file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        try:
            load(file)
        except PaincastError as error:
            codes.append(error.code)
    assert len(codes) > n / 4
    assert all(codes)
