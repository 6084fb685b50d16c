"""Every published data set judges the models that fit it, in one command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.evidence.rules import collect_rules
from paincast.models.binary.response import fit_response_model
from paincast.predictor import Predictor, add_version, load_predictor, save_predictor
from paincast.predictor.validation import Validation
from paincast.reporting.model.external import tabulate_validated
from paincast.serving.predict import load_models
from paincast.serving.validation.published import validate_on_published
from paincast.settings import ModelSettings, TrainingSettings, UncertaintySettings
from paincast.simulator import simulate_cohort

EPIDURAL, FACET = "epidural_steroid_injection/pain_response", "facet_rfa/pain_response"
CAUDAL = "caudal_esi_2018"


@pytest.fixture(scope="module")
def epidural(few_candidates):
    """Fit a small model of month 1, at which caudal patients were seen, to simulated patients of all indications."""
    rng = np.random.default_rng(3)
    technique, outcome = EPIDURAL.split("/")
    episodes = simulate_cohort(techniques=[technique], episodes_per_technique=200, seed=5)[0].episodes
    happened = (rng.random(len(episodes)) < 0.4).astype(float)
    settings = TrainingSettings(
        model=ModelSettings(**{**few_candidates, "candidates": ["logistic"]}),
        uncertainty=UncertaintySettings(refits=10),
        jobs=1,
    )
    return add_version(
        Predictor(
            technique=technique,
            outcome=outcome,
            horizon_months=1.0,
            window_months=(0.5, 2.0),
            measures=("pain_nrs",),
            basis="synthetic",
            n_training=len(episodes),
            n_events=int(happened.sum()),
            n_real=0,
            level=0.9,
            response=fit_response_model(episodes, happened, settings, rng),
            rules=collect_rules(technique, outcome),
        )
    )


@pytest.fixture
def models(epidural, models_folder, tmp_path, monkeypatch):
    """The model, and one of a technique that no set holds."""
    monkeypatch.chdir(tmp_path)
    save_predictor(epidural, Path("models") / EPIDURAL)
    save_predictor(load_predictor(models_folder / FACET), Path("models") / FACET)
    return load_models("models")


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_one_command_fetches_evaluates_and_records(real_data, capsys):
    assert run(["validate", "--mirror", str(real_data), "--resamples", "50"]) == 0
    told = capsys.readouterr().out
    [validation] = load_models("models")[EPIDURAL].validations
    assert (validation.cohort, validation.contradicts) == (CAUDAL, True)
    assert load_models("models")[FACET].validations == ()
    assert "back_pain_placebo_2022: no model is for a technique of it" in told
    page = Path("reports/published/overview.html").read_text(encoding="utf-8")
    for fact in (
        CAUDAL,
        f"{validation.o_e:.2f} ({validation.lower:.2f} to {validation.upper:.2f})",
        "contradicted by data",
        "no published data set has patients",
    ):
        assert fact in page
        assert fact in told
    assert Path(f"reports/published/{CAUDAL}/report.html").is_file()
    assert len(pd.read_csv(f"reports/published/{CAUDAL}/flow.csv")) == 1
    assert Path(f"data/real/{CAUDAL}").is_dir()


@pytest.mark.slow
def test_a_set_without_visits_at_the_month_gives_the_reason(models, real_data, capsys):
    late = replace(models[EPIDURAL], horizon_months=6.0, window_months=(3.0, 9.0))
    asked = {"mirror": str(real_data), "seed": 1, "resamples": 50, "fingerprints": {}}
    judged = {one.name: one for one in validate_on_published({EPIDURAL: late}, Path("data"), **asked)}
    assert "no follow-up determines pain_response at 6 months" in judged[CAUDAL].reasons[EPIDURAL]
    assert judged[CAUDAL].evaluation is None
    save_predictor(add_version(late), Path("models") / EPIDURAL)
    assert run(["validate", "--mirror", str(real_data), "--resamples", "50"]) == 2
    assert "PC-CLI-17" in capsys.readouterr().err
    assert not Path("reports").exists()


@pytest.mark.slow
def test_a_set_that_cannot_be_fetched_does_not_stop_the_others(models, real_data, tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / CAUDAL).symlink_to(real_data / CAUDAL)
    asked = {"mirror": str(tmp_path / "mirror"), "seed": 1, "resamples": 50, "fingerprints": {}}
    judged = {one.name: one for one in validate_on_published(models, Path("data"), **asked)}
    assert judged[CAUDAL].found
    assert all(one.problem for name, one in judged.items() if name != CAUDAL)


def test_all_cohorts_of_a_model_are_listed_the_worst_first(models):
    good = Validation(cohort="good", content="a", n=200, o_e=1.0, lower=0.9, upper=1.1, contradicts=False)
    bad = replace(good, cohort="bad", content="b", o_e=0.2, lower=0.1, upper=0.3, contradicts=True)
    judged = {**models, EPIDURAL: replace(models[EPIDURAL], validations=(bad, good))}
    table = tabulate_validated(judged, {FACET: ["somewhere: nobody was seen"]})
    assert table["Validated on"].tolist() == ["bad", "good", "none"]
    assert table["Verdict"].tolist() == ["contradicted by data", "not contradicted", "somewhere: nobody was seen"]
    told = judged[EPIDURAL].describe()["validated on"]
    assert told.index("bad (about 200 patients") < told.index("good (about 200 patients")
    assert models[FACET].describe()["validated on"] == "not yet"
