"""The patient's page in a browser: WCAG 2.2 AA by axe-core, keyboard, phone and paper."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from paincast.planning import plan
from paincast.planning.page.catalogue import load_words
from paincast.planning.page.form import make_form
from paincast.planning.page.writing import write_plan_page

pytestmark = pytest.mark.slow

tour = pytest.importorskip("review_pictures")
pytest.importorskip("playwright", reason="playwright is not installed; it is of the developers' lock")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="it is of the developers' lock")
if tour.find_browser() is None:
    pytest.skip(f"no browser found; install one of: {', '.join(tour.BROWSERS)}", allow_module_level=True)

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PATIENTS = {
    "two options": {
        "indication": "lumbar_radicular_disc",
        "age_years": 57,
        "diabetes": True,
        "active_infection": False,
    },
    "nothing known": {},
    "not now": {"indication": "knee_osteoarthritis", "active_infection": True},
}


def make_pages() -> dict[str, str]:
    made = {
        f"{name}, {language}": write_plan_page(plan(patient or {"age_years": 50}), patient, language=language)
        for name, patient in PATIENTS.items()
        for language in ("en", "pseudo")
    }
    forms = {
        "form": make_form(load_words("en"), {"age_years": "60"}, "the indication is not a known one"),
        "form without a cause": make_form(load_words("en"), {"age_years": "60"}, lacks_cause=True),
    }
    return {**made, **forms}


PAGES = make_pages()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with tour.open_browser() as browser:
        yield browser


@pytest.fixture
def shown(request, browser):
    page = browser.new_page(viewport={"width": tour.DESKTOP, "height": tour.HEIGHT})
    page.set_content(PAGES[request.param])
    yield page
    page.close()


every_page = pytest.mark.parametrize("shown", PAGES, indirect=True)


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(shown, scheme):
    shown.emulate_media(color_scheme=scheme)
    found = axe.Axe().run(shown, options={"runOnly": {"type": "tag", "values": [*RULES]}}).response
    broken = {rule["id"]: [node["html"][:120] for node in rule["nodes"]] for rule in found["violations"]}
    assert not broken
    assert len(found["passes"]) > 15


@every_page
def test_all_can_be_reached_by_keyboard(shown):
    """Tab goes through links, fields and scrolled tables in the order of the page, and each shows that it has focus."""
    reachable = shown.evaluate(
        "[...document.querySelectorAll('a[href], input, select, button, [tabindex]')]"
        ".filter(e => e.type !== 'radio').map((e, i) => (e.dataset.place = i, i))"
    )
    reached = []
    for _ in range(len(reachable) + 30):
        shown.keyboard.press("Tab")
        place, outline = shown.evaluate(
            "[document.activeElement.dataset.place, getComputedStyle(document.activeElement).outlineStyle]"
        )
        if place is not None:
            assert outline != "none"
            reached.append(int(place))
    assert {*reached} == {*reachable}
    first = reached[: len(reachable)]
    assert first == sorted(first)


@every_page
def test_a_phone_shows_all_of_it_without_scrolling_sideways(shown):
    shown.set_viewport_size({"width": 360, "height": 740})
    wide = shown.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('.skip')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName)"
    )
    assert not wide
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


@every_page
def test_text_can_be_twice_as_large(shown):
    shown.set_viewport_size({"width": 640, "height": 900})
    shown.add_style_tag(content="html { font-size: 200%; }")
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


@every_page
def test_it_prints_on_a4(shown):
    printed = shown.pdf(prefer_css_page_size=True)
    assert re.findall(rb"/Type\s*/Page[^s]", printed)
    sizes = {tuple(float(number) for number in box.split()) for box in re.findall(rb"/MediaBox \[([^\]]*)\]", printed)}
    assert sizes
    assert all(abs(width - 595) < 2 and abs(height - 842) < 2 for _, _, width, height in sizes)
