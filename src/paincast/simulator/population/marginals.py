"""Diagnosis and pain: from normal scores to the columns that a clinic records, by the record's distributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from paincast.errors import SettingsError
from paincast.evidence.figures import Baseline, Record
from paincast.schema import EPISODES
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.population.sites import Float, Truths

Columns = dict[str, NDArray[Any]]
"""Columns of episodes: numbers as float32, yes/no as bool, categories as the place in the contract (int8)."""

GRAIN: Mapping[str, tuple[float, float, float]] = {
    "age_years": (1.0, 18.0, 95.0),
    "bmi": (0.1, 15.0, 60.0),
    "pain_nrs": (1.0, 2.0, 10.0),
    "pain_duration_months": (0.5, 0.5, 600.0),
    "odi": (2.0, 4.0, 96.0),
    "womac": (1.0, 4.0, 96.0),
    "eq5d_index": (0.001, -0.5, 0.92),
    "opioid_mme": (1.0, 1.0, 800.0),
    "analgesic_doses_per_week": (1.0, 0.0, 100.0),
    "catastrophizing_pcs": (1.0, 0.0, 52.0),
    "hads_anxiety": (1.0, 0.0, 21.0),
    "hads_depression": (1.0, 0.0, 21.0),
    "spine_operations": (1.0, 0.0, 8.0),
    "treated_levels": (1.0, 1.0, 8.0),
    "block_relief_percent": (5.0, 0.0, 100.0),
}
"""Step in which a column is recorded, and the lowest and highest value recorded; others are whole numbers in the range
of the contract. EQ-5D ends where a gain of 0.08 can still be recorded."""


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


def name_quantities(columns: Iterable[str]) -> tuple[str, ...]:
    """Name the quantities with a score of their own behind some columns: opioid use and dose are two of them."""
    names: list[str] = []
    held = frozenset(columns)
    for column in EPISODES:
        if column in held:
            names += ["opioid_use", "opioid_dose"] if column == "opioid_mme" else [column]
    return tuple(names)


def make_column(name: str, score: Float, baseline: Baseline) -> NDArray[Any]:
    """Make a column from its score, by its distribution.

    Parameters
    ----------
    name : str
        Column of the contract.
    score : ndarray of shape (n,)
        Standard normal.
    baseline : Baseline
        Its distribution.

    Returns
    -------
    ndarray of shape (n,)
        A non-decreasing function of the score (for a category, in the order of its shares).
    """
    column = EPISODES[name]
    if column.type == "boolean" or (name == "sex" and baseline.share is not None):
        true = is_true(score, baseline)
        return true if column.type == "boolean" else _code(true, "sex", ("male", "female"))
    if baseline.shares is not None:
        return _make_graded(name, score, baseline.shares)
    if baseline.median is not None:
        return record(make_skewed(score, baseline), name)
    return record(np.float32(known(baseline.mean)) + np.float32(known(baseline.sd)) * score, name)


def _make_graded(name: str, score: Float, shares: Mapping[Any, float]) -> NDArray[Any]:
    grade = _cut_grades(tuple(shares.values())).searchsorted(score)
    if EPISODES[name].type == "category":
        return _code(grade, name, tuple(shares))
    return np.array(list(shares), dtype=np.float32)[grade]


@cache
def _cut_grades(shares: tuple[float, ...]) -> Float:
    return np.asarray(ndtri(np.cumsum(shares)[:-1] / np.sum(shares)), dtype=np.float32)


def _code(place: NDArray[Any], name: str, values: Sequence[str]) -> NDArray[np.int8]:
    categories = EPISODES[name].categories
    return np.array([categories.index(value) for value in values], dtype=np.int8)[place.astype(np.intp)]


def is_true(score: Float, baseline: Baseline) -> Truths:
    """Say for whom a yes/no quantity is true."""
    true: Truths = score > _cut_share(known(baseline.share))
    return true


@cache
def _cut_share(share: float) -> np.float32:
    return np.float32(-ndtri(share))


def make_skewed(score: Float, baseline: Baseline) -> Float:
    """Make a lognormal quantity from its score."""
    return np.asarray(np.float32(known(baseline.median)) * np.exp(np.float32(known(baseline.log_sd)) * score))


def record(values: Float, name: str) -> Float:
    """Record values in their step and range."""
    steps_per_unit, low, high = _find_grain(name)
    steps = np.rint(values * steps_per_unit)
    if steps_per_unit != 1.0:
        steps /= steps_per_unit
    return np.asarray(steps.clip(low, high, out=steps))


@cache
def _find_grain(name: str) -> tuple[np.float32, np.float32, np.float32]:
    column = EPISODES[name]
    step, low, high = GRAIN.get(name, (1.0, column.low or 0.0, np.inf if column.high is None else column.high))
    return np.float32(1.0 / step), np.float32(low), np.float32(high)


@cache
def count_decimals(name: str) -> int:
    """Count the decimals in which a column is recorded."""
    step = GRAIN.get(name, (1.0,))[0]
    return 0 if step >= 1 else int(np.ceil(-np.log10(step)))


def make_work_status(score: Float, age: Float, baseline: Baseline, assumptions: Assumptions) -> NDArray[np.int8]:
    """Make the work status: retired from an age on, before it working or not."""
    place = is_true(score, replace(baseline, share=1.0 - known(baseline.share))).astype(np.int8)
    place[age >= assumptions.retirement_age_years] = 2
    return _code(place, "work_status", ("working", "not_working", "retired"))


def known(figure: float | None) -> float:
    """Give a figure that a distribution needs.

    Raises
    ------
    SettingsError
        If it is missing.
    """
    if figure is None:
        raise SettingsError(
            "a figure of a distribution is missing: a mean needs an sd, a median a log_sd", code="PC-SIMULATOR-33"
        )
    return figure
