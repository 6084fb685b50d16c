"""Folders, patterns and sheets: files that are read together have the same columns, and each reject names its file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paincast.cohort.reading.files import open_table, read_text_table
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.rejects import Extent, compute_reject_share, join_rejects
from paincast.cohort.validate import validate_patients
from paincast.errors import DataError

MAPPING = """
read: {file: "*.csv"}
episodes:
  episode_id: {column: id}
  patient_id: {row_number: true, prefix: patient-}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
"""


def write_folder(folder: Path, **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_bytes(text.encode("windows-1252"))
    return folder


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two files of other dialects, with a row that cannot be read and a value out of range."""
    return write_folder(
        tmp_path / "export",
        north="id,nrs,site\np1,7,Köln\n\np2\np3,6,Nord\n",
        south="Export 2026;\nnrs;id;site\n8;p4;Süd\n77;p5;Süd\n",
    )


@pytest.mark.parametrize("path", ["", "*.csv", "?o*.csv"])
def test_rows_of_several_files_are_read_in_order_and_positions_count_on(export: Path, path: str) -> None:
    (export / ".hidden.csv").write_text("id,nrs,site\n")
    (export / "~$north.xlsx").write_text("")
    (export / "readme.md").write_text("")
    table = read_text_table(export / path)
    assert table.rows["id"].to_dict() == {1: "p1", 4: "p3", 5: "p4", 6: "p5"}
    assert table.rows["nrs"].tolist() == ["7", "6", "8", "77"]
    assert table.extents == (Extent("north.csv", 0), Extent("south.csv", 4))
    assert table.n_rows == 5
    assert (table.dialect.separator, table.dialect.encoding) == (None, "windows-1252")
    assert len(table.remarks) == 2


def test_rejects_of_ingest_name_the_file_and_the_row_in_it(export: Path, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    mapping = load_mapping(tmp_path / "m.yaml")
    for given in ([export], [export / "*.csv"], [export / "north.csv", export / "south.csv"]):
        cohort, rejects = ingest(mapping, given)
        assert cohort.episodes["patient_id"].tolist() == ["patient-1", "patient-4", "patient-5", "patient-6"]
        assert rejects[["table", "file", "row", "column", "rule"]].to_numpy().tolist() == [
            ["*.csv", "south.csv", 0, "", "title line"],
            ["*.csv", "north.csv", 3, "", "too few cells"],
            ["episodes", "south.csv", 2, "pain_nrs", "range"],
        ]


def test_rejects_of_patients_to_predict_name_the_file_and_the_row_in_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", a="pain_nrs,sex\n7,female\n", b="sex,pain_nrs\nfemale,6\nrobot,5\n")
    patients, rejects = validate_patients(folder)
    assert patients["episode_id"].tolist() == ["row-1", "row-2", "row-3"]
    assert rejects[["file", "row", "column"]].to_numpy().tolist() == [["b.csv", 2, "sex"]]


@pytest.mark.parametrize(
    ("other", "told"), [("id,mrs\np2,6\n", "nrs"), ("id,nrs,extra\np2,6,1\n", "extra"), ("id\np2\n", "nrs")]
)
def test_a_file_with_other_columns_is_refused_by_name(tmp_path: Path, other: str, told: str) -> None:
    folder = write_folder(tmp_path / "in", a="id,nrs\np1,7\n", b=other)
    with pytest.raises(DataError) as refused:
        read_text_table(folder)
    assert refused.value.code == "PC-READING-32"
    assert "b.csv" in str(refused.value)
    assert told in str(refused.value)
    if told == "extra":
        assert read_text_table(folder, used={"id", "nrs"}).rows["id"].tolist() == ["p1", "p2"]


@pytest.mark.parametrize(("path", "code"), [("empty", "PC-READING-33"), ("empty/*.csv", "PC-READING-34")])
def test_no_file_is_refused(tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as refused:
        read_text_table(tmp_path / path)
    assert refused.value.code == code


def test_batches_have_the_requested_size_in_every_file(tmp_path: Path) -> None:
    rows = "".join(f"p{at},7\n" for at in range(1, 8))
    folder = write_folder(tmp_path / "in", a=f"id,nrs\n{rows}", b=f"id,nrs\n{rows}")
    with open_table(folder, batch_rows=3) as opened:
        places = [batch.places.tolist() for batch in opened.batches]
    assert places == [[1, 2, 3], [4, 5, 6], [7], [8, 9, 10], [11, 12, 13], [14]]


def test_rows_of_several_files_that_lost_a_value_are_counted_once_each() -> None:
    lost = {"row": [3, 3], "column": ["bmi"] * 2, "rule": ["range"] * 2, "action": ["cell emptied"] * 2}
    assert compute_reject_share(pd.DataFrame({**lost, "file": ["a.csv", "b.csv"]}), 10) == 0.2
    assert compute_reject_share(pd.DataFrame({**lost, "file": ["a.csv", "a.csv"]}), 10) == 0.1
    assert join_rejects([pd.DataFrame({**lost, "table": "episodes", "allowed": ""})])["file"].tolist() == ["", ""]
