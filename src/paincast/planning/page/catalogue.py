"""The words of the page: one catalogue for each language, and a made-up language to test the others with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from paincast.errors import SettingsError

WORDS = Path(__file__).resolve().parent / "words"
PSEUDO = "pseudo"
"""A language that does not exist: the letters of the English words in another script, from right to left."""

_KEPT = re.compile(r"(\{[^}]*\}|\d[\d.,]*)")
_LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ابثدعفقهيجكلمنوپقرستأوغخيزابثدعفقهيجكلمنوپقرستأوغخيز",
)


@dataclass(frozen=True)
class Words:
    """The words of a language.

    Parameters
    ----------
    content : mapping
        Sentences by the names of the catalogue.
    """

    content: Mapping[str, Any]

    @property
    def code(self) -> str:
        """Code of the language, for the attribute ``lang``."""
        return str(self.content["language"]["code"])

    @property
    def direction(self) -> str:
        """Direction of writing, ``ltr`` or ``rtl``."""
        return str(self.content["language"]["direction"])

    def get(self, *names: str) -> Any:
        """Return a part of the catalogue.

        Raises
        ------
        KeyError
            If it has no such part; a test holds that every name of the evidence has its words.
        """
        part: Any = self.content
        for name in names:
            part = part[name]
        return part

    def write(self, *names: str, **values: object) -> str:
        """Write a sentence with its values.

        Examples
        --------
        >>> load_words("en").write("months", "many", number=3)
        '3 months'
        """
        return str(self.get(*names)).format_map(values)

    def write_months(self, months: float) -> str:
        """Write a number of months, or of weeks if it is no whole number of months and below 3, or no half one.

        Examples
        --------
        >>> words = load_words("en")
        >>> words.write_months(1), words.write_months(6.0), words.write_months(0.5), words.write_months(4.5)
        ('1 month', '6 months', '2 weeks', '4.5 months')
        """
        if months != int(months) and (months < 3 or 2 * months != int(2 * months)):
            weeks = round(months * 52.18 / 12)
            return self.write("months", "week_one" if weeks == 1 else "weeks", number=weeks)
        return self.write("months", "one" if months == 1 else "many", number=f"{months:g}")


def list_languages() -> list[str]:
    """List the languages of the page.

    Examples
    --------
    >>> "en" in list_languages()
    True
    """
    return sorted(path.stem for path in WORDS.glob("*.yaml"))


@cache
def load_words(language: str = "en") -> Words:
    """Load the words of a language.

    Parameters
    ----------
    language : str
        One of :func:`list_languages`, or ``pseudo``, in which nobody writes: it shows whether a page can be written
        from right to left, and whether all its words come from the catalogue.

    Raises
    ------
    SettingsError
        If there is no such language.
    """
    if language == PSEUDO:
        return Words({**_disguise(load_words("en").content), "language": {"code": "ar-XB", "direction": "rtl"}})
    if language not in list_languages():
        raise SettingsError(
            f"language: there are no words in '{language}'; known: {', '.join(list_languages())}", code="PC-PLAN-40"
        )
    return Words(yaml.safe_load((WORDS / f"{language}.yaml").read_text("utf-8")))


def _disguise(part: Any) -> Any:
    """Replace letters, but not numbers nor what the page puts in."""
    if isinstance(part, str):
        pieces = _KEPT.split(part)
        return "".join(piece if _KEPT.fullmatch(piece) else piece.translate(_LETTERS) for piece in pieces)
    if isinstance(part, dict):
        return {name: _disguise(value) for name, value in part.items()}
    return [_disguise(value) for value in part]
