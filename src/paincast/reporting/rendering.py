"""Pages from the templates beside this module: every value is escaped, every page carries the one stylesheet."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent / "templates"

ALARMS = ("missing", "failed")
"""Cells that are marked by colour and weight."""

_UNIT = re.compile(r"(?<=\d) (?=%|months?|weeks?)|(?<=\bn) (?=\d)")


class Cells(NamedTuple):
    """A table ready to be written: headings with their class, and cells with heading, class and text."""

    head: list[tuple[str, str]]
    rows: list[list[tuple[str, str, str]]]


def render(template: str, *, folder: Path = TEMPLATES, **values: object) -> str:
    """Fill a template; text from outside is escaped.

    Parameters
    ----------
    template : str
        Name of a file in the folder.
    folder : Path
        Folder of the template and what it includes.
    **values : object
        What the template names; a name without a value is an error.

    Returns
    -------
    str
        HTML that needs nothing but itself.
    """
    return _make_environment(folder).get_template(template).render(**values)


@cache
def _make_environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(cells=format_cells, keep_units=keep_units)
    return environment


def keep_units(text: str) -> str:
    """Keep a number and its unit, or n and its number, on one line.

    Examples
    --------
    >>> keep_units("54 % at 6 months") == "54\u00a0% at 6\u00a0months"
    True
    """
    return _UNIT.sub("\u00a0", text)


def format_cells(frame: pd.DataFrame) -> Cells:
    """Format a frame for a page: text to the left, numbers to three digits, alarms marked."""
    names = [str(name) for name in frame]
    is_text = [not pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    rows = [
        [_format_cell(name, text, value) for name, text, value in zip(names, is_text, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    return Cells([(name, "text" if text else "") for name, text in zip(names, is_text, strict=True)], rows)


def _format_cell(name: str, is_text: bool, value: object) -> tuple[str, str, str]:
    text = _format_value(value)
    kinds = [*(["text"] if is_text else []), *([text] if text in ALARMS else [])]
    return name, " ".join(kinds), text


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "" if value is None or value is pd.NA else str(value)
