"""Find rows that are not patients: repeated names, labels or units below the header, remarks and sums."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import is_missing_word
from paincast.cohort.reading.types import Block, Fault
from paincast.cohort.rejects import NOT_A_PATIENT
from paincast.scoring.arrays import to_arrow
from paincast.scoring.text_bytes import end_with_digits, find_words, holds_any

MOST_LABEL_ROWS = 3
"""Maximum number of rows below the header with labels, units or identifiers of an export."""
ROWS_TO_LEARN = 100
"""First rows of a file from which the content of its columns is learned."""

_NUMBER = re.compile(
    r"[-+\u2212]?\d+(?:[.,]\d+)*\s?%?"
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T ][\d:.]+(?:Z|[-+]\d\d:?\d\d)?)?"
    r"|\d{1,2}:\d\d(?::\d\d)?"
)
_SUMS = (
    "total|totals|totale|gesamt|gesamtsumme|insgesamt|summe|sum|somme|suma|zwischensumme|average|mean|mittelwert|"
    "durchschnitt|moyenne|media|median|standardabweichung|standard deviation|std dev|std"
)
_SHORT_SUMS = "n|sd|min|max|count|anzahl|minimum|maximum|se|sem|iqr"
_AFTER = r"(?:\s*[:.=(\[].*)?"
_SUM = re.compile(rf"(?:grand |sub-?)?(?:{_SUMS}){_AFTER}", re.IGNORECASE)
_SHORT_SUM = re.compile(rf"(?:{_SHORT_SUMS}){_AFTER}", re.IGNORECASE)
_REMARK = r"\s|[:=]"
_REMARK_CHARACTERS = b" \t\n\r\f\v:="
_MOST_FILLED = 2
"""Maximum number of filled cells in a remark: its words, and a number or date that follows them."""
_FIRST_CELL = rf"(?i)^(?:#.*|(?:grand |sub-?)?(?:{_SUMS}|{_SHORT_SUMS}){_AFTER})$"


class RowRules:
    """Find rows that are not patients, block by block; the content of columns is learned from the first block."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [name.casefold() for name in names]
        self.started = False
        self.ids_hold_digits = False
        self.ids_are_plain = False

    def leave_out(self, block: Block) -> Block:
        """Leave out rows that are not patients; each is reported as a fault with its position."""
        if not len(block.places) or not block.columns:
            return block
        broken: dict[int, str] = {}
        if not self.started:
            self.started = True
            rows = _list_first(block.columns)
            n_labels = count_label_rows(rows)
            broken = dict.fromkeys(range(n_labels), "a row of values, not of labels or units")
            self.ids_hold_digits = _hold_digits([row[0] for row in rows[n_labels:]])
            ids = [row[0] for row in rows[n_labels:] if sum(map(bool, row)) > _MOST_FILLED]
            self.ids_are_plain = any(ids) and not any(re.search(_REMARK, cell) for cell in ids)
        for at in self._suspects(block):
            row = _texts(block.columns, at)
            if self._repeats_names(row):
                broken[at] = "the names of the columns in the first line only"
            elif self._is_sum(row):
                broken[at] = "a row for one patient, not a sum, a mean or a remark"
        if not broken:
            return block
        kept = np.ones(len(block.places), dtype=bool)
        kept[list(broken)] = False
        faults = [Fault(int(block.places[at]), NOT_A_PATIENT, allowed) for at, allowed in sorted(broken.items())]
        mask = to_arrow(kept)
        columns = [column.filter(mask) for column in block.columns]
        return Block(columns, block.places[kept], [*block.faults, *faults])

    def _suspects(self, block: Block) -> npt.NDArray[np.int64]:
        """Return candidate rows: the first cell is a word for sums or a remark, or an early cell repeats a name."""
        is_suspect = np.zeros(len(block.places), dtype=bool)
        text_positions = [position for position, column in enumerate(block.columns) if is_text(column.type)]
        for position in text_positions[:2]:
            text, name = spell_out_dictionary(block.columns[position]), self.names[position]
            if not name[-1:].isdigit() and end_with_digits(text):
                continue
            is_suspect |= _is_true(pc.equal(pc.utf8_lower(text), name or "\n"))
        if text_positions and text_positions[0] == 0:
            first = spell_out_dictionary(block.columns[0])
            words = np.flatnonzero(find_words(first)) if not holds_any(first, b"#") else np.arange(len(first))
            is_suspect[words] |= _is_true(pc.match_substring_regex(first.take(to_arrow(words)), _FIRST_CELL))
            if self.ids_are_plain and holds_any(first, _REMARK_CHARACTERS):
                remarks = np.flatnonzero(_is_true(pc.match_substring_regex(first, _REMARK)))
                if len(remarks):
                    some = [column.take(to_arrow(remarks)) for column in block.columns]
                    n_filled = np.sum([is_filled(column) for column in some], axis=0)
                    is_suspect[remarks[n_filled <= _MOST_FILLED]] = True
        return np.flatnonzero(is_suspect)

    def _repeats_names(self, row: Sequence[str]) -> bool:
        filled = [(name, cell) for name, cell in zip(self.names, row, strict=True) if cell]
        return bool(filled) and all(name == cell.casefold() for name, cell in filled)

    def _is_sum(self, row: Sequence[str]) -> bool:
        first, others = row[0], [cell for cell in row[1:] if not is_missing_word(cell)]
        if first.startswith("#"):
            return not others
        if not all(_NUMBER.fullmatch(cell) for cell in others):
            return False
        if self.ids_are_plain and len(others) <= first.endswith((":", "=")) and re.search(_REMARK, first):
            return True
        return bool(_SUM.fullmatch(first) or (self.ids_hold_digits and _SHORT_SUM.fullmatch(first)))


def count_label_rows(rows: Sequence[Sequence[str]]) -> int:
    """Count the rows at the top that contain words in numeric columns and no number anywhere.

    Two numeric columns are needed as evidence. A single one is sufficient if the first column is an id: never blank
    below, and the first cell is blank or has no digit although every later cell has a digit.

    Examples
    --------
    >>> count_label_rows([["Participant", "Average pain"], ["1", "7"], ["2", "6"]])
    1
    >>> count_label_rows([["p0", "unheard of"], ["p1", "7"], ["p2", "6"]])
    0
    """
    if not rows or _holds_number(rows[0]):
        return 0
    for n_labels in range(min(MOST_LABEL_ROWS, len(rows) - 1), 0, -1):
        rest = [[cell for cell in column if not is_missing_word(cell)] for column in zip(*rows[n_labels:], strict=True)]
        numeric = [bool(cells) and all(_NUMBER.fullmatch(cell) for cell in cells) for cells in rest]
        ids = rest[0] if len(rest[0]) == len(rows) - n_labels else []
        if all(_is_label(row, numeric, ids) for row in rows[:n_labels]):
            return n_labels
    return 0


def _holds_number(row: Sequence[str]) -> bool:
    return any(_NUMBER.fullmatch(cell) and not is_missing_word(cell) for cell in row)


def _is_label(row: Sequence[str], numeric: Sequence[bool], ids: Sequence[str]) -> bool:
    cells = ["" if is_missing_word(cell) else cell for cell in row]
    if _holds_number(cells):
        return False
    n_words = sum(bool(cell) and is_numeric for cell, is_numeric in zip(cells, numeric, strict=True))
    has_no_id = bool(ids) and (not cells[0] or (_hold_digits(ids) and not _hold_digits(cells[:1])))
    return n_words >= 2 or (n_words == 1 and has_no_id)


def _hold_digits(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell and not _SHORT_SUM.fullmatch(cell)]
    return bool(filled) and all(any(character.isdigit() for character in cell) for cell in filled)


def _list_first(columns: Sequence[pa.Array]) -> list[list[str]]:
    """List the first rows as texts."""
    cells = [column.slice(0, ROWS_TO_LEARN).to_pylist() for column in columns]
    return [["" if value is None else _as_text(value) for value in row] for row in zip(*cells, strict=True)]


def _texts(columns: Sequence[pa.Array], at: int) -> list[str]:
    return ["" if (value := column[at].as_py()) is None else _as_text(value) for column in columns]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column is text, perhaps in a dictionary."""
    return bool(pa.types.is_string(kind) or (pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type)))


def spell_out_dictionary(column: pa.Array) -> pa.Array:
    """Return the values of a dictionary in each row; any other column as it is."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_filled(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Flag the cells that are not empty."""
    column = spell_out_dictionary(column)
    if pa.types.is_string(column.type):
        return _is_true(pc.greater(pc.binary_length(column), 0))
    return ~_is_true(pc.is_null(column, nan_is_null=True))


def _is_true(found: pa.Array) -> npt.NDArray[np.bool_]:
    values: npt.NDArray[np.bool_] = found.fill_null(False).to_numpy(zero_copy_only=False)
    return values
