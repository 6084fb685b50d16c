"""Benefit over a control arm: from both arms of the same trials, or refused; two populations are never subtracted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from paincast.cohort.tables import Cohort
from paincast.disclosure.rounding import round_count, round_digits
from paincast.disclosure.shares import SHARE_DIGITS
from paincast.disclosure.suppression import is_small
from paincast.evidence import wording
from paincast.evidence.comparators import Comparator
from paincast.evidence.figures import Record
from paincast.evidence.synthesis.counts import INTENDED
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.study import Study
from paincast.outcomes import OutcomeLabels, get_outcome
from paincast.planning.contents import Benefit
from paincast.planning.expected import PAIN, choose_control, explain_ages, name_denominator, show_control
from paincast.planning.figures import CONFIDENCE, Figure, publish
from paincast.profiling.linked import link_cohort
from paincast.reporting.evidence.difference import Difference, compare_arms
from paincast.schema import COMPARATORS, MINIMUM_CELL
from paincast.statistics import compute_newcombe_interval, compute_wilson_interval

TELLS, REFUSES = "told", "refused"
NOT_RANDOMISED = "studies without randomisation"
CONTROLS = ("placebo_injection", "usual_care", "no_procedure")
"""Comparators that are controls; another treatment is none."""


@dataclass(frozen=True, kw_only=True)
class CohortBenefit:
    """What a cohort of one trial says of the benefit over a control.

    Parameters
    ----------
    outcome, month : str and float
        What was asked.
    arms : mapping of str to Figure
        Share with the outcome by technique or comparator; without a value if a count is too small to be shown.
    differences : tuple of Figure
        Differences between arms that were assigned by lot.
    said, refused : tuple of str
        What may be said, and what may not, and why.
    """

    outcome: str
    month: float
    arms: Mapping[str, Figure]
    differences: tuple[Figure, ...]
    said: tuple[str, ...]
    refused: tuple[str, ...]


def compute_benefits(
    records: Sequence[Record], indication: str, month: float, age: float | None = None
) -> tuple[Benefit, ...]:
    """Compute what half less pain a technique gives beyond a control arm, record by record.

    Parameters
    ----------
    records : sequence of Record
        The nearest records, one for each approach.
    indication : str
        Indication of the patient.
    month : float
        Month asked; a control arm was seen within half of it.
    age : float, optional
        Age of the patient, if it is known.

    Returns
    -------
    tuple of Benefit
        ``told`` only where a control arm fits outcome, month and indication, and each of its trials tells its own
        treated arm; else ``refused``, with the reason. Where no control arm is near the month asked, those at other
        months follow, each at its own.

    Examples
    --------
    >>> from paincast.evidence import load_record
    >>> record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    >>> [benefit] = compute_benefits([record], "failed_back_surgery", 6.0)
    >>> benefit.status, benefit.arm, round(benefit.difference.value, 2), benefit.holds_zero
    ('told', 'usual care', 0.18, False)
    >>> benefit.treated.denominator
    'those randomised or seen in the trials'
    """
    return tuple(
        benefit for record in records for benefit in _compute(record, indication, month, explain_ages(record, age))
    )


def _compute(record: Record, indication: str, month: float, ages: str) -> Iterator[Benefit]:
    if ages:
        yield Benefit(outcome=PAIN, approach=record.approach or "", status=REFUSES, because=ages)
        return
    control, silence = choose_control(record, PAIN, indication, month)
    if control is not None:
        yield _subtract_arms(record, control)
        return
    yield Benefit(outcome=PAIN, approach=record.approach or "", status=REFUSES, because=silence)
    own = [item for item in record.comparators if item.indication == indication and item.outcome == PAIN]
    for other in sorted({item.month for item in own}):
        nearest, _ = choose_control(record, PAIN, indication, other)
        assert nearest is not None
        yield _subtract_arms(record, nearest)


def _subtract_arms(record: Record, control: Comparator) -> Benefit:
    approach = record.approach or ""
    difference = compare_arms(record, control)
    if difference is None:
        because = (
            "the trials of the control arm do not tell their own treated arm near this month; the treated of other "
            "studies are other patients, and two populations are not subtracted"
        )
        return Benefit(outcome=PAIN, approach=approach, status=REFUSES, because=because, **_describe(control))
    return _tell(record, control, difference)


def _describe(control: Comparator) -> dict[str, Any]:
    return {"arm": control.kind, "definition": control.definition, "control": show_control(control)}


def _tell(record: Record, control: Comparator, difference: Difference) -> Benefit:
    holds_zero = difference.lower <= 0.0 <= difference.upper
    how = "randomised trials" if difference.randomised else NOT_RANDOMISED
    reading = "the interval holds no difference" if holds_zero else "the interval does not hold zero"
    at = f" at {wording.months(control.month)}"
    whom = f"those {' or '.join(difference.denominators)} in the trials"
    expected = name_denominator(record)
    other = "" if whom == expected else f"; of {whom}, while what is expected is of {expected}"
    shared = {"month": control.month, "interval": "95 % interval"}
    name = f"{PAIN}: treated less {control.kind}"
    return Benefit(
        outcome=PAIN,
        approach=record.approach or "",
        status=TELLS,
        because=f"both arms of the same {how}{at}; {reading}{other}",
        arm=control.kind,
        definition=control.definition,
        treated=publish(
            PAIN,
            "share",
            control.source,
            control.tag,
            value=difference.treated,
            n=difference.n,
            denominator=whom,
            month=control.month,
            note="treated arms of the trials of this control arm",
        ),
        control=show_control(control),
        difference=publish(
            name,
            "share",
            control.source,
            control.tag if difference.randomised else "DERIVED",
            value=difference.points,
            lower=difference.lower,
            upper=difference.upper,
            n=difference.n + control.n,
            denominator=whom,
            note=f"number needed to treat {difference.needed}" if difference.needed else "no number needed to treat",
            **shared,
        ),
        holds_zero=holds_zero,
        counts_intended=bool({*difference.denominators} & {*INTENDED}),
    )


def assess_cohort(cohort: Cohort, outcome: str = PAIN, *, month: float) -> CohortBenefit:
    """Say what a cohort tells of the benefit of its techniques over a control, and refuse the rest.

    Arms are subtracted only if the cohort is a trial of the extraction table (found by its DOI) whose patients came to
    their arm by lot. Anything else is a comparison to be made with its assumptions (``paincast.effects``).

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    outcome : str
        Binary outcome.
    month : float
        Month at which it is assessed.

    Returns
    -------
    CohortBenefit

    Raises
    ------
    SettingsError
        If there is no outcome of that name.
    """
    linked, asked = link_cohort(cohort), get_outcome(outcome, outcomes=cohort.contract.outcomes)
    arms = {
        name: _count_arm(linked.label(asked, month, name), cohort, outcome, name, month)
        for name in linked.techniques.labels
    }
    known = {name: figure for name, figure in arms.items() if figure.value is not None}
    techniques = [name for name in arms if name not in COMPARATORS]
    controls = [name for name in CONTROLS if name in known]
    study = _find_study(cohort)
    is_trial = study is not None and study.design == "randomised trial"
    pairs = [*product([name for name in techniques if name in known], controls), *combinations(controls, 2)]
    said = [f"{_name(name)}: {wording.percent(figure.value or 0.0)} of {figure.n}" for name, figure in known.items()]
    return CohortBenefit(
        outcome=outcome,
        month=month,
        arms=arms,
        differences=tuple(_subtract(arms, *pair) for pair in pairs) if is_trial else (),
        said=(*said, *_describe_trial(study, controls)),
        refused=tuple(_list_refusals(techniques, controls, is_trial)),
    )


def _count_arm(labels: OutcomeLabels, cohort: Cohort, outcome: str, name: str, month: float) -> Figure:
    """Count the outcome in an arm; of real patients rounded, and not at all if few have or lack it."""
    is_known = labels.eligible & labels.known
    n, events = int(is_known.sum()), int(labels.value[is_known].sum())
    is_real = cohort.basis != "synthetic"
    figure = Figure(
        name=f"{outcome}, {_name(name)}",
        unit="share",
        basis=cohort.basis,
        validation="counted in the patients themselves",
        month=month,
        source=cohort.sources,
        note=f"counts below {MINIMUM_CELL} are not shown",
    )
    if not n or (is_real and (is_small(events) or is_small(n - events))):
        return figure
    share, about = (round_digits(events / n, SHARE_DIGITS), round_count(n)) if is_real else (events / n, n)
    lower, upper = map(float, compute_wilson_interval(share, about))
    return replace(
        figure,
        value=share,
        lower=lower,
        upper=upper,
        interval="95 % interval (Wilson)",
        confidence=CONFIDENCE,
        n=about,
        note=f"of those whose outcome is known{'; share and n are rounded' if is_real else ''}",
    )


def _subtract(arms: Mapping[str, Figure], first: str, second: str) -> Figure:
    one, other = arms[first], arms[second]
    assert one.value is not None
    assert other.value is not None
    lower, upper = compute_newcombe_interval(one.value, one.n or 0, other.value, other.n or 0)
    holds_zero = lower <= 0.0 <= upper
    return replace(
        one,
        name=f"{_name(first)} less {_name(second)}",
        value=one.value - other.value,
        lower=lower,
        upper=upper,
        interval="95 % interval (Newcombe)",
        confidence=CONFIDENCE,
        n=(one.n or 0) + (other.n or 0),
        note="assigned by lot; " + ("the interval holds no difference" if holds_zero else "the interval excludes zero"),
    )


def _name(name: str) -> str:
    return name.replace("_", " ")


def _find_study(cohort: Cohort) -> Study | None:
    """Find the study of the extraction table whose patients a cohort holds, by its DOI."""
    told = " ".join(cohort.sources).lower()
    return next((study for study in load_studies().values() if study.doi and study.doi.lower() in told), None)


def _describe_trial(study: Study | None, controls: Sequence[str]) -> list[str]:
    if study is None or controls:
        return []
    arms = [arm for arm in study.arms.values() if arm.kind == "treatment"]
    if len(arms) < 2 or len(arms) < len(study.arms) or len({arm.technique for arm in arms}) > 1:
        return []
    count = "both" if len(arms) == 2 else "all"
    return [f"{count} arms received {_name(arms[0].technique)} ({'; '.join(arm.what for arm in arms)})"]


def _list_refusals(techniques: Sequence[str], controls: Sequence[str], is_trial: bool) -> list[str]:
    if not techniques:
        return ["no arm received a technique, so that no benefit of one over a control can be told"]
    if not controls:
        return [
            f"benefit of {_name(name)} over a control: no arm went without it, and patients of other studies are "
            "another population"
            for name in techniques
        ]
    if is_trial:
        return []
    return [
        f"benefit of {_name(name)} over a control: nothing says that patients came to it by lot; "
        "compare with assumptions by 'paincast compare'"
        for name in techniques
    ]
