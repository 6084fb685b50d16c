"""From published associations to the log odds ratio of a predictor: shrunk, turned the right way, counted once."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.evidence.figures import Baseline, Transform
from paincast.evidence.synthesis.counts import find_trials
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.odds import (
    ALLOWANCES,
    JUDGED,
    PRIOR_SD,
    TOLD,
    LogOdds,
    estimate_log_odds,
    measure_spread,
    measure_width,
    share_true,
)
from paincast.evidence.synthesis.study import Arm, Association, Study

HALF = Baseline(source="s", tag="FOUND", share=0.5)
AGE = Baseline(source="s", tag="FOUND", mean=60.0, sd=12.0)
YES = Transform(kind="equals", value=True)
SPREAD = Transform(kind="per_sd", value=True)


def make_association(**changes: Any) -> Association:
    told = {"of": "depression", "outcome": "pain_relief_50", "direction": "worse", "column": "depression"}
    return Association(**{**told, **changes})


def make_study(name: str = "a2020", *associations: Association, **changes: Any) -> Study:
    told = {
        "citation": "A 2020",
        "read_at": "https://example.org",
        "read": "abstract",
        "design": "prospective series",
        "population": "patients",
        "arms": {"all": Arm(kind="treatment", what="ablation", technique="facet_rfa")},
        "pmid": "1",
    }
    return Study(id=name, associations=associations, **{**told, **changes})


def estimate(*studies: Study, transform: Transform = YES, baseline: Baseline | None = HALF, **changes: Any) -> LogOdds:
    asked = {"column": "depression", "kind": "prognostic", "direction": "worse", "technique": "facet_rfa"}
    return estimate_log_odds(
        [(study, association) for study in studies for association in study.associations],
        transform=transform,
        baseline=baseline,
        trials=find_trials({study.id: study for study in studies}),
        **{**asked, **changes},
    )


def estimate_one(*, transform: Transform = YES, baseline: Baseline | None = HALF, **association: Any) -> LogOdds:
    return estimate(make_study("a2020", make_association(**association)), transform=transform, baseline=baseline)


PUBLISHED = {
    "contrast": {"equals": True},
    "measure": "odds ratio",
    "value": 2.42,
    "ci95": (1.82, 3.24),
    "direction": "better",
}


def test_a_published_odds_ratio_is_shrunk_and_keeps_its_sign():
    found = estimate_one(**PUBLISHED)
    assert found.basis == "size"
    assert found.studies == ("a2020",)
    assert 0.0 < found.mean < math.log(2.42)
    error = (math.log(3.24) - math.log(1.82)) / (2.0 * 1.959964) / 2.0
    variance = error**2 + ALLOWANCES["univariable"] ** 2
    weight = PRIOR_SD**2 / (PRIOR_SD**2 + variance)
    assert found.mean == pytest.approx(weight * math.log(2.42))
    assert found.sd == pytest.approx(2.0 * math.sqrt(weight * variance))
    assert found.mean - 1.96 * found.sd > 0.0
    harmful = estimate_one(**PUBLISHED | {"value": 1 / 2.42, "ci95": (1 / 3.24, 1 / 1.82), "direction": "worse"})
    assert harmful.mean == pytest.approx(-found.mean)
    assert harmful.sd == pytest.approx(found.sd)


def test_a_null_result_gives_no_effect_with_the_spread_that_its_size_leaves():
    small, large = (estimate_one(direction="none", n=n, contrast={"equals": True}) for n in (30, 3000))
    for found in (small, large):
        assert (found.mean, found.basis) == (0.0, "null")
    assert 0.0 < large.sd < small.sd < 2.0 * PRIOR_SD
    named = {"direction": "none", "outcome": "pain_relief_50", "of": "many things"}
    assert estimate_one(**named).basis == "judged", "of what was looked at in vain no column is told"


@pytest.mark.parametrize(("direction", "sign"), [("better", 1.0), ("worse", -1.0)])
def test_a_direction_alone_gives_the_stated_weak_size(direction, sign):
    found = estimate_one(direction=direction, n=4000)
    precision = 1.0 / TOLD[1] ** 2 + 1.0 / PRIOR_SD**2
    assert found.basis == "direction"
    assert found.mean == pytest.approx(sign * 2.0 * TOLD[0] / TOLD[1] ** 2 / precision)
    assert found.sd == pytest.approx(2.0 / math.sqrt(precision))
    assert abs(found.mean) < found.sd


@pytest.mark.parametrize(
    ("direction", "sign"), [("better for the young", 1.0), ("worse", -1.0), ("uncertain", 0.0), ("either way", 0.0)]
)
def test_what_no_study_reports_is_judged(direction, sign):
    found = estimate(direction=direction)
    assert found == LogOdds(sign * 2.0 * JUDGED[0], 2.0 * JUDGED[1], "judged", ())


BOUND = 60.0


@pytest.mark.parametrize(
    ("contrast", "turned", "transform", "baseline"),
    [
        ({"equals": True}, {"equals": False}, YES, HALF),
        ({"equals": 1}, {"equals": 0}, YES, HALF),
        ({"at_least": BOUND}, {"below": BOUND}, Transform(kind="per", value=10), AGE),
        ({"above": BOUND}, {"below": BOUND}, Transform(kind="at_least", value=70), AGE),
    ],
)
@pytest.mark.parametrize("published", [{"value": 2.0}, {"value": None, "n": 60}, {"value": None, "p": 0.01, "n": 60}])
def test_a_contrast_the_other_way_round_turns_the_sign(contrast, turned, transform, baseline, published):
    asked = PUBLISHED | {"ci95": None} | published
    one, other = (
        estimate_one(transform=transform, baseline=baseline, **asked | {"contrast": coded})
        for coded in (contrast, turned)
    )
    assert one.mean > 0.0
    assert other.mean == pytest.approx(-one.mean)
    assert other.sd == pytest.approx(one.sd)


@pytest.mark.parametrize(
    ("transform", "turned", "baseline"),
    [
        (YES, Transform(kind="equals", value=False), HALF),
        (Transform(kind="at_least", value=BOUND), Transform(kind="below", value=BOUND), AGE),
    ],
)
def test_a_predictor_the_other_way_round_has_the_other_sign(transform, turned, baseline):
    asked = PUBLISHED | {"contrast": {transform.kind: transform.value}}
    one, other = (estimate_one(transform=kind, baseline=baseline, **asked) for kind in (transform, turned))
    assert other.mean == pytest.approx(-one.mean) != 0.0
    for kind in (transform, turned):
        judged = estimate(transform=kind, baseline=baseline, direction="worse")
        assert judged.mean < 0.0, "a record says what its predictor does, not what its column does"


def test_an_odds_ratio_of_failure_is_one_of_response_turned_round():
    found = estimate_one(**PUBLISHED)
    failed = PUBLISHED | {"measure": "odds ratio of no response", "value": 1 / 2.42, "ci95": (1 / 3.24, 1 / 1.82)}
    assert estimate_one(**failed)[:2] == pytest.approx(found[:2])


odds_ratios = st.floats(0.05, 20.0)


@given(one=odds_ratios, other=odds_ratios, wide=st.floats(1.05, 5.0))
def test_a_larger_published_odds_ratio_never_gives_a_smaller_one(one, other, wide):
    """At the same precision; with a p value alone a larger estimate is a less precise one."""
    low, high = (
        estimate_one(**PUBLISHED | {"value": value, "ci95": (value / wide, value * wide)})
        for value in sorted((one, other))
    )
    assert low.mean <= high.mean + 1e-12
    for value, found in zip(sorted((one, other)), (low, high), strict=True):
        assert abs(found.mean) <= abs(math.log(value)) + 1e-12
        assert found.mean * math.log(value) >= 0.0


@pytest.mark.parametrize(
    ("column", "outcome", "counts"),
    [
        ("pain_nrs", "pain_change", False),
        ("pain_nrs", "pain", False),
        ("pain_nrs", "pain_relief_50", True),
        ("odi", "function_change", False),
        ("odi", "function_response", False),
        ("odi", "pain_change", True),
        ("womac", "function", False),
        ("depression", "pain_change", True),
        ("depression", "surgery_avoided", False),
        ("depression", "opioid_dose", False),
        ("depression", "quality_of_life", False),
    ],
)
def test_outcomes_that_are_coupled_with_the_measure_before_or_tell_of_no_response_do_not_count(column, outcome, counts):
    study = make_study("a2020", make_association(column=column, outcome=outcome, n=80, p=0.001))
    found = estimate(study, transform=SPREAD, baseline=None, column=column)
    assert (found.basis == "size") == counts
    assert found.studies == (("a2020",) if counts else ())


def test_a_duration_counts_only_as_a_hazard_of_losing_success():
    asked = {"outcome": "duration_months", "contrast": {"equals": True}, "value": 2.97, "ci95": (1.32, 6.65)}
    lost = estimate_one(**asked, measure="hazard ratio of losing success")
    assert lost.basis == "size"
    assert lost.mean < 0.0
    assert estimate_one(**asked, measure="hazard ratio of death").basis == "judged"


@pytest.mark.parametrize("design", ["guideline", "case report", "economic evaluation"])
def test_what_is_no_study_of_patients_does_not_count(design):
    assert estimate(make_study("a2020", make_association(**PUBLISHED), design=design)).basis == "judged"


def test_the_same_patients_count_once_and_others_add_up():
    one = make_study("a2020", make_association(**PUBLISHED))
    again = make_study("b2021", make_association(**PUBLISHED), overlaps=("a2020",))
    apart = make_study("c2022", make_association(**PUBLISHED))
    assert estimate(one, again) == estimate(one)
    both = estimate(one, apart)
    assert both.studies == ("a2020", "c2022")
    assert both.sd < estimate(one).sd
    assert estimate(one).mean < both.mean < math.log(2.42)


def test_of_a_study_the_nearest_outcome_counts_adjusted_before_plain():
    far = make_association(**PUBLISHED | {"outcome": "global_improvement", "value": 9.0, "ci95": (8.0, 10.0)})
    plain, adjusted = make_association(**PUBLISHED), make_association(**PUBLISHED, adjusted_for="age")
    alone = estimate(make_study("a2020", adjusted))
    assert estimate(make_study("a2020", far, plain, adjusted)) == alone
    assert alone.mean > estimate(make_study("a2020", plain)).mean


@pytest.mark.parametrize(
    ("study", "association", "asked"),
    [
        ({}, {"outcome": "pain_relief_other"}, {}),
        ({"arms": {"all": Arm(kind="treatment", what="x", technique="joint_injection")}}, {}, {}),
        ({}, {}, {"kind": "selection"}),
        ({"risk_of_bias": "high (the review)"}, {}, {}),
    ],
    ids=["another outcome", "another procedure", "selection", "high risk of bias"],
)
def test_what_is_less_direct_is_shrunk_more(study, association, asked):
    direct = estimate(make_study("a2020", make_association(**PUBLISHED)))
    less = estimate(make_study("a2020", make_association(**PUBLISHED | association), **study), **asked)
    assert 0.0 < less.mean < direct.mean
    assert less.sd > direct.sd


def test_a_correlation_and_a_coefficient_become_log_odds_of_their_direction():
    asked = {"transform": SPREAD, "baseline": AGE}
    correlated = {"measure": "correlation", "value": 0.4, "contrast": {"per_sd": True}, "n": 60}
    found = estimate_one(**correlated, direction="worse", **asked)
    exact = math.pi / math.sqrt(3.0) * 0.4 / math.sqrt(1.0 - 0.16)
    assert -exact < found.mean < -0.2
    assert estimate_one(**correlated, direction="better", **asked).mean == pytest.approx(-found.mean)
    points = {"measure": "coefficient", "value": 1.2, "contrast": {"equals": True}, "outcome": "pain_change", "n": 90}
    tenths = points | {"value": 12.0}
    assert estimate_one(**points, direction="worse").mean < 0.0
    of_100, of_10 = (estimate_one(**scale, direction="worse") for scale in (tenths, points))
    assert of_100[:2] == pytest.approx(of_10[:2])


@pytest.mark.parametrize(
    ("transform", "baseline", "share"),
    [
        (YES, Baseline(source="s", tag="t", share=0.3), 0.3),
        (Transform(kind="equals", value=False), Baseline(source="s", tag="t", share=0.3), 0.7),
        (YES, None, 0.5),
        (Transform(kind="at_least", value=60.0), AGE, 0.5),
        (Transform(kind="below", value=72.0), AGE, 0.8413),
        (Transform(kind="above", value=36.0), Baseline(source="s", tag="t", median=36.0, log_sd=0.8), 0.5),
        (Transform(kind="above", value=0), Baseline(source="s", tag="t", share=0.3, median=20.0, log_sd=1.0), 0.3),
        (Transform(kind="at_least", value=20), Baseline(source="s", tag="t", share=0.3, median=20.0, log_sd=1.0), 0.15),
        (Transform(kind="below", value=20), Baseline(source="s", tag="t", share=0.3, median=20.0, log_sd=1.0), 0.85),
        (Transform(kind="at_least", value=2), Baseline(source="s", tag="t", shares={0: 0.2, 1: 0.5, 2: 0.3}), 0.3),
        (Transform(kind="below", value=1), Baseline(source="s", tag="t", shares={0: 0.2, 1: 0.5, 2: 0.3}), 0.2),
        (Transform(kind="equals", value="a"), Baseline(source="s", tag="t", shares={"a": 0.4, "b": 0.6}), 0.4),
    ],
)
def test_the_share_of_whom_a_predictor_is_true(transform, baseline, share):
    assert share_true(transform, baseline) == pytest.approx(share, abs=1e-4)


def test_widths_are_in_standard_deviations():
    assert measure_width(SPREAD, None) == 1.0
    assert measure_width(Transform(kind="per", value=6.0), AGE) == pytest.approx(0.5)
    assert measure_width(YES, HALF) == pytest.approx(2.0)
    above = measure_width(Transform(kind="at_least", value=60.0), AGE)
    assert above == pytest.approx(2.0 * math.sqrt(2.0 / math.pi))
    assert measure_width(Transform(kind="below", value=60.0), AGE) == pytest.approx(-above)
    rare, rarest = (Baseline(source="s", tag="t", share=share) for share in (0.2, 0.001))
    assert measure_width(YES, rarest) == measure_width(YES, rare) == pytest.approx(2.5)
    assert measure_spread(Baseline(source="s", tag="t", shares={1.0: 0.5, 3.0: 0.5})) == pytest.approx(1.0)
    assert measure_spread(Baseline(source="s", tag="t", median=1.0, log_sd=1.0)) == pytest.approx(
        math.sqrt((math.e - 1.0) * math.e)
    )
    assert measure_spread(None) is None


def test_published_sizes_have_the_direction_that_the_study_tells():
    """In every study of the table: a size that is read the wrong way round would show here."""
    checked = 0
    for study in load_studies().values():
        for association in study.associations:
            if association.value is None or not association.contrast or association.direction == "none":
                continue
            [(kind, value)] = association.contrast.items()
            found = estimate(
                make_study("a2020", association),
                column="depression",
                transform=Transform(kind=kind, value=value),
                baseline=None,
            )
            if found.basis == "size" and "ratio" in association.measure:
                checked += 1
                assert (found.mean > 0) == (association.direction == "better"), (study.id, association.of)
    assert checked >= 30
