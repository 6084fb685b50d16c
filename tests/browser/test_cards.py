"""A protocol card on paper: one page of A4 for an indication, two for a whole technique."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from paincast.evidence import load_records
from paincast.evidence.figures import Record
from paincast.reporting.evidence.card import build_card
from paincast.reporting.evidence.pages import write_html
from paincast.schema import TECHNIQUES

pytestmark = pytest.mark.slow

tour = pytest.importorskip("review_pictures")
pytest.importorskip("playwright", reason="playwright is not installed; it is of the developers' lock")
if tour.find_browser() is None:
    pytest.skip(f"no browser found; install one of: {', '.join(tour.BROWSERS)}", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with tour.open_browser() as browser:
        yield browser


def count_pages(browser, html: str) -> int:
    page = browser.new_page()
    page.set_content(html)
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    return len(re.findall(rb"/Type\s*/Page[^s]", printed))


@pytest.mark.parametrize("record", load_records(), ids=lambda record: record.id)
def test_an_indication_is_one_page(browser, record: Record) -> None:
    card = build_card(record.technique, indication=record.indication or None, approach=record.approach)
    assert count_pages(browser, write_html(card)) == 1


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_technique_is_two_pages_at_most(browser, technique: str) -> None:
    assert count_pages(browser, write_html(build_card(technique))) <= 2
