"""Tables on terminals of several widths, and in pipes."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from paincast.cli.tables import print_table

TABLE = pd.DataFrame(
    {
        "technique": ["facet_rfa", "epidural_steroid_injection"],
        "outcome": ["pain_response", "relief_duration"],
        **{f"number_{place}": [0.123456 * place, float("nan")] for place in range(6)},
        "note": ["too few episodes: 4670 needed " * 4, "[bold]no markup[/bold] \N{LATIN SMALL LETTER E WITH ACUTE}"],
    }
)


def show(width: int, **settings: object) -> str:
    stream = io.StringIO()
    print_table(TABLE, keys=2, console=Console(file=stream, width=width, force_terminal=True, **settings))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_line_fits_the_terminal_and_nothing_is_lost(width):
    shown = show(width, color_system=None)
    assert max(len(line) for line in shown.splitlines()) <= width
    words = shown.replace("\n", " ")
    for column in TABLE:
        assert column in words
    assert "0.617" in words
    assert "[bold]no" in words
    assert words.count("needed") == 4


def test_narrow_blocks_name_their_rows_again():
    assert show(80, color_system=None).count("facet_rfa") > 1
    assert show(200, color_system=None).count("facet_rfa") == 1


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in show(120)


def test_a_pipe_gets_a_row_a_line(capsys):
    print_table(TABLE, keys=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "too few episodes" in lines[1]
