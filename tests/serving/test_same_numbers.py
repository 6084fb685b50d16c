"""A patient gets the same digits, words, reasons and rejects alone, in any batch, from any format, compiled or not."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import paincast
from paincast.predictor import LISTS, PREDICTION_COLUMNS
from paincast.scoring import linear
from paincast.serving.batch import predict_file, read_predictions
from paincast.serving.batch.run import Run
from paincast.serving.mlflow_server.guard import REPLACED
from paincast.serving.spark import engine, worker
from paincast.settings import TrackingSettings
from paincast.tracking import resolve_store, use_store
from paincast.tracking.served.log_served import log_served_model

KEY = ["episode_id", "technique", "outcome"]
GOOD = {
    "age_years": st.integers(18, 100),
    "pain_nrs": st.integers(3, 10),
    "odi": st.integers(10, 95),
    "bmi": st.floats(16, 60).map(lambda value: round(value, 1)),
    "depression": st.booleans(),
    "active_infection": st.booleans(),
    "pregnant": st.booleans(),
    "inr": st.sampled_from([1.0, 1.2, 1.8]),
    "sex": st.sampled_from(["female", "male"]),
    "approach": st.sampled_from(["caudal", "transforaminal"]),
    "indication": st.sampled_from(["lumbar_facet", "lumbar_radicular_disc", "trigeminal_neuralgia"]),
    "technique": st.sampled_from(["facet_rfa", "epidural_steroid_injection", "surgery"]),
}
BAD = {
    "age_years": ["eighty", 140, -3],
    "pain_nrs": [99, "seven"],
    "odi": [400, "x"],
    "depression": ["perhaps"],
    "sex": ["f?"],
    "approach": ["sideways"],
    "indication": ["the knee"],
    "technique": ["magic"],
}
"""Wrong values; of each column two patients at most have one: from three on, a whole column is doubted."""


@st.composite
def draw_patients(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(2, 9))
    rows = [{name: draw(st.none() | values) for name, values in GOOD.items()} for _ in range(n)]
    for name, wrong in BAD.items():
        for row in draw(st.lists(st.integers(0, n - 1), max_size=2, unique=True)):
            rows[row][name] = draw(st.sampled_from(wrong))
    ids = draw(st.lists(st.integers(1, 10**6), min_size=n, max_size=n, unique=True))
    return pd.DataFrame([{"episode_id": f"e-{number}", **row} for number, row in zip(ids, rows, strict=True)])


def to_texts(patients: pd.DataFrame) -> pd.DataFrame:
    cells = {name: patients[name].astype(object) for name in patients}
    return pd.DataFrame(
        {name: column.map(str).where(column.notna(), None) for name, column in cells.items()}, dtype="str"
    )


def settle(predictions: pd.DataFrame) -> pd.DataFrame:
    """Order predictions by what they are about."""
    return predictions.sort_values(KEY, ignore_index=True)


def predict(patients: pd.DataFrame, models: object) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return settle(paincast.predict(patients, models))


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.fixture(scope="module")
def models(models_folder: Path) -> dict[str, paincast.Predictor]:
    return paincast.load_models(models_folder)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=draw_patients(), data=st.data())
def test_the_company_and_the_order_of_a_patient_do_not_matter(models, patients, data):
    whole = predict(patients, models)
    alone = [predict(patients.iloc[[row]].reset_index(drop=True), models) for row in range(len(patients))]
    assert_same(settle(pd.concat(alone, ignore_index=True)), whole)
    order = data.draw(st.permutations(range(len(patients))))
    assert_same(predict(patients.iloc[order].reset_index(drop=True), models), whole)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=draw_patients())
def test_machine_code_and_plain_code_say_the_same(models, patients, monkeypatch):
    told = []
    for name, fewest in (("", 10**9), (linear.COMPILED, 0)):
        monkeypatch.setattr(linear, "COMPILED_FROM", fewest)
        monkeypatch.setattr(linear, "COMPILED", name)
        told.append(predict(patients, models))
    assert_same(*told)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=draw_patients(), chunk_rows=st.integers(1, 10))
def test_files_of_any_format_and_batches_of_any_size_say_the_same(
    models_folder, models, patients, chunk_rows, tmp_path
):
    texts = to_texts(patients)
    texts.to_csv(tmp_path / "in.csv", index=False)
    texts.to_parquet(tmp_path / "in.parquet", index=False)
    whole = predict(texts, models)
    _, rejects = paincast.validate_patients(texts)
    for source in ("in.csv", "in.parquet"):
        for out in ("out.csv", "out.parquet"):
            summary = predict_file(tmp_path / source, tmp_path / out, models=models_folder, chunk_rows=chunk_rows)
            found = settle(read_predictions(tmp_path / out))
            assert_same(found[whole.columns], whole)
            assert summary.n_rejects == len(rejects)
            if len(rejects):
                written = pd.read_csv(tmp_path / "out.rejects.csv", dtype="str", keep_default_na=False)
                columns = ["row", "column", "rule", "allowed", "action"]
                given_back = rejects.assign(row=rejects["row"].astype("str"))
                listed = [frame[columns].sort_values(columns).to_numpy().tolist() for frame in (written, given_back)]
                assert listed[0] == listed[1]


UNITS = {
    "odi": [str(value) for value in range(20, 60, 5)] + ["0.2", "0.4", "0.35", "0,5", "45,5", "1.200", "250", "Zyxwv"],
    "pain_nrs": ["4", "5", "6", "7", "6,5", "6.5", "65", "70", "80", "0.4"],
    "bmi": ["22.5", "31", "27,5", "1.200", "310"],
    "site_id": ["a", "b"],
}
"""Values of which it depends on the other rows how they are read, or whether they are doubted."""


@st.composite
def draw_doubtful(draw: st.DrawFn) -> pd.DataFrame:
    """Draw patients some of whom share an id, with columns in several units and with both decimal marks."""
    n = draw(st.integers(3, 14))
    cells = {name: draw(st.lists(st.sampled_from(values), min_size=1, max_size=4)) for name, values in UNITS.items()}
    rows = [{name: draw(st.sampled_from(values)) for name, values in cells.items()} for _ in range(n)]
    ids = [draw(st.sampled_from(["x", "y", f"e-{row}", f"e-{row}", f"e-{row}"])) for row in range(n)]
    return pd.DataFrame(rows).assign(episode_id=ids, indication="lumbar_facet", age_years="50")


@pytest.fixture(scope="module")
def pyfuncs(models, tmp_path_factory):
    """Load models as MLflow serves them, each with its predictor."""
    store = resolve_store(TrackingSettings(uri="sqlite:///mlflow.db"), tmp_path_factory.mktemp("a store"))
    with use_store(store) as experiment, mlflow.start_run(experiment_id=experiment):
        addresses = [log_served_model(model).model_uri for model in models.values()]
        return list(zip(models.values(), map(mlflow.pyfunc.load_model, addresses), strict=True))


def list_expected_rejects(patients: pd.DataFrame) -> list[list[dict[str, object]]]:
    """List what is left out of each patient, what is left out of whole columns first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        _, rejects = paincast.validate_patients(patients)
    kept = rejects[["row", "column", "rule", "allowed", "action"]].to_dict("records")
    return [[one for one in kept if one["row"] in (0, row)] for row in range(1, len(patients) + 1)]


def predict_one(patients: object, model: paincast.Predictor) -> pd.DataFrame:
    """Predict the technique and outcome of a model for every patient, as it is asked in MLflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return paincast.predict(patients, model, techniques=[model.technique], outcomes=[model.outcome])


def assert_served(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Check that answers of MLflow are those expected, and abstentions where a row was left out whole."""
    assert found["abstained"][~found.index.isin(expected.index)].all()
    answered = found.loc[expected.index]
    for name in PREDICTION_COLUMNS:
        cells, told = answered[name].map(json.loads) if name in LISTS else answered[name], expected[name]
        given_back = [None if missing else cell for cell, missing in zip(cells, cells.isna(), strict=True)]
        assert given_back == [None if missing else cell for cell, missing in zip(told, told.isna(), strict=True)]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=draw_patients() | draw_doubtful(), as_records=st.booleans())
def test_a_model_of_mlflow_says_the_same(pyfuncs, patients, as_records):
    for model, pyfunc in pyfuncs:
        found = pyfunc.predict(patients.to_dict("records") if as_records else patients)
        assert found.index.tolist() == patients.index.tolist()
        assert_served(found, predict_one(patients, model))
        written = [sorted(map(str, json.loads(text))) for text in found["input_rejects"]]
        assert written == [sorted(map(str, rejects)) for rejects in list_expected_rejects(patients)]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=draw_patients() | draw_doubtful())
def test_the_server_of_mlflow_says_the_same(pyfuncs, patients, tmp_path):
    texts = to_texts(patients)
    texts.to_csv(tmp_path / "in.csv", index=False)
    texts.to_parquet(tmp_path / "in.parquet", index=False)
    records = patients.to_dict("records")
    requests = (
        (json.dumps({"dataframe_records": records}).encode(), "application/json", records),
        ((tmp_path / "in.csv").read_bytes(), "text/csv", tmp_path / "in.csv"),
        ((tmp_path / "in.parquet").read_bytes(), "application/vnd.apache.parquet", tmp_path / "in.parquet"),
    )
    for model, pyfunc in pyfuncs:
        for body, content_type, source in requests:
            answered = REPLACED["invocations"](body, content_type, pyfunc, None)
            assert answered.status == 200, answered.response
            found = pd.DataFrame(json.loads(answered.response)["predictions"], dtype=object)
            assert len(found) == len(patients)
            assert_served(found, predict_one(source, model))


def read_rejected(folder: Path) -> list[list[str]]:
    path = folder / "out.rejects.csv"
    if not path.exists():
        return []
    rejects = pd.read_csv(path, dtype="str", keep_default_na=False)
    return sorted(rejects.drop(columns=["table", "file"]).to_numpy().tolist())


def drop_places(rejects: list[list[str]]) -> list[list[str]]:
    return sorted(row[1:] for row in rejects)


class Workers:
    """Makes all parts but the first as workers do, the last ones first, from what was sent to them."""

    def check(self, sources: object) -> None:
        pass

    def make_parts(self, run: Run) -> None:
        if run.folder.whole is None:
            run.make_parts(most=1)
        for stretch in reversed(run.list_unfinished()):
            work = pickle.loads(pickle.dumps(engine._describe_work(run)))
            assert worker.make_stretch(work, stretch, list(run.folder.finished)) is None
        run.folder.adopt()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    patients=draw_doubtful(),
    chunk_rows=st.sampled_from([1, 2, 7, 1000]),
    part_rows=st.sampled_from([1, 10, 1000]),
    group_rows=st.sampled_from([1, 3, 1000]),
)
def test_what_the_whole_file_shows_does_not_depend_on_batches_order_or_who_reads_them(
    models_folder, models, patients, chunk_rows, part_rows, group_rows, tmp_path
):
    (tmp_path / "out.rejects.csv").unlink(missing_ok=True)
    patients.to_csv(tmp_path / "in.csv", index=False)
    patients.to_parquet(tmp_path / "in.parquet", index=False, row_group_size=group_rows)
    patients.iloc[::-1].to_csv(tmp_path / "reversed.csv", index=False)
    whole = predict(tmp_path / "in.csv", models)
    _, rejects = paincast.validate_patients(tmp_path / "in.csv")
    listed = rejects.drop(columns=["table", "file"]).assign(row=rejects["row"].astype("str"))
    expected = sorted(listed.astype("str").to_numpy().tolist())
    written = set()
    for source, by in (("in.csv", None), ("in.parquet", None), ("in.parquet", Workers()), ("reversed.csv", None)):
        sizes = {"chunk_rows": chunk_rows, "part_rows": part_rows, "engine": by}
        predict_file(tmp_path / source, tmp_path / "out.parquet", models=models_folder, **sizes)
        assert_same(settle(read_predictions(tmp_path / "out.parquet"))[whole.columns], whole)
        found = read_rejected(tmp_path)
        assert found == expected if source != "reversed.csv" else drop_places(found) == drop_places(expected)
        written |= {(tmp_path / "out.parquet").read_bytes()} if source == "in.parquet" else set()
    assert len(written) == 1


def test_typed_values_and_their_texts_say_the_same(models):
    rng = np.random.default_rng(0)
    n = 200
    typed = pd.DataFrame(
        {
            "episode_id": [f"e{number}" for number in range(n)],
            "indication": "lumbar_facet",
            "age_years": rng.integers(20, 90, n),
            "pain_nrs": rng.integers(3, 11, n).astype(float),
            "odi": np.where(rng.random(n) < 0.1, np.nan, rng.integers(5, 95, n)),
            "depression": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
        }
    )
    assert_same(predict(to_texts(typed.astype(object)), models), predict(typed, models))


def test_no_value_is_written_as_minus_nothing(make_model):
    model = make_model("facet_rfa")
    assert "odi" in model.response.encoder.owners
    patient = {"indication": "lumbar_facet", "pain_nrs": 7, "odi": -0.0, "age_years": 50, "depression": False}
    answer = model.predict(patient).iloc[0]
    written = [reason["value"] for reason in (*answer["reasons_for"], *answer["reasons_against"])]
    assert "0 ODI points" in written
    assert not any(value.startswith("-") for value in written)
