"""One row for each patient: the numbers and the reasons of the long list, in columns that are known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from paincast.cli.app import run
from paincast.predictor import Predictor
from paincast.schema import RESEARCH_MARK
from paincast.serving.asked import NOBODY
from paincast.serving.batch import PREDICTION_SCHEMA, predict_file
from paincast.serving.layout import OF_PATIENT
from paincast.serving.predict import load_models, predict

FACET = "facet_rfa.pain_response"
EPIDURAL = "epidural_steroid_injection.pain_response"
OF_ANSWER = ["probability", "lower", "upper", "eligible", "cautions", "abstained_because"]


@pytest.fixture(scope="module")
def models(models_folder) -> dict[str, Predictor]:
    return load_models(models_folder)


def read_wide(path) -> pd.DataFrame:
    """Read a wide file of either format in the types of the function."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).astype({f"{name}.eligible": "boolean" for name in (EPIDURAL, FACET)})
    texts = [name for name in pd.read_csv(path, nrows=0) if name.split(".")[-1] in (*OF_PATIENT, "cautions")]
    rows = pd.read_csv(path, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values={"": [""]})
    numbers = [name for name in rows if name.split(".")[-1] in OF_ANSWER[:3]]
    rows[numbers] = rows[numbers].replace("", np.nan).astype(float)
    flags = [f"{name}.eligible" for name in (EPIDURAL, FACET)]
    return rows.assign(
        **{name: rows[name].map({"True": True, "False": False, "": None}).astype("boolean") for name in flags}
    )


def test_each_answer_and_each_reason_stands_once_in_the_row_of_its_patient(patients, models):
    patients.loc[1, ["technique", "indication"]] = [None, "crps"]
    patients.loc[4, "pain_nrs"] = None
    long, wide = predict(patients, models), predict(patients, models, wide=True)
    assert list(wide) == [*OF_PATIENT, *(f"{name}.{part}" for name in (EPIDURAL, FACET) for part in OF_ANSWER)]
    assert wide["episode_id"].tolist() == patients["episode_id"].tolist()
    assert wide.index.tolist() == patients.index.tolist()
    by_patient = wide.set_index("episode_id")
    for row in long.to_dict("records"):
        name = f"{row['technique']}.{row['outcome']}"
        told = by_patient.loc[row["episode_id"]]
        if f"{name}.probability" not in wide:
            assert row["abstained_because"] in told["abstained_because"]
            continue
        for part in ("probability", "lower", "upper"):
            np.testing.assert_equal(told[f"{name}.{part}"], row[part])
        for part in ("eligible", "cautions", "abstained_because"):
            assert told[f"{name}.{part}"] == row[part]
    answered = wide[[f"{name}.probability" for name in (EPIDURAL, FACET)]].notna().sum().sum()
    assert answered == (~long["abstained"]).sum() > 0
    assert by_patient.loc["b", "abstained_because"].startswith(NOBODY)
    assert by_patient["use"].to_dict() == dict.fromkeys("abcde", "") | dict.fromkeys("ad", RESEARCH_MARK)
    assert by_patient["basis"].to_dict() == dict.fromkeys("abcde", "") | dict.fromkeys("ad", "synthetic")
    assert by_patient.loc["b"].drop(list(OF_PATIENT)[1:], errors="ignore").replace("", None).isna().all()


@pytest.mark.slow
def test_the_columns_follow_from_models_and_options_and_not_from_patients(patients, models):
    nobody = patients.assign(indication=None, technique=None)
    for options in ({}, {"techniques": "all"}, {"techniques": ["facet_rfa"]}, {"interval": False}, {"months": [3, 6]}):
        some, none = (predict(table, models, wide=True, **options) for table in (patients, nobody))
        assert list(some) == list(none)
        assert some.dtypes.astype("str").to_dict() == none.dtypes.astype("str").to_dict()
        assert len(some) == len(none) == len(patients)


def test_a_kind_of_outcome_has_its_own_numbers(patients, models):
    facet = models["facet_rfa/pain_response"]
    several = {name: replace(facet, outcome=name) for name in ("pain_response", "pain_change", "relief_duration")}
    wide = predict(patients, several, wide=True, interval=False)
    assert list(wide)[len(OF_PATIENT) :] == [
        f"facet_rfa.{outcome}.{part}"
        for outcome, numbers in [
            ("pain_change", ["expected"]),
            ("pain_response", ["probability"]),
            ("relief_duration", ["probability", "expected"]),
        ]
        for part in [*numbers, "eligible", "cautions", "abstained_because"]
    ]
    with_interval = predict(patients, several, wide=True, outcomes=["pain_change", "relief_duration"])
    assert {"facet_rfa.pain_change.expected_lower", "facet_rfa.relief_duration.upper"} <= set(with_interval)
    assert not with_interval.filter(like="pain_response").columns.tolist()


def test_months_are_in_the_names_and_one_without_a_model_is_told(patients, models):
    facet = models["facet_rfa/pain_response"]
    months = {"6": facet, "3": replace(facet, horizon_months=3.0, is_primary=False)}
    wide = predict(patients.iloc[[0]], months, wide=True, months=[3, 6, 7])
    probabilities = [name for name in wide if name.endswith(".probability")]
    assert probabilities == [f"{FACET}.month-03.probability", f"{FACET}.month-06.probability"]
    long = predict(patients.iloc[[0]], months, months=[3, 6, 7])
    assert wide[probabilities].iloc[0].tolist() == long["probability"].tolist()[:2]
    assert "none of month 7" in wide["abstained_because"].iloc[0]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_wide_file_holds_what_the_function_gives_whatever_the_chunks(patients, models_folder, tmp_path, suffix):
    patients.loc[[1, 2], "indication"] = None
    patients.to_csv(tmp_path / "patients.csv", index=False)
    expected = predict(patients, models_folder, wide=True)
    written = []
    for rows in (1, 2, 100):
        out = tmp_path / f"out{rows}{suffix}"
        summary = predict_file(tmp_path / "patients.csv", out, models=models_folder, wide=True, chunk_rows=rows)
        written.append(read_wide(out))
    for found in written:
        pd.testing.assert_frame_equal(found, expected, check_exact=False, check_dtype=False)
    long = predict(patients, models_folder)
    assert (summary.n_predicted, summary.n_abstained) == ((~long["abstained"]).sum(), long["abstained"].sum())
    if suffix == ".parquet":
        types = {field.name: field.type for field in PREDICTION_SCHEMA}
        for field in pq.read_schema(out):
            assert field.type == types[field.name.split(".")[-1]]


@pytest.mark.slow
def test_the_command_takes_every_option(patients, models_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(models_folder)
    patients.loc[1, ["technique", "indication"]] = [None, None]
    patients.to_csv("patients.csv", index=False)
    command = ["predict", "patients.csv", "-o", "out.csv", "--no-progress", "--outcomes", "pain_response"]
    detail = ["--no-interval", "--explain", "1"]
    assert run([*command, *detail, "--techniques", "all"]) == 0
    rows = pd.read_csv("out.csv", keep_default_na=False)
    assert rows.groupby("episode_id", sort=False).size().tolist() == [2, 2, 3, 3, 2]
    assert rows["lower"].eq("").all()
    assert run([*command, *detail, "--techniques", "facet_rfa,si_joint_rfa", "--technique", "genicular_rfa"]) == 0
    assert set(pd.read_csv("out.csv")["technique"]) == {"facet_rfa", "si_joint_rfa", "genicular_rfa"}
    assert run([*command, *detail, "--show"]) == 0
    said = capsys.readouterr().out
    assert "no technique: 0 answers, 1 abstentions, most often because the indication is missing" in said
    assert "nan%" not in said
    assert run([*command, "--wide"]) == 0
    assert len(pd.read_csv("out.csv")) == len(patients)
    assert run([*command, "--wide", "--show"]) == 2
    for wrong in (["--outcomes", "pain_respons"], ["--explain", "-1"], ["--techniques", ","]):
        assert run([*command, *wrong]) == 2
