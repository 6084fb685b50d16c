"""The report of a comparison: whole, self-contained, readable without its pictures, and without what was refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import compared
import numpy as np
import pytest

from paincast.cohort.tables import Cohort
from paincast.effects.average import ATE, Clusters
from paincast.planning.stated import read_contrast
from paincast.reporting.effects.drawing import draw_results
from paincast.reporting.effects.figures import NOT_ADJUSTED
from paincast.reporting.effects.report import format_result, write_comparison
from paincast.reporting.effects.results import ESTIMATES, ComparisonResults
from paincast.reporting.effects.tables import tabulate_unadjusted
from paincast.reporting.effects.target import BY_AUTHORS, ITEMS, tabulate_items
from paincast.reporting.effects.words import describe_contrast, describe_result, format_difference

SECTIONS = (
    "summary", "question", "data", "protocol", "flow", "baseline", "assumptions", "results", "sensitivity", "patients",
    "limits", "reproduction", "checklist",
)  # fmt: skip
KEYS = {
    "format", "verdict", "question", "indications", "conditions", "strategies", "reference", "outcome", "month", "n",
    "diagnostics", "contrasts", "risks", "refusal", "unmeasured", "basis", "n_real", "use", "trial", "digest", "cohort",
    "cohort_digest", "seed", "versions", "adjusted", "not_adjusted", "clusters",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(answered: ComparisonResults) -> str:
    return write_comparison(answered, draw_results(answered))


@pytest.fixture(scope="module")
def few(registry: Cohort) -> ComparisonResults:
    """Real patients, too few to compare."""
    taken = np.arange(len(registry.episodes)) % 90 == 0
    return compared.gather(replace(compared.take_episodes(registry, taken), basis="real", sources=("Ours",)))


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in addresses)
    assert "<script" not in page


def test_every_section_is_there_in_order(page: str, answered: ComparisonResults) -> None:
    assert tuple(re.findall(r'<section id="([^"]*)"', page)) == SECTIONS
    assert answered.trial.question in page
    assert "research use only" in page
    assert answered.origin.trial_digest in page
    assert "indications: [lumbar_radicular_disc]" in page
    assert all(text in page for text in answered.trial.unmeasured)


def test_every_item_of_the_statement_has_a_place() -> None:
    titles = {name: name for name in SECTIONS}
    assert {item.number.partition("(")[0].rstrip("abcdefgh") for item in ITEMS} == {str(n) for n in range(1, 22)}
    places = tabulate_items(titles, is_answered=True)["Where"]
    assert "missing" not in set(places)
    assert (places == BY_AUTHORS).sum() == 5
    assert (tabulate_items(titles, is_answered=False)["Where"] != places).sum() == 2


def test_every_picture_has_words(page: str, answered: ComparisonResults) -> None:
    alternatives = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(alternatives) == len(draw_results(answered)) == 6
    assert all(len(text) > 40 for text in alternatives)


def test_the_result_comes_first_in_patients_of_every_hundred(page: str, answered: ComparisonResults) -> None:
    contrasts = answered.tables["contrasts"]
    row = contrasts[contrasts["population"] == ATE].iloc[0]
    first = re.search(r'<p class="verdict passes">(.*?)</p>', page)
    assert first is not None
    assert format_difference(row["estimate"]) in first[1]
    assert format_difference(row["lower"]) in first[1]


@pytest.mark.parametrize(("lower", "is_open"), [(-0.01, True), (0.0, True), (0.001, False)])
def test_an_interval_that_holds_zero_says_so(lower: float, is_open: bool) -> None:
    text = describe_contrast({"estimate": 0.02, "lower": lower, "upper": 0.05}, "one", "other")
    assert ("The interval holds zero" in text) is is_open
    assert "2.0 more" in text


def test_a_refusal_leaves_no_estimate_anywhere(refused: ComparisonResults) -> None:
    assert refused.refusal is not None
    assert refused.refusal.code == "PC-EFFECTS-04"
    assert not set(ESTIMATES) & set(refused.tables)
    assert len(refused.failed) == 1
    assert {"flow", "diagnostics", "baseline", "balance", "preference"} < set(refused.tables)
    result = json.loads(format_result(refused))
    assert set(result) == KEYS
    assert result["contrasts"] is result["risks"] is None
    drawings = draw_results(refused)
    assert {drawing.section for drawing in drawings} == {"assumptions"}
    page = write_comparison(refused, drawings)
    assert tuple(re.findall(r'<section id="([^"]*)"', page)) == SECTIONS
    assert '<p class="verdict refused">REFUSED' in page
    assert "would have the outcome (" not in page
    assert refused.failed[0] in page.replace("root block", "root_block")


def test_a_plan_reads_the_result(answered: ComparisonResults, refused: ComparisonResults) -> None:
    """Conditions are data, which a plan can assess."""
    result = json.loads(format_result(answered))
    assert result["conditions"] == [dict(condition) for condition in answered.trial.conditions]
    assert read_contrast(result).unused == "basis"
    contrast = read_contrast({**result, "basis": "real"})
    assert contrast.conditions == ({"column": "age_years", "at_least": 18.0},)
    assert set(contrast.figures["relief"]) == {"nerve_root_block", "epidural_steroid_injection"}
    assert read_contrast(json.loads(format_result(refused))).unused == "diagnostics"


def test_the_result_for_other_programs_holds_the_contrasts(answered: ComparisonResults) -> None:
    result = json.loads(format_result(answered))
    assert set(result) == KEYS
    assert result["verdict"] == "answered"
    assert result["reference"] == "root_block"
    assert [one["technique"] for one in result["strategies"]] == ["nerve_root_block", "epidural_steroid_injection"]
    assert result["contrasts"][0]["population"] == ATE
    assert all(row["lower"] <= row["estimate"] <= row["upper"] for row in result["contrasts"])
    assert all(row["passed"] for row in result["diagnostics"])
    assert {"pain_nrs", "site_id"} < set(result["adjusted"])
    assert result["not_adjusted"] == []
    assert result["clusters"] == {"by": ["patient", "site"], "patients": result["n"], "sites": 12}


def test_too_few_patients_are_counted_and_refused(few: ComparisonResults) -> None:
    assert few.refusal is not None
    assert few.refusal.code == "PC-EFFECTS-02"
    assert set(few.tables) == {"protocol", "flow"}
    page = write_comparison(few, draw_results(few))
    assert tuple(re.findall(r'<section id="([^"]*)"', page)) == SECTIONS
    result = json.loads(format_result(few))
    assert set(result) == KEYS
    assert (result["diagnostics"], result["adjusted"]) == ([], [])
    assert result["not_adjusted"] is result["clusters"] is None
    assert len(describe_result(few)) == 2


def test_counts_of_real_patients_are_rounded(registry: Cohort, few: ComparisonResults) -> None:
    cohort = compared.part_by_pain(registry)
    names = "SECRET-" + cohort.episodes["patient_id"]
    real = replace(cohort, episodes=cohort.episodes.assign(patient_id=names), basis="real", sources=("Ours",))
    results = compared.gather(real)
    for table in (*results.tables.values(), few.tables["flow"]):
        for name in table.select_dtypes("integer"):
            assert (table[name] % 5 == 0).all(), name
    baseline = results.tables["baseline"]
    parts = baseline["known"] * baseline["n"]
    assert ((parts == 0) | (parts >= 5)).all()
    page = write_comparison(results, draw_results(results))
    assert "REAL PATIENTS" in page
    assert "SECRET" not in page + format_result(results)


@pytest.fixture(scope="module")
def partial(registry: Cohort) -> ComparisonResults:
    """A trial that leaves out confounders, and one column on purpose, with real patients."""
    listed = {"covariates": ("age_years", "pain_nrs", "odi"), "not_adjusted": {"bmi": "an <instrument>"}}
    return compared.gather(replace(registry, basis="real", sources=("Ours",)), **listed)


def test_what_is_not_adjusted_for_stands_in_the_result(partial: ComparisonResults) -> None:
    result = json.loads(format_result(partial))
    rows = {row["column"]: row for row in result["not_adjusted"]}
    assert len(rows) == len(result["not_adjusted"]) > 20
    assert result["adjusted"] == ["age_years", "pain_nrs", "odi", "site_id"]
    surgery, bmi = rows["prior_spine_surgery"], rows["bmi"]
    assert abs(surgery["difference"]) > surgery["limit"]
    assert surgery["reason"] is None
    assert (bmi["limit"], bmi["reason"]) == (None, "an <instrument>")
    [diagnostic] = [row for row in result["diagnostics"] if "not adjusted for" in row["diagnostic"]]
    assert not diagnostic["passed"]
    assert diagnostic["value"] == max(abs(row["difference"]) for row in rows.values() if row["limit"])
    assert result["clusters"]["patients"] % 5 == 0


def test_what_is_not_adjusted_for_is_shown_and_drawn_apart(partial: ComparisonResults) -> None:
    [love] = [drawing for drawing in draw_results(partial) if drawing.name.startswith("balance")]
    names = [label.get_text() for label in love.ax.get_yticklabels()]
    apart = names.index(NOT_ADJUSTED)
    assert any("spine surgery" in name for name in names[:apart])
    assert any(name.startswith("baseline pain") for name in names[apart + 1 :])
    assert f"{len(tabulate_unadjusted(partial))} columns" in love.alt
    page = write_comparison(partial, [love])
    assert page.count("an &lt;instrument&gt;") >= 2
    assert "<instrument>" not in page.replace(partial.origin.trial_text, "")


SITES = {
    "none": (0, "No site is recorded"),
    "one": (1, "One site"),
    "few": (12, "12 clusters by site"),
    "many": (40, None),
}


@pytest.mark.parametrize("name", SITES)
def test_what_the_interval_does_not_hold_is_said(name: str, answered: ComparisonResults) -> None:
    n_sites, first = SITES[name]
    results = replace(answered, clusters=Clusters(patients=4987, sites=n_sites))
    sentences = describe_result(results)
    assert len(sentences) == 1 + (first is not None)
    assert first is None or sentences[-1].startswith(first)
    page = write_comparison(results, [])
    assert first is None or first in page
    assert json.loads(format_result(results))["clusters"]["sites"] == n_sites
