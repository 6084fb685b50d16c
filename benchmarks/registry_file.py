"""Make the export of a registry, with its mapping: 80 columns of which 77 are read, 2 % of the cells empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from paincast.schema import EPISODES, VISITS, Column

MANY = {"category": 9, "boolean": 28, "number": 24}
"""Columns of each type besides ids, site, technique, indication, dates and visits."""
CONTINUOUS = 4
VISITED, MONTHS = ("pain_nrs", "odi", "eq5d_index"), (3, 6, 12)
NOTES = 3
CHUNK = 50_000
_OWN = ("episode_id", "patient_id", "site_id", "technique", "indication", "procedure_year", "age_years")
_FIRST_DAY = np.datetime64("2013-01-01")


def prepare_export(folder: Path, n: int) -> Path:
    """Make the export of a registry if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"export-{n}.csv"
    if not file.exists():
        write_mapping(file.with_suffix(".yaml"), file.name)
        write_export(file, n)
    return file


def list_chosen() -> list[Column]:
    """List the columns of the contract that the file has as they are."""
    chosen: list[Column] = []
    for kind, n in MANY.items():
        fitting = [column for name, column in EPISODES.items() if column.type == kind and name not in _OWN]
        chosen += [column for column in fitting if column.unit != "T-score"][:n]
    return chosen


def write_mapping(path: Path, file: str) -> None:
    """Write the mapping of the file."""
    lines = [
        "title: Speed",
        f"read: {{file: {file}}}",
        "procedure_date: {column: procedure_day}",
        "episodes:",
        "  episode_id: {column: case}",
        "  patient_id: {column: patient}",
        "  site_id: {column: hospital}",
        "  technique: {column: procedure, codes: {RFD: facet_rfa, SIJ: si_joint_rfa, NRB: nerve_root_block}}",
        "  indication: {column: diagnosis}",
        "  procedure_year: {column: procedure_day, reads: year of date}",
        "  age_years: {column: born, reads: years before procedure}",
    ]
    for column in list_chosen():
        codes = ", codes: {'1': true, '0': false, '9': missing}" if column.type == "boolean" else ""
        lines.append(f"  {column.name}: {{column: src_{column.name}{codes}}}")
    lines.append("visits:")
    for month in MONTHS:
        lines.append(f"  - month: {{always: {month}}}")
        lines += [f"    {name}: {{column: {name}_{month}m}}" for name in VISITED]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_export(path: Path, n: int) -> None:
    """Write the file with ``n`` rows."""
    rng = np.random.default_rng(1)
    writer = None
    for start in range(0, n, CHUNK):
        rows = pa.table(_make_rows(rng, start, min(CHUNK, n - start)))
        writer = writer or pc.CSVWriter(path, rows.schema, write_options=pc.WriteOptions(quoting_style="none"))
        writer.write_table(rows)
    writer.close()


def _make_rows(rng: np.random.Generator, start: int, n: int) -> dict[str, pa.Array]:
    def choose(words: list[str]) -> np.ndarray:
        return np.array(words, dtype=object)[rng.integers(0, len(words), n)]

    def empty(cells: np.ndarray) -> pa.Array:
        return pa.array(cells, mask=rng.random(n) < 0.02)

    days = _FIRST_DAY + rng.integers(0, 3650, n)
    rows = {
        "case": pa.array([f"C{row:08d}" for row in range(start, start + n)]),
        "patient": pa.array([f"P{row // 2:08d}" for row in range(start, start + n)]),
        "hospital": empty(choose([f"H{number:02d}" for number in range(40)])),
        "procedure": pa.array(choose(["RFD", "SIJ", "NRB"])),
        "diagnosis": empty(choose(list(EPISODES["indication"].categories)[:2])),
        "procedure_day": pa.array(days.astype(str).astype(object)),
        "born": empty((days - rng.integers(25 * 365, 85 * 365, n)).astype(str).astype(object)),
    }
    chosen = list_chosen()
    continuous = [column.name for column in chosen if column.type == "number"][:CONTINUOUS]
    for column in chosen:
        if column.type == "category":
            cells = choose(list(column.categories))
        elif column.type == "boolean":
            cells = np.array(["0", "1", "9"], dtype=object)[rng.choice(3, n, p=[0.7, 0.28, 0.02])]
        else:
            cells = _draw_numbers(rng, column, n, low=0.3, digits=3 if column.name in continuous else None)
        rows[f"src_{column.name}"] = empty(cells)
    for month in MONTHS:
        for name in VISITED:
            rows[f"{name}_{month}m"] = empty(_draw_numbers(rng, VISITS[name], n, low=0.0, digits=None))
    words = ["the", "patient", "was", "seen", "again", "and", "told", "of", "less", "pain", "after", "walking", "home"]
    for number in range(NOTES):
        rows[f"note_{number}"] = pa.array(
            [" ".join(note) for note in zip(*(choose(words) for _ in range(3)), strict=True)]
        )
    return rows


def _draw_numbers(rng: np.random.Generator, column: Column, n: int, *, low: float, digits: int | None) -> np.ndarray:
    """Draw numbers of the upper part of a column's range: whole where it is wide, unless ``digits`` are asked for."""
    least, most = column.low or 0.0, 100.0 if column.high is None else column.high
    is_wide = most - least >= 5
    values = rng.uniform(least + low * (most - least) * is_wide, most, n)
    if digits is None and is_wide:
        return np.round(values).astype(int)
    return np.round(values, digits or 2)
