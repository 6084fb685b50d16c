"""Published response rates with their intervals, as one tidy frame to draw."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from paincast.errors import RefusalError
from paincast.evidence.figures import TAG_OF_SUPPORT, CurvePoint, PublishedRate, Record
from paincast.evidence.records import records_of
from paincast.statistics import compute_wilson_interval

COLUMNS = (
    "record",
    "technique",
    "indication",
    "approach",
    "kind",
    "label",
    "month",
    "share",
    "lower",
    "upper",
    "interval",
    "n",
    "definition",
    "source",
    "tag",
)


def collect_rates(records: Iterable[Record]) -> pd.DataFrame:
    """Collect the published response rates of records, and what is expected from them.

    Parameters
    ----------
    records : iterable of Record
        Records, in the order in which they shall stand; those without a published rate are left out.

    Returns
    -------
    DataFrame
        ``record, technique, indication, approach, kind, label, month, share, lower, upper, interval, n, definition,
        source, tag``. ``kind`` is ``published``, ``expected`` (the literature scenario at the primary month, with the
        interval of a new study) or ``control``. ``interval`` says where the limits come from: ``published``,
        ``computed`` (Wilson's 95 % interval [1]_ from share and n), ``pooled`` or ``none``.

    References
    ----------
    .. [1] Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953
    """
    rows = [row for record in records if record.published for row in _rows_of(record)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"month": float, "share": float, "lower": float, "upper": float, "n": float})


def _rows_of(record: Record) -> list[dict[str, object]]:
    shared = {
        "record": record.id,
        "technique": record.technique,
        "indication": record.indication,
        "approach": record.approach or "",
    }
    return [{**shared, **row} for row in (*map(_row_of, record.published), *_expect(record), *_control(record))]


def _row_of(rate: PublishedRate) -> dict[str, object]:
    lower, upper, interval = np.nan, np.nan, "none"
    if rate.ci95 is not None:
        (lower, upper), interval = rate.ci95, "published"
    elif rate.n:
        (lower, upper), interval = map(float, compute_wilson_interval(rate.share, rate.n)), "computed"
    return {
        "kind": "published",
        "label": ", ".join(filter(None, (rate.source, rate.population))),
        "month": rate.month,
        "share": rate.share,
        "lower": lower,
        "upper": upper,
        "interval": interval,
        "n": rate.n,
        "definition": rate.definition,
        "source": rate.source,
        "tag": rate.tag,
    }


def _expect(record: Record) -> list[dict[str, object]]:
    if record.response is None or record.primary_month is None:
        return []
    point = record.response.points[record.primary_month]
    return [
        {
            "kind": "expected",
            "label": "expected here (literature)",
            "month": record.primary_month,
            "share": record.response.scenarios["literature"],
            "lower": point.predicted_lower,
            "upper": point.predicted_upper,
            "interval": "pooled",
            "n": point.n,
            "definition": "at least 50 % pain relief",
            "source": ", ".join(point.source),
            "tag": TAG_OF_SUPPORT[point.support],
        }
    ]


def _control(record: Record) -> list[dict[str, object]]:
    return [
        {
            "kind": "control",
            "label": f"{comparator.kind}, {', '.join(comparator.source)}",
            "month": comparator.month,
            "share": comparator.share,
            "lower": comparator.lower,
            "upper": comparator.upper,
            "interval": "pooled",
            "n": comparator.n,
            "definition": comparator.definition,
            "source": ", ".join(comparator.source),
            "tag": comparator.tag,
        }
        for comparator in record.own_comparators
        if comparator.outcome == "pain_response"
    ]


def tabulate_curves(technique: str) -> pd.DataFrame:
    """Tabulate the pooled curves of a technique, with what was counted at each month.

    Parameters
    ----------
    technique : str
        Name of the technique.

    Returns
    -------
    DataFrame
        ``record, month`` and the fields of :class:`paincast.evidence.figures.CurvePoint`.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If no record of the technique has a curve.
    """
    rows = [
        {"record": record.id, "month": month, **point._asdict(), "source": ", ".join(point.source)}
        for record in records_of(technique)
        if record.response
        for month, point in record.response.points.items()
    ]
    if not rows:
        gap = records_of(technique)[0].gap
        raise RefusalError(f"technique {technique} has no curve: {gap}", code="PC-EVIDENCE-56")
    return pd.DataFrame(rows, columns=["record", "month", *CurvePoint._fields])
