"""The page says how sure each range is, whom a number is of, and what was not used."""

from __future__ import annotations

import re

import pytest

from paincast.planning import plan
from paincast.planning.expected import PAIN
from paincast.planning.figures import CONFIDENCE, Figure
from paincast.planning.page.catalogue import load_words
from paincast.planning.page.relief import write_confidence
from paincast.planning.page.writing import write_plan_page

from .conftest import PATIENTS
from .page_text import read_text
from .test_page import find_articles

WORDS = load_words("en")


def test_a_range_tells_its_own_confidence():
    """Intervals of models are of 90 %, those of evidence of 95 %."""

    def make(confidence: float | None) -> Figure:
        return Figure(name=PAIN, unit="share", basis="real", validation="x", value=0.5, confidence=confidence)

    [model], [evidence] = (write_confidence([make(level)], WORDS) for level in (0.9, 0.95))
    assert "90 times" in model
    assert "95 times" in evidence
    assert write_confidence([make(0.9), make(0.95), make(0.9), make(None)], WORDS) == [model, evidence]
    assert write_confidence([make(None)], WORDS) == []


def test_every_range_of_relief_tells_its_confidence(pages):
    told = WORDS.write("relief", "confidence", level=round(100 * CONFIDENCE))
    found = 0
    for page in pages.values():
        for caption in re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL):
            has_range = "It could be as few as" in caption
            assert (told in read_text(caption)) == has_range
            found += has_range
    assert found > 20


def test_ranges_of_harm_are_of_the_confidence_that_the_page_tells(plans):
    levels = {harm.figure.confidence for made in plans.values() for item in made.techniques for harm in item.harms}
    assert levels == {CONFIDENCE, None}
    assert f"{100 * CONFIDENCE:g} times out of 100" in " ".join(str(WORDS.get("harms", "lead")).split())


def test_numbers_of_all_who_joined_are_told_apart_from_the_picture(pages, plans):
    found = 0
    for name, made in plans.items():
        articles = find_articles(pages[name])
        for item in made.techniques:
            if item.technique in articles and item.group != "contraindicated":
                counts_intended = any(benefit.counts_intended for benefit in item.benefits)
                told = WORDS.write("relief", "difference_intended")
                assert (told in read_text(articles[item.technique])) == counts_intended
                found += counts_intended
    assert found


@pytest.mark.parametrize("age", [12, 60])
def test_a_patient_of_other_ages_is_told_so(age):
    patient = {**PATIENTS["after surgery"], "age_years": age}
    page = write_plan_page(plan(patient, month=6), patient)
    assert (WORDS.write("choice", "ages") in read_text(page)) == (age == 12)
    assert ("The best guess is" in page) == (age == 60)


def test_a_comparison_that_is_not_used_is_told():
    patient = {"indication": "knee_osteoarthritis", "active_infection": False}
    contrasts = {"genicular_rfa": {"relief": [0.2, 0.1, 0.3]}}
    comparison = {"passed": True, "basis": "real", "month": 60, "reference": "joint_injection", "contrasts": contrasts}
    made = plan(patient, comparison={**comparison, "indications": ["knee_osteoarthritis"]})
    for one, unused in ((made, True), (plan(patient), False)):
        page = read_text(write_plan_page(one, patient))
        assert (WORDS.write("values", "comparison_unused") in page) == unused
        assert (WORDS.write("values", "no_comparison") in page) != unused
