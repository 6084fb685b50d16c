"""The options side by side: the short form of every part, the same parts for each option."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paincast.planning.page.catalogue import Words
from paincast.planning.page.view import OptionView, Picture

ROWS = ("is_it", "relief", "without", "compared", "harms", "lasts", "visits", "recovery", "cost", "unknown")
"""Rows of the table, by their headings in the catalogue."""


def compare_options(options: Sequence[OptionView], words: Words) -> Iterator[tuple[str, list[list[str]]]]:
    """Give each row of the table with a cell for each option, all with the same parts."""
    for row in ROWS:
        heading = words.write("relief", "without") if row == "without" else words.write("option", row)
        yield heading, [_fill_cell(option, row, words) for option in options]


def _fill_cell(option: OptionView, row: str, words: Words) -> list[str]:
    """Fill a cell with the short form of a part, which stands whole in the part of the option."""
    if row == "is_it":
        return [words.write("standing", option.standing)]
    if row == "relief":
        return [_shorten(picture, words) for picture in option.treated]
    if row == "without":
        return [_shorten(option.control, words)] if option.control else []
    if row == "harms":
        serious = len(option.harms.get("serious", ()))
        others = sum(map(len, option.harms.values())) - serious
        return [words.write("harms", "short", serious=serious, others=others)]
    if row == "compared":
        return option.found
    if row == "lasts" and option.later:
        return option.later
    cell: list[str] = getattr(option, row)
    return cell


def _shorten(picture: Picture, words: Words) -> str:
    if picture.people is None:
        return " ".join(picture.sentences)
    short = words.write("relief", "short", **vars(picture.people))
    return words.write("relief", "by_approach", approach=picture.approach, number=short) if picture.approach else short
