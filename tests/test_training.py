"""One training run: what it says of few patients, what it refuses, and what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quick_training import PLAIN, make_quick_settings

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import load_cohort, save_cohort
from paincast.errors import LeakError, RefusalError, SettingsError
from paincast.evidence.rules import collect_rules
from paincast.explain import explain_model
from paincast.models_folder import list_notes
from paincast.outcomes import OUTCOMES
from paincast.predictor import load_predictor
from paincast.predictor.answering.judgement import NO_SKILL
from paincast.reporting.model.summary import describe_loss, describe_refits
from paincast.serving.predict import load_models, predict
from paincast.settings import (
    ChangeSettings,
    CohortSettings,
    DurationSettings,
    EvaluationSettings,
    ModelSettings,
    OutcomeSettings,
    TrackingSettings,
)
from paincast.simulator import simulate_cohort, write_cohort
from paincast.splits import CrossFitted
from paincast.training import train

pytestmark = pytest.mark.slow


def train_real(name: str, technique: str, month: float, real_data: Path, folder: Path, **changes: object):
    mapping = load_mapping(name)
    cohort, _ = ingest(mapping, sorted(path for path in (real_data / name).iterdir() if path.suffix != ".json"))
    save_cohort(cohort, folder / name)
    return train(
        make_quick_settings(
            folder,
            cohort=CohortSettings(source="folder", path=str(folder / name)),
            techniques=[technique],
            outcome=OutcomeSettings(horizon_months=month),
            evaluation=EvaluationSettings(resamples=200),
            **changes,
        )
    )


def test_47_real_knees_get_the_simple_model_and_are_told_how_little_it_knows(real_data, tmp_path):
    result = train_real("genicular_rfa_2024", "genicular_rfa", 3.0, real_data, tmp_path)
    trained = result.trained["genicular_rfa/pain_response"]
    row = result.summary.iloc[0]
    assert (row["basis"], row["n"], row["with outcome"], row["model"]) == ("blended", "47", "49%", "logistic")
    assert "too few" in row["note"]
    assert trained.predictor.n_real == trained.predictor.n_training == 47
    metrics = trained.metrics.set_index("metric")
    assert metrics.loc["auroc", "upper"] - metrics.loc["auroc", "lower"] > 0.2
    knees = trained.predictor.predict(load_cohort(tmp_path / "genicular_rfa_2024").episodes)
    assert (knees["upper"] - knees["lower"]).median() > 0.15


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_caudal_patients_alone_show_no_skill_and_get_one_risk_for_all(real_data, tmp_path):
    """Ten of 111 responded; a model of them was worse than their share, and said 2 % to 25 % with reasons."""
    result = train_real(
        "caudal_esi_2018",
        "epidural_steroid_injection",
        1.0,
        real_data,
        tmp_path,
        model=ModelSettings(prior=False),
        tracking=TrackingSettings(uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts=str(tmp_path / "artifacts")),
    )
    assert "no better than the overall risk" in result.summary.iloc[0]["note"]
    predictor = load_predictor(tmp_path / "models" / "epidural_steroid_injection" / "pain_response")
    answers = predictor.predict(load_cohort(tmp_path / "caudal_esi_2018").episodes)
    np.testing.assert_allclose(answers["probability"], 10 / 111, atol=1e-9)
    assert (answers["lower"] < 10 / 111).all()
    assert (answers["upper"] > 10 / 111).all()
    assert answers["cautions"].str.contains(NO_SKILL).all()
    assert not answers["reasons_for"].map(len).any()
    assert not answers["reasons_against"].map(len).any()
    assert not result.trained["epidural_steroid_injection/pain_response"].explanation.contributions.to_numpy().any()


def test_trigeminal_patients_are_refused_with_the_numbers(real_data, tmp_path):
    told = r"trigeminal_rhizotomy/pain_response: [\w ]*\d+ with and [\w ]*\d+ without the outcome among"
    with pytest.raises(RefusalError, match=told):
        train_real("trigeminal_percutaneous_2024", "trigeminal_rhizotomy", 18.0, real_data, tmp_path)


def test_nothing_is_half_imported_when_models_are_finished_in_another_thread():
    """scikit-learn asks ``sys.modules`` for polars, which glum imports: half of it ends a training with a traceback."""
    watched = """
import sys
import paincast.training.trainer as run
from paincast.settings import CohortSettings, TrackingSettings, TrainingSettings

def stop(*_):
    print("glum" in sys.modules)
    raise SystemExit

run.ThreadPoolExecutor = stop
cohort = CohortSettings(episodes_per_technique=100)
run.train(
    TrainingSettings(cohort=cohort, techniques=["facet_rfa"], tracking=TrackingSettings(enabled=False), progress=False)
)
"""
    done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True"], done.stderr


def test_a_leak_fails_the_run(tmp_path, monkeypatch):
    def know_the_answer(_, __, observed, *___, **____):
        known = np.nan_to_num(4.0 * observed - 2.0)[None]
        return CrossFitted(known, np.zeros(known.shape, dtype=np.int64))

    monkeypatch.setattr("paincast.training.kinds.with_prior.cross_fit", know_the_answer)
    settings = make_quick_settings(tmp_path)
    settings.cohort.rehearse = True
    with pytest.raises(LeakError, match=r"leak: the AUROC 1\.000 exceeds"):
        train(settings)
    assert not (tmp_path / "models").exists()


def test_a_leak_fails_the_run_of_a_duration_too(tmp_path, monkeypatch):
    """A leak is no refusal, of whichever kind the outcome is."""

    def leak(*_, **__):
        raise LeakError("a leak")

    monkeypatch.setattr("paincast.training.evaluation.refuse_leak", leak)
    with pytest.raises(LeakError, match=r"^a leak$"):
        train(make_quick_settings(tmp_path, outcome=OutcomeSettings(name="relief_duration")))


def test_skill_on_simulated_patients_stays_below_the_bound(tmp_path):
    metrics = (
        train(make_quick_settings(tmp_path)).trained["facet_rfa/pain_response"].metrics.set_index("metric")["estimate"]
    )
    assert 0.5 < metrics["bayes_optimal_auroc"] < 0.8
    assert metrics["regret"] > 0
    assert {"auroc", "log_loss", "brier", "o_e_ratio", "calibration_intercept", "calibration_slope"} <= set(
        metrics.index
    )


def test_a_technique_gets_the_same_model_whichever_others_are_trained(tmp_path):
    """From one cohort: others lend what they share whether or not they are trained too."""
    write_cohort(tmp_path / "cohort", techniques=["facet_rfa", "si_joint_rfa"], episodes_per_technique=250, seed=5)
    source = CohortSettings(source="folder", path=str(tmp_path / "cohort"))
    alone = train(make_quick_settings(tmp_path / "one", cohort=source))
    beside = train(make_quick_settings(tmp_path / "two", cohort=source, techniques=["facet_rfa", "si_joint_rfa"]))
    first, second = (result.trained["facet_rfa/pain_response"] for result in (alone, beside))
    pd.testing.assert_frame_equal(first.explanation.contributions, second.explanation.contributions)
    pd.testing.assert_frame_equal(first.metrics, second.metrics)


def test_what_was_lost_is_weighted_swept_and_counted(tmp_path):
    trained = train(make_quick_settings(tmp_path)).trained["facet_rfa/pain_response"]
    counts = dict(zip(trained.flow["step"], trained.flow["n"], strict=True))
    weights = trained.weights.set_index("measure")["value"]
    assert weights["asked"] == weights["observed"] + weights["lost"] == trained.tipping_point["n"].iloc[0]
    assert counts["lost: no follow-up that answers"] == weights["lost"] > 0
    assert weights["effective sample size"] <= weights["observed"] == trained.predictor.n_training
    beside = trained.loss.set_index("metric")
    served = trained.metrics.set_index("metric")["estimate"]
    assert beside.loc["auroc", "weighted_estimate"] == served["auroc"]
    assert beside["complete_case_lower"].notna().all()
    assert trained.tipping_point["overall_risk"].is_monotonic_increasing
    said = describe_loss(trained.weights, trained.loss, trained.tipping_point)
    assert f"{weights['lost']:.0f} of {weights['asked']:.0f} were lost to follow-up" in said


def test_instability_is_the_distance_of_the_refits_over_those_trained_on(tmp_path):
    result = train(make_quick_settings(tmp_path, model=PLAIN))
    trained = result.trained["facet_rfa/pain_response"]
    rows, bins = trained.instability.metrics.set_index("metric"), trained.instability.bins
    assert (rows["n"] == trained.predictor.n_training).all()
    assert bins["n"].sum() == trained.predictor.n_training
    assert bins["n_patients"].min() >= 5
    mean = rows.loc["instability_mean"]
    assert 0 < mean["lower"] < mean["estimate"] < mean["upper"] < 0.3
    assert mean["estimate"] == pytest.approx(np.average(bins["instability"], weights=bins["n"]))
    assert f"by {mean['estimate']:.3f} ({mean['lower']:.3f} to" in describe_refits(trained.instability.metrics)


def test_all_outcomes_of_two_techniques_are_trained_or_refused_with_the_reason(tmp_path):
    result = train(
        make_quick_settings(
            tmp_path,
            techniques=["facet_rfa", "celiac_plexus_neurolysis"],
            outcome=OutcomeSettings(name="all"),
            model=PLAIN,
        )
    )
    asked = {f"{technique}/{name}" for technique in ("facet_rfa", "celiac_plexus_neurolysis") for name in OUTCOMES}
    assert result.trained.keys() | result.refused.keys() == asked
    without_evidence = {"mood_response", "sleep_response"}
    simulated = [name for name in OUTCOMES if name not in without_evidence]
    assert {name.partition("/")[2] for name in result.trained if name.startswith("facet_rfa/")} == {*simulated}
    assert all("cannot be determined" in result.refused[f"facet_rfa/{name}"] for name in without_evidence)
    assert "function_response cannot be determined" in result.refused["celiac_plexus_neurolysis/function_response"]
    for name in result.trained:
        predictor = load_predictor(tmp_path / "models" / name)
        assert f"{predictor.technique}/{predictor.outcome}" == name
    assert set(result.summary["outcome"]) == set(OUTCOMES)
    assert result.summary.columns[-2:].tolist() == ["times and changes", "note"]
    told = result.summary.set_index(["technique", "outcome"])["times and changes"]
    assert "interval holds 0." in told["facet_rfa", "pain_change"]
    assert "concordance 0." in told["facet_rfa", "relief_duration"]
    patients, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=5, seed=8)
    rows = predict(patients.episodes, tmp_path / "models", techniques=["facet_rfa"])
    assert rows["outcome"].tolist() == simulated * 5
    assert (rows["abstained_because"] == "").groupby(rows["outcome"], sort=False).any().all()
    assert result.trained["facet_rfa/satisfaction"].predictor.measures == ()


def train_one(outcome: str, technique: str, folder: Path, **changes: object):
    result = train(
        make_quick_settings(folder, techniques=[technique], outcome=OutcomeSettings(name=outcome), **changes)
    )
    trained = result.trained[f"{technique}/{outcome}"]
    loaded = load_predictor(folder / "models" / technique / outcome)
    assert loaded.version == trained.predictor.version
    fresh, _ = simulate_cohort(techniques=[technique], episodes_per_technique=60, seed=8)
    rows = trained.predictor.predict(fresh.episodes)
    pd.testing.assert_frame_equal(rows, loaded.predict(fresh.episodes))
    one_by_one = pd.concat([loaded.predict(fresh.episodes.iloc[[place]]) for place in range(5)])
    pd.testing.assert_frame_equal(one_by_one, rows.head(5), check_exact=True)
    return trained, fresh.episodes, rows


@pytest.mark.parametrize(("prior", "most"), [(True, 0.9), (False, 0.8)])
def test_change_of_pain_is_trained_kept_and_predicted_in_points(prior, most, tmp_path):
    settings = ChangeSettings(penalties=[0.03, 0.3], folds=3, confidence=0.7)
    model = replace(make_quick_settings(tmp_path).model, prior=prior)
    trained, episodes, rows = train_one("pain_change", "facet_rfa", tmp_path, change=settings, model=model)
    assert trained.predictor.response.kind == ("cumulative" if prior else "quantile")
    metrics = trained.metrics.set_index("metric")
    assert {"coverage", "mean_width", "pinball_loss", "pinball_gain", "mean_absolute_error"} <= set(metrics.index)
    assert 0.6 < metrics.loc["coverage", "estimate"] < most
    assert metrics.loc["coverage", "n"] == trained.predictor.n_training
    assert trained.predictor.n_events is None
    assert trained.curve is None
    answered = rows[~rows["abstained"]]
    assert len(answered) > 50
    assert answered[["probability", "lower", "upper"]].isna().all(axis=None)
    assert (answered["expected_lower"] <= answered["expected"]).all()
    assert (answered["expected"] <= answered["expected_upper"]).all()
    assert (answered["level"] == 0.7).all()
    assert rows.loc[rows["abstained"], ["expected", "expected_lower", "level"]].isna().all(axis=None)
    explained = explain_model(trained.predictor.response, episodes)
    total = explained.base + explained.contributions.sum(axis=1)
    np.testing.assert_allclose(total[answered.index], answered["expected"], atol=1e-9)
    assert all(reason["points"] < 0 for reasons in answered["reasons_for"] for reason in reasons)
    assert "within the interval: 0." in describe_loss(trained.weights, trained.loss, trained.tipping_point)


@pytest.mark.parametrize("prior", [True, False])
def test_duration_is_trained_kept_and_predicted_at_the_horizon(prior, tmp_path):
    settings = DurationSettings(prior_sds=[0.1, 0.1**0.5], refits=10, folds=3)
    model, technique = replace(make_quick_settings(tmp_path).model, prior=prior), "celiac_plexus_neurolysis"
    trained, episodes, rows = train_one("relief_duration", technique, tmp_path, duration=settings, model=model)
    assert ("beliefs" in trained.further.tables) == prior
    metrics = trained.metrics.set_index("metric")
    assert {"auroc", "o_e_ratio", "integrated_brier", "integrated_brier_gain", "concordance_uno"} <= set(metrics.index)
    assert metrics.loc["o_e_ratio_1", "method"] == "observed by Aalen-Johansen"
    assert "regret" in metrics.index
    counts = dict(zip(trained.flow["step"], trained.flow["n"], strict=True))
    assert counts["alive and followed to month 1"] == trained.predictor.n_training
    assert counts["of these with relief up to month 1"] == trained.predictor.n_events
    assert trained.further.tables["course"]["month"].is_monotonic_increasing
    answered = rows[~rows["abstained"]]
    assert len(answered) > 50
    assert (answered["lower"] <= answered["probability"]).all()
    assert (answered["probability"] <= answered["upper"]).all()
    assert answered["expected"].notna().any()
    # The median lies beyond the horizon for those, and only for those, of whom more than half keep relief up to it.
    ended = answered["expected"].notna()
    assert ((answered["expected"] > 1.0) == (answered["probability"] > 0.5))[ended].all()
    assert answered[["expected_lower", "expected_upper"]].isna().all(axis=None)
    explained = explain_model(trained.predictor.response, episodes)
    total = (explained.base + explained.contributions.sum(axis=1))[answered.index]
    np.testing.assert_allclose(total, np.log(answered["probability"] / (1 - answered["probability"])), atol=1e-6)


@pytest.mark.parametrize("outcome", ["pain_change", "relief_duration"])
def test_other_outcomes_abstain_by_the_same_rules(outcome, tmp_path):
    trained, episodes, _ = train_one(outcome, "facet_rfa", tmp_path)
    strange = episodes.head(3).copy()
    strange.loc[strange.index[0], "indication"] = "knee_osteoarthritis"
    strange.loc[strange.index[1], "pain_nrs"] = np.nan
    strange.loc[strange.index[2], "bmi"] = 80.0
    rows = trained.predictor.predict(strange)
    assert rows["abstained"].all()
    for said, told in zip(rows["abstained_because"], ("not one this technique", "is missing", "far from"), strict=True):
        assert told in said
    assert rows[["probability", "lower", "expected", "expected_upper"]].isna().all(axis=None)


def test_a_horizon_that_no_visit_answers_for_is_refused(tmp_path):
    asked = OutcomeSettings(name="relief_duration", horizon_months=0.2)
    with pytest.raises(RefusalError, match=r"relief_duration: .*not of month 0\.2"):
        train(make_quick_settings(tmp_path, outcome=asked, duration=DurationSettings(refits=10)))


def test_settings_of_one_outcome_do_not_go_with_all(tmp_path):
    with pytest.raises(SettingsError, match="belong to one outcome; name it, or leave them empty"):
        train(make_quick_settings(tmp_path, outcome=OutcomeSettings(name="all", window_months=[1.0, 2.0])))


def test_a_technique_that_cannot_be_trained_does_not_stop_the_others(tmp_path, monkeypatch):
    def refuse(technique: str, outcome: str):
        if technique == "si_joint_rfa":
            raise RefusalError("no evidence today")
        return collect_rules(technique, outcome)

    monkeypatch.setattr("paincast.training_set.collect_rules", refuse)
    result = train(make_quick_settings(tmp_path, techniques=["facet_rfa", "si_joint_rfa"]))
    assert result.refused == {"si_joint_rfa/pain_response": "no evidence today"}
    assert result.summary["note"].tolist()[1] == "no model: no evidence today"
    assert (tmp_path / "models" / "facet_rfa" / "pain_response" / "bundle.json").is_file()
    assert list_notes(tmp_path / "models", load_models(tmp_path / "models")) == {}
    monkeypatch.setattr("paincast.training_set.collect_rules", lambda *_: refuse("si_joint_rfa", ""))
    with pytest.raises(RefusalError, match="no evidence today"):
        train(make_quick_settings(tmp_path, techniques=["facet_rfa"]))
    assert list(list_notes(tmp_path / "models", load_models(tmp_path / "models"))) == ["refused_since"]


def test_a_technique_that_the_cohort_does_not_hold_is_named(real_data, tmp_path):
    with pytest.raises(SettingsError, match="holds no episode of facet_rfa"):
        train_real("genicular_rfa_2024", "facet_rfa", 3.0, real_data, tmp_path)
