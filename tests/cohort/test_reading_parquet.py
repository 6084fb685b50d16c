"""Parquet through the one reader: what pandas put aside comes back, and no file ends in a traceback."""

from __future__ import annotations

import decimal
import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paincast.cohort.reading.files import TextTable, read_text_table
from paincast.cohort.reading.types import LONGEST_CELL, MOST_COLUMNS
from paincast.errors import DataError

PATIENTS = pd.DataFrame({"episode_id": ["a", "b", "c"], "age_years": [40, 50, 60], "sex": ["f", "m", None]})


@pytest.fixture
def read(tmp_path: Path):
    """Read a frame or an Arrow table as Parquet."""

    def call(table: pd.DataFrame | pa.Table | dict, **options) -> TextTable:
        file = tmp_path / "in.parquet"
        if isinstance(table, pd.DataFrame):
            table.to_parquet(file)
        else:
            pq.write_table(pa.table(table) if isinstance(table, dict) else table, file)
        return read_text_table(file, **options)

    return call


def kinds(sheet: TextTable) -> list[list[object]]:
    return sheet.rejects[["row", "column", "rule", "action"]].to_numpy().tolist()


@pytest.mark.parametrize("index", [[], ["episode_id"], ["episode_id", "age_years"], ["sex"]])
def test_a_named_index_comes_back_as_columns(read, index: list[str]) -> None:
    sheet = read(PATIENTS.set_index(index) if index else PATIENTS)
    assert kinds(sheet) == []
    assert sheet.rows["episode_id"].to_dict() == {1: "a", 2: "b", 3: "c"}
    assert sheet.rows["age_years"].tolist() == ["40", "50", "60"]
    assert sheet.rows["sex"].tolist() == ["f", "m", ""]
    assert set(sheet.columns) == {"episode_id", "age_years", "sex"}


def test_an_index_without_a_name_is_said_and_a_plain_range_is_not(read) -> None:
    sheet = read(PATIENTS.sample(3, random_state=1))
    assert kinds(sheet) == [[0, "column 4", "no column name", "column left out"]]
    assert kinds(read(PATIENTS.reset_index(drop=True))) == []


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([7, 8], pa.int8()), ["7", "8"]),
        (pa.array([2**63 + 1, None], pa.uint64()), [str(2**63 + 1), ""]),
        (pa.array([2**53 + 1, None], pa.int64()), [str(2**53 + 1), ""]),
        (pa.array([7.0, 2.5], pa.float64()), ["7", "2.5"]),
        (pa.array([7.1, None], pa.float32()), ["7.1", ""]),
        (pa.array(np.array([7.1, 2], np.float16)), ["7.1", "2"]),
        (pa.array([True, None]), ["True", ""]),
        (pa.array([decimal.Decimal("7.10"), decimal.Decimal("3.00")]), ["7.10", "3"]),
        (pa.array([None, None], pa.null()), ["", ""]),
        (pa.array(["x ", None], pa.large_string()), ["x", ""]),
        (pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
        (pa.array([b"x", b"\xc3\xbc"]), ["x", "ü"]),
        (pa.array([b"ab", b"cd"], pa.binary(2)), ["ab", "cd"]),
        (pa.array([date(2021, 2, 1), None]), ["2021-02-01", ""]),
        (pa.array([datetime(2021, 2, 1), datetime(2021, 2, 1, 8, 30)]), ["2021-02-01", "2021-02-01 08:30:00"]),
        (
            pa.array([datetime(2020, 12, 31, 23, 30, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
            ["2021-01-01 00:30:00", ""],
        ),
        (pa.array([time(8, 30), None]), ["08:30:00", ""]),
    ],
)
def test_plain_types_are_read_as_what_they_say(read, array: pa.Array, texts: list[str]) -> None:
    sheet = read(pa.table({"id": ["a", "b"], "x": array}))
    assert kinds(sheet) == []
    assert sheet.rows["x"].tolist() == texts


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1], [2]]),
        pa.array([{"y": 1, "z": "q"}, None]),
        pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([timedelta(days=3), None]),
    ],
    ids=["list", "struct", "map", "duration"],
)
def test_other_types_are_left_out_and_said(read, array: pa.Array) -> None:
    table = pa.table({"nested": array, "id": ["a", "b"], "x": array, "age": [1, 2]})
    sheet = read(table, used={"id", "x", "age"})
    assert kinds(sheet) == [[0, "x", "column type", "column left out"]]
    assert sheet.rows[["id", "age"]].to_numpy().tolist() == [["a", "1"], ["b", "2"]]
    assert kinds(read(table, used={"id", "age"})) == []


def test_bytes_that_are_no_text_empty_their_cell(read) -> None:
    sheet = read(pa.table({"id": [b"a", b"\xff", None], "age": [1, 2, 3]}))
    assert kinds(sheet) == [[2, "id", "encoding", "cell emptied"]]
    assert sheet.rows["id"].tolist() == ["a", "", ""]


@pytest.mark.parametrize(("name", "index"), [("age_years", (40, 49, 3)), ("episode_id", (0, 3, 1)), ("x", (9, 3, -2))])
def test_an_index_that_is_a_named_range_comes_back_as_a_column(read, name: str, index: tuple[int, int, int]) -> None:
    frame = PATIENTS.drop(columns=name, errors="ignore").set_axis(pd.RangeIndex(*index, name=name))
    for options in ({}, {"used": {"sex", name}}, {"used": {name}}):
        sheet = read(frame, **options)
        assert sheet.rows[name].to_dict() == {place: str(value) for place, value in enumerate(range(*index), 1)}
        assert kinds(sheet) == []
    kept = read(PATIENTS.set_axis(pd.RangeIndex(7, 10, name="age_years")))
    assert kept.rows["age_years"].tolist() == ["40", "50", "60"]


def make_range_metadata(start: object, stop: object, step: object) -> bytes:
    index = {"kind": "range", "name": "n", "start": start, "stop": stop, "step": step}
    return json.dumps({"index_columns": [index]}).encode()


RANGES = [(0, 1, 0), (0, 5, 1), ("0", 1, 1), (0, 10**30, 1), (10**30, 10**30 + 1, 1), (None, 1, 1)]


@pytest.mark.parametrize("bounds", RANGES)
def test_a_range_that_does_not_fit_the_rows_is_no_column(read, bounds: tuple[object, object, object]) -> None:
    table = pa.table({"id": ["a"], "age": [1]}).replace_schema_metadata({b"pandas": make_range_metadata(*bounds)})
    assert read(table).rows.to_numpy().tolist() == [["a", "1"]]


@pytest.mark.parametrize("metadata", [b"{", b"null", b"[]", b'{"index_columns": 3}', b'{"columns": [1]}', b"\xff"])
def test_odd_metadata_change_nothing(read, metadata: bytes) -> None:
    table = pa.table({"id": ["a"], "age": [1]}).replace_schema_metadata({b"pandas": metadata})
    assert read(table).rows.to_numpy().tolist() == [["a", "1"]]


def test_twins_and_names_with_white_space(read) -> None:
    table = pa.table([pa.array(["a"]), pa.array([1]), pa.array([2]), pa.array([3])], names=[" id", "x", "x ", "a.b"])
    sheet = read(table, used={"id", "a.b"})
    assert sheet.rows.to_numpy().tolist() == [["a", "3"]]
    assert kinds(sheet) == [[0, "x", "duplicate column", "column left out"]]
    with pytest.raises(DataError, match="'x' appears twice"):
        read(table, used={"id", "x"})


def test_a_file_that_is_damaged_encrypted_or_too_wide_is_refused(read, tmp_path: Path) -> None:
    file = tmp_path / "in.parquet"
    for raw in (b"PAR1", b"PARE" + bytes(30) + b"PARE", b"PAR1" + bytes(100) + b"PAR1", bytes(500)):
        file.write_bytes(raw)
        with pytest.raises(DataError, check=lambda error: error.code == "PC-READING-14"):
            read_text_table(file)
    with pytest.raises(DataError, match=f"at most {MOST_COLUMNS}"):
        read(pa.table({f"c{n}": [1] for n in range(MOST_COLUMNS + 1)}))
    with pytest.raises(DataError, match="no rows"):
        read(PATIENTS.iloc[:0])


@pytest.mark.slow
def test_any_byte_damaged_is_an_error_in_words_or_read(tmp_path: Path) -> None:
    file = tmp_path / "in.parquet"
    many = pd.concat([PATIENTS] * 30)
    many.to_parquet(file)
    raw = file.read_bytes()
    draw = np.random.default_rng(7)
    for at in draw.integers(0, len(raw), 300):
        file.write_bytes(raw[:at] + bytes([draw.integers(256)]) + raw[at + 1 :])
        try:
            sheet = read_text_table(file, used={"episode_id", "age_years"})
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert len(sheet.rows) + len(sheet.rejects) > 0


def test_a_long_cell_is_emptied_and_exact_length_is_kept(read) -> None:
    exact, long = "x" * LONGEST_CELL, "y" * (LONGEST_CELL + 1)
    sheet = read(pa.table({"id": [f"p{n}" for n in range(40)], "notes": [exact, long, long, *["fine"] * 37]}))
    assert kinds(sheet) == [[row, "notes", "cell too long", "cell emptied"] for row in (2, 3)]
    assert sheet.rows.loc[1, "notes"] == exact
    assert sheet.rows.loc[3].tolist() == ["p2", ""]


WRITE = {
    "one value of 50 MB in 200 rows": {"n": 200, "size": 50 << 20, "plain": False},
    "one value of 20 MB in 5,000 rows": {"n": 5000, "size": 20 << 20, "plain": False},
    "a value of 5 MB written 40 times": {"n": 40, "size": 5 << 20, "plain": True},
}
READ = """
import resource, sys
import paincast.cohort.reading.files as reading
from paincast.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    sheet = reading.read_text_table(sys.argv[1], used={"episode_id", "site_id"})
    print("read", len(sheet.rows), sheet.rejects["rule"].unique().tolist())
except DataError as error:
    print("refused", "32767" in str(error))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITE)
def test_huge_cells_end_in_words_and_bounded_memory(tmp_path: Path, name: str) -> None:
    n, size, plain = WRITE[name]["n"], WRITE[name]["size"], WRITE[name]["plain"]
    column = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array(["x" * size]))
    texts = pa.array(["x" * size] * n) if plain else column
    table = pa.table({"episode_id": [f"e{at}" for at in range(n)], "site_id": texts})
    pq.write_table(table, tmp_path / "in.parquet", compression="zstd", use_dictionary=not plain)
    assert (tmp_path / "in.parquet").stat().st_size < 1 << 20
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "in.parquet")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told, megabytes = done.stdout.splitlines()
    assert told in ("refused True", f"read {n} ['cell too long']")
    assert int(megabytes) < 400


def test_rows_of_many_row_groups_keep_their_places(tmp_path: Path) -> None:
    n = 12_345
    table = pa.table({"id": [f"p{at}" for at in range(1, n + 1)], "age": list(range(n))})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=1000)
    sheet = read_text_table(tmp_path / "in.parquet")
    assert sheet.rows.index.tolist() == list(range(1, n + 1))
    assert (sheet.rows["id"] == "p" + sheet.rows.index.astype("str")).all()
