"""The protocol card of a technique as Markdown, and as one HTML page that needs no network."""

from __future__ import annotations

import re
import textwrap
from html import escape as escape_html

from paincast.reporting.evidence.card import Block, Card, Grid, Section

WIDTH = 100
NARROWEST_TABLE = 3
"""Tables of more columns stay tables in Markdown, however wide; others become lists when they are too wide."""

STYLE = """
:root { --ink: #1d2430; --soft: #56606e; --line: #d5dae1; --page: #ffffff; --band: #f3f5f8; --bar: #0072b2;
  --mark: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf0; --soft: #a9b3c1; --line: #3a4250; --page: #14181f;
  --band: #1d232c; --bar: #56b4e9; --mark: #e69f00; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; }
ul { margin: .4rem 0 .8rem; padding-left: 1.2rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .4rem; }
nav a { display: inline-block; padding: .45rem .7rem; border: 1px solid var(--line); border-radius: .4rem; }
a { color: var(--bar); }
.note { background: var(--band); padding: .7rem .9rem; border-left: 4px solid var(--mark); }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); }
td:first-child { font-weight: 600; }
td { min-width: 4.6rem; }
.bar { position: relative; height: .55rem; margin-top: .3rem; background: var(--band); border-radius: .3rem; }
.bar i { position: absolute; inset: 0 auto 0 0; background: var(--bar); border-radius: .3rem; }
.bar b { position: absolute; top: -.2rem; bottom: -.2rem; width: 3px; background: var(--mark); }
@media print { nav { display: none; } h2, h3 { break-after: avoid; } }
"""


_UNIT = re.compile(r"(\d) (%|months?|weeks?)")


def escape(text: str) -> str:
    """Escape a text for HTML, and keep a number and its unit on one line."""
    return _UNIT.sub("\\1\u00a0\\2", escape_html(text))


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
    tops = [(f"part-{place}", section) for place, section in enumerate(card.sections)]
    links = "".join(
        f'<li><a href="#{name}">{escape(section.heading)}</a></li>' for name, section in tops if section.level == 2
    )
    body = "\n".join(_write_section(name, section) for name, section in tops)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(card.title)}: protocol card</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(card.title)}</h1>\n<p><code>{escape(card.technique)}</code></p>\n"
        f'<p class="note">{escape(card.note)}</p>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _write_section(name: str, section: Section) -> str:
    blocks = "\n".join(_mark_block(block, section.heading) for block in section.blocks)
    return f'<h{section.level} id="{name}">{escape(section.heading)}</h{section.level}>\n{blocks}'


def _mark_block(block: Block, heading: str) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Grid):
        return _mark_grid(block, heading)
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in block)}</ul>"


def _mark_grid(grid: Grid, heading: str) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.columns)
    bars = [_draw_bar(*pair) for pair in grid.shares] or [""] * len(grid.rows)
    rows = "\n".join(_mark_row(row, bar) for row, bar in zip(grid.rows, bars, strict=True))
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(heading)}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _mark_row(row: tuple[str, ...], bar: str) -> str:
    cells = [escape(cell) for cell in row]
    if bar:
        cells[1] += bar
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _draw_bar(share: float, control: float | None) -> str:
    mark = "" if control is None else f'<b style="left:{100 * control:.1f}%"></b>'
    return f'<div class="bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i>{mark}</div>'
