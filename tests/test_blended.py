"""Training on evidence and real episodes: what is said, what is served, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from paincast.cli.hydra_app import read_settings, register_schema
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import Cohort, save_cohort
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.outcomes import get_outcome
from paincast.predictor import load_predictor
from paincast.settings import (
    CalibrationSettings,
    CohortSettings,
    EvaluationSettings,
    LadderSettings,
    ModelSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
    check_settings,
    find_configs,
)
from paincast.simulator import simulate_cohort, write_cohort
from paincast.training import train
from paincast.training.kinds import blended, published
from paincast.training.kinds.blended import gather_evidence, keep_recorded, open_real_cohort
from paincast.training.kinds.published import counted_in, find_nearest_rate
from paincast.training_set import make_training_set

pytestmark = pytest.mark.slow

LEVELS = ["evidence", "intercept", "intercept_and_slope", "blended", "average", "real"]


def choose(monkeypatch: pytest.MonkeyPatch, place: int) -> LadderSettings:
    """Have the level at a place chosen, whatever cross-validation says."""
    # What is compared last are the average and the real rows alone; a place before them is one of the others.
    place -= LEVELS.index("average")
    monkeypatch.setattr("paincast.models.updating.ladder.find_simplest", lambda *_: place)
    return LadderSettings(folds=3, repeats=1, synthetic_weights=[1.0, 0.1, 0.01])


def make_settings(real: Path | None, folder: Path, **changes: object) -> TrainingSettings:
    given: dict[str, object] = {
        "cohort": CohortSettings(source="blended", real=real and str(real), episodes_per_technique=500),
        "model": ModelSettings(candidates=["logistic"], splines=False, lasso_penalties=[], selection_folds=3),
        "ladder": LadderSettings(folds=3, repeats=1, synthetic_weights=[1.0, 0.1, 0.01]),
        "uncertainty": UncertaintySettings(refits=10),
        "evaluation": EvaluationSettings(folds=3, resamples=60),
        "tracking": TrackingSettings(enabled=False),
        "models_folder": str(folder / "models"),
        "jobs": 1,
        "progress": False,
    }
    return TrainingSettings(**{**given, **changes})  # type: ignore[arg-type]


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


def test_caudal_injections_get_a_ladder_whose_every_level_is_told(real_data, tmp_path):
    settings = make_settings(
        save_real("caudal_esi_2018", real_data, tmp_path),
        tmp_path,
        techniques=["epidural_steroid_injection"],
        outcome=OutcomeSettings(horizon_months=1.0),
    )
    trained = train(settings).trained["epidural_steroid_injection/pain_response"]
    table = trained.further.tables["ladder"].set_index("level")
    assert list(table.index) == LEVELS
    measured = ["log_loss", "gain", "o_e_ratio"]
    limits = [f"{name}_{end}" for name in measured for end in ("lower", "upper")]
    assert table[[*measured, *limits, "calibration_slope"]].notna().all(axis=None)
    assert table["chosen"].sum() == 1
    assert table["chosen_in_folds"].sum() == pytest.approx(1.0)
    # The evidence expects several times the 9 % that responded.
    assert table.loc["evidence", "o_e_ratio_upper"] < 0.5
    assert table.loc["intercept", "gain_lower"] > 0.1
    params = trained.further.params
    assert params["ladder.level"] == table.index[table["chosen"]][0] != "evidence"
    assert params["ladder.effective_synthetic_n"] == pytest.approx(
        params["ladder.synthetic_weight"] * params["ladder.n_synthetic"], rel=0.1
    )
    assert "beside 111 real ones" in trained.further.notes[0]
    assert "the level average (" in trained.further.notes[0]
    assert table["share"].sum() == pytest.approx(1.0)
    assert table.loc["real", "share"] == table.loc["average", "share"] == 0.0
    predictor = trained.predictor
    assert predictor.basis in ("blended", "real")
    assert predictor.n_real == predictor.n_training == 111
    loaded = load_predictor(tmp_path / "models" / "epidural_steroid_injection" / "pain_response")
    assert loaded.version == predictor.version
    assert (loaded.basis, loaded.n_real) == (predictor.basis, 111)


def test_the_evidence_is_fitted_on_what_the_real_set_records(real_data, tmp_path):
    cohort = ingest_real("caudal_esi_2018", real_data)
    asked = OutcomeSettings(horizon_months=1.0)
    data = make_training_set("epidural_steroid_injection", cohort, get_outcome("pain_response"), asked)
    evidence = gather_evidence(data, make_settings(None, tmp_path), np.random.default_rng(1))
    used = {variable.name for variable in evidence.encoder.variables_}
    assert {"age_years", "pain_nrs", "bmi", "indication"} <= used
    assert used <= {name for name in data.episodes if data.episodes[name].notna().mean() >= 0.5}
    assert "episodes simulated from the published evidence (literature scenario)" in evidence.said


def test_simulated_predictors_that_the_real_set_lacks_are_emptied():
    simulated = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=50, seed=1)[0].episodes
    real = simulated.assign(odi=np.nan)
    kept = keep_recorded(simulated, real)
    assert kept["odi"].isna().all()
    pd.testing.assert_series_equal(kept["age_years"], simulated["age_years"])
    pd.testing.assert_series_equal(kept["patient_id"], simulated["patient_id"])


def refuse_to_simulate(*_: object, **__: object) -> None:
    raise RefusalError("genicular_rfa cannot be simulated", code="PC-TEST-01")


def test_a_rate_counted_in_the_same_data_is_no_evidence_and_one_of_others_is(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(blended, "simulate_cohort", refuse_to_simulate)
    own = ingest_real("genicular_rfa_2024", real_data)
    asked, outcome = OutcomeSettings(horizon_months=3.0), get_outcome("pain_response")
    settings = make_settings(None, tmp_path)
    data = make_training_set("genicular_rfa", own, outcome, asked)
    rate = find_nearest_rate(data)
    assert rate is not None
    assert not counted_in(rate.source, own.sources)
    assert counted_in("genicular_rfa_2024", own.sources)
    found = gather_evidence(data, settings, np.random.default_rng(1))
    assert found.levels == ("evidence", "overall_risk", "real")
    assert f"the published rate of {rate.share:.0%} of {rate.n} at month {rate.month:g}" in found.said
    assert found.model is not None
    assert 1 / (1 + np.exp(-found.model.intercept)) == pytest.approx(rate.share)
    assert len(found.refits) == 10


def test_without_a_rate_of_others_there_is_nothing_to_start_from(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(blended, "simulate_cohort", refuse_to_simulate)
    monkeypatch.setattr(published, "counted_in", lambda *_: True)
    settings = make_settings(
        save_real("genicular_rfa_2024", real_data, tmp_path),
        tmp_path,
        techniques=["genicular_rfa"],
        outcome=OutcomeSettings(horizon_months=3.0),
    )
    trained = train(settings).trained["genicular_rfa/pain_response"]
    assert trained.predictor.basis == "real"
    assert "Evidence: no prior evidence" in trained.further.notes[0]
    assert "were counted in these same data" in trained.further.notes[0]
    assert "ladder.synthetic_weight" not in trained.further.params
    assert trained.further.params["ladder.n_synthetic"] == 0


def test_evidence_that_counts_the_same_patients_says_so(real_data, tmp_path):
    own = ingest_real("genicular_rfa_2024", real_data)
    asked, outcome = OutcomeSettings(horizon_months=3.0), get_outcome("pain_response")
    settings = make_settings(None, tmp_path)
    for cohort, told in ((own, True), (replace(own, sources=("a registry",)), False)):
        data = make_training_set("genicular_rfa", cohort, outcome, asked)
        found = gather_evidence(data, settings, np.random.default_rng(1))
        assert ("(genicular_rfa_2024), who count twice" in found.said) == told


def test_evidence_that_is_served_as_it_is_stays_synthetic(tmp_path, monkeypatch):
    settings = make_settings(pretend_real(tmp_path), tmp_path, ladder=choose(monkeypatch, 0))
    trained = train(settings).trained["facet_rfa/pain_response"]
    predictor = trained.predictor
    assert trained.further.params["ladder.level"] == "evidence"
    assert (predictor.basis, predictor.n_real) == ("synthetic", 0)
    assert predictor.n_training == trained.further.params["ladder.n_synthetic"] > 300
    assert "a registry" not in predictor.sources
    # The metrics are those on real patients all the same.
    assert trained.metrics["n"].iloc[0] == trained.weights.set_index("measure")["value"]["observed"] < 150
    instability = trained.instability.metrics.set_index("metric")
    assert (instability["n"] == trained.metrics["n"].iloc[0]).all()
    assert instability.loc["instability_mean", "lower"] > 0


def test_a_blend_names_both_of_its_sources(tmp_path, monkeypatch):
    settings = make_settings(pretend_real(tmp_path), tmp_path, ladder=choose(monkeypatch, 3))
    trained = train(settings).trained["facet_rfa/pain_response"]
    predictor = trained.predictor
    assert trained.instability.bins["n_patients"].min() >= 5
    assert predictor.basis == "blended"
    assert predictor.n_real == predictor.n_training < 150
    assert predictor.sources[0] == "a registry"
    assert len(predictor.sources) > 1
    assert predictor.response.candidate.parameters.keys() == {"synthetic_weight"}
    # Whom the model has learnt from are counted by no mean of a category or yes/no.
    kinds = {variable.name: variable.kind for variable in predictor.response.encoder.variables_}
    flags = [kinds[owner] == "boolean" for owner in predictor.response.encoder.owners]
    counts = predictor.response.model.means[flags] * predictor.n_real
    np.testing.assert_allclose(np.minimum(counts, predictor.n_real - counts) % 5, 0.0, atol=1e-6)


def test_an_outcome_that_is_not_binary_is_refused_in_words(tmp_path):
    settings = make_settings(pretend_real(tmp_path), tmp_path, outcome=OutcomeSettings(name="pain_change"))
    with pytest.raises(RefusalError, match="facet_rfa/pain_change: "):
        train(settings)


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
        ({"ladder": LadderSettings(method="averages")}, "ladder.method: .*did you mean 'average'"),
        ({"ladder": LadderSettings(method="closed_test")}, "ladder.method=closed_test was removed"),
        ({"ladder": LadderSettings(method="cross_validation")}, "ladder.method=cross_validation was removed"),
        ({"ladder": LadderSettings(synthetic_weights=[])}, "ladder.synthetic_weights is empty"),
        ({"ladder": LadderSettings(synthetic_weights=[0.0])}, "ladder.synthetic_weights=0 is out of range"),
    ],
)
def test_settings_that_no_ladder_can_follow_are_refused(tmp_path, changes, words):
    with pytest.raises(SettingsError, match=words):
        check_settings(make_settings(tmp_path, tmp_path, **changes))


def test_the_command_line_asks_for_a_ladder():
    register_schema()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        asked = ["cohort=blended", "cohort.real=data/mine", "technique=facet_rfa", "ladder.folds=4"]
        settings = read_settings(compose("config", overrides=asked))
    assert (settings.cohort.source, settings.cohort.real) == ("blended", "data/mine")
    assert settings.ladder == LadderSettings(folds=4)
    assert settings.techniques == ["facet_rfa"]


def test_no_real_patient_is_drawn_where_the_evidence_is_served(tmp_path, monkeypatch):
    drawn = []

    def keep(results):
        drawn.append((results.basis, results.simulated))
        return {}

    ladder = choose(monkeypatch, 0)
    monkeypatch.setattr("paincast.training.run_contents.draw_figures", keep)
    tracked = TrackingSettings(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifacts=str(tmp_path / "artifacts"))
    train(make_settings(pretend_real(tmp_path), tmp_path, tracking=tracked, ladder=ladder))
    assert drawn == [("synthetic", False)]


def test_the_ladder_is_recorded_in_the_run(tmp_path):
    import mlflow

    tracked = TrackingSettings(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifacts=str(tmp_path / "artifacts"))
    train(make_settings(pretend_real(tmp_path), tmp_path, tracking=tracked))
    mlflow.set_tracking_uri(tracked.uri)
    runs = mlflow.search_runs(search_all_experiments=True)
    model = runs[runs["params.ladder.level"].notna()].iloc[0]
    assert float(model["params.ladder.synthetic_weight"]) in (1.0, 0.1, 0.01)
    assert float(model["params.ladder.effective_synthetic_n"]) > 0
    parent = runs[runs["params.ladder.level"].isna()].iloc[0]
    assert parent["tags.basis"] == "blended"
    tables = list((tmp_path / "artifacts").rglob("tables/ladder.csv"))
    assert len(tables) == 1
    assert list(pd.read_csv(tables[0])["level"]) == LEVELS
