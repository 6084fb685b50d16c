"""Every technique in every indication has a plan, every number says what it stands on, and no result orders any."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import paincast
from paincast.errors import PaincastError, SettingsError
from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.records import gaps_of, load_record, load_sources, records_of
from paincast.evidence.scenarios import shift_curve, shift_intervals
from paincast.files.json_schema import compile_schema
from paincast.planning.contents import Plan, TechniquePlan, describe_plan, make_plan_schema
from paincast.planning.expected import COUNTED, PAIN
from paincast.planning.figures import BASES, NOT_VALIDATED, Figure
from paincast.planning.planner import ORDER, plan
from paincast.planning.suitability import GROUPS
from paincast.planning.text import format_plan
from paincast.schema import EPISODES, INDICATIONS, TECHNIQUES

ROOT = Path(__file__).resolve().parents[2]
CLEAR: dict[str, Any] = {
    "age_years": 60,
    "sex": "female",
    **dict.fromkeys(
        ("active_infection", "pregnant", "anticoagulant", "coagulation_disorder", "contrast_allergy"), False
    ),
    **dict.fromkeys(("diabetes", "cardiovascular_disease", "cardiac_device", "scoliosis"), False),
    **dict.fromkeys(("active_psychosis", "untreated_major_depression", "substance_use_disorder"), False),
    **dict.fromkeys(("bowel_obstruction", "peripheral_artery_disease", "planned_knee_replacement"), False),
    "spine_operations": 0,
    "inr": 1.0,
    "platelets_10e9_per_l": 250,
    "life_expectancy_months": 240,
    "systolic_blood_pressure_mmhg": 130,
    "egfr_ml_min_1_73m2": 90,
    "stimulation_trial_success": True,
}
"""Facts by which no rule holds and none is open."""


def walk(value: Any) -> Iterator[Figure]:
    """Yield every figure of a plan."""
    if isinstance(value, Figure):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from walk(getattr(value, field.name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from walk(item)


def find(made: Plan, technique: str) -> TechniquePlan:
    [item] = [item for item in made.techniques if item.technique == technique]
    return item


PLANS = {name: plan({**CLEAR, "indication": name}) for name in INDICATIONS}


@pytest.mark.parametrize("indication", INDICATIONS)
def test_every_technique_is_in_one_group_in_the_fixed_order(indication: str) -> None:
    made = PLANS[indication]
    assert sorted(item.technique for item in made.techniques) == sorted(TECHNIQUES)
    places = [(GROUPS.index(item.group), TECHNIQUES.index(item.technique)) for item in made.techniques]
    assert places == sorted(places)
    assert made.order == ORDER
    for item in made.techniques:
        assert item.because
        covered = any(indication in record.indications and not record.gap for record in records_of(item.technique))
        assert (item.group == "indicated") == covered
        assert bool(item.records) == covered
        if indication in gaps_of(item.technique):
            assert gaps_of(item.technique)[indication] in item.because[0]


@pytest.mark.parametrize("indication", INDICATIONS)
def test_every_number_says_what_it_stands_on(indication: str) -> None:
    made = PLANS[indication]
    for figure in walk(made):
        assert figure.basis in BASES
        assert figure.validation
        assert figure.unit
        ends = [end for end in (figure.lower, figure.value, figure.upper) if end is not None]
        assert ends == sorted(ends)
        if figure.value is not None:
            assert figure.source or figure.n == 0
            assert figure.tag or figure.basis in ("schedule", "stated")
            if figure.lower is not None:
                assert figure.interval
                assert (figure.confidence == 0.95) == figure.interval.startswith("95 % interval")
            else:
                assert figure.confidence is None
            if figure.name.startswith(PAIN) and figure.unit == "share":
                assert figure.denominator or figure.note.partition(":")[0] in CONTROL_KINDS
        elif figure.lower is None:
            assert figure.note
        if figure.basis == "published":
            assert set(figure.source) <= set(made.sources)
            assert figure.validation == NOT_VALIDATED
    assert set(made.sources) <= set(load_sources())


@pytest.mark.parametrize("indication", INDICATIONS)
def test_a_plan_fits_its_schema_and_is_written_as_text(indication: str) -> None:
    plain = json.loads(json.dumps(describe_plan(PLANS[indication]), allow_nan=False))
    compile_schema(make_plan_schema())(plain)
    text = format_plan(PLANS[indication])
    assert max(map(len, text.splitlines())) <= 160
    for item in PLANS[indication].techniques:
        assert item.technique in text


def test_the_schema_of_the_docs_is_the_one_that_the_types_declare() -> None:
    published = json.loads((ROOT / "docs" / "plan.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(make_plan_schema()))


def test_all_expected_outcomes_are_at_one_month_and_those_of_the_curve() -> None:
    made = PLANS["knee_osteoarthritis"]
    assert made.month == 3.0
    for item in made.techniques:
        for expected in item.expected:
            record = load_record(item.technique, "knee_osteoarthritis")
            assert expected.figure.month == made.month
            assert expected.figure.value == pytest.approx(shift_curve(record, "literature")[3.0])
            ends = (expected.figure.lower, expected.figure.upper)
            assert ends == pytest.approx(shift_intervals(record, "literature")[3.0])
        assert {figure.month for figure in item.durability} <= {6.0, 12.0, 24.0, 60.0}


def test_a_month_that_a_curve_lacks_has_no_figure_and_says_which_months_have() -> None:
    made = plan({**CLEAR, "indication": "knee_osteoarthritis"}, month=5)
    for item in made.techniques[:3]:
        [expected] = item.expected
        assert expected.figure.value is None
        assert "month 5" in expected.figure.note
        assert "1, 3, 6" in expected.figure.note
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-SERVING-29"):
        plan({**CLEAR, "indication": "knee_osteoarthritis"}, month=-1)


def test_a_point_that_no_study_counts_says_between_which_months_it_is_read() -> None:
    """Points of a record at a month far from any count are read off the pooled course, and say so."""
    supports = set()
    for indication in INDICATIONS:
        for month in (1.0, 3.0, 6.0, 12.0):
            for item in plan({**CLEAR, "indication": indication}, month=month).techniques:
                for expected in item.expected:
                    if expected.figure.value is None:
                        assert expected.support == ""
                        continue
                    supports.add(expected.support)
                    own = [one for one in records_of(item.technique) if one.id in item.records]
                    [record] = [one for one in own if (one.approach or "") == expected.approach]
                    assert record.response is not None
                    points = record.response.points
                    assert expected.support == points[month].support
                    assert expected.figure.n == points[month].n
                    assert (expected.figure.n == 0) == (expected.support in ("interpolated", "carried over"))
                    counted = [of for of, point in points.items() if point.support in COUNTED]
                    if expected.support == "interpolated" and counted:
                        around = [max((of for of in counted if of < month), default=None)]
                        around += [min((of for of in counted if of > month), default=None)]
                        named = [f"{of:g}" for of in around if of is not None]
                        assert all(name in expected.figure.note for name in named)
    assert supports >= {"counted", "near month", "interpolated", "carried over"}


def test_borrowed_evidence_does_not_count_as_the_patients_own() -> None:
    for indication in INDICATIONS:
        made = PLANS[indication]
        if made.month is None:
            continue
        own = [
            item.technique
            for item in made.techniques
            if item.group == "indicated"
            and any(one.support in COUNTED and not one.borrowed_from for one in item.expected)
        ]
        assert f", {len(own)} of them from studies of the indication" in made.month_because
    stimulation = PLANS["failed_back_surgery"]
    assert stimulation.month == 12.0
    [borrowed] = find(stimulation, "epidural_steroid_injection").expected
    assert (borrowed.borrowed_from, borrowed.support) == ("lumbar_stenosis", "counted")


@pytest.mark.parametrize("age", [12, 17.9, 120])
def test_a_patient_of_other_ages_than_the_evidence_has_no_expected_share(age: float) -> None:
    made = plan({**CLEAR, "indication": "failed_back_surgery", "age_years": age}, month=6)
    for item in made.techniques[:2]:
        assert item.ages
        assert {one.support for one in item.expected} == {"other ages"}
        figures = [*(one.figure for one in item.expected), *(one for one in item.durability if one.unit == "share")]
        assert all((one.value, one.lower, one.n) == (None, None, None) and item.ages in one.note for one in figures)
        assert not any(one.control for one in item.expected)
        assert {one.status for one in item.benefits} <= {"refused"}
        assert any(harm.figure.value is not None for harm in item.harms)
        assert item.ages in " ".join(format_plan(made).split())
    unasked = plan({**CLEAR, "indication": "failed_back_surgery", "age_years": age})
    assert unasked.month is None
    assert all(item.ages for item in unasked.techniques[:2])


def test_adults_within_the_ages_of_the_evidence_have_it() -> None:
    for age in (25, 60, 95):
        made = plan({**CLEAR, "indication": "failed_back_surgery", "age_years": age}, month=6)
        assert not any(item.ages for item in made.techniques)
    assert not any(item.ages for item in plan({"indication": "failed_back_surgery"}).techniques)


def test_an_approach_chooses_its_record() -> None:
    every = find(PLANS["lumbar_radicular_disc"], "epidural_steroid_injection")
    assert [item.approach for item in every.expected] == ["transforaminal", "interlaminar", "caudal"]
    one = find(
        plan({**CLEAR, "indication": "lumbar_radicular_disc", "approach": "caudal"}), "epidural_steroid_injection"
    )
    assert one.records == ("esi_caudal__lumbar_radicular_disc",)
    borrowed = find(PLANS["failed_back_surgery"], "epidural_steroid_injection")
    assert borrowed.records == ("esi_caudal__lumbar_stenosis",)
    assert "lumbar_stenosis" in borrowed.expected[0].figure.note
    other = plan({**CLEAR, "indication": "failed_back_surgery", "approach": "interlaminar"})
    assert find(other, "epidural_steroid_injection").group == "not indicated"


def test_studies_of_two_procedures_are_shown_and_order_nothing() -> None:
    made = PLANS["lumbar_facet"]
    assert {item.source for item in made.comparisons} >= {"lakemeier2013", "do2017", "crfa_fji2023"}
    assert [item.technique for item in made.techniques if item.group == "indicated"] == [
        "facet_joint_injection",
        "facet_rfa",
    ]


def test_the_order_of_techniques_does_not_hang_on_results(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [item.technique for item in PLANS["knee_osteoarthritis"].techniques]
    shares = {"joint_injection": 0.01, "genicular_rfa": 0.99, "genicular_artery_embolization": 0.5}

    def invert(record: Any, indication: str, month: float, remark: str = "") -> Figure:
        del indication, remark
        value = 1.0 - shares[record.technique]
        return Figure(name=PAIN, unit="share", basis="published", validation="x", value=value, month=month)

    for read in (invert, lambda *arguments: dataclasses.replace(invert(*arguments), value=0.5)):
        monkeypatch.setattr("paincast.planning.expected.read_curve", read)
        made = plan({**CLEAR, "indication": "knee_osteoarthritis"})
        assert [item.technique for item in made.techniques] == before


def test_no_value_of_the_patient_is_repeated() -> None:
    patient = {"indication": "lumbar_facet", "age_years": 61.25, "bmi": 33.875, "site_id": "Ward-Seven"}
    text = json.dumps(describe_plan(plan(patient))) + format_plan(plan(patient))
    assert not any(value in text for value in ("61.25", "33.875", "Ward-Seven"))


def test_work_up_names_what_rules_tests_and_predictions_lack() -> None:
    made = plan({"indication": "lumbar_facet"})
    kinds = {(item.kind, item.column): item.techniques for item in made.work_up}
    assert kinds["rule", "active_infection"] == ("facet_joint_injection", "facet_rfa")
    assert kinds["test", "diagnostic_blocks_positive"] == ("facet_rfa",)
    assert ("model", "depression") in kinds
    assert all(item.column in EPISODES for item in made.work_up)
    after = plan({"indication": "lumbar_facet", "diagnostic_blocks_positive": 2, "depression": False})
    left = {(item.kind, item.column) for item in after.work_up}
    assert not {("test", "diagnostic_blocks_positive"), ("model", "depression")} & left
    [step] = [item for item in find(after, "facet_rfa").steps if item.column == "diagnostic_blocks_positive"]
    assert step.is_known
    assert step.passes is not None
    assert step.passes.n


@pytest.mark.parametrize(
    "patient",
    [
        {"indication": "sore knees"},
        {"unheard_of": 1},
        {},
        [],
        [{"indication": "crps"}, {"indication": "crps"}],
        "nowhere.yaml",
        "nowhere.csv",
        7,
    ],
)
def test_what_is_no_patient_is_an_error_in_one_line(patient: object) -> None:
    with pytest.raises(PaincastError, check=lambda error: bool(error.code)) as told:
        paincast.plan(patient)
    assert "sore" not in str(told.value)
