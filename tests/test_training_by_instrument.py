"""What the evidence counted by one instrument is not attached to patients who were answered by another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quick_training import PLAIN, make_quick_settings

from paincast.cohort.tables import Cohort, save_cohort
from paincast.errors import RefusalError
from paincast.evaluation.expected import find_expected_response
from paincast.outcomes import OUTCOMES
from paincast.predictor import load_predictor
from paincast.serving.comparison import compare_models
from paincast.serving.validation.external import evaluate_models
from paincast.settings import CohortSettings, OutcomeSettings
from paincast.simulator import simulate_cohort
from paincast.training import train
from paincast.training.kinds.prior import gather_evidence_prior, gather_prior
from paincast.training.kinds.published import list_fitting_rates
from paincast.training.run_contents import gather_model_run
from paincast.training_set import TrainingSet, make_training_set

PHYSICAL = "promis_physical_function"


def make_registry(n: int = 220, *, share: float = 1.0, measure: str = "odi", to: str = PHYSICAL) -> Cohort:
    """Make a cohort that is called real; a share of its patients has another instrument than simulated ones."""
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=n, seed=11)
    episodes, visits = cohort.episodes.copy(), cohort.visits.copy()
    others = set(episodes["episode_id"].iloc[: int(share * n)])
    for table in (episodes, visits):
        rows = table["episode_id"].isin(others)
        table.loc[rows, to] = 60.0 - 0.4 * table.loc[rows, measure] if to == PHYSICAL else table.loc[rows, measure]
        table.loc[rows, measure] = np.nan
    return Cohort(episodes=episodes, visits=visits, events=cohort.events, basis="real", sources=("a registry",))


def ask(cohort: Cohort, outcome: str = "function_response") -> TrainingSet:
    return make_training_set("facet_rfa", cohort, OUTCOMES[outcome], OutcomeSettings())


def train_on(cohort: Cohort, folder: Path, source: str = "folder", outcome: str = "function_response"):
    save_cohort(cohort, folder / "cohort")
    where = {"path": str(folder / "cohort")} if source == "folder" else {"real": str(folder / "cohort")}
    settings = make_quick_settings(
        folder,
        cohort=CohortSettings(source=source, **where),
        outcome=OutcomeSettings(name=outcome),
        model=replace(PLAIN, lasso_penalties=[]),
    )
    return train(settings).trained[f"facet_rfa/{outcome}"]


def test_patients_of_another_instrument_have_no_evidence(tmp_path):
    settings = make_quick_settings(tmp_path)
    data = ask(make_registry())
    assert data.labels.measures == data.measures == data.unmatched == (PHYSICAL,)
    with pytest.raises(RefusalError) as error:
        gather_evidence_prior(data, settings, np.random.default_rng(1))
    assert error.value.code == "PC-TRAINING-24"
    assert PHYSICAL in str(error.value)
    gathered = gather_prior(data, settings, np.random.default_rng(1))
    assert not gathered.sources
    assert not gathered.prior.has_effects


def test_patients_of_the_evidence_instruments_keep_it_and_the_model_asks_as_before(tmp_path):
    data = ask(make_registry(share=0.0))
    assert data.unmatched == ()
    assert data.measures == ("odi", "womac")
    assert gather_evidence_prior(data, make_quick_settings(tmp_path), np.random.default_rng(1)).prior.has_effects
    assert not data.flow["step"].str.startswith("answered by the instrument").any()


def test_the_count_of_each_instrument_is_in_the_flow():
    data = ask(make_registry(share=0.4))
    counts = data.flow.set_index("step")["n"]
    told = {step.rpartition(" ")[2]: n for step, n in counts.items() if step.startswith("answered by the instrument")}
    assert set(told) == {"odi", PHYSICAL}
    assert sum(told.values()) == int(data.labels.known.sum())
    assert data.unmatched == (PHYSICAL,)


def test_relief_by_another_scale_has_no_published_rate_and_no_expected_response():
    data = ask(make_registry(measure="pain_nrs", to="peg"), "pain_response")
    assert data.unmatched == ("peg",)
    assert list_fitting_rates(data) == []
    expected = find_expected_response(data, "pragmatic")
    assert expected.share is None
    assert "peg" in expected.table["says"].iloc[0]
    assert list_fitting_rates(ask(make_registry(share=0.0), "pain_response"))


def test_a_cohort_followed_by_another_instrument_than_before_is_refused_and_told():
    cohort = make_registry(share=0.0)
    visits = cohort.visits.assign(odi=np.nan, **{PHYSICAL: 40.0})
    with pytest.raises(RefusalError) as error:
        ask(replace(cohort, visits=visits))
    assert error.value.code == "PC-TRAINING-SET-02"
    assert "another instrument" in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["folder", "blended"])
def test_a_model_of_another_instrument_stands_on_its_patients_alone(tmp_path, source):
    cohort = make_registry()
    trained = train_on(cohort, tmp_path, source)
    predictor = load_predictor(tmp_path / "models" / "facet_rfa" / "function_response")
    assert predictor.measures == (PHYSICAL,)
    assert (predictor.basis, predictor.sources) == ("real", ("a registry",))
    assert predictor.n_real == trained.predictor.n_training
    answers = predictor.predict(cohort.episodes)
    answered = answers[~answers["abstained"]]
    assert len(answered) > 0.8 * len(cohort.episodes)
    assert answered["control_probability"].isna().all()
    by_odi = predictor.predict(make_registry(40, share=0.0).episodes)
    assert by_odi["abstained"].all()
    assert by_odi["abstained_because"].str.contains(PHYSICAL).all()
    metrics, flow, *_ = evaluate_models({"one": predictor}, cohort, rng=np.random.default_rng(1), resamples=50)
    assert flow["evaluated"].iloc[0] > 0
    assert len(metrics)
    with pytest.raises(RefusalError) as error:
        evaluate_models({"one": predictor}, make_registry(60, share=0.0), rng=np.random.default_rng(1), resamples=50)
    assert error.value.code == "PC-SERVING-13"
    settings = make_quick_settings(tmp_path, outcome=OutcomeSettings(name="function_response"))
    [told] = [note for note in gather_model_run(trained, ask(cohort), settings).notes if "published evidence" in note]
    assert PHYSICAL in told


@pytest.mark.slow
def test_models_of_different_instruments_are_not_compared(tmp_path):
    cohort = make_registry()
    pair = [
        train_on(cohort, tmp_path / "a").predictor,
        train_on(make_registry(share=0.0), tmp_path / "b").predictor,
    ]
    with pytest.raises(RefusalError) as error:
        compare_models(*pair, cohort, fingerprints={}, rng=np.random.default_rng(1))
    assert error.value.code == "PC-SERVING-30"


@pytest.mark.slow
def test_mood_is_learned_from_patients_alone(tmp_path):
    cohort = make_registry(share=0.0)
    rng = np.random.default_rng(4)
    before = pd.Series(rng.integers(6, 22, len(cohort.episodes)).astype(float), index=cohort.episodes["episode_id"])
    fall = pd.Series(rng.integers(0, 12, len(before)), index=before.index)
    after = (before - fall).clip(lower=0).reindex(cohort.visits["episode_id"]).to_numpy()
    moody = replace(
        cohort, episodes=cohort.episodes.assign(phq9=before.to_numpy()), visits=cohort.visits.assign(phq9=after)
    )
    trained = train_on(moody, tmp_path, outcome="mood_response")
    assert trained.predictor.measures == ("phq9",)
    assert trained.predictor.basis == "real"
    rows = trained.predictor.predict(moody.episodes)
    assert (rows.loc[~rows["abstained"], "control_because"] != "").all()
