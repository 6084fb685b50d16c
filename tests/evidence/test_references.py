"""References hold what citations tell, in forms that other programs read."""

from __future__ import annotations

import json
import re

import pytest

from paincast.evidence import load_sources
from paincast.evidence.figures import Source
from paincast.evidence.synthesis.extraction import load_studies
from paincast.reporting.evidence.references import format_bibtex, format_csl, parse_reference

SOURCES = load_sources()
IDENTIFIED = [source for source in SOURCES.values() if source.doi or source.pmid]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "smith2020",
            {
                "authors": ("Smith CC", "McCormick ZL", "Mattie R"),
                "more_authors": True,
                "journal": "Pain Med",
                "year": "2020",
                "volume": "21",
                "pages": "472-487",
                "doi": "10.1093/pm/pnz160",
            },
        ),
        (
            "kaufmann2013",
            {"authors": ("Kaufmann TJ", "Geske JR", "Murthy NS"), "journal": "Pain Med", "year": "2013"},
        ),
        ("eisenberg1995", {"authors": ("Eisenberg E", "Carr DB", "Chalmers TC"), "more_authors": False}),
        ("vanbeek2018", {"authors": ("van Beek M", "Geurts JW", "Slangen R"), "journal": "Diabetes Care"}),
        ("sahin_sij46", {"authors": ("Şahin O", "Harman A", "Akgün RC", "Tuncay IC")}),
        ("seed", {"authors": ("Al Sayegh M",), "journal": "GMJ", "pages": "e3922"}),
        (
            "oconnell2021",
            {"authors": ("O'Connell NE",), "year": "2021", "doi": "10.1002/14651858.CD013756.pub2"},
        ),
        (
            "ghahreman2010",
            {
                "authors": ("Ghahreman A", "Ferch R", "Bogduk N"),
                "more_authors": False,
                "pmid": "20704666",
            },
        ),
        ("trialmig2023", {"authors": (), "journal": "Reg Anesth Pain Med", "year": "2023"}),
        ("snrb_japan45", {"journal": "", "year": ""}),
        ("gae633", {"journal": "", "year": "2024"}),
    ],
)
def test_a_citation_is_taken_apart(name: str, expected: dict[str, object]) -> None:
    reference = parse_reference(SOURCES[name])
    assert {key: getattr(reference, key) for key in expected} == expected


def make_source(citation: str, **changes: str) -> Source:
    return Source(**{"id": "a", "citation": citation, "access": "FOUND", **changes})


@pytest.mark.parametrize("more", [" et al.", ", et al."])
def test_authors_end_with_others_with_or_without_a_comma(more: str) -> None:
    reference = parse_reference(make_source(f"Nobody N, de Vos CC{more} What was done. Pain 2014;155:1-9"))
    assert (reference.authors, reference.more_authors) == (("Nobody N", "de Vos CC"), True)
    assert (reference.title, reference.journal) == ("What was done", "Pain")


def test_an_identifier_of_the_source_comes_before_one_in_its_address() -> None:
    address = "https://doi.org/doi:10.1000/page"
    assert parse_reference(make_source("A B. C. Pain 2014", url=address)).doi == "10.1000/page"
    assert parse_reference(make_source("A B. C. Pain 2014", url=address, doi="10.1000/own")).doi == "10.1000/own"


def test_every_source_has_a_title_and_a_plausible_year() -> None:
    for source in SOURCES.values():
        reference = parse_reference(source)
        assert len(reference.title) > 5, source.id
        assert not reference.year or 1980 <= int(reference.year) <= 2030, source.id
        assert not reference.year or reference.year in source.citation


def test_no_journal_is_a_month_and_no_title_holds_its_authors() -> None:
    months = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)(?:[a-z]*)"
    for source in SOURCES.values():
        reference = parse_reference(source)
        assert not re.fullmatch(months, reference.journal), source.id
        assert not re.match(r"(?:[\w'’-]+ [A-Z]{1,4}, )+(?:et al|[\w'’-]+ [A-Z]{1,4})\.", reference.title), source.id


def test_a_cited_study_has_the_identifiers_of_the_table() -> None:
    studies = load_studies()
    cited = [source for source in SOURCES.values() if source.id in studies]
    assert len(cited) > 200
    for source in cited:
        assert (source.doi, source.pmid) == (studies[source.id].doi, studies[source.id].pmid), source.id


def test_bibtex_has_one_balanced_entry_per_source() -> None:
    text = format_bibtex(SOURCES.values())
    keys = re.findall(r"^@\w+\{(\w+),$", text, flags=re.MULTILINE)
    assert keys == list(SOURCES)
    for entry in text.split("\n@"):
        plain = re.sub(r"\\[{}]", "", entry)
        assert plain.count("{") == plain.count("}")
        for value in re.findall(r"(?:title|note|author) = \{(.*)\},", entry):
            assert not re.search(r"(?<!\\)[&%#_$]", value)


def test_bibtex_carries_every_identifier() -> None:
    entries = dict(
        re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", format_bibtex(SOURCES.values()), flags=re.MULTILINE | re.DOTALL)
    )
    assert len(IDENTIFIED) > 200
    for source in IDENTIFIED:
        told = dict(re.findall(r"  (doi|pmid) = \{(.*)\},", entries[source.id]))
        assert not source.doi or told["doi"] == source.doi, source.id
        assert not source.pmid or told["pmid"] == source.pmid, source.id


def test_csl_carries_every_identifier() -> None:
    items = {item["id"]: item for item in json.loads(format_csl(SOURCES.values()))}
    for source in IDENTIFIED:
        assert not source.doi or items[source.id]["DOI"] == source.doi, source.id
        assert not source.pmid or items[source.id]["PMID"] == source.pmid, source.id


def test_csl_is_what_a_citation_processor_reads() -> None:
    items = json.loads(format_csl(SOURCES.values()))
    assert [item["id"] for item in items] == list(SOURCES)
    mint = next(item for item in items if item["id"] == "mint2017")
    assert mint["issued"] == {"date-parts": [[2017]]}
    assert mint["author"][0] == {"family": "Juch", "given": "JNS"}
    assert mint["author"][-1] == {"literal": "et al."}
    assert mint["container-title"] == "JAMA"
    assert all(item["type"] in ("article-journal", "document") for item in items)
