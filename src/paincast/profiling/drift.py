"""Drift of a cohort: case mix, response, follow-up and missing values by year of the procedure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paincast.disclosure.rounding import round_digits
from paincast.disclosure.shares import release_counts
from paincast.disclosure.suppression import is_small
from paincast.profiling.linked import NOT_KNOWN, BoolArray, FloatArray, Grouping, LinkedCohort, add_wilson_limits
from paincast.schema import Column, is_model_input

CASE_MIX_COLUMNS = ("variable", "year", "n", "patients", "mean", "difference", "is_notable")
MEAN_DIGITS = 3
NOTABLE = 0.2
"""Standardised difference from all other years from which a shift is notable (Cohen's small effect)."""
NOTABLE_ERRORS = 4.0
"""Standard errors by which it must differ from 0: hundreds of differences are looked at."""


def compute_case_mix(linked: LinkedCohort) -> pd.DataFrame:
    """Compute the mean of each model input by year, and how far it lies from that of all other years.

    Numbers have a mean, yes/no columns the share of yes, and each category of a category column its share.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.

    Returns
    -------
    DataFrame
        ``variable`` (a column, or ``column: category``), ``year, n`` known, ``patients``, ``mean`` and ``difference``
        from all other years in standard deviations; ``is_notable``: at least 0.2 and four standard errors. Variables
        that differ most surely come first. Empty with one year.
    """
    years = linked.years
    if sum(label != NOT_KNOWN for label in years.labels) < 2:
        return pd.DataFrame(columns=list(CASE_MIX_COLUMNS))
    rows = [
        _compare_years(years, values).assign(variable=name)
        for declared in linked.contract.tables["episodes"].values()
        if is_model_input(declared) or declared.name in ("technique", "indication")
        for name, values in _expand(linked.episodes[declared.name], declared).items()
    ]
    varying = [of_variable for of_variable in rows if "year" in of_variable]
    if not varying:
        return pd.DataFrame(columns=list(CASE_MIX_COLUMNS))
    found = pd.concat(varying, ignore_index=True)
    largest = found.groupby("variable")["errors"].transform("max").fillna(0.0)
    order = np.lexsort((np.arange(len(found)), -largest))
    return found.iloc[order][list(CASE_MIX_COLUMNS)].reset_index(drop=True)


def _expand(values: pd.Series, declared: Column) -> dict[str, FloatArray]:
    """Expand a column into numbers: a category column into one for each of its values."""
    if declared.type in ("category", "text"):
        known = values.notna().to_numpy()
        flags = {
            category: np.asarray(values.eq(category).fillna(value=False), bool) for category in declared.categories
        }
        present = [category for category, is_it in flags.items() if is_it.any()]
        # Of two categories the second tells what the first does.
        told = present[:1] if len(present) == len(declared.categories) == 2 else present
        return {f"{declared.name}: {category}": np.where(known, flags[category], np.nan) for category in told}
    numbers = values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    return {declared.name: np.asarray(numbers, dtype=float)}


def _compare_years(years: Grouping, values: FloatArray) -> pd.DataFrame:
    known = np.isfinite(values)
    sd = float(values[known].std()) if known.any() else 0.0
    if sd == 0.0:
        return pd.DataFrame()
    size = len(years.labels)
    n = np.bincount(years.codes[known], minlength=size)
    sums = np.bincount(years.codes[known], weights=values[known], minlength=size)
    patients = years.count(known)["with_patients"]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / n
        elsewhere = (sums.sum() - sums) / (n.sum() - n)
        difference = (mean - elsewhere) / sd
        errors = np.abs(difference) / np.sqrt(1 / n + 1 / (n.sum() - n))
    rows = {"year": pd.Series(years.labels, dtype="str"), "n": n, "patients": patients, "mean": mean}
    is_notable = (np.abs(difference) >= NOTABLE) & (errors >= NOTABLE_ERRORS)
    return pd.DataFrame({**rows, "difference": difference, "errors": errors, "is_notable": is_notable})[n > 0]


def release_case_mix(case_mix: pd.DataFrame, *, real: bool) -> pd.DataFrame:
    """Release means by year: a mean of few patients is hidden, with the next smallest; others are rounded.

    A share of few, or of all but few, is hidden too.
    """
    if not real or case_mix.empty:
        return case_mix.drop(columns="patients")
    share = case_mix["mean"].between(0, 1)
    counted = (case_mix["mean"] * case_mix["n"]).round()
    small_part = share & (is_small(counted) | is_small(case_mix["n"] - counted))
    hidden = is_small(case_mix["patients"]) | small_part
    hidden |= _flag_next_smallest(case_mix, hidden)
    rounded = {
        "mean": case_mix["mean"].map(lambda value: round_digits(value, MEAN_DIGITS)).mask(hidden),
        "difference": case_mix["difference"].round(2).mask(hidden),
        "is_notable": case_mix["is_notable"] & ~hidden,
    }
    return case_mix.assign(n=release_counts(case_mix["n"]).mask(hidden), **rounded).drop(columns="patients")


def _flag_next_smallest(case_mix: pd.DataFrame, hidden: pd.Series) -> pd.Series:
    """Flag the smallest shown year of each variable that hides a single one."""
    alone = hidden.groupby(case_mix["variable"]).transform("sum") == 1
    shown = case_mix[alone & ~hidden].sort_values("n", kind="stable").drop_duplicates("variable")
    return pd.Series(case_mix.index.isin(shown.index), index=case_mix.index)


def compute_drift(linked: LinkedCohort, response: FloatArray, followed: BoolArray) -> pd.DataFrame:
    """Compute response and follow-up by year.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    response : ndarray of float, shape (n,)
        Pain response at the month of the technique, NaN where it is unknown.
    followed : ndarray of bool, shape (n,)
        Episodes with pain at follow-up.

    Returns
    -------
    DataFrame
        ``question`` (response, followed up), ``year, n, count, share, lower, upper`` (Wilson) and the patients of both
        parts.
    """
    known = np.isfinite(response)
    parts = {"pain response": (response == 1, known), "pain at follow-up": (followed, np.ones(linked.n, dtype=bool))}
    counted = [linked.years.count(flags, among).assign(question=question) for question, (flags, among) in parts.items()]
    return add_wilson_limits(pd.concat(counted, ignore_index=True))
