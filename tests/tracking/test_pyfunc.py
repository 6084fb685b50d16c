from __future__ import annotations

import json
import math
import traceback
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from paincast.predictor import PREDICTION_COLUMNS, SERVED_COLUMNS
from paincast.tracking.store import use_store

SECRET = "Jane Doe 63"


@pytest.fixture(scope="module")
def served(recorded):
    """Load the candidate as MLflow serves it, with pickle forbidden."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        patch.delenv("MLFLOW_DISABLE_SCHEMA_DETAILS", raising=False)
        with use_store(recorded.store):
            yield mlflow.pyfunc.load_model("models:/paincast.genicular_rfa.pain_response@candidate")


@pytest.fixture
def patients(recorded):
    return recorded.cohort.episodes.head(4)


def test_answers_are_those_of_the_bundle(recorded, served, patients):
    answers = served.predict(patients)
    direct = recorded.model.predictor.predict(patients)
    assert list(answers.columns) == [*SERVED_COLUMNS]
    assert set(SERVED_COLUMNS) == {*PREDICTION_COLUMNS, "input_rejects"}
    np.testing.assert_array_equal(answers["probability"], direct["probability"])
    assert answers["probability"].between(0.01, 0.99).all()
    assert [json.loads(text) for text in answers["reasons_for"]] == direct["reasons_for"].tolist()
    assert set(answers["input_rejects"]) == {"[]"}


def test_types_are_those_of_the_signature(served, patients):
    answers = served.predict(patients)
    declared = {column.name: column.type.name for column in served.metadata.signature.outputs.inputs}
    kinds = {"double": "f", "boolean": "b"}
    for name, kind in declared.items():
        if kind == "string":
            assert all(isinstance(value, str) for value in answers[name]), name
        else:
            assert answers[name].dtype.kind == kinds[kind], name


def test_signature_names_what_is_known_before_and_no_sensitive_column(served):
    names = served.metadata.signature.inputs.input_names()
    assert {"age_years", "pain_nrs", "anticoagulant"} <= set(names)
    assert not {"ethnicity", "payer", "guidance"} & set(names)
    assert served.metadata.signature.inputs.required_input_names() == []
    assert served.metadata.metadata["input_columns"]["pain_nrs"] == "a number from 0 to 10 NRS points"


@pytest.mark.slow
def test_whole_numbers_text_and_nullable_types_are_read(served, patients):
    expected = served.predict(patients)["probability"]
    as_text = patients.assign(
        pain_nrs=patients["pain_nrs"].astype("str"), depression=patients["depression"].astype("str")
    )
    whole = patients.assign(
        pain_nrs=patients["pain_nrs"].astype("int64"), sex=pd.Categorical([None, "male", "female", None])
    )
    np.testing.assert_array_equal(served.predict(as_text)["probability"], expected)
    np.testing.assert_array_equal(served.predict(whole)["probability"], expected)


def test_wrong_values_are_rejects_without_the_value(served, patients):
    wrong = patients.assign(age_years=[SECRET, *patients["age_years"].tolist()[1:]])
    answers = served.predict(wrong)
    (reject,) = json.loads(answers["input_rejects"].iloc[0])
    assert (reject["column"], reject["rule"], reject["action"]) == ("age_years", "not a number", "cell emptied")
    assert SECRET not in answers.to_json()
    assert answers["input_rejects"].iloc[1] == "[]"


def test_a_required_value_that_is_wrong_makes_an_abstention(served, patients):
    answers = served.predict(patients.assign(pain_nrs=[SECRET, 5, 6, 7]))
    assert answers["abstained"].tolist() == [True, False, False, False]
    assert math.isnan(answers["probability"].iloc[0])
    assert "pain_nrs is missing" in answers["abstained_because"].iloc[0]
    assert SECRET not in answers.to_json()


def test_rows_left_out_keep_their_place_as_abstentions(served, patients):
    twice = patients.iloc[[0, 1, 1, 2]].assign(pain_nrs=[5.0, 6.0, 7.0, 8.0]).set_axis([10, 20, 30, 40])
    answers = served.predict(twice)
    assert answers.index.tolist() == [10, 20, 30, 40]
    assert answers["abstained"].tolist() == [False, True, True, False]
    assert "episode_id: duplicate" in answers["abstained_because"].iloc[1]
    assert answers["eligible"].tolist() == [True, False, False, True]
    assert set(answers["reasons_for"].iloc[1:3]) == {"[]"}


def test_a_model_that_was_logged_before_still_answers(recorded, served, patients, tmp_path):
    """The code of a model is a copy of its time, and imports what it needs from the package of today."""
    with use_store(recorded.store):
        folder = Path(mlflow.artifacts.download_artifacts(recorded.logged.model_uri, dst_path=str(tmp_path)))
    (folder / "pyfunc.py").write_text(Path(__file__).with_name("earlier_pyfunc.txt").read_text())
    recipe = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(recipe.replace("from_type_hint: true", "from_type_hint: false"))
    answers = mlflow.pyfunc.load_model(str(folder)).predict(patients)
    np.testing.assert_array_equal(answers["probability"], served.predict(patients)["probability"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"age_years": [SECRET, SECRET], "pain_nrs": [5.0]},
        {"age_years": [[SECRET]], "pain_nrs": [{"a": SECRET}], "indication": ["knee_osteoarthritis"]},
        [SECRET, SECRET],
        SECRET,
        pd.DataFrame({"name": [SECRET]}),
        pd.DataFrame([[SECRET, 1.0]], columns=["pain_nrs", "pain_nrs"]),
        np.array([[SECRET, "7"]]),
        object(),
    ],
    ids=["ragged", "nested", "list", "text", "unknown column", "column twice", "array", "object"],
)
def test_no_error_repeats_a_value(served, wrong, caplog):
    try:
        answers = served.predict(wrong)
    except Exception as error:
        told = "".join(traceback.format_exception(error))
    else:
        assert answers["abstained"].all()
        told = answers.to_json()
    assert SECRET not in told
    assert SECRET not in caplog.text
