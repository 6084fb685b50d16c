"""Read the name or label of a column as concepts, a point in time and units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from paincast.cohort.registry.suggestion.language.timepoints import TimePoint, find_span, find_time, merge_times
from paincast.cohort.registry.suggestion.language.tokens import Token, split_tokens
from paincast.cohort.registry.suggestion.language.vocabulary import Meaning, Vocabulary, load_vocabulary, to_tokens

LONGEST_PHRASE = 8
SPANS = frozenset({"years", "months", "weeks", "days"})
"""Units of time."""
_OF_DURATION = frozenset({"pain", "symptom", "back", "leg", "neck", "chronic"})
"""Concepts that with a unit of time mean how long they have lasted ("pain (months)")."""

_OF_PAIN = frozenset({"nrs", "vas", "pain", "intensity"})
_SCORES = frozenset({"score", "scores", "total", "tot", "sum", "scale", "summe", "punkte", "puntuacion", "poang"})
_ITEMS = frozenset({"q", "item", "frage", "question"})
_OF_RECALL = frozenset({"average", "worst", "least"})
_ONE_DAY = 0.04
"""Longer than a day, in months: pain "on average, 24 h" looks back and is no follow-up."""
_IN_BRACKETS = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_RANGE = re.compile(r"(-?\d+(?:[.,]\d+)?)\s*(?:-|–|to|bis|à|a|till|til|tot|\.\.)\s*(\d+)")
_OUT_OF = re.compile(r"/\s*(\d{1,3})\b")
_IN_UNIT = re.compile(r"\b(?:in|en|i)\s+([^\W\d_]+)[\s?.:]*$")
_BEHIND_COMMA = re.compile(r",\s*(?:in\s+)?([^,;]{1,12})$")


@dataclass(frozen=True)
class Reading:
    """What a name or a label says.

    Parameters
    ----------
    items : tuple of str
        Concepts and instruments in order; an unknown word stands as ``=word``.
    instruments : frozenset of str
        Those items that are names of instruments.
    numbers : tuple of str
        Numbers that belong to no concept, time or unit: often of an item.
    is_score : bool
        Whether it says that it is a score, a total or a sum.
    time : TimePoint or None
        The point in time.
    units : tuple of str
        Units as in a mapping, such as ``months``, ``%`` or ``0-100``.
    n_words : int
        Words of the text, neutral ones included.
    """

    items: tuple[str, ...] = ()
    instruments: frozenset[str] = frozenset()
    numbers: tuple[str, ...] = ()
    time: TimePoint | None = None
    units: tuple[str, ...] = ()
    n_words: int = 0
    is_score: bool = False

    @property
    def known(self) -> frozenset[str]:
        """Concepts and instruments."""
        return frozenset(item for item in self.items if not item.startswith("="))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Words that are not in the vocabulary."""
        return tuple(item for item in self.items if item.startswith("="))


@lru_cache(maxsize=20_000)
def read_words(text: str, *, is_sentence: bool = False) -> Reading:
    """Read a name or a label.

    Parameters
    ----------
    text : str
        Name of a column, or its label.
    is_sentence : bool
        Whether it is a label: then a span such as "in the past 24 hours" is no point in time.

    Examples
    --------
    >>> reading = read_words("Schmerzdauer (Monate)")
    >>> reading.items, reading.units
    (('pain', 'duration'), ('months',))
    >>> read_words("NRSBackPain_3m").time.months
    3.0
    """
    vocabulary = load_vocabulary()
    bare, units = _take_units(text, vocabulary, is_sentence=is_sentence)
    tokens = split_tokens(bare)
    items: list[str] = []
    instruments: set[str] = set()
    numbers: list[str] = []
    times: list[TimePoint] = []
    at = 0
    while at < len(tokens):
        length, concept, is_instrument = _longest_phrase(tokens, at, vocabulary)
        time, n_time = find_time(tokens, at, vocabulary, is_sentence=is_sentence)
        is_before_score = concept == "previous" and bool(instruments or set(items) & _OF_PAIN)
        if n_time > length or (n_time and n_time == length and (not concept or is_before_score)):
            times += [time] if time else []
            at += n_time
        elif length:
            if concept and not (concept == "item" and at > 0 and tokens[at - 1].text.isdigit()):
                items += concept.split("+")
                instruments |= {concept.split("+")[0]} if is_instrument else set()
            at += length
        else:
            word = tokens[at].text
            if word.isdigit() and at > 0 and tokens[at - 1].text in _ITEMS:
                items.append("item")
            elif word.isdigit():
                numbers.append(word)
            elif word.isalpha():
                items.append(find_span(word, vocabulary) or f"={word}")
            at += 1
    items, units = _read_duration(items, units, is_sentence=is_sentence)
    is_recall = times and 0 < (times[0].months or 0) < _ONE_DAY and set(items) & _OF_RECALL
    time = None if is_recall else merge_times(times)
    is_score = any(token.text in _SCORES for token in tokens)
    return Reading(tuple(items), frozenset(instruments), tuple(numbers), time, units, len(tokens), is_score)


def _read_duration(items: list[str], units: tuple[str, ...], *, is_sentence: bool) -> tuple[list[str], tuple[str, ...]]:
    """Read a symptom with a unit of time as how long it has lasted: "pain (years)"; of "pain_week" values decide."""
    if not is_sentence and len(items) > 1 and f"{items[-1]}s" in SPANS and set(items[:-1]) <= _OF_DURATION:
        items, units = items[:-1], (*units, f"{items[-1]}s")
    if set(units) & SPANS and items and set(items) <= _OF_DURATION:
        return [*items, "duration", *([] if "years" in units else ["lasting"])], units
    return items, units


def _longest_phrase(tokens: list[Token], at: int, vocabulary: Vocabulary) -> tuple[int, str, bool]:
    for length in range(min(LONGEST_PHRASE, len(tokens) - at), 0, -1):
        phrase = tuple(token.text for token in tokens[at : at + length])
        meaning = vocabulary.phrases.get(phrase)
        if meaning:
            return length, meaning.concept, meaning.kind == "instrument"
    return 0, "", False


def _take_units(text: str, vocabulary: Vocabulary, *, is_sentence: bool) -> tuple[str, tuple[str, ...]]:
    """Take units and ranges out of brackets, from behind a comma and from the end of a name."""
    units: list[str] = []
    for inside in _IN_BRACKETS.findall(text):
        found = _read_unit(inside, vocabulary)
        if found:
            units.append(found)
            kept = " mme " if "mme" in read_words(inside).items else " "
            text = re.sub(rf"[(\[{{]{re.escape(inside)}[)\]}}]", kept, text)
    if match := _OUT_OF.search(text):
        units.append(f"0-{match[1]}")
        text = text.replace(match[0], " ")
    if (match := _RANGE.search(text)) and match[1] in ("0", "1") and "_" not in match[0] and int(match[2]) > 1:
        units.append(f"{match[1]}-{match[2]}")
        text = text.replace(match[0], " ")
    if (match := _BEHIND_COMMA.search(text)) and (found := _read_unit(match[1], vocabulary)):
        units.append(found)
        text = text[: match.start()]
    if not is_sentence:
        return _take_last_unit(text, units, vocabulary)
    match = _IN_UNIT.search(text)
    if match and (found := _read_unit(match[1], vocabulary)):
        return text[: match.start()], tuple(dict.fromkeys([*units, found]))
    return text, tuple(dict.fromkeys(units))


def _take_last_unit(text: str, units: list[str], vocabulary: Vocabulary) -> tuple[str, tuple[str, ...]]:
    if text.rstrip().endswith("%"):
        units.append("%")
        text = text.rstrip().rstrip("%")
    parts = re.findall(r"[^\W_]+", text)
    for length in (3, 2):
        unit = vocabulary.units.get(to_tokens(" ".join(parts[-length:]))) if len(parts) > length else None
        if unit:
            units.append(unit)
            return text[: text.rindex(parts[-length])], tuple(dict.fromkeys(units))
    if len(parts) > 1 and len(parts[-1]) > 1 and parts[-1].isalpha():
        unit = vocabulary.units.get(to_tokens(parts[-1]))
        is_concept = vocabulary.phrases.get(to_tokens(parts[-1]), Meaning("neutral", "")).kind == "concept"
        if unit and not (is_concept and unit in ("years", "months")) and not parts[-2][-1].isdigit():
            units.append(unit)
            text = text[: text.rindex(parts[-1])]
    return text, tuple(dict.fromkeys(units))


def _read_unit(text: str, vocabulary: Vocabulary) -> str:
    if match := _RANGE.fullmatch(text.strip()):
        return f"{match[1]}-{match[2]}"
    if match := _RANGE.match(text.strip()):
        return f"{match[1]}-{match[2]}"
    tokens = to_tokens(text.removeprefix("in "))
    return vocabulary.units.get(tokens, "")
