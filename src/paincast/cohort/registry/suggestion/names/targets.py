"""The columns of the contract that a registry's column may become, each with the concepts that name it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from paincast.cohort.registry.suggestion.language.vocabulary import fold, read_table
from paincast.cohort.registry.suggestion.language.words import read_words
from paincast.contract import BUILT_IN, Contract
from paincast.schema import Column
from paincast.schema.instruments import Instrument

BESIDE_SCORES = frozenset({"tscore", "percent", "patient", "average"})
"""Concepts that may stand beside the name of an instrument."""

_NOT_A_NAME = re.compile(r" \(.*")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A column of the contract, and how registries name it.

    Parameters
    ----------
    column : Column
        Its declaration.
    in_episodes, in_visits : bool
        Tables that have the column.
    patterns : tuple of frozenset of str
        Concepts that together name it; better names first.
    asks : frozenset of frozenset of str
        Those patterns that may mean something else; a person decides unless values confirm it.
    is_never_exact : bool
        Whether a person decides even where the name is one of the library.
    beside : frozenset of str
        Concepts that may stand beside a pattern.
    doubtful : frozenset of str
        Concepts that may stand beside it and leave a doubt.
    sure : frozenset of str
        Concepts without which a label that is not wholly understood leaves a doubt.
    rivals : mapping of str to str
        Concepts that leave a doubt if another column has the rival concept: pain of the back where that of the leg is
        recorded too.
    scales : mapping of str to str
        Other scales of the same name, such as ``0-50``, with what they are.
    confirmed : mapping of str to str
        What values must look like to confirm a pattern that asks.
    is_t_score : bool
        Whether its values are T-scores.
    names, other_names : frozenset of str
        Exact names, squeezed, that mean it or never mean it.
    """

    column: Column
    in_episodes: bool
    in_visits: bool
    patterns: tuple[frozenset[str], ...]
    asks: frozenset[frozenset[str]] = frozenset()
    is_never_exact: bool = False
    beside: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    sure: frozenset[str] = frozenset()
    rivals: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, str] = field(default_factory=dict)
    confirmed: Mapping[str, str] = field(default_factory=dict)
    is_t_score: bool = False
    names: frozenset[str] = frozenset()
    other_names: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name


def squeeze(name: str) -> str:
    """Reduce a name to its letters and digits.

    Examples
    --------
    >>> squeeze("Pre-Op Q EQ5D Index")
    'preopqeq5dindex'
    """
    return "".join(letter for letter in fold(name).lower() if letter.isalnum())


@cache
def gather_targets(contract: Contract = BUILT_IN) -> Mapping[str, Target]:
    """Gather the columns that are looked for: those of the contract, with the names of its instruments.

    Parameters
    ----------
    contract : Contract
        With the columns and instruments of a registry's own.
    """
    table = read_table(Path(__file__).with_name("columns.yaml"))
    only_visits = {name: column for name, column in contract.visits.items() if name not in contract.episodes}
    columns = {**contract.episodes, **only_visits}
    return {
        name: _make_target(column, table["columns"].get(name, {}), _instruments_of(name, contract), contract)
        for name, column in columns.items()
        if name != "month" and name not in table["read_as"]
    }


def _instruments_of(column: str, contract: Contract) -> list[Instrument]:
    return [
        instrument for instrument in contract.instruments.values() if column in (instrument.column, instrument.name)
    ]


def _make_target(
    column: Column, entry: Mapping[str, Any], instruments: Sequence[Instrument], contract: Contract
) -> Target:
    listed = [frozenset(pattern.split()) for pattern in entry.get("is", [])]
    asks = [frozenset(pattern.split()) for pattern in entry.get("ask", [])]
    is_score = bool(instruments)
    own = [] if listed or is_score else _derive_patterns(column)
    doubtful = frozenset(entry.get("doubt", []))
    from_library = [
        pattern for instrument in instruments for pattern in _patterns_of(instrument) if not pattern & doubtful
    ]
    patterns = dict.fromkeys([*listed, *own, *from_library, *asks])
    return Target(
        column=column,
        in_episodes=column.name in contract.episodes,
        in_visits=column.name in contract.visits and contract.visits[column.name].role == "outcome",
        patterns=tuple(patterns),
        asks=frozenset(asks) - frozenset(listed),
        is_never_exact=entry.get("exact") == "never",
        beside=frozenset(entry.get("with", [])) | (BESIDE_SCORES if is_score else frozenset()),
        doubtful=doubtful | {"result"},
        sure=frozenset(entry.get("sure", [])),
        rivals=entry.get("rivals", {}),
        scales=entry.get("scales", {}),
        confirmed=entry.get("confirmed", {}),
        is_t_score=any(instrument.scoring.method == "t_score" for instrument in instruments),
        names=frozenset(
            squeeze(name) for name in (column.name, *(name for instrument in instruments for name in instrument.names))
        ),
        other_names=frozenset(
            squeeze(_NOT_A_NAME.sub("", name)) for instrument in instruments for name in instrument.not_names
        ),
    )


def _derive_patterns(column: Column) -> list[frozenset[str]]:
    """Derive what names a column from its own name and label."""
    readings = [read_words(column.name)] + ([read_words(column.label)] if column.label else [])
    return [
        frozenset(reading.items)
        for reading in readings
        if len(reading.items) > 1 and (reading.unknown or reading.instruments)
    ]


def _patterns_of(instrument: Instrument) -> list[frozenset[str]]:
    """Read the names of an instrument as concepts; a title counts only if it says more than a family of instruments."""
    names = [_read_pattern(name) for name in (*instrument.names, instrument.name)]
    title = _read_pattern(instrument.title)
    return [pattern for pattern in (*names, title if len(title) > 1 else frozenset()) if pattern]


def _read_pattern(name: str) -> frozenset[str]:
    """Read a name as concepts; one without any known instrument is only matched exactly."""
    reading = read_words(name)
    is_plain = reading.instruments and not reading.unknown and not reading.numbers
    return frozenset(reading.items) - BESIDE_SCORES if is_plain else frozenset()
