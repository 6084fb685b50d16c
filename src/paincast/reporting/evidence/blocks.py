"""What a card is made of: lines of text with sources and a grade, in paragraphs, lists and grids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

GRADES: Mapping[str, str] = MappingProxyType(
    {
        "A": "counted in studies of this indication",
        "B": "computed from related studies or from another outcome",
        "C": "assumed, or said without a count",
    }
)
"""What the letter beside a figure says."""

GRADE_OF_TAG: Mapping[str, str] = MappingProxyType({"FOUND": "A", "DERIVED": "B", "ASSUMED": "C", "SEED": "C"})
BORROWED = "taken from"
"""Remark with which a record says that a figure was counted in other patients."""


class Bar(NamedTuple):
    """A share drawn as a bar, with the interval of a new study and the share of a control arm (None if not known)."""

    share: float
    lower: float
    upper: float
    control: float | None


def grade(*tags: str, remark: str = "") -> str:
    """Find the letter of a figure: that of its weakest tag, and at most B if it was counted in other patients.

    Examples
    --------
    >>> grade("FOUND"), grade("FOUND/ASSUMED"), grade("FOUND", remark="taken from spinal procedures")
    ('A', 'C', 'B')
    """
    letters = [GRADE_OF_TAG[part] for tag in tags for part in tag.split("/")]
    return max([*letters, *(["B"] if remark.startswith(BORROWED) else [])])


def compress_numbers(numbers: Sequence[int]) -> list[tuple[str, int]]:
    """Write the numbers of sources as ranges, each with its first number.

    Examples
    --------
    >>> compress_numbers([5, 1, 2, 3])
    [('1-3', 1), ('5', 5)]
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    pairs = [run for run in runs if len(run) != 2] + [[number] for run in runs if len(run) == 2 for number in run]
    return [(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}", run[0]) for run in sorted(pairs)]


@dataclass(frozen=True)
class Line:
    """A text with the ids of its sources and the letter of its figure, if it has one."""

    text: str
    source: str | tuple[str, ...] = ()
    grade: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the sources."""
        return (self.source,) if isinstance(self.source, str) else self.source


@dataclass(frozen=True)
class Paragraph:
    """Lines that are read on, after a label in bold."""

    lines: tuple[Line, ...]
    label: str = ""
    joint: str = " "


@dataclass(frozen=True)
class Grid:
    """A small table; the second cell of a row holds the bar, if bars are given."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    bars: tuple[Bar, ...] = ()


Block = Paragraph | Grid


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with blocks below it.

    Parameters
    ----------
    heading : str
        What it is about.
    blocks : tuple of Block
        In the order of reading.
    wide : bool
        Whether it takes the whole width of a page; others stand in two columns.
    new_page : bool
        Whether it begins a page in print.
    """

    heading: str
    blocks: tuple[Block, ...]
    wide: bool = False
    new_page: bool = False


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card or list of the evidence.

    Parameters
    ----------
    technique, title : str
        Name in the contract, and in words.
    place : str
        Indication and approach; empty if there are several.
    about : tuple of Line
        What it is.
    sections : tuple of Section
        In the order of reading.
    more : str
        How to get what is not on the card.
    """

    technique: str
    title: str
    about: tuple[Line, ...]
    sections: tuple[Section, ...]
    place: str = ""
    more: str = ""

    @property
    def numbers(self) -> dict[str, int]:
        """Number of each source, in the order in which they are cited."""
        cited = chain.from_iterable(line.sources for line in self._list_lines())
        return {name: number for number, name in enumerate(dict.fromkeys(cited), 1)}

    @property
    def is_graded(self) -> bool:
        """Whether any figure has a letter."""
        return any(line.grade for line in self._list_lines())

    def _list_lines(self) -> Iterator[Line]:
        yield from self.about
        for section in self.sections:
            for block in section.blocks:
                yield from chain.from_iterable(block.rows) if isinstance(block, Grid) else block.lines
