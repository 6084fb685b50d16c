"""Split a name into tokens: at signs, digits and capitals, and compounds at the words that they consist of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from paincast.cohort.registry.suggestion.language.vocabulary import SHORT_PARTS, Vocabulary, fold, load_vocabulary

LINKS = ("s", "n", "en", "e", "es")
"""Letters between the parts of German, Dutch and Scandinavian compounds."""
ENDINGS = ("s", "e", "n", "en", "er", "es", "em", "t", "et", "ne", "ene", "na", "arna", "erna", "a", "ed", "ing", "ly")
_SHORTEST_STEM = 4

_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|%")
_RUN = re.compile(r"[A-Za-z]+|\d+|%")


class Token(NamedTuple):
    """A word or number; ``glued`` tells whether no sign stands before it."""

    text: str
    glued: bool


def split_tokens(text: str) -> list[Token]:
    """Split a name or label.

    Examples
    --------
    >>> [token.text for token in split_tokens("NRSBackPain-Eingriffsdatum")]
    ['nrs', 'back', 'pain', 'eingriff', 'datum']
    """
    tokens: list[Token] = []
    plain = fold(text)
    end = -1
    for run in _RUN.finditer(plain):
        glued = run.start() == end
        end = run.end()
        words = _split_after_digit(run[0]) if glued and tokens[-1].text.isdigit() else _split_run(run[0])
        for i, word in enumerate(words):
            tokens.append(Token(word, glued or i > 0))
    return tokens


def _split_after_digit(run: str) -> tuple[str, ...]:
    """Split the letter of a span from the word behind it: ``7dscale`` is 7 d scale."""
    vocabulary = load_vocabulary()
    first, rest = run[0].lower(), run[1:]
    if run.isalpha() and rest and first in "hdwmy" and not _is_word(run.lower(), vocabulary):
        words = _split_run(rest)
        if not _count_unknown(words, vocabulary):
            return (first, *words)
    return _split_run(run)


@lru_cache(maxsize=50_000)
def _split_run(run: str) -> tuple[str, ...]:
    """Split a run of letters by capitals or as a compound, whichever leaves fewer letters unexplained."""
    vocabulary = load_vocabulary()
    whole = run.lower()
    if not run.isalpha() or _is_word(whole, vocabulary):
        return (whole,)
    pieces = [piece.lower() for piece in _PIECE.findall(run)]
    by_capitals = [part for piece in pieces for part in _split_compound(piece)]
    if len(pieces) == 1:
        return tuple(by_capitals)
    as_compound = _split_compound(whole)
    n_unknown = [_count_unknown(parts, vocabulary) for parts in (by_capitals, as_compound)]
    return tuple(by_capitals if n_unknown[0] <= n_unknown[1] else as_compound)


def _count_unknown(parts: Sequence[str], vocabulary: Vocabulary) -> int:
    return sum(len(part) for part in parts if not _is_word(part, vocabulary))


def _is_word(word: str, vocabulary: Vocabulary) -> bool:
    alone = (word,)
    return alone in vocabulary.phrases or any(alone in kind for kind in vocabulary.times.values())


def _split_compound(word: str) -> list[str]:
    """Split a word into listed ones, or find its stem; an unknown word stays whole."""
    vocabulary = load_vocabulary()
    if _is_word(word, vocabulary):
        return [word]
    stem = _find_stem(word, vocabulary)
    return [stem] if stem else _find_parts(word, vocabulary) or [word]


def _find_stem(word: str, vocabulary: Vocabulary) -> str:
    stems = (word.removesuffix(ending) for ending in ENDINGS if word.endswith(ending))
    return next((stem for stem in stems if len(stem) >= _SHORTEST_STEM and _is_word(stem, vocabulary)), "")


def _find_parts(word: str, vocabulary: Vocabulary) -> list[str]:
    """Find the fewest listed words that make up a whole compound."""
    best: dict[int, list[str]] = {0: []}
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 20), end):
            if start not in best or end - start == len(word):
                continue
            part = _match_part(word[start:end], vocabulary, is_first=start == 0, is_last=end == len(word))
            if part and (end not in best or len(best[start]) + 1 < len(best[end])):
                best[end] = [*best[start], part]
    return best.get(len(word), [])


def _match_part(text: str, vocabulary: Vocabulary, *, is_first: bool, is_last: bool) -> str:
    if text in vocabulary.parts:
        is_short = text in SHORT_PARTS
        return vocabulary.parts[text] if not is_short or is_first or is_last else ""
    endings = ENDINGS if is_last else LINKS
    stems = (text.removesuffix(ending) for ending in endings if text.endswith(ending))
    return next((stem for stem in stems if len(stem) > _SHORTEST_STEM and stem in vocabulary.parts), "")
