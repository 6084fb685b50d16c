"""What is remembered from batch to batch is bounded, whatever a file holds, and changes no word."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paincast import load_models, predict
from paincast.cohort import violations
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.reading.patients import read_patients
from paincast.contract import BUILT_IN
from paincast.predictor import answer_patients
from paincast.predictor.answering import scorer
from paincast.predictor.rows import CODED_SCHEMA
from paincast.schema import EPISODES
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.batch import output, predict_file, run

BATCHES, ROWS, MOST = 6, 12, 15


def make_batch(rng: np.random.Generator) -> pd.DataFrame:
    """Make patients of whom nearly each is answered in other words."""
    return pd.DataFrame(
        {
            "age_years": rng.choice([30, 60, 119, 150], ROWS),
            "indication": rng.choice(["lumbar_facet", "lumbar_radicular_disc", "the knee"], ROWS),
            "pain_nrs": rng.choice([0.0, 4.0, 8.0, np.nan], ROWS),
            "active_infection": rng.choice(["yes", "no", "perhaps", ""], ROWS),
            "pregnant": rng.choice(["yes", "no", ""], ROWS),
            "anticoagulant": rng.choice(["yes", "no", ""], ROWS),
        }
    ).astype(str)


@pytest.mark.filterwarnings("ignore:left out before predicting")
def test_words_of_patterns_are_bounded_and_the_same(models_folder, monkeypatch):
    monkeypatch.setattr(scorer, "MOST_PATTERNS", MOST)
    remembering = load_models(models_folder)
    batches = [make_batch(np.random.default_rng(seed)) for seed in range(BATCHES)]
    answered = [predict(batch, remembering, techniques="all") for batch in batches]
    alone = [predict(batch, load_models(models_folder), techniques="all") for batch in batches]
    for one, other in zip(answered, alone, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    kept = [model._scorers[False] for model in remembering.values()]
    assert max(len(one._patterns) for one in kept) <= MOST + ROWS
    assert all(len(one._words) == len(one._patterns) for one in kept)
    words = {text for predictions in alone for text in predictions["abstained_because"] + predictions["not_assessed"]}
    assert len(words) > MOST + ROWS  # or nothing would have been forgotten


@pytest.mark.filterwarnings("ignore:left out before predicting")
def test_what_could_not_be_read_needs_no_words_of_its_own(models_folder):
    models = load_models(models_folder / "facet_rfa")
    columns = ("pain_nrs", "age_years", "bmi", "odi")
    patient = {"indication": "lumbar_facet", **dict.fromkeys(columns, None), "pain_nrs": 7}
    patients = [patient | {name: -5 for name in columns if number >> columns.index(name) & 1} for number in range(16)]
    predictions = predict(pd.DataFrame(patients), models)
    [model] = models.values()
    assert len(model._scorers[False]._patterns) <= 2  # with and without pain before
    because, cautions = predictions["abstained_because"], predictions["cautions"]
    for number, told, noted in zip(range(16), because, cautions, strict=True):
        unread = [name for name in columns if number >> columns.index(name) & 1]
        assert all(name in noted for name in unread)
        assert ("pain_nrs" in told) == ("pain_nrs" in unread)
    assert predictions["level"].isna().tolist() == predictions["abstained"].tolist() == (because != "").tolist()


def test_long_texts_are_read_but_not_remembered():
    column, before = EPISODES["sex"], violations._read_few.cache_info().currsize
    for place in range(5):
        raw = pa.array([f"{place}" + "x" * violations.FEW_BYTES, "female"])
        typed = violations.coerce_column(raw, column, NumberStyle()).values
        assert typed.to_pylist()[1] == "female"
    assert violations._read_few.cache_info().currsize == before


def test_a_model_that_has_answered_goes_to_another_process(models_folder):
    models = load_models(models_folder)
    patients = pd.DataFrame({"indication": "lumbar_facet", "pain_nrs": [3, 8, 9], "age_years": [35, 60, 80]})
    answered = predict(patients, models, techniques="all")
    assert answered["reasons_for"].map(len).sum()  # numbers were written
    sent = pickle.loads(pickle.dumps(models))
    pd.testing.assert_frame_equal(predict(patients, sent, techniques="all"), answered, check_exact=True)


def test_texts_of_all_that_is_asked_are_there_once(models_folder):
    patients = pd.DataFrame({"indication": ["lumbar_facet", "the knee", None], "pain_nrs": [7, 0, 3], "age_years": 60})
    read = read_patients(patients)
    for techniques in ("all", None, ["celiac_plexus_neurolysis"]):
        answer = make_answer(load_models(models_folder), check_asking(BUILT_IN, techniques=techniques))
        [predictions], *_ = answer_patients(read, answer)
        table = predictions.table
        assert table.schema.equals(CODED_SCHEMA)
        for name in ("technique", "abstained_because", "model_version"):
            words = table[name].combine_chunks().dictionary
            assert len(words) == len(words.unique())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("wide", [False, True])
def test_blocks_of_patients_and_groups_of_rows_change_no_answer(models_folder, tmp_path, monkeypatch, suffix, wide):
    batches = [make_batch(np.random.default_rng(seed)) for seed in range(BATCHES)]
    pd.concat(batches).to_csv(tmp_path / "patients.csv", index=False)
    for name, answers, rows in (("whole", 10**6, 10**6), ("parted", 40, 30)):
        monkeypatch.setattr(run, "ANSWERS_AT_ONCE", answers)
        monkeypatch.setattr(output, "GROUP_ROWS", rows)
        out = tmp_path / f"{name}{suffix}"
        predict_file(tmp_path / "patients.csv", out, models=models_folder, techniques="all", wide=wide)
    if suffix == ".csv":
        assert (tmp_path / "parted.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    else:
        assert pq.read_table(tmp_path / "parted.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
        assert pq.ParquetFile(tmp_path / "parted.parquet").num_row_groups > 1
    rejects = [tmp_path / f"{name}.rejects.csv" for name in ("whole", "parted")]
    assert rejects[0].read_bytes() == rejects[1].read_bytes()
