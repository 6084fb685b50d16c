"""Criteria of outcomes: which change of which measure counts, and from which values it can be reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.schema.instruments import Instrument

Numbers = TypeVar("Numbers", "pd.Series", npt.NDArray[np.float64])

Direction = Literal["fall", "rise", "at_most", "at_least", "change"]

SLACK = 1e-9
"""Tolerance for decimal scores: a criterion missed by less than this counts as reached."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Criterion of an outcome for a measure.

    Parameters
    ----------
    measure : str
        Column of ``visits``, and of ``episodes`` where the value before is needed.
    direction : {"fall", "rise", "at_most", "at_least", "change"}
        A fall or rise from baseline; a value of at most or at least ``points``; or the change itself.
    points : float, optional
        Minimum fall or rise in points of the measure; the value to reach for ``at_most`` and ``at_least``.
    share : float, optional
        Minimum fall or rise as a share of the distance between the baseline value and ``best``; with ``points``, either
        is sufficient.
    best : float, optional
        Value beyond which nothing can improve: from there no fall or rise is possible. By default 0 for a fall; none
        for a rise, which then needs ``points``.
    """

    measure: str
    direction: Direction
    points: float | None = None
    share: float | None = None
    best: float | None = None

    @property
    def needs_before(self) -> bool:
        """Whether the baseline value must be known."""
        return self.direction not in ("at_most", "at_least")

    @property
    def end(self) -> float:
        """Value beyond which nothing can improve."""
        if self.best is not None:
            return self.best
        return math.inf if self.direction == "rise" else 0.0


def improvement_line(instrument: Instrument, *, share: float | None = None) -> Line:
    """Make the criterion of an improvement by an instrument of the library.

    Parameters
    ----------
    instrument : Instrument
        With a responder threshold, unless a share is given.
    share : float, optional
        Share of the distance to the best score, instead of the first responder threshold.

    Examples
    --------
    >>> from paincast.schema.instruments import INSTRUMENTS
    >>> line = improvement_line(INSTRUMENTS["promis_physical_function"])
    >>> line.direction, line.points, line.best
    ('rise', 3.6, 80)
    """
    points = None
    if share is None:
        threshold = instrument.responder[0]
        if threshold.kind == "level":
            falls = instrument.direction == "lower is better"
            return Line(measure=instrument.column, direction="at_most" if falls else "at_least", points=threshold.value)
        share = threshold.value if threshold.kind == "relative" else None
        points = threshold.value if threshold.kind == "absolute" else None
    return change_line(instrument, points=points, share=share)


def change_line(instrument: Instrument, *, points: float | None, share: float | None) -> Line:
    """Make the criterion of a change towards the best score: by points, by a share of the way, or by either."""
    falls = instrument.direction == "lower is better"
    return Line(
        measure=instrument.column,
        direction="fall" if falls else "rise",
        points=points,
        share=share,
        best=instrument.low if falls else instrument.high,
    )


def is_reachable(line: Line, before: Numbers) -> Any:
    """Flag the baseline values, in an array or a series, from which the criterion can be reached."""
    if line.direction not in ("fall", "rise"):
        return before == before
    room = before - line.end if line.direction == "fall" else line.end - before
    return room > 0 if line.share is not None else room >= float(line.points or 0.0) - SLACK


def assess_change(line: Line, before: pd.Series, after: pd.Series) -> pd.Series:
    """Evaluate a criterion (or the change); NaN if a value is missing or the criterion cannot be reached."""
    if not line.needs_before:
        limit = float(line.points or 0.0)
        reached = after <= limit + SLACK if line.direction == "at_most" else after >= limit - SLACK
        return reached.astype(float).where(after.notna())
    if line.direction == "change":
        return after - before
    change = before - after if line.direction == "fall" else after - before
    reached = pd.Series(False, index=after.index)
    if line.points is not None:
        reached |= change >= line.points - SLACK
    if line.share is not None:
        reached |= change >= line.share * (before - line.end).abs() - SLACK
    return reached.astype(float).where(change.notna() & is_reachable(line, before))
