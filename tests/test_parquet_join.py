"""Parquet files that are joined byte by byte hold what their parts held, for every reader."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.files.parquet_join import join_parquet, read_struct, write_struct

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("number", pa.float64()),
        ("truth", pa.bool_()),
        ("count", pa.int64()),
        ("reasons", pa.list_(pa.struct([("variable", pa.string()), ("size", pa.float64())]))),
    ]
)
REASONS = st.none() | st.lists(
    st.fixed_dictionaries(
        {"variable": st.none() | st.text(max_size=4), "size": st.none() | st.floats(allow_nan=False)}
    ),
    max_size=3,
)
ROWS = st.fixed_dictionaries(
    {
        "id": st.none() | st.text(st.characters(codec="utf-8"), max_size=8),
        "number": st.none() | st.floats(allow_nan=False),
        "truth": st.none() | st.booleans(),
        "count": st.none() | st.integers(-(2**63), 2**63 - 1),
        "reasons": REASONS,
    }
)
OPTIONS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 5),
        "compression": st.sampled_from(["snappy", "zstd", "none"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
    }
)


def join(tables: list[pa.Table], folder: Path, **options: object) -> Path:
    parts = []
    for number, table in enumerate(tables):
        parts.append(folder / f"{number}.parquet")
        pq.write_table(table, parts[-1], **options)
    with (folder / "joined.parquet").open("wb") as out:
        assert join_parquet(parts, out) == sum(map(len, tables))
    return folder / "joined.parquet"


@given(st.lists(st.lists(ROWS, max_size=8), min_size=1, max_size=5), OPTIONS)
@settings(max_examples=50)
def test_what_is_joined_is_what_the_parts_held(parts, options) -> None:
    tables = [pa.Table.from_pylist(rows, schema=SCHEMA) for rows in parts]
    with tempfile.TemporaryDirectory() as folder:
        joined = join(tables, Path(folder), **options)
        read = pq.read_table(joined)
        expected = pa.concat_tables(tables)
        assert read.equals(expected)
        assert read.schema.equals(pq.read_schema(Path(folder, "0.parquet")), check_metadata=True)
        counts = [
            pq.read_metadata(joined).row_group(number).num_rows
            for number in range(pq.read_metadata(joined).num_row_groups)
        ]
        assert sum(counts) == len(expected)
        assert pq.ParquetFile(joined).read_row_groups(list(range(len(counts)))).equals(expected)


def test_another_reader_reads_it_too_and_skips_by_statistics(tmp_path: Path) -> None:
    tables = [
        pa.table({"id": [f"p-{n}" for n in range(at, at + 50)], "n": range(at, at + 50)}) for at in range(0, 2000, 50)
    ]
    joined = join(tables, tmp_path)
    assert pl.read_parquet(joined).equals(pl.from_arrow(pa.concat_tables(tables)))
    assert pl.scan_parquet(joined).filter(pl.col("n") > 1900).select("id").collect().height == 99
    assert pq.read_table(joined, filters=[("n", ">", 1900)]).num_rows == 99
    assert pq.read_metadata(joined).row_group(39).column(1).statistics.max == 1999


def test_a_single_part_is_copied_as_it_is(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"id": "a", "reasons": [{"variable": "x", "size": 1.0}]}], schema=SCHEMA)
    assert join([table], tmp_path).read_bytes() == (tmp_path / "0.parquet").read_bytes()


@pytest.mark.slow
def test_more_row_groups_than_16_bits_can_number(tmp_path: Path) -> None:
    joined = join([pa.table({"n": range(17_000)})] * 2, tmp_path, row_group_size=1, write_statistics=False)
    assert pq.read_metadata(joined).num_row_groups == 34_000
    assert pq.ParquetFile(joined).read_row_group(33_999)["n"].to_pylist() == [16_999]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:0],
        lambda raw: raw[:-3],
        lambda raw: raw[: len(raw) // 2] + raw[-8:],
        lambda raw: raw[:-8] + b"\xff\xff\xff\x7fPAR1",
    ],
    ids=["empty", "cut", "hole", "length"],
)
def test_a_damaged_part_is_refused(tmp_path: Path, damage) -> None:
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(damage((tmp_path / "a.parquet").read_bytes()))
    with pytest.raises((ValueError, OSError)):
        join_parquet([tmp_path / "a.parquet", tmp_path / "b.parquet"], io.BytesIO())


def test_parts_of_other_columns_or_none_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"m": [1]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="different columns"):
        join_parquet([tmp_path / "a.parquet", tmp_path / "b.parquet"], io.BytesIO())
    with pytest.raises(ValueError, match="no part"):
        join_parquet([], io.BytesIO())


@given(st.lists(st.lists(ROWS, max_size=3), min_size=1, max_size=1), OPTIONS)
def test_a_footer_is_written_as_it_was_read(parts, options) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(parts[0], schema=SCHEMA), sink, **options)
    raw = sink.getvalue()
    footer = raw[-8 - int.from_bytes(raw[-8:-4], "little") : -8]
    assert write_struct(read_struct(footer)) == footer


@given(st.binary(max_size=60))
def test_bytes_that_are_no_footer_are_refused_and_nothing_else(raw) -> None:
    try:
        read_struct(raw)
    except ValueError:
        return
    assert b"\0" in raw
