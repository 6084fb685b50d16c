"""What the page shows, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paincast.planning.page.icons import People


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of 100 people with its words."""

    heading: str
    approach: str
    sentences: tuple[str, ...]
    people: People | None
    svg: str = ""


@dataclass(frozen=True, kw_only=True)
class OptionView:
    """An option in words; the fields stand in the order of the page.

    ``harms`` are sentences by severity; ``found`` and ``later`` are the short forms of ``compared`` and ``lasts``. Only
    an option that is open, because it is indicated or not yet assessed, has what stands after ``is_open``.
    """

    name: str
    heading: str
    what: str
    standing: str
    reasons: list[str]
    missing: list[tuple[str, list[str]]]
    is_open: bool
    first: list[str] = field(default_factory=list)
    watch: list[str] = field(default_factory=list)
    treated: list[Picture] = field(default_factory=list)
    control: Picture | None = None
    benefit: list[str] = field(default_factory=list)
    compared: Mapping[str, list[str]] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    unrelated: list[str] = field(default_factory=list)
    harms: Mapping[str, list[tuple[str, list[str]]]] = field(default_factory=dict)
    lasts: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    visits: list[str] = field(default_factory=list)
    recovery: list[str] = field(default_factory=list)
    cost: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PageView:
    """The page in words."""

    title: str
    choice: list[str]
    facts: list[tuple[str, str]]
    unread: list[str]
    contradictions: list[str]
    missing: list[tuple[str, list[str]]]
    options: list[OptionView]
    others: list[str]
    rows: list[tuple[str, list[list[str]]]]
    without: list[str]
    values: tuple[str, ...]
    preferences: list[str]
    certainty: list[tuple[str, list[str]]]
    sources: list[tuple[str, str]]
    about: list[str]
