"""Training on evidence and patients: what is told, what is served, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from quick_training import make_quick_settings

from paincast.cli.hydra_app import read_settings, register_schema
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import Cohort, save_cohort
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.evidence import load_sources
from paincast.outcomes import get_outcome
from paincast.predictor import load_predictor
from paincast.settings import (
    CalibrationSettings,
    CohortSettings,
    ModelSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    check_settings,
    find_configs,
)
from paincast.settings import make_settings as keywords_to_settings
from paincast.simulator import simulate_cohort, write_cohort
from paincast.training import train
from paincast.training.kinds import prior as gathering
from paincast.training.kinds import published
from paincast.training.kinds.prior import gather_prior, keep_recorded
from paincast.training.kinds.published import counted_in, find_nearest_rate
from paincast.training.kinds.with_prior import open_real_cohort
from paincast.training_set import make_training_set

pytestmark = pytest.mark.slow

BELIEFS = ["evidence", "unknown effects", "no effect", "overall risk"]


def make_settings(real: Path | None, folder: Path, **changes: object) -> TrainingSettings:
    given: dict[str, object] = {
        "cohort": CohortSettings(source="blended", real=real and str(real), episodes_per_technique=500),
        "model": ModelSettings(candidates=["logistic"], splines=False, lasso_penalties=[], selection_folds=3),
        "techniques": [],
    }
    return make_quick_settings(folder, **{**given, **changes})


def ingest_real(name: str, real_data: Path) -> Cohort:
    files = sorted(path for path in (real_data / name).iterdir() if path.suffix != ".json")
    return ingest(load_mapping(name), files)[0]


def save_real(name: str, real_data: Path, folder: Path) -> Path:
    save_cohort(ingest_real(name, real_data), folder / name)
    return folder / name


def pretend_real(folder: Path, n: int = 150, technique: str = "facet_rfa") -> Path:
    """Save simulated episodes as if a registry had sent them."""
    cohort, _ = simulate_cohort(techniques=[technique], episodes_per_technique=n, scenario="pragmatic", seed=99)
    save_cohort(replace(cohort, basis="real", sources=("a registry",)), folder / "registry")
    return folder / "registry"


def test_caudal_injections_update_the_evidence(real_data, tmp_path):
    settings = make_settings(
        save_real("caudal_esi_2018", real_data, tmp_path),
        tmp_path,
        techniques=["epidural_steroid_injection"],
        outcome=OutcomeSettings(horizon_months=1.0),
    )
    trained = train(settings).trained["epidural_steroid_injection/pain_response"]
    table = trained.further.tables["beliefs"]
    assert list(table["belief"]) == BELIEFS
    assert table["weight"].sum() == pytest.approx(1.0)
    # The evidence expects four times the 9 % that responded, and its predictors point nowhere here.
    weights = table.set_index("belief")["weight"]
    assert weights["evidence"] < 0.5
    assert trained.further.params["prior.evidence"] == pytest.approx(weights["evidence"], abs=1e-4)
    metrics = trained.metrics.set_index("metric")["estimate"]
    assert 0.6 < metrics["o_e_ratio"] < 1.25
    predictor = trained.predictor
    assert predictor.basis == "blended"
    assert predictor.n_real == predictor.n_training == 111
    loaded = load_predictor(tmp_path / "models" / "epidural_steroid_injection" / "pain_response")
    assert loaded.version == predictor.version
    assert (loaded.basis, loaded.n_real) == ("blended", 111)


def test_the_evidence_is_fitted_on_what_the_real_set_records(real_data, tmp_path):
    cohort = ingest_real("caudal_esi_2018", real_data)
    asked = OutcomeSettings(horizon_months=1.0)
    data = make_training_set("epidural_steroid_injection", cohort, get_outcome("pain_response"), asked)
    gathered = gather_prior(data, make_settings(None, tmp_path), np.random.default_rng(1))
    used = {variable.name for variable in gathered.prior.encoder.variables_}
    assert {"age_years", "pain_nrs", "bmi", "indication"} <= used
    assert used <= {name for name in data.episodes if data.episodes[name].notna().mean() >= 0.5}
    assert gathered.simulated
    assert gathered.prior.has_effects


def test_simulated_predictors_that_the_real_set_lacks_are_emptied():
    simulated = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=50, seed=1)[0]
    real = replace(simulated, episodes=simulated.episodes.assign(odi=np.nan), basis="real")
    data = make_training_set("facet_rfa", real, get_outcome("pain_response"), OutcomeSettings())
    kept = keep_recorded(simulated.episodes, data)
    assert kept["odi"].isna().all()
    pd.testing.assert_series_equal(kept["age_years"], simulated.episodes["age_years"])
    pd.testing.assert_series_equal(kept["patient_id"], simulated.episodes["patient_id"])


def refuse_to_draw(*_: object, **__: object) -> None:
    raise RefusalError("genicular_rfa cannot be drawn", code="PC-TEST-01")


def test_a_rate_counted_in_the_same_data_is_no_prior_and_one_of_others_is(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "draw_evidence", refuse_to_draw)
    own = ingest_real("genicular_rfa_2024", real_data)
    asked, outcome = OutcomeSettings(horizon_months=3.0), get_outcome("pain_response")
    data = make_training_set("genicular_rfa", own, outcome, asked)
    rate = find_nearest_rate(data)
    assert rate is not None
    assert not counted_in(rate.source, own.sources)
    assert counted_in("genicular_rfa_2024", own.sources)
    gathered = gather_prior(data, make_settings(None, tmp_path), np.random.default_rng(1))
    assert not gathered.prior.has_effects
    assert 1 / (1 + np.exp(-gathered.prior.mean[0])) == pytest.approx(rate.share)
    assert f"{rate.share:.0%} of {rate.n} at month {rate.month:g}" in gathered.description
    assert not gathered.simulated


def test_without_a_rate_of_others_nothing_is_known_before(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "draw_evidence", refuse_to_draw)
    monkeypatch.setattr(published, "counted_in", lambda *_: True)
    settings = make_settings(
        save_real("genicular_rfa_2024", real_data, tmp_path),
        tmp_path,
        techniques=["genicular_rfa"],
        outcome=OutcomeSettings(horizon_months=3.0),
    )
    trained = train(settings).trained["genicular_rfa/pain_response"]
    assert trained.predictor.basis == "real"
    assert list(trained.further.tables["beliefs"]["belief"]) == BELIEFS[1:]
    assert "were counted in these same data" in trained.further.notes[0]


def test_evidence_that_counts_the_same_patients_says_so(real_data, tmp_path):
    asked = OutcomeSettings(horizon_months=3.0)
    path = save_real("genicular_rfa_2024", real_data, tmp_path)
    settings = make_settings(path, tmp_path, techniques=["genicular_rfa"], outcome=asked)
    trained = train(settings).trained["genicular_rfa/pain_response"]
    assert "who count twice" in trained.further.notes[0]
    assert load_sources()["genicular_rfa_2024"].citation in trained.further.notes[0]


def test_simulated_patients_change_nothing_of_a_model_of_the_evidence(tmp_path):
    simulated = {"source": "simulated", "scenario": "literature"}
    few, many = (
        train(
            make_settings(
                None,
                tmp_path / str(n),
                techniques=["facet_rfa"],
                cohort=CohortSettings(episodes_per_technique=n, **simulated),
            )
        ).trained["facet_rfa/pain_response"]
        for n in (200, 2000)
    )
    patients = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=8)[0].episodes
    answers = [model.predictor.response.answer(patients, 0.9) for model in (few, many)]
    pd.testing.assert_frame_equal(*answers)
    assert few.predictor.basis == "synthetic"
    assert few.predictor.n_real == 0
    assert few.predictor.response.uncertainty_components.evidence_share == 1.0


@pytest.mark.parametrize("starts_from_evidence", [True, False])
def test_a_rehearsal_lets_simulated_patients_stand_for_real_ones(tmp_path, starts_from_evidence):
    settings = make_settings(
        None,
        tmp_path,
        techniques=["facet_rfa"],
        cohort=CohortSettings(source="simulated", episodes_per_technique=200, rehearse=True),
    )
    settings.model.prior = starts_from_evidence
    trained = train(settings).trained["facet_rfa/pain_response"]
    response = trained.predictor.response
    assert (trained.predictor.basis, trained.predictor.n_real) == ("synthetic", 0)
    assert ("beliefs" in trained.further.tables) == starts_from_evidence
    assert ("log_loss" in response.selection[0]) != starts_from_evidence
    # What was seen of patients is part of the uncertainty, and all of it where nothing was known before.
    assert (response.uncertainty_components.evidence_share > 0) == starts_from_evidence
    assert response.uncertainty_components.evidence_share < 1.0


def test_evidence_and_patients_name_both_of_their_sources(tmp_path):
    trained = train(make_settings(pretend_real(tmp_path), tmp_path)).trained["facet_rfa/pain_response"]
    predictor = trained.predictor
    assert trained.instability.bins["n_patients"].min() >= 5
    assert predictor.basis == "blended"
    assert predictor.n_real == predictor.n_training < 150
    assert predictor.sources[0] == "a registry"
    assert len(predictor.sources) > 1
    assert 0.0 < predictor.response.uncertainty_components.evidence_share < 1.0
    # Whom the model has learnt from are counted by no mean of a category or yes/no.
    kinds = {variable.name: variable.kind for variable in predictor.response.encoder.variables_}
    flags = [kinds[owner] == "boolean" for owner in predictor.response.encoder.owners]
    counts = predictor.response.model.means[flags] * predictor.n_real
    np.testing.assert_allclose(np.minimum(counts, predictor.n_real - counts) % 5, 0.0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["pain_change", "relief_duration"])
def test_durations_and_changes_are_blended_too(outcome, tmp_path):
    settings = make_settings(pretend_real(tmp_path), tmp_path, outcome=OutcomeSettings(name=outcome))
    trained = train(settings).trained[f"facet_rfa/{outcome}"]
    predictor = load_predictor(tmp_path / "models" / "facet_rfa" / outcome)
    assert (predictor.basis, predictor.n_real) == ("blended", predictor.n_training)
    assert predictor.sources[0] == "a registry"
    assert len(predictor.sources) > 1
    assert trained.further.tables["beliefs"]["weight"].sum() == pytest.approx(1.0)
    assert (trained.metrics["n"] <= 150).all()


def test_a_folder_of_simulated_episodes_is_refused(tmp_path):
    write_cohort(tmp_path / "simulated", techniques=["facet_rfa"], episodes_per_technique=60, seed=5)
    with pytest.raises(DataError, match="holds 60 synthetic episodes; cohort=blended needs real ones"):
        train(make_settings(tmp_path / "simulated", tmp_path))


def test_a_folder_that_is_no_cohort_is_named(tmp_path):
    with pytest.raises(DataError, check=lambda error: error.code == "PC-COHORT-02"):
        train(make_settings(tmp_path / "absent", tmp_path))


def test_comparators_alone_are_refused_with_their_numbers(real_data, tmp_path):
    path = save_real("back_pain_placebo_2022", real_data, tmp_path)
    with pytest.raises(RefusalError, match=r"no episode of a technique .*\d+ of placebo_injection"):
        open_real_cohort(str(path))


def test_a_technique_that_the_real_set_does_not_hold_is_named(tmp_path):
    with pytest.raises(SettingsError, match="holds no episode of genicular_rfa"):
        train(make_settings(pretend_real(tmp_path), tmp_path, techniques=["genicular_rfa"]))


def test_too_few_real_events_are_refused_with_the_numbers(tmp_path):
    path = pretend_real(tmp_path, n=12)
    with pytest.raises(
        RefusalError, match=r"facet_rfa/pain_response: [\w ]*\d+ with and [\w ]*\d+ without the outcome among"
    ):
        train(make_settings(path, tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cohort": CohortSettings(source="blended")}, "cohort.real is empty.*paincast ingest.*cohort.real=DIR"),
        ({"model": ModelSettings(candidates=["xgboost"])}, "model.candidates holds xgboost; use model=logistic"),
        ({"calibration": CalibrationSettings(method="auto")}, "calibration=affine or calibration=none, not auto"),
    ],
)
def test_settings_that_no_prior_can_follow_are_refused(tmp_path, changes, words):
    with pytest.raises(SettingsError, match=words):
        check_settings(make_settings(tmp_path, tmp_path, **changes))


def test_a_setting_of_the_former_ladder_was_removed():
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-SETTINGS-31"):
        keywords_to_settings(**{"ladder.folds": 4})


def test_the_command_line_asks_for_evidence_and_patients():
    register_schema()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        asked = ["cohort=blended", "cohort.real=data/mine", "technique=facet_rfa"]
        settings = read_settings(compose("config", overrides=asked))
    assert (settings.cohort.source, settings.cohort.real) == ("blended", "data/mine")
    assert settings.techniques == ["facet_rfa"]


def test_the_beliefs_are_recorded_in_the_run(tmp_path):
    import mlflow

    tracked = TrackingSettings(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifacts=str(tmp_path / "artifacts"))
    train(make_settings(pretend_real(tmp_path), tmp_path, tracking=tracked))
    mlflow.set_tracking_uri(tracked.uri)
    runs = mlflow.search_runs(search_all_experiments=True)
    model = runs[runs["params.prior.evidence"].notna()].iloc[0]
    assert 0.0 < float(model["params.prior.evidence"]) < 1.0
    parent = runs[runs["params.prior.evidence"].isna()].iloc[0]
    assert parent["tags.basis"] == "blended"
    tables = list((tmp_path / "artifacts").rglob("tables/beliefs.csv"))
    assert len(tables) == 1
    assert list(pd.read_csv(tables[0])["belief"]) == BELIEFS
