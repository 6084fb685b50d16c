"""What settings took from the environment: it may be a secret, so it is neither recorded nor shown."""

from __future__ import annotations

import re

SHORTEST = 4
"""A shorter value is hidden where it stands alone only: as a part of other words it would be met by chance."""

_taken: dict[str, str] = {}


def note_value(name: str, value: str) -> None:
    """Remember a value that was taken from the environment, and its parts where it is a list or names with values."""
    parts = re.split(r"[\s\[\]{},:\"']+", value) if value[:1] in ("[", "{") else []
    for text in (value, *(part for part in parts if len(part) > SHORTEST)):
        if text.strip():
            _taken[text] = name


def forget_values() -> None:
    """Forget all of them, before another command is run in the same process."""
    _taken.clear()


def hide_logins(text: str) -> str:
    """Take user names and passwords out of the addresses in a text.

    Examples
    --------
    >>> hide_logins("cannot reach postgresql://ann:p@ss@db.example/runs")
    'cannot reach postgresql://db.example/runs'
    """
    return re.sub(r"//[^/\s]*@", "//", text)


def hide_values(text: str) -> str:
    """Put ``${oc.env:NAME}`` in the place of every value that was taken from the environment.

    Examples
    --------
    >>> note_value("DATABASE", "hunter2")
    >>> hide_values("cannot open /srv/hunter2/cohort")
    'cannot open /srv/${oc.env:DATABASE}/cohort'
    >>> forget_values()
    """
    for value in sorted(_taken, key=len, reverse=True):
        found = re.escape(value) if len(value) >= SHORTEST else rf"(?<!\w){re.escape(value)}(?!\w)"
        text = f"${{oc.env:{_taken[value]}}}".join(re.split(found, text))
    return text
