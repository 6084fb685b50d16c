"""Models of several months: which one answers, and who abstains."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cli.app import run
from paincast.errors import DataError, SettingsError
from paincast.models_folder import record_training
from paincast.outcomes import name_model, split_name
from paincast.predictor import MANIFEST, Predictor, add_version, load_predictor, save_predictor
from paincast.serving.batch import read_predictions
from paincast.serving.months import NO_MONTH, NO_PRIMARY_MONTH, Asked, choose_model
from paincast.serving.predict import load_model, load_models, predict
from paincast.simulator import write_cohort

FACET = "facet_rfa/pain_response"
PRIMARY = 6.0


def make_month(primary: Predictor, month: float, *, is_primary: bool = False) -> Predictor:
    """Make a model of another month, which no other model equals."""
    window = (0.5 * month, 1.5 * month)
    return add_version(replace(primary, horizon_months=month, window_months=window, is_primary=is_primary))


@pytest.fixture(scope="module")
def primary(models_folder: Path) -> Predictor:
    return load_model(models_folder / FACET)


@pytest.fixture
def folder(tmp_path: Path, models_folder: Path, primary: Predictor) -> Path:
    """Give a folder as a training of months 3, 6 and 12 of one technique writes it."""
    shutil.copytree(models_folder, tmp_path / "models")
    for month in (3.0, 12.0):
        further = make_month(primary, month)
        save_predictor(further, tmp_path / "models" / further.name)
    return tmp_path / "models"


@given(month=st.floats(0.1, 240.0))
def test_a_name_holds_its_month(month):
    technique, outcome, named = split_name(name_model("facet_rfa", "pain_response", month))
    assert (technique, outcome, f"{named:g}") == ("facet_rfa", "pain_response", f"{month:g}")


@given(months=st.lists(st.integers(1, 99), min_size=1, unique=True))
def test_names_sort_by_month_behind_the_primary_one(months):
    names = [name_model("facet_rfa", "pain_response", float(month)) for month in sorted(months)]
    assert sorted([*names, FACET]) == [FACET, *names]


def test_a_further_month_is_kept_in_its_bundle_and_leaves_the_primary_one_as_it_was(folder, models_folder, primary):
    further = load_predictor(folder / "facet_rfa" / "pain_response.month-12")
    assert (further.is_primary, further.further_month, further.name) == (False, 12.0, f"{FACET}.month-12")
    assert (primary.is_primary, primary.further_month, primary.name) == (True, None, FACET)
    assert "is_primary" not in (models_folder / FACET / MANIFEST).read_text()
    assert further.version != make_month(primary, 12.0, is_primary=True).version


def test_models_of_a_folder_are_keyed_by_name_and_ordered_by_month(folder):
    assert list(load_models(folder)) == [
        "epidural_steroid_injection/pain_response",
        FACET,
        f"{FACET}.month-03",
        f"{FACET}.month-12",
    ]


def test_two_models_of_a_further_month_are_refused(folder, primary):
    save_predictor(make_month(primary, 12.0), folder / "again")
    with pytest.raises(DataError, check=lambda error: error.code == "PC-SERVING-18"):
        load_models(folder)


def test_without_months_the_answer_is_that_of_the_primary_model(folder, models_folder, patients):
    pd.testing.assert_frame_equal(predict(patients, folder), predict(patients, models_folder))


def test_a_month_without_a_model_abstains_by_name(folder, patients):
    fitting = patients[patients["indication"] == "lumbar_facet"]
    rows = predict(fitting, folder, techniques=["facet_rfa"], months=[12, 7, 3])
    assert rows["horizon_months"].tolist() == [3.0, 7.0, 12.0] * len(fitting)
    assert rows["abstained"].tolist() == [False, True, False] * len(fitting)
    absent = rows[rows["abstained"]]
    assert absent["abstained_because"].str.startswith(NO_MONTH).all()
    assert (
        absent["abstained_because"].str.contains("facet_rfa has none of month 7; months with a model: 3, 6, 12").all()
    )
    assert absent[["probability", "lower", "upper", "level"]].isna().all(axis=None)
    assert absent["eligible"].notna().all()


def test_a_patient_whom_the_technique_does_not_treat_is_told_so_and_not_of_months(folder, patients):
    other = patients[patients["indication"] == "trigeminal_neuralgia"]
    [row] = predict(other, folder, techniques=["facet_rfa"], months=[7]).to_dict("records")
    assert "the indication is not one this technique treats" in row["abstained_because"]
    assert NO_MONTH not in row["abstained_because"]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    trained=st.sets(st.sampled_from([1.0, 1.5, 3.0, 12.0])),
    asked=st.lists(st.sampled_from([1.0, 1.5, 3.0, 6.0, 7.0, 12.0]), min_size=1, max_size=4),
)
def test_every_month_asked_is_a_row_and_its_own_model_answers(primary, patients_of_all, trained, asked):
    models = {"first": primary, **{str(month): make_month(primary, month) for month in trained}}
    rows = predict(patients_of_all, models, techniques="all", months=asked)
    months = sorted(set(asked))
    techniques = rows.groupby("episode_id")["technique"].nunique()
    assert rows.groupby("episode_id").size().equals(techniques * len(months))
    for month, part in rows.groupby("horizon_months"):
        own = part[part["technique"] == "facet_rfa"]
        if month == PRIMARY or month in trained:
            expected = (primary if month == PRIMARY else make_month(primary, month)).predict(patients_of_all)
            pd.testing.assert_frame_equal(own, expected)
        else:
            assert own["abstained"].all()
    assert sorted(rows["horizon_months"].unique()) == months


@pytest.fixture(scope="module")
def patients_of_all() -> pd.DataFrame:
    """Three patients: one that fits, one of another indication, one of a comparator."""
    return pd.DataFrame(
        {
            "episode_id": ["a", "b", "c"],
            "patient_id": ["pa", "pb", "pc"],
            "technique": ["facet_rfa", "trigeminal_rhizotomy", "surgery"],
            "indication": ["lumbar_facet", "trigeminal_neuralgia", "lumbar_radicular_disc"],
            "age_years": [50, 60, 55],
            "pain_nrs": [7, 9, 8],
            "odi": [40, 45, 48],
            "depression": [True, False, False],
        }
    )


def test_a_single_further_model_answers_and_of_several_one_has_to_be_named(primary, patients):
    third, twelfth = make_month(primary, 3.0), make_month(primary, 12.0)
    rows = predict(patients, third, techniques=["facet_rfa"])
    assert not rows["abstained"].all()
    assert set(rows.loc[~rows["abstained"], "horizon_months"]) == {3.0}
    several = predict(patients, {"a": third, "b": twelfth}, techniques=["facet_rfa"])
    assert several["abstained"].all()
    fitting = several[several["abstained_because"].str.startswith(NO_PRIMARY_MONTH)]
    assert set(fitting["episode_id"]) == {"a", "e"}
    assert fitting["abstained_because"].str.contains("3, 12").all()


def test_of_two_models_of_a_month_the_primary_one_answers(primary):
    further = make_month(primary, PRIMARY)
    models = {"further": further, "primary": primary}
    assert choose_model(models, Asked("facet_rfa", "pain_response", PRIMARY)) is primary
    assert choose_model({"further": further}, Asked("facet_rfa", "pain_response", PRIMARY)) is further


@pytest.mark.parametrize("months", [[], [0], [-1.0], [float("nan")], [float("inf")], ["6"], [True], 6, "6"])
def test_months_are_numbers_above_zero(months, folder, patients):
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-SERVING-29"):
        predict(patients, folder, months=months)


def test_the_command_asks_for_months_and_shows_which_have_no_model(folder, patients, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    patients[patients["episode_id"] == "a"].to_csv("patients.csv", index=False)
    command = ["predict", "patients.csv", "--technique", "facet_rfa", "--months", "3,7", "--no-progress", "--show"]
    for out in ("out.csv", "out.parquet"):
        assert run([*command, "-o", out]) == 0
        rows = read_predictions(out)
        assert rows["horizon_months"].tolist() == [3.0, 7.0]
        assert rows["abstained"].tolist() == [False, True]
        said = capsys.readouterr().out
        assert "1 patients: 1 answers, 1 abstentions" in said
        assert NO_MONTH in said.split("says")[1]


@pytest.mark.parametrize("months", ["3,x", "", "3;6", "0", "3,-1"])
def test_the_command_refuses_what_is_no_month(months, folder, patients, monkeypatch):
    monkeypatch.chdir(folder.parent)
    patients.to_csv("patients.csv", index=False)
    assert run(["predict", "patients.csv", "-o", "out.csv", "--months", months]) == 2
    assert not Path("out.csv").exists()


def test_a_stale_further_month_is_only_told_of_when_it_is_asked(folder, patients):
    models = load_models(folder)
    record_training(folder, {name: models[name] for name in models if models[name].is_primary}, [])
    predict(patients, folder)
    with pytest.warns(UserWarning, match=r"pain_response\.month-12"):
        predict(patients, folder, months=[12])


@pytest.mark.slow
def test_external_validation_tells_the_months_apart(folder, tmp_path):
    write_cohort(tmp_path / "cohort", techniques=["facet_rfa"], episodes_per_technique=150, seed=3)
    report = tmp_path / "report"
    assert run(["evaluate", str(folder), str(tmp_path / "cohort"), "-o", str(report), "--resamples", "50"]) == 0
    nested = json.loads((report / "metrics.json").read_text())["facet_rfa"]
    assert sorted(nested) == ["pain_response", "pain_response.month-03", "pain_response.month-12"]
    assert pd.read_csv(report / "flow.csv")["horizon_months"].tolist() == [6.0, 3.0, 12.0]
    metrics = pd.read_csv(report / "metrics.csv")
    for name, month in (("pain_response", 6.0), ("pain_response.month-12", 12.0)):
        [auroc] = metrics.loc[(metrics["metric"] == "auroc") & (metrics["horizon_months"] == month), "estimate"]
        assert np.isclose(nested[name]["auroc"], auroc)
    assert set(pd.read_csv(report / "calibration.csv")["horizon_months"]) == {3.0, 6.0, 12.0}
