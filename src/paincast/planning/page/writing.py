"""Write the page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from paincast.planning.contents import Plan
from paincast.planning.page.catalogue import load_words
from paincast.planning.page.wording import make_view
from paincast.reporting.rendering import render

TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_plan_page(
    plan: Plan, facts: Mapping[str, object] | None = None, *, language: str = "en", today: date | None = None
) -> str:
    """Write the page of a plan that a patient can read.

    Parameters
    ----------
    plan : Plan
        From :func:`paincast.plan`.
    facts : mapping of str to object, optional
        Values of the patient by column, which the page repeats for the patient to check.
    language : str
        A language of :func:`paincast.planning.page.catalogue.list_languages`, or ``pseudo``.
    today : date, optional
        Date of the page; today by default.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    SettingsError
        If there are no words in the language.
    """
    words = load_words(language)
    view = make_view(plan, facts or {}, words, today or datetime.now(UTC).date())
    return render("plan.html", folder=TEMPLATES, view=view, words=words)
