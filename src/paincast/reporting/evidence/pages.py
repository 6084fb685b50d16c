"""The protocol card of a technique as Markdown, and as one HTML page that needs no network."""

from __future__ import annotations

import textwrap

from paincast.reporting.evidence.card import Block, Card, Grid
from paincast.reporting.rendering import render

WIDTH = 100
NARROWEST_TABLE = 3
"""Tables of more columns stay tables in Markdown, however wide; others become lists when they are too wide."""


def write_markdown(card: Card) -> str:
    """Write a card as Markdown, wrapped for reading in a terminal."""
    parts = [f"# {card.title}", f"`{card.technique}`", *textwrap.wrap(f"*{card.note}*", WIDTH)]
    text = [parts[0], "", parts[1], "", *parts[2:], ""]
    for section in card.sections:
        text += [f"{'#' * section.level} {section.heading}", ""]
        for block in section.blocks:
            text += [*_write_block(block), ""]
    return "\n".join(text).rstrip() + "\n"


def _write_block(block: Block) -> list[str]:
    if isinstance(block, str):
        return textwrap.wrap(block, WIDTH, break_long_words=False, break_on_hyphens=False)
    if isinstance(block, Grid):
        table = _write_grid(block)
        fits = len(table[0]) <= WIDTH or len(block.columns) > NARROWEST_TABLE
        return table if fits else _write_items(tuple(f"{first}: {'; '.join(more)}" for first, *more in block.rows))
    return _write_items(block)


def _write_items(items: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for item in items:
        lines += textwrap.wrap(
            item, WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return lines


def _write_grid(grid: Grid) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (grid.columns, *grid.rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    rows = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in cells]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return [rows[0], rule, *rows[1:]]


def write_html(card: Card) -> str:
    """Write a card as one HTML page, readable on a phone and by a screen reader."""
    sections = [(f"part-{number}", section) for number, section in enumerate(card.sections)]
    contents = [(name, section.heading) for name, section in sections if section.level == 2]
    return render("card.html", title=card.title, card=card, contents=contents, sections=sections)
