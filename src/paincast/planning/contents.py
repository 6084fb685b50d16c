"""What a plan holds, as plain data: techniques in groups, what is expected of them, work-up and sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from paincast.evidence.context import Comparison
from paincast.files.declared_schema import SchemaWriter
from paincast.files.serialization import to_plain
from paincast.planning.figures import Figure, Statement
from paincast.planning.patient import Contradiction, Unread
from paincast.planning.preferences import Preferences
from paincast.planning.suitability import OpenFact, RuleResult

FORMAT = 1
"""Format of a plan as JSON."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A block, a trial or a question by which the technique decides who is treated.

    Parameters
    ----------
    column, description : str
        Where its result is recorded.
    kind : {"block", "trial", "history"}
        A test block, a trial of the device, or what happened before, which is asked.
    is_known : bool
        Whether the patient's result is known.
    passes : Figure, optional
        Share of those tested who pass.
    """

    column: str
    description: str
    kind: str
    is_known: bool
    passes: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An outcome expected after a technique, beside what a control arm had.

    Parameters
    ----------
    outcome, approach : str
        Outcome of the contract; approach, or empty if the figure is of the technique.
    figure : Figure
        What is expected of patients like this one (a model) or of those treated (published).
    control : Figure, optional
        Share in a matching control arm. It is of other patients and must not be subtracted; see :class:`Benefit`.
    control_because : str
        Why there is no control.
    support : str
        What a published figure stands on: one of :data:`paincast.planning.expected.SUPPORTS`, or ``other ages`` where
        it is withheld; empty for a model, and where there is no figure.
    borrowed_from : str
        Indication of the studies, where it is another than the patient's.
    """

    outcome: str
    figure: Figure
    approach: str = ""
    control: Figure | None = None
    control_because: str = ""
    support: str = ""
    borrowed_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Benefit:
    """Benefit of a technique over a control arm of the same trials, or why nothing may be said.

    Parameters
    ----------
    outcome, approach : str
        Outcome and approach.
    status : {"told", "refused"}
        Whether trials tell it.
    because : str
        Why it is refused; or how the difference is to be read.
    arm, definition : str
        Kind of control arm, and definition of the outcome.
    treated, control, difference : Figure, optional
        Both arms of the same trials, and their difference.
    holds_zero : bool, optional
        Whether the interval of the difference holds no difference.
    counts_intended : bool
        Whether trials count everyone who entered or was randomised, also those who did not get the procedure.
    """

    outcome: str
    status: str
    because: str
    approach: str = ""
    arm: str = ""
    definition: str = ""
    treated: Figure | None = None
    control: Figure | None = None
    difference: Figure | None = None
    holds_zero: bool | None = None
    counts_intended: bool = False


@dataclass(frozen=True, kw_only=True)
class Harm:
    """A complication with its rate; without a value where nobody counted it.

    Parameters
    ----------
    event, kind, severity : str
        Description, name of the kind, and severity.
    figure : Figure
        The rate, of patients by ``approach``; its month is that by which it was reached.
    approach : str
        Approach of the record; empty if any.
    counted_in : tuple of str
        Whose rate it is, if not of patients of the record: their indications, a technique (and approach) that they had
        instead, or ``several_kinds_of_pain``.
    """

    event: str
    kind: str
    severity: str
    figure: Figure
    approach: str = ""
    counted_in: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a study found that held the technique against a control arm or another procedure.

    Parameters
    ----------
    against : str
        Kind of control arm, or what was done instead.
    outcome : str
        Outcome of the extraction table.
    result : {"better", "none", "worse", "different", "not told"}
        What was found of the technique; ``none``: no difference, or the interval of the difference holds zero;
        ``different``: the interval does not, and which end of the scale is better is not declared.
    finding, design : str
        The figures in words; and how patients came to an arm.
    source, tag : str
        The study, and the tag of its finding.
    approach : str
        Approach of the technique; empty if any.
    technique, by : str
        Technique and approach of the other arm, if it is one of the contract.
    month, n : float and int, optional
        Months after the procedure, and patients.
    """

    against: str
    outcome: str
    result: str
    finding: str
    design: str
    source: str
    tag: str
    approach: str = ""
    technique: str = ""
    by: str = ""
    month: float | None = None
    n: int | None = None


@dataclass(frozen=True, kw_only=True)
class Sure:
    """Certainty of the evidence on a technique by an approach."""

    level: str
    grade: str
    source: str
    tag: str
    approach: str = ""


@dataclass(frozen=True, kw_only=True)
class TechniquePlan:
    """What is known of a technique for the patient.

    Parameters
    ----------
    technique, title : str
        Name in the contract, and in words.
    group : str
        One of :data:`paincast.planning.suitability.GROUPS`.
    because : tuple of str
        Why it is in the group.
    records : tuple of str
        Evidence records that are the nearest to the patient, one for each approach.
    rules : tuple of RuleResult
        Every rule, also those that do not hold.
    cautions : tuple of str
        What to weigh although it does not exclude the technique.
    open_facts : tuple of OpenFact
        Missing facts that rules need.
    steps : tuple of Step
        Blocks and trials before the technique.
    expected, benefits, harms : tuple
        Outcomes at the month of the plan, benefit over control, and complications, the serious ones first.
    trials : tuple of Trial
        What studies found that held it against something else, those that found no difference as well.
    tells_nothing : tuple of Statement
        What studies found not to tell who responds; the topic is a column, if there is one.
    durability : tuple of Figure
        Response at later months, and survival where it limits follow-up.
    visits : Figure, optional
        Visits in the first year.
    recovery, protocol : tuple of Statement
        What publications say of stay and recovery, and of the protocol.
    costs : tuple of Figure
        Price, cost per responder and per quality-adjusted year, and what is published.
    certainty : tuple of Sure
    not_known : tuple of str
        What no study tells.
    ages : str
        Why the figures are not of the patient's age: what is expected is withheld, and the rest is of other ages.
    """

    technique: str
    title: str
    group: str
    because: tuple[str, ...]
    records: tuple[str, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    cautions: tuple[str, ...] = ()
    open_facts: tuple[OpenFact, ...] = ()
    steps: tuple[Step, ...] = ()
    expected: tuple[Expected, ...] = ()
    benefits: tuple[Benefit, ...] = ()
    harms: tuple[Harm, ...] = ()
    trials: tuple[Trial, ...] = ()
    tells_nothing: tuple[Statement, ...] = ()
    durability: tuple[Figure, ...] = ()
    visits: Figure | None = None
    recovery: tuple[Statement, ...] = ()
    protocol: tuple[Statement, ...] = ()
    costs: tuple[Figure, ...] = ()
    certainty: tuple[Sure, ...] = ()
    not_known: tuple[str, ...] = ()
    ages: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkUp:
    """Something to find out or to do.

    Parameters
    ----------
    kind : {"rule", "model", "test"}
        A fact that a rule needs, a fact that a prediction would use, or a block or trial.
    column, description : str
        Where it is recorded.
    techniques : tuple of str
        Techniques for which it is needed.
    """

    kind: str
    column: str
    description: str
    techniques: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A source that the plan cites."""

    citation: str
    doi: str = ""
    pmid: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a patient: all techniques, each in one group, and all that is known of them.

    Parameters
    ----------
    format : int
        :data:`FORMAT`.
    use : str
        ``research use only``.
    version, evidence_version : str
        Of the package, and of the evidence.
    indication : str
        Indication of the patient; empty if it is missing.
    known : tuple of str
        Columns whose value is known; values are not repeated.
    unread, contradictions : tuple
        What could not be used, and what does not go together.
    month, month_because : float and str
        The month of all expected outcomes, and why this one; None where no technique has an answer.
    order : str
        Statement of the order of techniques.
    techniques : tuple of TechniquePlan
        In the order of groups, within a group in the order of the contract; never by a result.
    work_up : tuple of WorkUp
        What is to be found out or done.
    comparisons : tuple of Comparison
        Studies that compared two procedures in the indication.
    preferences : Preferences, optional
        If weights were given.
    comparison_unused : str
        Why the comparison that was given is not used; empty if it is, or none was given.
    notes : tuple of str
        What else the reader should know.
    sources : mapping of str to Reference
        Everything cited.
    """

    format: int
    use: str
    version: str
    evidence_version: str
    indication: str
    known: tuple[str, ...]
    unread: tuple[Unread, ...]
    contradictions: tuple[Contradiction, ...]
    month: float | None
    month_because: str
    order: str
    techniques: tuple[TechniquePlan, ...]
    work_up: tuple[WorkUp, ...]
    comparisons: tuple[Comparison, ...]
    preferences: Preferences | None
    comparison_unused: str
    notes: tuple[str, ...]
    sources: Mapping[str, Reference]


@cache
def make_plan_schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of a plan, from the types that its parts declare."""
    writer = SchemaWriter({})
    top = writer.describe_fields(Plan)
    top["properties"]["format"] = {"const": FORMAT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plan of paincast",
        "description": "What is known of every technique for one patient.",
        **top,
        "$defs": writer.definitions,
    }


def describe_plan(made: Plan) -> dict[str, Any]:
    """Describe a plan as plain data, which fits :func:`make_plan_schema`.

    Examples
    --------
    >>> from paincast.planning import plan
    >>> describe_plan(plan({"indication": "cancer_pain"}))["techniques"][0]["group"]
    'not indicated'
    """
    plain: dict[str, Any] = to_plain(made)
    return plain
