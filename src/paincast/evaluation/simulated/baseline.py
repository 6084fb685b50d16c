"""A simulated cohort before the procedure, compared with its evidence: marginals, correlations, overlap, gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.evaluation.simulated.polychoric import compute_polychoric_correlations
from paincast.evidence.figures import Baseline, Record
from paincast.evidence.records import load_record
from paincast.schema import EPISODES, is_model_input

GROUP = ["technique", "indication", "approach"]
FEWEST = 30
"""Fewest episodes of which anything is reported."""


def find_records(episodes: pd.DataFrame) -> dict[str, tuple[Record, pd.Series]]:
    """Return the records of a simulated cohort, each with the mask of the episodes in its own indication.

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
    records: dict[str, tuple[Record, pd.Series]] = {}
    for technique, indication, approach in keys.drop_duplicates().itertuples(index=False):
        record = load_record(technique, indication, approach)
        if record.indication == indication:
            mask = (keys["technique"] == technique) & (keys["indication"] == indication)
            mask &= keys["approach"].isna() if approach is None else keys["approach"] == approach
            mask_so_far = records[record.id][1] if record.id in records else False
            records[record.id] = record, mask | mask_so_far
    return {name: (record, mask) for name, (record, mask) in records.items() if mask.sum() >= FEWEST}


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
        episodes = cohort.episodes.loc[mask]
        for column, baseline in record.baseline.items():
            if column in episodes and episodes[column].notna().sum() >= FEWEST:
                compared = _compare_column(episodes, column, baseline)
                rows.append({"record": name, "technique": record.technique, "column": column, **compared})
    names = ["record", "technique", "column", "figure", "evidence", "simulated", "difference", "n", "tag"]
    return pd.DataFrame(rows, columns=names)


def _compare_column(episodes: pd.DataFrame, column: str, baseline: Baseline) -> dict[str, Any]:
    values = _as_numbers(episodes, column)
    if baseline.share is not None:
        figure, evidence, simulated = "share", baseline.share, float((values > 0).mean())
        difference = (simulated - evidence) / np.sqrt(evidence * (1 - evidence)) if 0 < evidence < 1 else np.nan
    elif baseline.shares is not None and EPISODES[column].categories:
        first = EPISODES[column].categories[0]
        figure, evidence = f"share {first}", float(baseline.shares.get(first, 0.0))
        simulated = float(values.mean())
        difference = (simulated - evidence) / np.sqrt(evidence * (1 - evidence)) if 0 < evidence < 1 else np.nan
    elif baseline.shares is not None:
        levels, weights = np.array(list(baseline.shares), dtype=float), np.array(list(baseline.shares.values()))
        evidence, simulated, figure = float(levels @ weights), float(values.mean()), "mean"
        difference = (simulated - evidence) / np.sqrt((levels - evidence) ** 2 @ weights)
    elif baseline.median is not None:
        figure, evidence, simulated = "median", baseline.median, float(values.median())
        difference = np.log(simulated / evidence) / (baseline.log_sd or np.nan)
    else:
        figure, evidence, simulated = "mean", float(baseline.mean or 0.0), float(values.mean())
        difference = (simulated - evidence) / (baseline.sd or np.nan)
    row = {"figure": figure, "evidence": evidence, "simulated": simulated, "difference": float(difference)}
    return {**row, "n": len(values), "tag": baseline.tag}


def _as_numbers(episodes: pd.DataFrame, column: str) -> pd.Series:
    """Return known values as numbers; a share of a category is that of its first value."""
    values = episodes[column].dropna()
    if column == "work_status":
        values = values[values != "retired"]
    declared = EPISODES[column]
    return (values == declared.categories[0]).astype(float) if declared.categories else values.astype(float)


def compute_correlations(episodes: pd.DataFrame) -> pd.DataFrame:
    """Estimate the polychoric correlations of what is known before the procedure, within indications.

    Parameters
    ----------
    episodes : DataFrame
        Episodes.

    Returns
    -------
    DataFrame of shape (k, k)
        From :func:`~paincast.evaluation.simulated.polychoric.compute_polychoric_correlations`; columns that are not
        recorded are left out.
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
    matrix = compute_polychoric_correlations(pd.DataFrame(columns), episodes["indication"])
    kept = matrix.index[np.isfinite(np.diag(matrix))]
    return pd.DataFrame(matrix.loc[kept, kept])


def name_option(technique: pd.Series, approach: pd.Series) -> pd.Series:
    """Return a technique with its approach one name."""
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
    for (indication, option), episodes_of_option in merged.groupby(["indication", "option"], sort=False):
        sides = {bool(side): part["probability"] for side, part in episodes_of_option.groupby("received")}
        if len(sides) < 2 or min(len(part) for part in sides.values()) < FEWEST:
            continue
        shares = {side: np.histogram(part, edges)[0] / len(part) for side, part in sides.items()}
        overlap = float(np.minimum(shares[True], shares[False]).sum())
        for side, share in shares.items():
            identity = {"indication": indication, "option": option, "received": side, "n": len(sides[side])}
            rows += [
                {**identity, "lower": low, "upper": high, "share": part, "overlap": overlap}
                for low, high, part in zip(edges[:-1], edges[1:], share, strict=True)
            ]
    names = ["indication", "option", "received", "lower", "upper", "share", "n", "overlap"]
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
        groups = gaps[(gaps["mean"] < 1) & (gaps["count"] >= FEWEST)]
        if EPISODES[name].role != "technique" and groups["sum"].sum() > 0:
            share = groups["sum"].sum() / groups["count"].sum()
            row = {"column": name, "missing": share, "least": groups["mean"].min(), "most": groups["mean"].max()}
            rows.append({**row, "n": int(groups["count"].sum())})
    frame = pd.DataFrame(rows, columns=["column", "missing", "least", "most", "n"])
    return frame.sort_values("missing", ascending=False, kind="stable", ignore_index=True)
