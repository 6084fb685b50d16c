"""The card tells what a clinician asks, and every technique has one."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from paincast.errors import RefusalError, SettingsError
from paincast.evidence import gaps_of, load_record, load_records, load_sources
from paincast.evidence.comparators import choose_comparator
from paincast.evidence.scenarios import shift_curve
from paincast.evidence.wording import percent, span
from paincast.reporting.evidence.card import Card, Grid, Section, build_card, choose_records
from paincast.reporting.evidence.listing import build_list, write_lines
from paincast.reporting.evidence.pages import write_html, write_markdown
from paincast.reporting.evidence.plain import describe_records
from paincast.schema import TECHNIQUES
from paincast.settings import SCENARIOS

VOID = {"meta", "br"}


class Nesting(HTMLParser):
    """Follow tags, and fail where one closes another."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.addresses += [str(held[name]) for name in ("href", "src") if name in held]
        self.ids += [str(held["id"])] if "id" in held else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_technique_has_a_card_in_every_scenario(technique: str, scenario: str) -> None:
    card = build_card(technique, scenario=scenario)
    headings = [section.heading for section in card.sections]
    assert {"Indications", "Contraindications and precautions", "Not known", "Sources"} <= set(headings)
    assert "None" not in write_markdown(card)
    assert "nan" not in write_markdown(card).split()


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_page_is_whole_and_needs_no_network(technique: str) -> None:
    page = write_html(build_card(technique))
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.open == []
    assert all(address.startswith("#") for address in nesting.addresses)
    assert {address[1:] for address in nesting.addresses} <= set(nesting.ids)
    assert len(set(nesting.ids)) == len(nesting.ids)
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page


def test_hostile_text_in_a_card_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    grid = Grid(columns=(hostile,) * 2, rows=((hostile, hostile),), shares=((0.5, None),))
    section = Section(heading=hostile, blocks=(hostile, (hostile,), grid))
    page = write_html(Card(technique=hostile, title=hostile, note=hostile, sections=(section,)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 10


def test_the_card_of_facet_ablation_tells_what_a_clinician_asks() -> None:
    text = " ".join(write_markdown(build_card("facet_rfa")).split())
    record = load_record("facet_rfa")
    assert record.response
    point = record.response.points[6.0]
    depression = next(effect for effect in record.predictors if effect.column == "depression")
    neuritis = next(item for item in record.complications if item.kind == "neuritis")
    assert neuritis.rate
    assert neuritis.patient_rate
    for words in (
        "Bleeding risk class: low",
        "Absolute: local or systemic infection",
        percent(point.share),
        span((point.predicted_lower, point.predicted_upper)),
        *(percent(share) for share in record.response.scenarios.values()),
        "positive diagnostic blocks, each",
        f"{depression.odds_ratio:.2f} ({depression.interval[0]:.2f} to {depression.interval[1]:.2f})",
        depression.finding[1:],
        percent(neuritis.patient_rate),
        span(neuritis.rate),
        "1, 3, 6, 9 and 12 months",
        "Graded low",
        "the reference is a single case report",
        record.without,
        *record.not_known,
        "USD 26,008",
    ):
        assert words in text


def test_lines_of_a_card_fit_a_terminal_apart_from_tables() -> None:
    for technique in TECHNIQUES:
        lines = write_markdown(build_card(technique)).splitlines()
        assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_a_gap_is_named_on_the_card() -> None:
    assert "No evidence: no clinical study of it reports a pain outcome" in write_markdown(
        build_card("bariatric_embolization")
    )
    for technique in ("epidural_steroid_injection", "celiac_plexus_neurolysis", "hypogastric_plexus_neurolysis"):
        [(indication, gap)] = gaps_of(technique).items()
        text = " ".join(write_markdown(build_card(technique, indication=indication)).split())
        assert f"No evidence: {gap}" in text


def test_what_a_matching_arm_had_stands_beside_what_is_expected() -> None:
    record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    comparator = choose_comparator(record.own_comparators, "pain_response", 12.0)
    assert comparator
    text = " ".join(write_markdown(build_card("spinal_cord_stimulation", indication="failed_back_surgery")).split())
    for words in (percent(comparator.share), span((comparator.lower, comparator.upper)), comparator.kind):
        assert words in text


def test_every_source_named_on_a_card_is_listed_below() -> None:
    card = build_card("epidural_steroid_injection")
    listed = {line.split("]")[0][1:] for line in card.sections[-1].blocks[1]}
    for section in card.sections[:-1]:
        for block in section.blocks:
            lines = block.rows and [cell for row in block.rows for cell in row] if isinstance(block, Grid) else block
            text = lines if isinstance(lines, str) else " ".join(lines)
            named = {name for name in load_sources() if f"[{name};" in text or f", {name};" in text}
            assert named <= listed


def test_choosing_records() -> None:
    assert len(choose_records("epidural_steroid_injection", approach="caudal")) == 2
    assert len(choose_records("epidural_steroid_injection", indication="failed_back_surgery")) == 1
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVIDENCE-30"):
        choose_records("epidural_steroid_injection", indication="crps", approach="caudal")
    with pytest.raises(SettingsError, match="did you mean 'pragmatic'"):
        build_card("facet_rfa", scenario="pragmatik")


def test_a_scenario_moves_the_whole_curve() -> None:
    record = load_record("facet_rfa")
    assert record.curve
    literature, pragmatic = shift_curve(record, "literature"), shift_curve(record, "pragmatic")
    assert literature == pytest.approx(dict(record.curve))
    assert record.scenarios
    assert pragmatic[6] == pytest.approx(record.scenarios["pragmatic"])
    assert all(pragmatic[month] < literature[month] for month in literature)
    with pytest.raises(RefusalError, match="bariatric_embolization__chronic_pain holds no response curve"):
        shift_curve(load_record("bariatric_embolization"), "literature")


def test_the_list_names_every_record_and_its_gap() -> None:
    text = write_lines(load_records())
    assert all(technique in text for technique in TECHNIQUES)
    assert "no clinical study of it reports a pain outcome" in text
    assert max(map(len, text.splitlines())) <= 100
    (grid,) = build_list(load_records()).sections[0].blocks
    assert isinstance(grid, Grid)
    assert len(grid.rows) == len(load_records())


def test_json_holds_what_the_record_holds() -> None:
    told = json.loads(json.dumps(describe_records(load_records(), "pragmatic")))
    assert len(told["records"]) == len(load_records())
    facet = next(record for record in told["records"] if record["id"] == "facet_rfa__lumbar_facet")
    record = load_record("facet_rfa")
    assert record.response
    assert record.scenarios
    assert facet["response"]["points"]["6"]["share"] == record.response.points[6.0].share
    assert facet["response"]["scenarios"] == dict(record.scenarios)
    at_six = next(row for row in facet["expected_response"] if row["month"] == 6)
    assert at_six["share"] == pytest.approx(record.scenarios["pragmatic"])
    assert facet["baseline"]["diagnostic_blocks_positive"]["shares"]["2"] == 0.56
    named = {name for record in told["records"] for name in record["sources"]}
    assert named == set(told["sources"])


@pytest.mark.parametrize(
    ("share", "words"), [(1.0, "100 %"), (0.0499, "5 %"), (0.026, "2.6 %"), (0.0, "0 %"), (0.0005, "0.05 %")]
)
def test_percent_keeps_rare_events(share: float, words: str) -> None:
    assert percent(share) == words
