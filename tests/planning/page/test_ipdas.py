"""The items of the IPDAS checklist (version 4, Joseph-Williams et al. 2014, 10.1177/0272989X13501721) that apply.

Left out, because the page cannot meet them by itself: tests with patients and clinicians (the page says that there were
none), and whether it improves the match between choices and values (a study). Items on tests are for screening aids.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from paincast.planning.page.catalogue import load_words

from .page_text import read_text

WORDS = load_words("en")


def says(*names: str) -> Callable[[str], bool]:
    """Whether a page has the words of the catalogue up to their first value."""
    start = str(WORDS.get(*names)).partition("{")[0].strip()
    return lambda text: start in text


ITEMS: dict[str, list[Callable[[str], bool]]] = {
    "Q1 describes the condition": [says("indications", "lumbar_radicular_disc", "about")],
    "Q2 states the decision": [says("choice", "options")],
    "Q3 describes the options": [
        says("techniques", "epidural_steroid_injection", "what"),
        says("techniques", "nerve_root_block", "what"),
        says("without", "lead"),
    ],
    "Q4 describes positive features": [says("option", "relief"), says("option", "lasts")],
    "Q5 describes negative features": [says("option", "harms"), says("option", "cost"), says("option", "visits")],
    "Q6 describes what it is like to have the consequences": [
        lambda text: "sleep badly and miss work" in text,
        says("option", "recovery"),
    ],
    "C1 shows positive and negative features in equal detail": [
        lambda text: text.count("of 100 did not") >= 2,
        lambda text: text.count(WORDS.get("option", "relief")) == text.count(WORDS.get("option", "harms")),
    ],
    "C2 cites the evidence": [lambda text: "doi.org" in text],
    "C3 gives its date": [lambda text: "2026-12-01" in text],
    "C4 tells when it is updated": [says("about", "update")],
    "C5 tells how uncertain its numbers are": [says("relief", "range"), says("sure", "lead")],
    "C6 names who pays": [says("about", "funding")],
    "P1 defines whom the numbers are of": [says("relief", "for_group"), says("told", "lead")],
    "P2 gives event rates": [lambda text: "of 100 people" in text],
    "P3 gives the time": [says("choice", "month")],
    "P4 compares with the same denominator and time": [lambda text: "of 1000" not in text, says("harms", "lead")],
    "P5 shows numbers in more than one way": [lambda text: "A picture of 100 people" in text],
    "P6 frames them both ways": [lambda text: "of 100 did not" in text],
    "V1 asks what matters": [says("values", "lead"), says("values", "pain"), says("values", "harm")],
    "G1 has questions for the doctor": [lambda text: all(q in text for q in WORDS.get("questions"))],
    "I1 lets options be compared": [says("sections", "side_by_side")],
    "I2 includes having no procedure": [says("sections", "without"), says("without", "change")],
    "D1 tells whom it is for": [says("about", "who")],
    "D2 tells whether patients tested it": [says("about", "tested")],
    "D3 tells its reading level": [says("about", "grade")],
    "E1 tells how sure the evidence is": [
        lambda text: any(level in text for level in WORDS.get("sure", "levels").values())
    ],
    "S1 tells that it is no advice": [says("page", "research")],
}


@pytest.mark.parametrize("item", ITEMS)
def test_the_page_meets_the_item(item, pages):
    text = read_text(pages["disc"], without=()) + " ".join(_titles(pages["disc"]))
    assert [check(text) for check in ITEMS[item]] == [True] * len(ITEMS[item])


def _titles(page: str) -> list[str]:
    return [part.partition("</title>")[0] for part in page.split("<title ")[1:]]
