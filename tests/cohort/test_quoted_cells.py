"""Cells in quotation marks are read the same whether or not their marks could be left out at once."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cohort.reading.text import cells as module

CELL = st.text(st.sampled_from('ab7 ,;"\n\ré'), max_size=4)
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=5)
)


def write(rows: list[list[str]], quoting: int, end: str) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=quoting, lineterminator=end).writerows(rows)
    return stream.getvalue()


@given(ROWS, st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]), st.sampled_from(["\n", "\r\n"]))
def test_marks_are_left_out_only_where_that_changes_no_cell(rows, quoting, end):
    text = write(rows, quoting, end)
    bare = module._leave_out_marks(text.encode(), b",")
    if bare is not None:
        assert [line.split(",") for line in bare.decode().split(end)[:-1]] == rows


@given(st.text(st.sampled_from('ab,"\n '), max_size=16))
def test_marks_of_any_text_are_left_out_only_where_each_encloses_a_cell(text):
    bare = module._leave_out_marks(text.encode(), b",")
    if bare is not None:
        read, expected = (list(csv.reader(io.StringIO(one), strict=True)) for one in (bare.decode(), text))
        assert list(filter(any, read)) == list(filter(any, expected))


@pytest.mark.parametrize("cell", ['a"b', "a,b", "a\nb", 'a""b'])
def test_a_mark_a_separator_or_a_line_end_inside_a_cell_needs_a_closer_look(cell):
    assert module._leave_out_marks(f'"{cell}",7\n'.encode(), b",") is None


def test_enclosed_cells_are_read_in_one_pass():
    assert module._leave_out_marks('"é","",7\r\n"b",c,"8"\r\n'.encode(), b",") == "é,,7\r\nb,c,8\r\n".encode()
