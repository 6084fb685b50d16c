"""Average contrasts between strategies from doubly robust scores, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms
from paincast.effects.nuisance import Nuisance
from paincast.statistics import compute_two_way_error

FloatArray = npt.NDArray[np.float64]

ATE, ATO = "all analysed patients", "patients in equipoise"
"""Whom an average is over: every analysed patient alike (ATE), or weighted by overlap (ATO)."""

FEW_SITES = 20
"""Fewer sites are few clusters [1]_: what counts as few ranges from less than 20 to less than 50.

References
----------
.. [1] Cameron AC, Miller DL. A practitioner's guide to cluster-robust inference. J Hum Resour 2015;50:317-372.
   doi:10.3368/jhr.50.2.317
"""


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """By what the standard errors of a comparison are clustered.

    Parameters
    ----------
    patients : int
        Patients.
    sites : int
        Sites, and one more for those whose site is not recorded; 0 if no site is recorded.
    """

    patients: int
    sites: int

    @property
    def by(self) -> tuple[str, ...]:
        """``patient``, and ``site`` if there is more than one: differences between sites cannot be seen in one."""
        return ("patient", "site") if self.sites > 1 else ("patient",)

    @property
    def are_few(self) -> bool:
        """Whether the sites are so few that standard errors tend to be too small."""
        return 1 < self.sites < FEW_SITES


def count_clusters(arms: Arms) -> Clusters:
    """Count the clusters of the standard errors of :func:`summarize_estimate`."""
    n_sites = len(np.unique(arms.site)) if arms.episodes["site_id"].notna().any() else 0
    return Clusters(patients=len(np.unique(arms.patient)), sites=n_sites)


def compute_contrasts(arms: Arms, nuisance: Nuisance, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate the difference in risk between each strategy and the reference.

    Over all analysed patients (the average treatment effect), and beside it over patients weighted by how open the
    choice was (generalised overlap weights [1]_), the fallback where a few patients are hardly ever given a strategy.
    Standard errors are clustered by patient and site. They are those for a new sample of patients, so that intervals
    are a little wide for the patients at hand.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    nuisance : Nuisance
        Cross-fitted nuisance functions.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        ``strategy, reference, population, estimate, standard_error, lower, upper, n``.

    References
    ----------
    .. [1] Li F, Li F. Propensity score weighting for causal inference with multiple treatments. Ann Appl Stat
       2019;13:2389-2415. doi:10.1214/19-AOAS1282
    """
    rows = []
    for place in range(1, len(arms.strategies)):
        named = {"strategy": arms.strategies[place], "reference": arms.strategies[0]}
        difference = nuisance.scores[:, place] - nuisance.scores[:, 0]
        estimate = float(difference.mean())
        rows.append(
            {**named, "population": ATE, **summarize_estimate(arms, estimate, difference - estimate, confidence)}
        )
        estimate, influence = _weigh_by_overlap(arms, nuisance, place)
        rows.append({**named, "population": ATO, **summarize_estimate(arms, estimate, influence, confidence)})
    return pd.DataFrame(rows)


def compute_risks(arms: Arms, nuisance: Nuisance, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate the risk of the outcome if all analysed patients had got each strategy.

    Returns
    -------
    DataFrame
        ``strategy, estimate, standard_error, lower, upper, n``.
    """
    rows = []
    for name, scores in zip(arms.strategies, nuisance.scores.T, strict=True):
        estimate = float(scores.mean())
        rows.append({"strategy": name, **summarize_estimate(arms, estimate, scores - estimate, confidence)})
    return pd.DataFrame(rows)


def compute_observed(arms: Arms) -> pd.DataFrame:
    """Count who was followed up, and the share with the outcome among them, before any adjustment.

    The shares are of different patients: their difference is not the contrast.

    Returns
    -------
    DataFrame
        ``strategy, n, n_known, share``.
    """
    rows = []
    for place, name in enumerate(arms.strategies):
        outcome = arms.outcome[arms.strategy == place]
        known = outcome[np.isfinite(outcome)]
        rows.append({"strategy": name, "n": len(outcome), "n_known": len(known), "share": float(known.mean())})
    return pd.DataFrame(rows)


def summarize_estimate(
    arms: Arms, estimate: float, influence: FloatArray, confidence: float = 0.95
) -> dict[str, float]:
    """Give an estimate its standard error, clustered by patient and site (:class:`Clusters`), and a normal interval.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    estimate : float
        The estimate.
    influence : ndarray of shape (n,)
        Its influence function, with mean 0.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    dict
        ``estimate, standard_error, lower, upper, n``.
    """
    error = compute_two_way_error(influence / len(influence), arms.patient, arms.site)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
    return {
        "estimate": estimate,
        "standard_error": error,
        "lower": estimate - reach,
        "upper": estimate + reach,
        "n": len(influence),
    }


def _weigh_by_overlap(arms: Arms, nuisance: Nuisance, place: int) -> tuple[float, FloatArray]:
    """Return the overlap-weighted contrast with the reference and its influence function.

    With the tilting h = 1 / sum of 1 / e, the influence function holds h (score difference - estimate) and, because the
    weights are estimated, sum over strategies of dh/de (1{received} - e) (response difference - estimate), where
    dh/de = h^2 / e^2.
    """
    propensity = np.maximum(nuisance.propensity, np.finfo(float).tiny)
    overlap = 1.0 / (1.0 / propensity).sum(axis=1)
    difference = nuisance.scores[:, place] - nuisance.scores[:, 0]
    response = nuisance.response[:, place] - nuisance.response[:, 0]
    received = np.eye(len(arms.strategies))[arms.strategy]
    tilt = ((overlap[:, None] / propensity) ** 2 * (received - propensity)).sum(axis=1)
    # The score weights residuals by 1 / e, which overlap takes back: h / e is bounded where the score is not.
    estimate = float((overlap @ difference + tilt @ response) / (overlap.sum() + tilt.sum()))
    influence = overlap * (difference - estimate) + tilt * (response - estimate)
    return estimate, influence / overlap.mean()
