"""An instrument: range, direction, scoring, responder thresholds with their sources, codes and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Domain = Literal[
    "pain",
    "function",
    "mood",
    "sleep",
    "cognition",
    "fatigue",
    "social",
    "pain type",
    "quality of life",
    "global",
]
Better = Literal["lower is better", "higher is better"]
ThresholdKind = Literal["absolute", "relative", "level"]
ScoringMethod = Literal["single", "mean", "sum", "percent", "t_score", "index"]


@dataclass(frozen=True)
class Threshold:
    """A change that patients call an improvement, in those in whom it was found.

    Parameters
    ----------
    kind : {"absolute", "relative", "level"}
        A change in units of the instrument, a share of the value before, or a value that is reached.
    value : float
        The change (above 0, in the direction that is better), the share (0 to 1) or the value.
    population : str
        In whom it was found; another population may need another.
    source : str
        Where it stands.
    """

    kind: ThresholdKind
    value: float
    population: str
    source: str

    def __str__(self) -> str:
        """Write the threshold in words."""
        amount = {
            "absolute": f"{self.value:g}",
            "relative": f"{100 * self.value:g} %",
            "level": f"level {self.value:g}",
        }
        return f"{amount[self.kind]} ({self.population}; {self.source})"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the score is computed from the items.

    Parameters
    ----------
    method : {"single", "mean", "sum", "percent", "t_score", "index"}
        One item; mean or sum of the items; their sum as a percentage of the greatest possible; a T-score from a table
        or item response model; or an index from a value set.
    n_items : int, optional
        Number of items; None where forms differ.
    item_low, item_high : float, optional
        Range of an item.
    at_least_answered : int, optional
        Fewest items with which a score may be computed; None where the source does not tell.
    note : str
        What else must be known, for example that the sum is doubled.
    """

    method: ScoringMethod
    n_items: int | None = None
    item_low: float | None = None
    item_high: float | None = None
    at_least_answered: int | None = None
    note: str = ""

    def __str__(self) -> str:
        """Write the scoring in words."""
        items = f" of {self.n_items} items" if self.n_items and self.n_items > 1 else ""
        ends = f" {self.item_low:g} to {self.item_high:g}" if items and self.item_low is not None else ""
        answered = f", at least {self.at_least_answered} answered" if self.at_least_answered else ""
        return f"{self.method.replace('_', '-')}{items}{ends}{answered}{'; ' + self.note if self.note else ''}"


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """An instrument of the library.

    Parameters
    ----------
    name : str
        Name by which the package knows it.
    title : str
        Its full name.
    domain : str
        What it measures.
    low, high : float
        Range of the score, ends included.
    unit : str
        Unit of the score, as in the data contract.
    direction : {"lower is better", "higher is better"}
        Which change is an improvement.
    scoring : Scoring
        How the score is computed.
    responder : tuple of Threshold
        Responder thresholds, the one that outcomes use first; empty where no source was found: then no outcome can be
        answered with it.
    loinc, snomed : mapping of str to str
        Codes of the score, with their meaning.
    names : tuple of str
        Names of fields that hold the score.
    not_names : tuple of str
        Names and fields that look alike and must not be taken for it.
    licence : str
        Who owns it and on what terms it is used; empty where this was not looked up.
    note : str
        What a reader must know before trusting a column.
    column : str
        Column of the data contract that holds the score; by default the name.
    """

    name: str
    title: str
    domain: Domain
    low: float
    high: float
    unit: str
    direction: Better
    scoring: Scoring
    responder: tuple[Threshold, ...] = ()
    loinc: Mapping[str, str] = field(default_factory=dict)
    snomed: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    not_names: tuple[str, ...] = ()
    licence: str = ""
    note: str = ""
    column: str = ""

    def __post_init__(self) -> None:
        if not self.column:
            object.__setattr__(self, "column", self.name)
