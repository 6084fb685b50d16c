"""One training run: what it says of few patients, what it refuses, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paincast.cohort.ingest import ingest
from paincast.cohort.mapping import load_mapping
from paincast.cohort.tables import load_cohort, save_cohort
from paincast.errors import RefusalError, SettingsError
from paincast.rules import collect_rules
from paincast.settings import (
    CohortSettings,
    EvaluationSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.training import train


def make_settings(folder: Path, **changes: object) -> TrainingSettings:
    given: dict[str, object] = {
        "cohort": CohortSettings(episodes_per_technique=250),
        "techniques": ["facet_rfa"],
        "uncertainty": UncertaintySettings(refits=10),
        "evaluation": EvaluationSettings(folds=3, resamples=60),
        "tracking": TrackingSettings(enabled=False),
        "models_folder": str(folder / "models"),
        "jobs": 1,
        "progress": False,
    }
    return TrainingSettings(**{**given, **changes})  # type: ignore[arg-type]


def train_real(name: str, technique: str, month: float, real_data: Path, folder: Path):
    mapping = load_mapping(name)
    cohort, _ = ingest(mapping, sorted(path for path in (real_data / name).iterdir() if path.suffix != ".json"))
    save_cohort(cohort, folder / name)
    return train(
        make_settings(
            folder,
            cohort=CohortSettings(source="folder", path=str(folder / name)),
            techniques=[technique],
            outcome=OutcomeSettings(horizon_months=month),
            evaluation=EvaluationSettings(resamples=200),
        )
    )


def test_47_real_knees_get_the_simple_model_and_are_told_how_little_it_knows(real_data, tmp_path):
    result = train_real("genicular_rfa_2024", "genicular_rfa", 3.0, real_data, tmp_path)
    trained = result.trained["genicular_rfa"]
    row = result.summary.iloc[0]
    assert (row["basis"], row["n"], row["with outcome"], row["model"]) == ("real", "47", "49%", "logistic")
    assert "too few" in row["note"]
    assert trained.predictor.n_real == trained.predictor.n_training == 47
    metrics = trained.metrics.set_index("metric")
    assert metrics.loc["auroc", "upper"] - metrics.loc["auroc", "lower"] > 0.2
    knees = trained.predictor.predict(load_cohort(tmp_path / "genicular_rfa_2024").episodes)
    assert (knees["upper"] - knees["lower"]).median() > 0.15


def test_trigeminal_patients_are_refused_with_the_numbers(real_data, tmp_path):
    with pytest.raises(RefusalError, match=r"trigeminal_rhizotomy: \d+ with and \d+ without the outcome among \d+"):
        train_real("trigeminal_percutaneous_2024", "trigeminal_rhizotomy", 18.0, real_data, tmp_path)


def test_a_leak_fails_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("paincast.training.cross_fit_margins", lambda _, observed, *__: 4.0 * observed - 2.0)
    with pytest.raises(RefusalError, match=r"leak: the AUROC 1\.000 exceeds"):
        train(make_settings(tmp_path))
    assert not (tmp_path / "models").exists()


def test_skill_on_simulated_patients_stays_below_the_bound(tmp_path):
    metrics = train(make_settings(tmp_path)).trained["facet_rfa"].metrics.set_index("metric")["estimate"]
    assert 0.5 < metrics["bayes_optimal_auroc"] < 0.8
    assert metrics["regret"] > 0
    assert {"auroc", "log_loss", "brier", "o_e_ratio", "calibration_intercept", "calibration_slope"} <= set(
        metrics.index
    )


def test_a_technique_gets_the_same_model_whichever_others_are_trained(tmp_path):
    alone = train(make_settings(tmp_path / "one"))
    beside = train(make_settings(tmp_path / "two", techniques=["facet_rfa", "si_joint_rfa"]))
    first, second = (result.trained["facet_rfa"] for result in (alone, beside))
    pd.testing.assert_frame_equal(first.explanation.contributions, second.explanation.contributions)
    pd.testing.assert_frame_equal(first.metrics, second.metrics)


def test_a_technique_that_cannot_be_trained_does_not_stop_the_others(tmp_path, monkeypatch):
    def refuse(technique: str, outcome: str):
        if technique == "si_joint_rfa":
            raise RefusalError("no evidence today")
        return collect_rules(technique, outcome)

    monkeypatch.setattr("paincast.training.collect_rules", refuse)
    result = train(make_settings(tmp_path, techniques=["facet_rfa", "si_joint_rfa"]))
    assert result.refused == {"si_joint_rfa": "no evidence today"}
    assert result.summary["note"].tolist()[1] == "no model: no evidence today"
    assert (tmp_path / "models" / "facet_rfa" / "pain_response" / "bundle.json").is_file()


def test_a_technique_that_the_cohort_does_not_hold_is_named(real_data, tmp_path):
    with pytest.raises(SettingsError, match="holds no episode of facet_rfa; it holds genicular_rfa"):
        train_real("genicular_rfa_2024", "facet_rfa", 3.0, real_data, tmp_path)
