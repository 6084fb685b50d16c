"""What the codes of a category mean: from their labels or their own words; a person decides where that is not plain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from paincast.cohort.coercion import to_booleans
from paincast.cohort.registry.suggestion.language.vocabulary import (
    load_vocabulary,
    read_table,
    split_phrases,
    to_tokens,
)
from paincast.files.strict_yaml import UNFINISHED
from paincast.schema import Column

DENIALS = frozenset(
    {
        "no",
        "non",
        "not",
        "ohne",
        "kein",
        "keine",
        "without",
        "sans",
        "sin",
        "former",
        "ex",
        "failed",
        "previous",
        "past",
    }
)
"""Words that may turn a code into its opposite: it is left to a person."""
LABELLED = re.compile(r"\s*(-?\d+)\s*[:=.)\-]\s*([^\d\s].*)")
"""A code with its label in one cell, such as ``1: Male``."""
MISSING_LABELS = frozenset(
    {
        "missing",
        "unknown",
        "not known",
        "prefer not to answer",
        "not applicable",
        "no answer",
        "keine angabe",
        "weiss nicht",
        "don t know",
        "refused",
        "not specified",
        "not reported",
        "undisclosed",
        "patient refused",
        "patient declined",
        "declined",
    }
)

_LONGEST = 4
_MOST_UNKNOWN = 1


def find_meanings(column: Column, codes: Iterable[str], labels: Mapping[str, str]) -> dict[str, str]:
    """Find the meaning of each code of a category or a yes/no column.

    Parameters
    ----------
    column : Column
        Column of the contract.
    codes : iterable of str
        Codes of the source.
    labels : mapping of str to str
        Label of each code, if a dictionary or the file tells them.

    Returns
    -------
    dict of str to str
        A category, ``true`` or ``false``, ``missing``, or ``TODO``.

    Examples
    --------
    >>> from paincast.schema import EPISODES
    >>> find_meanings(EPISODES["sex"], ["1: Male", "2: Female"], {})
    {'1: Male': 'male', '2: Female': 'female'}
    >>> find_meanings(EPISODES["sex"], ["1", "2"], {})
    {'1': 'TODO', '2': 'TODO'}
    """
    texts = {code: _text_of(code, labels) for code in codes}
    letters = {text.lower() for text in texts.values() if len(text) == 1 and text.isalpha()}
    return {code: _mean(column, text, letters) for code, text in texts.items()}


def _text_of(code: str, labels: Mapping[str, str]) -> str:
    match = LABELLED.fullmatch(code)
    return labels.get(code) or (match[2] if match else code)


def _mean(column: Column, text: str, letters: set[str]) -> str:
    plain = " ".join(to_tokens(text))
    if plain in MISSING_LABELS:
        return "missing"
    if column.type == "boolean":
        return mean_truth(text)
    if column.name == "sex" and len(text) == 1:
        return _mean_sex_letter(text.lower(), letters)
    if plain.replace(" ", "_") in column.categories:
        return plain.replace(" ", "_")
    return _mean_category(column, text)


def mean_truth(text: str) -> str:
    """Read a word for yes or no in any of the languages; ``TODO`` if it is neither.

    Examples
    --------
    >>> mean_truth("Ja"), mean_truth("ingen"), mean_truth("2")
    ('true', 'false', 'TODO')
    """
    tokens = to_tokens(text)
    truths = {truth for truth, word in (("true", "yes"), ("false", "no")) if tokens in _code_phrases()[word]}
    first = {truth for truth, word in (("true", "yes"), ("false", "no")) if tokens[:1] in _code_phrases()[word]}
    if len(truths) == 1 or (not truths and len(first) == 1 and len(tokens[0]) > 1):
        return (truths or first).pop()
    return UNFINISHED


def _mean_sex_letter(letter: str, letters: set[str]) -> str:
    """Read a letter among the letters of its column: H and M are man and woman in Spanish, M and F man and woman."""
    women, men = {"f", "w", "k", "v"}, {"m", "h"}
    if letters & women and letters & men and len(letters) <= 3:
        return "female" if letter in women else "male" if letter in men else UNFINISHED
    if letters == {"h", "m"}:
        return {"h": "male", "m": "female"}[letter]
    return UNFINISHED


def _mean_category(column: Column, text: str) -> str:
    patterns = _patterns().get(column.name, {})
    concepts = {concept for category in patterns.values() for pattern in category for concept in pattern}
    found, unknown = _read_code(text, concepts)
    if unknown & DENIALS or len(unknown) > _MOST_UNKNOWN:
        return UNFINISHED
    fits = [
        (len(pattern), category)
        for category, of_category in patterns.items()
        for pattern in of_category
        if pattern <= found and category in column.categories
    ]
    best = {category for size, category in fits if size == max(size for size, _ in fits)}
    rest = found - {c for category in best for pattern in patterns[category] if pattern <= found for c in pattern}
    return best.pop() if len(best) == 1 and not rest else UNFINISHED


def _read_code(text: str, concepts: set[str]) -> tuple[set[str], set[str]]:
    """Read a code as concepts and unknown words; of compounds also their parts ("Facettensyndrom")."""
    tokens = [token for token in to_tokens(text) if not token.isdigit()]
    phrases = {phrase: concept for concept in sorted(concepts) for phrase in _code_phrases().get(concept, ())}
    neutral = load_vocabulary().phrases
    found: set[str] = set()
    unknown: set[str] = set()
    at = 0
    while at < len(tokens):
        length = next(
            (n for n in range(_LONGEST, 0, -1) if tuple(tokens[at : at + n]) in phrases and at + n <= len(tokens)), 0
        )
        if length:
            found.add(phrases[tuple(tokens[at : at + length])])
        elif parts := _find_code_parts(tokens[at], phrases):
            found |= parts
        elif (len(tokens[at]) > 1 and neutral.get((tokens[at],), None) is None) or tokens[at] in DENIALS:
            unknown.add(tokens[at])
        at += length or 1
    return found, unknown


def _find_code_parts(word: str, phrases: Mapping[tuple[str, ...], str]) -> set[str]:
    """Split a compound code in two listed words."""
    for at in range(3, len(word) - 2):
        first, second = (
            phrases.get((word[:at],)),
            phrases.get((word[at:],)) or phrases.get((word[at:].removeprefix("s"),)),
        )
        if first and second:
            return {first, second}
    return set()


@cache
def _code_phrases() -> dict[str, frozenset[tuple[str, ...]]]:
    table = read_table(Path(__file__).with_name("codes.yaml"))["code_words"]
    return {concept: frozenset(split_phrases(words)) for concept, words in table.items()}


@cache
def _patterns() -> dict[str, dict[str, list[frozenset[str]]]]:
    table = read_table(Path(__file__).with_name("codes.yaml"))["meanings"]
    return {
        column: {
            category: [frozenset(pattern.split()) for pattern in patterns] for category, patterns in categories.items()
        }
        for column, categories in table.items()
    }


def are_plain_truths(codes: Iterable[str]) -> bool:
    """Check whether codes are read as true and false without being listed."""
    import pandas as pd

    return not bool(to_booleans(pd.Series(list(codes), dtype="str"))[1].any())
