"""Cells in quotation marks are read in one pass only where that gives what reading row by row gives."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cohort.reading.text.cells import Layout, _parse_clean

CELL = st.text(st.sampled_from('ab7 ,;"\né'), max_size=4)
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=5)
)


def write(rows: list[list[str]], quoting: int, end: str) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=quoting, lineterminator=end).writerows(rows)
    return stream.getvalue()


def parse(text: str, width: int) -> list[list[str]] | None:
    columns = _parse_clean(text.encode(), "utf-8", Layout(",", width), range(width))
    return None if columns is None else [list(row) for row in zip(*(c.to_pylist() for c in columns), strict=True)]


def strip(rows):
    return [[cell.strip() for cell in row] for row in rows]


@given(ROWS, st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]), st.sampled_from(["\n", "\r\n"]))
def test_rows_that_a_writer_wrote_are_read_as_they_were(rows, quoting, end):
    read = parse(write(rows, quoting, end), len(rows[0]))
    assert read in (None, rows)


@given(st.text(st.sampled_from('ab,"\n '), max_size=16), st.integers(1, 3))
def test_any_text_is_read_as_a_strict_reader_reads_it(text, width):
    read = parse(text, width)
    if read is not None:
        expected = csv.reader(io.StringIO(text), strict='"' in text, skipinitialspace=True)
        assert strip(read) == strip(expected)


@pytest.mark.parametrize("cell", ['a"b', "a\nb", "a\rb", 'a""b', ' "a"', '"a" '])
def test_a_mark_or_a_line_end_inside_a_cell_needs_a_closer_look(cell):
    assert parse(f'"{cell}",7\n', 2) is None


def test_enclosed_cells_are_read_in_one_pass():
    assert parse('"é","",7\r\n"b",c,"8"\r\n', 3) == [["é", "", "7"], ["b", "c", "8"]]
    assert parse('"a, or b","",7\n', 3) == [["a, or b", "", "7"]]


@pytest.mark.parametrize("line", ['""', '"",""', '" ",', ' "","" '])
def test_a_line_of_empty_cells_in_marks_is_no_row(line):
    assert parse(f"a,b\n{line}\nc,d\n", 2) is None
