"""Read the data dictionary of a REDCap project: its fields with types, choices, ranges and branching logic."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from paincast.errors import DataError
from paincast.files.inputs import looks_like_utf_16, require_regular_file

FIELD_TYPES = (
    "text", "notes", "dropdown", "radio", "checkbox", "yesno", "truefalse", "calc", "slider", "sql", "file",
    "descriptive",
)  # fmt: skip
"""Types of fields in REDCap, by the names that a data dictionary uses."""

LARGEST_DICTIONARY_BYTES = 50_000_000

_OLDER_TYPES = {"select": "dropdown", "textarea": "notes"}
_WITH_CHOICES = ("dropdown", "radio", "checkbox")
_FIXED_CHOICES = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}
_TRUE = frozenset({"y", "yes", "1", "true"})

_BEGINNINGS = {
    "name": ("variable", "fieldname"),
    "form": ("formname",),
    "section": ("sectionheader",),
    "type": ("fieldtype",),
    "label": ("fieldlabel",),
    "choices": ("choices", "selectchoices"),
    "note": ("fieldnote",),
    "validation": ("textvalidationtype",),
    "low": ("textvalidationmin",),
    "high": ("textvalidationmax",),
    "identifier": ("identifier",),
    "branching": ("branchinglogic",),
    "required": ("requiredfield",),
    "matrix": ("matrixgroup",),
}
"""How the heading of each column begins in a file and in an API export, in lower case and letters alone."""

_NEEDED = ("name", "form", "type", "label", "choices")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BETWEEN_CHOICES = re.compile(r"\||\\n|\r?\n")


class DictionaryField(NamedTuple):
    """A field of a REDCap project.

    Parameters
    ----------
    name : str
        Variable name, as in a raw export.
    label : str
        Question text without HTML.
    type : str
        One of :data:`FIELD_TYPES`.
    choices : mapping of str to str
        Label of each raw code, in order; of a yesno or truefalse field too. Empty for other types.
    low, high : float or None
        Bounds of a number, integer or slider field. None without a bound, and where it refers to another field.
    branching : str
        Logic that shows the field; empty if it is always shown.
    form : str
        Instrument that the field belongs to.
    identifier : bool
        Whether the field is marked as an identifier of persons.
    validation : str
        Validation of a text field, such as ``number`` or ``date_ymd``.
    section, note, matrix : str
        Heading above the field, note below it, and name of its matrix.
    required : bool
        Whether an answer is required.
    calculation : str
        Equation of a calc field, query of a sql field.
    """

    name: str
    label: str
    type: str
    choices: Mapping[str, str] = MappingProxyType({})
    low: float | None = None
    high: float | None = None
    branching: str = ""
    form: str = ""
    identifier: bool = False
    validation: str = ""
    section: str = ""
    note: str = ""
    matrix: str = ""
    required: bool = False
    calculation: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """List the columns of this field in a raw export: one for each box of a checkbox field.

        Examples
        --------
        >>> DictionaryField("comorb", "Comorbidity", "checkbox", {"1": "Asthma", "-99": "None"}).columns
        ('comorb___1', 'comorb____99')
        >>> DictionaryField("intro", "Welcome", "descriptive").columns
        ()
        """
        if self.type == "checkbox":
            return tuple(name_checkbox(self.name, code) for code in self.choices)
        return () if self.type == "descriptive" else (self.name,)


def name_checkbox(field: str, code: str) -> str:
    """Name the column of one box of a checkbox field in a raw export.

    Examples
    --------
    >>> name_checkbox("comorb", "A-1")
    'comorb___a_1'
    """
    return f"{field}___{re.sub('[^a-z0-9_]', '_', code.lower())}"


def read_dictionary(path: str | Path) -> tuple[DictionaryField, ...]:
    """Read a data dictionary: the CSV file that REDCap writes, or the metadata export of its API.

    Parameters
    ----------
    path : str or Path
        CSV with the headings of either export, in any order; separated by commas, semicolons or tabs; UTF-8,
        UTF-16 with a byte order mark, or Windows-1252. Further columns are ignored.

    Returns
    -------
    tuple of DictionaryField
        In the order of the file.

    Raises
    ------
    DataError
        If the file cannot be read or is no data dictionary, or if a field has no name, a name or code twice, an
        unknown type, a choice without a code, or a bound that is no number. The message names line and field.
    """
    file = Path(path)
    rows = _read_rows(file)
    positions = _find_columns(file, next(rows, (1, []))[1])
    fields: dict[str, DictionaryField] = {}
    for line, row in rows:
        cells = {key: row[at].strip() if at < len(row) else "" for key, at in positions.items()}
        field = _read_field(f"{file}, line {line}", cells)
        if field.name in fields:
            raise DataError(
                f"{file}, line {line}: the variable '{field.name}' appears twice; keep one", code="PC-FILES-52"
            )
        fields[field.name] = field
    if not fields:
        raise DataError(f"{file} has a header and no field; export the data dictionary again", code="PC-FILES-53")
    return tuple(fields.values())


def is_dictionary_header(header: list[str]) -> bool:
    """Check whether the names of a file's columns are those of a data dictionary.

    Examples
    --------
    >>> is_dictionary_header(["field_name", "form_name", "field_type", "field_label", "select_choices_or_calculations"])
    True
    >>> is_dictionary_header(["record_id", "nrs"])
    False
    """
    found = _match_header(header)
    return all(key in found for key in _NEEDED)


def read_choices(text: str) -> dict[str, str]:
    """Read choices written as ``code, label`` with a pipe or a line break between them.

    Returns
    -------
    dict of str to str
        Label of each code, without HTML; a label may be empty and may contain commas.

    Raises
    ------
    ValueError
        If a choice has no code, or a code appears twice.

    Examples
    --------
    >>> read_choices("1, Male | 2, Female, or other")
    {'1': 'Male', '2': 'Female, or other'}
    """
    choices: dict[str, str] = {}
    for position, choice in enumerate(_BETWEEN_CHOICES.split(text), 1):
        if not choice.strip():
            continue
        code, comma, label = choice.partition(",")
        if not comma or not code.strip():
            raise ValueError(f"choice {position} is not written as 'code, label'")
        if code.strip() in choices:
            raise ValueError(f"the code of choice {position} appears twice")
        choices[code.strip()] = strip_html(label)
    return choices


def strip_html(text: str) -> str:
    """Remove tags, and replace entities and line breaks; a ``<`` before a number stays.

    Examples
    --------
    >>> strip_html('<div class="rich"><p>Pain&nbsp;today</p></div>'), strip_html("eGFR <30")
    ('Pain today', 'eGFR <30')
    """
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def _read_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line on which it ends."""
    text = _read_text(file)
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{file}, line {reader.line_num}: not valid CSV; export the data dictionary again", code="PC-FILES-50"
        ) from error


def _read_text(file: Path) -> str:
    facts = require_regular_file(file, allowed="the data dictionary as CSV")
    if facts.st_size > LARGEST_DICTIONARY_BYTES:
        raise DataError(
            f"{file} is too large for a data dictionary: more than {LARGEST_DICTIONARY_BYTES:,} bytes",
            code="PC-FILES-54",
        )
    content = file.read_bytes()
    utf_16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    encodings = ("utf-16",) if utf_16 else ("utf-8-sig", "cp1252")
    for encoding in () if looks_like_utf_16(content) else encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{file} is not text in UTF-8, UTF-16 with its mark, or Windows-1252", code="PC-FILES-55")


def _match_header(header: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for position, heading in enumerate(header):
        letters = re.sub("[^a-z]", "", heading.casefold())
        for key, beginnings in _BEGINNINGS.items():
            if key not in found and letters.startswith(beginnings):
                found[key] = position
    return found


def _find_columns(file: Path, header: list[str]) -> dict[str, int]:
    found = _match_header(header)
    missing = [_BEGINNINGS[key][0] for key in _NEEDED if key not in found]
    if missing:
        raise DataError(
            f"{file} is not a REDCap data dictionary: no column begins with {', '.join(missing)}; "
            "export it in REDCap under Data Dictionary, or as metadata by the API",
            code="PC-FILES-51",
        )
    return found


def _read_field(place: str, cells: Mapping[str, str]) -> DictionaryField:
    name = cells["name"]
    if not name:
        raise DataError(f"{place}: the field has no variable name", code="PC-FILES-56")
    place = f"{place}, field '{name}'"
    kind = _read_type(place, cells["type"])
    low, high = (_read_bound(place, kind, cells, key) for key in ("low", "high"))
    return DictionaryField(
        name=name,
        label=strip_html(cells["label"]),
        type=kind,
        choices=_read_choices_of(place, kind, cells["choices"]),
        low=low,
        high=high,
        branching=cells.get("branching", ""),
        form=cells["form"],
        identifier=cells.get("identifier", "").casefold() in _TRUE,
        validation=cells.get("validation", "") if kind == "text" else "",
        section=strip_html(cells.get("section", "")),
        note=strip_html(cells.get("note", "")),
        matrix=cells.get("matrix", ""),
        required=cells.get("required", "").casefold() in _TRUE,
        calculation=cells["choices"] if kind in ("calc", "sql") else "",
    )


def _read_type(place: str, text: str) -> str:
    kind = _OLDER_TYPES.get(text.casefold(), text.casefold())
    if kind not in FIELD_TYPES:
        raise DataError(f"{place}: unknown field type; allowed: {', '.join(FIELD_TYPES)}", code="PC-FILES-57")
    return kind


def _read_choices_of(place: str, kind: str, text: str) -> Mapping[str, str]:
    if kind in _FIXED_CHOICES:
        return _FIXED_CHOICES[kind]
    if kind not in _WITH_CHOICES:
        return {}
    try:
        choices = read_choices(text)
    except ValueError as error:
        raise DataError(f"{place}: {error}; write 'code, label | code, label'", code="PC-FILES-58") from error
    if not choices:
        raise DataError(f"{place}: a {kind} field needs choices, 'code, label | code, label'", code="PC-FILES-59")
    return choices


def _read_bound(place: str, kind: str, cells: Mapping[str, str], key: str) -> float | None:
    """Read a bound; dates and times have none here, nor has a bound that refers to another field."""
    text, validation = cells.get(key, ""), cells.get("validation", "").casefold()
    is_number = kind == "slider" or (kind == "text" and validation.startswith(("number", "integer", "int", "float")))
    if not text or not is_number or text.startswith("["):
        return None
    try:
        bound = float(text.replace(",", "."))
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise DataError(
            f"{place}: the {'lowest' if key == 'low' else 'highest'} value is no number", code="PC-FILES-60"
        )
    return bound
