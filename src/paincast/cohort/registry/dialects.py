"""The keys of ``read:`` that say how files are written: read from a mapping, and written into a draft of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from paincast.cohort.coercion import detect_number_style
from paincast.cohort.numerals import Decimal
from paincast.cohort.reading.files import TextTable
from paincast.cohort.reading.types import SEPARATORS, Dialect
from paincast.files.strict_yaml import UNFINISHED, Node

ENCODINGS = ("utf-8", "latin-1", "windows-1252", "utf-16")
DIALECT_KEYS = ("separator", "encoding", "decimal", "sheet", "header_row", "header_rows")
DECIMALS: Mapping[str, Decimal] = MappingProxyType({"point": "point", "comma": "comma"})
LAST_HEADER_ROW, MOST_HEADER_ROWS = 1000, 5


def read_dialect(keys: Mapping[str, Node]) -> Dialect:
    """Read what a mapping declares about how its files are written.

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    return Dialect(
        separator=SEPARATORS[keys["separator"].choice(SEPARATORS)] if "separator" in keys else None,
        encoding=keys["encoding"].choice(ENCODINGS) if "encoding" in keys else None,
        decimal=DECIMALS[keys["decimal"].choice(DECIMALS)] if "decimal" in keys else None,
        sheet=keys["sheet"].text() if "sheet" in keys else None,
        header_row=_read_whole(keys["header_row"], LAST_HEADER_ROW) if "header_row" in keys else None,
        header_rows=_read_whole(keys["header_rows"], MOST_HEADER_ROWS) if "header_rows" in keys else None,
    )


def _read_whole(node: Node, largest: int) -> int:
    text = node.text()
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= largest):
        raise node.refuse(f"must be a whole number from 1 to {largest}")
    return int(text)


def list_choices(dialect: Dialect) -> dict[str, str]:
    """List the keys of ``read:`` that describe a file, where they differ from a plain CSV with one header row.

    Examples
    --------
    >>> list_choices(Dialect(separator=";", encoding="utf-8", header_row=1, decimal="comma"))
    {'separator': 'semicolon', 'decimal': 'comma'}
    """
    words = {separator: word for word, separator in SEPARATORS.items()}
    usual = {"separator": "comma", "encoding": "utf-8", "decimal": "point", "header_row": 1, "header_rows": 1}
    choices = {**dialect._asdict(), "separator": words.get(dialect.separator or "")}
    return {key: str(value) for key, value in choices.items() if value is not None and value != usual.get(key)}


def write_dialect(table: TextTable) -> list[str]:
    """Write the keys of ``read:`` that describe a file, and what the reader remarks on it."""
    separator = table.dialect.separator
    style = detect_number_style((table.rows[name] for name in table.rows), separator=separator)
    choices = list_choices(table.dialect._replace(decimal=style.decimal))
    if table.dialect.sheet is not None:
        choices["sheet"] = json.dumps(table.dialect.sheet, ensure_ascii=False)
    lines = [f"  {key}: {value}  # detected" for key, value in choices.items()]
    if style.is_mixed and style.decimal is None:
        lines.append(f"  decimal: {UNFINISHED}  # 'comma' if 1.200 means 1200, 'point' if it means 1.2")
    return [*lines, *(f"  # {remark}" for remark in table.remarks)]
