"""References hold what citations tell, in forms that other programs read."""

from __future__ import annotations

import json
import re

import pytest

from paincast.evidence import load_sources
from paincast.reporting.evidence.references import format_bibtex, format_csl, parse_reference

SOURCES = load_sources()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "smith2020",
            {
                "authors": ("Smith CC",),
                "more_authors": True,
                "title": "Effectiveness of lumbar transforaminal injection of steroid: comprehensive review",
                "journal": "Pain Med",
                "year": "2020",
                "volume": "21",
                "pages": "472-487",
            },
        ),
        (
            "kaufmann2013",
            {
                "authors": ("Kaufmann TJ", "Geske JR", "Murthy NS"),
                "journal": "Pain Med",
                "year": "2013",
                "pmid": "23895182",
            },
        ),
        ("eisenberg1995", {"authors": ("Eisenberg E", "Carr DB", "Chalmers TC"), "more_authors": False}),
        ("vantilburg2016", {"authors": ("van Tilburg CWJ",), "journal": "Clin J Pain"}),
        ("seed", {"authors": ("Al Sayegh M",), "journal": "GMJ", "pages": "e3922"}),
        (
            "oconnell2021",
            {"journal": "Cochrane Database of Systematic Reviews", "doi": "10.1002/14651858.CD013756.pub2"},
        ),
        ("ghahreman2010", {"title": "5-arm blinded RCT", "pmid": "20704666"}),
        ("ashar2022", {"doi": "10.1001/jamapsychiatry.2021.2669", "pages": "13-23"}),
        ("snrb_japan45", {"journal": "", "year": ""}),
        ("gae633", {"journal": ""}),
    ],
)
def test_a_citation_is_taken_apart(name: str, expected: dict[str, object]) -> None:
    reference = parse_reference(SOURCES[name])
    assert {key: getattr(reference, key) for key in expected} == expected


def test_every_source_has_a_title_and_a_plausible_year() -> None:
    for source in SOURCES.values():
        reference = parse_reference(source)
        assert len(reference.title) > 5, source.id
        assert not reference.year or 1980 <= int(reference.year) <= 2030, source.id
        assert not reference.year or reference.year in source.citation


def test_bibtex_has_one_balanced_entry_per_source() -> None:
    text = format_bibtex(SOURCES.values())
    keys = re.findall(r"^@\w+\{(\w+),$", text, flags=re.MULTILINE)
    assert keys == list(SOURCES)
    for entry in text.split("\n@"):
        plain = re.sub(r"\\[{}]", "", entry)
        assert plain.count("{") == plain.count("}")
        for value in re.findall(r"(?:title|note|author) = \{(.*)\},", entry):
            assert not re.search(r"(?<!\\)[&%#_$]", value)


def test_csl_is_what_a_citation_processor_reads() -> None:
    items = json.loads(format_csl(SOURCES.values()))
    assert [item["id"] for item in items] == list(SOURCES)
    mint = next(item for item in items if item["id"] == "mint2017")
    assert mint["issued"] == {"date-parts": [[2017]]}
    assert mint["author"] == [{"family": "Juch", "given": "JNS"}, {"literal": "et al."}]
    assert mint["container-title"] == "JAMA"
    assert all(item["type"] in ("article-journal", "document") for item in items)
