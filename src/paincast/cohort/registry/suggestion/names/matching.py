"""Match a column's name and label to the columns of the contract, by concepts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from paincast.cohort.registry.suggestion.language.words import Reading, read_words
from paincast.cohort.registry.suggestion.names.targets import Target, squeeze
from paincast.cohort.registry.suggestion.notes import Note

Certainty = Literal["certain", "likely", "doubt", "possible"]
"""``certain``: name and label agree, or an exact name. ``likely``: one of them tells. ``doubt``: a person decides.
``possible``: words of the name are not understood; it is only mentioned."""

ORDER: tuple[Certainty, ...] = ("certain", "likely", "doubt", "possible")
SHARED_BY = 3
"""A word that is not understood and that begins or ends so many names is a mark of a form."""
_IN_SENTENCES = frozenset({"patient", "now", "health", "visit", "procedure"})
"""Concepts that sentences mention without being about them."""
_LEAST_EXPLAINED = 0.5


@dataclass(frozen=True, kw_only=True)
class Match:
    """A column that may be a target.

    Parameters
    ----------
    source : str
        Name of the column.
    target : Target
        Column of the contract.
    certainty : str
        One of :data:`ORDER`.
    rank : int
        Place of the pattern among those of the target: 0 is the best name.
    size : int
        Concepts that were matched.
    concepts : frozenset of str
        All that its name and label speak of.
    why : str
        Where it was found, for the person who checks it.
    """

    source: str
    target: Target
    certainty: Certainty
    rank: int
    size: int
    why: str
    concepts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Fit:
    rank: int
    size: int
    certainty: Certainty


def find_form_marks(readings: Iterable[Reading]) -> frozenset[str]:
    """Find unknown words that several names begin or end with, such as the prefix of a form."""
    ends = Counter(
        word
        for items in (reading.items for reading in readings)
        for word in {*items[:1], *items[-1:]}
        if word.startswith("=") and len(items) > 1
    )
    return frozenset(word for word, n in ends.items() if n >= SHARED_BY)


def match_column(
    name: str, reading: Reading, note: Note | None, targets: Mapping[str, Target], marks: frozenset[str] = frozenset()
) -> list[Match]:
    """Match one column.

    Parameters
    ----------
    name : str
        Its name.
    reading : Reading
        What the name says.
    note : Note, optional
        What the file or a dictionary says about it.
    targets : mapping of str to Target
        Columns of the contract.
    marks : frozenset of str
        Words to ignore, from :func:`find_form_marks`.

    Returns
    -------
    list of Match
        The best first: those that are equally good and sure stand together.
    """
    label = read_words(note.label, is_sentence=True) if note and note.label else None
    return match_reading(name, _without(reading, marks), targets, label)


def match_reading(
    name: str, reading: Reading, targets: Mapping[str, Target], label: Reading | None = None
) -> list[Match]:
    """Match what a name and a label say; see :func:`match_column`."""
    matches = [match for target in targets.values() if (match := _match(name, reading, label, target)) is not None]
    informed = [match for match in matches if match.certainty != "possible"] or matches
    return sorted(informed, key=lambda match: (ORDER.index(match.certainty), -match.size, match.rank))


def _without(reading: Reading, marks: frozenset[str]) -> Reading:
    items = tuple(item for item in reading.items if item not in marks)
    return replace(reading, items=items)


def _match(name: str, reading: Reading, label: Reading | None, target: Target) -> Match | None:
    if squeeze(name) in target.other_names:
        return None
    items = frozenset(reading.items)
    is_asked = (target.is_never_exact and items in target.asks) or bool(items & target.doubtful)
    exact = squeeze(name) in target.names and not is_asked
    by_name = _Fit(0, max(1, len(set(reading.items))) + 1, "certain") if exact else _fit(reading, target)
    by_label = _fit_sentence(label, target) if label is not None else None
    if label is not None and by_label is None and by_name is not None and _tells_otherwise(label, target):
        return None
    if by_name is None and reading.instruments - _own_concepts(target):
        return None
    fit, why = _combine(by_name, by_label)
    if fit is None:
        return None
    return Match(
        source=name,
        target=target,
        certainty=fit.certainty,
        rank=fit.rank,
        size=fit.size,
        why=why,
        concepts=items | (label.known if label else frozenset()),
    )


def _combine(name: _Fit | None, label: _Fit | None) -> tuple[_Fit | None, str]:
    if name is None or (label is not None and name.certainty == "possible"):
        return label, "label"
    if label is None:
        return name, "name"
    worst = max(name.certainty, label.certainty, key=ORDER.index)
    certainty: Certainty = "doubt" if worst == "doubt" else "certain"
    return _Fit(min(name.rank, label.rank), max(name.size, label.size), certainty), "name and label"


def _fit(reading: Reading, target: Target) -> _Fit | None:
    """Fit the concepts of a name: everything in it must belong to the target."""
    fits = [
        fit
        for rank, pattern in enumerate(target.patterns)
        if (fit := _fit_pattern(frozenset(reading.items), pattern, rank, target)) is not None
    ]
    best = min(fits, key=lambda fit: (ORDER.index(fit.certainty), fit.rank), default=None)
    if best is None or not reading.numbers or best.certainty == "possible":
        return best
    if reading.instruments or reading.numbers not in (("1",), ("2",)):
        return _Fit(best.rank, best.size, "possible")
    return replace(best, certainty="doubt") if target.in_visits else best


def _fit_pattern(items: frozenset[str], pattern: frozenset[str], rank: int, target: Target) -> _Fit | None:
    if not pattern or not pattern <= items:
        return None
    rest = items - pattern - target.beside
    unknown = {item for item in rest if item.startswith("=")}
    if rest - unknown - target.doubtful:
        return None
    if unknown:
        return _Fit(rank, len(pattern), "possible")
    is_asked = bool(rest) or pattern in target.asks
    return _Fit(rank, len(pattern), "doubt" if is_asked else "likely")


def _fit_sentence(label: Reading, target: Target) -> _Fit | None:
    """Fit the concepts of a label: known concepts must belong to the target; some words may stay unknown."""
    known = frozenset(label.items) - _IN_SENTENCES
    needed = frozenset(item for pattern in target.patterns for item in pattern)
    literal = frozenset(item for item in label.unknown if item in needed)
    unknown = set(label.unknown) - literal
    items = (known - set(label.unknown)) | literal | (frozenset(label.items) & needed)
    fits = [
        fit
        for rank, pattern in enumerate(target.patterns)
        if (fit := _fit_pattern(items, pattern, rank, target)) is not None
        and _is_explained(len(pattern & items), len(unknown), label)
    ]
    best = min(fits, key=lambda fit: (ORDER.index(fit.certainty), fit.rank), default=None)
    is_unsure = bool(unknown and target.sure) and not items & target.sure
    return _Fit(best.rank, best.size, "doubt") if best is not None and is_unsure else best


def _is_explained(n_pattern: int, n_unknown: int, label: Reading) -> bool:
    n_known = len(label.items) - len(label.unknown)
    return (
        n_unknown == 0
        or (n_pattern > 1 and n_known / (n_known + n_unknown) >= _LEAST_EXPLAINED)
        or (n_unknown == 1 and n_known > 1)
    )


def _tells_otherwise(label: Reading, target: Target) -> bool:
    """Check whether a label speaks of something else: an instrument or a concept that no name of the target has."""
    own = _own_concepts(target)
    return bool(label.instruments - own) or bool(label.known and not label.known & own)


def _own_concepts(target: Target) -> frozenset[str]:
    return frozenset(item for pattern in target.patterns for item in pattern) | target.beside
