"""Trees by the commands a user types: alone from training to a champion, and chosen by themselves for interactions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import paincast
from paincast.serving.batch import read_predictions

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")]

QUICK = ("evaluation=quick", "uncertainty.refits=10", "progress=false", "jobs=1", "model.trials=3")
FACET = "paincast.facet_rfa.pain_response"
LENIENT = """
name: lenient
research_use: true
bases: [synthetic]
minimum_real: 0
sample_size: false
slope_probability: null
lost_share: null
tipping_odds: null
log_loss_gain: false
held_out: false
auroc: [0.01, 0.99]
calibration_slope: null
o_e_ratio: [0.1, 10]
ici: null
net_benefit: false
subgroup_o_e_ratio: null
card_items: []
"""


def call(folder: Path, *command: str, code: int = 0) -> str:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-m", "paincast", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def load_only(folder: Path) -> paincast.Predictor:
    (model,) = paincast.load_models(folder / "models").values()
    return model


def assert_reasons_add_up(model: paincast.Predictor, patients: pd.DataFrame) -> None:
    explained = model.explain(patients)
    total = np.asarray(explained.base_values) + np.asarray(explained.values).sum(axis=1)
    answers = model.predict(patients)
    answered = ~answers["abstained"].to_numpy(bool)
    assert answered.sum() > 20
    probability = answers["probability"].to_numpy(float)
    served = np.log(probability / (1.0 - probability))[answered]
    told = total if len(total) == answered.sum() else total[answered]
    np.testing.assert_allclose(told, served, atol=1e-5)


def test_trees_alone_go_from_training_to_a_served_champion(tmp_path):
    """Simulated patients teach trees, which start from no evidence: fitted, explained, judged, promoted and served."""
    from mlflow import MlflowClient

    call(
        tmp_path, "train", "technique=facet_rfa", "model=xgboost", "cohort.episodes_per_technique=700", "gate=research",
        *QUICK,
    )  # fmt: skip
    model = load_only(tmp_path)
    assert model.response.kind == "xgboost"
    assert "constrained" in model.response.parameters
    patients = paincast.simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=5)[0].episodes
    assert_reasons_add_up(model, patients)

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs(["1"], filter_string="tags.kind = 'model'")
    assert run.data.tags["gate"] == "research"
    assert run.data.tags["verdict"]
    assert {"auroc", "calibration_slope", "ici"} <= set(run.data.metrics)

    (tmp_path / "lenient.yaml").write_text(LENIENT)
    call(tmp_path, "promote", f"{FACET}@candidate", "--gate", "lenient.yaml")
    patients.to_parquet(tmp_path / "patients.parquet")
    call(
        tmp_path, "predict", "patients.parquet", "--models", f"models:/{FACET}@champion", "-o", "out.csv",
        "--no-progress",
    )  # fmt: skip
    served = read_predictions(tmp_path / "out.csv")
    np.testing.assert_allclose(served["probability"], model.predict(patients)["probability"], atol=1e-12)


def test_the_shipped_experiment_with_interactions_selects_trees_by_itself(tmp_path):
    call(tmp_path, "train", "experiment=interactions", *QUICK)
    model = load_only(tmp_path)
    assert model.response.kind == "boosted_logistic"
    patients = paincast.simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=5)[0].episodes
    assert_reasons_add_up(model, patients)


def test_the_same_experiment_without_a_prior_selects_trees_too(tmp_path):
    call(tmp_path, "train", "experiment=interactions", "model.prior=false", *QUICK)
    model = load_only(tmp_path)
    assert model.response.kind == "boosted_logistic"
    patients = paincast.simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=5)[0].episodes
    assert_reasons_add_up(model, patients)


def test_without_interactions_no_trees_are_served(tmp_path):
    call(tmp_path, "train", "experiment=interactions", "cohort.interactions=0", "cohort.rehearse=true", *QUICK)
    assert load_only(tmp_path).response.kind == "logistic"
