"""Show progress on a terminal: a bar, elapsed time, rate and remaining time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paincast.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display


@contextmanager
def show_progress(
    title: str, unit: str, *, is_wanted: bool = True, console: Console | None = None
) -> Iterator[Progress]:
    """Show progress on standard error during the block, if that is a terminal.

    Parameters
    ----------
    title : str
        Initial description, until the work sets one.
    unit : str
        Unit of a step, in the plural; ``bytes`` are shown in multiples.
    is_wanted : bool
        Whether to show progress at all.
    console : Console, optional
        Where to show it instead of standard error.

    Yields
    ------
    Progress
        To pass to the work.
    """
    if not is_wanted or (console is None and not _may_be_terminal()):
        yield SILENT
        return
    from rich.console import Console

    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield SILENT
        return
    with _make_display(console, unit) as display:
        yield _Bar(display, title)


def _may_be_terminal() -> bool:
    """Whether standard error can be what rich takes for a terminal."""
    declared = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    return sys.stderr.isatty() or any(name in os.environ for name in declared)


class _Bar:
    """One progress bar of a rich display."""

    def __init__(self, display: Display, title: str) -> None:
        self._display, self._expected = display, 0.0
        self._task = display.add_task(title, total=None)

    def expect(self, steps: float) -> None:
        self._expected += steps
        self._display.update(self._task, total=self._expected)

    def advance(self, steps: float = 1.0) -> None:
        self._display.update(self._task, advance=steps)

    def describe(self, text: str) -> None:
        self._display.update(self._task, description=text)


def _make_display(console: Console, unit: str) -> Display:
    from rich import progress
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            # Work of a single step has no speed of its own: what is done, by the time it took.
            mean = task.completed / task.elapsed if task.elapsed else None
            return Text(format_rate(task.speed or mean, unit), style="progress.data.speed")

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=24),
        progress.TaskProgressColumn(),
        progress.TransferSpeedColumn() if unit == "bytes" else Rate(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left", style="dim"),
        progress.TimeRemainingColumn(),
        console=console,
    )


def format_rate(per_second: float | None, unit: str) -> str:
    """Format a rate per second, minute or hour: the shortest of these that makes it at least 1.

    Examples
    --------
    >>> format_rate(2340.2, "episodes"), format_rate(0.05, "models"), format_rate(None, "models")
    ('2,340 episodes/s', '3 models/min', '')
    """
    if not per_second:
        return ""
    for seconds, name in ((1, "s"), (60, "min")):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:,.0f} {unit}/{name}"
    return f"{per_second * 3600:,.1f} {unit}/h"
