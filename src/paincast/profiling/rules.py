"""Rules on combinations of values that cannot be, or hardly, declared once: what each means and whom it concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from paincast.profiling.judges import (
    Judgement,
    differs_from_bmi,
    judge_after_death,
    judge_day_of_procedure,
    judge_deaths,
    judge_explant,
    judge_failed_back,
    judge_improved_with_more_pain,
    judge_indication,
    judge_perfect_with_pain,
    judge_pregnancy,
    judge_steroid,
    judge_twins,
    judge_unchanged,
    judge_worse_with_relief,
    make_comparison,
    make_patient_judge,
)
from paincast.profiling.linked import LinkedCohort

Kind = Literal["impossible", "contradictory", "implausible"]

MONTHS_SLACK = 12.0
"""Months by which pain may be older than the patient: ages are whole years."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule on a combination of values.

    Parameters
    ----------
    name : str
        Stable name.
    kind : {"impossible", "contradictory", "implausible"}
        Whether it cannot be, whether two values say different things, or whether it is merely rare.
    finding : str
        What is found where the rule is broken.
    meaning : str
        What is likely wrong, and what to look at.
    columns : tuple of str
        Columns that must be known.
    judge : callable
        From a linked cohort to a :data:`Judgement`.
    """

    name: str
    kind: Kind
    finding: str
    meaning: str
    columns: tuple[str, ...]
    judge: Callable[[LinkedCohort], Judgement]


RULES: tuple[Rule, ...] = (
    Rule(
        name="pain_longer_than_life",
        kind="impossible",
        finding="the pain has lasted longer than the patient has lived",
        meaning="duration in another unit (days or weeks read as months), or a wrong date of birth",
        columns=("age_years", "pain_duration_months"),
        judge=make_comparison(
            "age_years",
            "pain_duration_months",
            broken=lambda age, duration: duration > 12.0 * age + MONTHS_SLACK,
        ),
    ),
    Rule(
        name="bmi_differs_from_height_and_weight",
        kind="contradictory",
        finding="body mass index differs by more than 10 % from weight / height²",
        meaning="height or weight in another unit, exchanged, or mistyped",
        columns=("bmi", "height_cm", "weight_kg"),
        judge=make_comparison("bmi", "height_cm", "weight_kg", broken=differs_from_bmi),
    ),
    Rule(
        name="operations_without_surgery",
        kind="contradictory",
        finding="no earlier spine surgery, but one or more spine operations",
        meaning="one of the two columns is coded the other way round, or an empty box was read as no",
        columns=("prior_spine_surgery", "spine_operations"),
        judge=make_comparison(
            "prior_spine_surgery", "spine_operations", broken=lambda surgery, number: (surgery == 0) & (number > 0)
        ),
    ),
    Rule(
        name="surgery_without_operations",
        kind="contradictory",
        finding="earlier spine surgery, but 0 spine operations",
        meaning="a missing number was read as 0",
        columns=("prior_spine_surgery", "spine_operations"),
        judge=make_comparison(
            "prior_spine_surgery", "spine_operations", broken=lambda surgery, number: (surgery == 1) & (number == 0)
        ),
    ),
    Rule(
        name="failed_back_surgery_without_surgery",
        kind="contradictory",
        finding="indication failed back surgery, but no earlier spine surgery",
        meaning="the indication or the history of surgery is wrong",
        columns=("indication", "prior_spine_surgery"),
        judge=judge_failed_back,
    ),
    Rule(
        name="technique_does_not_treat_indication",
        kind="implausible",
        finding="the technique does not treat the indication, by the evidence records",
        meaning="codes of technique or indication are mapped wrongly, or the indication is that of another procedure",
        columns=("technique", "indication"),
        judge=judge_indication,
    ),
    Rule(
        name="refractory_to_opioids_not_taken",
        kind="contradictory",
        finding="pain that opioids no longer control, but an opioid dose of 0",
        meaning="a missing dose was read as 0",
        columns=("opioid_mme", "opioid_refractory_pain"),
        judge=make_comparison(
            "opioid_mme", "opioid_refractory_pain", broken=lambda dose, refractory: (dose == 0) & (refractory == 1)
        ),
    ),
    Rule(
        name="steroid_and_dose_disagree",
        kind="contradictory",
        finding="a steroid with dose 0, or a dose without a steroid",
        meaning="a missing dose was read as 0, or the dose is that of another drug",
        columns=("steroid", "steroid_dose_mg"),
        judge=judge_steroid,
    ),
    Rule(
        name="test_block_and_relief_disagree",
        kind="contradictory",
        finding="success of the test block and the relief after it lie on different sides of 50 %",
        meaning="the success was judged by another threshold (often 80 %), or by another block",
        columns=("test_block_success", "block_relief_percent"),
        judge=make_comparison(
            "test_block_success",
            "block_relief_percent",
            broken=lambda success, relief: (success == 1) != (relief >= 50),
        ),
    ),
    Rule(
        name="depression_score_without_depression",
        kind="contradictory",
        finding="no depression, but a HADS depression score of 11 or more",
        meaning="depression is known from the history alone: the contract counts a positive screen too",
        columns=("depression", "hads_depression"),
        judge=make_comparison("depression", "hads_depression", broken=lambda told, score: (told == 0) & (score >= 11)),
    ),
    Rule(
        name="anxiety_score_without_anxiety",
        kind="contradictory",
        finding="no anxiety, but a HADS anxiety score of 11 or more",
        meaning="anxiety is known from the history alone: the contract counts a positive screen too",
        columns=("anxiety", "hads_anxiety"),
        judge=make_comparison("anxiety", "hads_anxiety", broken=lambda told, score: (told == 0) & (score >= 11)),
    ),
    Rule(
        name="pregnant_man",
        kind="impossible",
        finding="a pregnant man",
        meaning="codes of sex are exchanged",
        columns=("pregnant", "sex"),
        judge=judge_pregnancy,
    ),
    Rule(
        name="child",
        kind="implausible",
        finding="age below 16 years",
        meaning="age is in another unit, or computed from a wrong date",
        columns=("age_years",),
        judge=make_comparison("age_years", broken=lambda age: age < 16),
    ),
    Rule(
        name="no_pain_before",
        kind="implausible",
        finding="no pain at all before a procedure for pain",
        meaning="a missing score was read as 0, or the score is that of the day after",
        columns=("pain_nrs",),
        judge=make_comparison("pain_nrs", broken=lambda pain: pain == 0),
    ),
    Rule(
        name="very_much_improved_with_more_pain",
        kind="contradictory",
        finding="PGIC very much improved at a visit with pain higher by 2 points or more",
        meaning="PGIC runs the other way (7 is best in some forms), or pain before and after are exchanged",
        columns=("pain_nrs", "visits.pain_nrs", "visits.pgic"),
        judge=judge_improved_with_more_pain,
    ),
    Rule(
        name="much_worse_with_half_relief",
        kind="contradictory",
        finding="PGIC much worse at a visit with pain lower by half or more",
        meaning="PGIC runs the other way (7 is best in some forms), or something else became worse",
        columns=("pain_nrs", "visits.pain_nrs", "visits.pgic"),
        judge=judge_worse_with_relief,
    ),
    Rule(
        name="perfect_health_with_pain",
        kind="contradictory",
        finding="an EQ-5D index of 1 (no problem at all) at a visit with pain of 4 or more",
        meaning="a missing index was read as 1, or the index is a visual scale divided by 100",
        columns=("visits.eq5d_index", "visits.pain_nrs"),
        judge=judge_perfect_with_pain,
    ),
    Rule(
        name="visit_before_or_on_the_day",
        kind="implausible",
        finding="a follow-up visit at month 0; visits before the procedure are rejects",
        meaning="a baseline visit was taken for follow-up, or dates of procedure and visit are exchanged",
        columns=("visits.month",),
        judge=judge_day_of_procedure,
    ),
    Rule(
        name="seen_after_death",
        kind="impossible",
        finding="a visit or event after the death of the patient",
        meaning="the date of death is wrong, or rows of two patients were joined",
        columns=("events.month", "visits.month"),
        judge=judge_after_death,
    ),
    Rule(
        name="several_deaths",
        kind="impossible",
        finding="more than one death in an episode",
        meaning="the death was copied to every follow-up",
        columns=("events.kind",),
        judge=judge_deaths,
    ),
    Rule(
        name="explant_without_implant",
        kind="impossible",
        finding="an explant after a procedure that implants nothing",
        meaning="the kind of event or the technique is mapped wrongly",
        columns=("events.kind", "technique"),
        judge=judge_explant,
    ),
    Rule(
        name="pain_never_changes",
        kind="implausible",
        finding="the same pain score before the procedure and at three or more visits",
        meaning="the score before the procedure was carried forward to visits that had none",
        columns=("pain_nrs", "visits.pain_nrs"),
        judge=judge_unchanged,
    ),
    Rule(
        name="sex_changes",
        kind="contradictory",
        finding="the sex of a patient differs between episodes",
        meaning="ids are shared by patients of several sites, or a value is mistyped",
        columns=("patient_id", "sex"),
        judge=make_patient_judge("sex"),
    ),
    Rule(
        name="age_does_not_follow_the_year",
        kind="contradictory",
        finding="the years of birth that follow from age and year differ by more than 2 within a patient",
        meaning="ids are shared by patients of several sites, or ages are those of the day of the export",
        columns=("patient_id", "procedure_year", "age_years"),
        judge=make_patient_judge("age_years", tolerance=2.0),
    ),
    Rule(
        name="same_episode_twice",
        kind="implausible",
        finding="two episodes of a patient that are alike in everything known before the procedure",
        meaning="an episode was exported twice under two ids",
        columns=("patient_id",),
        judge=judge_twins,
    ),
)
"""All rules, in the order of the contract."""
