"""Response rates are pooled over primary studies, each patient once, and a curve says what it stands on."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.errors import DataError
from paincast.evidence import load_records, records_of
from paincast.evidence.comparators import is_near
from paincast.evidence.synthesis.counts import (
    FIRST_MONTH,
    NOT_PRIMARY,
    OTHER_OUTCOMES,
    OUTCOME,
    POOLED_ARMS,
    Count,
    Target,
    count_patients,
    find_trials,
    list_counts,
)
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.pooling import Pool, fit_pool, predict_curve
from paincast.evidence.synthesis.study import Arm, Result, Study

COUNTS = list_counts(load_studies())

TREATED = Arm(kind="treatment", what="ablation", technique="facet_rfa", n_randomised=50, n_treated=44, n_seen=40)


def make_result(**changes: Any) -> Result:
    told = {"arm": "rfa", "outcome": OUTCOME, "definition": "at least half", "denominator": "seen"}
    return Result(**{**told, "month": 6.0, "events": 20, "n": 40, **changes})


def make_study(name: str = "a2020", *results: Result, **changes: Any) -> Study:
    told = {
        "citation": "A 2020",
        "read_at": "https://example.org",
        "read": "abstract",
        "design": "randomised trial",
        "population": "patients",
        "indications": ("lumbar_facet",),
        "arms": {"rfa": TREATED},
        "pmid": "1",
    }
    return Study(id=name, results=results or (make_result(),), **{**told, **changes})


def count(*studies: Study) -> list[Count]:
    return list_counts({study.id: study for study in studies})


def test_a_count_is_taken_as_the_study_gives_it():
    [found] = count(make_study())
    assert (found.study, found.trial, found.arm) == ("a2020", "a2020", "rfa")
    assert (found.technique, found.approach, found.outcome, found.month) == ("facet_rfa", "", OUTCOME, 6.0)
    assert (found.events, found.n, found.intended) == (20.0, 40, False)
    [whole] = count(make_study("a2020", make_result(denominator="randomised")))
    assert whole.intended


@pytest.mark.parametrize(
    ("result", "study"),
    [
        ({"outcome": "function_response"}, {}),
        ({"outcome": "selection"}, {}),
        ({"outcome": "pain", "events": None, "mean": 3.0}, {}),
        ({"month": None}, {}),
        ({"month": 0.1}, {}),
        *(({}, {"design": design}) for design in NOT_PRIMARY),
        *(
            ({}, {"arms": {"rfa": Arm(kind=kind, what="x", technique="facet_rfa")}})
            for kind in ("sham", "placebo injection", "local anaesthetic", "usual care", "no treatment")
        ),
        ({}, {"arms": {"rfa": Arm(kind="treatment", what="exercise")}}),
        ({}, {"arms": {"rfa": Arm(kind="treatment", what="x", technique="facet_rfa", repeated=True)}}),
        ({}, {"arms": {"rfa": Arm(kind="treatment", what="x", technique="facet_rfa", regroups="other")}}),
    ],
)
def test_reviews_controls_and_what_is_no_response_after_one_procedure_are_left_out(result, study):
    assert count(make_study("a2020", make_result(**result), **study)) == []


@pytest.mark.parametrize("outcome", OTHER_OUTCOMES)
def test_other_outcomes_count_under_their_name(outcome):
    assert [found.outcome for found in count(make_study("a2020", make_result(outcome=outcome)))] == [outcome]


def test_an_arm_that_received_the_technique_as_a_comparator_counts():
    arms = {"rfa": Arm(kind="other technique", what="x", technique="facet_rfa")}
    assert len(count(make_study(arms=arms))) == 1


def test_of_several_counts_of_an_arm_the_largest_counts():
    seen, randomised = make_result(), make_result(denominator="randomised", n=50)
    for order in ((seen, randomised), (randomised, seen)):
        [found] = count(make_study("a2020", *order))
        assert (found.n, found.intended) == (50, True)
    assert len(count(make_study("a2020", seen, make_result(month=12.0), make_result(outcome="pain_relief_30")))) == 3


def test_patients_of_two_studies_count_once():
    first, again = make_study("a2020"), make_study("b2021", make_result(n=44), overlaps=("a2020",))
    [found] = count(first, again)
    assert (found.study, found.trial, found.n) == ("b2021", "a2020", 44)
    later = make_study("b2021", make_result(month=12.0), overlaps=("a2020",))
    assert [(found.study, found.month) for found in count(first, later)] == [("a2020", 6.0), ("b2021", 12.0)]
    assert {found.trial for found in count(first, later)} == {"a2020"}
    assert len(count(first, make_study("b2021"))) == 2


def test_studies_are_one_trial_by_way_of_others():
    chain = {name: make_study(name, overlaps=others) for name, *others in (["c"], ["a", "b"], ["b", "c"], ["d"])}
    assert find_trials(chain) == {"c": "a", "a": "a", "b": "a", "d": "d"}
    beyond = {"a": make_study("a", overlaps=("nowhere",))}
    assert find_trials(beyond) == {"a": "a"}


@pytest.mark.parametrize(
    ("result", "n"),
    [
        ({}, 40),
        ({"events": None, "n": None, "share": 0.5, "denominator": "seen"}, 40),
        ({"events": None, "n": None, "share": 0.5, "denominator": "treated"}, 44),
        ({"events": None, "n": None, "share": 0.5, "denominator": "implanted"}, 44),
        ({"events": None, "n": None, "share": 0.5, "denominator": "randomised"}, 50),
        ({"events": None, "n": None, "mean": 3.0}, None),
    ],
)
def test_the_patients_behind_a_share(result, n):
    assert count_patients(make_result(**result), TREATED) == n


def test_an_interval_tells_the_patients_of_a_share_without_a_count():
    unknown = Arm(kind="treatment", what="x", technique="facet_rfa")
    share, n = 0.5, 100.0
    reach = 1.959964 / np.sqrt(n * share * (1.0 - share))
    ends = tuple(1.0 / (1.0 + np.exp(-sign * reach)) for sign in (-1.0, 1.0))
    asked = {"events": None, "n": None, "share": share}
    assert count_patients(make_result(**asked, ci95=ends), unknown) == pytest.approx(n)
    assert count_patients(make_result(**asked), unknown) is None


def test_every_count_of_the_table_is_of_a_primary_study_and_an_arm_that_received_the_technique():
    studies = load_studies()
    assert len(COUNTS) > 200
    for item in COUNTS:
        study, arm = studies[item.study], studies[item.study].arms[item.arm]
        assert study.design not in NOT_PRIMARY
        assert arm.technique == item.technique
        assert arm.kind in POOLED_ARMS
        assert not arm.regroups
        assert not arm.repeated
        assert 0.0 <= item.events <= item.n
        assert item.n > 0
        assert item.month >= FIRST_MONTH


def test_every_patient_of_the_table_counts_once_at_a_month():
    arms = Counter((item.study, item.arm, item.outcome, item.month) for item in COUNTS)
    assert max(arms.values()) == 1
    by_trial: dict[tuple[str, ...], set[str]] = {}
    for item in COUNTS:
        by_trial.setdefault((item.trial, item.technique, item.outcome, str(item.month)), set()).add(item.study)
    assert max(map(len, by_trial.values())) == 1


def test_counts_are_those_of_the_files():
    held = {(item.study, item.arm, item.outcome, item.month): (item.events, item.n) for item in COUNTS}
    assert held["davis2018", "cooled_rfa", OUTCOME, 6.0] == (43, 58)
    assert held["davis2019", "cooled_rfa", OUTCOME, 12.0] == (34, 52)
    assert ("process2008", "medical", OUTCOME, 24.0) not in held
    anaesthetic = load_studies()["manchikanti2011caudal"].arms["anaesthetic"]
    assert anaesthetic.kind == "local anaesthetic"
    assert not [item for item in COUNTS if (item.study, item.arm) == ("manchikanti2011caudal", "anaesthetic")]


def draw_counts(rng: np.random.Generator) -> list[Count]:
    """Two techniques: one counted at two months in one indication, the other only in 30 % relief."""
    found = []
    for place in range(12):
        n = int(rng.integers(30, 90))
        for month, share in ((3.0, 0.6), (12.0, 0.4)):
            events = float(rng.binomial(n, share))
            found.append(
                Count(
                    f"a{place}",
                    f"a{place}",
                    "all",
                    "facet_rfa",
                    "",
                    OUTCOME,
                    ("lumbar_facet",),
                    month,
                    False,
                    events,
                    n,
                )
            )
        events = float(rng.binomial(n, 0.5))
        name = f"b{place}"
        found.append(
            Count(
                name,
                name,
                "all",
                "joint_injection",
                "",
                "pain_relief_30",
                ("hip_osteoarthritis",),
                3.0,
                False,
                events,
                n,
            )
        )
    return found


@pytest.fixture(scope="module")
def pool() -> Pool:
    return fit_pool(draw_counts(np.random.default_rng(2)))


def predict(pool: Pool, *months: float, indication: str = "lumbar_facet", **changes: Any) -> pd.DataFrame:
    target = Target("r", "facet_rfa", indication, "", months)._replace(**changes)
    return predict_curve(pool, target).set_index("month")


def test_a_curve_meets_what_was_counted_and_its_intervals_nest(pool):
    curve = predict(pool, 3.0, 6.0, 12.0)
    assert curve["share"].tolist() == pytest.approx([0.6, 0.5, 0.4], abs=0.06)
    assert (curve["predicted_lower"] < curve["lower"]).all()
    assert (curve["lower"] < curve["share"]).all()
    assert (curve["share"] < curve["upper"]).all()
    assert (curve["upper"] < curve["predicted_upper"]).all()


def test_a_curve_says_what_it_stands_on(pool):
    curve = predict(pool, 2.0, 3.0, 5.0, 60.0)
    assert curve["support"].tolist() == ["near month", "counted", "near month", "interpolated"]
    assert curve.loc[3.0, "studies"] == 12
    assert curve.loc[3.0, "n"] == sum(item.n for item in pool.counts if item.technique == "facet_rfa") / 2
    assert curve.loc[3.0, "of"].split(", ") == sorted({item.study for item in pool.counts if item.study[0] == "a"})
    assert curve.loc[60.0, ["studies", "n", "of"]].tolist() == [0, 0, ""]
    elsewhere = predict(pool, 3.0, indication="sacroiliac_joint")
    assert elsewhere["support"].tolist() == ["carried over"]
    hip = predict(pool, 3.0, technique="joint_injection", indication="hip_osteoarthritis")
    assert hip["support"].tolist() == ["other outcome"]
    assert predict(pool, 3.0, approach="caudal")["support"].tolist() == ["carried over"]


def test_the_less_a_curve_stands_on_the_wider_it_is(pool):
    def width(curve: pd.DataFrame) -> float:
        return float((curve["upper"] - curve["lower"]).iloc[0])

    counted, apart = predict(pool, 3.0), predict(pool, 3.0, indication="sacroiliac_joint")
    unknown = predict(pool, 3.0, technique="si_joint_rfa", indication="sacroiliac_joint")
    assert width(counted) < width(apart) < width(unknown)
    assert width(counted) < width(predict(pool, 60.0))


def test_over_all_who_were_randomised_fewer_respond(pool):
    target = Target("r", "facet_rfa", "lumbar_facet", "", (3.0,))
    seen, whole = predict_curve(pool, target), predict_curve(pool, target, intended=True)
    assert whole["share"].iloc[0] < seen["share"].iloc[0]
    assert whole["upper"].iloc[0] - whole["lower"].iloc[0] > seen["upper"].iloc[0] - seen["lower"].iloc[0]


def test_reports_of_a_trial_at_nearly_the_same_month_are_counted_once():
    first = make_study("a2020", make_result(month=47.0, n=45, events=20))
    again = make_study("b2021", make_result(month=48.0, n=84, events=40), overlaps=("a2020",))
    later = make_study("c2022", make_result(month=60.0, n=30, events=10), overlaps=("a2020",))
    assert [(item.study, item.month) for item in count(first, again)] == [("b2021", 48.0)]
    assert [item.study for item in count(first, again, later)] == ["b2021"], "60 lies within a quarter of 48"
    much_later = make_study("d2023", make_result(month=96.0, n=30, events=10), overlaps=("a2020",))
    assert [item.study for item in count(first, again, much_later)] == ["b2021", "d2023"]


def test_a_report_that_pools_trials_is_no_link_between_them_and_counts_where_they_do_not():
    trials = {name: make_study(name) for name in ("a2020", "b2021")}
    pooled = make_study("c2022", make_result(n=80, events=40), pools=("a2020", "b2021"))
    assert find_trials({**trials, "c2022": pooled}) == {"a2020": "a2020", "b2021": "b2021", "c2022": "c2022"}
    told = {name: make_study(name, overlaps=("c2022",)) for name in trials}
    assert len(set(find_trials({**told, "c2022": pooled}).values())) == 3
    assert [item.study for item in count(*trials.values(), pooled)] == ["a2020", "b2021"]
    silent = {
        name: make_study(name, make_result(outcome="pain_change", mean=-2.0, events=None, n=None)) for name in trials
    }
    assert [item.study for item in count(*silent.values(), pooled)] == ["c2022"]
    review = make_study("d2023", overlaps=("a2020", "b2021"), design="meta-analysis")
    assert len(set(find_trials({**trials, "d2023": review}).values())) == 3


def test_patients_of_several_reports_are_summed_once():
    first = make_study("a2020", make_result(n=40, month=12.0))
    again = make_study("b2021", make_result(n=30, events=12, month=24.0), overlaps=("a2020",))
    other = make_study("c2022", make_result(n=25, events=10, month=18.0))
    curve = predict(fit_pool(count(first, again, other)), 18.0)
    assert (curve.loc[18.0, "support"], curve.loc[18.0, "n"]) == ("counted", 25)
    curve = predict(fit_pool(count(first, again)), 16.0)
    assert (curve.loc[16.0, "support"], curve.loc[16.0, "studies"], curve.loc[16.0, "n"]) == ("counted", 1, 40)
    curve = predict(fit_pool(count(first, again)), 18.0)
    assert (curve.loc[18.0, "support"], curve.loc[18.0, "studies"], curve.loc[18.0, "n"]) == ("near month", 2, 40)


def test_without_a_count_there_is_no_model():
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVIDENCE-38"):
        fit_pool([])


@pytest.mark.parametrize("record", [record for record in load_records() if record.response], ids=lambda item: item.id)
def test_what_supports_a_point_is_what_the_table_counts(record):
    own = [
        item
        for item in COUNTS
        if item.technique == record.technique
        and record.indication in item.indications
        and record.approach in (None, item.approach)
    ]
    for month, point in record.response.points.items():
        near = [item for item in own if is_near(item.month, month)]
        half = [item for item in near if item.outcome == OUTCOME]
        at = [item for item in half if abs(item.month - month) <= month / 4]
        kinds = {"counted": at, "near month": half, "other outcome": near, "interpolated": own, "carried over": [month]}
        assert point.support == next(kind for kind, found in kinds.items() if found), month
        counted = at or half
        assert set(point.source) == {item.study for item in counted or near}
        reports: Counter[tuple[str, str, str, float]] = Counter()
        for item in counted or near:
            reports[item.trial, item.study, item.outcome, item.month] += item.n
        largest = {trial: max(n for key, n in reports.items() if key[0] == trial) for trial, *_ in reports}
        assert point.n == round(sum(largest.values()))


def test_the_command_writes_the_pooled_curves(capsys):
    assert run(["evidence", "si_joint_rfa", "--pooled"]) == 0
    written = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index(["record", "month"])
    points = {
        (record.id, month): point
        for record in records_of("si_joint_rfa")
        if record.response
        for month, point in record.response.points.items()
    }
    assert set(written.index) == set(points)
    for key, point in points.items():
        row = written.loc[key]
        assert (row["share"], row["lower"], row["upper"], row["support"], row["n"]) == (
            *point[:3],
            point.support,
            point.n,
        )
    for arguments in (["--pooled"], ["si_joint_rfa", "--pooled", "--studies"], ["si_joint_rfaa", "--pooled"]):
        assert run(["evidence", *arguments]) == 2
    capsys.readouterr()
    assert run(["evidence", "vertebral_augmentation", "--pooled"]) == 2
    assert "PC-EVIDENCE-56" in capsys.readouterr().err
