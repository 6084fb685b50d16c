"""Training of several months in one run: a model for each that evidence or visits support, refusals for the others."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick_training import PLAIN, make_quick_settings

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import load_cohort, save_cohort
from paincast.errors import RefusalError
from paincast.evidence.records import primary_horizon, simulated_techniques
from paincast.outcomes import get_outcome
from paincast.serving.predict import load_models, predict
from paincast.settings import (
    CohortSettings,
    DurationSettings,
    OutcomeSettings,
    TrainingSettings,
)
from paincast.simulator import simulate_cohort
from paincast.simulator.evidence_draws import list_months
from paincast.training import train
from paincast.training.kinds.prior import gather_evidence_prior
from paincast.training.questions import find_further_month
from paincast.training_set import make_training_set


def make_settings(folder, months, **changes: object) -> TrainingSettings:
    return make_quick_settings(folder, **{"model": PLAIN, "outcome": OutcomeSettings(horizon_months=months), **changes})


@given(
    technique=st.sampled_from(simulated_techniques()),
    months=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 6.0, 7.5, 12.0, 24.0]), min_size=1, unique=True),
)
def test_one_month_is_the_primary_one(technique, months):
    asked = OutcomeSettings(horizon_months=months).months
    further = {month: find_further_month(technique, month, asked) for month in asked}
    [primary] = [month for month, named in further.items() if named is None]
    assert primary == (primary_horizon(technique) if primary_horizon(technique) in asked else min(asked))
    assert all(named in (None, month) for month, named in further.items())
    assert find_further_month(technique, None, OutcomeSettings().months) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train months on either side of the primary one, one between visits, and one of which nothing is known."""
    folder = tmp_path_factory.mktemp("months")
    return folder, train(make_settings(folder, [80.0, 7.0, 6.0, 3.0]))


@pytest.mark.slow
def test_a_model_is_made_for_each_month_and_what_is_unknown_is_refused_by_name(trained):
    folder, result = trained
    name = "facet_rfa/pain_response"
    assert set(result.trained) == {name, f"{name}.month-03", f"{name}.month-07"}
    assert result.trained[name].predictor.horizon_months == primary_horizon("facet_rfa") == 6.0
    assert list(result.refused) == [f"{name}.month-80"]
    first, last = list_months("facet_rfa")
    assert f"month {first:g} to {last:g}, not of month 80" in result.refused[f"{name}.month-80"]
    assert sorted(load_models(folder / "models")) == sorted(result.trained)
    recorded = json.loads((folder / "models" / "training.json").read_text())
    assert (sorted(recorded["trained"]), recorded["refused"]) == (sorted(result.trained), sorted(result.refused))
    assert sorted(result.summary["month"], key=float) == ["3", "6", "7", "80"]
    assert set(result.summary["outcome"]) == {"pain_response"}


@pytest.mark.slow
def test_the_summary_tells_at_which_month_the_outcome_was_seen(trained):
    notes = trained[1].summary.set_index("month")["note"]
    assert "outcome seen at month 6" in notes["7"]
    assert "outcome seen" not in notes["3"] + notes["6"]


@pytest.mark.slow
def test_a_month_is_the_same_model_whichever_others_are_trained_with_it(trained, tmp_path):
    _, result = trained
    alone = train(make_settings(tmp_path, 7)).trained["facet_rfa/pain_response"]
    beside = result.trained["facet_rfa/pain_response.month-07"]
    pd.testing.assert_frame_equal(alone.metrics, beside.metrics)
    assert (alone.predictor.is_primary, beside.predictor.is_primary) == (True, False)
    np.testing.assert_array_equal(alone.explanation.served, beside.explanation.served)


@pytest.mark.slow
def test_what_is_trained_is_predicted_by_month(trained):
    folder, _ = trained
    patient = {"technique": "facet_rfa", "indication": "lumbar_facet", "pain_nrs": 7, "age_years": 50}
    rows = predict(patient, folder / "models", months=[3, 6, 7, 80])
    assert rows["horizon_months"].tolist() == [3.0, 6.0, 7.0, 80.0]
    assert rows["abstained"].tolist() == [False, False, False, True]
    by_month = rows.set_index("horizon_months")["probability"]
    assert by_month[7.0] < by_month[6.0], "the curve of the evidence falls, and the model of month 7 follows it"


@pytest.mark.slow
def test_nothing_is_trained_where_no_month_is_known(tmp_path):
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-TRAINING-08") as refused:
        train(make_settings(tmp_path, [70.0, 80.0]))
    assert "pain_response: " in str(refused.value)
    assert "pain_response.month-80: " in str(refused.value)


@pytest.mark.slow
def test_months_of_real_patients_are_those_that_visits_answer(real_data, tmp_path):
    name = "genicular_rfa_2024"
    files = sorted(path for path in (real_data / name).iterdir() if path.suffix != ".json")
    cohort, _ = ingest(load_mapping(name), files)
    save_cohort(cohort, tmp_path / name)
    source = CohortSettings(source="folder", path=str(tmp_path / name))
    result = train(make_settings(tmp_path, [1.0, 3.0, 24.0], cohort=source, techniques=["genicular_rfa"]))
    knees = "genicular_rfa/pain_response"
    assert set(result.trained) == {knees, f"{knees}.month-01"}
    assert "no visit with pain_nrs in months 12 to 36" in result.refused[f"{knees}.month-24"]
    rows = predict(load_cohort(tmp_path / name).episodes, tmp_path / "models", months=[1, 3, 24])
    answered = rows.groupby("horizon_months")["abstained"].mean()
    assert (answered[1.0], answered[24.0]) == (answered[3.0], 1.0)
    assert answered[3.0] < 1.0


@pytest.mark.slow
def test_relief_beyond_a_month_falls_with_the_month_and_the_median_is_one(tmp_path):
    asked = OutcomeSettings(name="relief_duration", horizon_months=[3.0, 6.0, 12.0])
    settings = make_settings(tmp_path, None, outcome=asked, duration=DurationSettings(refits=10))
    assert set(train(settings).summary["month"]) == {"3", "6", "12"}
    fresh, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=8)
    rows = predict(fresh.episodes, tmp_path / "models", months=[3, 6, 12])
    lasting = rows.pivot(index="episode_id", columns="horizon_months", values="probability").dropna()
    assert len(lasting) > 40
    assert (lasting.diff(axis=1).iloc[:, 1:] <= 0.0).all(axis=None)
    assert rows.groupby("episode_id")["expected"].nunique().max() == 1


@pytest.mark.slow
def test_a_rate_of_complications_does_not_stand_for_an_earlier_month(tmp_path):
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=300, seed=8)
    settings, outcome = make_settings(tmp_path, None), get_outcome("complication")
    later, earlier = (
        make_training_set("facet_rfa", cohort, outcome, OutcomeSettings(horizon_months=month)) for month in (3.0, 0.5)
    )
    assert gather_evidence_prior(later, settings, np.random.default_rng(1)).sources
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-TRAINING-22"):
        gather_evidence_prior(earlier, settings, np.random.default_rng(1))
