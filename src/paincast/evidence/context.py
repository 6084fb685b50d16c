"""What surrounds the rates of an evidence record: findings, expected change, cost, what the founding review says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A published result that is no rate of response, in words."""

    finding: str
    source: str
    tag: str
    month: float | None = None
    n: int | None = None


@dataclass(frozen=True, kw_only=True)
class ExpectedChange:
    """How far a measure moves, on average.

    Parameters
    ----------
    measure : str
        ``pain_nrs``, ``odi``, ``eq5d_index``, ``opioid_mme``, ``opioid_users`` (share of those who used opioids before
        and stopped or took less) or ``womac``.
    source, tag : str
        Where the figure comes from, and how it came to be known.
    change : float, optional
        Mean change; falls are negative. A share for ``opioid_users``.
    month : float, optional
        Months after the procedure.
    sd : float, optional
        Standard deviation of the change between patients.
    ci95, range : tuple, optional
        95 % confidence interval of the mean; lowest and highest mean reported.
    compared_with : str
        The comparator where ``change`` is a difference between groups; empty for before against after.
    control_change : float, optional
        Mean change in the control group, where that was reported beside it.
    note : str
        Anything to know; the whole statement where there is no figure.
    """

    measure: str
    source: str
    tag: str
    change: float | None = None
    month: float | None = None
    sd: float | None = None
    ci95: tuple[float, float] | None = None
    range: tuple[float, float] | None = None
    compared_with: str = ""
    control_change: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A published cost or cost-effectiveness figure.

    Parameters
    ----------
    item : str
        What was costed, where and when.
    source, tag : str
        Where the figure comes from, and how it came to be known.
    currency : str
        Three letters; empty for a share or probability.
    amount : float, optional
        The figure.
    range : tuple, optional
        Lowest and highest figure, or the ends of the published interval.
    sd : float, optional
        Standard deviation between patients.
    note : str
        Anything to know.
    """

    item: str
    source: str
    tag: str
    currency: str = ""
    amount: float | None = None
    range: tuple[float, float] | None = None
    sd: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SeedClaim:
    """What the founding review says of the technique.

    Parameters
    ----------
    says : str
        In words.
    source, tag : str
        The review, and its tag.
    response : tuple, optional
        Lowest and highest share that the review says respond; it defines neither response nor n.
    """

    says: str
    source: str
    tag: str
    response: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class SeedConflict:
    """A claim of the founding review, and what a source (often the one it cites) says instead."""

    claim: str
    finding: str
    source: str
    tag: str
