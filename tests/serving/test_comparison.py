"""Champion against candidate on a cohort."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paincast.errors import RefusalError
from paincast.predictor import load_predictor
from paincast.serving.comparison import compare_models
from paincast.simulator import simulate_cohort


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=300, seed=11)[0]


@pytest.fixture(scope="module")
def model(models_folder):
    return load_predictor(models_folder / "facet_rfa" / "pain_response")


def test_only_those_both_answer_for_are_compared(model, cohort):
    nowhere = replace(model.rules, indications=("knee_osteoarthritis",))
    table, flow = compare_models(model, model, cohort, rng=np.random.default_rng(1), resamples=50)
    counts = dict(flow.itertuples(index=False))
    assert counts["compared"] == table["n"].iloc[0] == counts["followed up"] - counts["champion abstains"] > 100
    assert (table["difference"] == 0).all()
    with pytest.raises(RefusalError, match=r"nobody to compare the models on \(facet_rfa, .*compared: 0; it holds"):
        compare_models(model, replace(model, rules=nowhere), cohort, rng=np.random.default_rng(1))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"horizon_months": 3.0}, "horizon_months of the champion is 6.0, of the candidate 3.0"),
        ({"outcome": "satisfaction"}, "outcome of the champion is pain_response, of the candidate satisfaction"),
    ],
)
def test_models_of_different_questions_are_not_compared(model, cohort, changed, told):
    with pytest.raises(RefusalError, match=told):
        compare_models(model, replace(model, **changed), cohort, rng=np.random.default_rng(1))


def test_changes_in_points_are_not_compared_as_probabilities(model, cohort):
    change = replace(model, outcome="pain_change")
    with pytest.raises(RefusalError, match="pain_change is a number"):
        compare_models(change, change, cohort, rng=np.random.default_rng(1))
