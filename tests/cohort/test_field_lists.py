"""Field lists of real registries: how many columns a suggestion gets right, and that it never guesses wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from paincast.cohort.registry.suggestion import suggest
from paincast.cohort.registry.suggestion.notes import Note
from paincast.schema import TABLES
from paincast.schema.instruments import INSTRUMENTS

LISTS = sorted((Path(__file__).parent / "field_lists").glob("*.yaml"))
KNOWN = {*TABLES["episodes"], *TABLES["visits"], "procedure_date", "baseline_rows"}
ROWS = 9


def load_list(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    loaded["columns"] = [column if isinstance(column, dict) else {"name": str(column)} for column in loaded["columns"]]
    return loaded


def understand(fields: dict[str, Any], folder: Path, *, with_notes: bool) -> pd.DataFrame:
    rows = {column["name"]: column.get("values", [None] * ROWS) for column in fields["columns"]}
    file = folder / "export.parquet"
    pd.DataFrame(rows, dtype="str").assign(filled=[f"x{i}" for i in range(ROWS)]).to_parquet(file)
    notes = {column["name"]: make_note(column) for column in fields["columns"] if with_notes}
    understood = suggest(file, dictionary=notes).understood
    return understood[understood["column"] != "filled"]


def make_note(column: dict[str, Any]) -> Note:
    choices = {str(code): str(label) for code, label in column.get("choices", {}).items()}
    return Note(
        label=column.get("label", ""),
        choices=choices,
        low=column.get("low"),
        high=column.get("high"),
        kind=column.get("kind", ""),
    )


def score(fields: dict[str, Any], understood: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """List what is right, what is missed and what is wrong without a TODO."""
    read = [row for row in understood.to_dict("records") if row["becomes"]]
    right, missed, allowed = [], [], set()
    for entry in [*fields.get("key", []), *fields.get("may", [])]:
        names = entry["becomes"] if isinstance(entry["becomes"], list) else [entry["becomes"]]
        allowed |= {(entry["column"], name) for name in names}
    for entry in fields.get("key", []):
        names = {*([entry["becomes"]] if isinstance(entry["becomes"], str) else entry["becomes"])} & KNOWN
        if names:
            is_right = any(is_named(row, entry, names) for row in read)
            (right if is_right else missed).append(f"{entry['column']} -> {entry['becomes']}")
    for entry in fields.get("ask", []):
        if entry["becomes"] in KNOWN:
            asked = {row["column"] for row in read if row["becomes"] == entry["becomes"] and row["certainty"] == "TODO"}
            (right if {*entry["columns"]} <= asked else missed).append(f"{entry['columns']} -> {entry['becomes']}?")
    wrong = [
        f"{row['column']} -> {row['becomes']}"
        for row in read
        if row["certainty"] != "TODO" and (row["column"], row["becomes"]) not in allowed
    ]
    return right, missed, wrong


def is_named(row: dict[str, str], entry: dict[str, Any], names: set[str]) -> bool:
    month = str(entry.get("month", ""))
    same_time = not month or row["month"] == month
    is_choice = row["certainty"] == "TODO" and row["why"].startswith(("one of", "only if"))
    return row["column"] == entry["column"] and row["becomes"] in names and same_time and not is_choice


def has_labels(path: Path) -> bool:
    return any("label" in column for column in load_list(path)["columns"])


TRIALS = [
    pytest.param(path, with_notes, id=f"{path.stem}-{'notes' if with_notes else 'bare'}")
    for path in LISTS
    for with_notes in sorted({has_labels(path), False})
]


@pytest.mark.parametrize(("path", "with_notes"), TRIALS)
def test_columns_of_a_real_registry_are_recognized(path: Path, with_notes: bool, tmp_path: Path) -> None:
    fields = load_list(path)
    right, missed, wrong = score(fields, understand(fields, tmp_path, with_notes=with_notes))
    assert wrong == []
    share = len(right) / max(1, len(right) + len(missed))
    assert share >= (0.9 if with_notes else 0.7), missed


def test_the_lists_come_from_public_sources_and_name_known_columns() -> None:
    lists = [load_list(path) for path in LISTS]
    assert sum(not fields.get("made_up", False) for fields in lists) >= 8
    assert sum(fields.get("set_aside", False) for fields in lists) >= 3
    for fields in lists:
        names = {column["name"] for column in fields["columns"]}
        assert fields["source"]
        entries = [*fields.get("key", []), *fields.get("may", [])]
        assert {entry["column"] for entry in entries} <= names
        becomes = {
            name
            for entry in entries
            for name in ([entry["becomes"]] if isinstance(entry["becomes"], str) else entry["becomes"])
        }
        assert becomes <= KNOWN | set(INSTRUMENTS) | {"month"}
