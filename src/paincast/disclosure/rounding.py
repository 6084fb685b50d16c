"""Round counts and measures: the full digits of a ratio, mean or sum could disclose the underlying counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.schema import MINIMUM_CELL

DIGITS = 4
"""Significant digits of measures on real patients."""

FEW_DIGITS = 2
"""Decimals of measures on a group whose counts are hidden."""

FEW = f"fewer than {MINIMUM_CELL}"
PATIENTS = re.compile(r"\b(?<!than )(?<!about )(\d+) patients\b")
MOVED = re.compile(rf"\b[1-{MINIMUM_CELL - 1}] of(?= \d+ probabilities)")


def round_count(n: float) -> int:
    """Round a count to the nearest multiple of five, so that differences between counts do not disclose small counts.

    Five consecutive integers round to the same value, so the difference from an exact count does not reveal whether it
    is 0.

    Examples
    --------
    >>> [round_count(n) for n in (0, 2, 3, 47, 48)]
    [0, 0, 5, 45, 50]
    """
    return int(round(n / MINIMUM_CELL) * MINIMUM_CELL)


def round_share(share: float, n: int) -> float:
    """Round a share of n so that both parts may be released: 0, or a multiple of five.

    Examples
    --------
    >>> round_share(1 / 50, 50), round_share(48 / 50, 50), round_share(0.0, 50)
    (0.1, 0.9, 0.0)
    """
    part = min(share, 1.0 - share)
    if part <= 0.0 or n < 2 * MINIMUM_CELL:
        return round(share, 1)
    rounded = max(MINIMUM_CELL, round_count(part * n)) / n
    return rounded if share <= 0.5 else 1.0 - rounded


def round_shares(shares: Sequence[float], n: int) -> tuple[float, ...]:
    """Round the shares of all parts of n, the largest first, to multiples of five; the first gets the remainder.

    Examples
    --------
    >>> round_shares([0.75, 0.23, 0.02], 100)
    (0.7, 0.25, 0.05)
    >>> round_shares([0.4, 0.3, 0.3], 10)
    (0.3333333333333333, 0.3333333333333333, 0.3333333333333333)
    """
    counts = [max(MINIMUM_CELL, round_count(share * n)) for share in shares[1:]]
    first = n - sum(counts)
    if first < MINIMUM_CELL:
        return (1.0 / len(shares),) * len(shares)
    return tuple(count / n for count in (first, *counts))


def round_means(means: npt.NDArray[np.float64], flags: Sequence[bool], n: int) -> npt.NDArray[np.float64]:
    """Round the means of encoded columns; the mean of a flag is a share of n.

    Examples
    --------
    >>> round_means(np.array([0.02, 0.12345]), [True, False], 50).tolist()
    [0.1, 0.12]
    """
    pairs = zip(means, flags, strict=True)
    return np.array(
        [round_share(mean, n) if flag else round(float(mean), FEW_DIGITS) for mean, flag in pairs], dtype=float
    )


def round_method(method: str) -> str:
    """Round the counts of patients and probabilities in the description of a method.

    Examples
    --------
    >>> round_method("bootstrap of 209 patients, 500 resamples; 3 of 211 probabilities moved")
    'bootstrap of about 210 patients, 500 resamples; fewer than 5 of 211 probabilities moved'
    """
    method = PATIENTS.sub(lambda found: f"about {round_count(int(found[1]))} patients", method)
    return MOVED.sub(f"{FEW} of", method)


def round_measured(table: pd.DataFrame) -> pd.DataFrame:
    """Round measures to a few digits; whole numbers, such as counts and months, are unchanged.

    Counts of patients in a column ``method`` are rounded to five, and a column ``n_patients`` is hidden if it differs
    from the number of episodes by fewer than five.

    Parameters
    ----------
    table : DataFrame
        Metrics, or any other summary.

    Examples
    --------
    >>> round_measured(pd.DataFrame({"estimate": [0.70198019, 12345.678], "n": [111.0, 12345.0]})).to_numpy().tolist()
    [[0.702, 111.0], [12350.0, 12345.0]]
    >>> round_measured(pd.DataFrame({"n": [60.0, 60.0], "n_patients": [58.0, 60.0]}))["n_patients"].tolist()
    [nan, 60.0]
    """
    numbers = table.select_dtypes("float").columns
    if {"n", "n_patients"} <= set(table):
        few = (table["n"] - table["n_patients"]).between(1, MINIMUM_CELL - 1)
        table = table.assign(n_patients=table["n_patients"].mask(few.fillna(value=False).astype(bool)))
    words = {"method": table["method"].map(round_method, na_action="ignore")} if "method" in table else {}
    return table.assign(**{name: table[name].map(round_digits) for name in numbers}, **words)


def round_digits(value: Any, digits: int = DIGITS) -> float:
    """Round to significant digits; a whole number is unchanged.

    Examples
    --------
    >>> round_digits(0.0123456), round_digits(0.0123456, 2), round_digits(12345.0)
    (0.01235, 0.012, 12345.0)
    """
    if not np.isfinite(value) or value == np.round(value):
        return float(value)
    return float(f"{value:.{digits}g}")


def round_suppressed(by_group: pd.DataFrame) -> pd.DataFrame:
    """Round the measures of groups with a hidden count to few decimals, and withhold their standard errors.

    The standard error of a ratio of events would disclose their approximate number.

    Parameters
    ----------
    by_group : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group`.

    Examples
    --------
    >>> rows = pd.DataFrame({"n": [26.0, 60.0], "n_events": [9.0, np.nan], "estimate": 0.43333, "error": 0.2})
    >>> round_suppressed(rows)[["estimate", "error"]].to_numpy().tolist()
    [[0.43333, 0.2], [0.43, nan]]
    """
    numbers = by_group.select_dtypes("float64").columns
    hidden = by_group["n"].isna() | by_group["n_events"].isna()
    blurred = by_group.assign(
        **{name: by_group[name].mask(hidden, by_group[name].round(FEW_DIGITS)) for name in numbers}
    )
    return blurred.assign(error=blurred["error"].mask(hidden))
