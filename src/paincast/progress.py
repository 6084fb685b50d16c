"""How far long work is: the one interface between whoever works and whoever shows it."""

from __future__ import annotations

from threading import Lock
from typing import Protocol


class Progress(Protocol):
    """Whoever works says how many steps are ahead, advances by those done, and describes what is being done."""

    def expect(self, steps: float) -> None:
        """Add steps to those ahead."""

    def advance(self, steps: float = 1.0) -> None:
        """Count steps as done; they may be fractions."""

    def describe(self, text: str) -> None:
        """Say what is being done now."""


class _Silent:
    def expect(self, steps: float) -> None:
        pass

    def advance(self, steps: float = 1.0) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
"""Shows nothing."""


class PartialProgress:
    """A fixed number of steps of longer work, however many steps of its own turn out to be ahead.

    Parts may be worked on by several threads.

    Parameters
    ----------
    whole : Progress
        The longer work, which expects these steps.
    steps : float
        Steps of the whole that this part is worth.
    title : str
        Put before each description.

    Examples
    --------
    >>> class Count:
    ...     done = 0.0
    ...     def expect(self, steps): pass
    ...     def advance(self, steps=1.0): self.done += steps
    ...     def describe(self, text): print(text)
    >>> count = Count()
    >>> folds = PartialProgress(count, 6, "facet_rfa/pain_response")
    >>> folds.expect(3)
    >>> folds.advance()
    >>> folds.describe("cross-validating")
    facet_rfa/pain_response: cross-validating
    >>> count.done
    2.0
    >>> folds.finish()
    >>> count.done
    6.0
    """

    def __init__(self, whole: Progress, steps: float, title: str = "") -> None:
        self._whole, self._steps, self._title = whole, steps, title
        self._expected, self._done, self._passed_on = 0.0, 0.0, 0.0
        self._lock = Lock()

    def expect(self, steps: float) -> None:
        """Add steps to those ahead in this part."""
        with self._lock:
            self._expected += steps

    def advance(self, steps: float = 1.0) -> None:
        """Count steps of this part as done."""
        with self._lock:
            self._done += steps
            share = min(1.0, self._done / self._expected) if self._expected else 0.0
            self._pass_on(share * self._steps)

    def describe(self, text: str) -> None:
        """Say what is being done now."""
        self._whole.describe(f"{self._title}: {text}" if self._title else text)

    def finish(self) -> None:
        """Count all steps of this part as done, those that were never taken too."""
        with self._lock:
            self._pass_on(self._steps)

    def _pass_on(self, reached: float) -> None:
        """Advance the whole up to this point; where more turned out to be ahead, it waits rather than going back."""
        if reached > self._passed_on:
            self._whole.advance(reached - self._passed_on)
            self._passed_on = reached
