"""Simulate events: complications, consequences of failure (repeat procedure, operation, explant) and death."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from paincast.evidence.figures import Record, Survival
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.population.sites import Float, Truths, Whole

NEVER = np.float32(np.inf)


class Risk(NamedTuple):
    """Risk of an event after treatment.

    Parameters
    ----------
    event_kind, detail : str
        Kind in the contract, and the specific complication or operation.
    probability : float
        Share of treated patients with the event by ``by_month`` in the absence of death.
    by_month : float
        Month at which that share is reached.
    place : int or None
        Index of the month of the curve whose non-responders are at risk; None if the risk does not depend on response.
    conditional : float
        Probability among patients at risk.
    """

    event_kind: str
    detail: str
    probability: float
    by_month: float
    place: int | None
    conditional: float


class Events(NamedTuple):
    """Events in the order of the episodes: row of the episode, index of the risk, and month."""

    rows: Whole
    risk: Whole
    month: Float


def list_risks(record: Record, curve: Mapping[float, float], assumptions: Assumptions) -> tuple[Risk, ...]:
    """List the event risks of a record: published rates, then assumed rates for kinds without a published rate.

    A published repeat procedure, operation or explant occurs in non-responders at the last month of the curve up to its
    month; if its rate exceeds the share of non-responders, it does not depend on response.

    Parameters
    ----------
    record : Record
        Evidence record.
    curve : mapping of float to float
        Marginal response by month.
    assumptions : Assumptions
        Time windows, and rates of the consequences of failure.
    """
    risks = [
        _make_risk(item.event_kind, item.kind, float(item.patient_rate or 0.0), item.by_month, curve, assumptions)
        for item in record.counted_complications
    ]
    published = {risk.event_kind for risk in risks}
    assumed = assumptions.consequences.get(record.technique, assumptions.consequences.get("", {}))
    for kind, consequence in assumed.items():
        if kind not in published:
            risks.append(_make_risk(kind, kind, consequence.share, consequence.month, curve, assumptions))
    return tuple(risks)


def _make_risk(
    event_kind: str,
    detail: str,
    share: float,
    by_month: float | None,
    curve: Mapping[float, float],
    assumptions: Assumptions,
) -> Risk:
    detail = detail.replace("_", " ")
    months = list(curve)
    month = by_month or (assumptions.complication_window_months if event_kind == "complication" else max(months))
    if event_kind != "complication":
        month_index = max(
            (month_index for month_index, curve_month in enumerate(months) if curve_month <= month), default=0
        )
        failing = 1.0 - curve[months[month_index]]
        if share <= failing:
            return Risk(
                event_kind=event_kind,
                detail=detail,
                probability=share,
                by_month=max(month, 1.25 * months[month_index]),
                place=month_index,
                conditional=share / failing,
            )
    return Risk(event_kind=event_kind, detail=detail, probability=share, by_month=month, place=None, conditional=share)


def compute_any_complication(risks: Sequence[Risk]) -> float:
    """Compute the probability of any complication, with independent kinds."""
    return 1.0 - float(np.prod([1.0 - risk.probability for risk in risks if risk.event_kind == "complication"]))


def draw_events(risks: Sequence[Risk], months: Sequence[float], responded: Truths, rng: np.random.Generator) -> Events:
    """Draw the events of each risk, with months uniform between its start and end.

    An event occurs if a uniform draw is below its probability; the draw divided by the probability gives the time.

    Parameters
    ----------
    risks : sequence of Risk
        Risks of the received option.
    months : sequence of float
        Months of the curve.
    responded : ndarray of shape (n, n_months)
        Response at each month.
    rng : Generator
        Random stream of this mechanism.
    """
    chance = np.array([risk.conditional for risk in risks], dtype=np.float32)
    start = np.array([0.0 if risk.place is None else months[risk.place] for risk in risks], dtype=np.float32)
    end = np.array([risk.by_month for risk in risks], dtype=np.float32)
    drawn = rng.random((len(responded), len(risks)), dtype=np.float32)
    happens = drawn < chance
    for column, risk in enumerate(risks):
        if risk.place is not None:
            happens[:, column] &= ~responded[:, risk.place]
    rows, kind = happens.nonzero()
    passed = drawn[rows, kind] / chance[kind]
    return Events(rows=rows, risk=kind, month=start[kind] + (end - start)[kind] * passed)


def draw_death(n: int, survival: Survival | None, rng: np.random.Generator) -> Float:
    """Draw the month of death from an exponential distribution with the record's median; infinite without survival.

    It does not depend on the outcome, so that rates among survivors equal the published rates.

    Returns
    -------
    ndarray of shape (n,)
    """
    if survival is None:
        return np.full(n, NEVER, dtype=np.float32)
    waits = rng.standard_exponential(n, dtype=np.float32)
    return np.asarray(waits * np.float32(survival.median_months / np.log(2.0)))
