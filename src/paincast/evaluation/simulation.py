"""What a simulated cohort looks like beside the evidence it came from: numbers only, one tidy frame a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.evaluation.calibration import compute_wilson_interval
from paincast.evaluation.latent import compute_latent_correlations
from paincast.evaluation.truth import compute_bayes_bound
from paincast.evidence.figures import Baseline, Record
from paincast.evidence.records import load_record, primary_horizon
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.schema import EPISODES, is_model_input

CONFIDENCE = 0.95
GROUP = ["technique", "indication", "approach"]
FEWEST = 30
"""Fewest episodes of which anything is reported."""


def find_records(episodes: pd.DataFrame) -> dict[str, tuple[Record, pd.Series]]:
    """Give the records of a simulated cohort, each with the mask of the episodes in its own indication.

    Parameters
    ----------
    episodes : DataFrame
        Episodes; technique, indication and approach are read.

    Returns
    -------
    dict of str to (Record, Series of bool)
        By id of the record, in the order of techniques; records with fewer than 30 episodes are left out.
    """
    keys = episodes[GROUP].astype(object).where(episodes[GROUP].notna(), None)
    found: dict[str, tuple[Record, pd.Series]] = {}
    for technique, indication, approach in keys.drop_duplicates().itertuples(index=False):
        record = load_record(technique, indication, approach)
        if record.indication == indication:
            mask = (keys["technique"] == technique) & (keys["indication"] == indication)
            mask &= keys["approach"].isna() if approach is None else keys["approach"] == approach
            held = found[record.id][1] if record.id in found else False
            found[record.id] = record, mask | held
    return {name: (record, mask) for name, (record, mask) in found.items() if mask.sum() >= FEWEST}


def compute_marginals(cohort: Cohort) -> pd.DataFrame:
    """Compare the distribution of each column before the procedure with that of the evidence record.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort.

    Returns
    -------
    DataFrame
        ``record, technique, column, figure`` (mean, median or share), ``evidence, simulated``, ``difference`` in
        standard deviations of the evidence (of its log for a median), ``n`` and ``tag``.
    """
    rows = []
    for name, (record, mask) in find_records(cohort.episodes).items():
        own = cohort.episodes.loc[mask]
        for column, baseline in record.baseline.items():
            if column in own and own[column].notna().sum() >= FEWEST:
                compared = _compare_column(own, column, baseline)
                rows.append({"record": name, "technique": record.technique, "column": column, **compared})
    names = ["record", "technique", "column", "figure", "evidence", "simulated", "difference", "n", "tag"]
    return pd.DataFrame(rows, columns=names)


def _compare_column(episodes: pd.DataFrame, column: str, baseline: Baseline) -> dict[str, Any]:
    values = _as_numbers(episodes, column)
    if baseline.share is not None:
        figure, evidence, simulated = "share", baseline.share, float((values > 0).mean())
        difference = (simulated - evidence) / np.sqrt(evidence * (1 - evidence)) if 0 < evidence < 1 else np.nan
    elif baseline.shares is not None:
        levels, weights = np.array(list(baseline.shares)), np.array(list(baseline.shares.values()))
        evidence, simulated, figure = float(levels @ weights), float(values.mean()), "mean"
        difference = (simulated - evidence) / np.sqrt((levels - evidence) ** 2 @ weights)
    elif baseline.median is not None:
        figure, evidence, simulated = "median", baseline.median, float(values.median())
        difference = np.log(simulated / evidence) / (baseline.log_sd or np.nan)
    else:
        figure, evidence, simulated = "mean", float(baseline.mean or 0.0), float(values.mean())
        difference = (simulated - evidence) / (baseline.sd or np.nan)
    told = {"figure": figure, "evidence": evidence, "simulated": simulated, "difference": float(difference)}
    return {**told, "n": len(values), "tag": baseline.tag}


def _as_numbers(episodes: pd.DataFrame, column: str) -> pd.Series:
    """Give known values as numbers; a share of a category is that of its first value."""
    values = episodes[column].dropna()
    if column == "work_status":
        values = values[values != "retired"]
    declared = EPISODES[column]
    return (values == declared.categories[0]).astype(float) if declared.categories else values.astype(float)


def compute_correlations(episodes: pd.DataFrame) -> pd.DataFrame:
    """Estimate the latent correlations of what is known before the procedure, within indications.

    Parameters
    ----------
    episodes : DataFrame
        Episodes.

    Returns
    -------
    DataFrame of shape (k, k)
        From :func:`paincast.evaluation.latent.compute_latent_correlations`; columns that are not recorded are left out.
    """
    columns = {}
    for name, declared in EPISODES.items():
        values = episodes[name]
        if not is_model_input(declared) or values.notna().sum() < FEWEST or declared.type == "text":
            continue
        if not declared.categories:
            columns[name] = values.astype(float)
        elif len(declared.categories) == 2 and declared.role == "predictor":
            columns[name] = (values == declared.categories[0]).astype(float).where(values.notna())
    matrix = compute_latent_correlations(pd.DataFrame(columns), episodes["indication"])
    kept = matrix.index[np.isfinite(np.diag(matrix))]
    return pd.DataFrame(matrix.loc[kept, kept])


def name_option(technique: pd.Series, approach: pd.Series) -> pd.Series:
    """Give a technique with its approach one name."""
    return technique.astype(str) + (", " + approach.astype("str")).fillna("")


def compute_overlap(episodes: pd.DataFrame, propensity: pd.DataFrame, bins: int = 20) -> pd.DataFrame:
    """Compute how the propensity of each option is distributed among those who received it and those who did not.

    Parameters
    ----------
    episodes : DataFrame
        Episodes of a simulated cohort.
    propensity : DataFrame
        ``episode_id, technique, approach, probability``.
    bins : int
        Number of bins from 0 to 1.

    Returns
    -------
    DataFrame
        ``indication, option, received`` (bool), ``lower`` and ``upper`` edge, ``share`` and ``n`` of the group, and
        ``overlap``: the sum over bins of the smaller share. Indications with a single option are left out.
    """
    known = episodes[["episode_id", *GROUP]].rename(columns={"technique": "had", "approach": "by"})
    merged = propensity.merge(known, on="episode_id")
    merged["option"] = name_option(merged["technique"], merged["approach"])
    merged["received"] = merged["option"] == name_option(merged["had"], merged["by"])
    edges = np.linspace(0.0, 1.0, bins + 1)
    rows = []
    for (indication, option), own in merged.groupby(["indication", "option"], sort=False):
        sides = {bool(side): part["probability"] for side, part in own.groupby("received")}
        if len(sides) < 2 or min(len(part) for part in sides.values()) < FEWEST:
            continue
        shares = {side: np.histogram(part, edges)[0] / len(part) for side, part in sides.items()}
        overlap = float(np.minimum(shares[True], shares[False]).sum())
        for side, share in shares.items():
            held = {"indication": indication, "option": option, "received": side, "n": len(sides[side])}
            rows += [
                {**held, "lower": low, "upper": high, "share": part, "overlap": overlap}
                for low, high, part in zip(edges[:-1], edges[1:], share, strict=True)
            ]
    names = ["indication", "option", "received", "lower", "upper", "share", "n", "overlap"]
    return pd.DataFrame(rows, columns=names)


def compute_response(
    cohort: Cohort, probabilities: pd.DataFrame, curves: Mapping[str, Mapping[float, float]]
) -> pd.DataFrame:
    """Compare response at each month: as published, as generated, and as a registry would see it.

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
    truth = {key: own.set_index("episode_id") for key, own in probabilities.groupby(["technique", "month"])}
    rows = []
    for name, (record, mask) in find_records(cohort.episodes).items():
        own = cohort.episodes.loc[mask]
        visits = cohort.visits[cohort.visits["episode_id"].isin(set(own["episode_id"]))]
        for month, share in curves.get(name, {}).items():
            at = truth[record.technique, month].reindex(own["episode_id"])
            outcome = compute_outcome(own, visits, OUTCOMES["pain_response"], month, (month, month)).dropna()
            told = {"record": name, "technique": record.technique, "month": month, "evidence": share}
            told |= {"truth": at["probability"].mean(), "truth_error": at["probability"].sem()}
            told["control"] = at["control_probability"].mean()
            rows.append({**told, **_estimate_share(float(outcome.sum()), len(outcome))})
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
    lower, upper = compute_wilson_interval(np.array([count / n]), np.array([n]), CONFIDENCE)
    return {"observed": count / n, "lower": float(lower[0]), "upper": float(upper[0]), "n": n}


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


def compute_missingness(episodes: pd.DataFrame) -> pd.DataFrame:
    """Compute the share of values a registry lacks, among the techniques and indications that record the column at all.

    Parameters
    ----------
    episodes : DataFrame
        Episodes.

    Returns
    -------
    DataFrame
        ``column, missing`` (share over all episodes of those groups), ``least`` and ``most`` (over groups of 30 or
        more) and ``n``, most first; columns without a gap and choices of the procedure are left out.
    """
    group = episodes["technique"].astype(str) + " " + episodes["indication"].astype(str)
    rows = []
    for name in episodes.columns:
        gaps = episodes[name].isna().groupby(group).agg(["mean", "sum", "count"])
        held = gaps[(gaps["mean"] < 1) & (gaps["count"] >= FEWEST)]
        if EPISODES[name].role != "technique" and held["sum"].sum() > 0:
            share = held["sum"].sum() / held["count"].sum()
            told = {"column": name, "missing": share, "least": held["mean"].min(), "most": held["mean"].max()}
            rows.append({**told, "n": int(held["count"].sum())})
    frame = pd.DataFrame(rows, columns=["column", "missing", "least", "most", "n"])
    return frame.sort_values("missing", ascending=False, kind="stable", ignore_index=True)


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
        ``technique, month, ceiling``, ``standard_error`` of an AUROC drawn from the truth, and ``n`` episodes.
    """
    rows = []
    for technique, own in cohort.episodes.groupby("technique", sort=False):
        month = primary_horizon(str(technique))
        at = probabilities[(probabilities["technique"] == technique) & (probabilities["month"] == month)]
        p = at.set_index("episode_id")["probability"].reindex(own["episode_id"]).dropna()
        if len(p) >= FEWEST:
            ceiling, error = compute_bayes_bound(p.to_numpy())
            rows.append((technique, month, ceiling, error, len(p)))
    return pd.DataFrame(rows, columns=["technique", "month", "ceiling", "standard_error", "n"])
