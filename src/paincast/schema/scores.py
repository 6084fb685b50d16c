"""Columns that hold the score of an instrument: range and unit come from the library."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from paincast.schema.column import Column, number_column
from paincast.schema.instruments import INSTRUMENTS, Instrument

NOT_FOLLOWED = ("pain type",)
"""Domains that tell what a pain is, not how a patient fares: a predictor, and no outcome."""

ONLY_AFTER = ("global",)
_WORDS = {"lower is better": "higher is worse", "higher is better": "higher is better"}


def score_column(instrument: Instrument, description: str = "", **more: Any) -> Column:
    """Declare the score of an instrument before the procedure."""
    described = description or f"{instrument.title}, {_WORDS[instrument.direction]}"
    settings = {"label": instrument.title, **more}
    return number_column(instrument.column, instrument.low, instrument.high, instrument.unit, described, **settings)


def score_at_visit(instrument: Instrument, description: str = "") -> Column:
    """Declare the score of an instrument at a visit."""
    described = description or f"{instrument.title} at the visit"
    return score_column(instrument, described, role="outcome", timing="after", label="")


def scores_before(declared: Container[str]) -> tuple[Column, ...]:
    """Declare the scores before the procedure of all instruments whose column is not declared yet."""
    return tuple(
        score_column(instrument)
        for instrument in INSTRUMENTS.values()
        if instrument.column not in declared and instrument.domain not in ONLY_AFTER
    )


def scores_after(declared: Container[str]) -> tuple[Column, ...]:
    """Declare the scores at a visit of all instruments that can be an outcome and are not declared yet."""
    return tuple(
        score_at_visit(instrument)
        for instrument in INSTRUMENTS.values()
        if instrument.column not in declared and instrument.domain not in NOT_FOLLOWED
    )
