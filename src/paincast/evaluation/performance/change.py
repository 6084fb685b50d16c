"""Performance of predicted medians and prediction intervals of a continuous change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import DataError
from paincast.statistics import compute_clustered_mean

FloatArray = npt.NDArray[np.float64]

COLUMNS = ("metric", "group", "estimate", "lower", "upper", "n", "method")


def compute_pinball_loss(observed: FloatArray, predicted: FloatArray, quantile: float) -> FloatArray:
    """Compute the loss that the true quantile minimises, for each row, in the unit of the outcome.

    Parameters
    ----------
    observed, predicted : ndarray of shape (n,)
        Outcome, and its predicted quantile.
    quantile : float
        Which one, above 0 and below 1.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Koenker R, Bassett G. Econometrica 1978;46:33-50. doi:10.2307/1913643

    Examples
    --------
    >>> compute_pinball_loss(np.array([1.0, -1.0]), np.zeros(2), 0.9).tolist()
    [0.9, 0.09999999999999998]
    """
    error = observed - predicted
    return np.asarray(np.maximum(quantile * error, (quantile - 1.0) * error))


def compute_change_metrics(
    observed: FloatArray,
    predicted: pd.DataFrame,
    patients: npt.ArrayLike,
    *,
    reference: pd.DataFrame | None = None,
    level: float = 0.80,
    confidence: float = 0.95,
    weights: FloatArray | None = None,
    group: str = "overall",
) -> pd.DataFrame:
    """Compute the metrics of a predicted median with its interval.

    ``coverage``, ``below_interval``, ``above_interval``
        Shares of outcomes inside the interval, ends included, and on either side of it.
    ``mean_width``
        Of the interval.
    ``pinball_loss``
        Mean over the lower limit, the median and the upper limit; ``pinball_gain`` is that of the reference minus it.
    ``mean_absolute_error``
        Of the median.
    ``below_median``
        Share of outcomes below the median, those equal to it counted half: 0.5 when it is calibrated.

    Parameters
    ----------
    observed : ndarray of shape (n,)
        The change.
    predicted : DataFrame of shape (n, ...)
        ``lower, median, upper``.
    patients : array-like of shape (n,)
        Patient of each row, the unit of the limits.
    reference : DataFrame of shape (n, ...), optional
        Prediction to compare with, for example the quantiles of the training rows.
    level : float
        Level of the interval predicted.
    confidence : float
        Level of the limits of the metrics.
    weights : ndarray of shape (n,), optional
        Weights of the rows, for example of the inverse probability of being observed.
    group : str
        Name of the rows.

    Returns
    -------
    DataFrame
        ``metric, group, estimate, lower, upper, n, method``.

    Raises
    ------
    DataError
        If a number is missing.

    Examples
    --------
    >>> predicted = pd.DataFrame({"lower": [-6.0, -5.0], "median": [-3.0, -2.0], "upper": [0.0, 1.0]})
    >>> rows = compute_change_metrics(np.array([-7.0, -2.0]), predicted, ["a", "b"])
    >>> rows.set_index("metric")["estimate"].loc[["coverage", "mean_width"]].tolist()
    [0.5, 6.0]
    """
    lower, median, upper = (predicted[name].to_numpy(float) for name in ("lower", "median", "upper"))
    if not np.isfinite(np.concatenate([observed, lower, median, upper])).all():
        raise DataError(
            "change: an outcome or a prediction is missing; leave out the rows without one", code="PC-EVALUATION-06"
        )
    loss = _mean_loss(observed, predicted, level)
    terms = {
        "coverage": (observed >= lower) & (observed <= upper),
        "below_interval": observed < lower,
        "above_interval": observed > upper,
        "mean_width": upper - lower,
        "pinball_loss": loss,
        "mean_absolute_error": np.abs(observed - median),
        "below_median": (observed < median) + 0.5 * (observed == median),
    }
    if reference is not None:
        terms["pinball_gain"] = _mean_loss(observed, reference, level) - loss
    rows = [
        (name, *compute_clustered_mean(np.asarray(part, float), patients, confidence, weights))
        for name, part in terms.items()
    ]
    table = pd.DataFrame(rows, columns=["metric", "estimate", "lower", "upper"])
    return table.assign(group=group, n=len(observed), method="mean; patients as units")[list(COLUMNS)]


def _mean_loss(observed: FloatArray, predicted: pd.DataFrame, level: float) -> FloatArray:
    tail = (1.0 - level) / 2.0
    asked = {"lower": tail, "median": 0.5, "upper": 1.0 - tail}
    losses = [compute_pinball_loss(observed, predicted[name].to_numpy(float), q) for name, q in asked.items()]
    return np.asarray(np.mean(losses, axis=0))
