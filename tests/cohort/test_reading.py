"""The one reader: every row is read with exactly its values, or rejected with its place; nothing vanishes."""

from __future__ import annotations

import csv
import io
import os
import random
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from paincast.cohort.reading.files import TextTable, open_table, read_text_table
from paincast.cohort.reading.rows import count_label_rows
from paincast.cohort.reading.text import cells as reading_cells
from paincast.cohort.reading.text import lines as reading_lines
from paincast.cohort.reading.types import LONGEST_CELL, MOST_COLUMNS, Dialect
from paincast.errors import DataError

HEADER = "id,age,pain,sex,notes\n"
ROWS = [f"p{n},{40 + n},{n % 10},{'fm'[n % 2]},fine\n" for n in range(1, 9)]
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def read(tmp_path: Path):
    """Read a text (or bytes) as CSV."""

    def call(text: str | bytes, name: str = "in.csv", **options) -> TextTable:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_text_table(tmp_path / name, **options)

    return call


def faults(sheet: TextTable) -> list[tuple[int, str]]:
    return list(sheet.rejects[["row", "rule"]].itertuples(index=False, name=None))


def change(n: int, row: str) -> str:
    return HEADER + "".join([*ROWS[: n - 1], row, *ROWS[n:]])


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ('p3,43,3,m,"fine\n', "quotation mark"),
        ('p3,"43,3,m,fine\n', "quotation mark"),
        ('p3,43,3,m,"L4" links\n', "quotation mark"),
        ('p3","43","3","m","fine"\n', "quotation mark"),
        ("p3,43,3\n", "too few cells"),
        ("p3,43,3,m,fine,x\n", "too many cells"),
        ("p3,x,43,3,m,\n", "too many cells"),
        ("p3,43,3,m,\0\n", "encoding"),
        (f"p3,43,3,m,{'x' * (9 << 20)}\n", "cell too long"),
    ],
)
def test_a_fault_costs_its_own_row_and_no_other(read, row: str, rule: str) -> None:
    sheet = read(change(3, row))
    assert faults(sheet) == [(3, rule)]
    assert sheet.rows["id"].to_dict() == {n: f"p{n}" for n in (1, 2, 4, 5, 6, 7, 8)}
    assert sheet.rows.loc[4].tolist() == ["p4", "44", "4", "f", "fine"]
    assert sheet.n_rows == 8


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('5" disc', '5" disc'),
        ('"5"" disc"', '5" disc'),
        ('""', ""),
        ('"one\ntwo, three\r\nfour"', "one\ntwo, three\nfour"),
        ('"a, b"', "a, b"),
        (' "a, b" ', "a, b"),
        ('5"', '5"'),
        ("  padded\u00a0", "padded"),
    ],
)
def test_what_is_legal_is_read(read, cell: str, value: str) -> None:
    sheet = read(change(3, f"p3,43,3,m,{cell}\n"))
    assert faults(sheet) == []
    assert sheet.rows.loc[3, "notes"] == value
    assert sheet.rows.index.tolist() == list(range(1, 9))


@pytest.mark.parametrize("column", [1, 4])
def test_a_mark_opened_in_one_row_and_closed_in_a_later_one_swallows_none_between(read, column: int) -> None:
    rows = [row.rstrip("\n").split(",") for row in ROWS]
    rows[1][column] = '"' + rows[1][column]
    rows[5][column] += '"'
    sheet = read(HEADER + "".join(",".join(row) + "\n" for row in rows))
    assert faults(sheet) == [(2, "quotation mark"), (6, "quotation mark")]
    assert sheet.rows["id"].to_dict() == {n: f"p{n}" for n in (1, 3, 4, 5, 7, 8)}


def test_a_stray_mark_among_many_rows_of_a_narrow_file(read) -> None:
    rows = [f"{n};7;ok\n" for n in range(1, 401)]
    rows[300] = '301;6;"L4" links\n'
    sheet = read("id;nrs;text\n" + "".join(rows), dialect=Dialect(separator=";"))
    assert faults(sheet) == [(301, "quotation mark")]
    assert len(sheet.rows) == 399


def test_prose_after_a_stray_mark_is_no_patient(read) -> None:
    text = 'id,nrs,text\n1,7,ok\n2,6,ok\n3,5,"he said "ok" and\nwent, home, fine"\n4,4,ok\n5,3,ok\n'
    sheet = read(text)
    assert sheet.rows["id"].tolist() == ["1", "2", "4", "5"]
    assert faults(sheet) == [(3, "quotation mark"), (4, "quotation mark")]


def test_one_wrong_byte_costs_a_row_and_many_refuse_the_file(read) -> None:
    text = change(3, "p3,43,3,m,K\n").encode().replace(b",K\n", b",K\xf6ln\n")
    sheet = read(text, dialect=Dialect(encoding="utf-8"))
    assert faults(sheet) == [(3, "encoding")]
    with pytest.raises(DataError, match="is not UTF-8 text") as refused:
        read((HEADER + "".join(ROWS)).replace("fine", "größe").encode("latin-1"), dialect=Dialect(encoding="utf-8"))
    assert refused.value.code == "PC-READING-10"


def test_bytes_that_are_not_utf_8_are_windows_1252_and_the_choice_is_said(read) -> None:
    sheet = read((HEADER + "".join(ROWS)).replace("fine", "größe €").encode("windows-1252"))
    assert sheet.rows["notes"].tolist() == ["größe €"] * 8
    assert sheet.dialect.encoding == "windows-1252"
    assert [("in.csv" in remark, "windows-1252" in remark) for remark in sheet.remarks] == [(True, True)]
    assert read(HEADER + "".join(ROWS)).remarks == ()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_damaged_line_of_a_utf_8_file_costs_its_row_and_no_character_of_the_others(read, mark: str) -> None:
    text = (mark + change(3, "p3,43,3,m,K\n").replace("fine", "größe")).encode().replace(b",K\n", b",K\xf6ln\n")
    sheet = read(text)
    assert faults(sheet) == [(3, "encoding")]
    assert sheet.dialect.encoding == "utf-8"
    assert set(sheet.rows["notes"]) == {"größe"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(read, encoding: str, end: str) -> None:
    text = (HEADER + "".join(ROWS)).replace("fine", "größe").replace("\n", end)
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    sheet = read(text.encode(encoding), dialect=Dialect(encoding=declared))
    assert faults(sheet) == []
    if encoding in ("utf-8", "utf-8-sig", "utf-16", "windows-1252"):
        assert read(text.encode(encoding)).dialect == sheet.dialect
    assert sheet.rows["notes"].tolist() == ["größe"] * 8
    assert sheet.rows.columns.tolist() == ["id", "age", "pain", "sex", "notes"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_said_to_be(read, encoding: str) -> None:
    with pytest.raises(DataError, match="UTF-16 without its byte order mark") as refused:
        read((HEADER + "".join(ROWS)).encode(encoding))
    assert refused.value.code == "PC-READING-38"


def test_utf_16_that_is_declared_otherwise_or_is_cut_is_refused(read) -> None:
    text = (HEADER + "".join(ROWS)).encode("utf-16")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read(text, dialect=Dialect(encoding="utf-8"))
    with pytest.raises(DataError, match="is not UTF-16 text"):
        read(text[:-1], dialect=Dialect(encoding="utf-16"))


def test_mixed_line_ends_blank_lines_and_a_last_line_without_one(read) -> None:
    sheet = read("id,age\np1,41\r\n\np2,42\n,\np3,43")
    assert sheet.rows["id"].to_dict() == {1: "p1", 3: "p2", 5: "p3"}
    assert faults(sheet) == []


@pytest.mark.parametrize(
    "header", ["id, age,pain ,\u00a0sex,notes\n", "\ufeffid,age,pain,sex,notes\n", '"id","age","pain","sex","notes"\n']
)
def test_names_are_read_without_what_stands_around_them(read, header: str) -> None:
    sheet = read(header + "".join(ROWS))
    assert sheet.columns == ("id", "age", "pain", "sex", "notes")


def test_twins_are_refused_where_they_are_used_and_said_where_not(read) -> None:
    text = "id,Complete?,nrs, Complete?\n1,Complete,7,Complete\n2,Complete,6,Complete\n"
    sheet = read(text, used={"id", "nrs"})
    assert sheet.rows.columns.tolist() == ["id", "nrs"]
    assert sheet.rejects[["row", "column", "rule", "action"]].to_numpy().tolist() == [
        [0, "Complete?", "duplicate column", "column left out"]
    ]
    with pytest.raises(DataError, match=r"'Complete\?' appears twice"):
        read(text, used={"id", "Complete?"})


def test_a_column_with_content_and_no_name_is_said_and_one_without_is_not(read) -> None:
    sheet = read("id,,nrs,\n1,x,7,\n2,,6,\n")
    assert sheet.rows.columns.tolist() == ["id", "nrs"]
    assert sheet.rejects[["row", "column", "rule"]].to_numpy().tolist() == [[0, "column 2", "no column name"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("used", [None, {"id", "nrs"}])
def test_titles_and_the_separator_line_are_skipped_and_said(read, separator: str, used: set[str] | None) -> None:
    body = "id,nrs,sex\n1,7,f\n2,6,m\n".replace(",", separator)
    titled = read(f"Export Schmerzregister 28.11.2026{separator}\n\n" + body, used=used)
    assert faults(titled) == [(0, "title line")]
    told = read(f"sep={separator}\n" + body, used=used)
    assert faults(told) == [(0, "title line")]
    for sheet in (titled, told, read(body, used=used)):
        assert sheet.dialect.separator == separator
        assert sheet.rows["nrs"].to_dict() == {1: "7", 2: "6"}


NO_PATIENTS = {
    "labels": ("id,nrs\nParticipant,Average pain\n1,7\n2,6\n", [1]),
    "labels and identifiers": ("id,nrs\nParticipant,Pain\n{q1},{q2}\n1,7\n2,6\n", [1, 2]),
    "units": ("id,age,nrs\n,years,points\np1,50,7\np2,60,6\n", [1]),
    "labels of an id and a number": ("id,sex,nrs\nParticipant,Sex,Pain now\nR_1a,f,7\nR_2b,m,6\n", [1]),
    "one unit": ("id,sex,nrs\n,,points\np1,f,7\np2,m,6\n", [1]),
    "repeated header": ("id,age,nrs\np1,50,7\nid,age,nrs\np2,60,6\n", [2]),
    "sum": ("id,age,nrs\np1,50,7\np2,60,6\nTotal,110,13\n", [3]),
    "mean": ("id,sex,nrs\n1,f,7\n2,m,6\nMittelwert:,,6.5\n", [3]),
    "count": ("id,sex,nrs\n1,f,7\n2,m,6\nN,,2\n", [3]),
    "remark": ("id,age,nrs\n1,50,7\n# end of export,,\n", [2]),
    "date of the export": ("id,age,nrs\np1,50,7\np2,60,6\nStand: 01.02.2024,,\n", [3]),
    "date of the export in the next cell": ("id,age,nrs\np1,50,7\np2,60,6\nStand:,01.02.2024,\n", [3]),
    "source": ("id,age,nrs\np1,50,7\np2,60,6\nSource: registry of a hospital,,\n", [3]),
    "number of patients": ("id,age,nrs\n1,50,7\n2,60,6\nn=2,,\n", [3]),
    "number of patients in words": ("id,age,nrs\na,50,7\nb,60,6\nPatients: 2,,\n", [3]),
    "sum without a value": ("id,age,nrs\n1,50,7\n2,60,6\nTotal,,\n", [3]),
}


@pytest.mark.parametrize("name", NO_PATIENTS)
def test_rows_that_are_no_patients_are_rejected_with_their_place(read, name: str) -> None:
    text, places = NO_PATIENTS[name]
    sheet = read(text)
    assert faults(sheet) == [(place, "not a patient") for place in places]
    assert len(sheet.rows) == text.count("\n") - 1 - len(places)


PATIENTS = {
    "one text among numbers": "id,age,nrs\np0,50,severe\np1,50,7\np2,60,6\n",
    "one text, an id without digits": "id,sex,nrs\nAnna,f,severe\nMax,m,7\nEva,f,6\n",
    "text in two columns": "id,age,nrs,bmi\np0,old,severe,25\np1,50,7,24\np2,60,6,23\n",
    "text alone": "id,sex,notes\na,f,x\nb,m,y\n",
    "everything missing": "id,age,nrs\np0,NA,NA\np1,50,7\np2,60,6\n",
    "name like a statistic": "id,sex,nrs\nMax,m,7\nMin,f,6\nAnna,f,5\n",
    "name like a sum": "id,sex,nrs\nTotal,m,7\nAnna,f,5\n",
    "id with nothing beside": "id,age,nrs\np1,50,7\np2,60,6\np3,,\n",
    "ids of two words": "id,age,nrs\nAnna A,50,7\nEva B,60,6\nMax C,,\n",
    "ids with a colon": "id,age,nrs\nA:1,50,7\nA:2,60,6\nA:3,,\n",
    "an odd id with a value": "id,sex,nrs\np1,m,7\np2,f,6\np3 new,,5\n",
    "two columns": "id,nrs\np1,7\np2,6\np 3,\n",
    "id before text": "id,nrs\nMax,7\nAnna,5\n",
}


@pytest.mark.parametrize("name", PATIENTS)
def test_patients_are_not_taken_for_labels_or_sums(read, name: str) -> None:
    sheet = read(PATIENTS[name])
    assert faults(sheet) == []
    assert len(sheet.rows) == PATIENTS[name].count("\n") - 1


WORDS = st.text("abcdefgh ÄÖ", min_size=1, max_size=12).map(str.strip).filter(bool)
NUMBERS = st.integers(0, 200).map(str)


@given(st.lists(st.tuples(WORDS, NUMBERS, NUMBERS), min_size=2, max_size=8), st.tuples(WORDS, WORDS, WORDS))
@quick
def test_a_row_of_words_above_rows_of_numbers_is_a_label_and_a_row_with_a_number_is_not(rows, words) -> None:
    patients = [list(row) for row in rows]
    assert count_label_rows(patients) == 0
    assert count_label_rows([list(words), *patients]) == 1
    assert count_label_rows([[words[0], rows[0][1], words[2]], *patients]) == 0


def test_a_cell_that_is_too_long_is_emptied_with_its_place(read) -> None:
    long = "x" * (LONGEST_CELL + 1)
    for row in (f"p3,43,3,m,{long}\n", f'p3,43,3,m,"{long}"\n'):
        sheet = read(change(3, row))
        assert sheet.rejects[["row", "column", "rule", "action"]].to_numpy().tolist() == [
            [3, "notes", "cell too long", "cell emptied"]
        ]
        assert sheet.rows.loc[3].tolist() == ["p3", "43", "3", "m", ""]
    exact = "x" * LONGEST_CELL
    assert read(change(3, f"p3,43,3,m,{exact}\n")).rows.loc[3, "notes"] == exact
    assert faults(read(change(3, f"p3,43,3,m,{long}\n"), used={"id", "age"})) == []


def test_a_line_without_end_is_refused_in_bounded_memory(read) -> None:
    with pytest.raises(DataError, match=r"column names|is not UTF-8"):
        read(b"x" * (20 << 20))
    with pytest.raises(DataError, match=f"at most {MOST_COLUMNS}"):
        read(",".join(f"c{n}" for n in range(MOST_COLUMNS + 1)) + "\n" + "1," * MOST_COLUMNS + "1\n")


@pytest.mark.parametrize("after", ["shrinks", "grows", "is replaced", "is gone"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, after: str) -> None:
    file = tmp_path / "in.csv"
    file.write_text(HEADER + "".join(ROWS) * 50_000)
    with open_table(file) as opened:
        next(opened.batches)
        if after == "shrinks":
            os.truncate(file, file.stat().st_size // 2)
        elif after == "grows":
            with file.open("a") as stream:
                stream.write(ROWS[0])
        elif after == "is replaced":
            (tmp_path / "new").write_bytes(file.read_bytes())
            (tmp_path / "new").replace(file)
        else:
            file.unlink()
        with pytest.raises(DataError, match=r"changed while it was read|does not exist"):
            list(opened.batches)


def test_a_header_whose_mark_is_not_closed_is_refused_and_one_of_two_lines_is_read(read) -> None:
    with pytest.raises(DataError, check=lambda error: error.code == "PC-READING-07"):
        read('id,"age,pain,sex,notes\n' + "".join(ROWS) + 'p9,49,9,"m",fine\n')
    sheet = read('id,"age\n(years)",pain,sex,notes\n' + "".join(ROWS))
    assert sheet.columns[1] == "age (years)"
    assert len(sheet.rows) == 8


LETTERS = "abc 019.ÄÖ'\""
PROSE, LISTED = st.text(LETTERS + "\n", max_size=10), st.text(LETTERS + ",;\t", max_size=10)
SEX = st.sampled_from(["f", "m", ""])


def make_table(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    """Rows of an id, an age and texts."""
    trimmed = cells.map(str.strip)
    rows = st.lists(st.tuples(st.integers(18, 99).map(str), trimmed, SEX, trimmed), min_size=2, max_size=12)
    return rows.map(lambda table: [[f"p{n}", *row] for n, row in enumerate(table, 1)])


def to_csv(rows: list[list[str]], separator: str, quoting: int) -> list[str]:
    lines = []
    for row in rows:
        stream = io.StringIO()
        csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator="\n").writerow(row)
        lines.append(stream.getvalue())
    return lines


WRITTEN = (st.sampled_from([",", ";", "\t"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))


def read_written(folder: Path, rows: list[list[str]], separator: str, quoting: int) -> TextTable:
    lines = to_csv([["id", "age", "note", "sex", "more"], *rows], separator, quoting)
    (folder / "in.csv").write_text("".join(lines), encoding="utf-8")
    return read_text_table(folder / "in.csv")


HALF_A_ROW = [*([f"p{n}", "18", "", "f", ""] for n in range(1, 5)), ["p5", "18", "0\n0", "f", ",,"]]


@pytest.mark.slow
@given(make_table(PROSE | LISTED), *WRITTEN)
@example(HALF_A_ROW, ",", csv.QUOTE_MINIMAL)
@example([*HALF_A_ROW[:4], ["p5", "18", "0\n0", "", ",,"]], ",", csv.QUOTE_MINIMAL)
@example([*HALF_A_ROW[:4], ["p5", "18", "0\n0", "f", ",a,"]], ",", csv.QUOTE_MINIMAL)
@quick
def test_what_a_csv_writer_writes_is_read_exactly(tmp_path_factory, rows, separator: str, quoting: int) -> None:
    sheet = read_written(tmp_path_factory.mktemp("in"), rows, separator, quoting)
    assert faults(sheet) == []
    assert sheet.rows.to_numpy().tolist() == rows
    assert sheet.rows.index.tolist() == list(range(1, len(rows) + 1))


@pytest.mark.slow
@given(make_table(st.text(LETTERS + ",;\t\n", max_size=10)), *WRITTEN)
@quick
def test_lines_of_a_cell_that_look_like_rows_are_never_patients(
    tmp_path_factory, rows, separator: str, quoting: int
) -> None:
    sheet = read_written(tmp_path_factory.mktemp("in"), rows, separator, quoting)
    told = sheet.rows.to_numpy().tolist()
    assert [row for row in rows if row in told] == told
    assert len(rows) - len(told) <= len(faults(sheet))


def damage(line: str, kind: str, where: int, separator: str) -> bytes:
    cells = line.rstrip("\n").split(separator)
    at = where % len(cells)
    if kind == "opened":
        cells[at] = '"' + cells[at]
    elif kind == "closed":
        cells[at] += '"'
    elif kind == "inside":
        cells[at] = '"a" b' + cells[at]
    elif kind == "cut":
        cells = cells[: at + 1] if at + 1 < len(cells) else cells[:-1]
    elif kind == "longer":
        cells.insert(at, "x")
    elif kind == "byte":
        return separator.join(cells).encode() + b"\xff\n"
    return separator.join(cells).encode() + b"\n"


PLAIN_TABLE = make_table(st.text("abc 019.ÄÖ'", max_size=8))


@pytest.mark.slow
@given(
    PLAIN_TABLE,
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["opened", "inside", "cut", "longer", "byte"]),
    st.integers(0, 99),
    st.integers(0, 4),
    st.booleans(),
)
@quick
def test_one_fault_costs_one_row_and_every_other_is_read_exactly(
    tmp_path_factory, rows, separator: str, kind: str, row: int, where: int, quoted: bool
) -> None:
    header, *lines = to_csv([["id", "age", "note", "sex", "more"], *rows], separator, csv.QUOTE_MINIMAL)
    broken = row % len(lines)
    raw = [line.encode() for line in lines]
    raw[broken] = damage(lines[broken], kind, where, separator)
    if quoted and broken + 1 < len(raw):
        rows[broken + 1][4] = "a\nb"
        raw[broken + 1] = to_csv([rows[broken + 1]], separator, csv.QUOTE_ALL)[0].encode()
    file = tmp_path_factory.mktemp("in") / "in.csv"
    file.write_bytes(header.encode() + b"".join(raw))
    sheet = read_text_table(file, dialect=Dialect(encoding="utf-8"))
    told = dict(zip(sheet.rows.index, sheet.rows.to_numpy().tolist(), strict=True))
    assert told == {n: cells for n, cells in enumerate(rows, 1) if n != broken + 1}
    assert [place for place, _ in faults(sheet)] == [broken + 1]


@pytest.mark.slow
@given(st.integers(0, 10_000), st.integers(1, 40))
@example(1, 8)
@quick
def test_any_two_stray_marks_swallow_no_row(tmp_path_factory, seed: int, n_between: int) -> None:
    draw = random.Random(seed)
    rows = [
        [f"p{n}", str(draw.randint(20, 90)), draw.choice("fm"), draw.choice(["", "well", "so so"])] for n in range(60)
    ]
    first = draw.randrange(0, 60 - n_between)
    last = first + n_between
    rows[first][draw.randrange(4)] += '"' if draw.random() < 0.3 else ""
    column = draw.randrange(4)
    rows[first][column] = '"' + rows[first][column]
    rows[last][draw.choice([column, 3])] += '"'
    file = tmp_path_factory.mktemp("in") / "in.csv"
    file.write_text("id,age,sex,note\n" + "".join(",".join(row) + "\n" for row in rows))
    sheet = read_text_table(file)
    assert set(sheet.rows["id"]) >= {row[0] for n, row in enumerate(rows) if n not in (first, last)}
    assert {place for place, _ in faults(sheet)} <= {first + 1, last + 1}
    assert set(sheet.rows.index) | {place for place, _ in faults(sheet)} == set(range(1, 61))


@pytest.mark.slow
@given(PLAIN_TABLE, st.integers(20, 120))
@quick
def test_the_fast_way_and_the_way_line_by_line_read_the_same(tmp_path_factory, rows, size: int) -> None:
    lines = to_csv([["id", "age", "note", "sex", "more"], *rows], ",", csv.QUOTE_MINIMAL)
    file = tmp_path_factory.mktemp("in") / "in.csv"
    file.write_text("".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_lines, "_FIRST_BYTES", size)
        patch.setattr(reading_lines, "_BLOCK_BYTES", size)
        fast = read_text_table(file)
        patch.setattr(reading_cells, "_parse_clean", lambda *_: None)
        slow = read_text_table(file)
    pd.testing.assert_frame_equal(fast.rows, slow.rows)
    assert fast.rows.to_numpy().tolist() == rows


def test_a_large_clean_file_goes_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "in.csv"
    file.write_text(HEADER + "".join(ROWS) * 20_000)
    taken = []
    real = reading_cells._parse_clean
    monkeypatch.setattr(reading_cells, "_parse_clean", lambda *a: taken.append(real(*a)) or taken[-1])
    with open_table(file, used={"id", "age"}) as opened:
        batches = list(opened.batches)
    assert sum(len(batch.places) for batch in batches) == 160_000
    assert {len(batch.places) for batch in batches} == {5000}
    assert sum(table is not None for table in taken) >= 2


def test_a_header_that_cannot_be_decoded_below_a_title_is_said(read) -> None:
    text = "Export;\nid;größe\n1;170\n2;180\n".encode("latin-1")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read(text, dialect=Dialect(encoding="utf-8"))
    assert read(text).columns == ("id", "größe")
    assert read(text, dialect=Dialect(encoding="latin-1")).columns == ("id", "größe")


def test_a_text_file_says_nothing_about_its_columns_beside_their_names(read) -> None:
    assert read(HEADER + ROWS[0]).labels == {}
