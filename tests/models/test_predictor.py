"""The bundle: what is saved is what predicts; every served probability is explained; abstention instead of a guess."""

from __future__ import annotations

import json
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import shap
from scipy.special import logit

from paincast.cohort.tables import conform
from paincast.errors import DataError
from paincast.evidence.rules import collect_rules
from paincast.explain import explain_model, find_certain
from paincast.models.binary.boosting import BoostedModel
from paincast.models.binary.response import fit_response_model
from paincast.models.calibration.calibrated import CalibratedModel
from paincast.predictor import PREDICTION_COLUMNS, Predictor, add_version, load_predictor, save_predictor
from paincast.predictor.bundle import CHECKSUMS
from paincast.schema import RESEARCH_MARK
from paincast.settings import (
    FITTED_CALIBRATIONS,
    CalibrationSettings,
    ModelSettings,
    TrainingSettings,
    UncertaintySettings,
)

from .conftest import EARLIER_CALIBRATIONS, calibrate_as_earlier

FOLDED = ("none", "affine")


@pytest.fixture
def make_predictor(make_episodes, few_candidates):
    """Make a sealed predictor of one kind, with the episodes it was fitted on."""

    def make(kind: str, n: int = 400, calibration: str = "affine") -> tuple[Predictor, pd.DataFrame]:
        episodes, outcome, _ = make_episodes(n)
        episodes = episodes.assign(site_id=pd.Series([f"s{i % 5}" for i in range(n)], dtype="str"))
        settings = TrainingSettings(
            model=ModelSettings(candidates=[kind], **few_candidates),
            calibration=CalibrationSettings(method="none" if calibration in EARLIER_CALIBRATIONS else calibration),
            uncertainty=UncertaintySettings(refits=10),
            jobs=1,
        )
        response = fit_response_model(episodes, outcome, settings, np.random.default_rng(1))
        if calibration in EARLIER_CALIBRATIONS:
            response = calibrate_as_earlier(response, calibration)
        predictor = Predictor(
            technique="facet_rfa",
            outcome="pain_response",
            horizon_months=6.0,
            window_months=(3.0, 9.0),
            measures=("pain_nrs",),
            basis="synthetic",
            n_training=n,
            n_events=int(outcome.sum()),
            n_real=0,
            level=0.9,
            response=response,
            rules=collect_rules("facet_rfa", "pain_response"),
        )
        return add_version(predictor), episodes

    return make


@pytest.mark.slow
@pytest.mark.parametrize("calibration", FITTED_CALIBRATIONS)
def test_contributions_add_up_to_the_log_odds_of_the_served_probability(make_predictor, kind, calibration):
    predictor, episodes = make_predictor(kind, calibration=calibration)
    served = predictor.predict(episodes)
    explanation = explain_model(predictor.response, episodes)
    total = explanation.base + explanation.contributions.sum(axis=1).to_numpy()
    answered = ~served["abstained"].to_numpy()
    assert answered.mean() > 0.95
    np.testing.assert_allclose(total[answered], logit(served["probability"].to_numpy()[answered]), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("calibration", FITTED_CALIBRATIONS)
def test_a_loaded_bundle_predicts_and_explains_the_same(make_predictor, kind, calibration, tmp_path):
    predictor, episodes = make_predictor(kind, calibration=calibration)
    folder = save_predictor(predictor, tmp_path / "bundle")
    loaded = load_predictor(folder)
    pd.testing.assert_frame_equal(loaded.predict(episodes), predictor.predict(episodes), check_exact=True)
    np.testing.assert_array_equal(loaded.explain(episodes).base_values, predictor.explain(episodes).base_values)
    np.testing.assert_array_equal(
        loaded.response.refit_linear_predictors(episodes), predictor.response.refit_linear_predictors(episodes)
    )
    assert loaded.version == predictor.version
    assert len(loaded.version) == 12
    assert loaded.response.candidate == predictor.response.candidate
    assert loaded.response.uncertainty_components == predictor.response.uncertainty_components
    assert loaded.response.calibration == predictor.response.calibration
    assert (folder / "booster.ubj").exists() == (kind == "xgboost")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("basis", "use", "mark"),
    [
        ("synthetic", "", RESEARCH_MARK),
        ("real", "", ""),
        ("real", RESEARCH_MARK, RESEARCH_MARK),
        ("blended", RESEARCH_MARK, RESEARCH_MARK),
    ],
)
def test_a_mark_is_of_the_basis_or_given_and_never_taken_from_simulated_patients(
    make_predictor, tmp_path, basis, use, mark
):
    predictor, episodes = make_predictor("logistic", n=200)
    held = add_version(replace(predictor, basis=basis))
    given = replace(held, use=use)
    assert set(given.predict(episodes)["use"]) == {mark}
    assert add_version(given).version == held.version
    loaded = load_predictor(save_predictor(given, tmp_path / "bundle"))
    assert set(loaded.predict(episodes)["use"]) == {RESEARCH_MARK}
    assert set(held.predict(episodes)["use"]) == {RESEARCH_MARK}


@pytest.mark.slow
@pytest.mark.parametrize("calibration", [*FITTED_CALIBRATIONS, *EARLIER_CALIBRATIONS])
def test_what_calibration_adds_belongs_to_no_variable(make_predictor, calibration):
    predictor, episodes = make_predictor("logistic", calibration=calibration)
    response, explained = predictor.response, explain_model(predictor.response, episodes)
    beside = [isinstance(model, CalibratedModel) for model in (response.model, *response.refits)]
    assert beside == [calibration not in FOLDED] * 11
    assert (np.ptp(explained.base) > 1e-9) == (calibration not in FOLDED)
    inner = response.model.model if isinstance(response.model, CalibratedModel) else response.model
    matrix = response.encoder.transform(episodes)
    np.testing.assert_allclose(
        explained.contributions.sum(axis=1), inner.contributions(matrix)[1].sum(axis=1), atol=1e-9
    )
    np.testing.assert_allclose(
        explained.base - inner.contributions(matrix)[0],
        response.linear_predictor(episodes) - inner.linear_predictor(matrix),
        atol=1e-9,
    )


def test_a_calibration_changed_in_the_bundle_is_refused(make_predictor, tmp_path):
    folder = save_predictor(make_predictor("logistic", calibration="isotonic")[0], tmp_path / "bundle")
    state = json.loads((folder / "bundle.json").read_text())
    state["calibrations_beside"][0]["calibration"]["probabilities"][0] /= 2
    (folder / "bundle.json").write_text(json.dumps(state))
    (folder / CHECKSUMS).unlink()
    with pytest.raises(DataError, check=lambda error: error.code == "PC-MODEL-18"):
        load_predictor(folder)


def test_a_bundle_of_another_format_asks_for_training(make_predictor, tmp_path):
    folder = save_predictor(make_predictor("logistic")[0], tmp_path / "bundle")
    state = json.loads((folder / "bundle.json").read_text()) | {"format": 1}
    (folder / "bundle.json").write_text(json.dumps(state))
    (folder / CHECKSUMS).unlink()
    with pytest.raises(DataError, match="bundle format 1; this version reads format 2; train the model again"):
        load_predictor(folder)


@pytest.mark.slow
def test_bundle_holds_no_pickle(make_predictor, kind, tmp_path):
    folder = save_predictor(make_predictor(kind)[0], tmp_path / "bundle")
    assert {file.suffix for file in folder.iterdir() if file.name != CHECKSUMS} <= {".json", ".ubj"}


def test_same_model_same_version_and_other_model_other_version(make_predictor):
    first, second, other = (
        make_predictor("logistic")[0],
        make_predictor("logistic")[0],
        make_predictor("logistic", 410)[0],
    )
    assert first.version == second.version != other.version


@pytest.mark.slow
def test_rows_keep_order_index_and_contract(make_predictor):
    predictor, episodes = make_predictor("logistic")
    shuffled = episodes.sample(frac=1, random_state=0)
    served = predictor.predict(shuffled)
    assert tuple(served.columns) == PREDICTION_COLUMNS
    assert served.index.equals(shuffled.index)
    pd.testing.assert_frame_equal(served.sort_index(), predictor.predict(episodes))


def test_interval_holds_the_probability(make_predictor):
    predictor, episodes = make_predictor("xgboost")
    served = predictor.predict(episodes).query("not abstained")
    assert (served["lower"] < served["probability"]).all()
    assert (served["probability"] < served["upper"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"indication": "crps"}, "the indication is not one this technique treats"),
        ({"indication": None}, "the indication is missing"),
        ({"pain_nrs": np.nan}, "pain_nrs is missing"),
        ({"pain_nrs": 0.0}, "no fall is possible"),
        ({"work_status": "student"}, "work_status has a value that the model has not seen"),
        ({"age_years": 119.0}, "age years"),
    ],
)
def test_abstains_with_a_reason_rather_than_guess(make_predictor, change, reason):
    predictor, episodes = make_predictor("logistic")
    patient = conform("episodes", episodes.head(1).assign(**change))
    row = predictor.predict_episodes(patient).iloc[0]
    assert row["abstained"]
    assert np.isnan([row["probability"], row["lower"], row["upper"]]).all()
    assert reason in row["abstained_because"]
    assert row["reasons_for"] == row["reasons_against"] == []


def test_far_patient_is_outside_the_domain(make_predictor):
    predictor, episodes = make_predictor("logistic")
    far = conform("episodes", episodes.head(2).assign(pain_duration_months=[1200.0, 20.0]))
    assert predictor.predict(far)["in_domain"].tolist() == [False, True]


def test_contraindications_make_ineligible_or_call_for_care(make_predictor):
    predictor, episodes = make_predictor("logistic")
    patients = conform(
        "episodes", episodes.head(3).assign(active_infection=[True, False, None], anticoagulant=[None, True, None])
    )
    served = predictor.predict(patients)
    assert served["eligible"].tolist() == [False, True, True]
    assert "infection" in served["ineligible_because"].iloc[0]
    assert "anticoagulant" in served["cautions"].iloc[1]
    assert served["cautions"].iloc[2] == ""


def test_a_contraindication_that_is_unknown_is_named(make_predictor):
    predictor, episodes = make_predictor("logistic")
    patients = conform("episodes", episodes.head(2).assign(active_infection=[None, False], indication=[None, "crps"]))
    served = predictor.predict(patients)
    labels = served["not_assessed"].str.split("; ")
    assert [("infection" in names, "blood clotting" in names) for names in labels] == [(True, True), (False, True)]


@pytest.mark.slow
def test_a_bundle_of_rules_on_columns_alone_answers_with_the_rules_of_today(make_predictor, tmp_path):
    predictor, episodes = make_predictor("logistic")
    older = ({"column": "active_infection", "level": "absolute", "reason": "infection"},)
    saved = add_version(replace(predictor, rules=replace(predictor.rules, contraindications=older)))
    loaded = load_predictor(save_predictor(saved, tmp_path / "bundle"))
    assert loaded.version == saved.version != predictor.version
    patients = conform("episodes", episodes.head(1).assign(inr=[4.0]))
    columns = ["eligible", "ineligible_because", "cautions", "not_assessed"]
    pd.testing.assert_frame_equal(loaded.predict(patients)[columns], predictor.predict(patients)[columns])
    assert "blood clotting" in loaded.predict(patients)["cautions"].iloc[0]


def test_reasons_are_the_strongest_contributions(make_predictor):
    predictor, episodes = make_predictor("logistic")
    served, explanation = predictor.predict(episodes), explain_model(predictor.response, episodes)
    may_be_told = find_certain(predictor.response, episodes, explanation) & explanation.values.notna().to_numpy()
    assert 0.2 < may_be_told.mean() < 0.95
    told = 0
    for position in np.flatnonzero(~served["abstained"])[:20]:
        contributions = explanation.contributions.iloc[position][may_be_told[position]]
        reasons = served["reasons_for"].iloc[position]
        assert [reason["variable"] for reason in reasons] == list(contributions[contributions > 0].nlargest(3).index)
        assert all(reason["log_odds"] < 0 for reason in served["reasons_against"].iloc[position])
        told += len(reasons)
    assert told > 10


@pytest.mark.parametrize("kind", ["logistic", "xgboost"])
def test_nothing_is_explained_to_those_without_an_answer(make_predictor, monkeypatch, kind):
    predictor, episodes = make_predictor(kind)
    patients = conform("episodes", episodes.head(6).assign(indication=[None, *episodes["indication"].iloc[1:6]]))
    patients.index = pd.Index([4, 4, 7, 7, 4, 9])
    explained = []
    explain = BoostedModel.contributions

    def count(model, rows):
        explained.append(len(rows))
        return explain(model, rows)

    monkeypatch.setattr(BoostedModel, "contributions", count)
    served, alone = predictor.predict_episodes(patients), predictor.predict_episodes(episodes.iloc[1:6])
    # A linear model is explained with its numbers, and every tree model and its refits apart.
    expected = [] if kind == "logistic" else [5] * 2 * (1 + len(predictor.response.refits))
    assert explained == expected
    for name in ("reasons_for", "reasons_against", "missing_values"):
        assert served[name].tolist() == [[], *alone[name]]
    silent = predictor.predict_episodes(patients.iloc[:1])
    assert explained == expected
    assert [silent[name].tolist() for name in ("reasons_for", "missing_values")] == [[[]], [[]]]


def test_changed_bundle_is_refused(make_predictor, tmp_path):
    folder = save_predictor(make_predictor("logistic")[0], tmp_path / "bundle")
    manifest = folder / "bundle.json"
    state = json.loads(manifest.read_text())
    state["models"][0]["intercept"] += 0.1
    manifest.write_text(json.dumps(state))
    with pytest.raises(DataError, check=lambda error: error.code == "PC-MODEL-34"):
        load_predictor(folder)
    (folder / CHECKSUMS).unlink()
    with pytest.raises(DataError, check=lambda error: error.code == "PC-MODEL-18"):
        load_predictor(folder)


def test_damaged_bundle_is_refused(make_predictor, tmp_path):
    folder = save_predictor(make_predictor("xgboost")[0], tmp_path / "bundle")
    (folder / "refit-003.ubj").unlink()
    with pytest.raises(DataError, match="is damaged"):
        load_predictor(folder)


def test_folder_without_a_bundle_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError) as error:
        load_predictor(tmp_path)
    assert error.value.code == "PC-MODEL-16"
    assert str(tmp_path) in str(error.value)


def test_values_given_but_not_readable_are_not_taken_for_missing(make_predictor):
    predictor, episodes = make_predictor("logistic")
    patients = conform("episodes", episodes.head(3))
    served = predictor.predict(patients, unreadable=pd.Series([("depression",), ("guidance",), ()]))
    assert served["abstained"].tolist() == [True, False, False]
    assert served["abstained_because"].iloc[0] == "could not be read: depression; correct it or leave it empty"


def test_nobody_is_told_to_leave_out_what_is_required(make_predictor):
    predictor, episodes = make_predictor("logistic")
    patients = conform("episodes", episodes.head(2).assign(pain_nrs=float("nan")))
    served = predictor.predict(patients, unreadable=pd.Series([("pain_nrs", "depression"), ("indication",)]))
    assert served["abstained"].all()
    assert not served["abstained_because"].str.contains("empty").any()
    assert served["abstained_because"].str.contains("could not be read: ").all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The NumPy global RNG was seeded:FutureWarning")
def test_explanation_draws_with_the_shap_package_as_it_is(make_predictor):
    matplotlib.use("Agg")
    predictor, episodes = make_predictor("xgboost")
    explained = predictor.explain(episodes.head(40))
    assert isinstance(explained, shap.Explanation)
    assert explained.values.shape == explained.data.shape == (40, len(explained.feature_names))
    for draw, drawn in [
        (shap.plots.waterfall, explained[0]),
        (shap.plots.beeswarm, explained),
        (shap.plots.bar, explained),
    ]:
        axes = draw(drawn, show=False)
        labels = [text.get_text() for text in axes.get_yticklabels()]
        assert any("disability (ODI)" in label for label in labels)
        plt.close("all")


@pytest.mark.slow
def test_explanation_adds_up_to_the_log_odds(make_predictor):
    predictor, episodes = make_predictor("xgboost")
    explained = predictor.explain(episodes.head(5))
    np.testing.assert_allclose(
        explained.base_values + explained.values.sum(axis=1),
        predictor.response.linear_predictor(episodes.head(5)),
        atol=1e-5,
    )
    assert "disability (ODI)" in explained.feature_names


@pytest.mark.filterwarnings("ignore:left out before predicting")
def test_a_value_outside_the_contract_is_no_answer(make_predictor):
    predictor, episodes = make_predictor("logistic")
    row = predictor.predict(episodes.head(1).assign(work_status="student")).iloc[0]
    assert row["abstained"]
    assert "work_status" in row["abstained_because"]
