"""Workbooks: every cell is read as the spreadsheet shows it, and what a cell does not tell is told."""

from __future__ import annotations

import builtins
import contextlib
import csv
import random
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZipFile

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.cohort.reading.files import TextTable, read_text_table
from paincast.cohort.reading.types import Dialect
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion.suggest import suggest_mapping
from paincast.cohort.tables import Cohort
from paincast.errors import DataError
from paincast.schema import TABLES

pytest.importorskip("python_calamine")

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DATE, DATETIME = 1, 2
TABLE = [["id", "nrs"], ["p1", 7], ["p2", 6]]


class Formula(str):
    """A formula without a value, as a script writes it."""

    __slots__ = ()


class Error(str):
    """An error value."""

    __slots__ = ()


def name_cell(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row + 1}"


def write_cell(row: int, column: int, value: object, epoch: datetime) -> str:
    where = f'r="{name_cell(row, column)}"'
    if isinstance(value, Formula):
        return f"<c {where}><f>{escape(value)}</f></c>"
    if isinstance(value, Error):
        return f'<c {where} t="e"><v>{value}</v></c>'
    if isinstance(value, bool):
        return f'<c {where} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c {where} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        days = (moment - epoch).total_seconds() / 86_400
        return f'<c {where} s="{DATETIME if isinstance(value, datetime) else DATE}"><v>{days!r}</v></c>'
    return f"<c {where}><v>{value!r}</v></c>"


def write_sheet(rows: Sequence[Sequence[object]], merged: Sequence[str], hidden: Sequence[int], epoch: datetime) -> str:
    lines = []
    for at, row in enumerate(rows):
        cells = "".join(write_cell(at, column, cell, epoch) for column, cell in enumerate(row) if cell is not None)
        lines.append(
            f'<row r="{at + 1}"{" hidden=" + chr(34) + "1" + chr(34) if at + 1 in hidden else ""}>{cells}</row>'
        )
    ranges = "".join(f'<mergeCell ref="{where}"/>' for where in merged)
    merges = f'<mergeCells count="{len(merged)}">{ranges}</mergeCells>' if merged else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData>{merges}</worksheet>'


def write_xlsx(
    path: Path,
    sheets: Mapping[str, Sequence[Sequence[object]]],
    *,
    merged: Sequence[str] = (),
    hidden_rows: Sequence[int] = (),
    hidden_sheets: Sequence[str] = (),
    since_1904: bool = False,
) -> Path:
    """Write the parts of a workbook that a spreadsheet writes; dates count from 1900 or 1904."""
    epoch = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30)
    listed, relations, types = "", "", ""
    parts = {}
    for at, (name, rows) in enumerate(sheets.items(), 1):
        state = ' state="hidden"' if name in hidden_sheets else ""
        listed += f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"{state}/>'
        relations += f'<Relationship Id="rId{at}" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
        types += f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{kind}"/>'
        parts[f"xl/worksheets/sheet{at}.xml"] = write_sheet(rows, merged, hidden_rows, epoch)
    book = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    parts |= {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
        f'"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{book}"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><workbookPr date1904="{int(since_1904)}"/>'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{relations}<Relationship '
        f'Id="rId99" Type="{DOCUMENT}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14" '
        'applyNumberFormat="1"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>',
    }
    with ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"


def write_ods(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """Write the content of an OpenDocument spreadsheet."""

    def write(value: object) -> str:
        if value is None:
            return "<table:table-cell/>"
        if isinstance(value, bool):
            return f'<table:table-cell office:value-type="boolean" office:boolean-value="{str(value).lower()}"/>'
        if isinstance(value, date):
            return f'<table:table-cell office:value-type="date" office:date-value="{value.isoformat()}"/>'
        if isinstance(value, str):
            return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'
        return f'<table:table-cell office:value-type="float" office:value="{value!r}"/>'

    body = "".join(f"<table:table-row>{''.join(map(write, row))}</table:table-row>" for row in rows)
    spaces = " ".join(f'xmlns:{name}="{OFFICE}{name}:1.0"' for name in ("office", "table", "text"))
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with ZipFile(path, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr(
            "content.xml",
            f'<office:document-content {spaces} office:version="1.2"><office:body><office:spreadsheet><table:table '
            f'table:name="Data">{body}</table:table></office:spreadsheet></office:body></office:document-content>',
        )
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="{OFFICE}manifest:1.0"><manifest:file-entry manifest:full-path="/" '
            f'manifest:media-type="{kind}"/></manifest:manifest>',
        )
    return path


def cells(table: TextTable) -> list[list[str]]:
    return table.rows.to_numpy().tolist()


def faults(table: TextTable) -> list[tuple[int, str, str]]:
    return list(table.rejects[["row", "column", "rule"]].itertuples(index=False, name=None))


VALUES = [
    ["id", "day", "seen", "n", "x", "sum", "ok", "text"],
    [1, date(2022, 3, 1), datetime(2022, 3, 1, 14, 30), 7, 7.1, 0.1 + 0.2, True, "007"],
    [12345678901234, date(1950, 12, 31), datetime(2022, 3, 1), 8.0, 7.0999999999999996, -0.5, False, "n/a"],
    [2, None, None, None, None, None, None, None],
]
TEXTS = [
    ["1", "2022-03-01", "2022-03-01 14:30:00", "7", "7.1", "0.3", "True", "007"],
    ["12345678901234", "1950-12-31", "2022-03-01", "8", "7.1", "-0.5", "False", "n/a"],
    ["2", "", "", "", "", "", "", ""],
]


@pytest.mark.parametrize("since_1904", [False, True])
def test_numbers_dates_and_booleans_are_read_as_the_spreadsheet_shows_them(tmp_path: Path, since_1904: bool) -> None:
    table = read_text_table(write_xlsx(tmp_path / "in.xlsx", {"Data": VALUES}, since_1904=since_1904))
    assert cells(table) == TEXTS
    assert faults(table) == []
    assert table.dialect == Dialect(sheet="Data", header_row=1, header_rows=1)


def test_an_opendocument_spreadsheet_is_read_alike(tmp_path: Path) -> None:
    assert cells(read_text_table(write_ods(tmp_path / "in.ods", VALUES))) == TEXTS


def test_a_title_and_blank_rows_stand_above_and_rows_keep_their_positions(tmp_path: Path) -> None:
    rows = [["Register 2024", None], [], TABLE[0], TABLE[1], [], TABLE[2]]
    table = read_text_table(write_xlsx(tmp_path / "in.xlsx", {"Data": rows}, merged=["A1:B1"]))
    assert table.rows["id"].to_dict() == {1: "p1", 3: "p2"}
    assert faults(table) == [(0, "", "title line")]
    assert table.dialect.header_row == 3


def test_the_only_visible_table_is_read_and_hidden_sheets_are_told(tmp_path: Path) -> None:
    sheets = {"Cover": [["Register"]], "Codes": TABLE, "Patients": [["id", "age"], ["p1", 50], ["p2", 60]]}
    file = write_xlsx(tmp_path / "in.xlsx", sheets, hidden_sheets=["Codes"])
    table = read_text_table(file)
    assert table.dialect.sheet == "Patients"
    assert len(table.remarks) == 1
    assert "Codes" in table.remarks[0]
    assert read_text_table(file, dialect=Dialect(sheet="Codes")).rows["nrs"].tolist() == ["7", "6"]


def test_of_several_tables_that_with_the_used_columns_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    sheets = {"Visits": [["id", "month"], ["p1", 3], ["p2", 6]], "Baseline": TABLE}
    file = write_xlsx(tmp_path / "in.xlsx", sheets)
    first, best = read_text_table(file), read_text_table(file, used={"id", "nrs"})
    assert (first.dialect.sheet, best.dialect.sheet) == ("Visits", "Baseline")
    assert "Baseline" in first.remarks[0]
    assert "Visits" in best.remarks[0]


@pytest.mark.parametrize(
    ("sheets", "sheet", "code"),
    [
        ({"Data": TABLE}, "Dta", "PC-READING-25"),
        ({"Data": [["id"]]}, None, "PC-READING-26"),
        ({}, None, "PC-READING-26"),
    ],
)
def test_a_sheet_that_is_not_there_is_refused(tmp_path: Path, sheets: dict, sheet: str | None, code: str) -> None:
    with pytest.raises(DataError) as refused:
        read_text_table(write_xlsx(tmp_path / "in.xlsx", sheets), dialect=Dialect(sheet=sheet))
    assert refused.value.code == code


GROUPED = [
    ["Export 2026"],
    ["id", "Baseline", None, "3 months", None],
    [None, "NRS", "ODI", "NRS", "ODI"],
    ["p1", 7, 40, 3, 20],
    ["p2", 6, 30, 2, 10],
]
NAMES = ["id", "Baseline NRS", "Baseline ODI", "3 months NRS", "3 months ODI"]


@pytest.mark.parametrize("used", [None, {"id", "Baseline NRS", "3 months ODI"}])
def test_names_below_merged_cells_carry_the_name_of_their_group(tmp_path: Path, used: set[str] | None) -> None:
    file = write_xlsx(tmp_path / "in.xlsx", {"Data": GROUPED}, merged=["A1:E1", "A2:A3", "B2:C2", "D2:E2"])
    table = read_text_table(file, used=used)
    assert table.columns == tuple(NAMES)
    assert table.rows["Baseline NRS"].to_dict() == {1: "7", 2: "6"}
    assert (table.dialect.header_row, table.dialect.header_rows) == (2, 2)


@pytest.mark.parametrize("suffix", ["ods", "csv"])
def test_names_in_two_rows_are_joined_where_the_mapping_declares_them(tmp_path: Path, suffix: str) -> None:
    if suffix == "ods":
        write_ods(tmp_path / "in.ods", GROUPED)
    else:
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in GROUPED]
        (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    table = read_text_table(tmp_path / f"in.{suffix}", dialect=Dialect(header_row=2, header_rows=2))
    assert table.columns == tuple(NAMES)
    assert table.rows["3 months ODI"].tolist() == ["20", "10"]


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_a_header_below_the_end_of_the_file_is_refused(tmp_path: Path, suffix: str) -> None:
    write_xlsx(tmp_path / "in.xlsx", {"Data": TABLE})
    (tmp_path / "in.csv").write_text("id,nrs\np1,7\n")
    with pytest.raises(DataError) as refused:
        read_text_table(tmp_path / f"in.{suffix}", dialect=Dialect(header_row=9))
    assert refused.value.code == "PC-READING-20"


def test_each_row_of_a_merged_cell_has_its_value_and_this_is_told(tmp_path: Path) -> None:
    rows = [["id", "month", "nrs"], ["p1", 0, 7], [None, 3, 4], [None, 6, 3], ["p2", 0, 6]]
    table = read_text_table(write_xlsx(tmp_path / "in.xlsx", {"Data": rows}, merged=["A2:A4"]))
    assert table.rows["id"].tolist() == ["p1", "p1", "p1", "p2"]
    assert [remark.startswith("2 rows") for remark in table.remarks] == [True]


def test_formulas_without_a_value_and_errors_are_rejects_and_errors_for_missing_are_missing(tmp_path: Path) -> None:
    rows = [
        ["id", "nrs", "odi", "bmi"],
        ["p1", Formula("1+1"), Error("#DIV/0!"), 20],
        ["p2", 6, Error("#N/A"), Error("#NULL!")],
        ["p3", 5, "#NULL!", 30],
    ]
    table = read_text_table(write_xlsx(tmp_path / "in.xlsx", {"Data": rows}))
    assert sorted(faults(table)) == [(1, "nrs", "formula without a value"), (1, "odi", "error value")]
    assert set(table.rejects["action"]) == {"cell emptied"}
    assert table.rows["nrs"].tolist() == ["", "6", "5"]
    assert table.rows["bmi"].tolist() == ["20", "", "30"]


def test_hidden_rows_are_read_and_told(tmp_path: Path) -> None:
    table = read_text_table(write_xlsx(tmp_path / "in.xlsx", {"Data": TABLE}, hidden_rows=[3]))
    assert table.rows["id"].tolist() == ["p1", "p2"]
    assert [remark.startswith("1 rows") for remark in table.remarks] == [True]


def test_labels_below_the_header_and_sums_are_no_patients(tmp_path: Path) -> None:
    rows = [["id", "age", "nrs"], ["Participant", "Age", "Pain"], [1, 50, 7], [2, 60, 6], ["Total", 110, 13]]
    table = read_text_table(write_xlsx(tmp_path / "in.xlsx", {"Data": rows}))
    assert [(row, rule) for row, _, rule in faults(table)] == [(1, "not a patient"), (4, "not a patient")]


@pytest.mark.parametrize("name", ["in.xlsx", "in.xls", "in.xlsb", "in.ods"])
@pytest.mark.parametrize("content", [b"PK\x03\x04 cut", b"id;nrs\n1;7\n", b"<html><table></table></html>"])
def test_what_is_no_workbook_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_text_table(tmp_path / name)
    assert refused.value.code == "PC-READING-24"


def test_a_workbook_under_the_name_of_a_text_is_refused(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "in.xlsx", {"Data": TABLE}).rename(tmp_path / "in.csv")
    with pytest.raises(DataError) as refused:
        read_text_table(tmp_path / "in.csv")
    assert refused.value.code == "PC-READING-35"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), n_bytes=st.integers(1, 30))
def test_a_damaged_workbook_is_read_or_refused(tmp_path: Path, seed: int, n_bytes: int) -> None:
    content = bytearray(write_xlsx(tmp_path / "whole.xlsx", {"Data": VALUES}).read_bytes())
    rng = random.Random(seed)
    for _ in range(n_bytes):
        content[rng.randrange(len(content))] = rng.randrange(256)
    (tmp_path / "in.xlsx").write_bytes(content)
    with contextlib.suppress(DataError):
        read_text_table(tmp_path / "in.xlsx")


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_xlsx(tmp_path / "in.xlsx", {"Data": TABLE})
    found = builtins.__import__

    def refuse(name: str, *rest: object, **named: object) -> object:
        if name == "python_calamine":
            raise ModuleNotFoundError(name)
        return found(name, *rest, **named)

    monkeypatch.delitem(sys.modules, "python_calamine")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match=r'pip install "paincast\[excel\]"') as refused:
        read_text_table(file)
    assert refused.value.code == "PC-READING-22"


CELLS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.12g}")),
    st.text("aß; ,\"'<&é\n", max_size=8).map(str.strip),
    st.dates(date(1900, 3, 1), date(2100, 1, 1)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_every_cell_is_read_exactly(tmp_path: Path, rows: list[tuple[object, object]]) -> None:
    body = [[f"p{at}", at, *row] for at, row in enumerate(rows)]
    file = write_xlsx(tmp_path / "in.xlsx", {"Data": [["id", "number", "first", "second"], *body]})
    for row, read in zip(body, cells(read_text_table(file)), strict=True):
        for value, text in zip(row, read, strict=True):
            if isinstance(value, int | float):
                assert float(text) == value
                assert not text.endswith(".0")
            else:
                assert text == (value.isoformat() if isinstance(value, date) else value)


BOOK = """
read: {file: book.xlsx, sheet: Patients}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
visits:
  - file: book.xlsx!Visits
    episode_id: {column: patient}
    month: {column: month}
    pain_nrs: {column: nrs}
"""


def test_sheets_of_one_workbook_are_read_by_one_mapping(tmp_path: Path) -> None:
    sheets = {
        "Patients": [["id", "nrs"], ["p1", 7], ["p2", 6]],
        "Visits": [["patient", "month", "nrs"], ["p1", 3, 2], ["p2", 3, 44]],
    }
    file = write_xlsx(tmp_path / "book.xlsx", sheets)
    (tmp_path / "m.yaml").write_text(BOOK, encoding="utf-8")
    cohort, rejects = ingest(load_mapping(tmp_path / "m.yaml"), [file])
    assert cohort.episodes["episode_id"].tolist() == ["p1", "p2"]
    assert cohort.visits[["episode_id", "month", "pain_nrs"]].to_numpy().tolist()[0] == ["p1", 3, 2]
    assert rejects[["table", "file", "row", "column"]].to_numpy().tolist() == [
        ["visits", "book.xlsx!Visits", 2, "pain_nrs"]
    ]
    assert read_text_table(f"{file}!Visits").columns == ("patient", "month", "nrs")
    draft = suggest_mapping(f"{file}!Visits").splitlines()
    assert draft[draft.index("read:") + 1 :][:2] == ['  file: "book.xlsx"', '  sheet: "Visits"  # detected']
    (tmp_path / "m.yaml").write_text(BOOK.replace("book.xlsx, sheet: Patients", "book.xlsx!Patients"), encoding="utf-8")
    again, _ = ingest(load_mapping(tmp_path / "m.yaml"), [file])
    pd.testing.assert_frame_equal(again.visits, cohort.visits)


def read_raw(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream, delimiter="\t" if file.suffix == ".tsv" else ","))


def type_cell(text: str) -> object:
    """Type a cell as a spreadsheet does that opens a CSV."""
    is_number = re.fullmatch(r"-?(0|[1-9]\d{0,13})(\.\d+)?", text)
    return float(text) if is_number else (text or None)


@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
@pytest.mark.parametrize(
    "name", ["caudal_esi_2018", "genicular_rfa_2024", "back_pain_placebo_2022", "trigeminal_percutaneous_2024"]
)
def test_a_published_set_in_a_workbook_is_the_same_cohort(
    tmp_path: Path, real_data: Path, name: str, suffix: str
) -> None:
    mapping = load_mapping(name)
    files = [real_data / name / file for file in mapping.files]
    if not all(file.exists() for file in files):
        pytest.skip(f"{name} is not at hand")
    copies = []
    for file in files:
        rows = [[type_cell(cell) for cell in row] for row in read_raw(file)]
        copy = tmp_path / f"{file.stem}.{suffix}"
        copies.append(write_ods(copy, rows) if suffix == "ods" else write_xlsx(copy, {"Data": rows}))
    for expected, found in zip(ingest(mapping, files), ingest(mapping, copies), strict=True):
        if isinstance(expected, Cohort):
            for table in TABLES:
                pd.testing.assert_frame_equal(getattr(expected, table), getattr(found, table))
        else:
            pd.testing.assert_frame_equal(expected.drop(columns="file"), found.drop(columns="file"))


@pytest.mark.parametrize("place", ["XFD1048576", "AAA1048576", "ZZZZZ9"])
def test_a_cell_far_out_is_refused_before_room_is_made_for_all_before_it(tmp_path: Path, place: str) -> None:
    path = write_xlsx(tmp_path / "in.xlsx", {"Data": [["episode_id", "pain_nrs"], ["a", 7]]})
    with ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(path, "w") as archive:
        for name, raw in parts.items():
            archive.writestr(name, raw.replace(b'r="B2"', f'r="{place}"'.encode()))
    with pytest.raises(DataError) as told:
        read_text_table(path)
    assert told.value.code == "PC-READING-37"
