"""Two small models on made-up patients, and patients to predict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.cohort.tables import Cohort, conform
from paincast.evidence.rules import collect_rules
from paincast.models.binary.response import fit_response_model
from paincast.predictor import Predictor, add_version, save_predictor
from paincast.settings import ModelSettings, TrainingSettings, UncertaintySettings

INDICATIONS = {"facet_rfa": "lumbar_facet", "epidural_steroid_injection": "lumbar_radicular_disc"}


def make_predictor(technique: str, seed: int = 0, n: int = 240) -> Predictor:
    rng = np.random.default_rng(seed)
    odi = rng.normal(45, 12, n).clip(0, 100)
    episodes = conform(
        "episodes",
        pd.DataFrame(
            {
                "episode_id": [f"e{i}" for i in range(n)],
                "patient_id": [f"p{i}" for i in range(n)],
                "technique": technique,
                "indication": INDICATIONS[technique],
                "approach": rng.choice(["caudal", "transforaminal"], n) if "epidural" in technique else None,
                "pain_nrs": rng.integers(4, 11, n),
                "age_years": rng.normal(55, 12, n).clip(18, 95),
                "odi": odi,
                "depression": rng.random(n) < 0.3,
            }
        ),
    )
    outcome = (rng.random(n) < expit(0.2 - 0.05 * (odi - 45))).astype(float)
    settings = TrainingSettings(
        model=ModelSettings(candidates=["logistic"]), uncertainty=UncertaintySettings(refits=10), jobs=1
    )
    return add_version(
        Predictor(
            technique=technique,
            outcome="pain_response",
            horizon_months=6.0,
            window_months=(3.0, 9.0),
            measures=("pain_nrs",),
            basis="synthetic",
            n_training=n,
            n_events=int(outcome.sum()),
            n_real=0,
            level=0.9,
            response=fit_response_model(episodes, outcome, settings, rng),
            rules=collect_rules(technique, "pain_response"),
        )
    )


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Predictor]:
    return make_predictor


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "models"
    for technique in INDICATIONS:
        save_predictor(make_predictor(technique), folder / technique / "pain_response")
    return folder


@pytest.fixture
def patients() -> pd.DataFrame:
    """Five patients: two with a fitting model, a technique without a model, a comparator, no technique named."""
    return pd.DataFrame(
        {
            "episode_id": ["a", "b", "c", "d", "e"],
            "patient_id": ["pa", "pb", "pc", "pd", "pe"],
            "technique": ["facet_rfa", "epidural_steroid_injection", "trigeminal_rhizotomy", "surgery", None],
            "indication": [
                "lumbar_facet",
                "lumbar_radicular_disc",
                "trigeminal_neuralgia",
                "lumbar_radicular_disc",
                "lumbar_facet",
            ],
            "approach": [None, "caudal", "percutaneous", None, None],
            "age_years": [50, 45, 60, 55, 52],
            "pain_nrs": [7, 6, 9, 8, 6],
            "odi": [40, 50, 45, 48, 44],
            "depression": [True, False, False, False, True],
        }
    )


def _make_cohort(share: float, n: int = 120, basis: str = "real") -> Cohort:
    """Make patients of epidural steroid injections, of whom a share respond at month 6."""
    rng = np.random.default_rng(4)
    episodes = pd.DataFrame(
        {
            "episode_id": [f"x{place}" for place in range(n)],
            "patient_id": [f"q{place}" for place in range(n)],
            "technique": "epidural_steroid_injection",
            "indication": "lumbar_radicular_disc",
            "approach": rng.choice(["caudal", "transforaminal"], n),
            "pain_nrs": 8.0,
            "age_years": rng.normal(55, 10, n).clip(20, 90),
            "odi": rng.normal(45, 10, n).clip(0, 100),
            "depression": rng.random(n) < 0.3,
        }
    )
    scores = np.where(np.arange(n) < share * n, 2.0, 7.0)
    visits = pd.DataFrame({"episode_id": episodes["episode_id"], "month": 6.0, "pain_nrs": scores})
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", visits),
        events=conform("events", pd.DataFrame({"episode_id": pd.Series([], dtype="str")})),
        sources=("made up",),
        basis=basis,
    )


@pytest.fixture(scope="session")
def make_cohort() -> Callable[..., Cohort]:
    return _make_cohort
