"""Answers for one patient do not contradict each other, and what explains them goes on adding up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

import paincast
from paincast.explain import Explanation
from paincast.predictor import Answers, make_abstentions
from paincast.predictor.rows import ANSWERS, UNCERTAINTY_COLUMNS
from paincast.serving.coherence import CHANGE, DURATION, HALF, IN_LINE, THIRD, bring_in_line
from paincast.serving.predict import load_models
from paincast.simulator import simulate_cohort
from paincast.training import train

MONTHS = (3.0, 6.0, 12.0)
N = 6
BEFORE = pd.Series([8.0, 7.0, 5.0, 10.0, 1.0, 3.0])
PATIENTS = pd.DataFrame({"episode_id": list("abcdef"), "patient_id": list("abcdef")})


def make_answers(outcome: str, month: float, served: np.ndarray, abstains: np.ndarray) -> Answers:
    """Answers whose contributions add up: ``served`` are log odds, or shares of the score before."""
    rows = make_abstentions(PATIENTS, "facet_rfa", outcome, "").assign(abstained=abstains, horizon_months=month)
    numbers = pd.DataFrame(np.nan, index=PATIENTS.index, columns=[*ANSWERS, *UNCERTAINTY_COLUMNS])
    if outcome == CHANGE:
        served = served / 4.0 * BEFORE.to_numpy()
        numbers["expected"], numbers["expected_lower"], numbers["expected_upper"] = served, served - 1.0, served + 1.0
    else:
        numbers["probability"] = expit(served)
        numbers["lower"], numbers["upper"] = expit(served - 1.0), expit(served + 1.5)
        numbers[list(UNCERTAINTY_COLUMNS)] = 0.25
    if outcome == DURATION:
        numbers["expected"] = np.where(served > 0, np.nan, month / 2)
    numbers.loc[abstains] = np.nan
    names = ["pain_nrs", "age_years"] if outcome != HALF else ["age_years", "bmi"]
    parts = pd.DataFrame(
        np.column_stack([served * 0.7, served * 0.3 + 0.2]), columns=names, index=PATIENTS.index
    )  # fmt: skip
    answered = ~abstains
    return Answers(
        outcome=outcome,
        month=month,
        rows=rows,
        numbers=numbers,
        explanation=Explanation(
            base=np.full(answered.sum(), -0.2),
            contributions=parts[answered],
            values=parts[answered].round(1),
            unit="points" if outcome == CHANGE else "log_odds",
        ),
        certain=np.ones((answered.sum(), 2), dtype=bool),
        missing=[[] for _ in range(answered.sum())],
    )


def list_answers(served: np.ndarray, abstains: np.ndarray) -> list[Answers]:
    asked = [(outcome, month) for outcome in (HALF, THIRD, CHANGE, DURATION) for month in MONTHS]
    return [
        make_answers(outcome, month, served[number], abstains[number]) for number, (outcome, month) in enumerate(asked)
    ]


def require_coherent(answers: list[Answers], before: np.ndarray) -> None:
    told = {(one.outcome, one.month): one.numbers for one in answers}
    for month in MONTHS:
        half, third, lasting = (told[name, month]["probability"].to_numpy() for name in (HALF, THIRD, DURATION))
        median = told[CHANGE, month]["expected"].to_numpy()
        assert not (half > third).any()
        assert not (lasting > half).any()
        for probability, share in ((half, 0.5), (third, 0.3)):
            both = np.isfinite(probability) & np.isfinite(median)
            assert ((probability >= 0.5) == (median <= -share * before))[both].all()
    for one in answers:
        numbers = one.numbers
        limits = ["lower", "probability", "upper"]
        if one.outcome == CHANGE:
            limits = ["expected_lower", "expected", "expected_upper"]
        lower, middle, upper = numbers[limits].to_numpy().T
        known = np.isfinite(middle)
        assert (lower[known] <= middle[known]).all()
        assert (middle[known] <= upper[known]).all()
        served = middle if one.outcome == CHANGE else logit(middle)
        np.testing.assert_allclose(one.explanation.served, served[one.answered], atol=1e-9)


@settings(max_examples=40)
@given(
    arrays(float, (12, N), elements=st.floats(-4.0, 4.0, allow_subnormal=False).map(lambda value: round(value, 3))),
    arrays(bool, (12, N), elements=st.sampled_from([False, False, False, True])),
)
def test_any_answers_are_brought_in_line(served, abstains):
    given_answers = list_answers(served, abstains)
    answers = bring_in_line(given_answers, BEFORE)
    for before, after in zip(given_answers, answers, strict=True):
        np.testing.assert_array_equal(before.numbers.isna(), after.numbers.isna() | before.numbers.isna())
        assert after.numbers["probability"].isna().equals(before.numbers["probability"].isna())
    # Durations of later months are bound by earlier ones only where both are answered by all three.
    whole = ~abstains.any(axis=0)
    kept = [_keep(one, whole) for one in answers]
    require_coherent(kept, BEFORE.to_numpy()[whole])
    lasting = {one.month: one.numbers["probability"].to_numpy() for one in kept if one.outcome == DURATION}
    assert not (lasting[12.0] > lasting[6.0]).any()
    assert not (lasting[6.0] > lasting[3.0]).any()
    again = bring_in_line(answers, BEFORE)
    for one, other in zip(answers, again, strict=True):
        pd.testing.assert_frame_equal(one.numbers, other.numbers)


def _keep(one: Answers, rows: np.ndarray) -> Answers:
    answered = rows[one.answered]
    return replace(
        one,
        rows=one.rows[rows],
        numbers=one.numbers[rows],
        explanation=one.explanation.take(answered),
        certain=one.certain[answered],
        missing=[],
    )


def test_answers_in_order_stay_as_they_are():
    served = np.array([*[np.full(N, 1.0)] * 3, *[np.full(N, 2.0)] * 3, *[np.full(N, -2.4)] * 3,
                       np.full(N, 0.9), np.full(N, 0.5), np.full(N, 0.1)])  # fmt: skip
    answers = list_answers(served, np.zeros((12, N), dtype=bool))
    for one, other in zip(answers, bring_in_line(answers, BEFORE), strict=True):
        assert one is other or one.numbers.equals(other.numbers)
        assert not other.rows["cautions"].str.contains(IN_LINE).any()


def test_the_pair_is_averaged_and_says_so():
    half, third = (
        make_answers(name, 6.0, np.full(N, value), np.zeros(N, dtype=bool))
        for name, value in ((HALF, 1.0), (THIRD, 0.4))
    )
    told = bring_in_line([half, third], BEFORE)
    for one in told:
        np.testing.assert_allclose(logit(one.numbers["probability"]), 0.7)
        assert one.rows["cautions"].str.contains(IN_LINE).all()
        assert set(one.explanation.contributions) == {"pain_nrs", "age_years", "bmi"}
        assert one.write()["probability"].notna().all()


@pytest.mark.slow
def test_models_of_patients_do_not_contradict_each_other(tmp_path):
    """Each outcome is learnt from three hundred patients by itself; served together they agree."""
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=1500, seed=3)
    for outcome in (HALF, THIRD, CHANGE, DURATION):
        train(
            technique="facet_rfa", outcome=outcome, model="logistic", tracking="off", seed=5,
            **{"outcome.horizon_months": [3.0, 12.0], "models_folder": str(tmp_path / "models"),
               "cohort.episodes_per_technique": 400, "cohort.rehearse": True, "evaluation": "quick"},
        )  # fmt: skip
    episodes = cohort.episodes
    predictions = paincast.predict(episodes, load_models(tmp_path / "models"), months=[3.0, 12.0])
    told = predictions[~predictions["abstained"].astype(bool)]
    assert told["cautions"].str.contains(IN_LINE).any()
    assert told["cautions"].str.contains(IN_LINE).mean() < 0.3
    wide = told.set_index(["episode_id", "outcome", "horizon_months"])[["probability", "expected"]]
    wide = wide.unstack([1, 2]).sort_index(axis=1)
    before = episodes.set_index("episode_id")["pain_nrs"].astype(float).reindex(wide.index)
    for month in (3.0, 12.0):
        half, third, lasting = (wide["probability", name, month] for name in (HALF, THIRD, DURATION))
        assert not (half > third).any()
        assert not (lasting > half).any()
        median = wide["expected", CHANGE, month]
        assert ((median <= -0.5 * before) == (half >= 0.5))[half.notna() & median.notna()].all()
        assert ((median <= -0.3 * before) == (third >= 0.5))[half.notna() & median.notna()].all()
    lasting = wide["probability", DURATION]
    assert not (lasting[12.0] > lasting[3.0]).any()
    models, few = load_models(tmp_path / "models"), episodes.head(150)
    everything = paincast.predict(few, models, months=[3.0, 12.0])
    for outcome in (HALF, THIRD, CHANGE, DURATION):
        for detail in ({}, {"explain": 0, "interval": False}):
            alone = paincast.predict(few, models, months=[3.0, 12.0], outcomes=[outcome], **detail)
            kept = everything[everything["outcome"] == outcome]
            names = list(alone) if not detail else ["probability", "expected", "cautions", "abstained_because"]
            pd.testing.assert_frame_equal(alone[names], kept[names])
