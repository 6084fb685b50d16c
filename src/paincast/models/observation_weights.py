"""Weight for loss to follow-up by the inverse probability of observation, given what is known before the procedure.

Observed patients represent lost patients who were similar before the procedure. The weights correct for loss that
depends on the encoded columns, but not for loss that depends on the outcome itself (see
:mod:`paincast.evaluation.validation.delta_adjusted`). As in the response models, the site is not a predictor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from paincast import features
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.deferred import special
from paincast.settings import ObservationSettings
from paincast.splits import count_smaller_class, make_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def fit_observation_weights(
    episodes: pd.DataFrame,
    observed: BoolArray,
    settings: ObservationSettings,
    rng: np.random.Generator,
    *,
    contract: Contract = BUILT_IN,
) -> FloatArray:
    """Weight the observed episodes so that they represent all episodes.

    The weight of an observed episode is P(observed) / P(observed | x), stabilised by the share observed [1]_ [2]_; it
    is truncated at a quantile of the weights [2]_ and then scaled to mean 1 over the observed. P(observed | x) is a
    ridge-penalised logistic regression on the encoded columns before the procedure. Its penalty has the lowest
    cross-validated log loss, with the episodes of a patient kept together: if nothing known before predicts the loss,
    the strongest penalty is chosen and the weights stay near 1.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        All eligible episodes, in the types of the contract.
    observed : ndarray of bool, shape (n,)
        Whether the outcome is known.
    settings : ObservationSettings
        Penalties, folds, truncation, and the minimum numbers of lost and of observed episodes to fit a model.
    rng : numpy.random.Generator
        Source of the folds.
    contract : Contract
        Declares the columns.

    Returns
    -------
    ndarray of shape (n,)
        0 for lost episodes; 1 for all others if weighting is off or too few are lost.

    References
    ----------
    .. [1] Seaman SR, White IR. Review of inverse probability weighting for dealing with missing data.
       Stat Methods Med Res 2013;22:278-295. doi:10.1177/0962280210395740
    .. [2] Cole SR, Hernán MA. Constructing inverse probability weights for marginal structural models.
       Am J Epidemiol 2008;168:656-664. doi:10.1093/aje/kwn164
    """
    seen = np.asarray(observed, dtype=bool)
    smaller = min(int(seen.sum()), int((~seen).sum()))
    if settings.method == "complete_case" or smaller < settings.minimum_lost:
        return seen.astype(float)
    with threadpool_limits(limits=1, user_api="blas"):
        probability = _fit_probability(episodes, seen.astype(float), settings, rng, contract)
    weights = seen.mean() / probability[seen]
    weights = np.minimum(weights, np.quantile(weights, settings.truncation))
    spread = np.zeros(len(seen))
    spread[seen] = weights / weights.mean()
    return spread


def _fit_probability(
    episodes: pd.DataFrame,
    observed: FloatArray,
    settings: ObservationSettings,
    rng: np.random.Generator,
    contract: Contract,
) -> FloatArray:
    patients = episodes["patient_id"].to_numpy(object)
    variances = [prior_sd**2 for prior_sd in sorted(settings.prior_sds)]
    matrix = features.EpisodeEncoder(contract=contract).fit(episodes).transform(episodes)
    if not matrix.shape[1]:
        return np.full(len(observed), observed.mean())
    chosen = variances[0]
    if len(variances) > 1 and count_smaller_class(observed, patients) > 1:
        # The encoder centres, scales and imputes without using who was lost, so all folds can share its encoding.
        losses = np.zeros(len(variances))
        for train, test in make_folds(observed, patients, settings.folds, rng):
            for index, variance in enumerate(variances):
                linear_predictor = _fit_linear_predictor(matrix[train], observed[train], variance, matrix[test])
                losses[index] += float(np.sum(compute_log_loss(linear_predictor, observed[test])))
        chosen = variances[int(np.argmin(losses))]
    return np.asarray(special.expit(_fit_linear_predictor(matrix, observed, chosen, matrix)), dtype=float)


def _fit_linear_predictor(matrix: FloatArray, observed: FloatArray, variance: float, asked: FloatArray) -> FloatArray:
    # Newton's method with an exact Hessian: there are few, standardised columns, and ridge keeps the Hessian regular.
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=variance, solver="newton-cholesky").fit(matrix, observed)
    return np.asarray(asked @ model.coef_[0] + model.intercept_[0], dtype=float)


def compute_effective_size(weights: FloatArray) -> float:
    """Compute the effective sample size of weighted episodes: (sum of w)^2 / sum of w^2 [1]_.

    References
    ----------
    .. [1] Kish L. Survey Sampling. Wiley 1965, section 11.7.

    Examples
    --------
    >>> round(compute_effective_size(np.array([1.0, 1.0, 2.0, 0.0])), 3)
    2.667
    """
    square = float(np.sum(np.square(weights)))
    return float(np.sum(weights)) ** 2 / square if square > 0 else 0.0


def summarize_weights(weights: FloatArray) -> pd.DataFrame:
    """Summarize weights: numbers observed and lost, effective sample size, and range of the weights.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        From :func:`fit_observation_weights`.

    Returns
    -------
    DataFrame
        ``measure, value``.
    """
    positive = weights[weights > 0]
    spread = {
        "asked": float(len(weights)),
        "observed": float(len(positive)),
        "lost": float(len(weights) - len(positive)),
        "effective sample size": compute_effective_size(positive),
        "smallest weight": float(positive.min()) if len(positive) else np.nan,
        "largest weight": float(positive.max()) if len(positive) else np.nan,
    }
    return pd.DataFrame({"measure": list(spread), "value": list(spread.values())})
