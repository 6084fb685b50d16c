"""What was written is read back the same from CSV and from Parquet, and reads well."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paincast.reporting.model.summary import summarize_predictions
from paincast.schema import RESEARCH_MARK
from paincast.serving.batch import predict_file, read_predictions
from paincast.serving.predict import predict

EXAMPLES = Path(__file__).parents[2] / "examples" / "patients.csv"


@pytest.mark.slow
def test_csv_and_parquet_hold_the_same_predictions(models_folder, tmp_path):
    read = []
    for suffix in (".csv", ".parquet"):
        out = tmp_path / f"out{suffix}"
        predict_file(EXAMPLES, out, models=models_folder)
        read.append(read_predictions(out))
    pd.testing.assert_frame_equal(*read, check_dtype=False, check_exact=False)
    assert len(read[0])


@pytest.mark.slow
def test_predictions_of_before_a_column_was_added_are_read(models_folder, tmp_path):
    for suffix, write in ((".csv", pd.DataFrame.to_csv), (".parquet", pd.DataFrame.to_parquet)):
        out, older = tmp_path / f"out{suffix}", tmp_path / f"older{suffix}"
        predict_file(EXAMPLES, out, models=models_folder)
        written = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
        assert written["not_assessed"].str.contains("blood clotting").all()
        write(written.drop(columns="not_assessed"), older, index=False)
        now, before = read_predictions(out), read_predictions(older)
        pd.testing.assert_frame_equal(now.assign(not_assessed=""), before, check_dtype=False, check_like=True)


def test_summary_gives_every_answer_and_a_reason_for_every_silence(models_folder):
    rows = predict(pd.read_csv(EXAMPLES, dtype="str"), models_folder)
    lines = summarize_predictions(rows)
    assert set(lines["patient"]) == set(rows["episode_id"])
    assert (lines["technique"] != "none").sum() == (~rows["abstained"]).sum() > 0
    silent = lines[lines["technique"] == "none"]
    assert silent["says"].str.len().gt(10).all()
    answered = lines[lines["technique"] != "none"]
    assert set(answered["basis"]) == {"synthetic, research use only"}
    assert answered["probability"].str.fullmatch(r"\d+% \(\d+% to \d+%\)").all()


def test_summary_of_real_patients_says_how_many_and_a_mark_only_where_there_is_one(models_folder):
    rows = predict(pd.read_csv(EXAMPLES, dtype="str"), models_folder).assign(basis="real", n_real=111)
    for use, said in (("", "real, n = 111"), (RESEARCH_MARK, "real, n = 111, research use only")):
        lines = summarize_predictions(rows.assign(use=use))
        assert set(lines.loc[lines["technique"] != "none", "basis"]) == {said}


def test_summary_says_first_who_is_not_eligible(models_folder):
    infected = pd.read_csv(EXAMPLES, dtype="str").assign(active_infection="yes")
    lines = summarize_predictions(predict(infected, models_folder))
    answered = lines[lines["technique"] != "none"]
    assert len(answered)
    assert answered["says"].str.startswith("NOT ELIGIBLE: local or systemic infection").all()
    assert answered["says"].str.contains("not assessed: ").all()


def test_summary_says_who_is_not_eligible_where_the_model_abstains_too(models_folder):
    infected = pd.read_csv(EXAMPLES, dtype="str").assign(active_infection="yes", pain_nrs=None).head(2)
    lines = summarize_predictions(predict(infected, models_folder))
    assert lines["technique"].tolist() == ["none", "none"]
    assert lines["says"].str.startswith("NOT ELIGIBLE for epidural_steroid_injection: local or systemic").all()
    assert lines["says"].str.contains("pain_nrs is missing").all()
