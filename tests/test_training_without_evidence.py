"""A model answers those it was trained on: real patients of an indication that no evidence covers, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quick_training import PLAIN, make_quick_settings

from paincast.cohort.tables import Cohort, save_cohort
from paincast.errors import RefusalError
from paincast.serving.validation.external import evaluate_models
from paincast.settings import (
    CohortSettings,
)
from paincast.simulator import simulate_cohort
from paincast.training import train

TECHNIQUE = "spinal_cord_stimulation"


def make_cohort(indication: str | None, n: int = 110) -> Cohort:
    """Make a cohort that is called real: what matters is its indication."""
    cohort, _ = simulate_cohort(techniques=[TECHNIQUE], episodes_per_technique=n, seed=5)
    held = cohort.episodes.assign(
        indication=pd.array([indication] * n, dtype=cohort.episodes["indication"].dtype), prior_spine_surgery=False
    )
    return Cohort(episodes=held, visits=cohort.visits, events=cohort.events, basis="real", sources=("a registry",))


def train_on(cohort: Cohort, folder: Path, source: str = "folder") -> object:
    save_cohort(cohort, folder / "cohort")
    where = {"path": str(folder / "cohort")} if source == "folder" else {"real": str(folder / "cohort")}
    return train(
        make_quick_settings(
            folder,
            cohort=CohortSettings(source=source, **where),
            techniques=[TECHNIQUE],
            model=replace(PLAIN, lasso_penalties=[]),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("indication", ["trigeminal_neuralgia", "chronic_low_back_pain"])
def test_a_model_answers_the_real_patients_it_was_trained_on_and_says_that_it_stands_alone(tmp_path, indication):
    cohort = make_cohort(indication)
    trained = train_on(cohort, tmp_path).trained[f"{TECHNIQUE}/pain_response"]
    assert trained.predictor.rules.without_evidence == (indication,)
    answers = trained.predictor.predict(cohort.episodes)
    answered = answers[~answers["abstained"]]
    assert len(answered) > 0.8 * len(cohort.episodes)
    assert answered["cautions"].str.startswith("no published evidence for this indication").all()
    assert answered["control_probability"].isna().all()
    metrics, flow, *_ = evaluate_models({"one": trained.predictor}, cohort, rng=np.random.default_rng(1), resamples=50)
    assert flow["evaluated"].iloc[0] > 0.8 * flow["followed_up"].iloc[0] > 0
    assert len(metrics)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("indication", "source"), [(None, "folder"), (None, "blended"), ("chronic_low_back_pain", "blended")]
)
def test_where_the_model_would_answer_nobody_nothing_is_trained(tmp_path, indication, source):
    with pytest.raises(RefusalError, match="cannot be determined for any of about 110 episodes"):
        train_on(make_cohort(indication), tmp_path, source)
    assert not (tmp_path / "models").exists()
