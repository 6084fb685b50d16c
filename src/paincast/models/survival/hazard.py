"""Fit discrete-time hazards by a penalised logistic regression over the visits at which a patient was at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.deferred import special
from paincast.outcomes.labels import CENSORED, LOST_RELIEF
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

VISIT_MONTHS = (0.5, 1.0, 3.0, 6.0, 12.0, 24.0, 60.0)
EARLIEST_VISIT = 0.8
"""A last visit counts for a scheduled month if it was no earlier than this share of the month."""

_FREE_SD = 10.0
"""Prior standard deviation of the log odds of each month: nearly flat, but finite if there are no events."""


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Person-period data: the intervals between visits in which each episode was at risk and followed up.

    Parameters
    ----------
    row : ndarray of int, shape (n_periods,)
        Index of the episode.
    interval : ndarray of int, shape (n_periods,)
        Index of the interval.
    event : ndarray of shape (n_periods,)
        1 if the event happened in that interval, else 0.
    """

    row: IntArray
    interval: IntArray
    event: FloatArray

    def take(self, rows: IntArray, n: int) -> Periods:
        """Select the periods of some of ``n`` episodes, and renumber the episodes."""
        new_row = np.full(n, -1)
        new_row[rows] = np.arange(len(rows))
        is_kept = new_row[self.row] >= 0
        return Periods(row=new_row[self.row[is_kept]], interval=self.interval[is_kept], event=self.event[is_kept])


@dataclass(frozen=True, kw_only=True)
class HazardModel:
    """Log odds of an event in each interval, given that it has not happened before.

    Parameters
    ----------
    intercepts : ndarray of shape (n_intervals,)
        Log odds in each interval when every encoded column is zero.
    coefficients : ndarray of shape (n_encoded,)
        Log odds ratio per unit of an encoded column, in every interval.
    first : ndarray of shape (n_encoded,)
        Difference of the coefficient in the first interval; zero if effects do not change with time.
    """

    intercepts: FloatArray
    coefficients: FloatArray
    first: FloatArray

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds of the event in each interval, shape (n, n_intervals)."""
        # A matrix product sums in an order that depends on the number of rows.
        rows = np.ascontiguousarray(matrix)
        linear_predictor = self.intercepts + np.einsum("ij,j->i", rows, self.coefficients)[:, None]
        linear_predictor[:, 0] += np.einsum("ij,j->i", rows, self.first)
        return np.asarray(linear_predictor)

    def hazards(self, matrix: FloatArray) -> FloatArray:
        """Return the probability of the event in each interval, shape (n, n_intervals)."""
        return np.asarray(special.expit(self.linear_predictor(matrix)))

    def survival(self, matrix: FloatArray) -> FloatArray:
        """Return the probability of no event by the end of each interval, shape (n, n_intervals)."""
        return np.asarray(np.exp(np.cumsum(special.log_expit(-self.linear_predictor(matrix)), axis=1)))

    def __add__(self, other: HazardModel) -> HazardModel:
        return HazardModel(
            intercepts=self.intercepts + other.intercepts,
            coefficients=self.coefficients + other.coefficients,
            first=self.first + other.first,
        )


def choose_cuts(months: FloatArray, status: FloatArray, minimum_events: int) -> tuple[float, ...]:
    """Choose the months that end the intervals: scheduled visits such that each interval has enough losses of relief.

    An interval with fewer losses is merged with the next; the time after the last sufficient interval is not modelled.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time, and what ended it.
    minimum_events : int
        Minimum number of losses of relief in an interval.
    """
    schedule = [month for month in VISIT_MONTHS if (months >= EARLIEST_VISIT * month).any()]
    lost = months[status == LOST_RELIEF]
    cuts: list[float] = []
    for month in schedule:
        counted = int(((lost > (cuts[-1] if cuts else -1.0)) & (lost <= month)).sum())
        if counted >= minimum_events:
            cuts.append(month)
    return tuple(cuts)


def expand_periods(months: FloatArray, status: FloatArray, cuts: tuple[float, ...], cause: float) -> Periods:
    """Expand episodes to the intervals in which they were at risk of a cause and followed up.

    Loss of relief is assessed at the visit that ends an interval, in patients alive at that visit: an interval in which
    a patient died counts for death only. The interval of the last visit of a censored patient counts for neither.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it.
    cuts : tuple of float
        Months that end the intervals.
    cause : float
        ``LOST_RELIEF`` or ``DIED``.
    """
    edges = np.array((-1.0, *cuts))
    started = months[:, None] > edges[:-1]
    within = started & (months[:, None] <= edges[1:])
    through = (months[:, None] > edges[1:]) | (
        (status[:, None] == CENSORED) & (months[:, None] >= EARLIEST_VISIT * edges[1:])
    )
    happened = within & (status[:, None] == cause)
    ended = happened if cause == LOST_RELIEF else within & (status[:, None] != CENSORED)
    row, interval = np.nonzero(through | ended)
    return Periods(row=row, interval=interval, event=happened[row, interval].astype(float))


def fit_hazard(
    matrix: FloatArray,
    periods: Periods,
    n_intervals: int,
    *,
    inverse_penalty: float,
    first_differs: bool = False,
    weights: FloatArray | None = None,
) -> HazardModel:
    """Fit a ridge-penalised pooled logistic regression; the effects of the months are practically unpenalised.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes without missing values.
    periods : Periods
        Their intervals.
    n_intervals : int
        Number of intervals.
    inverse_penalty : float
        ``C`` of scikit-learn: the smaller, the stronger the penalty.
    first_differs : bool
        Whether effects may differ in the first interval; the differences have the same penalty.
    weights : ndarray of shape (n,), optional
        Weights of the episodes.

    References
    ----------
    Tutz G, Schmid M. Modeling Discrete Time-to-Event Data (2016). doi:10.1007/978-3-319-28158-2
    Suresh K, Severn C, Ghosh D. BMC Med Res Methodol 2022;22:207. doi:10.1186/s12874-022-01679-6
    """
    n_encoded = matrix.shape[1]
    scale = _FREE_SD / np.sqrt(inverse_penalty)
    design = _make_design(matrix, periods, n_intervals, first_differs)
    design[:, :n_intervals] *= scale
    weight = None if weights is None else weights[periods.row]
    if len(np.unique(periods.event)) < 2:
        certain = np.log((periods.event.sum() + 0.5) / (len(periods.event) - periods.event.sum() + 0.5))
        return HazardModel(
            intercepts=np.full(n_intervals, certain), coefficients=np.zeros(n_encoded), first=np.zeros(n_encoded)
        )
    from sklearn.linear_model import LogisticRegression

    learner = LogisticRegression(C=inverse_penalty, fit_intercept=False, solver="newton-cholesky", max_iter=100)
    fitted = learner.fit(design, periods.event, sample_weight=weight).coef_[0]
    return HazardModel(
        intercepts=scale * fitted[:n_intervals],
        coefficients=fitted[n_intervals : n_intervals + n_encoded],
        first=fitted[n_intervals + n_encoded :] if first_differs else np.zeros(n_encoded),
    )


def _make_design(matrix: FloatArray, periods: Periods, n_intervals: int, first_differs: bool) -> FloatArray:
    rows = matrix[periods.row]
    blocks = [(periods.interval[:, None] == np.arange(n_intervals)).astype(float), rows]
    if first_differs:
        blocks.append(rows * (periods.interval == 0)[:, None])
    return np.concatenate(blocks, axis=1)


def draw_shrinkage(
    model: HazardModel,
    matrix: FloatArray,
    periods: Periods,
    *,
    inverse_penalty: float,
    first_differs: bool,
    weights: FloatArray,
    rngs: Sequence[np.random.Generator],
) -> tuple[HazardModel, ...]:
    """Draw the bias due to the penalty: coefficients to add to each refit.

    A penalty is a normal prior of the effects. Refits to reweighted patients vary around the shrunken fit with variance
    H⁻¹JH⁻¹, where J is the information of the data and H = J + P with the penalty P; the posterior variance of the
    effects is H⁻¹. The draws have the difference of the two as variance, H⁻¹PH⁻¹: the expected squared shrinkage bias.

    Parameters
    ----------
    model : HazardModel
        Fit at which the information is computed.
    matrix, periods, inverse_penalty, first_differs, weights
        Data and settings of the fit.
    rngs : sequence of numpy.random.Generator
        A generator for each draw.

    Returns
    -------
    tuple of HazardModel
        A draw for each of ``rngs``.

    References
    ----------
    Nychka D. J Am Stat Assoc 1988;83:1134-1143. doi:10.1080/01621459.1988.10478711
    Marra G, Wood SN. Scand J Stat 2012;39:53-74. doi:10.1111/j.1467-9469.2011.00760.x
    """
    n_intervals, n_encoded = len(model.intercepts), matrix.shape[1]
    design = _make_design(matrix, periods, n_intervals, first_differs)
    hazard = special.expit(model.linear_predictor(matrix)[periods.row, periods.interval])
    information = (design * (weights[periods.row] * hazard * (1.0 - hazard))[:, None]).T @ design
    penalty = np.full(design.shape[1], 1.0 / inverse_penalty)
    penalty[:n_intervals] = 1.0 / _FREE_SD**2
    root = np.linalg.solve(information + np.diag(penalty), np.diag(np.sqrt(penalty)))
    root[:, :n_intervals] = 0.0
    draws = [root @ rng.standard_normal(len(penalty)) for rng in rngs]
    none = np.zeros(n_encoded)
    return tuple(
        HazardModel(
            intercepts=draw[:n_intervals],
            coefficients=draw[n_intervals : n_intervals + n_encoded],
            first=draw[n_intervals + n_encoded :] if first_differs else none,
        )
        for draw in draws
    )


def compute_hazard_loss(model: HazardModel, matrix: FloatArray, periods: Periods) -> FloatArray:
    """Compute the negative log likelihood of each episode, summed over its intervals, in nats, shape (n,)."""
    linear_predictor = model.linear_predictor(matrix)[periods.row, periods.interval]
    losses = compute_log_loss(linear_predictor, periods.event)
    return np.bincount(periods.row, weights=losses, minlength=len(matrix)).astype(float)
