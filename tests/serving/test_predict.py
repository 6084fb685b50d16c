"""A row for each patient and technique: an answer, or an abstention with its reason."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paincast
from paincast.cohort.tables import conform
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.predictor import PREDICTION_COLUMNS, load_predictor, save_predictor
from paincast.schema import COMPARATORS, RESEARCH_MARK, TECHNIQUES
from paincast.serving.predict import load_model, load_models, predict


def row(predictions: pd.DataFrame, episode: str, technique: str) -> pd.Series:
    [found] = np.flatnonzero((predictions["episode_id"] == episode) & (predictions["technique"] == technique))
    return predictions.iloc[found]


def test_all_techniques_give_a_row_each_for_every_patient_in_the_canonical_order(patients, models_folder):
    predictions = predict(patients, models_folder, techniques="all")
    assert tuple(predictions.columns) == PREDICTION_COLUMNS
    found = predictions.groupby("episode_id", sort=False)["technique"].agg(list).to_dict()
    loaded = ["epidural_steroid_injection", "facet_rfa"]
    assert found == {
        "a": loaded,
        "b": loaded,
        "c": [*loaded, "trigeminal_rhizotomy"],
        "d": [*loaded, "surgery"],
        "e": loaded,
    }


@pytest.mark.slow
def test_an_answer_is_that_of_the_model(patients, models_folder):
    predictor = load_predictor(models_folder / "facet_rfa" / "pain_response")
    answer = row(predict(patients, models_folder), "a", "facet_rfa")
    direct = predictor.predict(conform("episodes", patients)).iloc[0]
    assert answer["probability"] == pytest.approx(direct["probability"], abs=1e-12)
    assert 0 < answer["lower"] < answer["probability"] < answer["upper"] < 1
    assert not answer["abstained"]
    assert (answer["basis"], answer["use"]) == ("synthetic", RESEARCH_MARK)
    assert answer["model_version"] == predictor.version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("episode", "technique", "words"),
    [
        ("c", "trigeminal_rhizotomy", "there is no model for trigeminal_rhizotomy"),
        ("d", "surgery", "surgery is a comparator, not a technique"),
        ("a", "epidural_steroid_injection", "no evidence for lumbar_facet: no study counts responders"),
        ("b", "facet_rfa", "the indication is not one this technique treats"),
    ],
)
def test_an_abstention_has_a_reason_and_no_number(patients, models_folder, episode, technique, words):
    answer = row(predict(patients, models_folder, techniques="all"), episode, technique)
    assert answer["abstained"]
    assert words in answer["abstained_because"]
    assert np.isnan(answer["probability"])
    assert answer["reasons_for"] == answer["reasons_against"] == []


def test_what_the_model_needs_is_not_guessed(patients, models_folder):
    patients.loc[0, "pain_nrs"] = None
    patients.loc[1, "approach"] = "interlaminar"
    patients.loc[4, "indication"] = None
    predictions = predict(patients, models_folder)
    assert "pain_nrs is missing; it is required" in row(predictions, "a", "facet_rfa")["abstained_because"]
    assert (
        "approach has a value that the model has not seen"
        in row(predictions, "b", "epidural_steroid_injection")["abstained_because"]
    )
    assert "the indication is missing" in row(predictions, "e", "")["abstained_because"]


def test_far_from_the_training_cohort_there_is_no_answer(patients, models_folder):
    patients.loc[0, "age_years"] = 2
    answer = row(predict(patients, models_folder), "a", "facet_rfa")
    assert answer["abstained"]
    assert not answer["in_domain"]
    assert "far from the training cohort" in answer["abstained_because"]


def test_a_technique_without_evidence_is_refused_by_name(patients, models_folder):
    patients.loc[2, "technique"] = "bariatric_embolization"
    reason = row(predict(patients, models_folder), "c", "bariatric_embolization")["abstained_because"]
    assert "bariatric_embolization is refused" in reason
    with pytest.raises(RefusalError, match="bariatric_embolization is refused"):
        predict(patients, models_folder, techniques=["bariatric_embolization"])


def test_choices_made_for_another_technique_do_not_stand_in_the_way(patients, models_folder):
    patients.loc[2, ["indication", "approach"]] = ["lumbar_radicular_disc", "percutaneous"]
    answer = row(predict(patients, models_folder), "c", "epidural_steroid_injection")
    assert not answer["abstained"], answer["abstained_because"]


def test_only_the_techniques_asked_for_are_answered(patients, models_folder):
    predictions = predict(patients, models_folder, techniques=["trigeminal_rhizotomy", "facet_rfa"])
    assert predictions["technique"].tolist() == ["facet_rfa", "trigeminal_rhizotomy"] * 5


@pytest.mark.parametrize(("technique", "words"), [("facet_rf", "did you mean 'facet_rfa'"), ("surgery", "comparator")])
def test_asking_for_something_else_is_an_error(patients, models_folder, technique, words):
    with pytest.raises(SettingsError, match=words):
        predict(patients, models_folder, techniques=[technique])


def test_what_was_left_out_is_told_and_stands_in_the_row(patients, models_folder):
    patients["odi"] = ["forty", 50, 45, 48, 44]
    with pytest.warns(UserWarning, match=r"odi: not a number \(1\)") as told:
        predictions = predict(patients, models_folder)
    assert "forty" not in str(told[0].message)
    assert row(predictions, "a", "facet_rfa")["cautions"] == "left out as unusable: odi"
    assert row(predictions, "e", "facet_rfa")["cautions"] == ""


def test_rows_left_out_do_not_shift_the_notes_of_others(patients, models_folder):
    patients = pd.concat([patients.iloc[[0]].assign(odi=99.0), patients.iloc[[0, 1]].assign(age_years=[50, 400])])
    with pytest.warns(UserWarning, match="duplicate"):
        predictions = predict(patients, models_folder)
    assert set(predictions["episode_id"]) == {"b"}
    assert set(predictions["cautions"]) == {"left out as unusable: age_years"}


@pytest.mark.slow
def test_models_can_be_handed_over_in_every_form(patients, models_folder):
    predictor = load_model(models_folder / "facet_rfa" / "pain_response")
    forms = [predictor, {"mine": predictor}, models_folder / "facet_rfa", str(models_folder / "facet_rfa")]
    first, *others = [predict(patients, form) for form in forms]
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_the_models_of_the_working_folder_are_the_default(patients, models_folder, monkeypatch):
    monkeypatch.chdir(models_folder.parent)
    pd.testing.assert_frame_equal(paincast.predict(patients), predict(patients, models_folder))


def test_several_outcomes_give_a_row_each(patients, models_folder):
    facet = load_model(models_folder / "facet_rfa" / "pain_response")
    models = {"1": facet, "2": replace(facet, outcome="pain_response_30")}
    predictions = predict(patients.iloc[[2]], models, techniques="all")
    assert predictions[["technique", "outcome"]].to_numpy().tolist() == [
        ["facet_rfa", "pain_response"],
        ["facet_rfa", "pain_response_30"],
        ["trigeminal_rhizotomy", "pain_response"],
        ["trigeminal_rhizotomy", "pain_response_30"],
    ]


def test_no_patients_give_no_rows(patients, models_folder):
    predictions = predict(patients.iloc[:0], models_folder)
    assert len(predictions) == 0
    assert tuple(predictions.columns) == PREDICTION_COLUMNS


def test_models_are_keyed_and_ordered(models_folder):
    assert list(load_models(models_folder)) == ["epidural_steroid_injection/pain_response", "facet_rfa/pain_response"]


def test_two_models_for_one_question_are_refused(models_folder, tmp_path):
    predictor = load_model(models_folder / "facet_rfa" / "pain_response")
    save_predictor(predictor, tmp_path / "one")
    save_predictor(predictor, tmp_path / "two")
    with pytest.raises(DataError, match="two models answer facet_rfa/pain_response"):
        load_models(tmp_path)


def test_a_bundle_being_written_is_not_loaded(models_folder, tmp_path):
    predictor = load_model(models_folder / "facet_rfa" / "pain_response")
    save_predictor(predictor, tmp_path / "whole")
    save_predictor(predictor, tmp_path / ".draft.xyz" / "draft")
    assert len(load_models(tmp_path)) == 1


def test_a_folder_without_models_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="train models with 'paincast train'"):
        load_models(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load_models(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"bundle\.json is missing"):
        load_model(tmp_path)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*TECHNIQUES, *COMPARATORS, None]), st.none() | st.integers(-5, 15), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_the_patients_each_is_answered_or_abstained_once(models_folder, rows):
    frame = pd.DataFrame(
        {
            "technique": [technique for technique, _, _ in rows],
            "indication": ["lumbar_facet" if fits else "crps" for _, _, fits in rows],
            "pain_nrs": [pain for _, pain, _ in rows],
        }
    )
    with warnings.catch_warnings(category=UserWarning, action="ignore"):
        predictions = predict(frame, models_folder)
    treat = [{"facet_rfa"} if fits else set() for _, _, fits in rows]
    named = [{technique} - {None} for technique, _, _ in rows]
    assert len(predictions) == sum(len(own | asked) or 1 for own, asked in zip(treat, named, strict=True))
    assert not predictions.duplicated(["episode_id", "technique", "outcome"]).any()
    assert (predictions["abstained"] == predictions["probability"].isna()).all()
    assert (predictions["abstained"] == (predictions["abstained_because"] != "")).all()
    order = predictions["technique"].map([*TECHNIQUES, *COMPARATORS, ""].index)
    assert order.groupby(predictions["episode_id"], sort=False).agg(lambda part: part.is_monotonic_increasing).all()
