"""A cohort that no model can be made or judged on is refused in a sentence that says what it holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform, save_cohort
from paincast.errors import RefusalError, SettingsError
from paincast.models_folder import TRAINING_RECORD
from paincast.serving.validation.external import evaluate_models
from paincast.settings import CohortSettings, TrackingSettings, TrainingSettings
from paincast.training import train


def make_cohort(*techniques: str) -> Cohort:
    n = len(techniques)
    ids = {"episode_id": [f"e{i}" for i in range(n)], "patient_id": [f"p{i}" for i in range(n)]}
    episodes = pd.DataFrame({**ids, "technique": list(techniques), "indication": ["chronic_low_back_pain"] * n})
    empty = pd.DataFrame({"episode_id": pd.Series(dtype="str")})
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", empty),
        events=conform("events", empty),
        basis="real",
    )


@pytest.mark.parametrize(
    ("cohort", "facts"),
    [
        (
            make_cohort(*["psychological_therapy"] * 100, *["usual_care"] * 51),
            ["151", "100 of psychological_therapy, 51 of usual_care"],
        ),
        (make_cohort(), ["0 episodes", "none"]),
    ],
    ids=["comparators only", "empty"],
)
def test_a_cohort_without_a_technique_is_refused_with_its_numbers(tmp_path, cohort, facts):
    save_cohort(cohort, tmp_path / "cohort")
    for techniques, kind in (([], RefusalError), (["facet_rfa"], SettingsError)):
        settings = TrainingSettings(
            techniques=techniques,
            cohort=CohortSettings(source="folder", path=str(tmp_path / "cohort")),
            tracking=TrackingSettings(enabled=False),
            models_folder=str(tmp_path / "models"),
            progress=False,
        )
        with pytest.raises(kind) as told:
            train(settings)
        assert all(fact in str(told.value) for fact in facts)
    with pytest.raises(RefusalError) as told:
        evaluate_models({}, cohort, rng=np.random.default_rng(0))
    assert all(fact in str(told.value) for fact in facts)


def test_a_technique_without_evidence_of_response_is_refused_by_name(tmp_path):
    save_cohort(make_cohort(*["bariatric_embolization"] * 30), tmp_path / "cohort")
    settings = TrainingSettings(
        cohort=CohortSettings(source="folder", path=str(tmp_path / "cohort")),
        tracking=TrackingSettings(enabled=False),
        models_folder=str(tmp_path / "models"),
        progress=False,
    )
    with pytest.raises(RefusalError, match="bariatric_embolization"):
        train(settings)


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_what_cannot_be_trained_is_refused_before_a_run_is_recorded(tmp_path):
    """Nothing ran, so the store holds no failed run; the folder of models knows who was refused."""
    save_cohort(make_cohort(*["facet_rfa"] * 12), tmp_path / "cohort")
    (tmp_path / "models").mkdir()
    settings = TrainingSettings(
        cohort=CohortSettings(source="folder", path=str(tmp_path / "cohort")),
        tracking=TrackingSettings(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifacts=str(tmp_path / "mlartifacts")),
        models_folder=str(tmp_path / "models"),
        progress=False,
    )
    with pytest.raises(RefusalError, match="facet_rfa/pain_response"):
        train(settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort", "models"]
    assert "facet_rfa/pain_response" in (tmp_path / "models" / TRAINING_RECORD).read_text()
