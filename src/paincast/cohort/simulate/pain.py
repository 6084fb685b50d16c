"""Diagnosis and pain: from latent scores to the columns that a clinic records, by the record's distributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.sites import FloatArray
from paincast.evidence.figures import Baseline, Record
from paincast.schema import EPISODES

Columns = dict[str, NDArray[Any]]

GRAIN: Mapping[str, tuple[float, float, float]] = {
    "age_years": (1.0, 18.0, 95.0),
    "bmi": (0.1, 15.0, 60.0),
    "pain_nrs": (1.0, 2.0, 10.0),
    "pain_duration_months": (0.5, 0.5, 600.0),
    "odi": (2.0, 4.0, 96.0),
    "eq5d_index": (0.001, -0.5, 1.0),
    "opioid_mme": (1.0, 1.0, 800.0),
    "catastrophizing_pcs": (1.0, 0.0, 52.0),
    "block_relief_percent": (5.0, 0.0, 100.0),
}
"""Step in which a column is recorded, and the lowest and highest value recorded."""

_OWN_RULE = ("sex", "work_status", "opioid_mme")


def merge_baselines(indication: str, records: Iterable[Record], assumptions: Assumptions) -> dict[str, Baseline]:
    """Give one distribution per column for the patients of an indication.

    Records of the indication itself are averaged figure by figure, because its patients are one population from which a
    technique is chosen; a column that they lack is taken from records that only cover the indication, then from the
    assumptions. Columns that a record of the indication declares as not recorded are left out.
    """
    covering = [record for record in records if indication in record.indications]
    own = [record for record in covering if record.indication == indication] or covering
    merged = dict(assumptions.baseline)
    for group in (covering, own):
        for column in dict.fromkeys(column for record in group for column in record.baseline):
            merged[column] = _average([record.baseline[column] for record in group if column in record.baseline])
    absent = {column for record in own for column in record.not_recorded}
    return {column: baseline for column, baseline in merged.items() if column not in absent}


def _average(baselines: list[Baseline]) -> Baseline:
    figures: dict[str, Any] = {}
    for name in ("mean", "sd", "median", "log_sd", "share"):
        known = [value for baseline in baselines if (value := getattr(baseline, name)) is not None]
        figures[name] = float(np.mean(known)) if known else None
    return replace(baselines[0], **figures)


def make_columns(
    scores: Mapping[str, FloatArray],
    baselines: Mapping[str, Baseline],
    assumptions: Assumptions,
    years_from_middle: FloatArray,
) -> Columns:
    """Make the columns of an episode from its latent scores.

    Parameters
    ----------
    scores : mapping of str to ndarray of shape (n,)
        Standard normal score behind each quantity.
    baselines : mapping of str to Baseline
        Distribution of each column.
    assumptions : Assumptions
        Retirement age and drift.
    years_from_middle : ndarray of shape (n,)
        Calendar year, counted from the middle of the period.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        Numbers as float, yes/no columns as bool, categories as text.
    """
    columns: Columns = {
        name: _make_column(name, scores[name], baseline)
        for name, baseline in baselines.items()
        if name not in _OWN_RULE
    }
    columns["sex"] = np.where(_is_true(scores["sex"], baselines["sex"]), "female", "male")
    columns["work_status"] = _make_work_status(scores["work_status"], columns["age_years"], baselines, assumptions)
    opioid_use = scores["opioid_use"] + assumptions.opioid_drift_per_year * years_from_middle
    dose = _record(_make_skewed(scores["opioid_dose"], baselines["opioid_mme"]), "opioid_mme")
    columns["opioid_mme"] = np.where(_is_true(opioid_use, baselines["opioid_mme"]), dose, 0.0)
    for name in ("active_infection", "pregnant"):
        columns[name] = np.zeros(len(dose), dtype=bool)
    return columns


def _make_column(name: str, score: FloatArray, baseline: Baseline) -> NDArray[Any]:
    if EPISODES[name].type == "boolean":
        return _is_true(score, baseline)
    if baseline.shares is not None:
        edges = ndtri(np.cumsum(list(baseline.shares.values()))[:-1])
        return np.array(list(baseline.shares), dtype=float)[np.searchsorted(edges, score)]
    if baseline.median is not None:
        return _record(_make_skewed(score, baseline), name)
    return _record(_known(baseline.mean) + _known(baseline.sd) * score, name)


def _is_true(score: FloatArray, baseline: Baseline) -> NDArray[np.bool_]:
    true: NDArray[np.bool_] = score > -ndtri(_known(baseline.share))
    return true


def _make_skewed(score: FloatArray, baseline: Baseline) -> FloatArray:
    skewed: FloatArray = _known(baseline.median) * np.exp(_known(baseline.log_sd) * score)
    return skewed


def _record(values: FloatArray, name: str) -> FloatArray:
    step, low, high = GRAIN[name]
    recorded: FloatArray = np.clip(np.round(np.round(values / step) * step, 3), low, high)
    return recorded


def _make_work_status(
    score: FloatArray, age: FloatArray, baselines: Mapping[str, Baseline], assumptions: Assumptions
) -> NDArray[np.str_]:
    out_of_work = ndtr(score) > _known(baselines["work_status"].share)
    active = np.where(out_of_work, "not_working", "working")
    return np.where(age >= assumptions.retirement_age_years, "retired", active)


def _known(figure: float | None) -> float:
    if figure is None:
        raise ValueError("a figure of this distribution is missing from the evidence record")
    return figure
