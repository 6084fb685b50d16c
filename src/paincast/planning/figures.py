"""Figures and statements of a plan: a number says what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BASES = ("published", "synthetic", "real", "blended", "schedule", "stated")
"""What a figure stands on: studies, a model by its patients, the schedule of a record, or what the clinic states."""

CONFIDENCE, Z = 0.95, 1.96
"""Confidence of the intervals of published and stated figures, and its normal quantile."""

LEVEL = "95 % interval"
"""How an interval of that confidence begins in words."""

NOT_VALIDATED = "published figure; not held against patients of a registry"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with all that is needed to judge it.

    Parameters
    ----------
    name, unit : str
        What it is, and its unit: ``share``, ``points``, ``months``, ``visits`` or a currency.
    value, lower, upper : float, optional
        The number and its interval; None where nothing is known.
    interval : str
        What the interval is.
    confidence : float, optional
        Share of such intervals that hold what they are of; None where the ends are no interval of a stated confidence,
        such as the lowest and highest published rate.
    denominator : str
        Whom a share is of; empty where it is not told.
    month : float, optional
        Months after the procedure.
    basis : str
        One of :data:`BASES`.
    tag : str
        Tag of the evidence; empty for other bases.
    source : tuple of str
        Ids of sources, or the version of a model.
    n : int, optional
        Patients; None where it is not told.
    validation : str
        The patients that the number was held against, or that there are none.
    note : str
        Further remarks.
    """

    name: str
    unit: str
    basis: str
    validation: str
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    interval: str = ""
    confidence: float | None = None
    denominator: str = ""
    month: float | None = None
    tag: str = ""
    source: tuple[str, ...] = ()
    n: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A published statement, or why there is none."""

    text: str
    topic: str = ""
    source: tuple[str, ...] = ()
    tag: str = ""


def publish(name: str, unit: str, source: str | tuple[str, ...], tag: str, **more: Any) -> Figure:
    """Make a figure of published evidence; one that is not known has no value.

    An interval that is called a 95 % interval has that confidence.

    Examples
    --------
    >>> publish("response", "share", "senza2015", "FOUND", value=0.5, n=90).basis
    'published'
    """
    sources = (source,) if isinstance(source, str) else tuple(source)
    has_level = more.get("lower") is not None and str(more.get("interval", "")).startswith(LEVEL)
    return Figure(
        name=name,
        unit=unit,
        basis="published",
        validation=NOT_VALIDATED,
        source=sources,
        tag=tag,
        confidence=CONFIDENCE if has_level else None,
        **more,
    )
