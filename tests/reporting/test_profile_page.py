"""The page of a profile: whole, self-contained, readable without its pictures, and without a patient's value."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from paincast.cohort.rejects import BrokenRule, make_rejects
from paincast.cohort.tables import Cohort, conform
from paincast.profiling import compute_profile
from paincast.reporting.profile.findings import list_findings
from paincast.reporting.profile.page import summarize_profile, write_profile
from paincast.reporting.profile.tables import tabulate_rejects
from paincast.simulator import simulate_cohort


@pytest.fixture(scope="module")
def simulated() -> Cohort:
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=300, seed=4)
    return cohort


def mark_as_real(cohort: Cohort) -> Cohort:
    """Give simulated patients names that no page may show, and let them be real."""
    episodes = cohort.episodes.assign(patient_id="SECRET-" + cohort.episodes["patient_id"])
    names = "CASE-" + cohort.episodes["episode_id"]
    linked = {
        name: getattr(cohort, name).assign(episode_id="CASE-" + getattr(cohort, name)["episode_id"])
        for name in ("visits", "events")
    }
    linked["events"] = linked["events"].assign(detail="SECRET bleeding")
    return Cohort(episodes=episodes.assign(episode_id=names), **linked, basis="real", sources=("our registry",))


@pytest.fixture(scope="module")
def page(simulated: Cohort) -> str:
    return write_profile(compute_profile(simulated), simulated, "ours")


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in addresses)
    assert "<script" not in page
    linked = set(re.findall(r'href="#([^"]*)"', page))
    assert linked == set(re.findall(r'<section id="([^"]*)"', page))
    assert {"summary", "flow", "combinations", "missing", "follow-up", "outcomes", "expected", "drift"} <= linked


def test_every_picture_has_words(page: str) -> None:
    alternatives = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(alternatives) > 10
    assert all(len(text) > 20 for text in alternatives)


def test_the_numbers_of_the_page_are_those_of_the_profile(page: str, simulated: Cohort) -> None:
    profile = compute_profile(simulated)
    outcomes = profile.tables["outcomes"]
    row = outcomes[(outcomes["outcome"] == "pain_response") & (outcomes["technique"] == "facet_rfa")].iloc[0]
    assert f"{100 * row['share']:.0f} % ({100 * row['lower']:.0f}–{100 * row['upper']:.0f}) of {row['n']}" in page
    assert "300 of " in page


@pytest.mark.slow
def test_a_page_of_real_patients_holds_none_of_their_values(simulated: Cohort) -> None:
    cohort = mark_as_real(simulated)
    text = write_profile(compute_profile(cohort), cohort, "ours")
    assert "REAL PATIENTS" in text
    assert "SECRET" not in text
    assert "CASE-" not in text
    counted = re.findall(r'data-name="(?:Episodes|Of|Rows|Times|Missing|n|count|at_risk)"[^>]*>([\d,]+)<', text)
    assert len(counted) > 100
    assert all(int(count.replace(",", "")) % 5 == 0 for count in counted)


def test_rejects_are_counted_by_rule(simulated: Cohort) -> None:
    broken = BrokenRule(
        broken=pd.Series([True] * 7), column="bmi", rule="range", allowed="10 to 80", action="cell emptied"
    )
    rejects = make_rejects("episodes", [broken], pd.Series(range(1, 8)))
    profile = compute_profile(simulated, rejects)
    assert profile.tables["rejects"].to_numpy().tolist() == [["cell emptied", "episodes", "bmi", "range", 7]]
    assert tabulate_rejects(profile)["Times"].tolist() == ["7"]


@pytest.mark.parametrize("basis", ["real", "synthetic", "blended"])
def test_an_empty_cohort_has_a_page_that_says_so(basis: str) -> None:
    tables = {name: conform(name, pd.DataFrame()) for name in ("episodes", "visits", "events")}
    cohort = Cohort(**tables, basis=basis)
    profile = compute_profile(cohort)
    assert list_findings(profile) == ["The cohort holds no episode: nothing can be counted."]
    text = write_profile(profile, cohort, "empty")
    assert text.count("<h2>") == 12
    assert "no follow-up visit" in text
    assert [title for title, _ in summarize_profile(profile)] == ["Flow"]


def test_a_cohort_without_technique_or_visits_has_a_page(simulated: Cohort) -> None:
    nothing = pd.Series(None, index=simulated.episodes.index, dtype="str")
    cohort = Cohort(
        episodes=simulated.episodes.assign(technique=nothing, site_id=nothing),
        visits=simulated.visits.iloc[:0],
        events=simulated.events.iloc[:0],
        basis="real",
    )
    text = write_profile(compute_profile(cohort), cohort, "ours")
    assert "not known" in text
    assert "The cohort tells of no site" in text


def test_findings_name_what_is_wrong(simulated: Cohort) -> None:
    wrong = simulated.episodes.assign(bmi=25.0, height_cm=100.0, weight_kg=90.0)
    cohort = Cohort(episodes=wrong, visits=simulated.visits, events=simulated.events, basis="synthetic")
    found = " ".join(list_findings(compute_profile(cohort)))
    assert "body mass index differs" in found
    assert "(300 episodes)" in found
