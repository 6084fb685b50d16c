"""Data classes of what stands beside the figures of a record: findings, trials, costs, claims, and the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

LEAST_FOUND = 0.60
MOST_ASSUMED = 0.25
"""The bar: share of the influence on what is simulated that stands on studies, and that is assumed."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A published result other than a response rate, as text.

    Of a comparison it also has its ``outcome``, and its ``result`` for the first arm: one of :data:`TRIAL_RESULTS`.
    """

    finding: str
    source: str
    tag: str
    month: float | None = None
    n: int | None = None
    outcome: str = ""
    result: str = ""


@dataclass(frozen=True, kw_only=True)
class ExpectedChange:
    """Mean change of a measure.

    Parameters
    ----------
    measure : str
        ``pain_nrs``, ``odi``, ``eq5d_index``, ``opioid_mme``, ``opioid_users`` (share of baseline opioid users who
        stopped or reduced) or ``womac``.
    source, tag : str
        Source of the figure, and its tag.
    change : float, optional
        Mean change; falls are negative. A share for ``opioid_users``.
    month : float, optional
        Months after the procedure.
    sd : float, optional
        Standard deviation of the change between patients.
    ci95, range : tuple, optional
        95 % confidence interval of the mean; lowest and highest mean reported.
    compared_with : str
        The comparator if ``change`` is a difference between groups; empty for changes from baseline.
    control_change : float, optional
        Mean change in the control group, if reported.
    note : str
        Further remarks; the whole statement if there is no figure.
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
        Item, country and year.
    source, tag : str
        Source of the figure, and its tag.
    currency : str
        Three-letter code; empty for a share or probability.
    amount : float, optional
        The figure.
    range : tuple, optional
        Lowest and highest figure, or the limits of the published interval.
    sd : float, optional
        Standard deviation between patients.
    note : str
        Further remarks.
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
class ComparedArm:
    """An arm of a study that compared two procedures.

    Parameters
    ----------
    what : str
        What was done.
    technique, approach : str
        Names of the contract; empty for a procedure that is none of its techniques, and where no approach is told.
    """

    what: str
    technique: str = ""
    approach: str = ""


@dataclass(frozen=True, kw_only=True)
class ComparedOutcome:
    """What both arms of a study tell of an outcome at a month.

    Parameters
    ----------
    outcome, definition : str
        Outcome of the extraction table, and its definition in the study.
    measure : {"share", "mean"}
        Whether ``first`` and ``second`` are shares of patients or means in the units of the definition.
    first, second : float
        Figure of each arm.
    difference : float
        The first less the second.
    lower, upper : float, optional
        95 % interval of the difference; None where the study does not tell what it takes.
    month : float, optional
        Months after the procedure.
    first_n, second_n : int, optional
        Patients.
    """

    outcome: str
    definition: str
    measure: str
    first: float
    second: float
    difference: float
    lower: float | None = None
    upper: float | None = None
    month: float | None = None
    first_n: int | None = None
    second_n: int | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two procedures, or routes, compared in the same patients by one study.

    Parameters
    ----------
    source, tag : str
        The study, and the tag of its figures.
    indication, design : str
        Whom it treated, and how patients came to an arm.
    first, second : ComparedArm
        The arms.
    outcomes : tuple of ComparedOutcome
        By outcome and month.
    findings : tuple of Finding
        What the study says without figures by arm.
    """

    source: str
    tag: str
    indication: str
    design: str
    first: ComparedArm
    second: ComparedArm
    outcomes: tuple[ComparedOutcome, ...] = ()
    findings: tuple[Finding, ...] = ()


TRIAL_RESULTS = ("better", "none", "worse")
"""What a trial against a control arm found of the treated; ``none`` is no difference."""


@dataclass(frozen=True, kw_only=True)
class ControlledTrial:
    """What a trial found that held a technique against a control arm.

    Parameters
    ----------
    source, tag : str
        The trial, and the tag of its finding.
    indications : tuple of str
        Whom it treated.
    against : str
        One of :data:`paincast.evidence.comparators.CONTROL_KINDS`.
    outcome : str
        Outcome of the extraction table.
    result : {"better", "none", "worse"}
        Its own answer at the month.
    finding : str
        The figures in words.
    approach : str
        Empty where the trial does not tell it.
    month : float, optional
        Months after the procedure.
    n : int, optional
        Patients of the two arms, or of the trial where the arms are not told.
    """

    source: str
    tag: str
    indications: tuple[str, ...]
    against: str
    outcome: str
    result: str
    finding: str
    approach: str = ""
    month: float | None = None
    n: int | None = None


PRACTICE_TOPICS = ("diagnostic test", "stay and recovery", "adjunct", "protocol", "cost")
"""What a technique's practice is asked: the yield of a block or test, hospital stay, what combinations with
physiotherapy or psychotherapy show, what details of the protocol do, and cost."""


@dataclass(frozen=True, kw_only=True)
class Practice:
    """What publications say of a technique in practice.

    Parameters
    ----------
    topic : str
        One of :data:`PRACTICE_TOPICS`.
    finding : str
        The statement.
    source, tag : str
        Source of the statement, and its tag.
    """

    topic: str
    finding: str
    source: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class SeedClaim:
    """Statement of the founding review on the technique.

    Parameters
    ----------
    says : str
        The statement.
    source, tag : str
        The review, and its tag.
    response : tuple, optional
        Lowest and highest share of responders according to the review, which defines neither response nor n.
    """

    says: str
    source: str
    tag: str
    response: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class SeedConflict:
    """A claim of the founding review, and the contradicting statement of a source (often the cited source)."""

    claim: str
    finding: str
    source: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """Certainty of the evidence (none, very low, low, moderate or high), with the reason."""

    level: str
    grade: str
    source: str
    tag: str


class Standing(NamedTuple):
    """What the simulated response of a technique stands on (:func:`paincast.evidence.synthesis.audit.summarise_audit`).

    Parameters
    ----------
    found, assumed : float
        Share of the influence of figures that stand on studies, and of those that are assumed.
    """

    found: float
    assumed: float

    @property
    def meets_bar(self) -> bool:
        """Whether enough stands on studies; the card of a technique leads with it where it does not."""
        return self.found >= LEAST_FOUND and self.assumed <= MOST_ASSUMED
