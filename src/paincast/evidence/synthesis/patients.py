"""Pool the patients of the studies of a record before the procedure: the baseline distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from paincast.evidence.synthesis.counts import NOT_PRIMARY, find_trials
from paincast.evidence.synthesis.study import Characteristic, Study

Figures = Mapping[str, Any]

FEWEST = 100
"""Patients below which studies do not replace a distribution."""

_QUARTILES = 1.349
"""Standard deviations between the quartiles of a normal quantity."""


def pool_patients(own: Sequence[Study], content: Figures) -> dict[str, dict[str, Any]]:
    """Pool the columns of a record's baseline that its studies describe.

    Primary studies count all of whose patients the record covers, each set of patients once. A share of all or none is
    a condition of entry and does not count. Means and shares are weighted by patients; the variance is that within
    studies and between them. A skewed column takes its median and spread of the logarithm from quartiles, or from mean
    and standard deviation. What no study describes, or studies of fewer than 100 patients together, stays as the record
    has it.

    Returns
    -------
    dict
        By column: the pooled parameters that the record has, with ``source`` and ``tag``. Where a study gives the
        centre and none the spread, the spread is that of the record and the tag ``FOUND/ASSUMED``.
    """
    covered = {content["indication"], *content.get("also_covers", ())}
    fitting = [study for study in own if set(study.indications) <= covered and study.design not in NOT_PRIMARY]
    trials = find_trials({study.id: study for study in fitting})
    pooled = {}
    for column, entry in content.get("baseline", {}).items():
        described = _describe_once(fitting, trials, column)
        if sum(item.n or 0 for _, item in described) < FEWEST:
            continue
        figures = _pool_skewed(described) if "median" in entry else _pool_plain(described, entry)
        found = {name: value for name, value in figures.items() if name in entry}
        if found:
            missing = {name: entry[name] for name in ("mean", "sd", "median", "log_sd", "share") if name in entry}
            source = sorted({name for name, item in described if item.n})
            tag = "FOUND" if set(found) == set(missing) else "FOUND/ASSUMED"
            pooled[column] = {**missing, **found, "source": source, "tag": tag}
    return pooled


def _describe_once(
    studies: Sequence[Study], trials: Mapping[str, str], column: str
) -> list[tuple[str, Characteristic]]:
    """List what studies tell of a column: of each trial the description of most patients.

    A report that pools several trials counts where none of them tells it.
    """
    telling = [(study, item) for study in studies for item in study.patients if item.column == column and item.n]
    names = {study.id for study, _ in telling}
    largest: dict[str, tuple[str, Characteristic]] = {}
    for study, item in telling:
        before = largest.get(trials[study.id])
        if not names & set(study.pools) and (before is None or (item.n or 0) > (before[1].n or 0)):
            largest[trials[study.id]] = (study.id, item)
    return list(largest.values())


def _pool_plain(described: Sequence[tuple[str, Characteristic]], entry: Figures) -> dict[str, float]:
    if "share" in entry:
        return _average_shares(described)
    centre = _average([(item.mean, item.n) for _, item in described], "mean")
    spread = [(item.sd, item.n) for _, item in described]
    if not centre or not any(sd and n for sd, n in spread):
        return centre
    within = _average([(None if sd is None else sd**2, n) for sd, n in spread], "variance")["variance"]
    means = [(None if item.mean is None else (item.mean - centre["mean"]) ** 2, item.n) for _, item in described]
    return {**centre, "sd": math.sqrt(within + _average(means, "variance")["variance"])}


def _pool_skewed(described: Sequence[tuple[str, Characteristic]]) -> dict[str, float]:
    centres, spreads = [], []
    for _, item in described:
        median, log_sd = item.median, None
        if item.quartiles and min(item.quartiles) > 0:
            log_sd = math.log(item.quartiles[1] / item.quartiles[0]) / _QUARTILES
        elif item.mean and item.sd:
            variance = math.log1p((item.sd / item.mean) ** 2)
            log_sd = math.sqrt(variance)
            median = median or item.mean / math.exp(variance / 2.0)
        centres.append((None if not median else math.log(median), item.n))
        spreads.append((log_sd, item.n))
    centre = _average(centres, "median")
    figures = {name: math.exp(value) for name, value in centre.items()} | _average(spreads, "log_sd")
    return figures | _average_shares(described)


def _average_shares(described: Sequence[tuple[str, Characteristic]]) -> dict[str, float]:
    """Average shares; nobody or all is what a study asked for at entry, and tells nothing of other patients."""
    return _average([(item.share, item.n) for _, item in described if item.share not in (0, 1)], "share")


def _average(values: Sequence[tuple[float | None, int | None]], name: str) -> dict[str, float]:
    known = [(value, n) for value, n in values if value is not None and n]
    total = sum(n for _, n in known)
    return {name: sum(value * n for value, n in known) / total} if total else {}
