from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.cohort.tables import Cohort, conform
from paincast.evaluation.performance.calibration_by_groups import compute_calibration_by_groups, compute_risk_histogram
from paincast.evaluation.performance.metrics import compute_metrics
from paincast.evaluation.validation.stability import compute_instability, compute_instability_by_bin
from paincast.evidence.rules import TechniqueRules
from paincast.explain import explain_model
from paincast.models.binary.response import fit_response_model
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.predictor import Predictor, add_version
from paincast.reporting.figures.report import Results, draw_figures
from paincast.settings import ModelSettings, TrackingSettings, TrainingSettings, UncertaintySettings
from paincast.tracking import (
    LoggedModel,
    ModelRun,
    Store,
    log_model_run,
    resolve_store,
    start_training,
    summarize_dataset,
)
from paincast.training.instability import Instability

N_EPISODES = 80
HORIZON = 6.0
PREPARE = """
import sys
from pathlib import Path
from paincast.settings import TrackingSettings
from paincast.tracking import prepare_store, resolve_store
print(prepare_store(resolve_store(TrackingSettings(), Path(sys.argv[1]))))
"""


def make_cohort() -> Cohort:
    """Make patients whose ids and values can be recognized wherever they turn up."""
    rng = np.random.default_rng(5)
    number = np.arange(N_EPISODES)
    episodes = pd.DataFrame(
        {
            "episode_id": [f"SENTINEL-EPISODE-{i}" for i in number],
            "patient_id": [f"SENTINEL-PATIENT-{i}" for i in number],
            "site_id": [f"SENTINEL-SITE-{i % 3}" for i in number],
            "technique": "genicular_rfa",
            "indication": "knee_osteoarthritis",
            "pain_nrs": rng.integers(4, 11, N_EPISODES).astype(float),
            "age_years": rng.uniform(45, 85, N_EPISODES),
            "bmi": rng.uniform(20, 40, N_EPISODES),
            "depression": rng.random(N_EPISODES) < 0.3,
        }
    )
    responds = rng.random(N_EPISODES) < 0.2 + 0.08 * (episodes["pain_nrs"] - 4) - 0.15 * episodes["depression"]
    after = episodes["pain_nrs"] * np.where(responds, 0.2, 0.9)
    visits = pd.DataFrame({"episode_id": episodes["episode_id"], "month": HORIZON, "pain_nrs": after})
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", visits),
        events=conform("events", pd.DataFrame({"episode_id": pd.Series(dtype="str")})),
        basis="real",
        sources=("Registry of the tests, 2024",),
    )


def fit_predictor(cohort: Cohort) -> tuple[Predictor, np.ndarray]:
    outcome = OUTCOMES["pain_response"]
    observed = compute_outcome(cohort.episodes, cohort.visits, cohort.events, outcome, HORIZON).value.to_numpy(float)
    settings = TrainingSettings(
        model=ModelSettings(candidates=["logistic"], ridge_prior_sds=[0.12], lasso_penalties=[], selection_folds=2),
        uncertainty=UncertaintySettings(refits=10),
    )
    response = fit_response_model(cohort.episodes, observed, settings, np.random.default_rng(1))
    predictor = Predictor(
        technique="genicular_rfa",
        outcome="pain_response",
        horizon_months=HORIZON,
        window_months=(0.5 * HORIZON, 1.5 * HORIZON),
        measures=("pain_nrs",),
        basis=cohort.basis,
        n_training=len(observed),
        n_events=int(observed.sum()),
        n_real=cohort.n_real,
        level=0.9,
        response=response,
        rules=TechniqueRules(indications=("knee_osteoarthritis",)),
        sources=cohort.sources,
    )
    return add_version(predictor), observed


def gather_model_run(cohort: Cohort) -> ModelRun:
    predictor, observed = fit_predictor(cohort)
    probability = predictor.predict(cohort.episodes)["probability"].to_numpy(float)
    rng = np.random.default_rng(2)
    metrics = compute_metrics(observed, probability, patients=None, rng=rng, resamples=50)
    metrics.loc[metrics["metric"] == "calibration_slope", ["estimate", "lower", "upper"]] = np.nan
    metrics.loc[metrics["metric"] == "calibration_slope", "method"] = "not estimable: a test"
    curve, histogram = compute_calibration_by_groups(observed, probability), compute_risk_histogram(probability)
    refits = expit(predictor.response.refit_linear_predictors(cohort.episodes))
    measured = Instability(
        metrics=compute_instability(probability, refits, rng=rng, resamples=50),
        bins=compute_instability_by_bin(probability, refits),
    )
    explanation = explain_model(predictor.response, cohort.episodes)
    tables = {"metrics": metrics, "calibration_curve": curve, "histogram": histogram}
    refits = {"instability": measured.metrics, "instability_bins": measured.bins}
    pictures = draw_figures(
        Results(
            explanation=explanation, basis=cohort.basis, simulated=cohort.basis == "synthetic", tables=tables | refits
        )
    )
    return ModelRun(
        technique=predictor.technique,
        outcome=predictor.outcome,
        horizon_months=predictor.horizon_months,
        model_kind="logistic",
        basis=predictor.basis,
        n_real=predictor.n_real,
        predictor=predictor,
        metrics=metrics,
        instability=measured.metrics,
        dataset=summarize_dataset(cohort, "registry_of_the_tests"),
        params={"penalty": 0.1, "folds": 5},
        figures={name: picture.figure for name, picture in pictures.items()},
        captions={name: picture.caption for name, picture in pictures.items()},
        tables={"calibration_curve": curve, "instability_bins": measured.bins},
        notes=("80 episodes are too few.",),
    )


@dataclass(frozen=True)
class Recorded:
    """One training that was recorded, shared by the tests that read it back."""

    store: Store
    prepared_by: list[str]
    cohort: Cohort
    model: ModelRun
    parent_id: str
    logged: LoggedModel


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("a store")
    prepared_by = prepare_together(folder)
    cohort = make_cohort()
    model = gather_model_run(cohort)
    store = resolve_store(TrackingSettings(uri="sqlite:///mlflow.db"), folder)
    config = "seed: 7\ncohort:\n  source: folder\n"
    with start_training(
        store, "training of the tests", params={"seed": 7}, tags={"basis": "real"}, config_yaml=config
    ) as training:
        logged = log_model_run(training, model)
    return Recorded(store, prepared_by, cohort, model, training.run_id, logged)


def prepare_together(folder: Path) -> list[str]:
    """Prepare a fresh store from two processes at once, and give what each of them printed."""
    command = [sys.executable, "-c", PREPARE, str(folder)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment())
        for _ in range(2)
    ]
    return [process.communicate(timeout=120)[0] for process in both]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
