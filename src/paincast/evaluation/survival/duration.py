"""Performance of predicted durations of relief: prediction error, calibration and concordance under censoring.

Relief is seen at visits, so times are tied: whoever was last seen with relief at a month is known to have it at that
month. Weights are therefore one over the probability of being followed *up to* a time, that time included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import DataError
from paincast.evaluation.survival.curves import check_durations, compute_aalen_johansen, compute_kaplan_meier
from paincast.outcomes.labels import CENSORED, DIED, LOST_RELIEF
from paincast.statistics import compute_clustered_mean

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

COLUMNS = ("metric", "group", "estimate", "lower", "upper", "n", "method")
FOLLOWED = "inverse probability of follow-up; patients as units"
_ROWS_AT_ONCE = 512


def compute_duration_metrics(
    months: FloatArray,
    status: FloatArray,
    survival: FloatArray,
    at: Sequence[float],
    patients: npt.ArrayLike,
    *,
    reference: FloatArray | None = None,
    calibration_months: Sequence[float] = (6.0, 12.0),
    death_competes: bool = False,
    confidence: float = 0.95,
    group: str = "overall",
) -> pd.DataFrame:
    """Compute the metrics of predicted durations of relief.

    ``brier_<month>``, ``integrated_brier``
        Weighted by the inverse probability of follow-up; the limits take these weights as given.
    ``integrated_brier_gain``
        Score of the reference minus that of the predictions, on the same rows: above 0 where they are better.
    ``o_e_ratio_<month>``
        Relief observed at a month (Kaplan-Meier; Aalen-Johansen where death competes) over relief expected.
    ``concordance_uno``, ``concordance_harrell``
        Of the mean predicted probability over the months, losses up to the last month.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it: 0 still held when last seen, 1 lost, 2 died.
    survival : ndarray of shape (n, n_months)
        Predicted probability that relief is not lost by each month: of those alive, or, where death competes, one
        minus the cumulative incidence of losing it.
    at : sequence of float
        Two or more increasing months.
    patients : array-like of shape (n,)
        Patient of each episode, the unit of the limits.
    reference : ndarray of shape (n, n_months), optional
        Prediction to compare with, for example the Kaplan-Meier estimate of the training rows.
    calibration_months : sequence of float
        Months of the ratios, of those in ``at``.
    death_competes : bool
        Whether death keeps relief from being lost; else it ends follow-up.
    confidence : float
        Level of the limits.
    group : str
        Name of the rows.

    Returns
    -------
    DataFrame
        ``metric, group, estimate, lower, upper, n, method``; limits of a concordance are missing.
    """
    terms = compute_brier_terms(months, status, survival, at, death_competes=death_competes)
    rows = [_summarise(f"brier_{month:g}", terms[:, column], patients, confidence) for column, month in enumerate(at)]
    whole = integrate_over_months(terms, at)
    rows.append(_summarise("integrated_brier", whole, patients, confidence))
    if reference is not None:
        other = compute_brier_terms(months, status, reference, at, death_competes=death_competes)
        gain = integrate_over_months(other, at) - whole
        rows.append(_summarise("integrated_brier_gain", gain, patients, confidence))
    for month in calibration_months:
        if month in at:
            expected = float(np.mean(survival[:, list(at).index(month)]))
            rows.append(_compare_relief(months, status, expected, month, death_competes, confidence))
    score = integrate_over_months(survival, at)
    for name, weighted in (("uno", True), ("harrell", False)):
        estimate = compute_survival_concordance(months, status, score, last_month=at[-1] + 1e-9, weighted=weighted)
        rows.append((f"concordance_{name}", estimate, np.nan, np.nan, f"concordance of {name.capitalize()}"))
    table = pd.DataFrame(rows, columns=["metric", "estimate", "lower", "upper", "method"])
    return table.assign(group=group, n=len(months))[list(COLUMNS)]


def _summarise(
    name: str, terms: FloatArray, patients: npt.ArrayLike, confidence: float
) -> tuple[str, float, float, float, str]:
    return name, *compute_clustered_mean(terms, patients, confidence), FOLLOWED


def _compare_relief(
    months: FloatArray, status: FloatArray, expected: float, month: float, death_competes: bool, confidence: float
) -> tuple[str, float, float, float, str]:
    if death_competes:
        seen = 1.0 - compute_aalen_johansen(months, status, [month], level=confidence).iloc[0]
        observed, lower, upper, method = seen["incidence"], seen["upper"], seen["lower"], "Aalen-Johansen"
    else:
        seen = compute_kaplan_meier(months, status, [month], confidence).iloc[0]
        observed, lower, upper, method = seen["survival"], seen["lower"], seen["upper"], "Kaplan-Meier"
    ratio = [float(value) / expected if expected > 0 else np.nan for value in (observed, lower, upper)]
    return f"o_e_ratio_{month:g}", ratio[0], ratio[1], ratio[2], f"observed by {method}"


def compute_follow_up_weights(
    months: FloatArray, status: FloatArray, at: Sequence[float], *, death_competes: bool = False
) -> tuple[FloatArray, BoolArray]:
    """Weight, for each month, those whose state is known by one over the probability of knowing it.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it.
    at : sequence of float
        Months.
    death_competes : bool
        Whether the dead are known not to lose relief any more; else death ends follow-up like loss does.

    Returns
    -------
    weights : ndarray of shape (n, n_months)
        0 where the state at the month is not known; missing at months that nobody reached.
    lost : ndarray of bool, shape (n, n_months)
        Whether relief is known to be lost.

    References
    ----------
    Graf E et al. Stat Med 1999;18:2529-2545.
    doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5
    Schoop R et al. Biom J 2011;53:88-112. doi:10.1002/bimj.201000073 (competing risks)
    """
    months, status = check_durations(months, status)
    ended = status if death_competes else np.where(status == DIED, CENSORED, status)
    at_months = np.asarray(at, dtype=float)
    times, followed = _followed_up_to(months, ended)
    reached_end, reached_month = followed[np.searchsorted(times, months)], _read_left(times, followed, at_months)
    has_ended = (months[:, None] <= at_months) & (ended != CENSORED)[:, None]
    is_followed = ~has_ended & (months[:, None] >= at_months)
    weights = np.where(has_ended, _invert(reached_end)[:, None], np.where(is_followed, _invert(reached_month), 0.0))
    weights[:, at_months > months.max()] = np.nan
    return weights, has_ended & (ended == LOST_RELIEF)[:, None]


def _followed_up_to(months: FloatArray, ended: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distinct times and the probability that follow-up reaches each of them; losses of it come after events."""
    times, position = np.unique(months, return_inverse=True)
    total = np.bincount(position, minlength=len(times)).astype(float)
    events = np.bincount(position, weights=(ended != CENSORED).astype(float), minlength=len(times))
    at_risk = total[::-1].cumsum()[::-1] - events
    stays = 1.0 - np.divide(total - events, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
    return times, np.append(1.0, np.cumprod(stays)[:-1])


def _read_left(times: FloatArray, followed: FloatArray, at_months: FloatArray) -> FloatArray:
    position = np.searchsorted(times, at_months, side="left")
    return np.append(followed, np.nan)[position]


def _invert(probability: FloatArray) -> FloatArray:
    return np.divide(1.0, probability, out=np.zeros_like(probability), where=probability > 0)


def compute_brier_terms(
    months: FloatArray, status: FloatArray, survival: FloatArray, at: Sequence[float], *, death_competes: bool = False
) -> FloatArray:
    """Compute what each episode adds to the Brier score at each month: the column means are the scores.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it.
    survival : ndarray of shape (n, n_months)
        Predicted probability that relief is not lost by each month.
    at : sequence of float
        Months.
    death_competes : bool
        See :func:`compute_follow_up_weights`.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    weights, lost = compute_follow_up_weights(months, status, at, death_competes=death_competes)
    if np.shape(survival) != weights.shape:
        raise DataError(
            f"survival has shape {np.shape(survival)}; {weights.shape} is needed: episodes by months",
            code="PC-EVALUATION-28",
        )
    return np.asarray(weights * (np.asarray(survival, dtype=float) - ~lost) ** 2)


def integrate_over_months(values: FloatArray, at: Sequence[float]) -> FloatArray:
    """Average values of shape (..., n_months) over the months by the trapezoid rule, as for the integrated Brier score.

    Raises
    ------
    DataError
        If there are fewer than two months or they do not increase.
    """
    at_months = np.asarray(at, dtype=float)
    if len(at_months) < 2 or (np.diff(at_months) <= 0).any():
        raise DataError("an average over months needs at least two increasing ones", code="PC-EVALUATION-29")
    return np.asarray(np.trapezoid(values, at_months, axis=-1) / (at_months[-1] - at_months[0]))


def compute_survival_concordance(
    months: FloatArray, status: FloatArray, score: FloatArray, *, last_month: float, weighted: bool = True
) -> float:
    """Estimate the probability that of two episodes the one that loses relief first had the lower score.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it; death ends follow-up.
    score : ndarray of shape (n,)
        Higher where relief is expected to last longer; ties count half.
    last_month : float
        Only losses before it count.
    weighted : bool
        Weights of Uno, under which the estimate does not depend on the censoring; else Harrell's.

    Returns
    -------
    float
        NaN where no pair can be compared.

    References
    ----------
    Uno H et al. Stat Med 2011;30:1105-1117. doi:10.1002/sim.4154
    Harrell FE et al. JAMA 1982;247:2543-2546. doi:10.1001/jama.1982.03320430047030

    Examples
    --------
    >>> import numpy as np
    >>> months, status = np.array([1.0, 3.0, 6.0]), np.array([1.0, 1.0, 0.0])
    >>> compute_survival_concordance(months, status, np.array([0.1, 0.6, 0.4]), last_month=12)
    0.6666666666666666
    """
    months, status = check_durations(months, status)
    lost = status == LOST_RELIEF
    times, followed = _followed_up_to(months, np.where(lost, LOST_RELIEF, CENSORED))
    weight = _invert(followed[np.searchsorted(times, months)] ** 2) if weighted else np.ones(len(months))
    better = comparable = 0.0
    cases = np.flatnonzero(lost & (months < last_month))
    for start in range(0, len(cases), _ROWS_AT_ONCE):
        block = cases[start : start + _ROWS_AT_ONCE, None]
        pairs = (months > months[block]) | ((months == months[block]) & ~lost)
        ahead = np.where(score > score[block], 1.0, np.where(np.abs(score - score[block]) <= 1e-12, 0.5, 0.0))
        better += float((weight[block[:, 0]] * (pairs * ahead).sum(axis=1)).sum())
        comparable += float((weight[block[:, 0]] * pairs.sum(axis=1)).sum())
    return better / comparable if comparable else float("nan")
