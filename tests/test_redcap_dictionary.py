"""The data dictionary of a REDCap project is read as REDCap writes it, and a wrong one is refused by name."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.errors import DataError
from paincast.files.redcap_dictionary import (
    DictionaryField,
    is_dictionary_header,
    name_checkbox,
    read_choices,
    read_dictionary,
)

FILE_HEADER = [
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)",
    "Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?",
    "Field Annotation",
]  # fmt: skip
API_HEADER = [
    "field_name", "form_name", "section_header", "field_type", "field_label", "select_choices_or_calculations",
    "field_note", "text_validation_type_or_show_slider_number", "text_validation_min", "text_validation_max",
    "identifier", "branching_logic", "required_field", "custom_alignment", "question_number", "matrix_group_name",
    "matrix_ranking", "field_annotation",
]  # fmt: skip
OLD_HEADER = [
    "Variable / Field Name", "Form Name", "Field Units", "Section Header", "Field Type", "Field Label",
    "Choices OR Calculations", "Field Note", "Text Validation Type", "Text Validation Min", "Text Validation Max",
    "Identifier?", "Branching Logic (Show field only if...)", "Required Field?",
]  # fmt: skip

ROWS = [
    ["record_id", "demographics", "", "text", "Record ID", "", "", "", "", "", "", "", "", "", "", "", "", ""],
    ["dob", "demographics", "", "text", "Date of birth", "", "", "date_ymd", "1900-01-01", "today", "y", "", "y",
     "", "", "", "", ""],
    ["sex", "demographics", "", "radio", "Sex", "1, Male | 2, Female", "", "", "", "", "", "", "", "", "", "", "", ""],
    ["comorb", "demographics", "", "checkbox", "Comorbidity", "1, Diabetes | 2, Heart, any | -99, None", "", "", "",
     "", "", "[sex] = '1'", "", "", "", "", "", ""],
    ["nrs", "pain", "Now", "text", "<b>Pain&nbsp;today</b>", "", "0 is none", "integer", "0", "10", "", "", "", "",
     "", "", "", ""],
    ["vas", "pain", "", "slider", "Pain", "none | some | worst", "", "number", "0", "100", "", "", "", "", "", "", "",
     ""],
    ["bmi", "pain", "", "calc", "BMI", "[weight]/([height]^2)", "", "", "", "", "", "", "", "", "", "", "", ""],
    ["odi_1", "pain", "", "radio", "Lifting", "0, No | 1, Yes", "", "", "", "", "", "", "", "", "", "odi", "", ""],
    ["smoker", "pain", "", "yesno", "Smoker?", "", "", "", "", "", "", "", "", "", "", "", "", ""],
    ["intro", "pain", "", "descriptive", "Welcome", "", "", "", "", "", "", "", "", "", "", "", "", ""],
]  # fmt: skip


def write_dictionary(path: Path, header: list[str], rows: list[list[str]], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream, delimiter=separator).writerows([header, *rows])
    return path


@pytest.fixture
def fields(tmp_path: Path) -> dict[str, DictionaryField]:
    read = read_dictionary(write_dictionary(tmp_path / "dictionary.csv", FILE_HEADER, ROWS))
    return {field.name: field for field in read}


def test_every_field_is_read_in_order(fields: dict[str, DictionaryField]) -> None:
    assert list(fields) == [row[0] for row in ROWS]
    assert [field.type for field in fields.values()] == [row[3] for row in ROWS]
    assert {name for name, field in fields.items() if field.identifier} == {"dob"}
    assert {name for name, field in fields.items() if field.required} == {"dob"}
    assert fields["comorb"].branching == "[sex] = '1'"
    assert fields["odi_1"].matrix == "odi"
    assert fields["nrs"].form == "pain"


def test_choices_and_columns_of_an_export(fields: dict[str, DictionaryField]) -> None:
    assert fields["sex"].choices == {"1": "Male", "2": "Female"}
    assert fields["comorb"].choices["2"] == "Heart, any"
    assert fields["comorb"].columns == ("comorb___1", "comorb___2", "comorb____99")
    assert fields["smoker"].choices == {"1": "Yes", "0": "No"}
    assert fields["intro"].columns == ()
    assert fields["nrs"].columns == ("nrs",)


def test_bounds_calculations_and_texts(fields: dict[str, DictionaryField]) -> None:
    assert (fields["nrs"].low, fields["nrs"].high) == (0, 10)
    assert (fields["vas"].low, fields["vas"].high) == (0, 100)
    assert (fields["dob"].low, fields["dob"].high) == (None, None)
    assert fields["vas"].choices == {}
    assert fields["bmi"].calculation == "[weight]/([height]^2)"
    assert fields["nrs"].label == "Pain today"
    assert (fields["nrs"].section, fields["nrs"].note) == ("Now", "0 is none")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_an_export_of_the_api_reads_like_the_file(tmp_path: Path, separator: str) -> None:
    of_file = read_dictionary(write_dictionary(tmp_path / "a.csv", FILE_HEADER, ROWS))
    assert read_dictionary(write_dictionary(tmp_path / "b.csv", API_HEADER, ROWS, separator)) == of_file


def test_an_older_header_is_known(tmp_path: Path) -> None:
    row = ["sex", "demographics", "", "", "select", "Sex", "1, Male \\n 2, Female", *[""] * 7]
    (field,) = read_dictionary(write_dictionary(tmp_path / "old.csv", OLD_HEADER, [row]))
    assert (field.type, field.choices) == ("dropdown", {"1": "Male", "2": "Female"})


def test_headers_are_recognized() -> None:
    assert all(is_dictionary_header(header) for header in (FILE_HEADER, API_HEADER, OLD_HEADER))
    assert not is_dictionary_header(["record_id", "redcap_event_name", "nrs"])


def replace(row: int, column: int, text: str) -> list[list[str]]:
    rows = [list(cells) for cells in ROWS]
    rows[row][column] = text
    return rows


@pytest.mark.parametrize(
    ("rows", "code", "named"),
    [
        (replace(2, 0, "dob"), "PC-FILES-52", "dob"),
        (replace(2, 0, ""), "PC-FILES-56", "line 4"),
        (replace(2, 3, "picklist"), "PC-FILES-57", "sex"),
        (replace(2, 5, "Male | Female"), "PC-FILES-58", "sex"),
        (replace(2, 5, "1, Male | 1, Female"), "PC-FILES-58", "choice 2"),
        (replace(2, 5, ""), "PC-FILES-59", "sex"),
        (replace(4, 8, "none"), "PC-FILES-60", "nrs"),
        ([], "PC-FILES-53", "no field"),
    ],
)
def test_a_wrong_dictionary_is_refused(tmp_path: Path, rows: list[list[str]], code: str, named: str) -> None:
    with pytest.raises(DataError, match=named) as refused:
        read_dictionary(write_dictionary(tmp_path / "dictionary.csv", FILE_HEADER, rows))
    assert refused.value.code == code


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fieldtype") as refused:
        read_dictionary(write_dictionary(tmp_path / "data.csv", ["record_id", "nrs"], [["1", "7"]]))
    assert refused.value.code == "PC-FILES-51"


def test_a_bound_may_refer_to_another_field(tmp_path: Path) -> None:
    fields = read_dictionary(write_dictionary(tmp_path / "d.csv", FILE_HEADER, replace(4, 8, "[lowest]")))
    assert fields[4].low is None


CODES = st.text("abcXYZ0123456789-_.", min_size=1, max_size=5)
LABELS = st.text("abc éß,.%()/", max_size=12).map(lambda text: " ".join(text.split()))


@given(st.dictionaries(CODES, LABELS, min_size=1, max_size=8), st.sampled_from(["|", " | ", "\n", r" \n "]))
def test_written_choices_are_read_back(choices: dict[str, str], between: str) -> None:
    text = between.join(f"{code}, {label}" for code, label in choices.items())
    assert read_choices(text) == choices


@given(st.text(max_size=60))
def test_any_text_is_choices_or_is_refused(text: str) -> None:
    try:
        choices = read_choices(text)
    except ValueError:
        return
    assert all(code and code == code.strip() and "|" not in code for code in choices)


@given(CODES)
def test_the_name_of_a_box_is_a_name_of_redcap(code: str) -> None:
    name = name_checkbox("comorb", code)
    assert name.startswith("comorb___")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
