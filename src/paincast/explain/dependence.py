"""Compute how the contribution of a variable depends on its value, in groups of patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.disclosure.groups import MISSING, IntArray, Labels, choose_released_groups, is_ordered, name_groups
from paincast.explain.contributions import Explanation
from paincast.explain.resampling import Resamples
from paincast.schema import MINIMUM_CELL

FloatArray = npt.NDArray[np.float64]

COLUMNS = ("variable", "group", "value", "contribution", "lower", "upper", "n")
MEANS = ("contribution", "lower", "upper")
MOST_GROUPS = 10
ROWS_PER_GROUP = 20
ROUNDED_TO = 5
"""Counts of real patients are rounded to a multiple of this, so that differences disclose no small counts."""


def list_dependence(
    explanation: Explanation,
    resamples: Resamples,
    variables: Sequence[str],
    *,
    simulated: bool,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute the dependence of several variables in one table; see :func:`compute_dependence`."""
    tables = [
        compute_dependence(explanation, resamples, name, simulated=simulated, confidence=confidence)
        for name in variables
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def compute_dependence(
    explanation: Explanation,
    resamples: Resamples,
    variable: str,
    *,
    simulated: bool,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute the mean contribution of a variable in groups of patients with similar values.

    Numbers are cut at quantiles into at most ten groups, with equal values in the same group; each category is a group,
    and so are yes, no and missing. A group has at least five patients; smaller groups are left out, and the next larger
    group too if they could otherwise be worked out. For real patients, the limits and spread of a group are not given,
    its size is rounded to five, and contributions are rounded to two digits: the contributions of a category are the
    same for all its patients and add up to about zero over the cohort, so more digits would disclose group sizes.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the cohort by the served model.
    resamples : Resamples
        From :func:`paincast.explain.resampling.resample_explanations` of the same cohort.
    variable : str
        The variable.
    simulated : bool
        Whether all patients are simulated.
    confidence : float
        Coverage of the interval of the mean, over patients and refits.

    Returns
    -------
    DataFrame
        ``variable, group, value, contribution, lower, upper, n``. ``group`` is ``number``, ``yes``, ``no``,
        ``missing`` or the category; ``value`` is the mean of a number. An interval is widened, if needed, to include
        the mean of the served model; it is missing if no row of the group was resampled.
    """
    values = explanation.values[variable]
    column = list(explanation.contributions.columns).index(variable)
    contribution = explanation.contributions[variable].to_numpy(dtype=float)
    patients = explanation.patient_codes
    labels = _label(values)
    numbers = values.astype(float).to_numpy(dtype=float, na_value=np.nan) if _is_number(values) else None
    rows: list[dict[str, Any]] = []
    shown = choose_released_groups(labels, patients, smallest=MINIMUM_CELL)
    for label in sorted(shown, key=lambda name: (name == MISSING, name)):
        member = labels == label
        mean = float(contribution[member].mean())
        lower, upper = _find_interval(member[resamples.rows], resamples, column, confidence)
        numeric = numbers is not None and label != MISSING
        rows.append(
            {
                "variable": variable,
                "group": "number" if numeric else label,
                "value": float(f"{numbers[member].mean():.4g}") if numeric and numbers is not None else np.nan,
                "contribution": mean,
                "lower": min(lower, mean) if np.isfinite(lower) else np.nan,
                "upper": max(upper, mean) if np.isfinite(upper) else np.nan,
                "n": _count(member, patients, simulated),
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if not simulated:
        table[list(MEANS)] = table[list(MEANS)].map(lambda mean: float(f"{mean:.2g}"))
    return table


def _is_number(values: pd.Series) -> bool:
    return is_ordered(values) and not pd.api.types.is_bool_dtype(values)


def _label(values: pd.Series) -> Labels:
    if pd.api.types.is_bool_dtype(values):
        labels = values.astype("boolean").map({True: "yes", False: "no"}).astype("str")
        return np.asarray(labels.fillna(MISSING).to_numpy(dtype=object))
    groups = int(np.clip(values.notna().sum() // ROWS_PER_GROUP, 1, MOST_GROUPS))
    return name_groups(values, groups=groups)


def _find_interval(
    member: npt.NDArray[np.bool_], resamples: Resamples, place: int, confidence: float
) -> tuple[float, float]:
    total = resamples.weights[:, member].sum(axis=1)
    drawn = resamples.sum(lambda held: (held[:, place] * member)[:, None])[:, 0]
    means = drawn[total > 0] / total[total > 0]
    if not len(means):
        return np.nan, np.nan
    lower, upper = np.quantile(means, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return float(lower), float(upper)


def _count(member: npt.NDArray[np.bool_], patients: IntArray, simulated: bool) -> int:
    n = len(np.unique(patients[member]))
    return n if simulated else int(round(n / ROUNDED_TO) * ROUNDED_TO)
