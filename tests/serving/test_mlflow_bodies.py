"""What comes to MLflow's server is read as paincast reads it, and nothing of it is repeated."""

from __future__ import annotations

import inspect
import io
import json
import logging

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.pyfunc import scoring_server

from paincast.contract import BUILT_IN
from paincast.errors import DataError
from paincast.predictor import SERVED_COLUMNS
from paincast.serving.mlflow_server import guard
from paincast.serving.mlflow_server.bodies import (
    PatientFile,
    UnknownFormatError,
    put_code_in_front,
    read_body,
    refuse_path,
    write_json,
)

SECRET = "Jane Doe 63"
PATIENT = {"indication": "lumbar_facet", "pain_nrs": 7}
SPLIT = {"columns": ["indication", "pain_nrs"], "data": [["lumbar_facet", 7], ["lumbar_facet", None]]}


def read_json_body(content: object) -> pd.DataFrame:
    return read_body(json.dumps(content).encode(), "application/json; charset=utf-8")


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {**SPLIT, "index": ["a", "b"]}},
        {"dataframe_split": SPLIT},
        {"dataframe_records": [PATIENT, {"indication": "lumbar_facet"}]},
        {"instances": [PATIENT, {"indication": "lumbar_facet"}]},
        {"inputs": [PATIENT, {"indication": "lumbar_facet"}]},
        {"inputs": {"indication": ["lumbar_facet"] * 2, "pain_nrs": [7, None]}, "params": {"a": 1}},
    ],
    ids=["split with index", "split", "records", "instances", "inputs", "columns"],
)
def test_every_form_of_the_protocol_is_a_table(content):
    patients = read_json_body(content)
    assert patients.index.tolist() == [0, 1]
    assert patients["indication"].tolist() == ["lumbar_facet"] * 2
    assert patients["pain_nrs"].iloc[0] == 7
    assert pd.isna(patients["pain_nrs"].iloc[1])


def test_one_patient_may_stand_alone():
    assert read_json_body({"inputs": PATIENT}).to_dict("records") == [PATIENT]


def test_a_long_id_keeps_its_digits_where_another_is_missing():
    ids = [2**53 + 1, None]
    patients = read_json_body({"inputs": [{**PATIENT, "episode_id": one} for one in ids]})
    assert patients["episode_id"].iloc[0] == 2**53 + 1


def test_csv_is_read_as_a_file_is():
    body = "Indication;pain_nrs;odi\nlumbar_facet;7;40,5\n".encode("utf-8-sig")
    read = read_body(body, "text/csv").read(BUILT_IN)
    assert read.rows.to_pylist() == [{"indication": "lumbar_facet", "pain_nrs": "7", "odi": "40,5"}]


def test_parquet_is_read():
    body = io.BytesIO()
    pd.DataFrame([PATIENT]).to_parquet(body)
    read = read_body(body.getvalue(), "application/vnd.apache.parquet").read(BUILT_IN)
    assert read.rows.num_rows == 1


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (f'{{"inputs": ["{SECRET}', "application/json", "PC-FILES-14"),
        (b'\xff\xfe{"', "application/json", "PC-FILES-14"),
        ("[" * 100_000, "application/json", "PC-FILES-14"),
        (f'{{"inputs": {"9" * 5_000}}}', "application/json", "PC-FILES-14"),
        (f'["{SECRET}"]', "application/json", "PC-FILES-15"),
        (b'{"inputs":[' + b"1," * 6_000_000 + b"1]}", "application/json", "PC-FILES-61"),
        ("{}", "application/json", "PC-MLFLOW-03"),
        ('{"inputs": [], "instances": []}', "application/json", "PC-MLFLOW-03"),
        (f'{{"inputs": "{SECRET}"}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"inputs": ["{SECRET}"]}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"inputs": {{"a": [1, 2], "b": ["{SECRET}"]}}}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"instances": {{"a": 1, "b": ["{SECRET}"]}}}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"dataframe_records": {{"{SECRET}": 1}}}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"dataframe_split": {{"columns": ["a"], "data": [[1, "{SECRET}"]]}}}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"dataframe_split": {{"columns": ["a"], "data": "{SECRET}"}}}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"dataframe_split": {{"columns": 5, "data": [["{SECRET}"]]}}}}', "application/json", "PC-MLFLOW-04"),
        (f'{{"dataframe_split": {{"data": [["{SECRET}"]]}}}}', "application/json", "PC-MLFLOW-04"),
        (SECRET, "application/xml", "PC-MLFLOW-01"),
        (SECRET, None, "PC-MLFLOW-01"),
        (SECRET, f"text/csv; charset={SECRET}", "PC-MLFLOW-01"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_code_and_not_repeated(body, content_type, code):
    with pytest.raises(DataError) as refused:
        read_body(body, content_type)
    assert refused.value.code == code
    assert isinstance(refused.value, UnknownFormatError) == (code == "PC-MLFLOW-01")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [b"", SECRET.encode(), b"PK\x03\x04" + SECRET.encode(), f"pain_nrs,pain_nrs\n7,{SECRET}".encode(), b"\x00\xff" * 9],
)
def test_csv_that_cannot_be_read_names_the_body_and_no_path(body):
    with pytest.raises(DataError) as refused:
        read_body(body, "text/csv").read(BUILT_IN)
    assert "the body of the request" in str(refused.value)
    assert "patients.csv" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_body_may_not_be_larger_than_a_file(monkeypatch):
    monkeypatch.setattr("paincast.serving.mlflow_server.bodies.JSON_BYTES", 10)
    with pytest.raises(DataError) as refused:
        read_body(b"a" * 11, "text/csv")
    assert refused.value.code == "PC-MLFLOW-02"


@pytest.mark.parametrize("given", ["/etc/passwd", b"patients.csv"])
def test_no_text_is_taken_for_a_path_of_the_server(given):
    with pytest.raises(DataError) as refused:
        refuse_path(given)
    assert refused.value.code == "PC-MLFLOW-05"


def test_answers_are_strict_json():
    answers = pd.DataFrame({"a": [1.5, float("nan")], "b": ["x", None], "c": [True, False]})
    read = json.loads(write_json(answers, id=1), parse_constant=lambda constant: pytest.fail(constant))
    assert read == {"predictions": [{"a": 1.5, "b": "x", "c": True}, {"a": None, "b": None, "c": False}], "id": 1}


def test_a_code_stands_in_front_once():
    error = put_code_in_front(put_code_in_front(DataError("no table", code="PC-MLFLOW-04")))
    assert (str(error), error.code, type(error)) == ("PC-MLFLOW-04: no table", "PC-MLFLOW-04", DataError)


@pytest.fixture
def server(monkeypatch):
    """MLflow's server, whose functions are as before afterwards."""
    for name in guard.REPLACED:
        monkeypatch.setattr(scoring_server, name, getattr(scoring_server, name))
    for name in (guard.SERVED_PATH, guard.PREDICTING):
        monkeypatch.delenv(name, raising=False)
    return scoring_server


def test_mlflow_has_the_functions_that_are_replaced():
    assert guard.list_changed() == []
    assert guard.SERVED_PATH == scoring_server._SERVER_MODEL_PATH
    assert scoring_server._MLFLOW_IS_IN_SERVING_ENVIRONMENT.name == guard.PREDICTING
    assert scoring_server.InvocationsResponse._fields == ("response", "status", "mimetype")
    assert scoring_server.ParsedJsonInput._fields == ("data", "params", "is_unified_llm_input")
    for caller, called in (
        (scoring_server.init, ["invocations"]),
        (scoring_server._predict, ["_parse_json_data", "parse_csv_input", "predictions_to_json"]),
    ):
        source = inspect.getsource(caller)
        assert [name for name in called if f" {name}" not in source and f"({name}" not in source] == []


def test_nothing_is_replaced_where_no_model_is_served(server):
    before = {name: getattr(server, name) for name in guard.REPLACED}
    guard.guard_server()
    assert {name: getattr(server, name) for name in guard.REPLACED} == before


def test_the_server_answers_by_paincast_alone(server, monkeypatch):
    monkeypatch.setenv(guard.SERVED_PATH, "a model")
    guard.guard_server()
    assert server.invocations is guard.REPLACED["invocations"]
    assert server.parse_csv_input is not guard.REPLACED["parse_csv_input"]


def test_one_prediction_is_read_by_paincast_and_the_next_as_before(server, monkeypatch):
    before = {name: getattr(server, name) for name in guard.READERS}
    monkeypatch.setenv(guard.PREDICTING, "true")
    guard.guard_server()
    guard.guard_server()
    assert server._parse_json_data('{"inputs": [{"pain_nrs": 7}]}', None, None).data["pain_nrs"].tolist() == [7]
    assert {name: getattr(server, name) for name in guard.READERS} == before
    guard.guard_server()
    assert server.parse_csv_input(io.StringIO("pain_nrs\n7\n")) == PatientFile(b"pain_nrs\n7\n")
    assert server.parse_csv_input(io.StringIO("pain_nrs\n7\n"))["pain_nrs"].tolist() == [7]
    guard.guard_server()
    with pytest.raises(DataError, match=r"^PC-MLFLOW-06: "):
        server.parse_csv_input("no such file.csv")
    guard.guard_server()
    with pytest.raises(DataError, match=r"^PC-FILES-14: "):
        server._parse_json_data(SECRET, None, None)
    assert {name: getattr(server, name) for name in guard.READERS} == before


def test_answers_of_another_model_are_written_as_before(server, monkeypatch):
    monkeypatch.setenv(guard.PREDICTING, "true")
    guard.guard_server()
    for answers, written in (
        (pd.DataFrame([[None] * len(SERVED_COLUMNS)], columns=[*SERVED_COLUMNS]), '"probability": null'),
        (pd.DataFrame({"probability": [float("nan")]}), '"probability": NaN'),
    ):
        output = io.StringIO()
        server.predictions_to_json(answers, output)
        assert written in output.getvalue()


def test_a_version_of_mlflow_that_differs_is_told(server, monkeypatch, caplog):
    monkeypatch.setenv(guard.SERVED_PATH, "a model")
    monkeypatch.setattr(guard, "list_changed", lambda: ["invocations"])
    before = server.invocations
    with caplog.at_level(logging.WARNING):
        guard.guard_server()
    assert server.invocations is before
    assert "invocations" in caplog.text


class Echo:
    """A model that answers whatever it is given, and fails where paincast would."""

    def predict(self, patients: object) -> pd.DataFrame:
        if isinstance(patients, PatientFile):
            patients.read(BUILT_IN)
        return pd.DataFrame({"probability": [0.5, float("nan")]})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(SECRET) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just(SECRET) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
BODIES = (
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: (SECRET + text).encode("utf-8", "replace"))
    | st.builds(
        lambda form, value: json.dumps({form: value}).encode(),
        st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", SECRET]),
        JSON_VALUES,
    )
)
CONTENT_TYPES = st.none() | st.sampled_from(
    ["application/json", "text/csv", "application/vnd.apache.parquet", SECRET, f"text/csv;charset={SECRET}", ";;", ""]
)


@settings(max_examples=60, deadline=None)
@given(body=BODIES, content_type=CONTENT_TYPES)
def test_no_body_fails_or_is_repeated(body, content_type):
    answer = guard.REPLACED["invocations"](body, content_type, Echo(), None)
    assert answer.status in (200, 400, 415)
    assert SECRET not in answer.response
    content = json.loads(answer.response, parse_constant=lambda constant: pytest.fail(constant))
    if answer.status != 200:
        assert content["message"].startswith(content["error_code"])
        assert content["error_code"].startswith("PC-")
