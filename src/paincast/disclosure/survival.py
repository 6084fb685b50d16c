"""Hide survival results by month: the steps of a curve and the numbers at risk disclose counts of events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.rounding import round_count
from paincast.disclosure.suppression import is_small, withhold

FloatArray = npt.NDArray[np.float64]
WITHHELD = "not shown: few patients are lost or leave between this month and others that are shown"


def choose_months(months: FloatArray, status: FloatArray, at: list[float], *, event: float) -> list[float]:
    """Choose the months at which a survival curve may be released.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time of each patient and its status.
    at : list of float
        Requested months, ascending.
    event : float
        Status of patients with the event; all others are censored or have a competing event.

    Returns
    -------
    list of float
        Months between which 0 or at least five patients have the event and 0 or at least five leave; the same holds
        after the last month.

    Examples
    --------
    >>> months, status = np.array([1.0] * 8 + [3.0] * 2 + [6.0] * 12), np.array([1.0] * 10 + [0.0] * 12)
    >>> choose_months(months, status, [1.0, 3.0, 6.0], event=1.0)
    [3.0, 6.0]
    """
    happened = status == event
    chosen, last = [], -np.inf
    for month in at:
        within, after = (months > last) & (months <= month), months > month
        cells = [within & happened, within & ~happened, after & happened, after & ~happened]
        if not any(is_small(int(cell.sum())) for cell in cells):
            chosen.append(month)
            last = month
    return chosen


def suppress_months(course: pd.DataFrame, shown: list[float]) -> pd.DataFrame:
    """Leave out months that may not be released, and round the number at risk to five.

    Parameters
    ----------
    course : DataFrame
        From :func:`paincast.evaluation.survival.curves.compute_kaplan_meier`.
    shown : list of float
        From :func:`choose_months`.
    """
    kept = course[course["month"].isin(shown)].reset_index(drop=True)
    return kept.assign(at_risk=[round_count(n) for n in kept["at_risk"]])


def suppress_ratios(metrics: pd.DataFrame, shown: list[float]) -> pd.DataFrame:
    """Hide observed/expected ratios at months that may not be released, and round the number of rows to five.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.survival.duration.compute_duration_metrics`.
    shown : list of float
        From :func:`choose_months`.
    """
    month = pd.to_numeric(metrics["metric"].str.extract(r"^o_e_ratio_([\d.]+)$", expand=False))
    hidden = month.notna() & ~month.isin(shown)
    withheld = withhold(metrics, hidden, WITHHELD)
    return withheld.assign(n=[round_count(n) for n in metrics["n"]], method=withheld["method"] + "; n rounded to five")
