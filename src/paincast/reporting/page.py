"""One self-contained HTML page of sections: a sentence, pictures with words for those who cannot see them, numbers."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem; color: #222; background: #fff;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.6rem 0; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 0.4rem; padding-top: 0.6rem; border-top: 1px solid #d5d5d5; }
p { max-width: 46rem; margin: 0.5rem 0; }
a { color: #00507d; }
nav ul { padding-left: 1.2rem; margin: 0.4rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; margin: 0.8rem 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
.note { border-left: 4px solid #d55e00; padding: 0.3rem 0.8rem; background: #fdf4ee; max-width: 46rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 0.8rem; }
.panels.wide { display: block; overflow-x: auto; }
.panels.tall { grid-template-columns: repeat(auto-fill, minmax(min(100%, 38rem), 1fr)); }
.tall figure div { overflow-x: auto; } .tall figure img { max-width: 54rem; min-width: 33rem; }
.verdict { font-size: 1.15rem; font-weight: 600; border-left: 6px solid #d55e00; padding: 0.4rem 0.8rem; }
.verdict.passes { border-color: #009e73; }
.open { overflow-x: auto; margin: 0.9rem 0; } .open table { width: 100%; max-width: 70rem; }
.open td.text { white-space: normal; min-width: 7rem; vertical-align: top; }
.open td { vertical-align: top; } td.missing, td.failed { color: #a33c00; font-weight: 600; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
main ul, details ol { max-width: 46rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
details ol { padding-left: 2.4rem; font-size: 0.9rem; }
figure { margin: 0; } figure img { width: 100%; max-width: 28rem; height: auto; display: block; }
.wide figure img { width: auto; max-width: none; }
figcaption { font-size: 0.9rem; color: #444; max-width: 46rem; }
details { margin: 0.8rem 0; } summary { cursor: pointer; color: #00507d; }
.scroll { overflow-x: auto; max-height: 30rem; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { text-align: right; padding: 0.15rem 0.6rem; border-bottom: 1px solid #e3e3e3; white-space: nowrap; }
th { position: sticky; top: 0; background: #fff; } th.text, td.text { text-align: left; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.4rem; }
  .open table, .open caption, .open tbody, .open tr, .open td { display: block; text-align: left; }
  .open thead { position: absolute; left: -999rem; }
  .open tr { border-bottom: 1px solid #d5d5d5; padding: 0.4rem 0; }
  .open td, .open td.text { border: 0; padding: 0.05rem 0; white-space: normal; overflow-wrap: anywhere; }
  .open td::before { content: attr(data-name) ": "; color: #555; font-weight: 400; }
  .open td:empty { display: none; }
  .open td:first-child { font-weight: 600; } .open td:first-child::before { content: ""; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } nav, details { display: none; } h2 { break-after: avoid; }
  figure { break-inside: avoid; } .panels { grid-template-columns: repeat(2, 1fr); }
  .panels.wide { overflow: visible; } .wide figure img { max-width: 100%; }
  .panels.tall { grid-template-columns: 1fr; } .tall figure img { min-width: 0; max-width: 80%; }
  .open, .tall figure div { overflow: visible; } tr { break-inside: avoid; } th { position: static; }
  .open table { font-size: 7.5pt; } .open th, .open td { padding: 0.1rem 0.25rem; } .open th { white-space: normal; }
  .open td.text { min-width: 11vw; overflow-wrap: anywhere; }
}
"""

ALARMS = ("missing", "failed")
"""Cells that are marked by colour and weight."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A picture, drawn or as PNG, what it shows for those who cannot see it, and a caption where it needs one."""

    picture: Axes | bytes
    alternative: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table that is read, not looked up: open, its words wrapped."""

    title: str
    rows: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A long list that is opened by who looks for it; its title tells how long it is."""

    title: str
    listed: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A question: what is seen in a sentence or two, pictures, and the numbers behind them.

    Parameters
    ----------
    name : str
        Anchor, unique on the page.
    title : str
        Heading.
    said : str
        What the pictures show.
    panels : sequence of Panel
        Pictures.
    numbers : DataFrame, optional
        Table behind the pictures.
    wide : bool
        Whether a picture keeps its size and scrolls on a narrow screen.
    tall : bool
        Whether pictures stand below each other, as wide as the screen but never too small to read.
    verdict : {"passes", "refused"}, optional
        Marks what is said as a verdict.
    listed : sequence of str
        Sentences below, as a list.
    sheets : sequence of Sheet
        Tables that stand open.
    folded : sequence of Folded
        Long lists below the tables, closed.
    """

    name: str
    title: str
    said: str
    panels: Sequence[Panel] = ()
    numbers: pd.DataFrame | None = None
    wide: bool = False
    tall: bool = False
    verdict: str = ""
    listed: Sequence[str] = ()
    sheets: Sequence[Sheet] = ()
    folded: Sequence[Folded] = ()


def write_page(title: str, note: str, settings: dict[str, str], sections: Sequence[Section]) -> str:
    """Write a page that needs nothing but itself.

    Parameters
    ----------
    title, note : str
        Heading, and what must be read first.
    settings : dict of str to str
        What the page was made from.
    sections : sequence of Section
        In the order of the page.

    Returns
    -------
    str
        HTML.
    """
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in settings.items())
    listed = "".join(f'<li><a href="#{part.name}">{html.escape(part.title)}</a></li>' for part in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header>\n<h1>{html.escape(title)}</h1>\n<p class="note">{html.escape(note)}</p>\n'
        f"<dl>{facts}</dl>\n</header>\n"
        f'<nav aria-label="Sections"><ul>{listed}</ul></nav>\n<main>\n'
        + "\n".join(_write_section(part) for part in sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _write_section(section: Section) -> str:
    panels = "".join(_write_panel(panel) for panel in section.panels)
    kind = "panels wide" if section.wide else "panels tall" if section.tall else "panels"
    reach = f' role="region" aria-label="{html.escape(section.title)}, picture" tabindex="0"' if section.wide else ""
    numbers = "" if section.numbers is None else _write_numbers(section.title, section.numbers)
    said = f'<p class="verdict {section.verdict}">' if section.verdict else "<p>"
    listed = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in section.listed)
    return (
        f'<section id="{section.name}">\n<h2>{html.escape(section.title)}</h2>\n{said}{html.escape(section.said)}</p>\n'
        + (f"<ul>{listed}</ul>\n" if listed else "")
        + (f'<div class="{kind}"{reach}>{panels}</div>\n' if panels else "")
        + "".join(_write_sheet(sheet) for sheet in section.sheets)
        + "".join(_write_folded(folded) for folded in section.folded)
        + f"{numbers}</section>"
    )


def _write_panel(panel: Panel) -> str:
    caption = f"<figcaption>{html.escape(panel.caption)}</figcaption>" if panel.caption else ""
    drawn = panel.picture
    address = f"data:image/png;base64,{_to_text(drawn)}" if isinstance(drawn, bytes) else _encode(drawn)
    image = f'<img src="{address}" alt="{html.escape(panel.alternative)}">'
    return f'<figure><div tabindex="0">{image}</div>{caption}</figure>\n'


def _encode(ax: Axes) -> str:
    """Draw to SVG, the same bytes for the same picture, as an address that holds the picture itself.

    Text stays text and coordinates keep two decimals: half the size.
    """
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "paincast", "svg.fonttype": "none"}):
        _figure_of(ax).savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    small = re.sub(r"(\d\.\d\d)\d+", r"\1", drawn.getvalue())
    return f"data:image/svg+xml;base64,{_to_text(small.encode())}"


def _to_text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _figure_of(ax: Axes) -> Figure:
    figure = ax.figure
    assert isinstance(figure, Figure)
    return figure


def _write_numbers(title: str, numbers: pd.DataFrame) -> str:
    return (
        f"<details><summary>The numbers: {html.escape(title.lower())} ({len(numbers)} rows)</summary>"
        f'<div class="scroll" role="region" aria-label="{html.escape(title)}" tabindex="0">'
        f"{_write_table(numbers)}</div></details>\n"
    )


def _write_folded(folded: Folded) -> str:
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in folded.listed)
    return (
        f"<details><summary>{html.escape(folded.title)} ({len(folded.listed)})</summary><ol>{listed}</ol></details>\n"
    )


def _write_sheet(sheet: Sheet) -> str:
    title = html.escape(sheet.title)
    return (
        f'<div class="open" role="region" aria-label="{title}" tabindex="0">'
        f"{_write_table(sheet.rows, f'<caption>{title}</caption>')}</div>\n"
    )


def _write_table(numbers: pd.DataFrame, caption: str = "") -> str:
    is_text = [not pd.api.types.is_numeric_dtype(numbers[name]) for name in numbers]
    mark = ['class="text"' if text else "" for text in is_text]
    head = "".join(
        f'<th role="columnheader" scope="col" {kind}>{html.escape(str(name))}</th>'
        for name, kind in zip(numbers, mark, strict=True)
    )
    rows = [
        "".join(
            _write_cell(_show(value), str(name), text) for value, name, text in zip(row, numbers, is_text, strict=True)
        )
        for row in numbers.itertuples(index=False)
    ]
    # Roles, because on a narrow screen rows are laid out as blocks: a screen reader would no longer see a table.
    body = "".join(f'<tr role="row">{row}</tr>' for row in rows)
    return (
        f'<table role="table">{caption}<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table>'
    )


def _write_cell(shown: str, name: str, text: bool) -> str:
    kinds = " ".join([*(["text"] if text else []), *([shown] if shown in ALARMS else [])])
    mark = f' class="{kinds}"' if kinds else ""
    return f'<td role="cell" data-name="{html.escape(name)}"{mark}>{html.escape(shown)}</td>'


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "" if value is None or value is pd.NA else str(value)
