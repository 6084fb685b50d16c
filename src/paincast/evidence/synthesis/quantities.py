"""Compute what is simulated from a record, without a simulation: probabilities of response, benefit, complications.

The log odds of response of a patient at the primary month are an intercept plus the log odds ratios of the predictors
times their transformed columns, which are independent and not rounded. The intercept is solved so that the mean
probability is the share of the curve, as the simulator does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri
from scipy.stats import norm

from paincast.evidence.figures import LEAST_LOG_ODDS, Baseline, CurvePoint, PredictorEffect, Record, Transform
from paincast.evidence.synthesis.odds import measure_spread, share_true

FloatArray = npt.NDArray[np.float64]

QUANTITIES = ("mean_probability", "spread", "benefit", "complications")
"""Mean and standard deviation of the probabilities of response; what the mean is above that of the untreated, times the
share alive; and the probability of any complication."""

_STEP, _CELLS = 0.01, 4096
_RANKS = (np.arange(1000) + 0.5) / 1000.0
_PLACES = np.asarray(np.fft.fftfreq(_CELLS, 1.0 / _CELLS) * _STEP, dtype=np.float64)


def compute_quantities(record: Record) -> FloatArray:
    """Compute the :data:`QUANTITIES` of a record at its primary month."""
    month, point = find_primary_point(record)
    places, mass = _distribute_log_odds(record)
    ends = logit(point.share) - places.max() - 1.0, logit(point.share) - places.min() + 1.0
    level = brentq(lambda middle: float(mass @ expit(middle + places)) - point.share, *ends, xtol=1e-10)
    probability = expit(level + places)
    spread = math.sqrt(float(mass @ (probability - point.share) ** 2))
    without = min(record.untreated[month].share, point.share) if month in record.untreated else 0.0
    alive = 0.5 ** (month / record.survival.median_months) if record.survival else 1.0
    rates = [item.patient_rate or 0.0 for item in record.counted_complications if item.event_kind == "complication"]
    return np.array(
        [point.share, spread, alive * (point.share - without), 1.0 - math.prod(1.0 - rate for rate in rates)]
    )


def find_primary_point(record: Record) -> tuple[float, CurvePoint]:
    """Find the primary month of a record with a curve, and the curve at it."""
    assert record.response is not None
    assert record.primary_month is not None
    month = float(record.primary_month)
    return month, record.response.points[month]


def list_effects(record: Record) -> list[PredictorEffect]:
    """List the predictors of response to the procedure, null results among them."""
    return [effect for effect in record.predictors if effect.kind != "effect_modifier"]


def _distribute_log_odds(record: Record) -> tuple[FloatArray, FloatArray]:
    """Compute the distribution of the sum of all predictors: its places, about 0, and the share of patients at each."""
    by_column: dict[str, list[tuple[Transform, float]]] = {}
    for effect in list_effects(record):
        by_column.setdefault(effect.column, []).append((effect.transform, effect.log_odds))
    spectrum = np.ones(_CELLS // 2 + 1, dtype=complex)
    for column, terms in by_column.items():
        spectrum = spectrum * _transform_sum(_freeze(record.baseline[column]), tuple(terms))
    mass = np.asarray(np.fft.irfft(spectrum, _CELLS), dtype=np.float64)
    held = mass > 1e-12
    return np.asarray(_PLACES[held]), np.asarray(mass[held] / mass[held].sum())


def _freeze(baseline: Baseline) -> Baseline:
    """Make a distribution a key: without its source, and with its shares as pairs."""
    shares: Any = None if baseline.shares is None else tuple(baseline.shares.items())
    return replace(baseline, source="", tag="", note="", shares=shares)


@lru_cache(maxsize=1024)
def _transform_sum(frozen: Baseline, terms: tuple[tuple[Transform, float], ...]) -> npt.NDArray[np.complex128]:
    """Compute the Fourier transform of the distribution of what a column adds to the log odds."""
    baseline = frozen if frozen.shares is None else replace(frozen, shares=dict(frozen.shares))
    added = sum((size * _draw(transform, baseline) for transform, size in terms), np.zeros(len(_RANKS)))
    place = (added - added.mean()) / _STEP
    low = np.floor(place).astype(int)
    above = place - low
    counts = np.bincount(low % _CELLS, 1.0 - above, _CELLS) + np.bincount((low + 1) % _CELLS, above, _CELLS)
    return np.asarray(np.fft.rfft(counts / len(_RANKS)))


def _draw(transform: Transform, baseline: Baseline) -> FloatArray:
    """Draw a transformed column at even ranks of its values, the same ranks for all transforms of a column."""
    kind, value = transform.kind, transform.value
    if kind in ("per", "per_sd"):
        unit = float(value) if kind == "per" else measure_spread(baseline) or 1.0
        return _draw_number(baseline) / unit
    share = share_true(transform, baseline)
    if kind == "equals" and baseline.shares is not None:
        names = list(baseline.shares)
        start = sum(list(baseline.shares.values())[: names.index(value)])
        return ((start <= _RANKS) & (start + share > _RANKS)).astype(float)
    low = kind == "below" or (kind == "equals" and value == 0)
    return (share > _RANKS if low else 1.0 - share <= _RANKS).astype(float)


def _draw_number(baseline: Baseline) -> FloatArray:
    if baseline.shares is not None:
        places = np.searchsorted(np.cumsum(list(baseline.shares.values()))[:-1], _RANKS)
        return np.array([float(value) for value in baseline.shares])[places]
    if baseline.median is None or baseline.log_sd is None:
        return (baseline.mean or 0.0) + (baseline.sd or 1.0) * np.asarray(ndtri(_RANKS))
    users = 1.0 if baseline.share is None else baseline.share
    ranks = np.maximum((_RANKS - (1.0 - users)) / users, 0.0)
    return np.where(ranks > 0, baseline.median * np.exp(baseline.log_sd * ndtri(np.maximum(ranks, 1e-9))), 0.0)


def compute_implied(
    effects: Sequence[tuple[str, Transform, float]], baselines: Mapping[str, Baseline], share: float
) -> dict[str, float]:
    """Compute spread and best area under the curve that follow from independent predictors.

    Parameters
    ----------
    effects : sequence of (str, Transform, float)
        Column, transform and log odds ratio of each predictor.
    baselines : mapping of str to Baseline
        Distribution of each column.
    share : float
        Share that responds at the primary month.

    Returns
    -------
    dict
        ``active_predictors``, ``sd_linear_predictor``, ``bayes_optimal_auc``.
    """
    active = [effect for effect in effects if abs(effect[2]) >= LEAST_LOG_ODDS]
    spread = math.sqrt(
        sum((size * _spread_of(transform, baselines.get(name))) ** 2 for name, transform, size in active)
    )
    return {
        "active_predictors": len(active),
        "sd_linear_predictor": spread,
        "bayes_optimal_auc": _compute_auc(spread, share) if spread else 0.5,
    }


def _spread_of(transform: Transform, baseline: Baseline | None) -> float:
    if transform.kind == "per_sd":
        return 1.0
    if transform.kind == "per":
        return (measure_spread(baseline) or 1.0) / float(transform.value)
    share = share_true(transform, baseline)
    return math.sqrt(share * (1.0 - share))


def _compute_auc(spread: float, share: float) -> float:
    """Compute the area under the curve of a normal linear predictor by quadrature."""
    z = np.linspace(-8.0, 8.0, 4001)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    intercept = brentq(lambda middle: float(weight @ expit(middle + spread * z)) - share, -20.0, 20.0)
    responds = weight * expit(intercept + spread * z)
    fails = weight - responds
    below = np.cumsum(fails) - fails / 2.0
    return float(responds @ below / (responds.sum() * fails.sum()))
