"""The contract: every column, technique, indication and outcome that a cohort may hold and a model be asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from paincast.outcomes import OUTCOMES, Outcome
from paincast.schema import EPISODES, EVENTS, INDICATIONS, TECHNIQUES, VISITS, Column, is_model_input
from paincast.schema.instruments import INSTRUMENTS, Instrument

_DIGEST_LENGTH = 12


@dataclass(frozen=True, kw_only=True)
class OwnTechnique:
    """A technique that a contract declares.

    Parameters
    ----------
    title : str
        Name in words.
    like : str
        Built-in technique whose published evidence may be borrowed as a prior; empty for none.
    month : float, optional
        Month at which its outcomes are asked; by default that of ``like``.
    codes : mapping of str to tuple of str
        Procedure codes by coding system.
    """

    title: str
    like: str = ""
    month: float | None = None
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OwnIndication:
    """An indication that a contract declares, with its ICD-10 codes."""

    title: str
    icd10: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Contract:
    """Everything that a cohort may hold and a model may be asked: what is built in, and a registry's own.

    Parameters
    ----------
    name : str
        Name; empty for the built-in contract.
    declared : str
        What a registry declared beside the built-in contract, as JSON; empty if nothing.
    episodes, visits, events : mapping of str to Column
        Columns of the tables.
    own_techniques, own_indications : mapping
        Those that are not built in, by name.
    instruments : mapping of str to Instrument
        Instruments of the library, perhaps with other thresholds, and of the registry's own.
    outcomes : mapping of str to Outcome
        All outcomes, those of the registry's own last.
    """

    name: str = ""
    declared: str = ""
    episodes: Mapping[str, Column]
    visits: Mapping[str, Column]
    events: Mapping[str, Column]
    own_techniques: Mapping[str, OwnTechnique] = field(default_factory=dict)
    own_indications: Mapping[str, OwnIndication] = field(default_factory=dict)
    instruments: Mapping[str, Instrument]
    outcomes: Mapping[str, Outcome]

    @cached_property
    def digest(self) -> str:
        """First digits of the hash of what was declared; empty for the built-in contract."""
        return hashlib.sha256(self.declared.encode()).hexdigest()[:_DIGEST_LENGTH] if self.declared else ""

    @cached_property
    def tables(self) -> Mapping[str, Mapping[str, Column]]:
        """Columns by table."""
        return MappingProxyType({"episodes": self.episodes, "visits": self.visits, "events": self.events})

    @cached_property
    def techniques(self) -> tuple[str, ...]:
        """Names of all techniques, the registry's own last."""
        return (*TECHNIQUES, *self.own_techniques)

    @cached_property
    def indications(self) -> tuple[str, ...]:
        """Names of all indications, the registry's own last."""
        return (*INDICATIONS, *self.own_indications)

    @cached_property
    def model_columns(self) -> tuple[Column, ...]:
        """Columns that are model inputs, in the order of the contract."""
        return tuple(column for column in self.episodes.values() if is_model_input(column))

    @cached_property
    def own_columns(self) -> tuple[str, ...]:
        """Names of the columns of episodes that are not built in."""
        return tuple(name for name in self.episodes if name not in EPISODES)

    def find_evidence(self, technique: str) -> str:
        """Return the built-in technique whose published evidence a technique may use; empty for none."""
        own = self.own_techniques.get(technique)
        return technique if own is None else own.like

    def label(self, name: str) -> str:
        """Return the name of a column for figures and sentences."""
        return self.episodes[name].display_name if name in self.episodes else name.replace("_", " ")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Contract) and self.declared == other.declared

    def __hash__(self) -> int:
        return hash(self.declared)

    def __repr__(self) -> str:
        return f"Contract({self.name!r}, digest {self.digest})" if self.declared else "Contract(built in)"

    def __reduce__(self) -> tuple[Callable[[str], Contract], tuple[Any, ...]]:
        from paincast.contract.reading import restore_contract

        return restore_contract, (self.declared,)


BUILT_IN = Contract(episodes=EPISODES, visits=VISITS, events=EVENTS, instruments=INSTRUMENTS, outcomes=OUTCOMES)


def describe_own_technique(technique: OwnTechnique) -> str:
    """Describe in words what stands beside a technique of a contract."""
    if technique.like:
        return f"no record of its own; the evidence of {technique.like} may be borrowed as a prior"
    return "no published evidence stands beside it: real patients alone"
