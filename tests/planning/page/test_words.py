"""Every word of the page is in the catalogue, in plain English, with the same numbers in every language."""

from __future__ import annotations

import re
import string
import warnings
from collections.abc import Iterator

import pytest

from paincast.errors import SettingsError
from paincast.evidence import load_records
from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.figures import CERTAINTY_LEVELS
from paincast.evidence.safety import SEVERITIES, SEVERITY_OF_KIND
from paincast.planning.page.catalogue import PSEUDO, list_languages, load_words
from paincast.planning.page.form import ASKED
from paincast.planning.page.writing import write_plan_page
from paincast.schema import EPISODES, INDICATIONS, TECHNIQUES

from .page_text import read_text

HARDEST_GRADE = 8.0

VERBAL_ODDS = ("likely", "unlikely", "probably", "rarely", "commonly", "usually", "frequently", "chance", "risk")
"""Words for odds, which readers take for very different numbers."""

RELATIVE = ("times as", "times more", "twice", "relative", "percent", "per cent", "odds", "ratio", "reduces", "doubles")


def walk(part: object, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(part, str):
        yield name, part
    elif isinstance(part, dict):
        for key, inner in part.items():
            yield from walk(inner, (*name, str(key)))
    elif isinstance(part, list):
        for place, inner in enumerate(part):
            yield from walk(inner, (*name, str(place)))


@pytest.mark.parametrize("language", [*list_languages(), PSEUDO])
def test_everything_that_evidence_and_contract_name_has_words(language):
    words = load_words(language)
    records = load_records()
    assert {*words.get("techniques")} == {*TECHNIQUES}
    assert {*words.get("indications")} == {*INDICATIONS}
    assert {rule.name for record in records for rule in record.contraindications} <= {*words.get("rules")}
    assert {*SEVERITY_OF_KIND} <= {*words.get("complications")}
    assert {*CONTROL_KINDS} == {*words.get("controls")}
    assert {*CERTAINTY_LEVELS} == {*words.get("sure", "levels")}
    assert {*SEVERITIES} <= {*words.get("harms")}
    assert {*EPISODES["approach"].categories} == {*words.get("approaches")}
    assert {name for names in ASKED.values() for name in names} <= {*words.get("columns")}
    assert {*words.get("columns")} <= {*EPISODES}


@pytest.mark.parametrize("language", [*list_languages(), PSEUDO])
def test_a_language_says_the_same_with_the_same_values(language):
    def list_values(text: str) -> list[str]:
        return sorted(field for _, field, _, _ in string.Formatter().parse(text) if field)

    english = {name: list_values(text) for name, text in walk(load_words("en").content)}
    other = {name: list_values(text) for name, text in walk(load_words(language).content)}
    assert other == english


def test_an_unknown_language_is_refused():
    with pytest.raises(SettingsError) as caught:
        load_words("klingon")
    assert caught.value.code == "PC-PLAN-40"


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_the_page_is_written_for_eight_years_of_school(pages):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        textstat = pytest.importorskip("textstat")
    grades = {name: textstat.flesch_kincaid_grade(read_text(page)) for name, page in pages.items()}
    assert max(grades.values()) <= HARDEST_GRADE, grades


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_no_sentence_of_the_catalogue_is_hard():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        textstat = pytest.importorskip("textstat")
    sentences = [
        text for name, text in walk(load_words("en").content) if len(text.split()) > 7 and name[0] != "columns"
    ]
    assert len(sentences) > 100
    hard = {text: grade for text in sentences if (grade := textstat.flesch_kincaid_grade(text)) > HARDEST_GRADE + 1}
    assert not hard


def test_no_odds_in_words_and_no_relative_risk():
    for name, text in walk(load_words("en").content):
        found = [word for word in (*VERBAL_ODDS, *RELATIVE) if re.search(rf"\b{word}", text.lower())]
        assert not found, (name, found)


def test_numbers_are_the_same_in_another_language(plans):
    for name, made in plans.items():
        disguised = write_plan_page(made, language=PSEUDO)
        english = write_plan_page(made, language="en")
        numbers = [re.findall(r"\d+", read_text(page)) for page in (english, disguised)]
        assert numbers[0] == numbers[1], name
        assert 'dir="rtl"' in disguised


def test_all_words_come_from_the_catalogue(plans):
    """In the disguised language Latin letters are left in sources, units, names of questionnaires and codes alone."""
    page = write_plan_page(plans["disc"], language=PSEUDO)
    text = re.sub(r"https?://\S+", "", read_text(page, without=("ol",)))
    left = set(re.findall(r"[A-Za-z]{4,}", text))
    declared = " ".join(f"{column.label} {column.description}" for column in EPISODES.values())
    assert {word for word in left if word not in declared} <= {"paincast"}
