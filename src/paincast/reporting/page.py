"""One self-contained HTML page of sections: a question, figures with words for those who cannot see them, numbers."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from paincast.reporting.figures.axes import figure_of
from paincast.reporting.rendering import render


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a page.

    Parameters
    ----------
    image : Axes or bytes
        What was drawn, or a PNG.
    alt : str
        What it shows, for those who cannot see it.
    caption : str
        Text below it.
    """

    image: Axes | bytes
    alt: str
    caption: str = ""

    @property
    def address(self) -> str:
        """Give an address that holds the image itself."""
        if isinstance(self.image, bytes):
            return f"data:image/png;base64,{_to_text(self.image)}"
        return f"data:image/svg+xml;base64,{_to_text(draw_svg(self.image))}"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A question: the answer in a sentence or two, figures, and the numbers behind them.

    Parameters
    ----------
    name : str
        Anchor, unique on the page.
    title : str
        Heading.
    text : str
        What the figures show.
    figures : sequence of Figure
        In order.
    numbers : DataFrame, optional
        Table behind the figures, closed until it is opened.
    layout : {"", "wide", "tall"}
        Small figures side by side; ``wide`` keeps their size and scrolls on a narrow screen; ``tall`` makes them as
        wide as the screen, but never too small to read.
    verdict : {"", "passes", "refused"}
        Marks the text as a verdict.
    items : sequence of str
        A list below the text.
    tables : mapping of str to DataFrame
        Tables that stand open, by title.
    folded : mapping of str to sequence of str
        Long lists, by title, closed until they are opened.
    verbatim : str
        A text shown as it is, line by line.
    """

    name: str
    title: str
    text: str
    figures: Sequence[Figure] = ()
    numbers: pd.DataFrame | None = None
    layout: Literal["", "wide", "tall"] = ""
    verdict: str = ""
    items: Sequence[str] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    folded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    verbatim: str = ""


def write_page(title: str, note: str, settings: Mapping[str, str], sections: Sequence[Section]) -> str:
    """Write a page that needs nothing but itself.

    Parameters
    ----------
    title, note : str
        Heading, and what must be read first.
    settings : mapping of str to str
        What the page was made from.
    sections : sequence of Section
        In the order of the page.

    Returns
    -------
    str
        HTML.
    """
    contents = [(section.name, section.title) for section in sections]
    return render("page.html", title=title, note=note, settings=settings, contents=contents, sections=sections)


def draw_svg(ax: Axes) -> bytes:
    """Draw the figure of axes as SVG, the same bytes for the same figure.

    Text stays text and coordinates keep two decimals: half the size.
    """
    drawing = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "paincast", "svg.fonttype": "none"}):
        figure_of(ax).savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"(\d\.\d\d)\d+", r"\1", drawing.getvalue()).encode()


def _to_text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
