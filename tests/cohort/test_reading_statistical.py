"""Files of SPSS and Stata: codes as numbers, labels beside them, user-missing values missing, dates as ISO 8601."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.reading.binary import statistical
from paincast.cohort.reading.files import TextTable, read_text_table
from paincast.cohort.reading.labels import find_meanings
from paincast.cohort.reading.patients import read_patients
from paincast.cohort.reading.types import ColumnNotes
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.validate import validate_patients
from paincast.errors import DataError
from paincast.schema import EPISODES, TABLES

pyreadstat = pytest.importorskip("pyreadstat")

ROWS = pd.DataFrame(
    {
        "ID": [1.0, 2.0, 3.0, 4.0],
        "SEX": [1.0, 2.0, 9.0, np.nan],
        "NRS": [7.1, 6.0, 99.0, 0.0],
        "OP": [date(2022, 3, 1), date(1950, 1, 2), None, date(2020, 2, 29)],
        "SEEN": [datetime(2022, 3, 1, 14, 30), datetime(2022, 3, 1), None, datetime(2020, 1, 1)],
    }
)
TEXTS = [
    ["1", "1", "7.1", "2022-03-01", "2022-03-01 14:30:00"],
    ["2", "2", "6", "1950-01-02", "2022-03-01"],
    ["3", "9", "99", "", ""],
    ["4", "", "0", "2020-02-29", "2020-01-01"],
]
SEXES = {1: "Male", 2: "Female", 9: "Refused"}
SUFFIXES = ["sav", "zsav", "por", "dta"]


def write(path: Path, rows: pd.DataFrame = ROWS, **options: object) -> Path:
    if path.suffix == ".dta":
        pyreadstat.write_dta(rows, path, **options)
    elif path.suffix == ".por":
        pyreadstat.write_por(rows, path, **options)
    else:
        pyreadstat.write_sav(rows, path, compress=path.suffix == ".zsav", **options)
    return path


def cells(table: TextTable) -> list[list[str]]:
    return table.rows.to_numpy().tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("chunk", [statistical.CHUNK_ROWS, 3, 2])
def test_numbers_and_dates_are_read_as_text_and_rows_keep_their_positions(
    tmp_path: Path, suffix: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistical, "CHUNK_ROWS", chunk)
    table = read_text_table(write(tmp_path / f"in.{suffix}"))
    assert cells(table) == TEXTS
    assert table.rows.index.tolist() == [1, 2, 3, 4]
    assert table.columns == ("ID", "SEX", "NRS", "OP", "SEEN")
    assert len(table.rejects) == 0


def test_values_that_the_file_declares_missing_are_missing(tmp_path: Path) -> None:
    file = write(tmp_path / "in.sav", missing_ranges={"SEX": [9], "NRS": [{"lo": 90, "hi": 100}]})
    assert cells(read_text_table(file))[2][:3] == ["3", "", ""]


@pytest.mark.parametrize("suffix", ["sav", "zsav", "dta"])
def test_labels_stand_beside_the_codes(tmp_path: Path, suffix: str) -> None:
    file = write(tmp_path / f"in.{suffix}", column_labels={"NRS": "Pain now"}, variable_value_labels={"SEX": SEXES})
    table = read_text_table(file)
    assert table.labels == {
        "SEX": ColumnNotes("", {"1": "Male", "2": "Female", "9": "Refused"}),
        "NRS": ColumnNotes("Pain now", {}),
    }
    assert table.rows["SEX"].tolist() == ["1", "2", "9", ""]


def test_single_precision_is_read_as_printed(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": np.array([7.1, 0.3, 16_777_216], dtype="float32")})
    rows.to_stata(tmp_path / "in.dta", write_index=False)
    assert read_text_table(tmp_path / "in.dta").rows["x"].tolist() == ["7.1", "0.3", "16777216"]


@pytest.mark.parametrize("suffix", ["sav", "dta"])
def test_texts_are_trimmed_and_beyond_ascii(tmp_path: Path, suffix: str) -> None:
    rows = pd.DataFrame({"id": ["p1", "p2 ", ""], "site": ["Köln", "#NULL!", "Nord"]})
    assert cells(read_text_table(write(tmp_path / f"in.{suffix}", rows))) == [
        ["p1", "Köln"],
        ["p2", "#NULL!"],
        ["", "Nord"],
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"in.{suffix}").write_bytes(b"not of this kind" * 20)
    with pytest.raises(DataError) as refused:
        read_text_table(tmp_path / f"in.{suffix}")
    assert refused.value.code == "PC-READING-30"


MAPPING = """
read: {file: in.sav}
keep_rows_where:
  - {column: KEEP, is: [%s], is_not: others, because: "others are not of this registry"}
episodes:
  episode_id: {column: ID}
  patient_id: {column: ID}
  technique: {always: facet_rfa}
  sex: {column: SEX%s}
  smoker: {column: SMOKES}
  pain_nrs: {column: NRS}
"""


@pytest.mark.parametrize("kept", ["1", "Yes", "yes"])
@pytest.mark.parametrize(
    "codes", [", codes: {1: male, 2: female, 9: missing}", ", codes: {Male: male, FEMALE: female, Refused: missing}"]
)
def test_a_mapping_names_codes_by_number_or_by_label(tmp_path: Path, kept: str, codes: str) -> None:
    rows = ROWS.assign(KEEP=[1.0, 1.0, 1.0, 2.0], SMOKES=[1.0, 2.0, 3.0, 2.0], NRS=[7.0, 6.0, 99.0, 5.0])
    labels = {
        "SEX": SEXES,
        "KEEP": {1: "Yes", 2: "No"},
        "SMOKES": {1: "No", 2: "Yes", 3: "unknown"},
        "NRS": {99: "N/A"},
    }
    write(tmp_path / "in.sav", rows, variable_value_labels=labels)
    (tmp_path / "m.yaml").write_text(MAPPING % (kept, codes), encoding="utf-8")
    cohort, rejects = ingest(load_mapping(tmp_path / "m.yaml"), [tmp_path / "in.sav"])
    assert cohort.episodes["sex"].fillna("").tolist() == ["male", "female", ""]
    assert cohort.episodes["smoker"].to_numpy("object", na_value=None).tolist() == [False, True, None]
    assert cohort.episodes["pain_nrs"].fillna(-1).tolist() == [7, 6, -1]
    assert len(rejects) == 0


def test_a_code_that_is_listed_itself_does_not_take_the_meaning_of_its_label(tmp_path: Path) -> None:
    rows = ROWS.assign(KEEP=1.0, SMOKES=1.0, NRS=5.0)
    write(tmp_path / "in.sav", rows, variable_value_labels={"SEX": {1: "2", 2: "1", 9: "9"}})
    (tmp_path / "m.yaml").write_text(MAPPING % ("1", ", codes: {1: male, 2: female, 9: missing}"), encoding="utf-8")
    cohort, _ = ingest(load_mapping(tmp_path / "m.yaml"), [tmp_path / "in.sav"])
    assert cohort.episodes["sex"].fillna("").tolist() == ["male", "female", "", ""]


def test_patients_to_predict_are_read_by_their_labels(tmp_path: Path) -> None:
    rows = pd.DataFrame({"SEX": [1.0, 2.0, 9.0], "SMOKER": [1.0, 2.0, 2.0], "PAIN_NRS": [7.0, 6.5, 99.0]})
    labels = {"SEX": {1: "Male", 2: "Female", 9: "unknown"}, "SMOKER": {1: "No", 2: "Yes"}, "PAIN_NRS": {99: "missing"}}
    file = write(tmp_path / "in.sav", rows, variable_value_labels=labels)
    patients, rejects = validate_patients(file)
    assert patients["sex"].fillna("").tolist() == ["male", "female", ""]
    assert patients["smoker"].tolist() == [False, True, True]
    assert patients["pain_nrs"].fillna(-1).tolist() == [7, 6.5, -1]
    assert len(rejects) == 0
    assert read_patients(file).rows["SEX".lower()].tolist()[:2] == ["male", "female"]


def test_labels_with_another_meaning_leave_the_codes(tmp_path: Path) -> None:
    assert find_meanings(ColumnNotes("", {"1": "male", "2": "other"}), EPISODES["sex"]) is None
    file = write(tmp_path / "in.sav", ROWS[["SEX", "NRS"]], variable_value_labels={"SEX": {1: "M", 2: "F"}})
    _, rejects = validate_patients(file.rename(tmp_path / "in.sav"))
    assert set(rejects["rule"]) >= {"category"}


def to_typed(column: pd.Series) -> pd.Series:
    """Make a column of numbers of a column that holds nothing else."""
    numbers = pd.to_numeric(column.replace("", np.nan), errors="coerce")
    return numbers if (numbers.notna() | (column == "")).all() else column


@pytest.mark.parametrize("suffix", ["sav", "dta"])
@pytest.mark.parametrize(
    "name", ["caudal_esi_2018", "genicular_rfa_2024", "back_pain_placebo_2022", "trigeminal_percutaneous_2024"]
)
def test_a_published_set_in_spss_or_stata_is_the_same_cohort(
    tmp_path: Path, real_data: Path, name: str, suffix: str
) -> None:
    mapping = load_mapping(name)
    files = [real_data / name / file for file in mapping.files]
    if not all(file.exists() for file in files):
        pytest.skip(f"{name} is not at hand")
    # SPSS and Stata allow no spaces in names, and few characters.
    text, copies, renamed = mapping.path.read_text(encoding="utf-8"), [], {}
    for file in files:
        rows = pd.read_csv(file, sep="\t" if file.suffix == ".tsv" else ",", dtype="str", keep_default_na=False)
        rows = rows.set_axis([" ".join(column.split()) for column in rows], axis="columns")
        short = {column: renamed.get(column, f"v{len(renamed) + at}") for at, column in enumerate(rows)}
        renamed |= short
        copies.append(write(tmp_path / f"{file.stem}.{suffix}", rows.rename(columns=short).apply(to_typed)))
    for column, short_name in renamed.items():
        text = re.sub(rf"((?:column|by): ){re.escape(column)}(?=[,}}\n])", rf"\g<1>{short_name}", text)
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    expected, expected_rejects = ingest(mapping, files)
    found, rejects = ingest(load_mapping(tmp_path / f"{name}.yaml"), copies)
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(expected, table), getattr(found, table))
    expected_rejects = expected_rejects.replace({"column": renamed})
    pd.testing.assert_frame_equal(expected_rejects.drop(columns="file"), rejects.drop(columns="file"))
