"""Points in time in names, labels and codes of visits: baseline, months after the procedure, or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from paincast.cohort.registry.suggestion.language.tokens import Token
from paincast.cohort.registry.suggestion.language.vocabulary import Vocabulary
from paincast.cohort.registry.units import DAYS_PER_YEAR

Phase = Literal["before", "during", "after"]

FRENCH_DAY = "j"
"""J7 is day 7 (jour), while 7J may be days or years (Jahre)."""
MOST_MONTHS = 240
_PER_MONTH = {
    "hour": 24 * DAYS_PER_YEAR / 12,
    "day": DAYS_PER_YEAR / 12,
    "week": DAYS_PER_YEAR / 84,
    "month": 1.0,
    "year": 1 / 12,
}
_SPANS = tuple(_PER_MONTH)
_LONGEST_TIME_WORD = 4


@dataclass(frozen=True)
class TimePoint:
    """A point in time.

    Parameters
    ----------
    phase : {"before", "during", "after"}
        Where it lies relative to the procedure.
    months : float or None
        Months after the procedure, if the text tells them.
    ordinal : int or None
        Number of a visit (``T1``, ``V03``): the time itself is not told.
    """

    phase: Phase
    months: float | None = None
    ordinal: int | None = None


def find_time(
    tokens: Sequence[Token], at: int, vocabulary: Vocabulary, *, is_sentence: bool = False
) -> tuple[TimePoint | None, int]:
    """Find the point in time that begins at a token.

    Returns
    -------
    time : TimePoint or None
        None if there is none, or for a span that is looked back on ("past 7 days").
    n_tokens : int
        Tokens that it takes.
    """
    n_noise = _recall(tokens, at, vocabulary) or _version(tokens, at)
    if n_noise:
        return None, n_noise
    return (
        _amount(tokens, at, vocabulary, is_sentence)
        or _ordinal(tokens, at, vocabulary)
        or _word(tokens, at, vocabulary)
        or (None, 0)
    )


def merge_times(times: Sequence[TimePoint]) -> TimePoint | None:
    """Merge the points in time of one text; a phase is made precise by months."""
    if not times:
        return None
    precise = [time for time in times if time.months is not None]
    ordinals = [time for time in times if time.ordinal is not None]
    phases = {time.phase for time in times}
    if precise and "during" not in phases:
        return precise[0] if phases != {"before", "after"} or len(precise) > 1 else replace(precise[0], phase="after")
    if ordinals:
        return ordinals[0]
    return TimePoint("during") if "during" in phases else times[-1]


def _recall(tokens: Sequence[Token], at: int, vocabulary: Vocabulary) -> int:
    """Count the tokens of a span that is looked back on, such as "past 7 days"."""
    for length in range(min(_LONGEST_TIME_WORD, len(tokens) - at), 0, -1):
        if not vocabulary.is_time("recall", _texts(tokens, at, length)):
            continue
        end = at + length
        if end + 1 < len(tokens) and tokens[end].text.isdigit() and find_span(tokens[end + 1].text, vocabulary):
            return length + 2
        if end < len(tokens) and find_span(tokens[end].text, vocabulary) and len(tokens[end].text) > 1:
            return length + 1
    return 0


def _version(tokens: Sequence[Token], at: int) -> int:
    """Count the tokens of a version ("v1_0") or of a form at the beginning ("P01BMI")."""
    texts = [token.text for token in tokens[at : at + 3]]
    if len(texts) < 3 or not texts[1].isdigit() or not tokens[at + 1].glued:
        return 0
    if texts[0] == "v" and texts[2].isdigit():
        return 3
    is_form = at == 0 and len(texts[0]) == 1 and len(texts[1]) == 2 and tokens[at + 2].glued
    return 2 if is_form and texts[0] not in "vtmwdy" else 0


def _amount(
    tokens: Sequence[Token], at: int, vocabulary: Vocabulary, is_sentence: bool
) -> tuple[TimePoint, int] | None:
    """Read a number and a span, in either order: "3 months", "12mo", "M6", "week 12"."""
    if at + 1 >= len(tokens):
        return None
    first, second = tokens[at], tokens[at + 1]
    number, word = (first, second) if first.text.isdigit() else (second, first)
    span = find_span(word.text, vocabulary)
    if not number.text.isdigit() or not span:
        return None
    if len(word.text) == 1 and (not second.glued or (at + 2 < len(tokens) and tokens[at + 2].glued)):
        return None
    if word.text == FRENCH_DAY and first is not word:
        return None
    if is_sentence and (first is word or _is_compared(tokens, at, vocabulary)):
        return None
    months = int(number.text) / _PER_MONTH[span]
    if months > MOST_MONTHS or (span == "hour" and is_sentence):
        return None
    return (TimePoint("before", 0.0) if months == 0 else TimePoint("after", round(months, 3))), 2


def _is_compared(tokens: Sequence[Token], at: int, vocabulary: Vocabulary) -> bool:
    """Check whether a span in a sentence is no point in time: only "at 3 months" or "3 months after" is one."""
    around = {token.text for token in (*tokens[max(0, at - 2) : at], *tokens[at + 2 : at + 4])}
    after = {phrase[0] for phrase in vocabulary.times["after"]}
    return not around & ({"at", "bei", "nach", "a", "vid", "ved", "op", "month"} | after) and len(tokens) > 6


def _ordinal(tokens: Sequence[Token], at: int, vocabulary: Vocabulary) -> tuple[TimePoint, int] | None:
    """Read the number of a visit: "T0", "V03", "fu1", "visit 2"."""
    for length in (2, 1):
        end = at + length
        if end >= len(tokens) or not tokens[end].text.isdigit():
            continue
        word = _texts(tokens, at, length)
        if not vocabulary.is_time("ordinal", word) or len(tokens[end].text) > 2:
            continue
        follows = end + 1 < len(tokens) and tokens[end + 1].glued
        if len(word[0]) == 1 and (not tokens[end].glued or tokens[at].glued or (follows and len(tokens[end].text) < 2)):
            continue
        number = int(tokens[end].text)
        is_before = number == 0
        return TimePoint("before" if is_before else "after", 0.0 if is_before else None, number), length + 1
    return None


def _word(tokens: Sequence[Token], at: int, vocabulary: Vocabulary) -> tuple[TimePoint, int] | None:
    phases: tuple[Phase, ...] = ("before", "during", "after")
    for length in range(min(_LONGEST_TIME_WORD, len(tokens) - at), 0, -1):
        for phase in phases:
            if vocabulary.is_time(phase, _texts(tokens, at, length)):
                return TimePoint(phase, 0.0 if phase == "before" else None), length
    return None


def _texts(tokens: Sequence[Token], at: int, length: int) -> tuple[str, ...]:
    return tuple(token.text for token in tokens[at : at + length])


def find_span(word: str, vocabulary: Vocabulary) -> str:
    """Find the span of time that a word names (``day``, ``week``, ``month``, ``year``); empty if none."""
    return next((span for span in _SPANS if vocabulary.is_time(span, (word,))), "")
