"""How much more one arm had than another in trials that hold both: treated and control, or two procedures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

from paincast.evidence import wording
from paincast.evidence.comparators import OUTCOME_OF, Comparator, is_near
from paincast.evidence.context import ComparedOutcome, Comparison
from paincast.evidence.figures import PublishedRate, Record

RANDOMISED = ("randomised trial", "crossover trial")


class Difference(NamedTuple):
    """Difference between the arms of the same trials.

    Parameters
    ----------
    treated : float
        Share of the treated arms; that of the control arms is the comparator's.
    n : int
        Patients treated.
    points, lower, upper : float
        Treated less control, with its 95 % interval.
    needed : int or None
        Number needed to treat; None where the interval holds no difference.
    randomised : bool
        Whether all trials are.
    denominators : tuple of str
        Whom the treated arms are counted over (:data:`paincast.evidence.synthesis.study.DENOMINATORS`).
    """

    treated: float
    n: int
    points: float
    lower: float
    upper: float
    needed: int | None
    randomised: bool
    denominators: tuple[str, ...]


def compare_arms(record: Record, comparator: Comparator) -> Difference | None:
    """Compare a control arm with the treated arms of the same trials.

    Parameters
    ----------
    record : Record
        Its published rates are the treated arms: those of the comparator's trials and outcome, each at the visit
        nearest to the comparator's month and within half of it.
    comparator : Comparator
        The control arms.

    Returns
    -------
    Difference or None
        None unless each trial tells its treated arm. The interval is Newcombe's
        (:func:`paincast.statistics.compute_newcombe_interval`), over the summed patients.
    """
    from paincast.statistics import compute_newcombe_interval

    by_trial = [_find_treated(record.published, name, comparator) for name in comparator.source]
    if not all(by_trial):
        return None
    arms = [rate for rates in by_trial for rate in rates]
    n = sum(rate.n or 0 for rate in arms)
    treated = sum(rate.share * (rate.n or 0) for rate in arms) / n
    lower, upper = compute_newcombe_interval(treated, n, comparator.share, comparator.n)
    points = treated - comparator.share
    return Difference(
        treated=treated,
        n=n,
        points=points,
        lower=lower,
        upper=upper,
        needed=ceil(1.0 / points) if lower > 0 else None,
        randomised=all(rate.design in RANDOMISED for rate in arms),
        denominators=tuple(sorted({rate.note.removeprefix("of those ") for rate in arms})),
    )


def _find_treated(published: Sequence[PublishedRate], trial: str, comparator: Comparator) -> list[PublishedRate]:
    """Find the treated arms of a trial; of several counts of the same patients the largest, then the first."""
    fitting = [
        rate
        for rate in published
        if rate.source == trial
        and rate.outcome == OUTCOME_OF[comparator.outcome]
        and rate.n
        and is_near(rate.month, comparator.month)
    ]
    nearest = min((abs(rate.month - comparator.month) for rate in fitting), default=0.0)
    arms: dict[str, PublishedRate] = {}
    for rate in sorted(fitting, key=lambda rate: -(rate.n or 0)):
        if abs(rate.month - comparator.month) == nearest:
            arms.setdefault(rate.population, rate)
    return list(arms.values())


def describe_comparison(item: Comparison) -> Iterator[str]:
    """Describe what a study found that compared two procedures, a text for each outcome and finding.

    Examples
    --------
    >>> from paincast.evidence.records import comparisons_of
    >>> print(next(describe_comparison(comparisons_of("knee_osteoarthritis", "genicular_rfa")[0])).partition(": ")[2])
    at least 50 % less pain, NRS at 6 months: 74 % and 16 %, 58 points more (+42 to +70), n 58 and 68, randomised trial
    """
    arms = f"{item.first.what} against {item.second.what}"
    for outcome in item.outcomes:
        when = f" at {wording.months(outcome.month)}" if outcome.month else ""
        n = f", n {outcome.first_n} and {outcome.second_n}" if outcome.first_n and outcome.second_n else ""
        yield f"{arms}: {outcome.definition}{when}: {_describe_difference(outcome)}{n}, {item.design}"
    for finding in item.findings:
        when = f" at {wording.months(finding.month)}" if finding.month else ""
        yield f"{arms}{when}: {finding.finding}{f', n {finding.n}' if finding.n else ''}, {item.design}"


def _describe_difference(outcome: ComparedOutcome) -> str:
    if outcome.measure == "share":
        figures = f"{wording.percent(outcome.first)} and {wording.percent(outcome.second)}"
        more, times, digits = wording.points(outcome.difference), 100.0, ".0f"
    else:
        figures = f"{outcome.first:g} and {outcome.second:g}"
        more, times, digits = f"difference {outcome.difference:+.3g}", 1.0, ".3g"
    if outcome.lower is None or outcome.upper is None:
        return f"{figures}, {more}"
    return f"{figures}, {more} ({times * outcome.lower:+{digits}} to {times * outcome.upper:+{digits}})"
