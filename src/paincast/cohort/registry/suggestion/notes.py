"""Labels, choices and ranges of columns, from the file itself or from a data dictionary beside it."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paincast.cohort.reading.files import read_text_table
from paincast.cohort.reading.types import ColumnNotes
from paincast.errors import DataError
from paincast.files.redcap_dictionary import DictionaryField, read_dictionary

_NAME = re.compile(r"(?:variable|field|column|item)?[ _]*(?:name|id)?|variable|field|column|var", re.IGNORECASE)
_LABEL = re.compile(r".*(?:label|description|question|meaning|bezeichnung|beschreibung|title|text).*", re.IGNORECASE)
_CHOICES = re.compile(r".*(?:choices|codes|values|levels|categories|permissible).*", re.IGNORECASE)
_CHOICE = re.compile(r"\s*(-?\w+)\s*[=:,)]\s*(.+?)\s*$")


@dataclass(frozen=True)
class Note:
    """What is said of a column beside its values.

    Parameters
    ----------
    label : str
        Label or question.
    choices : mapping of str to str
        Label of each code.
    low, high : float or None
        Range that is allowed in data entry.
    form : str
        Form or questionnaire that the column belongs to.
    kind : str
        Type of the field in the dictionary, such as ``radio``, ``number`` or ``date``.
    identifies : bool
        Whether the dictionary marks it as an identifier of persons.
    """

    label: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    form: str = ""
    kind: str = ""
    identifies: bool = False


def collect_notes(
    labels: Mapping[str, ColumnNotes], dictionary: str | Path | Mapping[str, Note] | None = None
) -> dict[str, Note]:
    """Collect what the file and a dictionary say about its columns; the dictionary counts more.

    Parameters
    ----------
    labels : mapping of str to ColumnNotes
        Labels that the file itself holds (SPSS, Stata).
    dictionary : str, Path or mapping, optional
        Data dictionary of REDCap, or a table with a column of names and one of labels; or notes by column.
    """
    notes = {name: Note(label=note.label, choices=note.value_labels) for name, note in labels.items()}
    if dictionary is None:
        return notes
    return notes | (dict(dictionary) if isinstance(dictionary, Mapping) else read_notes(dictionary))


def read_notes(path: str | Path) -> dict[str, Note]:
    """Read a data dictionary: that of a REDCap project, or any table of names and labels.

    Raises
    ------
    DataError
        If it is neither.
    """
    try:
        fields = read_dictionary(path)
    except DataError:
        return _read_plain_dictionary(Path(path))
    return {column: _from_field(field, column) for field in fields for column in field.columns}


def _from_field(field: DictionaryField, column: str) -> Note:
    boxes = dict(zip(field.columns, field.choices.values(), strict=False)) if field.type == "checkbox" else {}
    label = f"{field.label} {boxes[column]}" if boxes else field.label
    kind = field.validation.split("_")[0] if field.type == "text" else field.type
    choices = {"1": "Checked", "0": "Unchecked"} if boxes else field.choices
    return Note(label, choices, field.low, field.high, field.form, kind, field.identifier)


def _read_plain_dictionary(path: Path) -> dict[str, Note]:
    rows = read_text_table(path).rows
    name = next((str(column) for column in rows if _NAME.fullmatch(str(column))), None)
    label = next((str(column) for column in rows if column != name and _LABEL.fullmatch(str(column))), None)
    if name is None or label is None:
        raise DataError(
            f"{path} is no data dictionary: it needs a column of names ('name' or 'variable') and one of labels "
            "('label' or 'description'), or the 18 columns of REDCap",
            code="PC-REGISTRY-30",
        )
    choices = next(
        (str(column) for column in rows if column not in (name, label) and _CHOICES.fullmatch(str(column))), None
    )
    return {
        row[name]: Note(label=row[label], choices=parse_choices(row[choices]) if choices else {})
        for row in rows.to_dict("records")
    }


def parse_choices(text: str) -> dict[str, str]:
    """Parse codes and their labels.

    Examples
    --------
    >>> parse_choices("1=Male; 2=Female")
    {'1': 'Male', '2': 'Female'}
    >>> parse_choices("0, No | 1, Yes")
    {'0': 'No', '1': 'Yes'}
    """
    parts = re.split(r"[|;\n]", text)
    if len(parts) == 1:
        parts = next(csv.reader([text]), [])
    matches = [match for part in parts if (match := _CHOICE.match(part))]
    return {match[1]: match[2] for match in matches} if len(matches) > 1 else {}
