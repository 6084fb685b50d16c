"""Outcome definitions: what each outcome means, when and for whom it is assessed, and what it does not mean."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from paincast.errors import SettingsError, suggest_name
from paincast.outcomes.criteria import Line, improvement_line
from paincast.schema.instruments import INSTRUMENTS, Instrument

Kind = Literal["binary", "continuous", "time_to_event"]
AssessedBy = Literal["visit", "events", "follow_up"]

AT_A_VISIT = "the visit nearest to the horizon, from half to one and a half times of it, that holds the measure"
ALIVE = "alive at the horizon"
WEIGHTED = (
    "who has no such visit is lost: where enough are lost to model it, those seen are weighted by the inverse of their "
    "probability to be seen (tables/observation_weights.csv), and a sweep says how far those lost would have to differ"
)
COUNTED_ALIKE: Mapping[str, str] = MappingProxyType({"vas": "pain_nrs"})
"""Measures of which studies count the same share of relief."""

NOT_AN_EFFECT = "the effect of the procedure: some patients respond to placebo or with time alone"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The definition of an outcome.

    Parameters
    ----------
    name : str
        Name of the outcome.
    kind : {"binary", "continuous", "time_to_event"}
        Type of the label: 0 or 1, a number, or months with a status.
    assessed_by : {"visit", "events", "follow_up"}
        How it is assessed: at a visit, from the events up to the horizon, or from the whole follow-up.
    question : str
        Definition of the event (or number, or duration) that is predicted.
    is_not : str
        What the prediction must not be interpreted as.
    horizon_rule : str
        Which follow-up counts for the horizon.
    denominator : str
        Episodes for which it is assessed.
    missing : str
        How loss to follow-up is handled.
    lines : tuple of Line
        Criteria; the first whose measure a patient has at baseline and follow-up is used.
    detail : str
        With ``assessed_by="events"``, the only kind of complication that counts; empty for any.
    follows_response : bool
        Whether published predictors of pain response are assumed to have the same sign for this outcome.
    evidence_measures : tuple of str
        Measures by which the published evidence counts this outcome; what it holds is attached to no other. Empty where
        there is one measure, or no evidence.
    horizon_months : float, optional
        Month at which it is assessed; by default the primary one of the technique.
    follow_up_months : tuple of float, optional
        First and last month, included, of the follow-up that counts; by default :func:`default_window`.
    references : tuple of str
        Sources of the thresholds.
    """

    name: str
    kind: Kind
    assessed_by: AssessedBy
    question: str
    is_not: str
    horizon_rule: str
    denominator: str
    missing: str
    lines: tuple[Line, ...] = ()
    detail: str = ""
    follows_response: bool = False
    evidence_measures: tuple[str, ...] = ()
    horizon_months: float | None = None
    follow_up_months: tuple[float, float] | None = None
    references: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Baseline columns, at least one of which must be known; empty if none is needed."""
        return tuple(line.measure for line in self.lines if line.needs_before)

    def answered_by(self, measures: Collection[str]) -> Outcome:
        """Return the outcome as it is answered by some of its measures alone; by all if none of them is named.

        Examples
        --------
        >>> OUTCOMES["function_response"].answered_by(["womac"]).measures
        ('womac',)
        """
        kept = tuple(line for line in self.lines if line.measure in measures)
        return replace(self, lines=kept) if kept else self

    def list_unmatched(self, measures: Iterable[str]) -> tuple[str, ...]:
        """List the measures by which the published evidence did not count this outcome.

        Examples
        --------
        >>> OUTCOMES["function_response"].list_unmatched(["odi", "promis_physical_function"])
        ('promis_physical_function',)
        """
        if not self.evidence_measures:
            return ()
        return tuple(name for name in measures if COUNTED_ALIKE.get(name, name) not in self.evidence_measures)


def list_instruments_of(domain: str) -> list[Instrument]:
    """List the instruments of a domain by which an improvement can be told: those with a sourced threshold."""
    return [instrument for instrument in INSTRUMENTS.values() if instrument.domain == domain and instrument.responder]


def _improvement_lines(domain: str, *, without: Collection[str] = ()) -> tuple[Line, ...]:
    return tuple(
        improvement_line(instrument) for instrument in list_instruments_of(domain) if instrument.column not in without
    )


def _cite(domain: str) -> tuple[str, ...]:
    """Cite the thresholds of a domain, the first of each instrument."""
    return tuple(f"{one.title}: {one.responder[0]}" for one in list_instruments_of(domain))


def _pain(name: str, share: float) -> Outcome:
    return Outcome(
        name=name,
        kind="binary",
        assessed_by="visit",
        question=(
            f"pain (NRS) lower by at least {100 * share:g} % than before the procedure, or where NRS is not recorded "
            "VAS, BPI severity, PEG or KOOS pain"
        ),
        is_not=NOT_AN_EFFECT,
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes with pain above 0 before the procedure, {ALIVE}",
        missing=WEIGHTED,
        lines=tuple(improvement_line(instrument, share=share) for instrument in list_instruments_of("pain")),
        follows_response=True,
        evidence_measures=("pain_nrs",),
        references=("Dworkin RH, et al. J Pain 2008;9:105-121. doi:10.1016/j.jpain.2007.09.005",),
    )


def _improvement(name: str, domain: str, what: str, is_not: str) -> Outcome:
    """Define the improvement of a domain of which the evidence tells nothing."""
    return Outcome(
        name=name,
        kind="binary",
        assessed_by="visit",
        question=f"{what} better than before the procedure by the responder threshold of the instrument",
        is_not=is_not,
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes with a score before the procedure that leaves room for the change, {ALIVE}",
        missing=WEIGHTED,
        lines=_improvement_lines(domain),
        references=_cite(domain),
    )


_CHANGES = (
    _pain("pain_response", 0.5),
    _pain("pain_response_30", 0.3),
    Outcome(
        name="pain_change",
        kind="continuous",
        assessed_by="visit",
        question="points of pain (NRS) after minus before the procedure: below 0 is less pain",
        is_not=NOT_AN_EFFECT + ", and high scores fall by regression to the mean",
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes with a pain score before the procedure, {ALIVE}",
        missing=WEIGHTED,
        lines=(Line(measure="pain_nrs", direction="change"),),
    ),
    Outcome(
        name="function_response",
        kind="binary",
        assessed_by="visit",
        question=(
            "disability (ODI) lower by at least 10 points or 30 %; where ODI is not recorded WOMAC by 30 %, or another "
            "instrument of function by its responder threshold"
        ),
        is_not="freedom from disability: a fall of 10 points leaves a severely disabled patient disabled",
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes with a score of function before the procedure that leaves room for the change, {ALIVE}",
        missing=WEIGHTED,
        lines=(
            Line(measure="odi", direction="fall", points=10.0, share=0.3),
            Line(measure="womac", direction="fall", share=0.3),
            *_improvement_lines("function", without=("odi", "womac")),
        ),
        follows_response=True,
        evidence_measures=("odi", "womac"),
        references=(
            "Ostelo RWJG, et al. Spine 2008;33:90-94. doi:10.1097/BRS.0b013e31815e3a10",
            "Tubach F, et al. Ann Rheum Dis 2005;64:29-33. doi:10.1136/ard.2004.022905 (WOMAC: 21 to 26 % matter)",
            *_cite("function"),
        ),
    ),
    _improvement(
        "mood_response",
        "mood",
        "depression or anxiety",
        "recovery from a depressive or anxiety disorder, which a questionnaire does not diagnose",
    ),
    _improvement("sleep_response", "sleep", "sleep", "freedom from insomnia, or a longer sleep"),
    Outcome(
        name="quality_of_life_gain",
        kind="binary",
        assessed_by="visit",
        question="quality of life (EQ-5D index) higher by at least 0.08 than before the procedure",
        is_not="a gain in life years, or worth its cost: value sets differ between countries",
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes with an EQ-5D index of at most 0.92 before the procedure, {ALIVE}",
        missing=WEIGHTED,
        lines=(Line(measure="eq5d_index", direction="rise", points=0.08, best=1.0),),
        follows_response=True,
    ),
    Outcome(
        name="opioid_reduction",
        kind="binary",
        assessed_by="visit",
        question="opioid dose (oral morphine equivalents) lower by at least 30 % than before the procedure",
        is_not="less pain, or a reason to taper: a dose is changed by a prescriber, for many reasons",
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes of patients who took opioids before the procedure, {ALIVE}",
        missing=WEIGHTED,
        lines=(Line(measure="opioid_mme", direction="fall", share=0.3),),
    ),
    Outcome(
        name="satisfaction",
        kind="binary",
        assessed_by="visit",
        question="the patient calls the change much or very much improved (PGIC 1 or 2)",
        is_not="pain relief: the patient weighs everything that happened, and nothing before the procedure is compared",
        horizon_rule=AT_A_VISIT,
        denominator=f"all episodes, {ALIVE}",
        missing=WEIGHTED,
        lines=(Line(measure="pgic", direction="at_most", points=2.0),),
        follows_response=True,
        references=("Dworkin RH, et al. J Pain 2008;9:105-121. doi:10.1016/j.jpain.2007.09.005",),
    ),
)

_EVENTS = (
    Outcome(
        name="complication",
        kind="binary",
        assessed_by="events",
        question="at least one complication is recorded up to the horizon",
        is_not="harm caused by the procedure, or how grave it is: it is what was recorded, the mild with the severe",
        horizon_rule="events from the procedure up to the horizon; an event without a month counts",
        denominator=f"all episodes, {ALIVE}",
        missing=(
            "known where a visit or later event shows that the patient was followed to the horizon; who was not is "
            "lost, also with a complication: counting these but not their like without one would raise the risk. "
            + WEIGHTED
        ),
    ),
    Outcome(
        name="relief_duration",
        kind="time_to_event",
        assessed_by="follow_up",
        question="months until the fall of pain (NRS) is below 50 %, or a repeat procedure, surgery or explant",
        is_not="how long the procedure works: relief is seen at visits only, and may be lost before the one that tells",
        horizon_rule="all visits with pain and all events; relief never reached is lost at the first visit",
        denominator="episodes with pain above 0 before the procedure",
        missing="censored at the last visit with pain; death competes",
        lines=(Line(measure="pain_nrs", direction="fall", share=0.5),),
        references=("Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144",),
    ),
)

OUTCOMES: Mapping[str, Outcome] = MappingProxyType({outcome.name: outcome for outcome in (*_CHANGES, *_EVENTS)})

COMPLICATION = "complication"


def get_outcome(
    name: str, *, complication_kind: str | None = None, outcomes: Mapping[str, Outcome] = OUTCOMES
) -> Outcome:
    """Find an outcome by name.

    Parameters
    ----------
    name : str
        A name in ``outcomes``, or ``complication_`` and a kind, for example ``complication_motor_weakness``.
    complication_kind : str, optional
        The only kind of complication that counts, as written in ``detail`` of the events.
    outcomes : mapping of str to Outcome
        Outcomes of the contract.

    Raises
    ------
    SettingsError
        If the name is unknown, or a kind is given for another outcome.

    Examples
    --------
    >>> get_outcome("complication", complication_kind="motor weakness").name
    'complication_motor_weakness'
    """
    if complication_kind is not None and name != COMPLICATION:
        raise SettingsError(
            f"outcome.complication_kind is only for outcome={COMPLICATION}, not for {name}", code="PC-OUTCOMES-01"
        )
    prefix = f"{COMPLICATION}_"
    detail = complication_kind or (name.removeprefix(prefix).replace("_", " ") if name.startswith(prefix) else "")
    if not detail and name in outcomes:
        return outcomes[name]
    if not re.fullmatch(r"[A-Za-z0-9]+([ -][A-Za-z0-9]+)*", detail):
        raise SettingsError(f"outcome: unknown name '{name}'; {suggest_name(name, outcomes)}", code="PC-OUTCOMES-02")
    return replace(
        OUTCOMES[COMPLICATION],
        name=f"{COMPLICATION}_{detail.replace(' ', '_')}",
        question=f"this complication is recorded up to the horizon: {detail}",
        detail=detail,
    )


def name_in_truth(outcome: Outcome) -> str:
    """Return the name of an outcome in the truth of a simulated cohort."""
    return f"{COMPLICATION}: {outcome.detail}" if outcome.detail else outcome.name


def sort_outcomes(names: Iterable[str], outcomes: Iterable[str] = OUTCOMES) -> list[str]:
    """Sort names of outcomes in order of declaration; kinds of complications come last, alphabetically."""
    ranks = {name: rank for rank, name in enumerate(outcomes)}
    return sorted(set(names), key=lambda name: (ranks.get(name, len(ranks)), name))


def default_window(outcome: Outcome, horizon_months: float) -> tuple[float, float]:
    """Return the default follow-up window of a horizon in months, ends included.

    Visits count from 0.5 to 1.5 times the horizon. For events, the first month is the earliest contact that shows
    follow-up to the horizon and the last month is the latest event that counts: both equal the horizon. The whole
    follow-up counts from the first day to the horizon. An outcome may bring a window of its own.
    """
    if outcome.follow_up_months is not None and horizon_months == (outcome.horizon_months or horizon_months):
        return outcome.follow_up_months
    if outcome.assessed_by == "visit":
        return 0.5 * horizon_months, 1.5 * horizon_months
    return (horizon_months, horizon_months) if outcome.assessed_by == "events" else (0.0, horizon_months)
