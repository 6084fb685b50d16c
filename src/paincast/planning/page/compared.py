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


def write_compared(item: TechniquePlan, words: Words) -> dict[str, list[str]]:
    """Write what studies found, by result, those that found no difference first."""
    told = list_told(item.trials)
    by_result = {result: [trial for trial in told if trial.result == result] for result in RESULTS}
    return {
        result: [" ".join(_write(trial, item, words)) for trial in trials]
        for result, trials in by_result.items()
        if trials
    }


def summarise_compared(item: TechniquePlan, words: Words) -> str:
    """Count the findings by result, and the studies that tell no interval of their difference."""
    told = list_told(item.trials)
    if not item.trials:
        return words.write("compared", "nothing")
    counts = {result: sum(trial.result == result for trial in told) for result in RESULTS}
    untold = {trial.source for trial in item.trials} - {trial.source for trial in told}
    more = [words.write("compared", "untold", number=len(untold))] if untold else []
    return " ".join([words.write("compared", "counts", **counts), *more])


def _write(trial: Trial, item: TechniquePlan, words: Words) -> Iterator[str]:
    what = words.get("compared", "outcomes", trial.outcome)[trial.result]
    when = words.write("compared", "when", month=words.write_months(trial.month)) if trial.month else ""
    found = words.write("compared", trial.result, what=what, when=when, other=_name_other(trial, item, words))
    yield " ".join(found.split()).replace(" :", ":")
    if trial.approach and (trial.by or len({one.approach for one in item.harms}) > 1):
        by = words.get("approaches").get(trial.approach, trial.approach)
        yield words.write("compared", "done", approach=by)
    if trial.n:
        yield words.write("compared", "people", n=f"{trial.n:,}")
    if not trial.design.startswith("randomised"):
        yield words.write("relief", "difference_chosen")


def _name_other(trial: Trial, item: TechniquePlan, words: Words) -> str:
    if trial.against in CONTROL_KINDS:
        return str(words.get("controls", trial.against))
    if not trial.technique:
        return str(words.get("compared", "others").get(trial.against, words.get("compared", "other_care")))
    by = words.get("approaches").get(trial.by, trial.by)
    if trial.technique == item.technique:
        return words.write("compared", "same_by", approach=by)
    name = words.get("techniques", trial.technique)["name"]
    return words.write("compared", "by", name=name, approach=by) if by else words.write("compared", "named", name=name)


def write_unrelated(item: TechniquePlan, words: Words) -> list[str]:
    """Write which facts of a patient were found not to tell who gets relief."""
    names = [name_column(statement.topic, words) for statement in item.tells_nothing if statement.topic]
    return [words.write("compared", "unrelated", facts="; ".join(names))] if names else []
