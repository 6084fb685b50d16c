"""Ids come back as they were given, in the given order: whoever joins predictions to their patients finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.reading.patients import read_patients
from paincast.predictor import load_predictor
from paincast.predictor.ids import restore_ids
from paincast.serving.batch import PREDICTION_SCHEMA, predict_file, read_predictions
from paincast.serving.predict import predict

INTEGERS = [30, 7, -5, 2**40]


@pytest.fixture(scope="module")
def model(models_folder):
    return load_predictor(models_folder / "facet_rfa" / "pain_response")


def make_patients(ids: object, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"indication": "lumbar_facet", "pain_nrs": [7, 6, 5, 8], "odi": 40.0, "age_years": 50})
    return frame.assign(episode_id=ids, **columns)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "Int64", "int64[pyarrow]", "object"])
def test_integers_stay_integers(model, kind):
    patients = make_patients(pd.Series([30, 7, 100, 2], dtype=kind), patient_id=pd.Series([1, 1, 2, 2], dtype=kind))
    predictions = predict(patients, model)
    for name in ("episode_id", "patient_id"):
        given = patients[name].infer_objects()
        pd.testing.assert_series_equal(predictions[name], given)


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (["007", "7", " 7x ", "a b"], ["007", "7", " 7x ", "a b"]),
        ([1, "1b", "0", "2"], ["1", "1b", "0", "2"]),
        ([1.0, 2.0, 3.5, 4.0], ["1", "2", "3.5", "4"]),
        ([1, 2, None, 4], ["1", "2", "row-3", "4"]),
        (["1", "n/a", None, "4"], ["1", "row-2", "row-3", "4"]),
        ([2**70, 1, 2, 3], [str(2**70), "1", "2", "3"]),
    ],
    ids=["text", "mixed", "floats", "a gap", "words for none", "beyond 64 bits"],
)
def test_whatever_is_no_column_of_integers_is_text(model, given, returned):
    predictions = predict(make_patients(given), model)
    assert predictions["episode_id"].tolist() == predictions["patient_id"].tolist() == returned
    assert predictions["episode_id"].dtype == "str"


def test_a_patient_without_an_id_of_its_own_has_that_of_the_episode(model):
    assert predict(make_patients(INTEGERS), model)["patient_id"].tolist() == INTEGERS
    mixed = predict(make_patients(INTEGERS, patient_id=["a", None, "c", "d"]), model)
    assert mixed["episode_id"].tolist() == INTEGERS
    assert mixed["patient_id"].tolist() == ["a", "7", "c", "d"]


def test_patients_of_a_file_or_a_dict_without_ids_are_numbered(model, tmp_path):
    (tmp_path / "patients.csv").write_text("indication,pain_nrs\nlumbar_facet,7\nlumbar_facet,6\n")
    for name in ("episode_id", "patient_id"):
        assert predict(tmp_path / "patients.csv", model)[name].tolist() == ["row-1", "row-2"]
        assert predict({"indication": "lumbar_facet", "pain_nrs": 7}, model)[name].tolist() == ["row-1"]


@pytest.mark.slow
def test_every_form_of_a_table_keeps_integers(model, tmp_path):
    patients = make_patients(INTEGERS)
    patients.to_parquet(tmp_path / "patients.parquet", index=False)
    columns = patients.to_dict("list")
    forms = [
        pl.DataFrame(columns),
        pa.table(columns),
        patients.to_dict("records"),
        columns,
        patients.rename(columns={"episode_id": "Episode_ID"}),
        patients.set_index("episode_id"),
        tmp_path / "patients.parquet",
    ]
    for form in forms:
        predictions = predict(form, model)
        assert predictions["episode_id"].tolist() == INTEGERS
        assert predictions["episode_id"].dtype == "int64"
    assert predict(patients.iloc[0], model)["episode_id"].tolist() == INTEGERS[:1]


@pytest.mark.filterwarnings("ignore:left out before predicting")
def test_a_row_that_is_left_out_keeps_its_id_and_shifts_no_other(model):
    patients = make_patients([3, 9, 3, 4], pain_nrs=[7, 6, 5, 8])
    alone = model.predict(patients)
    assert alone["episode_id"].tolist() == [3, 9, 3, 4]
    assert alone["abstained_because"].str.startswith("episode_id: duplicate").tolist() == [True, False, True, False]
    assert predict(patients, model)["episode_id"].tolist() == [9, 4]


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.booleans()), min_size=1, max_size=6))
def test_ids_of_any_kind_are_given_back_as_integers_or_text(ids):
    patients = read_patients(pd.DataFrame({"episode_id": pd.Series(ids, dtype=object)}))
    places = np.repeat(patients.places, 2)
    rows = pd.DataFrame({"episode_id": "", "patient_id": ""}, index=places)
    told = restore_ids(rows, patients)
    assert told.index.tolist() == places.tolist()
    assert told["episode_id"].tolist() == told["patient_id"].tolist()
    assert told["episode_id"].dtype == "str" or told["episode_id"].tolist() == list(np.repeat(ids, 2))
    for given_id, told_id in zip(np.repeat(np.array(ids, dtype=object), 2), told["episode_id"], strict=True):
        if isinstance(given_id, str) and given_id.strip() and told_id[:4] != "row-":
            assert told_id == given_id


def write_parquet(path: Path, kind: pa.DataType, ids: list[int | None], start: int = 0) -> None:
    n = len(ids)
    columns = {"indication": ["lumbar_facet"] * n, "pain_nrs": [7.0] * n, "odi": [40.0 + start] * n}
    pq.write_table(pa.table({"episode_id": pa.array(ids, kind), **columns}), path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.uint16(), pa.uint64()])
def test_integers_of_parquet_are_integers_in_parquet(models_folder, tmp_path, kind):
    write_parquet(tmp_path / "patients.parquet", kind, [30, 7, 12, 30, 7, 30, 8])  # the second batch repeats the first
    predict_file(tmp_path / "patients.parquet", tmp_path / "out.parquet", models=models_folder, chunk_rows=3)
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.schema.field("episode_id").type == written.schema.field("patient_id").type == kind
    assert written.drop_columns(["episode_id", "patient_id"]).schema == pa.schema(list(PREDICTION_SCHEMA)[2:])
    assert written["episode_id"].to_pylist() == written["patient_id"].to_pylist() == [30, 7, 12, 8]
    read = read_predictions(tmp_path / "out.parquet")
    assert read["episode_id"].tolist() == [30, 7, 12, 8]
    predict_file(tmp_path / "patients.parquet", tmp_path / "out.csv", models=models_folder, chunk_rows=3)
    assert read_predictions(tmp_path / "out.csv")["episode_id"].tolist() == ["30", "7", "12", "8"]


@pytest.mark.slow
def test_integers_with_a_gap_are_text(models_folder, tmp_path):
    ids = [3, None, 4]
    write_parquet(tmp_path / "patients.parquet", pa.int64(), ids)
    predict_file(tmp_path / "patients.parquet", tmp_path / "out.parquet", models=models_folder, chunk_rows=1)
    assert pq.read_schema(tmp_path / "out.parquet").equals(PREDICTION_SCHEMA)
    expected = [f"row-{place}" if given is None else str(given) for place, given in enumerate(ids, 1)]
    assert pq.read_table(tmp_path / "out.parquet")["episode_id"].to_pylist() == expected


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_spaces_around_the_ids_of_a_file_come_back(models_folder, tmp_path, suffix):
    columns = {"indication": ["lumbar_facet"] * 4, "pain_nrs": ["7"] * 4, "odi": ["40"] * 4}
    ids = {"episode_id": [" 7x ", "b\u00a0", "c", " c"], "patient_id": ["p ", None, " q", "r"]}
    patients = pd.DataFrame({**ids, **columns})
    source = tmp_path / f"in{suffix}"
    patients.to_csv(source, index=False) if suffix == ".csv" else patients.to_parquet(source, index=False)
    for out in ("out.csv", "out.parquet"):
        predict_file(source, tmp_path / out, models=models_folder, chunk_rows=1)
        read = read_predictions(tmp_path / out)
        # The last two rows have the same id, and other patients.
        assert read["episode_id"].tolist() == [" 7x ", "b\u00a0"]
        assert read["patient_id"].tolist() == ["p ", "b\u00a0"]
    with pytest.warns(UserWarning, match="duplicate"):
        told = predict(source, models_folder)
    assert told["episode_id"].tolist() == [" 7x ", "b\u00a0"]
    assert told["patient_id"].tolist() == ["p ", "b\u00a0"]


def test_integers_of_the_full_range_are_integers(models_folder, tmp_path):
    ids = [2**64 - 1, 2**63 + 1, 0]
    write_parquet(tmp_path / "patients.parquet", pa.uint64(), ids)
    predict_file(tmp_path / "patients.parquet", tmp_path / "out.parquet", models=models_folder, chunk_rows=1)
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.schema.field("episode_id").type == pa.uint64()
    assert written["episode_id"].to_pylist() == ids
    assert predict(tmp_path / "patients.parquet", models_folder)["episode_id"].tolist() == ids


@pytest.mark.slow
@pytest.mark.parametrize(("second", "expected"), [(pa.int64(), pa.int64()), (pa.int32(), pa.string())])
def test_of_several_files_all_have_to_hold_the_same_integers(models_folder, tmp_path, second, expected):
    (tmp_path / "parts").mkdir()
    write_parquet(tmp_path / "parts" / "a.parquet", pa.int64(), [1, 2])
    write_parquet(tmp_path / "parts" / "b.parquet", second, [2, 4], start=1)
    summary = predict_file(tmp_path / "parts", tmp_path / "out.parquet", models=models_folder)
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.schema.field("episode_id").type == expected
    assert [str(given) for given in written["episode_id"].to_pylist()] == ["1", "4"]  # the rows of 2 differ
    assert (summary.n_patients, summary.n_rejects) == (4, 2)


@pytest.mark.slow
def test_ids_of_a_text_file_keep_their_zeros(models_folder, tmp_path):
    (tmp_path / "patients.csv").write_text("episode_id,indication,pain_nrs\n007,lumbar_facet,7\n7,lumbar_facet,6\n")
    for suffix in (".csv", ".parquet"):
        predict_file(tmp_path / "patients.csv", tmp_path / f"out{suffix}", models=models_folder)
        assert read_predictions(tmp_path / f"out{suffix}")["episode_id"].tolist() == ["007", "7"]
