"""The page of a profile: one HTML file whose sections each answer a question of the cohort's owner."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.files import atomic_file
from paincast.profiling import Profile
from paincast.reporting.page import Section, write_page
from paincast.reporting.profile import sections
from paincast.reporting.profile.findings import list_findings

NOTES = {
    "synthetic": "SIMULATED PATIENTS. They follow published evidence and say nothing of a hospital.",
    "real": (
        "REAL PATIENTS. Counts are rounded to five. Counts under five are not shown, nor counts from which they could "
        "be worked out; no value of a patient is on this page."
    ),
    "blended": "REAL AND SIMULATED PATIENTS TOGETHER. Counts are rounded to five, and counts under five are not shown.",
}
MOST_SOURCES = 3


def write_profile(profile: Profile, cohort: Cohort, name: str) -> str:
    """Write a profile as HTML that needs nothing but itself.

    Parameters
    ----------
    profile : Profile
        From :func:`paincast.profiling.compute_profile`.
    cohort : Cohort
        Its cohort, of which sources alone are read.
    name : str
        Name of the cohort.
    """
    facts = {
        "Cohort": name,
        "Basis": profile.basis,
        "Episodes": f"{profile.n_episodes:,} of {profile.n_patients:,} patients",
        "Follow-up visits": f"{profile.n_visits:,}",
        "Sources": _list_sources(cohort),
    }
    summary = Section(
        name="summary",
        title="In short",
        text="What the owner of these data should know before anything is modelled.",
        items=list_findings(profile),
    )
    return write_page(f"Profile of {name}", NOTES[profile.basis], facts, [summary, *_list_sections(profile)])


def _list_sources(cohort: Cohort) -> str:
    more = len(cohort.sources) - MOST_SOURCES
    told = "; ".join(" ".join(source.split()) for source in cohort.sources[:MOST_SOURCES]) or "not told"
    return f"{told}; and {more} more" if more > 0 else told


def _list_sections(profile: Profile) -> list[Section]:
    return [
        sections.show_flow(profile),
        sections.show_combinations(profile),
        sections.show_missing(profile),
        sections.show_missing_by_site(profile),
        sections.show_follow_up(profile),
        sections.show_outcomes(profile),
        sections.show_relief(profile),
        sections.show_expected(profile),
        sections.show_drift(profile),
        sections.show_case_mix(profile),
        sections.show_reading(profile),
    ]


def write_profile_file(profile: Profile, cohort: Cohort, name: str, path: str | Path) -> None:
    """Write the page of a profile to a file, whole or not at all."""
    text = write_profile(profile, cohort, name)
    with atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def summarize_profile(profile: Profile) -> list[tuple[str, pd.DataFrame]]:
    """List the tables that a terminal shows of a profile, with their titles; empty ones are left out."""
    tables = sections.list_terminal_tables(profile)
    return [(title, table) for title, table in tables if len(table)]
