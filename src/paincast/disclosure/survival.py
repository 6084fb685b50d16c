"""How long something lasts: with those at risk, the steps of a survival curve count who is lost at each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.rounding import round_count
from paincast.disclosure.suppression import is_small, withhold

FloatArray = npt.NDArray[np.float64]
WITHHELD = "not shown: few patients are lost or leave between this month and others that are told"


def choose_months(months: FloatArray, status: FloatArray, at: list[float], *, event: float) -> list[float]:
    """Choose the months at which a survival curve may be told.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time of each patient and what ended it.
    at : list of float
        Months that are wanted, ascending.
    event : float
        Status of those with the event; the others left or were last seen then.

    Returns
    -------
    list of float
        Months between which none or at least five have the event, none or at least five leave, and after which none
        or at least five are left.

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
    """Leave out months that may not be told, and round those at risk to five.

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
    """Hide observed over expected at months that may not be told, and round the number of rows to five.

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
