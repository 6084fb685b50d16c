"""The response model of a prior: what is served with any number of patients, from none on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from paincast.files.serialization import PlainTable
from paincast.models.beliefs import EVIDENCE
from paincast.models.binary.boosting import BOOSTED_LINEAR
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import (
    UncertaintyComponents,
    compute_missing_variances,
    estimate_site_variance,
)
from paincast.models.calibration.affine import IDENTITY, Calibration, fit_calibration
from paincast.models.calibration.calibrated import BinaryModel, apply_calibration
from paincast.models.domain import fit_domain
from paincast.models.observation_weights import compute_effective_size, fit_observation_weights
from paincast.models.prior.gaussian import EvidencePrior, recentre
from paincast.models.prior.posterior import (
    Posterior,
    Rows,
    code_sites,
    draw_coefficients,
    update_prior,
)
from paincast.models.prior.trees import carry_on, choose_trees
from paincast.settings import TrainingSettings
from paincast.statistics import draw_bayesian_bootstrap_weights

FloatArray = npt.NDArray[np.float64]

MOST_DRAWS = 32
"""Most draws of the coefficients that a bundle keeps."""

LEAST_SITE_SD = 1e-3
"""Least standard deviation of the effects of sites: 0 would fix them."""


@dataclass(frozen=True, kw_only=True)
class PriorFit:
    """A prior and what patients made of it.

    Parameters
    ----------
    prior : EvidencePrior
        The prior, centred at the mean of the patients, if there are any.
    rows : Rows or None
        The patients.
    posterior : Posterior
        Level and coefficients.
    trees : dict or None
        Parameters of trees that carry on the linear predictor; None where it is served alone.
    calibration : Calibration
        Fitted to the cross-fitted log odds of trees and linear predictor; nothing where it is served alone.
    model : model
        The served model: the mean of the posterior, carried on by trees and calibrated where these were chosen.
    """

    prior: EvidencePrior
    rows: Rows | None
    posterior: Posterior
    trees: dict[str, Any] | None
    calibration: Calibration
    model: BinaryModel


def make_linear(values: FloatArray, means: FloatArray) -> LinearModel:
    """Make a linear model from the log odds of the mean patient and coefficients."""
    return LinearModel(intercept=float(values[0] - means @ values[1:]), coefficients=values[1:], means=means)


def fit_with_prior(
    prior: EvidencePrior,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> PriorFit:
    """Update a prior by the patients whose outcome is known, and carry it on by trees where these predict better.

    Those seen are weighted to stand for those lost; the weights add up to the effective sample size. The standard
    deviation between sites is estimated after a first fit, and then held.

    Parameters
    ----------
    prior : EvidencePrior
        What is known before.
    episodes : DataFrame of shape (n, ...)
        All eligible episodes; none leave the prior as it is.
    outcome : ndarray of shape (n,)
        0 or 1; NaN where follow-up is missing.
    settings : TrainingSettings
        Loss to follow-up, trees, and the least difference between sites.
    rng : numpy.random.Generator
        Source of folds and sampling.

    Returns
    -------
    PriorFit
    """
    weight_rng, choice_rng, tree_rng = rng.spawn(3)
    known = ~np.isnan(outcome)
    if not known.any():
        posterior = update_prior(prior, None)
        told = make_linear(posterior.mean, prior.means)
        return PriorFit(prior=prior, rows=None, posterior=posterior, trees=None, calibration=IDENTITY, model=told)
    contract = prior.encoder.contract
    weights = fit_observation_weights(episodes, known, settings.observation, weight_rng, contract=contract)[known]
    rows = _make_rows(prior, episodes.loc[known], outcome[known], weights, settings.uncertainty.min_site_sd)
    centred, posterior = _update(prior, rows)
    linear = make_linear(posterior.mean, centred.means)
    between = _estimate_site_sd(linear, rows)
    if between > rows.site_sd:
        rows = replace(rows, site_sd=between)
        centred, posterior = _update(prior, rows)
        linear = make_linear(posterior.mean, centred.means)
    patients = episodes.loc[known, "patient_id"].to_numpy(object)
    chosen = choose_trees(rows, patients, partial(_fit_linear, prior), settings.model, choice_rng)
    if chosen is None:
        return PriorFit(prior=centred, rows=rows, posterior=posterior, trees=None, calibration=IDENTITY, model=linear)
    calibration = fit_calibration(
        settings.calibration.method,
        chosen.linear_predictor,
        rows.outcome,
        rows.weights,
        patients=patients,
        settings=settings.calibration,
    )
    served = apply_calibration(carry_on(linear, rows, chosen.parameters, tree_rng), calibration)
    return PriorFit(
        prior=centred,
        rows=rows,
        posterior=posterior,
        trees=chosen.parameters,
        calibration=calibration,
        model=served,
    )


def _make_rows(
    prior: EvidencePrior, episodes: pd.DataFrame, outcome: FloatArray, weights: FloatArray, site_sd: float
) -> Rows:
    return Rows(
        matrix=prior.encoder.transform(episodes),
        outcome=outcome,
        weights=weights * compute_effective_size(weights) / weights.sum(),
        sites=code_sites(episodes["site_id"]),
        site_sd=max(site_sd, LEAST_SITE_SD),
    )


def _update(prior: EvidencePrior, rows: Rows) -> tuple[EvidencePrior, Posterior]:
    centred = recentre(prior, rows.matrix, rows.weights)
    return centred, update_prior(centred, rows)


def _fit_linear(prior: EvidencePrior, rows: Rows) -> LinearModel:
    centred, posterior = _update(prior, rows)
    return make_linear(posterior.mean, centred.means)


def _estimate_site_sd(linear: LinearModel, rows: Rows) -> float:
    sites = pd.Series(rows.sites).where(rows.sites >= 0)
    variance = estimate_site_variance(sites, rows.outcome, rows.weights, linear.linear_predictor(rows.matrix))
    return float(np.sqrt(variance))


def make_prior_response(
    fit: PriorFit, episodes: pd.DataFrame, settings: TrainingSettings, rng: np.random.Generator, *, individual: bool
) -> ResponseModel:
    """Make the served model: its point is the mean of the posterior, its draws have the mean and the covariance.

    Parameters
    ----------
    fit : PriorFit
        From :func:`fit_with_prior`.
    episodes : DataFrame of shape (n, ...)
        The patients with a known outcome; none if there are none.
    settings : TrainingSettings
        Number of draws, and the least difference between sites.
    rng : numpy.random.Generator
        Source of the draws.
    individual : bool
        Whether the interval is that of the individual's probability, as a simulation knows it; if not, it is that of
        the share among patients with the same record, without what the columns do not explain.

    Returns
    -------
    ResponseModel
    """
    prior, weights = fit.prior, fit.posterior.weights
    described = episodes if len(episodes) else prior.episodes
    contributions = fit.model.contributions(prior.encoder.transform(described))[1]
    site_sd = fit.rows.site_sd if fit.rows else settings.uncertainty.min_site_sd
    between_sites = max(site_sd, settings.uncertainty.min_site_sd) ** 2
    kind = "logistic" if fit.trees is None else BOOSTED_LINEAR.name
    return ResponseModel(
        encoder=prior.encoder,
        model=fit.model,
        refits=_draw_models(fit, episodes, min(settings.uncertainty.refits, MOST_DRAWS), rng),
        uncertainty_components=UncertaintyComponents(
            between_sites=between_sites,
            missing=compute_missing_variances(described, contributions, prior.encoder.owners),
            # Sites are among what the columns of the reference patients do not explain.
            unexplained=max(0.0, prior.unexplained - between_sites) if individual else 0.0,
            evidence_share=fit.posterior.evidence_share,
        ),
        domain=fit_domain(prior.encoder, pd.concat([prior.episodes, episodes], ignore_index=True)),
        candidate=Candidate(kind=kind, parameters={EVIDENCE: weights.get(EVIDENCE, 0.0), **(fit.trees or {})}),
        calibration=fit.calibration,
        selection=PlainTable({"belief": name, "weight": weight} for name, weight in weights.items()),
        shows_reasons=fit.trees is not None or fit.posterior.tells_patients_apart,
    )


def fit_served_with_prior(
    prior: EvidencePrior,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rngs: tuple[np.random.Generator, np.random.Generator],
    *,
    individual: bool,
) -> tuple[PriorFit, ResponseModel]:
    """Update a prior by patients and make the served model, on one thread.

    Parameters
    ----------
    prior, episodes, outcome, settings
        As for :func:`fit_with_prior`.
    rngs : tuple of two numpy.random.Generator
        Source of the fit, and of the draws.
    individual : bool
        As for :func:`make_prior_response`.
    """
    fit_rng, draw_rng = rngs
    with threadpool_limits(limits=1):
        fit = fit_with_prior(prior, episodes, outcome, settings, fit_rng)
        known = episodes.loc[~np.isnan(outcome)]
        return fit, make_prior_response(fit, known, settings, draw_rng, individual=individual)


def _draw_models(
    fit: PriorFit, episodes: pd.DataFrame, draws: int, rng: np.random.Generator
) -> tuple[BinaryModel, ...]:
    """Draw linear models; trees are fitted on each anew, to Bayesian-bootstrap weights of the patients."""
    draw_rng, *tree_rngs = rng.spawn(1 + draws)
    drawn = draw_coefficients(fit.posterior, fit.prior.metric, draws, draw_rng)
    linear = [make_linear(values, fit.prior.means) for values in drawn]
    if fit.trees is None or fit.rows is None:
        return tuple(linear)
    patients = episodes["patient_id"].to_numpy(object)
    return tuple(
        apply_calibration(
            carry_on(model, fit.rows, fit.trees, child, draw_bayesian_bootstrap_weights(patients, child)),
            fit.calibration,
        )
        for model, child in zip(linear, tree_rngs, strict=True)
    )


def predict_with_prior(
    train: pd.DataFrame,
    outcome: FloatArray,
    test: pd.DataFrame,
    rng: np.random.Generator,
    *,
    prior: EvidencePrior,
    settings: TrainingSettings,
) -> FloatArray:
    """Update a prior by some patients and predict the log odds of others, shape (m,); as :func:`fit_with_prior`."""
    with threadpool_limits(limits=1):
        fit = fit_with_prior(prior, train, outcome, settings, rng)
    return fit.model.linear_predictor(prior.encoder.transform(test))
