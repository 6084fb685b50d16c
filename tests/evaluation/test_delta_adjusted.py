"""The sweep over what those lost would have shown: by hand, against the truth, and at its tipping points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from paincast.errors import DataError
from paincast.evaluation.validation.delta_adjusted import compute_tipping_point


def test_a_small_table_by_hand():
    outcome = np.array([1.0, 0.0, 0.0, np.nan])
    found = compute_tipping_point(outcome, np.full(4, logit(0.25)), shifts=[0.0, np.log(3.0)], limits=(0.1, 9.0))
    assert found["odds_ratio"].tolist() == pytest.approx([1.0, 3.0])
    assert found["lost_risk"].tolist() == pytest.approx([0.25, 0.5])
    assert found["overall_risk"].tolist() == pytest.approx([1.25 / 4, 1.5 / 4])
    assert found["o_e_ratio"].tolist() == pytest.approx([1.25, 1.5])
    assert (found["n"].tolist(), found["n_lost"].tolist()) == ([4, 4], [1, 1])
    # Four patients: the standard error of a mean, with the divisor n - 1.
    error = np.array([1, 0, 0, 0.25]).std(ddof=1) / 2
    assert found["overall_upper"][0] == pytest.approx(1.25 / 4 + 1.959964 * error)


def test_the_verdict_tips_where_it_is_said_to():
    rng = np.random.default_rng(1)
    linear_predictor = rng.normal(0.0, 1.0, 4000)
    outcome = (rng.random(4000) < expit(linear_predictor)).astype(float)
    outcome[rng.random(4000) < 0.4] = np.nan
    found = compute_tipping_point(outcome, linear_predictor)
    tips = found[found["tips"]]
    assert tips["o_e_ratio"].tolist() == pytest.approx([0.9, 1.1], abs=1e-4)
    inside = found["shift"].between(*tips["shift"])
    assert (found.loc[inside, "verdict"] == "calibrated in the large").all()
    assert (found.loc[found["shift"] < tips["shift"].min(), "verdict"] == "predictions too high").all()
    assert (found.loc[found["shift"] > tips["shift"].max(), "verdict"] == "predictions too low").all()


def test_the_true_shift_gives_the_true_risk():
    rng = np.random.default_rng(2)
    linear_predictor = rng.normal(0.0, 1.0, 60_000)
    lost = rng.random(60_000) < 0.3
    outcome = (rng.random(60_000) < expit(linear_predictor - 0.8 * lost)).astype(float)
    found = compute_tipping_point(np.where(lost, np.nan, outcome), linear_predictor, shifts=[-0.8, 0.0]).set_index(
        "shift"
    )
    assert found.loc[-0.8, "overall_risk"] == pytest.approx(outcome.mean(), abs=0.005)
    assert found.loc[0.0, "overall_risk"] > outcome.mean() + 0.02


def test_with_nobody_lost_nothing_tips():
    found = compute_tipping_point(np.array([1.0, 0.0]), np.zeros(2))
    assert found["overall_risk"].eq(0.5).all()
    assert not found["tips"].any()
    assert found["lost_risk"].isna().all()


def test_a_lost_episode_without_a_prediction_is_refused():
    with pytest.raises(DataError, match="1 of 2 are missing or infinite; those lost need a prediction"):
        compute_tipping_point(np.array([1.0, np.nan]), np.array([0.0, np.nan]))
    with pytest.raises(DataError, match="outcome has 1 rows and linear_predictor 2"):
        compute_tipping_point(np.array([1.0]), np.zeros(2))


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.floats(-8, 8)), min_size=2, max_size=30),
    copies=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_risk_rises_with_the_shift_and_stays_a_share(rows, copies):
    outcome, linear_predictor = (np.repeat([row[place] for row in rows], copies) for place in (0, 1))
    patients = np.repeat(np.arange(len(rows)), copies)
    found = compute_tipping_point(outcome, linear_predictor, patients)
    assert found["shift"].is_monotonic_increasing
    assert (found["overall_risk"].diff().dropna() >= -1e-12).all()
    assert found["overall_lower"].le(found["overall_risk"] + 1e-12).all()
    assert found["overall_risk"].between(0, 1).all()
    assert found["overall_upper"].ge(found["overall_risk"] - 1e-12).all()
