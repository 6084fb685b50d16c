"""The words of registries in eight languages, and the concepts that they stand for, from ``words.yaml``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

Kind = Literal["concept", "instrument", "neutral"]

SHORTEST_PART = 3
"""A shorter word is not looked for inside a compound, because too many words contain it."""
ABBREVIATIONS = frozenset({"val", "tot", "sum", "scl", "scr"})
"""Short words without a meaning of their own that still stand in compounds ("phqtotscr")."""
SHORT_PARTS = frozenset({"op", "bl", "fu", "pt"})

_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ð": "d", "ł": "l", "Ø": "O", "Æ": "AE", "Œ": "OE"}
)
_TRANSLITERATED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_LONG_WORD = 5


class Meaning(NamedTuple):
    """What a word stands for."""

    kind: Kind
    concept: str


@dataclass(frozen=True)
class Vocabulary:
    """Phrases as tuples of tokens, and the parts that compounds are made of.

    Parameters
    ----------
    phrases : mapping of tuple of str to Meaning
        Each phrase in lower-case tokens without accents; digits are tokens of their own. A meaning such as
        ``hads+depression`` stands for several concepts.
    parts : mapping of str to tuple of str
        Words that may be part of a compound, with the tokens that they are read as.
    times : mapping of str to frozenset of tuple of str
        Phrases of each kind of time word.
    units : mapping of tuple of str to str
        Spellings of units.
    """

    phrases: Mapping[tuple[str, ...], Meaning]
    parts: Mapping[str, str]
    times: Mapping[str, frozenset[tuple[str, ...]]]
    units: Mapping[tuple[str, ...], str]

    def is_time(self, kind: str, tokens: tuple[str, ...]) -> bool:
        """Check whether a phrase is a time word of a kind."""
        return tokens in self.times[kind]


def fold(text: str) -> str:
    """Remove accents, keeping case.

    Examples
    --------
    >>> fold("Größe"), fold("Kjønn")
    ('Grosse', 'Kjonn')
    """
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def read_table(path: Path) -> dict[str, Any]:
    """Read a table of words; every value is text."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (it makes texts, lists and dicts)
    return dict(loaded)


def split_phrases(text: str) -> list[tuple[str, ...]]:
    """Split a list of phrases between commas into folded tokens, with the usual ways to write umlauts."""
    phrases = [phrase.strip().lower() for phrase in text.split(",")]
    spellings = {spelling for phrase in phrases for spelling in (phrase, phrase.translate(_TRANSLITERATED)) if phrase}
    return [to_tokens(spelling) for spelling in sorted(spellings)]


def to_tokens(text: str) -> tuple[str, ...]:
    """Split a text into lower-case runs of letters and runs of digits, without accents.

    Examples
    --------
    >>> to_tokens("EQ5D-5L Index")
    ('eq', '5', 'd', '5', 'l', 'index')
    """
    plain = fold(text).lower()
    spaced = "".join(letter if letter.isalnum() or letter == "%" else " " for letter in plain)
    tokens: list[str] = []
    for word in spaced.split():
        start = 0
        for at in range(1, len(word) + 1):
            if at == len(word) or _class(word[at]) != _class(word[at - 1]):
                tokens.append(word[start:at])
                start = at
    return tuple(tokens)


def _class(letter: str) -> str:
    return "digit" if letter.isdigit() else "letter" if letter.isalpha() else letter


@cache
def load_vocabulary() -> Vocabulary:
    """Load the words of all languages."""
    table = read_table(Path(__file__).with_name("words.yaml"))
    phrases: dict[tuple[str, ...], Meaning] = {(word,): Meaning("neutral", "") for word in _neutral(table["neutral"])}
    phrases |= dict.fromkeys(split_phrases(table["neutral_phrases"]), Meaning("neutral", ""))
    for kind, section in (("concept", "concepts"), ("instrument", "instruments")):
        for concept, words in table[section].items():
            phrases |= {phrase: Meaning(kind, concept) for phrase in split_phrases(words)}  # type: ignore[arg-type]
    times = {kind: frozenset(split_phrases(words)) for kind, words in table["times"].items()}
    units = {phrase: unit for unit, words in table["units"].items() for phrase in split_phrases(words)}
    return Vocabulary(phrases=phrases, parts=_find_parts(phrases, times), times=times, units=units)


def _neutral(words: str) -> Iterable[str]:
    return [token for word in words.split() for token in to_tokens(word) if token.isalpha()]


def _find_parts(
    phrases: Mapping[tuple[str, ...], Meaning], times: Mapping[str, frozenset[tuple[str, ...]]]
) -> dict[str, str]:
    """Collect the single words that a compound may consist of, and English words without their vowels (``rtng``)."""
    words = {phrase[0] for phrase in phrases if len(phrase) == 1}
    words |= {phrase[0] for kind in times.values() for phrase in kind if len(phrase) == 1}
    longer = {word for phrase in phrases for word in phrase if len(word) > _LONG_WORD}
    neutral = {phrase[0] for phrase, meaning in phrases.items() if not meaning.concept} - {
        "val",
        "tot",
        "sum",
        "scl",
        "scr",
    }
    short = {word for word in words if len(word) < SHORTEST_PART + (word in neutral)} - SHORT_PARTS
    kept = (words - short) | longer
    kept = {word for word in kept if word.isalpha()}
    skeletons = {skeleton: word for word in sorted(words) if len(word) >= _LONG_WORD and (skeleton := _skeleton(word))}
    return {**{skeleton: word for skeleton, word in skeletons.items() if skeleton not in kept}, **{w: w for w in kept}}


def _skeleton(word: str) -> str:
    skeleton = word[0] + "".join(letter for letter in word[1:] if letter not in "aeiou")
    return skeleton if SHORTEST_PART <= len(skeleton) < len(word) else ""
