"""Lines without control characters; tables on terminals of several widths, and in pipes."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from paincast import cli
from paincast.cli.terminal.printing import echo, print_table

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


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "\r", "\x07", "\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\udcff"]
)
def test_what_moves_the_cursor_or_turns_the_writing_is_printed_as_an_escape(text, capsys):
    echo(f"written: a{text}b\tc")
    shown = capsys.readouterr().out
    assert shown == f"written: a{text.encode('unicode_escape').decode()}b\tc\n"


def test_a_module_of_the_commands_prints_by_one_function():
    for module in Path(cli.__file__).parent.glob("*.py"):
        if module.name not in ("printing.py", "completion.py"):
            assert "click.echo(" not in module.read_text("utf-8"), module.name


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "{}", "-o", "out.csv"],
        ["ingest", "{}.yaml", "{}", "-o", "out"],
        ["ingest", "--suggest", "{}"],
        ["contract", "{}"],
        ["evidence", "diff", "{}"],
        ["evidence", "{}"],
        ["schema", "--{}"],
        ["train", "{}"],
    ],
    ids=lambda command: " ".join(command),
)
def test_no_command_prints_the_control_characters_of_a_name(tell, command):
    name = "in\n\x1b[31m\u202e\udcff.csv"
    code, out, err = tell(*(word.format(name) for word in command))
    assert code == 2
    assert out == ""
    assert "in" in err
    assert not {"\x1b", "\u202e", "\udcff"} & set(err)
