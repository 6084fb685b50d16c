"""Estimate components of uncertainty that refits do not show: differences between sites, and missing values.

Refits show the uncertainty of the coefficients. A patient's probability may differ from the prediction for two further
reasons: sites differ in ways that no predictor captures, and a missing value could have been any value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import special

FloatArray = npt.NDArray[np.float64]

FEWEST_SITES = 3


@dataclass(frozen=True, kw_only=True)
class UncertaintyComponents:
    """Variances of the log odds.

    Parameters
    ----------
    between_sites : float
        Variance between sites.
    missing : dict of str to float
        By variable, the variance of its contribution to the log odds among patients with a known value; it is added
        for a patient whose value is missing.
    unexplained : float
        Variance between patients with the same columns, where the interval is that of the individual's probability.
    evidence_share : float
        Part of the variance of the refits that is disagreement of the evidence; the rest is chance among patients.
    """

    between_sites: float
    missing: dict[str, float]
    unexplained: float = 0.0
    evidence_share: float = 0.0

    def missing_variance(self, episodes: pd.DataFrame) -> FloatArray:
        """Return the variance due to each patient's missing values, shape (n,)."""
        total = np.zeros(len(episodes))
        for name, variance in self.missing.items():
            total += variance * episodes[name].isna().to_numpy(float)
        return total

    def divide(self, episodes: pd.DataFrame, refitting: FloatArray) -> dict[str, FloatArray]:
        """Divide the variance of each patient's log odds by where it comes from.

        Parameters
        ----------
        episodes : DataFrame of shape (n, ...)
            Patients.
        refitting : ndarray of shape (n,)
            Mean square distance of the refits from the served log odds.

        Returns
        -------
        dict of str to ndarray of shape (n,)
            ``evidence``, what studies disagree about; ``model``, chance among the patients it was fitted to and what
            its columns do not explain; ``site``; and ``missing``, the values that are not known.
        """
        return {
            "evidence": self.evidence_share * refitting,
            "model": (1.0 - self.evidence_share) * refitting + self.unexplained,
            "site": np.full(len(episodes), self.between_sites),
            "missing": self.missing_variance(episodes),
        }


def describe_log_odds(served: FloatArray, variances: dict[str, FloatArray], level: float) -> dict[str, FloatArray]:
    """Describe log odds with a normal uncertainty: probability, limits, and the share of each part of the variance.

    Parameters
    ----------
    served : ndarray of shape (n,)
        Log odds.
    variances : dict of str to ndarray of shape (n,)
        From :meth:`UncertaintyComponents.divide`.
    level : float
        Level of the interval.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        ``probability, lower, upper``, and the shares: ``uncertainty_evidence``, ``uncertainty_model``, ...
    """
    total = np.sum(list(variances.values()), axis=0)
    reach = special.ndtri(0.5 + level / 2) * np.sqrt(total)
    # Without any uncertainty, in a model of an earlier version, there is nothing to share.
    shares = {f"uncertainty_{name}": part / np.where(total > 0, total, np.nan) for name, part in variances.items()}
    return {
        "probability": special.expit(served),
        "lower": special.expit(served - reach),
        "upper": special.expit(served + reach),
        **shares,
    }


def fit_uncertainty_components(
    episodes: pd.DataFrame,
    outcome: FloatArray,
    weights: FloatArray,
    linear_predictor: FloatArray,
    contributions: FloatArray,
    owners: Sequence[str],
    *,
    min_site_sd: float,
) -> UncertaintyComponents:
    """Estimate the variances.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Training episodes.
    outcome, weights : ndarray of shape (n,)
        0 or 1, and weights of the rows.
    linear_predictor : ndarray of shape (n,)
        Cross-fitted, calibrated log odds.
    contributions : ndarray of shape (n, n_encoded)
        Contribution of each encoded column to the log odds of the model.
    owners : sequence of str
        Variable of each encoded column.
    min_site_sd : float
        Minimum standard deviation between sites: a few sites often underestimate it.
    """
    missing = compute_missing_variances(episodes, contributions, owners)
    sites = episodes["site_id"] if "site_id" in episodes else pd.Series(pd.NA, index=episodes.index)
    seen = estimate_site_variance(sites, outcome, weights, linear_predictor)
    return UncertaintyComponents(between_sites=max(seen, min_site_sd**2), missing=missing)


def compute_missing_variances(
    episodes: pd.DataFrame, contributions: FloatArray, owners: Sequence[str]
) -> dict[str, float]:
    """Compute by variable the variance of its contribution among episodes whose value is known.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Training episodes.
    contributions : ndarray of shape (n, n_encoded)
        Contribution of each encoded column.
    owners : sequence of str
        Variable of each encoded column.
    """
    variances = {}
    for name in dict.fromkeys(owners):
        known = episodes[name].notna().to_numpy(bool)
        added = contributions[:, [owner == name for owner in owners]].sum(axis=1)
        if known.sum() > 1:
            variances[name] = float(np.var(added[known]))
    return variances


def estimate_site_variance(
    sites: pd.Series, outcome: FloatArray, weights: FloatArray, linear_predictor: FloatArray
) -> float:
    """Estimate the variance of the log odds between sites by the method of moments.

    A site's shift is estimated by one Newton step from 0, (observed - expected) / information; the variance of the
    shifts beyond chance is the variance between sites [1]_.

    Parameters
    ----------
    sites : Series of shape (n,)
        Site of each row; rows without a site are left out.
    outcome, weights, linear_predictor : ndarray of shape (n,)
        0 or 1, weights, and the log odds predicted without the site.

    Returns
    -------
    float
        0 if there are fewer than three sites or no variance beyond chance.

    References
    ----------
    .. [1] DerSimonian R, Laird N. Control Clin Trials 1986;7:177-188. doi:10.1016/0197-2456(86)90046-2
    """
    codes, names = pd.factorize(sites)
    if len(names) < FEWEST_SITES:
        return 0.0
    has_site = codes >= 0
    expected = special.expit(linear_predictor[has_site])
    residual = np.bincount(
        codes[has_site], (weights * (outcome - special.expit(linear_predictor)))[has_site], len(names)
    )
    information = np.bincount(codes[has_site], weights[has_site] * expected * (1.0 - expected), len(names))
    noise = np.bincount(codes[has_site], weights[has_site] ** 2 * expected * (1.0 - expected), len(names))
    has_information = information > 0
    shift, precision = (
        residual[has_information] / information[has_information],
        information[has_information] ** 2 / noise[has_information],
    )
    centre = float(precision @ shift / precision.sum())
    spread = float(precision @ (shift - centre) ** 2) - (has_information.sum() - 1)
    scale = precision.sum() - float(precision @ precision) / precision.sum()
    return max(0.0, spread / float(scale)) if scale > 0 else 0.0
