"""Turn published associations into the log odds ratio of a predictor: one rule for all, with the spread it leaves.

Each association becomes an estimate with a standard error of the log odds ratio per standard deviation of the column.
To its variance come stated allowances for what the study did not adjust for, for another outcome, for another procedure
and for selection. The estimates of a predictor are then combined with a normal prior around no effect, which is what
shrinks them: the less precise or direct a study, the more.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from scipy.special import logit
from scipy.stats import norm

from paincast.evidence.figures import Baseline, Transform
from paincast.evidence.synthesis.study import NOT_RATED, Association, Study

PRIOR_SD = 0.25
"""Spread of true effects, in log odds per standard deviation: 95 % of the odds ratios of a characteristic of half the
patients lie between 0.37 and 2.7."""

TOLD = (0.15, 0.20)
"""Log odds per standard deviation of an association of which only the direction is published, and its standard
error."""

JUDGED = (0.10, 0.20)
"""The same where no study at all reports the association, and the record only expects it."""

ALLOWANCES: Mapping[str, float] = MappingProxyType(
    {
        "univariable": 0.12,
        "adjusted": 0.07,
        "another outcome": 0.07,
        "another procedure": 0.10,
        "selection": 0.15,
        "high risk of bias": 0.15,
    }
)
"""Standard deviations, in log odds per standard deviation of the column, that are added to an estimate in
quadrature."""

OUTCOMES = (
    *(
        "pain_relief_50",
        "composite_response",
        "pain_relief_30",
        "pain_relief_other",
        "near_complete_relief",
        "global_improvement",
    ),
    *("function_response", "pain_change", "pain", "duration_months", "function_change", "function"),
)
"""Outcomes whose associations count, the nearest to half less pain first."""

PAIN_CHANGE_SD = 2.5
"""Standard deviation of the change of pain in points, for coefficients (2.6 in cohen2022)."""

_RAREST = 0.2
"""Rarer characteristics are as wide as one of this share: else they would be expected to have the largest effects."""

_COUPLED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pain_nrs": ("pain", "pain_change"),
        "odi": ("function", "function_change", "function_response"),
        "womac": ("function", "function_change", "function_response"),
    }
)
"""Outcomes that are coupled by arithmetic with the measure before: their associations do not count."""

_PER_SD = math.pi / math.sqrt(3.0)
"""Log odds per standard deviation of a logistic outcome (Chinn 2000)."""


class LogOdds(NamedTuple):
    """Log odds ratio of a predictor.

    Parameters
    ----------
    mean, sd : float
        For its transform.
    basis : str
        The best that any study gives: ``size``, ``null``, ``direction``; or ``judged`` if none reports it.
    studies : tuple of str
        Studies that count.
    """

    mean: float
    sd: float
    basis: str
    studies: tuple[str, ...]


class _Estimate(NamedTuple):
    value: float
    error: float
    basis: str


def estimate_log_odds(
    associations: Sequence[tuple[Study, Association]],
    column: str,
    transform: Transform,
    baseline: Baseline | None,
    *,
    kind: str,
    direction: str,
    technique: str,
    trials: Mapping[str, str],
) -> LogOdds:
    """Estimate the log odds ratio of a predictor from published associations.

    Parameters
    ----------
    associations : sequence of (Study, Association)
        Those of its column.
    column : str
        Column of the contract.
    transform : Transform
        How the column enters.
    baseline : Baseline or None
        Its distribution, for the width of a standard deviation and the share above a threshold.
    kind : str
        Kind of predictor; ``selection`` has an allowance of its own.
    direction : str
        Direction that the record expects if no study reports it: text that begins with ``better`` or ``worse``.
    technique : str
        Technique of the record; other techniques have an allowance.
    trials : mapping of str to str
        Of each study, the first of those that report the same patients
        (:func:`paincast.evidence.synthesis.counts.find_trials`).

    Returns
    -------
    LogOdds

    References
    ----------
    Chinn S. A simple method for converting an odds ratio to effect size for use in meta-analysis. Stat Med 2000;19:
    3127-3131. doi:10.1002/1097-0258(20001130)19:22<3127::AID-SIM784>3.0.CO;2-M
    """
    width = measure_width(transform, baseline)
    chosen = _choose(column, associations, trials)
    estimates = [
        _widen(_estimate(association, baseline, transform), study, association, kind, technique)
        for study, association in chosen
    ]
    if not estimates:
        sign = {"better": 1.0, "worse": -1.0}.get(direction.split()[0], 0.0) * (1.0 if width > 0 else -1.0)
        return LogOdds(sign * JUDGED[0] * width, JUDGED[1] * abs(width), "judged", ())
    weights = [1.0 / estimate.error**2 for estimate in estimates]
    precision = sum(weights) + 1.0 / PRIOR_SD**2
    mean = sum(weight * estimate.value for weight, estimate in zip(weights, estimates, strict=True)) / precision
    bases = {estimate.basis for estimate in estimates}
    return LogOdds(
        mean=mean * width,
        sd=abs(width) / math.sqrt(precision),
        basis=next(name for name in ("size", "null", "direction") if name in bases),
        studies=tuple(sorted({study.id for study, _ in chosen})),
    )


def measure_width(transform: Transform, baseline: Baseline | None) -> float:
    """Measure how many standard deviations of a column lie between the values that a transform compares.

    For a threshold it is the difference between the means of those beyond it and the others of a normal quantity; below
    0 if the transform is true for low values.
    """
    kind, value = transform.kind, transform.value
    if kind == "per_sd":
        return 1.0
    if kind == "per":
        return float(value) / (measure_spread(baseline) or 1.0)
    share = min(max(share_true(transform, baseline), _RAREST), 1.0 - _RAREST)
    if kind == "equals":
        return (-1.0 if value == 0 else 1.0) / math.sqrt(share * (1.0 - share))
    width = float(norm.pdf(norm.ppf(share))) / (share * (1.0 - share))
    return -width if kind == "below" else width


def share_true(transform: Transform, baseline: Baseline | None) -> float:
    """Compute the share of patients in whom a transformed column is true; a half if their distribution is not known."""
    kind, value = transform.kind, transform.value
    if baseline is None:
        return 0.5
    if baseline.shares is not None:
        return sum(share for key, share in baseline.shares.items() if _holds(key, kind, value))
    if kind == "equals" or (baseline.share is not None and value == 0):
        share = 0.5 if baseline.share is None else baseline.share
        return 1.0 - share if kind == "equals" and value == 0 else share
    if baseline.mean is not None and baseline.sd:
        below = norm.cdf((float(value) - baseline.mean) / baseline.sd)
    elif baseline.median is not None and baseline.log_sd and float(value) > 0:
        below = norm.cdf(math.log(float(value) / baseline.median) / baseline.log_sd)
    else:
        return 0.5
    among = 1.0 if baseline.share is None else baseline.share
    return float(1.0 - among * (1.0 - below) if kind == "below" else among * (1.0 - below))


def _holds(key: Any, kind: str, value: Any) -> bool:
    compared = {"equals": operator.eq, "below": operator.lt, "above": operator.gt}
    return bool(compared.get(kind, operator.ge)(key, value))


def measure_spread(baseline: Baseline | None) -> float | None:
    """Measure the standard deviation of a number before the procedure; None if its distribution is not known."""
    if baseline is None:
        return None
    if baseline.sd:
        return baseline.sd
    if baseline.shares is not None:
        mean = sum(float(value) * share for value, share in baseline.shares.items())
        return math.sqrt(sum(share * (float(value) - mean) ** 2 for value, share in baseline.shares.items()))
    if baseline.median is not None and baseline.log_sd:
        variance = baseline.log_sd**2
        return baseline.median * math.exp(variance / 2.0) * math.sqrt(math.expm1(variance))
    return None


def _choose(
    column: str, associations: Iterable[tuple[Study, Association]], trials: Mapping[str, str]
) -> list[tuple[Study, Association]]:
    """Choose one association of each set of patients: nearest outcome, adjusted, with a size."""
    counted = [
        (study, association)
        for study, association in associations
        if association.outcome in OUTCOMES
        and association.outcome not in _COUPLED.get(column, ())
        and (association.contrast or association.direction != "none")
        and (association.outcome != "duration_months" or "losing success" in association.measure)
        and study.design not in ("guideline", "case report", "economic evaluation")
    ]
    order = sorted(
        counted,
        key=lambda pair: (
            OUTCOMES.index(pair[1].outcome),
            not pair[1].adjusted_for,
            pair[1].value is None,
            pair[0].id,
        ),
    )
    chosen: dict[str, tuple[Study, Association]] = {}
    for study, association in order:
        chosen.setdefault(trials[study.id], (study, association))
    return list(chosen.values())


def _estimate(association: Association, baseline: Baseline | None, transform: Transform) -> _Estimate:
    """Estimate the log odds ratio per standard deviation of the column, in the sense of more of the column."""
    contrast = _read_contrast(association) or transform
    width = measure_width(contrast, baseline)
    sign = {"better": 1.0, "worse": -1.0}.get(association.direction, 0.0)
    n = association.n
    if association.value is not None and association.contrast:
        size = _read_size(association)
        if size is not None:
            value, error = size
            error = error or _find_error(value, association) or (2.0 * abs(width) / math.sqrt(n) if n else abs(width))
            return _Estimate(value / width, error / abs(width), "size")
    if association.direction == "none":
        return _Estimate(0.0, max(2.0 / math.sqrt(n), 0.05) if n else TOLD[1], "null")
    if association.p and n and n > 10:
        correlation = min(float(norm.isf(association.p / 2.0)) / math.sqrt(n), 0.9)
        value = _PER_SD * correlation / math.sqrt(1.0 - correlation**2)
        return _Estimate(math.copysign(value, sign * width), 2.0 / math.sqrt(n), "size")
    return _Estimate(math.copysign(TOLD[0], sign * width) if sign else 0.0, TOLD[1], "direction")


def _read_contrast(association: Association) -> Transform | None:
    return next((Transform(kind=kind, value=value) for kind, value in association.contrast.items()), None)


def _read_size(association: Association) -> tuple[float, float | None] | None:
    """Read the log odds ratio of response for the contrast of an association, and its standard error if published."""
    measure, value = association.measure, association.value
    assert value is not None
    ends = association.ci95
    if "odds ratio" in measure and value > 0:
        sense = -1.0 if "no response" in measure or "failure" in measure else 1.0
        return sense * math.log(value), _spread_of(ends, math.log)
    if "hazard ratio" in measure and value > 0:
        # Half of the patients keep their relief, as in most records at the month asked.
        return float(logit(0.5**value)), _spread_of(ends, lambda end: float(logit(0.5**end)))
    if "relative risk" in measure and value > 0:
        sense = -2.0 if "recurrence" in measure else 2.0  # at a risk of one half
        return sense * math.log(value), _spread_of(ends, lambda end: 2.0 * math.log(end))
    sign = {"better": 1.0, "worse": -1.0}.get(association.direction, 0.0)
    if "correlation" in measure and abs(value) < 1:
        size = _PER_SD * abs(value) / math.sqrt(1.0 - value**2)
        return sign * size, 2.0 / math.sqrt(association.n) if association.n else None
    if association.outcome in ("pain", "pain_change") and ("coefficient" in measure or "difference" in measure):
        scale = PAIN_CHANGE_SD * (10.0 if abs(value) > 10 else 1.0)
        error = _spread_of(ends, lambda end: _PER_SD * end / scale)
        return sign * _PER_SD * abs(value) / scale, error
    return None


def _spread_of(ends: tuple[float, float] | None, transform: Callable[[float], float]) -> float | None:
    if ends is None or (transform is math.log and min(ends) <= 0):
        return None
    lower, upper = (float(transform(end)) for end in ends)
    return abs(upper - lower) / (2.0 * float(norm.ppf(0.975)))


def _find_error(value: float, association: Association) -> float | None:
    if association.p and value:
        return abs(value) / max(float(norm.isf(association.p / 2.0)), 0.1)
    return None


def _widen(estimate: _Estimate, study: Study, association: Association, kind: str, technique: str) -> _Estimate:
    """Add the allowances to an estimate; one of which only the direction is told has them in its error."""
    if estimate.basis == "direction":
        return estimate
    names = ["adjusted" if association.adjusted_for else "univariable"]
    names += ["another outcome"] * (association.outcome not in OUTCOMES[:3])
    names += ["another procedure"] * (technique not in {arm.technique for arm in study.arms.values()})
    names += ["selection"] * (kind == "selection")
    names += ["high risk of bias"] * (study.risk_of_bias != NOT_RATED and "high" in study.risk_of_bias.lower())
    variance = estimate.error**2 + sum(ALLOWANCES[name] ** 2 for name in names)
    return estimate._replace(error=math.sqrt(variance))
