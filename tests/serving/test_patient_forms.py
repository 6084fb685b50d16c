"""Whatever form a table of patients has, the answers are the same, and the caller's index is found again."""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paincast
from paincast.errors import PaincastError
from paincast.predictor import load_predictor
from paincast.serving.batch import PREDICTION_SCHEMA

GOLDEN = pd.read_csv(Path(__file__).parents[1] / "golden" / "prediction_columns.csv", index_col="column")


@pytest.fixture(scope="module")
def model(models_folder):
    return load_predictor(models_folder / "facet_rfa" / "pain_response")


@pytest.mark.slow
def test_columns_of_predictions_keep_name_order_and_type(patients, models_folder):
    for table in (patients, patients.iloc[:0], patients.iloc[[2]]):
        found = paincast.predict(table, models_folder).dtypes.astype("str")
        assert [name for name in found.index if name in GOLDEN.index] == GOLDEN.index.tolist()
        if len(table):
            assert found[GOLDEN.index].to_dict() == GOLDEN["pandas"].to_dict()
    kinds = {field.name: str(field.type).split("<")[0] for field in PREDICTION_SCHEMA}
    assert {name: kinds[name] for name in GOLDEN.index} == GOLDEN["parquet"].to_dict()


def as_forms(patients: pd.DataFrame, folder: Path) -> dict[str, object]:
    columns = {name: list(values) for name, values in patients.astype(object).where(patients.notna(), None).items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    patients.to_csv(folder / "patients.csv", index=False)
    patients.to_parquet(folder / "patients.parquet", index=False)
    return {
        "polars": pl.DataFrame(columns),
        "arrow table": pa.table(columns),
        "arrow batch": pa.RecordBatch.from_pydict(columns),
        "list of dicts": rows,
        "dict of lists": columns,
        "path": folder / "patients.csv",
        "text of a path": str(folder / "patients.parquet"),
    }


@pytest.mark.slow
def test_every_form_is_answered_alike(patients, model, tmp_path):
    expected = model.predict(patients)
    assert expected["abstained"].tolist() == [False, True, True, True, False]
    for name, form in as_forms(patients, tmp_path).items():
        for answers in (model.predict(form), paincast.predict(form, model, techniques=["facet_rfa"])):
            pd.testing.assert_frame_equal(answers, expected, obj=name, atol=1e-12, rtol=0)


def test_one_dict_is_one_patient(patients, model):
    answer = model.predict(patients.iloc[0].to_dict())
    assert len(answer) == 1
    assert answer["probability"].iloc[0] == model.predict(patients)["probability"].iloc[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "index",
    [
        [10, 20, 30, 40, 50],
        ["x", "x", "x", "y", "y"],
        pd.MultiIndex.from_tuples([("s", 1), ("s", 1), ("s", 2), ("t", 1), ("t", 2)], names=["ward", "bed"]),
        pd.DatetimeIndex(["2020-01-01"] * 5),
    ],
    ids=["numbers", "duplicates", "levels", "dates"],
)
def test_the_index_is_that_of_the_patients_repeated(patients, models_folder, index):
    labelled = patients.set_axis(index, axis="index")
    predictions = paincast.predict(labelled, models_folder)
    assert predictions.index.names == labelled.index.names
    of_episode = dict(zip(patients["episode_id"], labelled.index, strict=True))
    assert predictions.index.tolist() == [of_episode[episode] for episode in predictions["episode_id"]]
    plain = paincast.predict(patients, models_folder)
    pd.testing.assert_frame_equal(predictions.reset_index(drop=True), plain.reset_index(drop=True))


def test_an_index_that_names_the_episodes_leaves_one_meaning_to_the_name(patients, models_folder):
    predictions = paincast.predict(patients.set_index("episode_id"), models_folder)
    assert predictions.index.tolist() == predictions["episode_id"].tolist()
    assert predictions.groupby("episode_id").ngroups == 5


def test_a_model_alone_answers_each_row_where_a_folder_leaves_out(patients, model):
    twice = pd.concat([patients, patients.iloc[[0]].assign(pain_nrs=3)], ignore_index=True)
    with pytest.warns(UserWarning, match="duplicate"):
        answers = model.predict(twice)
    assert answers.index.tolist() == list(range(6))
    assert answers.loc[[0, 5], "abstained_because"].str.startswith("episode_id: duplicate").all()
    with pytest.warns(UserWarning, match="duplicate"):
        assert set(paincast.predict(twice, model).index) == {1, 2, 3, 4}


@pytest.mark.slow
def test_patients_are_validated_in_every_form(patients, tmp_path):
    wrong = patients.assign(odi=["forty", "50", "45", "48", "44"])
    expected, expected_rejects = paincast.validate_patients(wrong)
    assert expected_rejects[["row", "column", "rule"]].to_numpy().tolist() == [[1, "odi", "not a number"]]
    for form in as_forms(wrong, tmp_path).values():
        valid, rejects = paincast.validate_patients(form)
        pd.testing.assert_frame_equal(valid, expected)
        file = Path(form).name if isinstance(form, (str, Path)) else ""
        pd.testing.assert_frame_equal(rejects, expected_rejects.assign(file=file), check_dtype=False)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (None, "PC-READING-19"),
        (7, "PC-READING-19"),
        ([7], "PC-READING-19"),
        ({7}, "PC-READING-19"),
        (object(), "PC-READING-19"),
        (pl.DataFrame({"pain_nrs": [7]}).lazy(), "PC-READING-19"),
        ({"pain_nrs": [7, 8], "odi": [50]}, "PC-READING-18"),
        ([{"pain_nrs": [7]}], "PC-COHORT-13"),
        ({"pain_nrs": b"7"}, "PC-COHORT-13"),
        ({}, "PC-COHORT-07"),
        (pd.DataFrame(), "PC-COHORT-07"),
        ("nowhere.csv", "PC-FILES-17"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_an_error_of_one_line(model, wrong, code):
    for ask in (model.predict, model.explain, paincast.validate_patients):
        with pytest.raises(PaincastError) as error:
            ask(wrong)
        assert error.value.code == code
        assert "\n" not in str(error.value)
        if code == "PC-READING-19":
            assert {"pandas", "polars", "Arrow", "dicts", ".parquet"} <= set(str(error.value).replace(",", " ").split())


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.decimals().map(Decimal),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
names = st.sampled_from(["pain_nrs", "Age_Years", "indication", "episode_id", "depression", "technique", "other"])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.one_of(cells, st.lists(st.dictionaries(names, cells, max_size=4), max_size=4), st.dictionaries(names, cells)))
def test_any_object_is_answered_or_refused_in_one_line(model, patients):
    refusal = None
    with warnings.catch_warnings(category=UserWarning, action="ignore"):
        try:
            answers = model.predict(patients)
        except PaincastError as error:
            refusal = error
    if refusal is not None:
        assert refusal.code
        assert "\n" not in str(refusal)
        return
    assert (answers["abstained"] == answers["probability"].isna()).all()
    if isinstance(patients, list):
        assert answers.index.tolist() == list(range(len(patients)))
