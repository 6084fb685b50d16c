"""Benefit over a control stands on both arms of the same trials; everything else is refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paincast import ingest
from paincast.evidence import load_record, load_records
from paincast.evidence.comparators import choose_comparator
from paincast.planning.benefit import REFUSES, TELLS, assess_cohort, compute_benefits
from paincast.planning.expected import PAIN
from paincast.planning.planner import plan
from paincast.planning.text import format_plan
from paincast.reporting.evidence.difference import compare_arms
from paincast.simulator import simulate_cohort

RECORDS = [record for record in load_records() if record.response]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
@pytest.mark.parametrize("month", [1.0, 3.0, 6.0, 12.0])
def test_it_is_told_only_within_trials(record, month):
    for indication in record.indications:
        for benefit in compute_benefits([record], indication, month):
            if benefit.status == REFUSES:
                assert benefit.because
                assert benefit.difference is None
                continue
            difference, control, treated = benefit.difference, benefit.control, benefit.treated
            assert difference.source == control.source == treated.source
            assert difference.value == pytest.approx(treated.value - control.value)
            assert difference.lower <= difference.value <= difference.upper
            assert benefit.holds_zero == (difference.lower <= 0 <= difference.upper)
            assert ("holds no difference" in benefit.because) == benefit.holds_zero
            assert difference.confidence == control.confidence == 0.95
            assert treated.denominator == difference.denominator
            assert treated.denominator.startswith("those ")
            assert benefit.counts_intended == ("randomised" in treated.denominator)
            fitting = choose_comparator(record.comparators, PAIN, difference.month)
            assert compare_arms(record, fitting).points == difference.value


def test_without_a_control_near_the_month_it_is_told_at_the_months_of_controls():
    record = load_record("epidural_steroid_injection", "lumbar_radicular_disc", "transforaminal")
    refused, told = compute_benefits([record], "lumbar_radicular_disc", 6.0)
    assert (refused.status, told.status) == (REFUSES, TELLS)
    assert told.difference.month == 1
    assert "only at month 1" in refused.because


def test_two_shares_at_one_month_name_whom_they_are_of():
    """What is expected of those implanted, and what trials count over all they randomised, are different things."""
    made = plan({"indication": "failed_back_surgery", "stimulation_trial_success": True}, month=6)
    [item] = [item for item in made.techniques if item.technique == "spinal_cord_stimulation"]
    [expected], [benefit] = item.expected, item.benefits
    assert expected.figure.month == benefit.treated.month == 6
    assert expected.figure.value != benefit.treated.value
    assert expected.figure.denominator == "those implanted after a test stimulation"
    assert benefit.treated.denominator == "those randomised or seen in the trials"
    assert benefit.counts_intended
    for denominator in (expected.figure.denominator, benefit.treated.denominator):
        assert denominator in benefit.because
        assert f"of {denominator}" in " ".join(format_plan(made).split())


def test_a_patient_of_other_ages_has_no_benefit():
    record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    [benefit] = compute_benefits([record], "failed_back_surgery", 6.0, 12.0)
    assert (benefit.status, benefit.control) == (REFUSES, None)


def test_trials_that_do_not_tell_their_treated_arm_are_refused():
    record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    silent = replace(record, published=())
    [benefit] = compute_benefits([silent], "failed_back_surgery", 6.0)
    assert benefit.status == REFUSES
    assert "not subtracted" in benefit.because
    assert benefit.control.value == record.own_comparators[0].share


def test_the_trial_of_needle_depth_tells_nothing_beyond_a_control(real_data: Path):
    cohort, _ = ingest(real_data / "caudal_esi_2018", "caudal_esi_2018")
    told = assess_cohort(cohort, month=1)
    assert any(text.startswith("both arms received") and "steroid" in text for text in told.said)
    assert told.differences == ()
    assert told.arms["epidural_steroid_injection"].value == pytest.approx(10 / 111, abs=0.006)
    [refusal] = told.refused
    assert "no arm went without it" in refusal


def test_the_placebo_trial_tells_its_controls_and_no_benefit_of_a_technique(real_data: Path):
    cohort, _ = ingest(real_data / "back_pain_placebo_2022", "back_pain_placebo_2022")
    told = assess_cohort(cohort, month=1)
    assert all(figure.n % 5 == 0 for figure in told.arms.values())
    assert told.arms["placebo_injection"].value == pytest.approx(15 / 44, abs=0.006)
    assert told.arms["usual_care"].value == pytest.approx(8 / 47, abs=0.006)
    [difference] = told.differences
    assert difference.name == "placebo injection less usual care"
    assert difference.value == pytest.approx(15 / 44 - 8 / 47, abs=0.01)
    assert difference.lower < 0 < difference.upper
    assert "holds no difference" in difference.note
    assert told.refused == ("no arm received a technique, so that no benefit of one over a control can be told",)


def test_arms_that_nobody_drew_by_lot_are_not_subtracted():
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=1)
    episodes = cohort.episodes.copy()
    episodes["technique"] = np.where(np.arange(len(episodes)) % 2, "usual_care", episodes["technique"])
    told = assess_cohort(replace(cohort, episodes=episodes), month=6)
    assert told.differences == ()
    [refusal] = told.refused
    assert "by lot" in refusal
