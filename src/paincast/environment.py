"""Hide values that settings take from environment variables: they may be secrets and must not be recorded or shown."""

from __future__ import annotations

import re

SHORTEST = 4
"""Shorter values are hidden only as whole words, because they occur in other words by chance."""

_taken: dict[str, str] = {}


def note_value(name: str, value: str) -> None:
    """Remember a value taken from the environment, and its parts if it is a list or mapping."""
    parts = re.split(r"[\s\[\]{},:\"']+", value) if value[:1] in ("[", "{") else []
    for text in (value, *(part for part in parts if len(part) > SHORTEST)):
        if text.strip():
            _taken[text] = name


def forget_values() -> None:
    """Forget all values; call this before another command is run in the same process."""
    _taken.clear()


def hide_logins(text: str) -> str:
    """Remove user names and passwords from the URLs in a text.

    Examples
    --------
    >>> hide_logins("cannot reach postgresql://ann:p@ss@db.example/runs")
    'cannot reach postgresql://db.example/runs'
    """
    return re.sub(r"//[^/\s]*@", "//", text)


def hide_values(text: str) -> str:
    """Replace every value taken from the environment with ``${oc.env:NAME}``.

    Examples
    --------
    >>> note_value("DATABASE", "hunter2")
    >>> hide_values("cannot open /srv/hunter2/cohort")
    'cannot open /srv/${oc.env:DATABASE}/cohort'
    >>> forget_values()
    """
    for value in sorted(_taken, key=len, reverse=True):
        pattern = re.escape(value) if len(value) >= SHORTEST else rf"(?<!\w){re.escape(value)}(?!\w)"
        text = f"${{oc.env:{_taken[value]}}}".join(re.split(pattern, text))
    return text
