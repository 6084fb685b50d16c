from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.coercion import (
    count_marks,
    is_missing_word,
    read_plain,
    to_booleans,
    to_listed,
    to_numbers,
    to_plain_text,
    to_text,
)
from paincast.cohort.numerals import Decimal, NumberStyle, settle_reading
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_patients, validate_tables
from paincast.cohort.violations import _read_distinct
from paincast.schema import EPISODES, TABLES

NOTHING = math.nan


PLAIN_COLUMNS = [
    EPISODES[name]
    for name in ("pain_nrs", "age_years", "odi", "bmi", "depression", "sex", "smoker", "site_id", "indication")
]
WORDS = st.sampled_from(
    [
        *("7", "007", "6.50", "1e3", "-0", "-7", "+7", " 7", "7 ", "7%", "12.345678", "1234567890123456", "1.", ".5"),
        *("7,5", "yes", "No", "TRUE", "t", "0", "1.0", "perhaps", "female", "Female", "none", "other", "NA", "k.A."),
        *("-", "?", "", "lumbar_facet", "Site 1", " x", "yeſ", "\u2007", "é"),
    ]
) | st.text(max_size=4)


@pytest.mark.parametrize("column", PLAIN_COLUMNS, ids=lambda column: column.name)
@given(words=st.lists(st.none() | WORDS, max_size=6, unique=True))
def test_plain_texts_are_read_one_by_one_as_columns_are(column, words):
    plain = read_plain(column, words)
    marks = count_marks(to_text(pd.Series(words, dtype="str")), None)
    reading = settle_reading(*marks, None, False) if column.type in ("number", "integer") else None
    if reading and reading.plain != "number":
        return
    full, broken = _read_distinct(column, NumberStyle(), reading, pa.array(words, pa.string()))
    if plain is not None:
        assert broken == {}
        values = full.values if full.places is None else full.values.take(pa.array(full.places, mask=full.places < 0))
        assert [*plain, None] == values.to_pylist()


def read(text: str, decimal: Decimal | None) -> float:
    numbers, failed = to_numbers(pd.Series([text]), decimal=decimal)
    assert failed[0] == math.isnan(numbers[0])
    return float(numbers[0])


@pytest.mark.parametrize(
    ("text", "undeclared", "point", "comma"),
    [
        ("1.200", 1.2, 1.2, 1200),
        ("1,200", NOTHING, 1200, 1.2),
        ("1.200,0", NOTHING, NOTHING, 1200),
        ("1,200.0", NOTHING, 1200, 1200),
        ("1.200.300", NOTHING, NOTHING, 1_200_300),
        ("12.00", 12, 12, 12),
        ("7,5", NOTHING, NOTHING, 7.5),
        ("7.5", 7.5, 7.5, 7.5),
        ("0.500", 0.5, 0.5, 0.5),
        ("1.2000", 1.2, 1.2, 1.2),
        ("1,20,000", NOTHING, NOTHING, NOTHING),
        ("1 200", 1200, 1200, 1200),
        ("1\u00a0200", 1200, 1200, 1200),
        ("1\u202f200", 1200, 1200, 1200),
        ("1'200", 1200, 1200, 1200),
        ("1 20", NOTHING, NOTHING, NOTHING),
        ("\u22127", -7, -7, -7),
        ("\u20137", -7, -7, -7),
        ("+7", 7, 7, 7),
        ("１２", 12, 12, 12),
        ("٧", 7, 7, 7),
        ("٧٫٥", 7.5, 7.5, 7.5),
        ("1e3", 1000, 1000, 1000),
        ("1e999", NOTHING, NOTHING, NOTHING),
        ("7²", NOTHING, NOTHING, NOTHING),
        ("½", NOTHING, NOTHING, NOTHING),
    ],
)
def test_a_number_is_read_with_the_decimal_mark_declared(
    text: str, undeclared: float, point: float, comma: float
) -> None:
    read_so = [read(text, None), read(text, "point"), read(text, "comma")]
    np.testing.assert_array_equal(read_so, [undeclared, point, comma])


@pytest.mark.parametrize(
    "text",
    "inf -inf Infinity 0x10 1_000 >90 <0.1 7/10 ca.7 7-8 --7 7- (7) 1d3 7;8 True 7:30 45% $5 七 IV 2022-03-01".split(),  # noqa: SIM905
)
@pytest.mark.parametrize("decimal", [None, "point", "comma"])
def test_what_only_resembles_a_number_is_a_reject(text: str, decimal: Decimal | None) -> None:
    assert math.isnan(read(text, decimal))


@pytest.mark.slow
@given(st.decimals(-99_999, 99_999, places=3), st.sampled_from(["point", "comma"]), st.booleans())
def test_numbers_written_with_any_declared_mark_are_read_back_or_rejected(
    number: object, decimal: Decimal, grouped: bool
) -> None:
    text = f"{number:,.3f}" if grouped else f"{number:.3f}"
    if decimal == "comma":
        text = text.translate(str.maketrans(".,", ",."))
    assert read(text, decimal) == float(str(number))


@pytest.mark.slow
@given(st.lists(st.text(alphabet="0123456789.,-+ eE%'٣７−_x", min_size=1, max_size=8), min_size=1, max_size=4))
@settings(max_examples=200)
def test_no_cell_has_a_value_beside_other_cells_that_it_has_not_alone(cells: list[str]) -> None:
    for decimal in (None, "point"):
        together = to_numbers(pd.Series(cells), decimal=decimal)[0]
        alone = [read(cell, decimal) if cell.strip() and not is_missing_word(cell) else math.nan for cell in cells]
        assert all(math.isnan(both) or both == one for both, one in zip(together, alone, strict=True))


def test_a_column_written_both_ways_gives_no_number_that_has_two_readings() -> None:
    german = pd.Series(["7,5", "6,5", "1.200", "60"])
    assert to_numbers(german)[1].tolist() == [True, True, True, False]
    mixed = pd.Series(["27.4", "31.5", "1.200", "7,5"])
    assert to_numbers(mixed, decimal="comma")[0].tolist()[3] == 7.5
    assert to_numbers(mixed, decimal="comma")[1].tolist() == [True, True, True, False]
    with_points = to_numbers(pd.Series(["27.4", "1.200", "1,200"]), decimal="comma")
    assert with_points[0].tolist()[0] == 27.4
    assert with_points[1].tolist() == [False, True, True]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False]),
        pd.Series([True], dtype=object),
        pd.Series([pd.Timestamp("2022-03-01")]),
        pd.Series([1j]),
    ],
)
def test_what_is_typed_as_something_else_is_no_number(column: pd.Series) -> None:
    assert to_numbers(column)[1].all()


def test_a_percent_sign_belongs_to_percentages_alone() -> None:
    given = {"episode_id": ["a"], "block_relief_percent": ["45 %"], "pain_nrs": ["7 %"], "odi": ["40%"]}
    patients, rejects = validate_patients(pd.DataFrame(given))
    assert patients["block_relief_percent"].tolist() == [45.0]
    assert rejects[["column", "rule"]].to_numpy().tolist() == [["pain_nrs", "not a number"], ["odi", "not a number"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "word",
    ["n/a", "N/A", "na", ".", "-", "--", "–", "#N/A", "#n/a", "#NV", "k. A.", "k.A.", "K.A.", "unknown", "UNBEKANNT",
     "Missing", "none", "None", "NaN", "keine Angabe", "\u00a0", "\u200b", "NULL", "<NA>"],
)  # fmt: skip
def test_words_for_no_value_are_missing_in_any_case_and_no_reject(word: str) -> None:
    cells = pd.Series([word, "7"])
    assert to_text(cells).isna().tolist() == [True, False]
    assert to_numbers(cells)[1].tolist() == [False, False]
    assert to_booleans(pd.Series([word, "yes"]))[1].tolist() == [False, False]
    given = {"episode_id": ["a"], "pain_nrs": [word], "sex": [word], "smoker": [word], "site_id": [word], "bmi": ["30"]}
    patients, rejects = validate_patients(pd.DataFrame(given))
    assert rejects.empty
    assert patients[["pain_nrs", "sex", "smoker", "site_id"]].isna().all(axis=None)


def test_no_word_for_no_value_is_a_category_of_the_contract() -> None:
    categories = [word for table in TABLES.values() for column in table.values() for word in column.categories]
    assert not any(is_missing_word(word) for word in categories)
    assert not any(is_missing_word(word) for word in ("0", "no", "false", "other", "-1", "+", "0.0", "nein"))


def test_categories_and_codes_are_read_in_any_case_where_one_is_meant() -> None:
    patients, rejects = validate_patients(pd.DataFrame({"sex": ["Female", "MALE", "f"], "indication": ["CRPS"] * 3}))
    assert patients["sex"].tolist()[:2] == ["female", "male"]
    assert patients["indication"].tolist() == ["crps"] * 3
    assert rejects[["row", "column", "rule"]].to_numpy().tolist() == [[3, "sex", "category"]]
    twins = {"Ja": "true", "ja": "false", "No": "x", "NO": "x"}
    assert to_listed(pd.Series(["Ja", "ja", "JA", "no"]), twins).tolist() == ["Ja", "ja", "JA", "No"]


def test_plain_text_keeps_words_for_no_value_and_whole_floats_lose_their_fraction() -> None:
    assert to_plain_text(pd.Series([" None", "n/a"])).tolist() == ["None", "n/a"]
    assert to_plain_text(pd.Series([3.0, 2.5])).tolist() == ["3", "2.5"]


def ingest_text(folder: Path, mapping: str, text: str) -> tuple[Cohort, pd.DataFrame]:
    (folder / "in.csv").write_text(text, encoding="utf-8")
    (folder / "map.yaml").write_text("read: {file: in.csv}\n" * ("read:" not in mapping) + mapping, encoding="utf-8")
    return ingest(load_mapping(folder / "map.yaml"), [folder / "in.csv"])


EPISODES = """
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
"""


def test_a_german_thousands_dot_is_no_decimal_point(tmp_path: Path) -> None:
    mapping = "read: {file: in.csv, separator: semicolon, decimal: comma}" + EPISODES
    cohort, rejects = ingest_text(
        tmp_path,
        mapping + "  opioid_mme: {column: mme}\n  pain_nrs: {column: nrs}\n",
        "id;mme;nrs\n1;1.200;7,5\n2;60;6,0\n3;1.200,0;5,0\n",
    )
    assert cohort.episodes["opioid_mme"].tolist() == [1200.0, 60.0, 1200.0]
    assert cohort.episodes["pain_nrs"].tolist() == [7.5, 6.0, 5.0]
    assert rejects.empty


def test_none_is_an_answer_where_it_is_a_code_and_no_value_elsewhere(tmp_path: Path) -> None:
    cohort, rejects = ingest_text(
        tmp_path,
        EPISODES
        + """  prior_procedure: {column: prior, codes: {None: false, surgery: true}}
  smoker: {column: smoke, codes: {no: false, yes: true, Nein: false}}
  site_id: {column: site}
  pain_nrs: {column: nrs}
""",
        "id,prior,smoke,nrs,site\n1,None,no,7,NA\n2,SURGERY,YES,6,None\n3,n/a,NEIN,.,#N/A\n4,none,unknown,-,Nord\n",
    )
    assert rejects.empty
    assert cohort.episodes["prior_procedure"].tolist() == [False, True, pd.NA, False]
    assert cohort.episodes["smoker"].tolist() == [False, True, False, pd.NA]
    assert cohort.episodes["site_id"].isna().tolist() == [True, True, True, False]
    assert cohort.episodes["pain_nrs"].isna().tolist() == [False, False, True, True]


def test_codes_of_conditions_are_read_in_any_case(tmp_path: Path) -> None:
    cohort, rejects = ingest_text(
        tmp_path,
        "keep_rows_where: [{column: kept, is: [yes], is_not: [no, missing], because: not wanted}]\n" + EPISODES,
        "id,kept\n1,Yes\n2,NO\n3,K.A.\n4,maybe\n",
    )
    assert cohort.episodes["episode_id"].tolist() == ["1"]
    assert rejects[["row", "rule"]].to_numpy().tolist() == [[4, "category"]]


def test_text_and_frame_of_patients_are_read_alike() -> None:
    text = {"pain_nrs": ["７", "n/a", "6,5"], "sex": ["Female", "–", "x"], "smoker": ["YES", "unknown", "0"]}
    patients, rejects = validate_patients(pd.DataFrame(text))
    typed = {"episode_id": ["a", "b", "c"], "patient_id": ["a", "b", "c"], "technique": ["facet_rfa"] * 3, **text}
    tables, in_cohort = validate_tables({"episodes": pd.DataFrame(typed)})
    columns = list(text)
    pd.testing.assert_frame_equal(patients[columns], tables["episodes"][columns])
    assert rejects.drop(columns="table").equals(in_cohort.drop(columns="table"))


def test_a_number_beyond_all_numbers_is_none():
    numbers, failed = to_numbers(pd.Series(["9" * 400, "7", "-" + "9" * 309]))
    assert numbers.tolist()[1] == 7
    assert failed.tolist() == [True, False, True]
