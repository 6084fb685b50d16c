"""A model that real patients contradict is recalibrated on them, apart from the old one, and not judged by them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.cohort.tables import save_cohort
from paincast.errors import OutputError, RefusalError
from paincast.explain import explain_model
from paincast.predictor import load_predictor, save_predictor
from paincast.serving.predict import load_models
from paincast.serving.validation.updating import require_new_folder, update_model, update_models
from paincast.settings import EvaluationSettings

EPIDURAL = "epidural_steroid_injection/pain_response"
QUICK = EvaluationSettings(resamples=60)


@pytest.fixture(scope="module")
def model(models_folder):
    return load_predictor(models_folder / EPIDURAL)


@pytest.fixture(scope="module")
def updated(model, make_cohort):
    return update_model(model, make_cohort(0.2, n=240), QUICK, np.random.default_rng(1))


@pytest.mark.slow
def test_an_updated_model_expects_what_was_observed(model, updated, make_cohort):
    cohort = make_cohort(0.2, n=240)
    before, after = (one.predict_episodes(cohort.episodes)["probability"] for one in (model, updated.predictor))
    assert before.mean() > 0.35
    assert after.mean() == pytest.approx(0.2, abs=0.01)
    rows = updated.comparison.set_index("metric")
    assert rows.loc["log_loss", "upper"] < 0
    assert rows.loc["log_loss", "difference"] == pytest.approx(
        rows.loc["log_loss", "after"] - rows.loc["log_loss", "before"], abs=1e-3
    )
    assert "o_e_ratio" not in rows.index, "it is 1 after any recalibration"


@pytest.mark.slow
def test_the_updated_model_says_what_it_stands_on(model, updated, tmp_path):
    new = updated.predictor
    assert (new.basis, new.n_real, new.n_training) == ("blended", 240, model.n_training + 240)
    assert new.n_events == model.n_events + 48
    assert new.sources == (*model.sources, "made up")
    assert new.validations == ()
    assert new.version != model.version
    loaded = load_predictor(save_predictor(new, tmp_path / "bundle", updated.fingerprints))
    assert loaded.version == new.version
    assert (tmp_path / "bundle" / "fingerprints.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_explanations_and_intervals_follow_the_update(model, updated, make_cohort):
    episodes = make_cohort(0.2, n=240).episodes
    response, chosen = updated.predictor.response, updated.choice.iloc[0]
    explanation = explain_model(response, episodes)
    total = explanation.contributions.sum(axis=1) + explanation.base
    assert total.to_numpy() == pytest.approx(response.linear_predictor(episodes), abs=1e-5)
    expected = chosen["intercept"] + chosen["slope"] * model.response.linear_predictor(episodes)
    assert response.linear_predictor(episodes) == pytest.approx(expected, abs=2e-3)
    refits = response.refit_linear_predictors(episodes)
    assert len(refits) == len(model.response.refits)
    assert refits.mean() == pytest.approx(response.linear_predictor(episodes).mean(), abs=0.2)
    assert refits.mean(axis=1).std() > 0.02, "the interval holds what is not known of the update"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "cohort", "code"),
    [
        ({"n_real": 200}, {}, "PC-SERVING-27"),
        ({"outcome": "relief_duration"}, {}, "PC-SERVING-25"),
        ({}, {"basis": "synthetic"}, "PC-SERVING-26"),
        ({}, {"share": 0.02}, "PC-SERVING-28"),
        ({}, {"share": 0.05}, "PC-MODEL-31"),
    ],
)
def test_what_cannot_be_updated_is_refused(model, make_cohort, changes, cohort, code):
    patients = make_cohort(**{"share": 0.2, **cohort})
    with pytest.raises(RefusalError) as refused:
        update_model(replace(model, **changes), patients, QUICK, np.random.default_rng(1))
    assert refused.value.code == code


@pytest.mark.slow
def test_patients_who_agree_call_for_no_update(model, make_cohort):
    cohort = make_cohort(0.2, n=240)
    probability = model.predict_episodes(cohort.episodes)["probability"].to_numpy(float)
    happened = np.random.default_rng(2).random(240) < probability
    visits = cohort.visits.assign(pain_nrs=np.where(happened, 2.0, 7.0))
    updates, refused = update_models({EPIDURAL: model}, replace(cohort, visits=visits), QUICK, np.random.default_rng(1))
    assert updates == {}
    assert "no recalibration" in refused[EPIDURAL]


def test_a_folder_that_holds_anything_is_not_overwritten(tmp_path):
    require_new_folder(tmp_path / "new")
    require_new_folder(tmp_path)
    (tmp_path / "a").touch()
    for place in (tmp_path, tmp_path / "a"):
        with pytest.raises(OutputError) as refused:
            require_new_folder(place)
        assert refused.value.code == "PC-SERVING-24"


@pytest.mark.slow
def test_the_command_keeps_the_old_and_refuses_to_judge_the_new_by_the_same(
    model, make_cohort, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    bundle = save_predictor(model, f"models/{EPIDURAL}")
    before = (bundle / "bundle.json").read_bytes()
    save_cohort(make_cohort(0.2, n=240), "ours")
    asked = ["evaluate", "models", "ours", "-o", "report", "--resamples", "50", "--update", "updated"]
    assert run(asked) == 0
    told = capsys.readouterr().out
    assert (bundle / "bundle.json").read_bytes() == before
    new = load_models("updated")[EPIDURAL]
    assert f"version {new.version}" in told
    assert new.validations == ()
    compared = pd.read_csv("report/tables/update.csv")
    assert set(compared["metric"]) >= {"log_loss", "brier", "auroc", "calibration_slope", "ici"}
    assert len(pd.read_csv("report/tables/update_choice.csv"))
    assert "recalibration" in Path("report/report.html").read_text(encoding="utf-8")
    assert run(asked) == 2
    assert "PC-SERVING-24" in capsys.readouterr().err
    assert run(["evaluate", "updated", "ours", "-o", "again", "--resamples", "50"]) == 2
    assert "PC-SERVING-14" in capsys.readouterr().err
