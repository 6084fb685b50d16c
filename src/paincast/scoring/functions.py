"""Functions of log odds and of the normal distribution: the digits of SciPy, without loading it for few rows."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

FEW_VALUES = 500
"""Most values that are computed one by one: SciPy takes longer to load than all answers for a patient."""

_LOG_LARGEST = 709.0
"""From here on the exponential function of Python raises."""


def expit(log_odds: FloatArray) -> FloatArray:
    """Convert log odds to probabilities."""
    if log_odds.size > FEW_VALUES:
        from scipy import special

        return np.asarray(special.expit(log_odds))
    return np.array([_expit(one) for one in log_odds.ravel().tolist()]).reshape(log_odds.shape)


def _expit(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds)) if not log_odds < -_LOG_LARGEST else _expit_of_smallest(log_odds)


def _expit_of_smallest(log_odds: float) -> float:
    from scipy import special

    return float(special.expit(log_odds))


def logit(probability: FloatArray) -> FloatArray:
    """Convert probabilities to log odds."""
    from scipy import special

    return np.asarray(special.logit(probability))


_CENTRE = (
    (
        -5.99633501014107895267e1,
        9.80010754185999661536e1,
        -5.66762857469070293439e1,
        1.39312609387279679503e1,
        -1.23916583867381258016e0,
    ),
    (
        1.0,
        1.95448858338141759834e0,
        4.67627912898881538453e0,
        8.63602421390890590575e1,
        -2.25462687854119370527e2,
        2.00260212380060660359e2,
        -8.20372256168333339912e1,
        1.59056225126211695515e1,
        -1.18331621121330003142e0,
    ),
)
_TAIL = (
    (
        4.05544892305962419923e0,
        3.15251094599893866154e1,
        5.71628192246421288162e1,
        4.40805073893200834700e1,
        1.46849561928858024014e1,
        2.18663306850790267539e0,
        -1.40256079171354495875e-1,
        -3.50424626827848203418e-2,
        -8.57456785154685413611e-4,
    ),
    (
        1.0,
        1.57799883256466749731e1,
        4.53907635128879210584e1,
        4.13172038254672030440e1,
        1.50425385692907503408e1,
        2.50464946208309415979e0,
        -1.42182922854787788574e-1,
        -3.80806407691578277194e-2,
        -9.33259480895457427372e-4,
    ),
)
_SQRT_TAU = 2.50662827463100050242
_EDGE = 0.13533528323661269189
"""The probability exp(-2), below which a value is in the tail."""


@lru_cache(maxsize=256)
def ndtri(probability: float) -> float:
    """Find the quantile of the normal distribution: the approximation of the Cephes library (Moshier 1989).

    Parameters
    ----------
    probability : float
        Between exp(-32) and 1 - exp(-32).
    """
    is_above = probability > 1.0 - _EDGE
    tail = 1.0 - probability if is_above else probability
    if tail > _EDGE:
        centred = tail - 0.5
        square = centred * centred
        bent = centred + centred * (square * _evaluate(square, _CENTRE[0]) / _evaluate(square, _CENTRE[1]))
        return bent * _SQRT_TAU
    root = math.sqrt(-2.0 * math.log(tail))
    if root >= 8.0:
        raise ValueError("the probability is too near 0 or 1")
    inverse = 1.0 / root
    quantile = root - math.log(root) / root - inverse * _evaluate(inverse, _TAIL[0]) / _evaluate(inverse, _TAIL[1])
    return quantile if is_above else -quantile


def _evaluate(at: float, coefficients: tuple[float, ...]) -> float:
    """Evaluate a polynomial, the coefficient of the highest power first."""
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * at + coefficient
    return value
