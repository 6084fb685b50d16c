"""Print lines, without control characters, and tables, fitted to the width of a terminal or whole to a file or pipe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

WIDEST_COLUMN = 44
GAP = 2

# Controls but line break and tab, line and paragraph separators, marks of direction, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text on standard output or error; every command prints by this.

    Parameters
    ----------
    text : str
        May hold names of files and columns, see :func:`escape_controls`.
    err : bool
        On standard error.
    nl : bool
        Whether to end the line.
    """
    click.echo(escape_controls(text), err=err, nl=nl)


def escape_controls(text: str) -> str:
    r"""Escape what would move the cursor, change colours, turn the direction of writing, or cannot be encoded.

    Examples
    --------
    >>> print(escape_controls("written: \x1b[31mout.csv"))
    written: \x1b[31mout.csv
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_table(
    table: pd.DataFrame, *, keys: int = 1, float_format: str = "%.3f", console: Console | None = None
) -> None:
    """Print a table on standard output.

    On a terminal, columns that do not fit are printed in further blocks, each starting with the key columns; long texts
    are wrapped. In a file or pipe, every row is one line. Colours follow the terminal and ``NO_COLOR``.

    Parameters
    ----------
    table : DataFrame
        Table to print; the index is not shown.
    keys : int
        Number of leading key columns, which identify a row.
    float_format : str
        Format of numbers.
    console : Console, optional
        Where to print; by default the terminal.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console(highlight=False)
    if not console.is_terminal:
        echo(table.to_string(index=False, float_format=float_format))
        return
    texts = {str(name): _format_cells(table[name], float_format) for name in table}
    numbers = {str(name) for name in table if table[name].dtype.kind in "iuf"}
    for names in split_columns({name: _measure(name, cells) for name, cells in texts.items()}, keys, console.width):
        grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for name in names:
            grid.add_column(Text(name), justify="right" if name in numbers else "left", overflow="fold")
        for row in zip(*(texts[name] for name in names), strict=True):
            grid.add_row(*(Text(cell) for cell in row))
        console.print(grid)


def split_columns(widths: dict[str, int], keys: int, width: int) -> list[list[str]]:
    """Split columns into blocks that fit a width, each starting with the key columns.

    Parameters
    ----------
    widths : dict of str to int
        Characters that each column needs.
    keys : int
        Number of leading columns that are repeated in each block.
    width : int
        Characters per line.

    Returns
    -------
    list of list of str
        Names of the columns of each block.

    Examples
    --------
    >>> split_columns({"technique": 10, "auroc": 20, "slope": 20, "note": 30}, 1, 60)
    [['technique', 'auroc', 'slope'], ['technique', 'note']]
    """
    names = list(widths)
    first, rest = names[:keys], names[keys:]
    used = sum(widths[name] + GAP for name in first)
    blocks, room = [[*first]], width - used
    for name in rest:
        if widths[name] > room and len(blocks[-1]) > len(first):
            blocks.append([*first])
            room = width - used
        blocks[-1].append(name)
        room -= widths[name] + GAP
    return blocks


def _format_cells(column: pd.Series, float_format: str) -> list[str]:
    return [
        "" if value != value else float_format % value if isinstance(value, float) else str(value) for value in column
    ]


def _measure(name: str, cells: Sequence[str]) -> int:
    return min(max(len(text) for text in (name, *cells)), WIDEST_COLUMN)
