"""A simulated cohort after the procedure, compared with its evidence and its truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.evaluation.simulated.baseline import FEWEST, find_records
from paincast.evaluation.simulated.truth import compute_bayes_bound
from paincast.evidence.figures import Record
from paincast.evidence.records import primary_horizon
from paincast.evidence.safety import Complication
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.statistics import compute_wilson_interval

CONFIDENCE = 0.95


def compute_response(
    cohort: Cohort, probabilities: pd.DataFrame, curves: Mapping[str, Mapping[float, float]]
) -> pd.DataFrame:
    """Compare response at each month: published, true in the simulation, and observed at visits.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort.
    probabilities : DataFrame
        Truth of ``pain_response``: ``episode_id, technique, month, probability, control_probability``.
    curves : mapping of str to mapping
        Month to share of the scenario, by id of the record.

    Returns
    -------
    DataFrame
        ``record, technique, month, evidence``, ``truth`` (mean probability of those treated) with ``truth_error`` (its
        standard error), ``control`` (mean probability without the procedure), ``observed`` with ``lower`` and
        ``upper`` limit (Wilson), and ``n`` observed.
    """
    truth = {key: episodes.set_index("episode_id") for key, episodes in probabilities.groupby(["technique", "month"])}
    rows = []
    for name, (record, mask) in find_records(cohort.episodes).items():
        episodes = cohort.episodes.loc[mask]
        ids = set(episodes["episode_id"])
        visits, events = (table[table["episode_id"].isin(ids)] for table in (cohort.visits, cohort.events))
        for month, share in curves.get(name, {}).items():
            at = truth[record.technique, month].reindex(episodes["episode_id"])
            answers = compute_outcome(episodes, visits, events, OUTCOMES["pain_response"], month, (month, month))
            outcome = answers.value.dropna()
            row = {"record": name, "technique": record.technique, "month": month, "evidence": share}
            row |= {"truth": at["probability"].mean(), "truth_error": at["probability"].sem()}
            row["control"] = at["control_probability"].mean()
            rows.append({**row, **_estimate_share(float(outcome.sum()), len(outcome))})
    names = [
        "record",
        "technique",
        "month",
        "evidence",
        "truth",
        "truth_error",
        "control",
        "observed",
        "lower",
        "upper",
    ]
    return pd.DataFrame(rows, columns=[*names, "n"])


def _estimate_share(count: float, n: int) -> dict[str, float]:
    if not n:
        return {"observed": np.nan, "lower": np.nan, "upper": np.nan, "n": 0}
    lower, upper = compute_wilson_interval(count / n, n, CONFIDENCE)
    return {"observed": count / n, "lower": float(lower), "upper": float(upper), "n": n}


def list_published(records: Iterable[Record]) -> pd.DataFrame:
    """List the published response rates of records.

    Parameters
    ----------
    records : iterable of Record
        Evidence records.

    Returns
    -------
    DataFrame
        ``record, month, share, lower, upper, n, definition, source, tag``; limits are missing where none are published.
    """
    rows = [
        {
            "record": record.id,
            "month": rate.month,
            "share": rate.share,
            "lower": rate.ci95[0] if rate.ci95 else np.nan,
            "upper": rate.ci95[1] if rate.ci95 else np.nan,
            "n": rate.n,
            "definition": rate.definition,
            "source": rate.source,
            "tag": rate.tag,
        }
        for record in records
        for rate in record.published
    ]
    names = ["record", "month", "share", "lower", "upper", "n", "definition", "source", "tag"]
    return pd.DataFrame(rows, columns=names)


def compute_follow_up(cohort: Cohort) -> pd.DataFrame:
    """Compute how many of the episodes of a record still have a pain score at each month.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort.

    Returns
    -------
    DataFrame
        ``record, technique, month, held`` (share of all episodes with a pain score), ``alive`` (share not known to have
        died by then) and ``n`` episodes.
    """
    scored = cohort.visits[cohort.visits["pain_nrs"].notna() & (cohort.visits["month"] > 0)]
    deaths = cohort.events[cohort.events["kind"] == "death"].set_index("episode_id")["month"]
    rows = []
    for name, (record, mask) in find_records(cohort.episodes).items():
        ids = cohort.episodes.loc[mask, "episode_id"]
        died = deaths.reindex(ids)
        seen = scored.loc[scored["episode_id"].isin(set(ids))].groupby("month")["episode_id"].nunique()
        rows += [
            (name, record.technique, month, count / len(ids), 1 - float((died <= month).mean()), len(ids))
            for month, count in seen.items()
        ]
    return pd.DataFrame(rows, columns=["record", "technique", "month", "held", "alive", "n"])


def compute_ceilings(cohort: Cohort, probabilities: pd.DataFrame) -> pd.DataFrame:
    """Compute the highest AUROC that any model of ``pain_response`` can be expected to reach, by technique.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort.
    probabilities : DataFrame
        Truth of ``pain_response``.

    Returns
    -------
    DataFrame
        ``technique, month, ceiling``, ``standard_error`` of an AUROC drawn from the truth, ``n`` episodes, and the
        ``least`` and ``most`` that its records imply for independent predictors.
    """
    implied = _gather_implied(cohort.episodes)
    rows = []
    for technique, own in cohort.episodes.groupby("technique", sort=False):
        month = primary_horizon(str(technique))
        at = probabilities[(probabilities["technique"] == technique) & (probabilities["month"] == month)]
        p = at.set_index("episode_id")["probability"].reindex(own["episode_id"]).dropna()
        if len(p) >= FEWEST:
            ceiling, error = compute_bayes_bound(p.to_numpy())
            held = implied.get(str(technique), [np.nan])
            rows.append((technique, month, ceiling, error, len(p), min(held), max(held)))
    return pd.DataFrame(rows, columns=["technique", "month", "ceiling", "standard_error", "n", "least", "most"])


def _gather_implied(episodes: pd.DataFrame) -> dict[str, list[float]]:
    implied: dict[str, list[float]] = {}
    for record, _ in find_records(episodes).values():
        if record.implied is not None:
            implied.setdefault(record.technique, []).append(record.implied.bayes_optimal_auc)
    return implied


def compute_funnel(cohort: Cohort) -> pd.DataFrame:
    """Compute who goes on after a trial or block, and what that does to the rate of response.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort; ``details["funnel"]`` is read.

    Returns
    -------
    DataFrame
        ``technique, indication, approach, stage`` (column of its result), ``referred, selected`` and ``treated``
        (counts), ``observed`` (share selected) with ``lower`` and ``upper`` limit and its setting ``passes``, and
        response at the primary ``month`` per treated patient and by intention to treat; only options with a stage.
    """
    names = ["technique", "indication", "approach", "stage", "referred", "selected", "treated", "passes", "month"]
    names += ["response_per_treated", "response_intention_to_treat"]
    funnel = pd.DataFrame(cohort.details.get("funnel", []), columns=names)
    funnel = funnel[funnel["stage"].notna() & (funnel["referred"] >= FEWEST)].reset_index(drop=True)
    shares = [_estimate_share(row["selected"], row["referred"]) for row in funnel.to_dict("records")]
    limits = pd.DataFrame(shares, columns=["observed", "lower", "upper"])
    return pd.concat([funnel, limits], axis=1)


def compute_events(cohort: Cohort) -> pd.DataFrame:
    """Compare the share of episodes with each kind of event with the rate its record gives.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort.

    Returns
    -------
    DataFrame
        ``record, technique, kind, event``, ``observed`` with ``lower`` and ``upper`` limit (Wilson), ``n`` episodes
        (those in whom the month of the published rate lies before the end of the data), and the published rate from
        ``least`` to ``most`` per patient; missing for events that rest on an assumption.
    """
    end = _find_end(cohort)
    rows = []
    for name, (record, mask) in find_records(cohort.episodes).items():
        year = cohort.episodes.loc[mask].set_index("episode_id")["procedure_year"].astype(float)
        own = cohort.events[cohort.events["episode_id"].isin(set(year.index)) & (cohort.events["kind"] != "death")]
        published = {(item.event_kind, item.kind.replace("_", " ")): item for item in record.counted_complications}
        held: dict[Any, set[str]] = {key: set(part) for key, part in own.groupby(["kind", "detail"])["episode_id"]}
        for key in sorted({*held, *published}):
            kind, detail = key
            item = published.get(key)
            followed = set(year.index[year + ((item.by_month if item else None) or 0.0) / 12.0 <= end])
            ends = _rate_of(item) if item else (np.nan, np.nan)
            row: dict[str, Any] = {"record": name, "technique": record.technique, "kind": kind, "event": detail}
            share = _estimate_share(len(held.get(key, set()) & followed), len(followed))
            rows.append({**row, **share, "least": ends[0], "most": ends[1]})
    names = ["record", "technique", "kind", "event", "observed", "lower", "upper", "n", "least", "most"]
    return pd.DataFrame(rows, columns=names)


def _find_end(cohort: Cohort) -> float:
    """Find the last time, in years counted like those of the procedures, at which anything was seen."""
    year = cohort.episodes.set_index("episode_id")["procedure_year"].astype(float)
    seen = pd.concat([cohort.visits[["episode_id", "month"]], cohort.events[["episode_id", "month"]]])
    return float((seen["episode_id"].map(year) + seen["month"] / 12.0).max())


def _rate_of(item: Complication) -> tuple[float, float]:
    ends = item.rate if item.per == "patient" else item.per_patient
    return ends or (np.nan, np.nan)
