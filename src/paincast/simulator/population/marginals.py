"""Transform normal scores into baseline columns with the distributions of the evidence records."""

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
"""Columns of episodes: numbers as float32, yes/no as bool, categories as their index in the contract (int8)."""

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
"""Recording step of a column, and its lowest and highest recorded value; other columns are integers in the range of the
contract. The upper limit of EQ-5D allows for a recorded gain of 0.08."""


def merge_baselines(indication: str, records: Iterable[Record], assumptions: Assumptions) -> dict[str, Baseline]:
    """Combine the baseline distributions of the records of an indication.

    The parameters are averaged over the records of the indication itself, because its patients are a single population
    from which a technique is chosen. A column that these lack is taken from records that also cover the indication,
    else from the assumptions. Columns that a record of the indication declares as not recorded are left out.
    """
    covering = [record for record in records if indication in record.indications]
    specific = [record for record in covering if record.indication == indication] or covering
    merged = dict(assumptions.baseline)
    for group in (covering, specific):
        for column in dict.fromkeys(column for record in group for column in record.baseline):
            merged[column] = _average([record.baseline[column] for record in group if column in record.baseline])
    absent = {column for record in specific for column in record.not_recorded}
    return {column: baseline for column, baseline in merged.items() if column not in absent}


def _average(baselines: list[Baseline]) -> Baseline:
    figures: dict[str, Any] = {}
    for name in ("mean", "sd", "median", "log_sd", "share"):
        known = [value for baseline in baselines if (value := getattr(baseline, name)) is not None]
        figures[name] = float(np.mean(known)) if known else None
    return replace(baselines[0], **figures)


def name_quantities(columns: Iterable[str]) -> tuple[str, ...]:
    """List the latent quantities of some columns; ``opioid_mme`` has two, opioid use and opioid dose."""
    names: list[str] = []
    requested = frozenset(columns)
    for column in EPISODES:
        if column in requested:
            names += ["opioid_use", "opioid_dose"] if column == "opioid_mme" else [column]
    return tuple(names)


def make_column(name: str, score: Float, baseline: Baseline) -> NDArray[Any]:
    """Transform a score into a column with a given distribution.

    Parameters
    ----------
    name : str
        Column of the contract.
    score : ndarray of shape (n,)
        Standard normal.
    baseline : Baseline
        Distribution of the column.

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
    """Flag the episodes for which a yes/no quantity is true."""
    true: Truths = score > _cut_share(known(baseline.share))
    return true


@cache
def _cut_share(share: float) -> np.float32:
    return np.float32(-ndtri(share))


def make_skewed(score: Float, baseline: Baseline) -> Float:
    """Transform a score into a lognormal quantity."""
    return np.asarray(np.float32(known(baseline.median)) * np.exp(np.float32(known(baseline.log_sd)) * score))


def record(values: Float, name: str) -> Float:
    """Round values to their recording step and clip them to their range."""
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
    """Make the work status: retired above the retirement age, otherwise working or not working."""
    status = is_true(score, replace(baseline, share=1.0 - known(baseline.share))).astype(np.int8)
    status[age >= assumptions.retirement_age_years] = 2
    return _code(status, "work_status", ("working", "not_working", "retired"))


def known(figure: float | None) -> float:
    """Return a parameter that a distribution needs.

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
