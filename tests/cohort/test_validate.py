from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.rejects import REJECT_COLUMNS
from paincast.cohort.tables import pandas_type
from paincast.cohort.validate import validate_patients, validate_tables
from paincast.errors import DataError
from paincast.schema import EPISODES, TABLES

SENTINEL = "Zyxwv-Secret"


def make_episodes(n: int = 6, **columns: object) -> pd.DataFrame:
    made: dict[str, object] = {
        "episode_id": [f"e{i}" for i in range(n)],
        "patient_id": [f"p{i}" for i in range(n)],
        "technique": ["facet_rfa"] * n,
        "pain_nrs": [str(i % 11) for i in range(n)],
        "smoker": ["yes", "no", "1", "0", "true", ""] * (n // 6) + ["yes"] * (n % 6),
        "sex": ["female"] * n,
        "procedure_year": ["2020"] * n,
    }
    return pd.DataFrame({**made, **columns})


def make_visits(n: int = 6, **columns: object) -> pd.DataFrame:
    made = {"episode_id": [f"e{i}" for i in range(n)], "month": ["3"] * n, "pain_nrs": ["2"] * n}
    return pd.DataFrame({**made, **columns})


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule", "action"]].itertuples(index=False, name=None))


def test_valid_text_comes_back_in_the_types_of_the_contract() -> None:
    tables, rejects = validate_tables({"episodes": make_episodes(), "visits": make_visits()})
    assert rejects.empty
    assert list(rejects.columns) == list(REJECT_COLUMNS)
    for name, frame in tables.items():
        assert frame.dtypes.astype(str).to_dict() == {c: pandas_type(column) for c, column in TABLES[name].items()}
    assert tables["episodes"]["smoker"].tolist() == [True, False, True, False, True, pd.NA]
    assert tables["episodes"]["procedure_year"].tolist() == [2020] * 6
    assert len(tables["events"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("pain_nrs", "eleven", "not a number"),
        ("pain_nrs", "5,5", "not a number"),
        ("pain_nrs", "inf", "not a number"),
        ("pain_nrs", "11", "range"),
        ("pain_nrs", "-1", "range"),
        ("procedure_year", "2020.5", "not a whole number"),
        ("procedure_year", "1e300", "range"),
        ("smoker", "sometimes", "boolean"),
        ("smoker", "2", "boolean"),
        ("sex", "femal", "category"),
    ],
)
def test_a_broken_cell_is_emptied_and_its_row_stays(column: str, value: str, rule: str) -> None:
    episodes = make_episodes()
    episodes.loc[2, column] = value
    tables, rejects = validate_tables({"episodes": episodes})
    assert kinds(rejects) == [("episodes", 3, column, rule, "cell emptied")]
    assert rejects["allowed"].tolist() == [EPISODES[column].allowed]
    assert len(tables["episodes"]) == 6
    assert pd.isna(tables["episodes"].loc[2, column])
    assert (
        tables["episodes"][column]
        .drop(2)
        .equals(validate_tables({"episodes": make_episodes()})[0]["episodes"][column].drop(2))
    )


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("technique", "magic", "category"),
        ("technique", "", "required"),
        ("patient_id", " ", "required"),
        ("episode_id", "NA", "required"),
    ],
)
def test_a_broken_required_cell_leaves_out_the_row_and_its_visits(column: str, value: str, rule: str) -> None:
    episodes = make_episodes()
    episodes.loc[1, column] = value
    tables, rejects = validate_tables({"episodes": episodes, "visits": make_visits()})
    assert kinds(rejects) == [
        ("episodes", 2, column, rule, "row left out"),
        ("visits", 2, "episode_id", "unknown episode", "row left out"),
    ]
    assert len(tables["episodes"]) == len(tables["visits"]) == 5


def test_rows_that_share_an_id_and_differ_are_all_left_out() -> None:
    episodes = make_episodes()
    episodes.loc[3, "episode_id"] = "e1"
    tables, rejects = validate_tables({"episodes": episodes, "visits": make_visits()})
    assert tables["episodes"]["episode_id"].tolist() == ["e0", "e2", "e4", "e5"]
    assert rejects.loc[rejects["rule"] == "duplicate", "row"].tolist() == [2, 4]
    assert rejects.loc[rejects["rule"] == "unknown episode", "row"].tolist() == [2, 4]


def test_of_identical_rows_the_first_stays() -> None:
    episodes = pd.concat([make_episodes(), make_episodes().iloc[[2]]])
    tables, rejects = validate_tables({"episodes": episodes})
    assert len(tables["episodes"]) == 6
    assert kinds(rejects) == [("episodes", 7, "episode_id", "duplicate", "row left out")]


def test_two_different_visits_at_one_month_are_both_left_out() -> None:
    visits = pd.concat([make_visits(), make_visits().iloc[[0]].assign(pain_nrs="9")])
    tables, rejects = validate_tables({"episodes": make_episodes(), "visits": visits})
    assert kinds(rejects) == [
        ("visits", 1, "episode_id", "duplicate", "row left out"),
        ("visits", 7, "episode_id", "duplicate", "row left out"),
    ]
    assert "e0" not in set(tables["visits"]["episode_id"])


def test_a_follow_up_before_the_procedure_is_left_out() -> None:
    events = pd.DataFrame({"episode_id": ["e0", "e1"], "kind": ["complication"] * 2, "month": ["-2", ""]})
    visits = make_visits(month=["3", "-0.5", "3", "3", "3", "3"])
    tables, rejects = validate_tables({"episodes": make_episodes(), "visits": visits, "events": events})
    assert kinds(rejects) == [
        ("visits", 2, "month", "before the procedure", "row left out"),
        ("events", 1, "month", "before the procedure", "row left out"),
    ]
    assert tables["events"]["episode_id"].tolist() == ["e1"]


def test_a_required_cell_that_cannot_be_read_is_told_once() -> None:
    visits = make_visits(month=["3", "two", "3", "", "3", "3"])
    _, rejects = validate_tables({"episodes": make_episodes(), "visits": visits})
    assert kinds(rejects) == [
        ("visits", 2, "month", "not a number", "row left out"),
        ("visits", 4, "month", "required", "row left out"),
    ]


def test_a_visit_of_an_unknown_episode_is_left_out() -> None:
    visits = make_visits()
    visits.loc[0, "episode_id"] = SENTINEL
    _, rejects = validate_tables({"episodes": make_episodes(), "visits": visits})
    assert kinds(rejects) == [("visits", 1, "episode_id", "unknown episode", "row left out")]


def test_another_unit_empties_the_column_and_says_what_to_declare() -> None:
    episodes = make_episodes(12, pain_nrs=[str(v) for v in (70, 80, 65, 90, 55, 40, 30, 8, 5, 100, 75, 60)])
    tables, rejects = validate_tables({"episodes": episodes})
    assert kinds(rejects) == [("episodes", 0, "pain_nrs", "unit", "column left out")]
    assert "declare it in the mapping" in rejects["allowed"][0]
    assert tables["episodes"]["pain_nrs"].isna().all()


def test_single_values_out_of_range_are_no_other_unit() -> None:
    values = ["5"] * 10 + ["70", "80"]
    _, rejects = validate_tables({"episodes": make_episodes(12, pain_nrs=values)})
    assert set(rejects["rule"]) == {"range"}


def test_a_required_column_in_another_unit_leaves_out_every_row_with_a_reject_each() -> None:
    tables, rejects = validate_tables({"episodes": make_episodes(), "visits": make_visits(month=["700"] * 6)})
    assert tables["visits"].empty
    assert rejects["rule"].tolist() == ["unit"] + ["required"] * 6


def test_an_unknown_column_is_left_out_with_the_nearest_name() -> None:
    tables, rejects = validate_tables({"episodes": make_episodes(pain_nsr=SENTINEL)})
    assert kinds(rejects) == [("episodes", 0, "pain_nsr", "unknown column", "column left out")]
    assert "pain_nrs" in rejects["allowed"][0]
    assert "pain_nsr" not in tables["episodes"]


def test_a_missing_required_column_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(DataError, match=r"'technique' \(nearest in the data: 'technik'\)"):
        validate_tables({"episodes": make_episodes().rename(columns={"technique": "technik"})})


def test_column_names_that_are_not_near_are_not_shown() -> None:
    with pytest.raises(DataError, match="none of the 1 columns") as caught:
        validate_tables({"episodes": pd.DataFrame({SENTINEL: ["a"]})})
    assert SENTINEL not in str(caught.value)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"visits": make_visits()}, "'episodes' is missing"),
        ({"episodes": make_episodes(), "visit": make_visits()}, "did you mean 'visits'"),
        ({"episodes": make_episodes()[["episode_id", "patient_id", "technique", "technique"]]}, "appears twice"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tables: dict[str, pd.DataFrame], words: str) -> None:
    with pytest.raises(DataError, match=words):
        validate_tables(tables)


def test_rejects_carry_the_place_in_the_source() -> None:
    episodes = make_episodes(pain_nrs=["1", "x", "1", "1", "1", "y"])
    places = pd.Series([10, 20, 30, 40, 50, 60], index=list("abcdef"))
    _, rejects = validate_tables({"episodes": episodes}, places={"episodes": places})
    assert rejects["row"].tolist() == [20, 60]


def test_typed_tables_pass_unchanged() -> None:
    first, _ = validate_tables({"episodes": make_episodes(), "visits": make_visits()})
    second, rejects = validate_tables(first)
    assert rejects.empty
    for name, frame in first.items():
        pd.testing.assert_frame_equal(frame, second[name])


def test_ids_read_as_floats_meet_ids_read_as_whole_numbers() -> None:
    episodes = make_episodes(episode_id=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    tables, rejects = validate_tables({"episodes": episodes, "visits": make_visits(episode_id=[1, 2, 3, 4, 5, 6])})
    assert rejects.empty
    assert tables["episodes"]["episode_id"].tolist() == tables["visits"]["episode_id"].tolist() == list("123456")


def test_patients_need_neither_ids_nor_technique() -> None:
    patients, rejects = validate_patients(pd.DataFrame({"pain_nrs": ["7", "x"], "age_years": [50, 60]}))
    assert patients["episode_id"].tolist() == patients["patient_id"].tolist() == ["row-1", "row-2"]
    assert patients["technique"].isna().all()
    assert kinds(rejects) == [("episodes", 2, "pain_nrs", "not a number", "cell emptied")]


def test_patients_keep_the_ids_they_have() -> None:
    given_ids = pd.DataFrame({"episode_id": ["a", ""], "patient_id": ["p", ""], "technique": ["magic", "facet_rfa"]})
    patients, rejects = validate_patients(given_ids)
    assert patients["episode_id"].tolist() == ["a", "row-2"]
    assert patients["patient_id"].tolist() == ["p", "row-2"]
    assert kinds(rejects) == [("episodes", 1, "technique", "category", "cell emptied")]


def test_a_table_of_patients_without_a_known_column_is_refused() -> None:
    with pytest.raises(DataError, check=lambda error: error.code == "PC-COHORT-07"):
        validate_patients(pd.DataFrame({"colour": ["red"]}))


@pytest.mark.slow
def test_a_hundred_thousand_episodes_take_seconds() -> None:
    n = 100_000
    rng = np.random.default_rng(1)
    episodes = make_episodes(n, smoker=rng.choice(["yes", "no", "x"], n), pain_nrs=rng.choice(["3", "7", "bad"], n))
    began = time.perf_counter()
    tables, rejects = validate_tables({"episodes": episodes, "visits": make_visits(n)})
    assert time.perf_counter() - began < 20
    assert len(tables["episodes"]) == len(tables["visits"]) == n
    assert len(rejects) == (episodes["smoker"] == "x").sum() + (episodes["pain_nrs"] == "bad").sum()


BAD_CELLS = st.sampled_from(
    [SENTINEL, f"7 {SENTINEL}", "", "-99", "1e9", "inf", "NA", "2.5", "yes", "e1", "0", "٣", "7;8"]
)


@st.composite
def corrupted_tables(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    n = draw(st.integers(1, 8))
    tables = {
        "episodes": make_episodes(n, age_years=["50"] * n, indication=["lumbar_facet"] * n),
        "visits": make_visits(n, odi=["20"] * n),
        "events": pd.DataFrame({"episode_id": ["e0"] * n, "month": ["1"] * n, "kind": ["complication"] * n}),
    }
    for name, frame in tables.items():
        for _ in range(draw(st.integers(0, 6))):
            frame.iloc[draw(st.integers(0, n - 1)), draw(st.integers(0, frame.shape[1] - 1))] = draw(BAD_CELLS)
        tables[name] = frame.loc[draw(st.permutations(range(n)))] if draw(st.booleans()) else frame
    return tables


@pytest.mark.slow
@given(corrupted_tables())
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_the_output_or_a_reject_and_no_value_is_told(tables: dict[str, pd.DataFrame]) -> None:
    valid, rejects = validate_tables(tables)
    for name, frame in valid.items():
        left_out = rejects[(rejects["table"] == name) & (rejects["action"] == "row left out")]
        assert len(frame) + left_out["row"].nunique() == len(tables[name])
        assert left_out["row"].between(1, len(tables[name])).all()
        for column in TABLES[name].values():
            values = frame[column.name].dropna()
            assert not (column.required and frame[column.name].isna().any())
            if column.categories:
                assert values.isin(column.categories).all()
            if column.low is not None:
                assert (values >= column.low).all()
            if column.high is not None:
                assert (values <= column.high).all()
    assert valid["episodes"]["episode_id"].is_unique
    assert not valid["visits"].duplicated(["episode_id", "month"]).any()
    assert set(valid["visits"]["episode_id"]) | set(valid["events"]["episode_id"]) <= set(
        valid["episodes"]["episode_id"]
    )
    assert "Zyxwv" not in rejects.to_csv()
    assert validate_tables(valid)[1].empty


def test_a_number_with_two_readings_is_none_in_a_table_that_writes_decimal_commas() -> None:
    given = {"pain_nrs": ["7,5", "6", "6,5"], "opioid_mme": ["1.200", "60", "2.5"], "odi": [40, 50, 60]}
    patients, rejects = validate_patients(pd.DataFrame(given))
    assert kinds(rejects) == [
        ("episodes", 1, "pain_nrs", "not a number", "cell emptied"),
        ("episodes", 3, "pain_nrs", "not a number", "cell emptied"),
        ("episodes", 1, "opioid_mme", "not a number", "cell emptied"),
    ]
    assert patients["opioid_mme"].tolist()[1:] == [60, 2.5]
    points = pd.DataFrame({"pain_nrs": ["7.5", "6", "6,5"], "opioid_mme": ["1.200", "60", "2.5"]})
    assert validate_patients(points)[0]["opioid_mme"].tolist() == [1.2, 60, 2.5]


def test_names_of_columns_are_known_in_any_case() -> None:
    patients, rejects = validate_patients(pd.DataFrame({"PAIN_NRS": ["7"], "INR": ["2.5"], "Notes": ["x"]}))
    assert (patients.loc[0, "pain_nrs"], patients.loc[0, "inr"]) == (7, 2.5)
    assert kinds(rejects) == [("episodes", 0, "Notes", "unknown column", "column left out")]
    with pytest.raises(DataError, check=lambda error: error.code == "PC-COHORT-11"):
        validate_patients(pd.DataFrame({"inr": [1.0], "INR": [3.0]}))


@pytest.mark.parametrize("index", [["episode_id"], ["episode_id", "Age_Years"], ["Age_Years"], [" pain_nrs", "site"]])
def test_an_index_that_is_named_like_a_column_is_one(index: list[str]) -> None:
    given = pd.DataFrame({"episode_id": ["a", "b"], "Age_Years": [40, 50], " pain_nrs": [7, 6], "site": ["x", "y"]})
    patients, _ = validate_patients(given.set_index(index))
    assert patients[["episode_id", "age_years", "pain_nrs"]].to_numpy().tolist() == [["a", 40, 7], ["b", 50, 6]]


def test_a_column_wins_over_an_index_by_its_name() -> None:
    given = pd.DataFrame({"episode_id": ["a", "b"], "pain_nrs": [7, 6]}, index=pd.Index([1, 1], name="pain_nrs"))
    assert validate_patients(given)[0]["pain_nrs"].tolist() == [7, 6]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (7, "PC-READING-19"),
        ([7], "PC-READING-19"),
        ([["pain_nrs", 7]], "PC-READING-19"),
        (np.array([[7.0]]), "PC-READING-19"),
        (pd.Series([7], name="pain_nrs"), "PC-COHORT-07"),  # one patient, whose only column is called 0
        ({"pain": [7]}, "PC-COHORT-07"),
    ],
)
def test_what_is_no_table_of_patients_is_refused(given: object, code: str) -> None:
    with pytest.raises(DataError) as error:
        validate_patients(given)
    assert error.value.code == code


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 2**70, True, 1.0])
def test_a_cell_of_any_type_is_read_by_the_rules_of_its_column(value):
    rows = [{"indication": value, "pain_nrs": value, "depression": value} for _ in range(2)]
    patients, rejects = validate_patients(pd.DataFrame(rows))
    assert len(patients) == 2
    expected, rules = validate_patients(pd.DataFrame(rows, dtype=object))
    pd.testing.assert_frame_equal(patients, expected)
    pd.testing.assert_frame_equal(rejects, rules)


@pytest.mark.parametrize("nobody", [b"", [], pd.DataFrame({"episode_id": pd.Series(dtype=object), "pain_nrs": []})])
def test_of_nobody_there_is_nothing_to_check(nobody):
    patients, rejects = validate_patients(nobody)
    assert len(patients) == len(rejects) == 0
