from __future__ import annotations

import re
from dataclasses import replace

import pytest

from paincast.evidence.rules import collect_contraindications
from paincast.planning.page.catalogue import load_words
from paincast.planning.page.writing import write_plan_page
from paincast.schema import TECHNIQUES
from paincast.scoring.conditions import list_columns

from .page_text import list_blocks, read_text

WORDS = load_words("en")
GUESSED = {"interpolated": "not_counted", "carried over": "carried_over"}


def find_articles(page: str) -> dict[str, str]:
    return dict(re.findall(r'<article aria-labelledby="(\w+)">(.*?)</article>', page, re.DOTALL))


def test_a_page_needs_nothing_but_itself(pages):
    for page in pages.values():
        assert not re.findall(r'<(?:script|link|iframe|img|object)\b|(?:src|action)="|url\((?!#)|@import', page)
        assert page.count("<h1") == 1
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert {*re.findall(r'href="#([^"]+)"', page)} <= {*ids}


def test_every_open_option_has_the_same_parts(pages, plans):
    parts = [WORDS.get("option", name) for name in ("what", "is_it", "first", "relief", "harms", "lasts", "visits")]
    parts += [WORDS.get("option", name) for name in ("recovery", "cost", "unknown")]
    for name, made in plans.items():
        articles = find_articles(pages[name])
        for item in made.techniques:
            if item.group in ("indicated", "not assessed"):
                headings = re.findall(r"<h4>(.*?)</h4>", articles[item.technique])
                assert [heading for heading in headings if heading in parts] == parts


def test_with_and_without_stand_side_by_side(pages, plans):
    """Each has a picture of 100 people, at the same month, and the words beside it; what is unknown has one too."""
    for name, made in plans.items():
        for technique, article in find_articles(pages[name]).items():
            item = next(item for item in made.techniques if item.technique == technique)
            if item.group == "contraindicated":
                continue
            pictures = re.findall(r'<svg class="people".*?</svg>', article)
            assert len(pictures) >= 2
            assert all(len(re.findall(r'class="(?:sure|maybe|rest)"', picture)) == 100 for picture in pictures)
            if made.month is not None:
                captions = re.findall(r"<figcaption>(.*?)</figcaption>", article, re.DOTALL)
                assert all(WORDS.write_months(made.month) in caption for caption in captions)


def test_numbers_of_a_picture_stand_in_its_words(pages):
    for page in pages.values():
        for figure in re.findall(r"<figure>(.*?)</figure>", page, re.DOTALL):
            known = re.search(r"The best guess is (\d+)", figure)
            if known:
                caption = figure.partition("<figcaption>")[2]
                assert f"{known[1]} of 100" in caption
                assert str(figure.count('class="sure"')) in caption


def test_the_order_is_not_by_result(plans):
    """The same plan with other results has its options in the same order."""
    made = plans["disc"]

    def change(item):
        expected = tuple(
            replace(one, figure=replace(one.figure, value=1 - (one.figure.value or 0), lower=0.0, upper=1.0))
            for one in item.expected
        )
        return replace(item, expected=expected)

    other = replace(made, techniques=tuple(change(item) for item in made.techniques))
    orders = [[*find_articles(write_plan_page(one))] for one in (made, other)]
    assert orders[0] == orders[1]
    groups = [item.group for item in made.techniques]
    for group in set(groups):
        names = [item.technique for item in made.techniques if item.group == group]
        assert names == [name for name in TECHNIQUES if name in names]


def test_no_number_is_taken_from_other_people(pages, plans):
    """The page tells how many more people have relief only where trials had both arms."""
    for name, made in plans.items():
        articles = find_articles(pages[name])
        for item in made.techniques:
            told = any(benefit.difference is not None for benefit in item.benefits)
            if item.technique in articles and item.group != "contraindicated":
                article = read_text(articles[item.technique])
                assert ("There are studies with both groups of people" in article) == told
                assert (WORDS.get("relief", "no_benefit") in article) != told


def test_a_difference_that_may_be_none_says_so(plans):
    found = 0
    for made in plans.values():
        page = read_text(write_plan_page(made))
        for item in made.techniques:
            for benefit in item.benefits:
                if benefit.holds_zero and item.group in ("indicated", "not assessed"):
                    assert WORDS.get("relief", "difference_zero") in page
                    found += 1
    told = [benefit for made in plans.values() for item in made.techniques for benefit in item.benefits]
    assert found or not any(benefit.holds_zero for benefit in told)


def test_shares_of_survivors_say_so(pages, plans):
    """Where many die, the page tells that those alive are counted, wherever later shares stand."""
    found = 0
    for name, made in plans.items():
        for item in made.techniques:
            if item.group == "indicated" and any(one.unit == "months" and one.value for one in item.durability):
                start = str(WORDS.get("lasts", "alive")).partition("{")[0].strip()
                assert read_text(pages[name]).count(start) >= 2
                found += 1
    assert found


def test_numbers_that_nobody_counted_say_so(pages, plans):
    for name, made in plans.items():
        articles = find_articles(pages[name])
        for item in made.techniques:
            if item.group in ("indicated", "not assessed"):
                supports = {one.support for one in item.expected if one.figure.value is not None}
                assert not any(one.figure.n for one in item.expected if one.support in GUESSED)
                for support, sentence in GUESSED.items():
                    assert (WORDS.get("relief", sentence) in read_text(articles[item.technique])) == (
                        support in supports
                    )


def test_contraindicated_options_say_why(pages):
    text = read_text(pages["infection"])
    assert WORDS.get("standing", "contraindicated") in text
    assert WORDS.get("rules", "active_infection", "reason") in text


def test_what_could_not_be_used_is_named(pages):
    blocks = list_blocks(pages["contradiction"])
    assert WORDS.get("told", "unread") in blocks
    assert any(block.startswith("This does not fit with the rest") for block in blocks)


def test_values_are_escaped(plans):
    page = write_plan_page(plans["disc"], {"sex": "<script>alert(1)</script>", "age_years": "</td>"})
    assert "<script" not in page
    assert "&lt;script" in page


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_form_asks_what_rules_need(technique):
    from paincast.planning.page.form import ASKED

    asked = {name for names in ASKED.values() for name in names}
    needed = {name for rule in collect_contraindications(technique) for name in list_columns(rule["when"])}
    assert needed <= asked
