"""What long work shows on a terminal, and that elsewhere it shows nothing."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from paincast.cli.terminal.progress import format_rate, show_progress
from paincast.progress import SILENT


def make_console(*, terminal: bool) -> Console:
    return Console(file=StringIO(), force_terminal=terminal, width=120, color_system=None)


def read(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_bar_tells_what_is_done_how_far_and_how_long():
    console = make_console(terminal=True)
    with show_progress("simulating", "episodes", console=console) as progress:
        progress.expect(200)
        progress.advance(50)
        progress.describe("facet_rfa [1/2]")
    last = [line for line in read(console).splitlines() if "%" in line][-1]
    assert "facet_rfa [1/2]" in last
    assert "25%" in last
    assert "0:00:0" in last


def test_nothing_is_shown_in_a_log_or_where_nobody_wants_it():
    log, terminal = make_console(terminal=False), make_console(terminal=True)
    with show_progress("simulating", "episodes", console=log) as progress:
        assert progress is SILENT
    with show_progress("simulating", "episodes", console=terminal, is_wanted=False) as progress:
        assert progress is SILENT
    assert read(log) == read(terminal) == ""


def test_a_rate_is_told_in_the_unit_of_time_that_makes_it_readable():
    assert format_rate(1 / 1800, "models") == "2.0 models/h"
    assert format_rate(0.5, "models") == "30 models/min"
