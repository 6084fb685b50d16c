"""Audit the figures that the simulator draws from: which of them move its answers, and what those stand on.

The influence of a figure is its share of variance, first-order: each figure is moved by one standard deviation of its
uncertainty up and down, the others held, and what is computed (:mod:`paincast.evidence.synthesis.quantities`) is
linearised by central differences, with its curvature: from ``f0`` to ``up`` and ``down`` it has the variance
``((up - down) / 2)^2 + (up + down - 2 f0)^2 / 2``. Without the curvature a predictor around no effect would not move
the spread. Figures count as independent, and a quantity of a technique is the mean of those of its records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from paincast.evidence.comparators import choose_comparator
from paincast.evidence.figures import TAG_OF_SUPPORT, Baseline, PredictorEffect, Record
from paincast.evidence.records import simulated_records, simulated_techniques
from paincast.evidence.safety import Complication
from paincast.evidence.synthesis.control_arms import PAIN
from paincast.evidence.synthesis.odds import JUDGED, measure_width
from paincast.evidence.synthesis.quantities import QUANTITIES, compute_quantities, find_primary_point, list_effects

MINIMUM_WIDTHS: Mapping[str, float] = MappingProxyType(
    {
        "response": 0.8,
        "effect": JUDGED[1],
        "mean": 0.5,
        "median": 0.5,
        "sd": 0.2,
        "log_sd": 0.2,
        "share": 0.5,
        "untreated": 0.8,
        "complication": 1.0,
        "survival": 0.3,
    }
)
"""Least standard deviation of an assumed figure, by kind: on the log odds for shares and rates; as log odds ratio per
standard deviation of the column for effects; in standard deviations of the column, or of its logarithm, for means and
medians; else on the logarithm. Fixed before the influence of any figure was computed."""

FOUND_WIDTH = 1.0 / 3.0
"""Part of the minimum width that a found figure has at least, for what its interval does not hold."""

BAR = QUANTITIES[:2]
"""Quantities whose mean share is the influence of a figure."""

COLUMNS = ("technique", "record", "figure", "kind", "tag", "source", "sd", *BAR, "influence", *QUANTITIES[2:], "rank")

_WIDTH_95 = 2.0 * float(ndtri(0.975))
_RAREST = 0.0005

_Move = Callable[[float], Record]


class _Figure(NamedTuple):
    """A figure with its uncertainty, and the record if the figure lies some distance away."""

    name: str
    kind: str
    tag: str
    source: tuple[str, ...]
    sd: float
    move: _Move


def audit_figures(technique: str | None = None, records: Sequence[Record] | None = None) -> pd.DataFrame:
    """Rank the figures of the evidence by how much they move what is simulated.

    Parameters
    ----------
    technique : str, optional
        A technique with a curve; by default all.
    records : sequence of Record, optional
        The records to audit; by default those of the evidence.

    Returns
    -------
    DataFrame
        A row per figure: ``technique, record, figure, kind, tag, source``; ``sd``, its uncertainty (as in
        :data:`MINIMUM_WIDTHS`, but means and effects in units of the column); its shares of the variance of
        ``mean_probability`` and ``spread`` within the technique, and ``influence``, their mean; its shares of that of
        ``benefit`` and ``complications``; and its ``rank`` within the technique.

    Raises
    ------
    RefusalError
        If the technique has no response curve.
    """
    if records is None:
        techniques = simulated_techniques() if technique is None else (technique,)
        records = [record for name in techniques for record in simulated_records(name)]
    rows = [row for record in records if record.response for row in _audit_record(record)]
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    quantities = list(QUANTITIES)
    total = table.groupby("technique")[quantities].transform("sum")
    table[quantities] = (table[quantities] / total.where(total > 0)).fillna(0.0)
    moved = (total[list(BAR)] > 0).sum(axis=1)
    table["influence"] = table[list(BAR)].sum(axis=1) / moved.clip(lower=1)
    table = table.sort_values(["influence", *QUANTITIES[2:]], ascending=False, kind="stable")
    order = {name: place for place, name in enumerate(record.technique for record in records)}
    table = table.sort_values("technique", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    table["rank"] = table.groupby("technique").cumcount() + 1
    return table


def summarise_audit(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Sum the influence of figures that stand on studies, and of those that are assumed, for each technique.

    Parameters
    ----------
    table : DataFrame, optional
        From :func:`audit_figures`; by default that of all techniques.

    Returns
    -------
    DataFrame
        ``technique, found, assumed``; what remains is derived.
    """
    rows = audit_figures() if table is None else table
    standing = [find_standing(kind, tag) for kind, tag in zip(rows["kind"], rows["tag"], strict=True)]
    shares = pd.DataFrame(standing, columns=["found", "assumed"], index=rows.index).mul(rows["influence"], axis=0)
    return shares.groupby(rows["technique"], sort=False).sum().reset_index()


def find_standing(kind: str, tag: str) -> tuple[float, float]:
    """Find which part of a figure stands on studies, and which is assumed.

    Both parts of a mixed tag count half. The curve stands on the studies of its record also where they count another
    outcome or other months; carried over from other records, it is assumed.

    Examples
    --------
    >>> find_standing("effect", "FOUND/ASSUMED"), find_standing("response", "DERIVED")
    ((0.5, 0.5), (1.0, 0.0))
    """
    parts = ["FOUND" if kind == "response" and part == "DERIVED" else part for part in tag.split("/")]
    return parts.count("FOUND") / len(parts), parts.count("ASSUMED") / len(parts)


def _audit_record(record: Record) -> Iterator[dict[str, Any]]:
    """Compute the variance that each figure of a record gives to each quantity."""
    centre = compute_quantities(record)
    for figure in _list_figures(record):
        up, down = compute_quantities(figure.move(figure.sd)), compute_quantities(figure.move(-figure.sd))
        variance = ((up - down) / 2.0) ** 2 + (up + down - 2.0 * centre) ** 2 / 2.0
        yield {
            **{"technique": record.technique, "record": record.id, "figure": figure.name, "kind": figure.kind},
            **{"tag": figure.tag, "source": ", ".join(figure.source), "sd": figure.sd},
            **dict(zip(QUANTITIES, variance.tolist(), strict=True)),
        }


def _list_figures(record: Record) -> Iterator[_Figure]:
    effects = list_effects(record)
    yield _read_response(record)
    yield from (_read_effect(record, effect) for effect in effects)
    for column in dict.fromkeys(effect.column for effect in effects):
        yield from _read_baseline(record, column, record.baseline[column])
    if find_primary_point(record)[0] in record.untreated:
        yield _read_untreated(record)
    yield from (_read_complication(record, item) for item in record.counted_complications)
    if record.survival:
        yield _read_survival(record)


def _read_response(record: Record) -> _Figure:
    month, point = find_primary_point(record)
    response, tag = record.response, TAG_OF_SUPPORT[point.support]
    assert response is not None

    def move(by: float) -> Record:
        points = {**response.points, month: point._replace(share=_shift(point.share, by))}
        return replace(record, response=replace(response, points=points))

    sd = _widen("response", tag, _measure_interval(point.predicted_lower, point.predicted_upper))
    return _Figure(f"response at month {month:g}", "response", tag, point.source or response.source, sd, move)


def _read_effect(record: Record, effect: PredictorEffect) -> _Figure:
    def move(by: float) -> Record:
        moved = replace(effect, log_odds=effect.log_odds + by)
        return replace(record, predictors=tuple(moved if item is effect else item for item in record.predictors))

    unit = abs(measure_width(effect.transform, record.baseline[effect.column]))
    name = f"log odds ratio of {effect.column} {effect.transform.kind} {effect.transform.value}"
    return _Figure(name, "effect", effect.tag, effect.source, _widen("effect", effect.tag, effect.sd, unit), move)


def _read_baseline(record: Record, column: str, baseline: Baseline) -> Iterator[_Figure]:
    """Read the parameters of a distribution; of several shares all but the largest."""
    source = (baseline.source,) if isinstance(baseline.source, str) else baseline.source

    def make(name: str, kind: str, move: Callable[[float], Baseline], unit: float = 1.0) -> _Figure:
        tag = _find_tag(baseline, kind)
        sd = _widen(kind, tag, 0.0, unit)
        return _Figure(name, kind, tag, source, sd, lambda by: _replace_baseline(record, column, move(by)))

    if baseline.mean is not None:
        mean = baseline.mean
        yield make(f"mean of {column}", "mean", lambda by: replace(baseline, mean=mean + by), baseline.sd or 1.0)
    for name in ("median", "sd", "log_sd"):
        if (value := getattr(baseline, name)) is not None:
            unit = (baseline.log_sd or 1.0) if name == "median" else 1.0
            yield make(f"{name} of {column}", name, _scale(baseline, name, value), unit)
    if baseline.share is not None:
        share = baseline.share
        yield make(f"share of {column}", "share", lambda by: replace(baseline, share=_shift(share, by)))
    shares = baseline.shares or {}
    for value in sorted(shares, key=lambda value: shares[value])[:-1]:
        yield make(f"share of {column} {value}", "share", _tilt(baseline, value))


def _scale(baseline: Baseline, name: str, value: float) -> Callable[[float], Baseline]:
    return lambda by: replace(baseline, **{name: value * math.exp(by)})  # type: ignore[arg-type]


def _tilt(baseline: Baseline, value: float | str) -> Callable[[float], Baseline]:
    """Move the share of a value on the log odds, and the others in proportion."""
    shares = baseline.shares or {}

    def move(by: float) -> Baseline:
        moved = _shift(shares[value], by)
        rest = (1.0 - moved) / (1.0 - shares[value])
        return replace(baseline, shares={key: moved if key == value else part * rest for key, part in shares.items()})

    return move


def _find_tag(baseline: Baseline, kind: str) -> str:
    """Find the tag of a parameter: where the tag says found and assumed, it is the spread that is assumed."""
    if not baseline.tag.endswith("/ASSUMED"):
        return baseline.tag
    if kind in ("sd", "log_sd"):
        return "ASSUMED"
    alone = baseline.share is None and baseline.shares is None
    return baseline.tag.removesuffix("/ASSUMED") if alone else baseline.tag


def _replace_baseline(record: Record, column: str, baseline: Baseline) -> Record:
    return replace(record, baseline={**record.baseline, column: baseline})


def _read_untreated(record: Record) -> _Figure:
    month = find_primary_point(record)[0]
    untreated = record.untreated[month]
    matched = choose_comparator(record.own_comparators, PAIN, month) if untreated.support == "matched" else None
    tag, source = (matched.tag, matched.source) if matched else ("ASSUMED", ())

    def move(by: float) -> Record:
        moved = untreated._replace(share=_shift(untreated.share, by))
        return replace(record, untreated={**record.untreated, month: moved})

    sd = _widen("untreated", tag, _measure_interval(untreated.lower, untreated.upper))
    return _Figure(f"untreated response at month {month:g}", "untreated", tag, source, sd, move)


def _read_complication(record: Record, item: Complication) -> _Figure:
    def move(by: float) -> Record:
        moved = replace(item, estimate=_shift(item.patient_rate or 0.0, by))
        return replace(record, complications=tuple(moved if old is item else old for old in record.complications))

    ends = item.ci95 or (item.rate if item.per == "patient" else item.per_patient) or (0.0, 0.0)
    source = (item.source,) if isinstance(item.source, str) else item.source
    sd = _widen("complication", item.tag, _measure_interval(*ends))
    return _Figure(f"rate of {item.kind}", "complication", item.tag, source, sd, move)


def _read_survival(record: Record) -> _Figure:
    survival = record.survival
    assert survival is not None

    def move(by: float) -> Record:
        return replace(record, survival=replace(survival, median_months=survival.median_months * math.exp(by)))

    sd = _widen("survival", survival.tag, 0.0)
    return _Figure("median survival", "survival", survival.tag, (survival.source,), sd, move)


def _widen(kind: str, tag: str, sd: float, unit: float = 1.0) -> float:
    """Widen a standard deviation to the least of its kind, or the part of it for what is found."""
    found = find_standing(kind, tag)[0]
    return max(sd, MINIMUM_WIDTHS[kind] * unit * (1.0 - (1.0 - FOUND_WIDTH) * found))


def _measure_interval(lower: float, upper: float) -> float:
    """Measure the standard deviation of the log odds behind a 95 % interval."""
    ends = logit(np.clip([lower, upper], _RAREST, 1.0 - _RAREST))
    return float(ends[1] - ends[0]) / _WIDTH_95


def _shift(share: float, by: float) -> float:
    return float(expit(logit(min(max(share, _RAREST), 1.0 - _RAREST)) + by))
