"""Prediction instability: how far a patient's probability moves when the model is fitted to other patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from paincast.errors import DataError, SettingsError
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.predictions import FloatArray, IntArray, check_patients
from paincast.evaluation.resampling import check_confidence, check_resamples, describe_estimate
from paincast.schema import MINIMUM_CELL

QUANTILES = (0.05, 0.25, 0.75, 0.95)
"""Quantiles over patients of the mean absolute prediction error, reported beside mean and median."""

MINIMUM_REFITS = 2

BIN_COLUMNS = {
    "bin": "int64",
    "probability": "float64",
    "refitted": "float64",
    "lower": "float64",
    "upper": "float64",
    "instability": "float64",
    "n": "int64",
    "n_patients": "int64",
    "n_refits": "int64",
}
"""Columns of instability by served probability and their types."""


def compute_instability(
    probability: Any,
    refits: Any,
    *,
    patients: Iterable[Any] | None = None,
    thresholds: Sequence[float] = (),
    rng: np.random.Generator,
    resamples: int = 200,
    confidence: float = 0.95,
    group: str = "overall",
) -> pd.DataFrame:
    """Summarize the instability of individual predictions over refits of the model [1]_.

    A patient's instability is the mean absolute prediction error of Riley and Collins: the mean, over refits, of the
    distance between the refit's probability and the served one. It measures how much a prediction depends on the choice
    of training patients, not how far it is from the truth: a model that gives everybody one number is stable. It covers
    those steps of model building that the refits repeat, and is as Riley and Collins define it only when they repeat
    all.

    ``classification_instability`` is the mean over patients of the share of refits that put the patient on the other
    side of a threshold than the served model does; a probability equal to the threshold counts as above.

    Intervals of means resample patients and refits at once (pigeonhole bootstrap [2]_), so that few refits widen them.
    Those of quantiles resample patients and hold for these refits: with fewer refits the errors of patients, and so
    their quantiles, lie further apart.

    Parameters
    ----------
    probability : array-like of shape (n,)
        Probabilities of the served model, from 0 to 1.
    refits : array-like of shape (n_refits, n)
        Probabilities of the refits for the same rows; at least two refits.
    patients : array-like of shape (n,), optional
        Who each row belongs to; by default each row is a patient.
    thresholds : sequence of float
        Probabilities at which a decision would turn, between 0 and 1.
    rng : Generator
        Source of the resamples.
    resamples : int
        Number of bootstrap resamples, at least 50.
    confidence : float
        Coverage of the intervals, from 0.5 to 0.999.
    group : str
        Label of these rows.

    Returns
    -------
    DataFrame
        Columns :data:`paincast.evaluation.performance.metrics.METRIC_COLUMNS`; ``metric`` is ``instability_mean``,
        ``instability_median``, ``instability_q05`` and so on (quantiles over rows, in probability), and
        ``classification_instability_at_0.5`` for a threshold of 0.5. With fewer than 5 patients the quantiles are NaN:
        they would be the values of persons.

    Raises
    ------
    DataError
        If shapes differ, a value is missing or not allowed, or there are fewer than two refits.
    SettingsError
        If a setting is not allowed.

    References
    ----------
    .. [1] Riley RD, Collins GS. Stability of clinical prediction models developed using statistical or machine learning
       methods. Biom J 2023;65:2200302. doi:10.1002/bimj.202200302
    .. [2] Owen AB. The pigeonhole bootstrap. Ann Appl Stat 2007;1:386-411. doi:10.1214/07-AOAS122

    Examples
    --------
    >>> served, refits = [0.2, 0.5, 0.4, 0.6, 0.7], [[0.3, 0.5, 0.4, 0.5, 0.7], [0.1, 0.6, 0.4, 0.4, 0.7]]
    >>> rows = compute_instability(served, refits, thresholds=[0.55], rng=np.random.default_rng(1))
    >>> found = rows.set_index("metric")["estimate"].round(3)
    >>> found[["instability_mean", "classification_instability_at_0.55"]].tolist()
    [0.06, 0.3]
    """
    check_resamples(resamples)
    check_confidence(confidence)
    served, refitted = _check_predictions(probability, refits)
    for threshold in thresholds:
        if not 0.0 < threshold < 1.0:
            raise SettingsError(
                f"threshold={threshold:g} is out of range; allowed: between 0 and 1", code="PC-EVALUATION-33"
            )
    codes = check_patients(patients, n=len(served))
    draws = list(_draw(codes, len(refitted), resamples, rng))
    table = [
        {"metric": metric, "group": group, "n": len(served), **describe(distances, draws, confidence)}
        for metric, distances, describe in _list_metrics(served, refitted, thresholds, int(codes.max()) + 1)
    ]
    return pd.DataFrame(table, columns=list(METRIC_COLUMNS))


def compute_effective_df(log_odds: FloatArray, refits: FloatArray) -> float:
    """Compute the effective degrees of freedom of a model from its refits.

    Sum over the patients of p (1 - p) times the mean squared distance of the refits from the served log odds. For
    maximum likelihood this is the number of coefficients, for a penalised fit the trace of its hat matrix, for draws of
    a posterior the effective number of parameters [1]_. What the refits do not repeat is not counted.

    Parameters
    ----------
    log_odds : ndarray of shape (n,)
        Served log odds of the patients it was fitted to.
    refits : ndarray of shape (n_refits, n)
        Log odds of the refits.

    Returns
    -------
    float

    References
    ----------
    .. [1] Spiegelhalter DJ, Best NG, Carlin BP, van der Linde A. Bayesian measures of model complexity and fit. J R
       Stat Soc B 2002;64:583-639. doi:10.1111/1467-9868.00353

    Examples
    --------
    >>> compute_effective_df(np.zeros(4), np.array([[1.0, 1.0, 1.0, 1.0], [-1.0, -1.0, -1.0, -1.0]]))
    1.0
    """
    probability = expit(log_odds)
    return float((probability * (1.0 - probability) * ((refits - log_odds) ** 2).mean(axis=0)).sum())


def compute_instability_by_row(probability: Any, refits: Any, *, coverage: float = 0.95) -> pd.DataFrame:
    """Return what a prediction instability plot shows: each row's served probability and the spread of its refits.

    Parameters
    ----------
    probability : array-like of shape (n,)
        Probabilities of the served model.
    refits : array-like of shape (n_refits, n)
        Probabilities of the refits.
    coverage : float
        Share of the refits between ``lower`` and ``upper``, from 0.5 to 0.999.

    Returns
    -------
    DataFrame of shape (n, 4)
        ``probability``, ``lower``, ``upper`` and ``instability``, in the order of the rows.

    Raises
    ------
    DataError, SettingsError
        As for :func:`compute_instability`.
    """
    check_confidence(coverage)
    served, refitted = _check_predictions(probability, refits)
    lower, upper = np.quantile(refitted, [0.5 - coverage / 2, 0.5 + coverage / 2], axis=0)
    return pd.DataFrame(
        {
            "probability": served,
            "lower": lower,
            "upper": upper,
            "instability": np.abs(refitted - served).mean(axis=0),
        }
    )


def compute_instability_by_bin(
    probability: Any,
    refits: Any,
    *,
    patients: Iterable[Any] | None = None,
    bins: int = 20,
    coverage: float = 0.95,
) -> pd.DataFrame:
    """Average what a prediction instability plot shows over groups of similar served probability.

    No row is shown: a group holds at least 5 patients. Equal probabilities stay in one group.

    Parameters
    ----------
    probability : array-like of shape (n,)
        Probabilities of the served model.
    refits : array-like of shape (n_refits, n)
        Probabilities of the refits.
    patients : array-like of shape (n,), optional
        Who each row belongs to; by default each row is a patient.
    bins : int
        Largest number of groups.
    coverage : float
        Share of the refits between ``lower`` and ``upper``, from 0.5 to 0.999.

    Returns
    -------
    DataFrame
        ``bin`` (from 1, ascending); means over its rows of the served ``probability``, of the mean of the refits
        (``refitted``), of the limits between which a row's refits lie (``lower``, ``upper``) and of ``instability``;
        rows ``n``, ``n_patients`` and ``n_refits``. Empty with fewer than 5 patients.

    Raises
    ------
    DataError, SettingsError
        As for :func:`compute_instability`.

    Examples
    --------
    >>> served = np.repeat([0.2, 0.6], 5)
    >>> found = compute_instability_by_bin(served, [served - 0.1, served + 0.1])
    >>> found[["probability", "refitted", "instability", "n"]].round(3).to_numpy().tolist()
    [[0.2, 0.2, 0.1, 5.0], [0.6, 0.6, 0.1, 5.0]]
    """
    if bins < 1:
        raise SettingsError(f"bins={bins} is out of range; allowed: 1 or more", code="PC-EVALUATION-34")
    rows = compute_instability_by_row(probability, refits, coverage=coverage)
    rows["refitted"] = np.asarray(refits, dtype=np.float64).mean(axis=0)
    rows["patient"] = check_patients(patients, n=len(rows))
    if rows["patient"].nunique() < MINIMUM_CELL:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in BIN_COLUMNS.items()})
    rows = rows.sort_values("probability", kind="stable", ignore_index=True)
    rows["bin"] = _find_bins(rows["probability"].to_numpy(float), rows["patient"].to_numpy(), bins)
    grouped = rows.groupby("bin")
    means = grouped[["probability", "refitted", "lower", "upper", "instability"]].mean()
    counts = pd.DataFrame({"n": grouped.size(), "n_patients": grouped["patient"].nunique()})
    return means.join(counts).assign(n_refits=len(refits)).reset_index()[list(BIN_COLUMNS)].astype(BIN_COLUMNS)


def _find_bins(served: FloatArray, patient: IntArray, bins: int) -> IntArray:
    """Return each of ascending rows its group, from 1; the last joins the one before when its patients are too few."""
    starts, patients_in_bin = [0], set[int]()
    for row, person in enumerate(patient):
        full = row - starts[-1] >= len(served) / bins and len(patients_in_bin) >= MINIMUM_CELL
        if full and served[row] > served[row - 1]:
            starts.append(row)
            patients_in_bin = set()
        patients_in_bin.add(int(person))
    if len(patients_in_bin) < MINIMUM_CELL:
        starts.pop()
    return np.searchsorted(starts, np.arange(len(served)), side="right").astype(np.int64)


Draws = list[tuple[FloatArray, FloatArray]]
Describe = Callable[[FloatArray, Draws, float], dict[str, Any]]


def _list_metrics(
    served: FloatArray, refitted: FloatArray, thresholds: Sequence[float], n_patients: int
) -> Iterator[tuple[str, FloatArray, Describe]]:
    """Return each metric with the distances it rests on, shape (n_refits, n), and how they are described."""
    errors = np.abs(refitted - served)
    yield "instability_mean", errors, partial(_describe_mean, n_patients)
    yield "instability_median", errors, partial(_describe_quantile, n_patients, 0.5)
    for share in QUANTILES:
        yield f"instability_q{round(100 * share):02d}", errors, partial(_describe_quantile, n_patients, share)
    for threshold in thresholds:
        turned = ((refitted >= threshold) != (served >= threshold)).astype(np.float64)
        yield f"classification_instability_at_{threshold:g}", turned, partial(_describe_mean, n_patients)


def _describe_mean(n_patients: int, distances: FloatArray, draws: Draws, confidence: float) -> dict[str, Any]:
    resampled = [float(refits @ distances @ rows / rows.sum()) for refits, rows in draws]
    manner = f"pigeonhole bootstrap of {n_patients} patients and {len(distances)} refits"
    return _with_interval(float(distances.mean()), resampled, manner, confidence)


def _describe_quantile(
    n_patients: int, share: float, distances: FloatArray, draws: Draws, confidence: float
) -> dict[str, Any]:
    if n_patients < MINIMUM_CELL:
        method = f"not shown: fewer than {MINIMUM_CELL} patients"
        return {"estimate": np.nan, "lower": np.nan, "upper": np.nan, "method": method}
    errors = distances.mean(axis=0)
    resampled = [float(np.quantile(errors, share, weights=rows, method="inverted_cdf")) for _, rows in draws]
    manner = f"percentile bootstrap of {n_patients} patients, given {len(distances)} refits"
    return _with_interval(float(np.quantile(errors, share, method="inverted_cdf")), resampled, manner, confidence)


def _with_interval(estimate: float, resampled: list[float], manner: str, confidence: float) -> dict[str, Any]:
    method = f"{manner}, {len(resampled)} resamples, {100 * confidence:g} %"
    return describe_estimate(estimate, np.array(resampled), confidence, method, allowed=(0.0, 1.0))


def _draw(
    codes: IntArray, n_refits: int, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield for each resample the share of each refit and how often each row was drawn with its patient."""
    n_patients = int(codes.max()) + 1
    for _ in range(resamples):
        refit_counts = np.bincount(rng.integers(n_refits, size=n_refits), minlength=n_refits)
        patient_counts = np.bincount(rng.integers(n_patients, size=n_patients), minlength=n_patients)
        yield refit_counts / n_refits, patient_counts[codes].astype(np.float64)


def _check_predictions(probability: Any, refits: Any) -> tuple[FloatArray, FloatArray]:
    try:
        served = np.asarray(probability, dtype=np.float64)
        refitted = np.asarray(refits, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            "probabilities must be numbers from 0 to 1, refits of shape (n_refits, n)", code="PC-EVALUATION-35"
        ) from None
    if served.ndim != 1 or not len(served) or refitted.ndim != 2 or refitted.shape[1] != len(served):
        raise DataError(
            f"the served probabilities have shape {served.shape}, the refits {refitted.shape}; "
            "allowed: (n,) with at least one row, and (n_refits, n)",
            code="PC-EVALUATION-36",
        )
    if len(refitted) < MINIMUM_REFITS:
        raise DataError(
            f"{len(refitted)} refit(s) are too few to measure instability; at least {MINIMUM_REFITS} are needed",
            code="PC-EVALUATION-37",
        )
    for name, values in {"probability": served, "refits": refitted}.items():
        wrong = int((~((values >= 0) & (values <= 1))).sum())
        if wrong:
            raise DataError(
                f"{name}: {wrong} of {values.size} values are missing or not from 0 to 1", code="PC-EVALUATION-38"
            )
    return served, refitted
