"""Find published response rates that match a training set and were not counted in the same patients."""

from __future__ import annotations

import re

from paincast.evidence.comparators import OUTCOME_OF
from paincast.evidence.figures import PublishedRate
from paincast.evidence.records import load_sources, records_of
from paincast.training_set import TrainingSet


def list_fitting_rates(data: TrainingSet) -> list[PublishedRate]:
    """List published rates of the outcome, by its definition and instruments, in its window."""
    if data.unmatched:
        return []
    extracted = OUTCOME_OF.get(data.outcome.name)
    first, last = data.window_months
    technique = data.contract.find_evidence(data.technique)
    return [
        rate
        for record in (records_of(technique) if technique else ())
        for rate in record.published
        if rate.outcome == extracted and first <= rate.month <= last and rate.n
    ]


def find_nearest_rate(data: TrainingSet) -> PublishedRate | None:
    """Find the rate nearest to the horizon that was not counted in these data; of ties, the one with the largest n."""
    foreign = [rate for rate in list_fitting_rates(data) if not counted_in(rate.source, data.cohort.sources)]
    return min(foreign, key=lambda one: (abs(one.month - data.horizon_months), -(one.n or 0)), default=None)


def counted_in(source: str, citations: tuple[str, ...]) -> bool:
    """Check by DOI whether a source of the evidence is one of the cited data sets.

    Examples
    --------
    >>> counted_in("genicular_rfa_2024", ("Korean J Pain 2024, doi:10.3344/kjp.24098",))
    True
    >>> counted_in("genicular_rfa_2024", ("our own registry",))
    False
    """
    cited = load_sources()[source]
    source_dois = _find_dois(f"{cited.citation} {cited.doi}")
    return bool(source_dois & {doi for citation in citations for doi in _find_dois(citation)})


def _find_dois(text: str) -> set[str]:
    return {doi.rstrip(".,;").lower() for doi in re.findall(r"10\.\d{4,}/[^\s,;]+", text)}
