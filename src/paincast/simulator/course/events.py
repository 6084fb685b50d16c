"""Events: complications by kind, what follows from failure (repeat procedure, operation, explant), and death."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from paincast.evidence.figures import Record, Survival
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.population.sites import Float, Truths, Whole

NEVER = np.float32(np.inf)


class Risk(NamedTuple):
    """An event that some of the treated have.

    Parameters
    ----------
    event_kind, detail : str
        Kind of the contract, and which complication or operation.
    probability : float
        Share of the treated who have it by ``by_month``, were there no death.
    by_month : float
        When that share is reached.
    place : int or None
        The month of the curve (its place) at which only those who do not respond can have it; None where response does
        not matter.
    conditional : float
        Probability of those who can have it.
    """

    event_kind: str
    detail: str
    probability: float
    by_month: float
    place: int | None
    conditional: float


class Events(NamedTuple):
    """Events in the order of the episodes: rows of these, places among the risks of the option, and months."""

    rows: Whole
    risk: Whole
    month: Float


def list_risks(record: Record, curve: Mapping[float, float], assumptions: Assumptions) -> tuple[Risk, ...]:
    """List the events of a record: those with a published rate, then assumed ones of kinds that have none.

    A published repeat, operation or explant happens to those who do not respond at the last month of the curve before
    its own; where more have it than fail, response does not matter.

    Parameters
    ----------
    record : Record
        Evidence.
    curve : mapping of float to float
        Marginal response by month.
    assumptions : Assumptions
        Windows, and shares of what follows from failure.
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
        place = max((place for place, held in enumerate(months) if held <= month), default=0)
        failing = 1.0 - curve[months[place]]
        if share <= failing:
            return Risk(
                event_kind=event_kind,
                detail=detail,
                probability=share,
                by_month=max(month, 1.25 * months[place]),
                place=place,
                conditional=share / failing,
            )
    return Risk(event_kind=event_kind, detail=detail, probability=share, by_month=month, place=None, conditional=share)


def compute_any_complication(risks: Sequence[Risk]) -> float:
    """Compute the probability of at least one complication: kinds are independent."""
    return 1.0 - float(np.prod([1.0 - risk.probability for risk in risks if risk.event_kind == "complication"]))


def draw_events(risks: Sequence[Risk], months: Sequence[float], responded: Truths, rng: np.random.Generator) -> Events:
    """Draw the events of each risk, with months evenly between its start and its end.

    An event happens where a draw lies below its probability; how far below tells when.

    Parameters
    ----------
    risks : sequence of Risk
        Of the option received.
    months : sequence of float
        Months of the curve.
    responded : ndarray of shape (n, n_months)
        Response at each of them.
    rng : Generator
        Stream of this mechanism.
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
    """Draw the month of death, exponential about the record's median; infinite where death does not compete.

    It does not depend on the outcome, so that rates among survivors are those of the evidence.

    Returns
    -------
    ndarray of shape (n,)
    """
    if survival is None:
        return np.full(n, NEVER, dtype=np.float32)
    waits = rng.standard_exponential(n, dtype=np.float32)
    return np.asarray(waits * np.float32(survival.median_months / np.log(2.0)))
