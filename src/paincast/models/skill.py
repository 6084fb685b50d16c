"""Share an average among its candidates, and let the overall risk take the place of a model without skill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paincast.models.choice import is_better, share_by_likelihood
from paincast.settings import ModelSettings
from paincast.splits import Fold, count_smaller_class
from paincast.statistics import compute_log_loss

if TYPE_CHECKING:
    from paincast.models.binary.model_kind import Candidate
    from paincast.models.binary.selection import Sample

FloatArray = npt.NDArray[np.float64]


def share_candidates(
    single: Sequence[Candidate], linear_predictor: FloatArray, sample: Sample, settings: ModelSettings
) -> FloatArray:
    """Share an average among candidates by their cross-validated likelihoods and prior odds.

    The simplest candidates have larger odds: the coefficients that techniques share and, where no other technique
    lends any, the overall risk.

    Parameters
    ----------
    single : sequence of Candidate
        Logistic candidates.
    linear_predictor : ndarray of shape (n_single, n)
        Their cross-fitted linear predictors.
    sample : Sample
        The rows.
    settings : ModelSettings
        ``averaging`` and ``simplest_prior_odds``.

    Returns
    -------
    ndarray of shape (n_single,)
        Shares that add up to 1; without averaging, the best has all.
    """
    losses = compute_log_loss(linear_predictor, sample.outcome) @ sample.weights
    if not settings.averaging:
        return np.asarray(np.eye(len(losses))[int(np.argmin(losses))])
    lent = bool(sample.pool.parts)
    simplest = [
        candidate.parameters["strength"] is None and not (lent and candidate.is_overall_risk) for candidate in single
    ]
    log_prior = np.where(simplest, np.log(settings.simplest_prior_odds), 0.0)
    return share_by_likelihood(losses, settings.averaging, log_prior=log_prior)


def require_skill(sample: Sample, settings: ModelSettings) -> float:
    """Return by how many standard errors a model has to be better than the overall risk to be served.

    Below 0 it gives way only where it is worse by as much. Patients who stand alone with few episodes of the smaller
    class have to show skill: their models are worse than the overall risk more often than better. With more episodes,
    or effects that other techniques lend, models are better on average than cross-validation can show, and the
    one-standard-error rule would take more from patients than it spares them.
    """
    alone = not sample.pool.parts
    few = count_smaller_class(sample.outcome) < settings.minimum_trusted
    return settings.standard_errors if alone and few else -settings.standard_errors


def find_skilled(
    position: int,
    candidates: Sequence[Candidate],
    linear_predictor: FloatArray,
    folds: Sequence[Fold],
    sample: Sample,
    settings: ModelSettings,
) -> int:
    """Find what is served: the chosen candidate, or the overall risk if that is not better than it as required.

    Parameters
    ----------
    position : int
        Index of the chosen candidate.
    candidates : sequence of Candidate
        All candidates; without the overall risk among them the chosen one is served.
    linear_predictor : ndarray of shape (n_candidates, n)
        Cross-fitted linear predictors.
    folds : sequence of Fold
        Folds of the cross-fitting. The average of a fold takes its shares from the other folds: with few events, shares
        found on the same rows make it look better than the overall risk where it is worse.
    sample : Sample
        The rows.
    settings : ModelSettings
        What is required (:func:`require_skill`).

    Returns
    -------
    int
        Index of what is served.
    """
    overall = next((place for place, candidate in enumerate(candidates) if candidate.is_overall_risk), None)
    if overall is None:
        return position
    served = linear_predictor[position]
    if candidates[position].is_average:
        kind = candidates[position].kind
        places = [place for place, one in enumerate(candidates) if one.kind == kind and not one.is_average]
        single, fitted = [candidates[place] for place in places], linear_predictor[places]
        served = np.empty_like(served)
        for train, test in folds:
            served[test] = share_candidates(single, fitted[:, train], sample.take(train), settings) @ fitted[:, test]
    losses, baseline = compute_log_loss([served, linear_predictor[overall]], sample.outcome)
    required = require_skill(sample, settings)
    if is_better(losses, baseline, required, weights=sample.weights, groups=sample.patients):
        return position
    return overall
