"""The protocol card of a technique as Markdown, and as one HTML page that needs no network."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import groupby

from paincast.evidence.records import load_sources
from paincast.reporting.evidence.blocks import GRADES, Block, Card, Grid, Line, compress_numbers
from paincast.reporting.evidence.references import find_link, shorten_citation
from paincast.reporting.rendering import render

WIDTH = 100


def write_markdown(card: Card) -> str:
    """Write a card as Markdown, wrapped for reading in a terminal."""
    numbers = card.numbers
    place = f"**{card.place}**. " if card.place else ""
    text = [f"# {card.title}", "", f"`{card.technique}`", ""]
    text += [*_wrap(place + " ".join(_write_line(line, numbers) for line in card.about)), ""]
    for section in card.sections:
        text += [f"## {section.heading}", ""]
        for block in section.blocks:
            text += [*_write_block(block, numbers), ""]
    if numbers:
        text += [
            "## Sources",
            "",
            *(line for name, number in numbers.items() for line in _write_source(name, number)),
            "",
        ]
    text += [*_wrap(paragraph, ""), ""] if (paragraph := _explain(card)) else []
    text += _wrap(card.more) if card.more else []
    return "\n".join(text).rstrip() + "\n"


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _explain(card: Card) -> str:
    letters = "; ".join(f"{letter} {meaning}" for letter, meaning in GRADES.items())
    return f"Letters: {letters}." if card.is_graded else ""


def _write_line(line: Line, numbers: Mapping[str, int]) -> str:
    cited = ", ".join(label for label, _ in compress_numbers([numbers[name] for name in line.sources]))
    return " ".join(filter(None, (line.text, f"({line.grade})" if line.grade else "", f"[{cited}]" if cited else "")))


def _write_block(block: Block, numbers: Mapping[str, int]) -> list[str]:
    if isinstance(block, Grid):
        return _write_grid(block, numbers)
    text = block.joint.join(_write_line(line, numbers) for line in block.lines)
    return _wrap(f"**{block.label}** {text}" if block.label else text)


def _write_grid(grid: Grid, numbers: Mapping[str, int]) -> list[str]:
    written = [grid.columns, *([_write_line(cell, numbers) for cell in row] for row in grid.rows)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in written]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    rows = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in cells]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return [rows[0], rule, *rows[1:]]


def _write_source(name: str, number: int) -> list[str]:
    source = load_sources()[name]
    return _wrap(" ".join(filter(None, (f"{number}. {shorten_citation(source)}.", find_link(source)[1]))), "   ")


def write_html(card: Card) -> str:
    """Write a card as HTML, readable on a phone and by a screen reader; of one indication it prints on one page."""
    numbers = card.numbers
    named = [(f"part-{number}", section) for number, section in enumerate(card.sections)]
    top = [(name, section.heading) for name, section in named]
    return render(
        "card.html",
        title=card.title,
        card=card,
        contents=[] if card.place else top,
        parts=[(wide, list(group)) for wide, group in groupby(named, key=lambda pair: pair[1].wide)],
        cite=lambda line: compress_numbers([numbers[name] for name in line.sources]),
        grades=GRADES if card.is_graded else {},
        sources=[(number, *_describe_source(name)) for name, number in numbers.items()],
        is_grid=lambda block: isinstance(block, Grid),
    )


def _describe_source(name: str) -> tuple[str, str, str]:
    source = load_sources()[name]
    return shorten_citation(source), *find_link(source)
