"""What studies found that held an option against something else; those that found no difference stand as large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paincast.evidence.comparators import CONTROL_KINDS
from paincast.planning.contents import TechniquePlan, Trial
from paincast.planning.page.catalogue import Words
from paincast.planning.page.naming import name_column

RESULTS = ("none", "better", "worse")
"""Results that the page counts, in its order."""

PREFERRED = ("pain_relief_50", "pain_relief_other", "composite_response", "pain", "pain_change")
"""Outcomes of a study of two procedures, the first of which is told."""


def list_told(trials: Sequence[Trial]) -> list[Trial]:
    """List the findings that the page tells: of a study one outcome, and of each result its last month.

    Parameters
    ----------
    trials : sequence of Trial
        Of a technique.

    Returns
    -------
    list of Trial
        In the order given.
    """
    last: dict[tuple[str, ...], Trial] = {}
    for study in dict.fromkeys((trial.source, trial.against, trial.approach, trial.by) for trial in trials):
        own = [trial for trial in trials if (trial.source, trial.against, trial.approach, trial.by) == study]
        known = [trial for trial in own if trial.result in RESULTS]
        chosen = min((trial.outcome for trial in known), key=_rank, default="")
        for trial in known:
            if trial.outcome == chosen:
                key = (*study, trial.result)
                if key not in last or (trial.month or 0.0) >= (last[key].month or 0.0):
                    last[key] = trial
    return list(last.values())


def _rank(outcome: str) -> int:
    return PREFERRED.index(outcome) if outcome in PREFERRED else len(PREFERRED)


def write_compared(item: TechniquePlan, words: Words) -> list[str]:
    """Write what studies found, one sentence a finding, or that there is none."""
    told = list_told(item.trials)
    return [" ".join(_write(trial, item, words)) for trial in told] or [words.write("compared", "nothing")]


def summarise_compared(item: TechniquePlan, words: Words) -> str:
    """Count the findings by result."""
    told = list_told(item.trials)
    if not told:
        return words.write("compared", "nothing")
    counts = {result: sum(trial.result == result for trial in told) for result in RESULTS}
    return words.write("compared", "counts", **counts)


def _write(trial: Trial, item: TechniquePlan, words: Words) -> Iterator[str]:
    names = words.get("compared", "outcomes", trial.outcome)
    if trial.month:
        when = words.write("compared", "when", month=words.write_months(trial.month))
    else:
        when = words.write("compared", "some_time")
    other = _name_other(trial, words)
    yield words.write("compared", trial.result, what=names[trial.result], other=other, when=when)
    if trial.approach and (trial.by or len({one.approach for one in item.harms}) > 1):
        by = words.get("approaches").get(trial.approach, trial.approach)
        yield words.write("relief", "difference_by", approach=by)
    if trial.n:
        yield words.write("compared", "people", n=f"{trial.n:,}")
    if not trial.design.startswith("randomised"):
        yield words.write("relief", "difference_chosen")


def _name_other(trial: Trial, words: Words) -> str:
    if trial.against in CONTROL_KINDS:
        return str(words.get("controls", trial.against))
    if not trial.technique:
        return str(words.get("compared", "others").get(trial.against, words.get("compared", "other_care")))
    name = words.get("techniques", trial.technique)["name"]
    if not trial.by:
        return words.write("compared", "named", name=name)
    return words.write("compared", "by", name=name, approach=words.get("approaches").get(trial.by, trial.by))


def write_unrelated(item: TechniquePlan, words: Words) -> list[str]:
    """Write which facts of a patient were found not to tell who gets relief."""
    names = [name_column(statement.topic, words) for statement in item.tells_nothing if statement.topic]
    return [words.write("compared", "unrelated", facts="; ".join(names))] if names else []
