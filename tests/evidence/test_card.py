"""The card tells what a clinician asks, on one page for an indication, and every technique has one."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain

import pytest

from paincast.errors import RefusalError, SettingsError
from paincast.evidence import Record, load_record, load_records, load_sources, simulated_techniques
from paincast.evidence.comparators import Comparator, choose_comparator
from paincast.evidence.context import PRACTICE_TOPICS
from paincast.evidence.figures import TAG_OF_SUPPORT
from paincast.evidence.records import load_audit, load_practice
from paincast.evidence.safety import SEVERITIES, SEVERITY_OF_KIND, Complication
from paincast.evidence.scenarios import shift_curve, shift_intervals
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.wording import months, percent, rate
from paincast.reporting.evidence import card as card_module
from paincast.reporting.evidence.blocks import Bar, Card, Grid, Line, Paragraph, Section, compress_numbers, grade
from paincast.reporting.evidence.card import build_card, choose_records
from paincast.reporting.evidence.difference import compare_arms
from paincast.reporting.evidence.listing import build_list, write_lines
from paincast.reporting.evidence.pages import write_html, write_markdown
from paincast.reporting.evidence.parts import MOST_PREDICTORS, name_effect, show_benefit, show_complications
from paincast.reporting.evidence.plain import describe_records
from paincast.reporting.evidence.references import find_link, shorten_citation
from paincast.reporting.evidence.response import show_response
from paincast.schema import TECHNIQUES
from paincast.settings import SCENARIOS

VOID = {"meta", "br"}
RECORDS = load_records()
TOLD = [record for record in RECORDS if record.response]
HEADINGS = [
    *("Expected response", "Who benefits", "Contraindications", "Complications"),
    *("Durability", "Not known", "Certainty"),
]
LONGEST_TEXT = 6200
"""Characters of text that fit a page of A4 at 8.5 points: the longest card, of 5,900, leaves a twentieth of it free."""
MOST_ROWS = 24


class Page(HTMLParser):
    """Follow tags, and fail where one closes another; collect links, ids, superscripts and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.cited: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        self.links += [held["href"]] if tag == "a" else []
        self.loaded += [held[name] for name in ("href", "src") if tag != "a" and name in held]
        self.ids += [held["id"]] if "id" in held else []
        self.cited += [held["href"]] if tag == "a" and "sup" in self.open else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "body" in self.open:
            self.text.append(data)


def build_of(record: Record, scenario: str = "literature") -> Card:
    """Build the card of one record."""
    return build_card(
        record.technique, indication=record.indication or None, approach=record.approach, scenario=scenario
    )


def find_grid(section: Section) -> Grid:
    """Find the table of a section."""
    [grid] = [block for block in section.blocks if isinstance(block, Grid)]
    return grid


def paragraphs_of(section: Section) -> list[Paragraph]:
    """List the paragraphs of a section."""
    return [block for block in section.blocks if isinstance(block, Paragraph)]


def list_lines(card: Card) -> list[Line]:
    """List all lines of a card."""
    blocks = [block for section in card.sections for block in section.blocks]
    return [
        *card.about,
        *chain.from_iterable(
            chain.from_iterable(block.rows) if isinstance(block, Grid) else block.lines for block in blocks
        ),
    ]


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_technique_has_a_card_in_every_scenario(technique: str, scenario: str) -> None:
    text = write_markdown(build_card(technique, scenario=scenario))
    assert {"## Sources"} <= set(text.splitlines())
    assert not re.search(r"\bNone\b(?!:)", text)
    assert "nan" not in text.split()
    told = text.partition("## Sources")[0]
    assert not re.search(r"\b(SEED|FOUND|DERIVED|ASSUMED)\b", told)
    assert not set(re.findall(r"\w+", told)) & set(load_sources())


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_the_card_of_an_indication_has_its_parts_in_order_and_fits_a_page(record: Record) -> None:
    card = build_of(record)
    assert [section.heading for section in card.sections] == HEADINGS
    page = write_html(card)
    assert len(" ".join("".join(Page(page).text).split())) < LONGEST_TEXT
    assert page.count("<tr>") <= MOST_ROWS


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_the_table_of_the_response_is_the_curve_of_the_scenario(record: Record) -> None:
    for scenario in SCENARIOS:
        grid = find_grid(show_response(record, scenario))
        curve, intervals = shift_curve(record, scenario), shift_intervals(record, scenario)
        assert [row[0].text for row in grid.rows] == [months(month) for month in curve]
        assert [row[1].text for row in grid.rows] == [percent(share) for share in curve.values()]
        assert [(bar.lower, bar.upper) for bar in grid.bars] == list(intervals.values())
        assert all(bar.lower < bar.share < bar.upper for bar in grid.bars)


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_the_letter_of_a_share_tells_how_it_was_found(record: Record) -> None:
    assert record.response is not None
    letters = {"FOUND": "A", "DERIVED": "B", "ASSUMED": "C"}
    grid = find_grid(show_response(record, "literature"))
    expected = [letters[TAG_OF_SUPPORT[point.support]] for _, point in sorted(record.response.points.items())]
    assert [row[1].grade for row in grid.rows] == expected
    counted = [row[1].sources for row in grid.rows if row[1].grade == "A"]
    assert all(counted)
    optimistic = [row[1] for row in find_grid(show_response(record, "seed_optimistic")).rows]
    if record.seed and record.seed.response:
        assert {(line.grade, *line.sources) for line in optimistic} == {("C", record.seed.source)}
    else:
        assert [line.grade for line in optimistic] == expected


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_a_control_arm_has_no_more_than_the_treated_unless_the_card_says_so(record: Record) -> None:
    section = show_response(record, "literature")
    above = [bar for bar in find_grid(section).bars if bar.control is not None and bar.control > bar.share]
    told = [line for block in paragraphs_of(section) for line in block.lines]
    assert any("control arm had more than" in line.text for line in told) == bool(above)


def test_a_control_arm_above_the_curve_is_stated() -> None:
    record = load_record("joint_injection", "hip_osteoarthritis")
    high = tuple(replace(item, share=0.9) for item in record.comparators)
    section = show_response(replace(record, comparators=high), "literature")
    said = [line.text for block in paragraphs_of(section) for line in block.lines]
    assert any(text.startswith("At 2 months and 3 months the control arm had more") for text in said)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_page_is_whole_loads_nothing_and_every_superscript_has_a_source(technique: str) -> None:
    card = build_card(technique)
    page = write_html(card)
    read = Page(page)
    assert read.open == []
    assert read.loaded == []
    assert len(set(read.ids)) == len(read.ids)
    inner = {link[1:] for link in read.links if link.startswith("#")}
    assert inner <= set(read.ids)
    assert all(link.startswith(("#", "https://", "http://")) for link in read.links)
    listed = [name for name in read.ids if name.startswith("source-")]
    assert listed == [f"source-{number}" for number in range(1, len(card.numbers) + 1)]
    assert {link.rpartition("-")[0] for link in read.cited} <= {"#source"}
    assert set(card.numbers) <= set(load_sources())
    assert {name for line in list_lines(card) for name in line.sources} == set(card.numbers)
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page


def test_hostile_text_in_a_card_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    line = Line(hostile)
    grid = Grid((hostile,) * 2, ((line, line),), (Bar(0.5, 0.4, 0.6, 0.1),))
    section = Section(heading=hostile, blocks=(Paragraph((line, line), hostile, hostile), grid))
    page = write_html(
        Card(technique=hostile, title=hostile, place=hostile, about=(line,), sections=(section,), more=hostile)
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 13


def test_letters_are_those_of_the_weakest_tag() -> None:
    assert [grade("FOUND"), grade("FOUND/DERIVED"), grade("SEED"), grade("FOUND", "ASSUMED")] == ["A", "B", "C", "C"]
    assert grade("ASSUMED", remark="taken from another procedure") == "C"


def test_numbers_of_sources_become_ranges_of_three_or_more() -> None:
    assert [label for label, _ in compress_numbers([9, 1, 2, 4, 5, 6])] == ["1", "2", "4-6", "9"]


@pytest.mark.parametrize(
    ("technique", "indication", "needed", "n"),
    [("joint_injection", "hip_osteoarthritis", 3, 31), ("spinal_cord_stimulation", "failed_back_surgery", 6, 160)],
)
def test_the_number_needed_to_treat_is_of_the_trials_with_both_arms(
    technique: str, indication: str, needed: int, n: int
) -> None:
    record = load_record(technique, indication)
    comparator = find_primary(record)
    difference = compare_arms(record, comparator)
    assert difference is not None
    assert (difference.needed, difference.n, difference.randomised) == (needed, n, True)
    assert difference.lower < difference.points < difference.upper
    assert difference.points == pytest.approx(difference.treated - comparator.share)
    [line] = [line for line in list_lines(build_of(record)) if "number needed to treat" in line.text]
    assert line.text.endswith(f"number needed to treat {needed}.")


def find_primary(record: Record) -> Comparator:
    """Find the control arm of a record at its primary month."""
    comparator = choose_comparator(record.own_comparators, "pain_response", record.primary_month or 0.0)
    assert comparator is not None
    return comparator


def test_there_is_no_number_needed_to_treat_without_the_treated_arm_or_a_difference() -> None:
    record = load_record("joint_injection", "hip_osteoarthritis")
    comparator = find_primary(record)
    assert compare_arms(replace(record, published=()), comparator) is None
    late = tuple(replace(rate, month=24) for rate in record.published)
    assert compare_arms(replace(record, published=late), comparator) is None
    equal = compare_arms(record, replace(comparator, share=0.6))
    assert equal is not None
    assert equal.needed is None
    series = tuple(replace(rate, design="prospective series") for rate in record.published)
    told = compare_arms(replace(record, published=series), comparator)
    assert told is not None
    assert not told.randomised
    text = " ".join(
        line.text
        for block in show_response(replace(record, published=()), "literature").blocks[1:2]
        if isinstance(block, Paragraph)
        for line in block.lines
    )
    assert "not known" in text
    assert "points" not in text


def test_the_reason_for_no_control_arm_is_told_once() -> None:
    text = " ".join(write_markdown(build_card("facet_rfa")).split())
    assert text.count("no trial tells it within half of month 6") == 1
    assert len(find_grid(show_response(load_record("facet_rfa"), "literature")).columns) == 3


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_only_studied_predictors_have_a_number_and_at_most_six_are_in_the_table(record: Record) -> None:
    [section] = show_benefit(record)
    grids = [block for block in section.blocks if isinstance(block, Grid)]
    rows = [row for grid in grids for row in grid.rows]
    assert len(rows) <= MOST_PREDICTORS
    sized = [item for item in record.predictors if item.basis in ("size", "null")]
    ratios = {f"{item.odds_ratio:.2f}" for item in sized}
    for row in rows:
        number = re.match(r"\d+\.\d\d(?= \()", row[1].text)
        assert number is None or number.group() in ratios
        assert bool(row[1].grade) == bool(number)
        assert row[1].sources
    paragraphs = [line.text for block in paragraphs_of(section) for line in block.lines]
    judged = [item.meaning.partition("; ")[0] for item in record.predictors if item.basis == "judged"]
    assert all(any(meaning in text for text in paragraphs) for meaning in judged)
    assert not any(re.search(r"\d\.\d\d \(", text) for text in paragraphs)


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_complications_come_by_severity_with_one_figure_of_each_kind(record: Record) -> None:
    section = show_complications(record)
    rows = find_grid(section).rows
    order = [SEVERITIES.index(row[0].text) for row in rows]
    assert order == sorted(order)
    rated = {item.event for item in record.complications if item.rate and not item.repeats}
    assert rated <= {row[1].text for row in rows}
    assert {row[1].text for row in rows if row[2].grade} == rated
    kinds = {item.kind for item in record.complications if not item.repeats}
    assert {item.kind for item in record.complications if item.event in {row[1].text for row in rows}} >= kinds


def test_the_severity_of_a_kind_is_that_of_most_studies() -> None:
    assert set(SEVERITY_OF_KIND.values()) == set(SEVERITIES)
    counted: dict[str, Counter[str]] = {}
    for study in load_studies().values():
        for harm in study.harms:
            if harm.kind:
                counted.setdefault(harm.kind, Counter())["serious" if harm.severity == "death" else harm.severity] += 1
    for kind, severities in counted.items():
        if severities.total() >= 3:
            assert SEVERITY_OF_KIND[kind] == severities.most_common(1)[0][0], kind


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record.id)
def test_what_is_counted_is_not_called_unknown(record: Record) -> None:
    assert record.response is not None
    counted = [month for month, point in record.response.points.items() if point.support == "counted"]
    for text in record.not_known:
        assert not (counted and re.fullmatch("(the|any) share with half relief.{0,3}", text)), text
        if beyond := re.search(r"half relief beyond (\d+) month", text):
            assert float(beyond[1]) >= max(counted), text


def test_a_card_of_gaps_tells_contraindications_and_practice() -> None:
    card = build_card("vertebral_augmentation")
    assert [section.heading for section in card.sections][-1] == "In practice"
    assert "--forest" not in card.more
    assert "--forest" in build_card("facet_rfa").more
    [section] = [part for part in build_card("spinal_cord_stimulation").sections if part.heading == "Contraindications"]
    [life] = [line.text for block in paragraphs_of(section) for line in block.lines if "life expectancy" in line.text]
    assert life.endswith("(only pain after spine surgery and cancer pain)")


def test_a_count_of_none_has_an_upper_limit() -> None:
    none = Complication(event="", kind="", source="", tag="FOUND", rate=(0.0, 0.0), n=116)
    assert rate(none) == "0 % (0 to 3.2 %), n 116"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_contraindications_are_grouped_by_level(record: Record) -> None:
    sections = [section for section in build_of(record).sections if section.heading == "Contraindications"]
    shown = {
        (block.label.rstrip(":").lower(), line.text.removesuffix(" (assumed)"))
        for section in sections
        for block in paragraphs_of(section)
        for line in block.lines
    }
    assert shown == {(item.level, item.reason) for item in record.contraindications}


def test_a_curve_that_mostly_was_not_counted_leads_with_a_warning() -> None:
    for record in TOLD:
        assert record.response is not None
        supports = [point.support for point in record.response.points.values()]
        carried = sum(support in ("interpolated", "carried over") for support in supports)
        first = show_response(record, "literature").blocks[0]
        assert isinstance(first, Paragraph) == (carried > 0.4 * len(supports)), record.id


def test_a_technique_with_several_records_shows_them_side_by_side() -> None:
    card = build_card("joint_injection")
    headings = ["Indications", "Contraindications", "Who benefits", "Complications", "Not known", "In practice"]
    assert [section.heading for section in card.sections] == [*headings, "Compared with other procedures"]
    records = choose_records("joint_injection")
    assert len(find_grid(card.sections[0]).rows) == len(records) == 4
    assert len(find_grid(build_card("epidural_steroid_injection", approach="caudal").sections[0]).rows) == 2


@pytest.mark.parametrize("technique", ["epidural_steroid_injection", "joint_injection", "spinal_cord_stimulation"])
def test_a_shared_row_holds_the_figures_of_every_record_that_it_names(technique: str) -> None:
    told = [record for record in choose_records(technique) if not record.gap]
    sections = {section.heading: section for section in build_card(technique).sections}
    shown = {row[0].text: row[1].text for row in find_grid(sections["Who benefits"]).rows}
    for name, text in shown.items():
        studied = [effect for record in told for effect in record.predictors if effect.basis != "judged"]
        names = [name_effect(replace(effect, note="")) for effect in studied]
        group = max((group for group in names if name.startswith(group)), key=len)
        found = [effect for effect, own in zip(studied, names, strict=True) if own == group]
        effects = [effect for effect in found if effect.basis != "direction"]
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", text)]
        for effect in effects if numbers else ():
            assert min(numbers) <= effect.interval[0] + 0.006
            assert max(numbers) >= effect.interval[1] - 0.006
            assert min(numbers[:2]) <= effect.odds_ratio + 0.006
    kinds = {item.kind for record in told for item in record.complications if not item.repeats}
    assert len(find_grid(sections["Complications"]).rows) == len(kinds)


def test_what_concerns_some_of_the_indications_names_them() -> None:
    [section] = [part for part in build_card("joint_injection").sections if part.heading == "Contraindications"]
    lines = [line.text for block in paragraphs_of(section) for line in block.lines]
    assert [text for text in lines if text.startswith("diabetes: wounds")] == [
        "diabetes: wounds heal slowly (only sacroiliac joint pain)"
    ]


def test_lines_of_a_card_fit_a_terminal_apart_from_tables_and_addresses() -> None:
    for technique in TECHNIQUES:
        lines = write_markdown(build_card(technique)).splitlines()
        assert [line for line in lines if len(line) > 100 and line[0] != "|" and "://" not in line] == []


def test_a_gap_is_named_on_the_card() -> None:
    assert "**No evidence:** no clinical study of it reports a pain outcome" in write_markdown(
        build_card("bariatric_embolization")
    )
    for record in RECORDS:
        if record.gap:
            assert any(line.text == f"{record.gap}." for line in list_lines(build_of(record)))


def test_a_short_citation_names_author_year_and_journal_or_the_begin_of_the_title() -> None:
    sources = load_sources()
    assert shorten_citation(sources["kaufmann2013"]) == "Kaufmann 2013, Pain Med"
    assert shorten_citation(sources["fda2014"]).startswith("FDA Drug Safety")
    assert all(3 <= len(shorten_citation(source)) < 80 for source in sources.values())


def test_every_source_but_the_founding_review_has_a_link() -> None:
    links = {name: find_link(source) for name, source in load_sources().items()}
    assert {name for name, link in links.items() if not link[1]} == {"seed"}
    assert links["kaufmann2013"] == ("PMID 23895182", "https://pubmed.ncbi.nlm.nih.gov/23895182/")
    assert find_link(replace(load_sources()["seed"], url="javascript:alert(1)")) == ("", "")


def test_choosing_records() -> None:
    assert len(choose_records("epidural_steroid_injection", approach="caudal")) == 2
    assert len(choose_records("epidural_steroid_injection", indication="failed_back_surgery")) == 1
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVIDENCE-30"):
        choose_records("epidural_steroid_injection", indication="crps", approach="caudal")
    with pytest.raises(SettingsError, match="did you mean 'pragmatic'"):
        build_card("facet_rfa", scenario="pragmatik")


def test_a_scenario_moves_the_whole_curve_and_its_intervals() -> None:
    record = load_record("facet_rfa")
    assert record.curve
    assert record.response
    literature, pragmatic = shift_curve(record, "literature"), shift_curve(record, "pragmatic")
    assert literature == pytest.approx(dict(record.curve))
    assert pragmatic[6] == pytest.approx(record.response.scenarios["pragmatic"])
    assert all(pragmatic[month] < literature[month] for month in literature)
    counted = {month: (point.predicted_lower, point.predicted_upper) for month, point in record.response.points.items()}
    for month, ends in shift_intervals(record, "literature").items():
        assert ends == pytest.approx(counted[month])
        assert shift_intervals(record, "pragmatic")[month] < ends
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVIDENCE-28"):
        shift_curve(load_record("bariatric_embolization"), "literature")


def test_the_list_names_every_record_and_its_gap() -> None:
    text = write_lines(load_records())
    assert all(technique in text for technique in TECHNIQUES)
    assert "no clinical study of it reports a pain outcome" in text
    assert max(map(len, text.splitlines())) <= 100
    (grid,) = build_list(load_records()).sections[0].blocks
    assert isinstance(grid, Grid)
    assert len(grid.rows) == len(load_records())
    page = Page(write_html(build_list(load_records())))
    assert page.open == []
    assert page.cited == []


def test_json_holds_what_the_record_holds() -> None:
    told = json.loads(json.dumps(describe_records(load_records(), "pragmatic")))
    assert len(told["records"]) == len(load_records())
    record = load_record("facet_rfa")
    assert record.response is not None
    facet = next(entry for entry in told["records"] if entry["id"] == record.id)
    assert facet["response"]["points"]["6"]["share"] == record.response.points[6].share
    expected = next(row for row in facet["expected_response"] if row["month"] == 6)
    assert expected["share"] == pytest.approx(record.response.scenarios["pragmatic"])
    named = {name for entry in told["records"] for name in entry["sources"]}
    named |= {item["source"] for items in (*told["practice"].values(), told["comparisons"]) for item in items}
    assert named == set(told["sources"])


@pytest.mark.parametrize(
    ("share", "words"), [(1.0, "100 %"), (0.0499, "5 %"), (0.026, "2.6 %"), (0.0, "0 %"), (0.0005, "0.05 %")]
)
def test_percent_keeps_rare_events(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize("technique", simulated_techniques())
def test_the_card_of_a_technique_says_of_each_topic_of_practice_what_was_read_or_that_it_is_unknown(technique) -> None:
    [section] = [part for part in build_card(technique).sections if part.heading == "In practice"]
    told = {block.label.rstrip(":").lower(): block.lines for block in paragraphs_of(section)}
    assert tuple(told) == PRACTICE_TOPICS
    read = {item.topic for item in load_practice(technique)}
    for topic, lines in told.items():
        if topic != "cost":
            assert (topic in read) != lines[0].text.startswith("unknown"), topic
    for record in choose_records(technique):
        card = build_card(technique, indication=record.indication, approach=record.approach)
        assert "In practice" not in [part.heading for part in card.sections]


def test_a_technique_that_stands_on_less_than_the_bar_says_so_first(monkeypatch) -> None:
    standing = load_audit()["facet_rfa"]
    monkeypatch.setattr(card_module, "load_audit", lambda: {"facet_rfa": standing._replace(found=0.5, assumed=0.4)})
    assert build_card("facet_rfa").about[0].text.startswith("Only 50 % of what moves")
    monkeypatch.setattr(card_module, "load_audit", lambda: {"facet_rfa": standing._replace(found=0.9, assumed=0.1)})
    assert not build_card("facet_rfa").about[0].text.startswith("Only")
