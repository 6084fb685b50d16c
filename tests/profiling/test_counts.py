"""Every table of a profile, held against counts that a loop over rows makes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort
from paincast.evidence import load_record
from paincast.profiling import Profile, compute_profile
from paincast.profiling.drift import compute_case_mix
from paincast.profiling.follow_up import WINDOWS
from paincast.profiling.linked import link_cohort
from paincast.schema import COMPARATORS, EPISODES, is_model_input
from paincast.statistics import compute_wilson_interval

MONTH_OF = {"facet_rfa": 6.0, "genicular_rfa": 3.0, "epidural_steroid_injection": 3.0}


@pytest.fixture(scope="module")
def cohort(invent) -> Cohort:
    return invent(300, seed=5)


@pytest.fixture(scope="module")
def profile(cohort: Cohort) -> Profile:
    return compute_profile(cohort)


@pytest.fixture(scope="module")
def rows(cohort: Cohort) -> list[dict]:
    """Episodes as dictionaries without missing values, each with its visits and the month of its death."""
    return list_rows(cohort)


def list_rows(cohort: Cohort) -> list[dict]:
    found = [strip(row) for row in cohort.episodes.to_dict("records")]
    visits = [strip(row) for row in cohort.visits.to_dict("records")]
    deaths = [strip(row) for row in cohort.events.to_dict("records") if row["kind"] == "death"]
    for row in found:
        row["visits"] = [visit for visit in visits if visit["episode_id"] == row["episode_id"]]
        row["died"] = min((d["month"] for d in deaths if d["episode_id"] == row["episode_id"]), default=np.inf)
    return found


def strip(row: dict) -> dict:
    return {name: value for name, value in row.items() if pd.notna(value)}


def respond(row: dict, month: float, share: float = 0.5) -> bool | None:
    """Label an episode as the definition of pain response says it; None if it is unknown or not asked."""
    if not row.get("pain_nrs"):
        return None
    scored = [
        (abs(visit["month"] - month), visit["month"], visit["pain_nrs"])
        for visit in row["visits"]
        if "pain_nrs" in visit and 0.5 * month <= visit["month"] <= 1.5 * month
    ]
    return row["pain_nrs"] - min(scored)[2] >= share * row["pain_nrs"] - 1e-9 if scored else None


def month_of(profile: Profile, row: dict) -> float:
    return profile.months[row["technique"]]


def has_pain_after(row: dict) -> bool:
    return any("pain_nrs" in visit and visit["month"] > 0 for visit in row["visits"])


def test_months_are_those_of_the_evidence(profile: Profile) -> None:
    assert {name: profile.months[name] for name in MONTH_OF} == MONTH_OF


def test_flow(profile: Profile, rows: list[dict]) -> None:
    flow = profile.tables["flow"].set_index("step")
    expected = {
        "a technique, not a comparator": sum(row["technique"] not in COMPARATORS for row in rows),
        "indication known": sum("indication" in row for row in rows),
        "pain before the procedure": sum("pain_nrs" in row for row in rows),
        "any follow-up": sum(any(visit["month"] > 0 for visit in row["visits"]) for row in rows),
        "pain at follow-up": sum(has_pain_after(row) for row in rows),
        "pain before and after": sum("pain_nrs" in row and has_pain_after(row) for row in rows),
        "pain response known at its primary month": sum(
            respond(row, month_of(profile, row)) is not None for row in rows
        ),
    }
    assert flow["count"].to_dict() == expected
    assert set(flow["n"]) == {len(rows)}
    by_technique = profile.tables["flow_by_technique"]
    for technique in {row["technique"] for row in rows}:
        found = by_technique[by_technique["technique"] == technique].set_index("step")["count"]
        assert found["pain before the procedure"] == sum(
            "pain_nrs" in row for row in rows if row["technique"] == technique
        )


def test_missing_values_count_where_a_technique_records_the_column(profile: Profile, rows: list[dict]) -> None:
    missing = profile.tables["missing"]
    found = missing[missing["table"] == "episodes"].set_index("column")
    for column in ("site_id", "approach", "bmi", "opioid_mme", "womac"):
        techniques = {row["technique"] for row in rows if column in row}
        asked = [row for row in rows if row["technique"] in techniques]
        assert found.loc[column, "n"] == len(asked)
        assert found.loc[column, "count"] == sum(column not in row for row in asked)
    visits = missing[missing["table"] == "visits"].set_index("column")
    all_visits = [visit for row in rows for visit in row["visits"]]
    assert visits.loc["pgic", "count"] == sum("pgic" not in visit for visit in all_visits)
    assert visits.loc["pgic", "n"] == len(all_visits)


@pytest.mark.parametrize(("table", "group", "column"), [("site", "site_id", "bmi"), ("year", "procedure_year", "sex")])
def test_missing_values_by_group(profile: Profile, rows: list[dict], table: str, group: str, column: str) -> None:
    found = profile.tables[f"missing_by_{table}"]
    counts = found[found["column"] == column].set_index(table)["count"].to_dict()
    expected = Counter(str(row.get(group, "not known")).removesuffix(".0") for row in rows if column not in row)
    assert counts == expected


def test_patterns_hold_each_episode_once(profile: Profile, rows: list[dict]) -> None:
    inputs = [name for name, column in EPISODES.items() if is_model_input(column) and any(name in row for row in rows)]
    by_column = {name: {row["technique"] for row in rows if name in row} for name in inputs}
    patterns = Counter(
        frozenset(name for name in inputs if name not in row and row["technique"] in by_column[name]) for row in rows
    )
    found = profile.tables["patterns"]
    assert found["count"].sum() == len(rows)
    for row in found.to_dict("records"):
        if row["pattern"] == "nothing missing":
            assert row["count"] == patterns[frozenset()]
        elif row["pattern"] != "other patterns":
            assert row["count"] == patterns[frozenset(row["pattern"].split("; "))]


def test_missing_links(profile: Profile, rows: list[dict]) -> None:
    links = profile.tables["missing_links"].set_index(["column", "value", "question"])
    lacking = [row for row in rows if "bmi" not in row]
    assert links.loc[("bmi", "missing", "followed up"), "count"] == sum(has_pain_after(row) for row in lacking)
    responses = [respond(row, month_of(profile, row)) for row in lacking]
    assert links.loc[("bmi", "missing", "response"), "n"] == sum(value is not None for value in responses)
    assert links.loc[("bmi", "missing", "response"), "count"] == sum(value is True for value in responses)


@pytest.mark.parametrize("month", [1.0, 6.0, 24.0])
def test_follow_up(profile: Profile, rows: list[dict], month: float) -> None:
    first, last = WINDOWS[month]
    due = [row for row in rows if not row["died"] < month]
    found = profile.tables["follow_up"].set_index(["month", "held"])
    by_site = profile.tables["follow_up_by_site"].set_index(["month", "held", "site"])
    for held, measure in (("any visit", "month"), ("pain", "pain_nrs")):
        seen = [
            row for row in due if any(first <= visit["month"] < last and measure in visit for visit in row["visits"])
        ]
        assert found.loc[(month, held), ["n", "count"]].tolist() == [len(due), len(seen)]
        for site in ("clinic-0", "not known"):
            at_site = [row for row in seen if row.get("site_id", "not known") == site]
            assert by_site.loc[(month, held, site), "count"] == len(at_site)


@pytest.mark.parametrize(("outcome", "share"), [("pain_response", 0.5), ("pain_response_30", 0.3)])
def test_outcomes_by_technique(profile: Profile, rows: list[dict], outcome: str, share: float) -> None:
    found = profile.tables["outcomes"]
    found = found[found["outcome"] == outcome].set_index("technique")
    for technique, month in profile.months.items():
        labels = [respond(row, month, share) for row in rows if row["technique"] == technique]
        known = [label for label in labels if label is not None]
        assert found.loc[technique, ["n", "count"]].tolist() == [len(known), sum(known)]
        limits = compute_wilson_interval(sum(known) / len(known), len(known))
        assert found.loc[technique, ["lower", "upper"]].tolist() == pytest.approx([float(limit) for limit in limits])


def test_change_of_pain_is_the_mean_difference(profile: Profile, rows: list[dict]) -> None:
    found = profile.tables["changes"].set_index("technique").loc["facet_rfa"]
    changes = []
    for row in rows:
        if row["technique"] == "facet_rfa" and "pain_nrs" in row:
            scored = [(abs(v["month"] - 6), v["month"], v["pain_nrs"]) for v in row["visits"] if "pain_nrs" in v]
            scored = [item for item in scored if 3 <= item[1] <= 9]
            changes += [min(scored)[2] - row["pain_nrs"]] if scored else []
    assert found["n"] == len(changes)
    assert found["mean"] == pytest.approx(np.mean(changes))


def test_outcomes_that_cannot_be_computed_say_why(profile: Profile) -> None:
    found = profile.tables["outcomes"].set_index(["technique", "outcome"])["because"]
    assert (
        found["facet_rfa", "function_response"] == "no visit of any technique holds odi, womac or 11 other instruments"
    )
    assert found["facet_rfa", "pain_response"] == ""


def test_expected_matches_technique_indication_approach_and_month(profile: Profile, rows: list[dict]) -> None:
    found = profile.tables["expected"]
    facet = found[found["technique"] == "facet_rfa"].set_index("indication")
    record = load_record("facet_rfa", "lumbar_facet")
    assert record.response is not None
    point = record.response.points[6.0]
    own = facet.loc["lumbar_facet"]
    assert (own["expected"], own["expected_lower"]) == (point.share, point.predicted_lower)
    known = [
        respond(row, 6.0) for row in rows if row["technique"] == "facet_rfa" and row.get("indication") == "lumbar_facet"
    ]
    known = [label for label in known if label is not None]
    assert (own["n"], own["count"]) == (len(known), sum(known))
    assert facet.loc["crps", "because"]
    assert facet.loc["not known", "because"] == "the indication is not known"
    assert np.isnan(facet.loc["crps", "expected"])
    comparators = found[found["technique"] == "usual_care"]
    assert (comparators["because"] != "").all()
    assert found["n"].sum() == sum(respond(row, month_of(profile, row)) is not None for row in rows)


def test_pain_told_by_another_instrument_counts_and_is_not_held_against_evidence(
    cohort: Cohort, profile: Profile
) -> None:
    moved = {
        name: getattr(cohort, name).assign(peg=getattr(cohort, name)["pain_nrs"], pain_nrs=np.nan)
        for name in ("episodes", "visits")
    }
    tables = compute_profile(Cohort(**moved, events=cohort.events, basis="synthetic")).tables
    for name in ("flow", "follow_up", "drift"):
        pd.testing.assert_frame_equal(tables[name], profile.tables[name])
    outcomes = tables["outcomes"].set_index(["outcome", "technique"]).loc["pain_response"]
    assert set(outcomes["instruments"]) == {"peg"}
    facet = tables["expected"].set_index(["technique", "indication"]).loc[("facet_rfa", "lumbar_facet")]
    assert facet["because"] == "the evidence counts no response by the instrument of these episodes"
    assert np.isnan(facet["expected"])


def test_drift_by_year(profile: Profile, rows: list[dict]) -> None:
    drift = profile.tables["drift"].set_index(["question", "year"])
    for year in ("2015", "2020"):
        of_year = [row for row in rows if str(row.get("procedure_year")) == year]
        labels = [respond(row, month_of(profile, row)) for row in of_year]
        assert drift.loc[("pain response", year), "count"] == sum(label is True for label in labels)
        assert drift.loc[("pain at follow-up", year), "n"] == len(of_year)


def test_case_mix_compares_each_year_with_all_others(profile: Profile, rows: list[dict]) -> None:
    mix = profile.tables["case_mix"].set_index(["variable", "year"])
    known = [(str(row.get("procedure_year", "not known")), row["bmi"]) for row in rows if "bmi" in row]
    own, others = ([bmi for year, bmi in known if (year == "2017") is is_own] for is_own in (True, False))
    row = mix.loc[("bmi", "2017")]
    assert row["mean"] == pytest.approx(np.mean(own))
    sd = np.std([bmi for _, bmi in known])
    assert row["difference"] == pytest.approx((np.mean(own) - np.mean(others)) / sd)
    shares = [row["sex"] == "female" for row in rows if "sex" in row and str(row.get("procedure_year")) == "2017"]
    assert mix.loc[("sex: female", "2017"), "mean"] == pytest.approx(np.mean(shares))


def test_a_year_with_other_patients_is_notable(invent) -> None:
    cohort = invent(600, seed=2)
    year = cohort.episodes["procedure_year"]
    older = cohort.episodes["age_years"].mask((year == 2019).fillna(value=False), cohort.episodes["age_years"] + 15)
    changed = Cohort(
        episodes=cohort.episodes.assign(age_years=older), visits=cohort.visits, events=cohort.events, basis="synthetic"
    )
    mix = compute_case_mix(link_cohort(changed))
    assert mix.loc[mix["is_notable"], ["variable", "year"]].to_numpy().tolist() == [["age_years", "2019"]]
    assert mix["variable"].iloc[0] == "age_years"


def test_relief_is_lost_for_good(profile: Profile) -> None:
    relief = profile.tables["relief"]
    for _, course in relief.groupby("technique"):
        assert course["holds"].is_monotonic_decreasing
        assert course["lost"].is_monotonic_increasing
        assert (course["holds"] + course["lost"] <= 1 + 1e-9).all()


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("basis", ["synthetic", "real"])
def test_tiny_cohorts_have_a_profile(invent, n: int, basis: str) -> None:
    profile = compute_profile(invent(n, basis=basis))
    assert profile.n_episodes == (n if basis == "synthetic" else round(n / 5) * 5)


def test_a_cohort_with_hardly_a_value_has_a_profile(invent) -> None:
    cohort = invent(50)
    episodes = cohort.episodes.copy()
    for name, column in EPISODES.items():
        if not column.required:
            episodes[name] = pd.Series(None, index=episodes.index, dtype=episodes[name].dtype)
    empty = Cohort(episodes=episodes, visits=cohort.visits.iloc[:0], events=cohort.events.iloc[:0], basis="synthetic")
    profile = compute_profile(empty)
    assert profile.tables["follow_up"].empty
    assert profile.tables["expected"].empty
    assert (profile.tables["outcomes"]["because"] != "").all()
    assert profile.tables["flow"].set_index("step").loc["indication known", "count"] == 0
    absent = Cohort(
        episodes=episodes.assign(technique=pd.Series(pd.NA, index=episodes.index, dtype="str")),
        visits=cohort.visits,
        events=cohort.events,
        basis="real",
    )
    assert list(compute_profile(absent).months) == ["not known"]
