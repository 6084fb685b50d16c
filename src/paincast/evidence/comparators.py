"""What patients of a matching control arm had: where outcome, month, indication and kind of arm fit, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

CONTROL_KINDS = ("sham", "placebo injection", "local anaesthetic", "usual care", "no treatment")
"""Kinds of control arm, the closest to the procedure first. Another technique is no control: it does not tell what
happens without a procedure."""

OUTCOME_OF: Mapping[str, str] = MappingProxyType(
    {"pain_response": "pain_relief_50", "pain_response_30": "pain_relief_30"}
)
"""Outcome of the extraction table with the definition of an outcome of the contract."""


@dataclass(frozen=True, kw_only=True)
class Comparator:
    """Share with an outcome in the control arms of trials of a technique.

    Parameters
    ----------
    outcome, indication, kind : str
        Outcome of the contract, indication of the patients, and kind of arm.
    month : float
        Month after the control procedure, or after randomisation.
    share, lower, upper : float
        Share with its 95 % interval; pooled if there are several trials (:func:`paincast.statistics.pool_shares`).
    n : int
        Patients.
    definition : str
        Definition of the outcome and what the arm received, of the largest trial.
    source : tuple of str
        Trials.
    tag : str
        Tag of the share.
    """

    outcome: str
    indication: str
    kind: str
    month: float
    share: float
    lower: float
    upper: float
    n: int
    definition: str
    source: tuple[str, ...]
    tag: str = "FOUND"


NEAR, AT = 0.5, 0.25
"""Shares of the month asked within which a month is near, and within which it is as good as the month itself."""


def is_near(month: float, asked: float, *, within: float = NEAR) -> bool:
    """Tell whether a month is within a share of the month asked.

    Examples
    --------
    >>> is_near(3, 6), is_near(1, 3), is_near(12, 6)
    (True, False, False)
    >>> is_near(14, 12, within=AT), is_near(6, 12, within=AT), is_near(1.5, 1, within=AT)
    (True, False, False)
    """
    return abs(month - asked) <= within * asked


def choose_comparator(comparators: Sequence[Comparator], outcome: str, month: float) -> Comparator | None:
    """Choose the comparator of an outcome at a month.

    It lies within half of the month; of several the closest kind of arm is taken, then the nearest month.
    """
    fitting = [item for item in comparators if item.outcome == outcome and is_near(item.month, month)]
    order = sorted(fitting, key=lambda item: (CONTROL_KINDS.index(item.kind), abs(item.month - month), item.month))
    return order[0] if order else None


def explain_silence(comparators: Sequence[Comparator], outcome: str, month: float, remark: str = "") -> str:
    """Explain why no comparator is shown.

    Parameters
    ----------
    comparators : sequence of Comparator
        Those of the record.
    outcome : str
        Outcome of the contract.
    month : float
        Month asked.
    remark : str
        What trials of the record say instead.
    """
    if outcome not in OUTCOME_OF:
        return f"control arms are compared for {' and '.join(OUTCOME_OF)} only"
    others = sorted({item.month for item in comparators if item.outcome == outcome})
    told = f"no trial tells it within half of month {month:g} in this indication"
    if others:
        told += f", only at month {', '.join(f'{other:g}' for other in others)}"
    return f"{told}; {remark}" if remark else told
