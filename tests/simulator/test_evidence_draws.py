"""Draws of the evidence: exact where nothing is uncertain, as wide as stated, the same for everyone who asks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from paincast.errors import RefusalError
from paincast.evidence.records import primary_horizon, simulated_records, simulated_techniques
from paincast.simulator import evidence_draws
from paincast.simulator.evidence_draws import (
    LEVEL_CORRELATION,
    MINIMUM_LEVEL_SD,
    draw_evidence,
    interpolate,
    list_drawn_outcomes,
    list_months,
    make_simulator_columns,
    simulate_reference_patients,
)


class Certain:
    """A source of randomness that never leaves the mean."""

    def spawn(self, n: int) -> list[Certain]:
        return [Certain() for _ in range(n)]

    def standard_normal(self, size: object) -> np.ndarray:
        return np.zeros(size)


@pytest.mark.parametrize("technique", simulated_techniques())
def test_without_uncertainty_the_draws_are_the_truth(technique):
    month = primary_horizon(technique)
    patients = simulate_reference_patients(technique, "literature")
    drawn = draw_evidence(technique, "pain_response", month, scenario="literature", rng=Certain(), draws=2)
    truth = patients.truth.expand(technique=technique, outcome="pain_response", month=month)
    expected = truth.set_index("episode_id").loc[drawn.episodes["episode_id"], "probability"].to_numpy()
    np.testing.assert_allclose(expit(drawn.log_odds[:, 0]), expected, atol=1e-5)


@pytest.mark.parametrize("outcome", list_drawn_outcomes())
def test_every_outcome_at_a_visit_can_be_drawn(outcome):
    drawn = draw_evidence("facet_rfa", outcome, 6.0, scenario="literature", rng=np.random.default_rng(1), draws=4)
    assert np.isfinite(drawn.log_odds).all()
    assert len(drawn.log_odds) == len(drawn.episodes)
    if outcome == "opioid_reduction":
        assert (drawn.episodes["opioid_mme"].dropna() > 0).all()


def test_levels_are_as_uncertain_as_a_new_study(monkeypatch):
    monkeypatch.setattr(evidence_draws, "_draw_scores", no_scores)
    rng = np.random.default_rng(2)
    drawn = draw_evidence("facet_rfa", "pain_response", 6.0, scenario="literature", rng=rng, draws=4000)
    level = logit(expit(drawn.log_odds).mean(axis=0))
    (record,) = simulated_records("facet_rfa")
    point = record.response.points[6.0]
    width = (logit(point.predicted_upper) - logit(point.predicted_lower)) / 3.92
    assert level.std() == pytest.approx(max(width, MINIMUM_LEVEL_SD), rel=0.05)
    assert level.mean() == pytest.approx(logit(point.share), abs=0.06)


def no_scores(technique: str, draws: int, rng: np.random.Generator) -> dict[object, np.ndarray]:
    del rng
    effects = [effect for record in simulated_records(technique) for effect in record.predictors]
    return {(effect.column, effect.transform.kind, effect.transform.value): np.zeros(draws) for effect in effects}


def test_records_of_a_technique_move_together(monkeypatch):
    monkeypatch.setattr(evidence_draws, "_draw_scores", no_scores)
    rng = np.random.default_rng(3)
    drawn = draw_evidence(
        "epidural_steroid_injection", "pain_response", 3.0, scenario="literature", rng=rng, draws=4000
    )
    episodes = drawn.episodes.reset_index(drop=True)
    disc = episodes["indication"] == "lumbar_radicular_disc"
    levels = [
        drawn.log_odds[np.flatnonzero(disc & (episodes["approach"] == approach))[0]]
        for approach in ("transforaminal", "caudal")
    ]
    assert np.corrcoef(levels)[0, 1] == pytest.approx(LEVEL_CORRELATION, abs=0.03)


def test_a_month_between_two_of_the_curve_lies_between_them():
    drawn = {
        month: expit(
            draw_evidence("facet_rfa", "pain_response", month, scenario="literature", rng=Certain(), draws=2).log_odds
        )
        for month in (3.0, 4.5, 6.0)
    }
    assert (drawn[6.0] < drawn[4.5]).all()
    assert (drawn[4.5] < drawn[3.0]).all()
    assert interpolate({3.0: 1.0, 6.0: 0.0}, 6.0) == 0.0


def test_a_month_outside_the_curve_is_refused():
    first, last = list_months("facet_rfa")
    for month in (first / 2, last * 2):
        with pytest.raises(RefusalError, check=lambda error: error.code == "PC-SIMULATOR-50"):
            draw_evidence("facet_rfa", "pain_response", month, scenario="literature", rng=Certain())


def test_an_outcome_of_which_nothing_is_said_is_refused():
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-SIMULATOR-51"):
        draw_evidence("facet_rfa", "walking", 6.0, scenario="literature", rng=Certain())


def test_the_same_patients_are_complete_and_recorded():
    patients = simulate_reference_patients("facet_rfa", "literature")
    assert patients.episodes["episode_id"].equals(patients.complete["episode_id"])
    known = patients.episodes["odi"].notna()
    assert 0.8 < known.mean() < 0.95
    assert patients.complete["odi"].notna().all()
    assert patients.episodes.loc[known, "odi"].equals(patients.complete.loc[known, "odi"])
    columns = make_simulator_columns(patients.complete)
    assert columns["smoker"].dtype == bool
    assert columns["sex"].dtype == np.int8
