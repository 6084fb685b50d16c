"""How long relief lasts, from published evidence and patients: a prior over hazards at the visits, and its update.

The hazards are those of :mod:`paincast.models.survival.hazard`: a logistic model over the visits at which a patient is
at risk, with a level for each visit and effects that may differ at the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.contract import BUILT_IN, Contract
from paincast.files.serialization import PlainTable
from paincast.models.binary.uncertainty_components import UncertaintyComponents, compute_missing_variances
from paincast.models.domain import fit_domain
from paincast.models.observation_weights import compute_effective_size
from paincast.models.prior.gaussian import (
    EvidencePrior,
    average_missing_variance,
    compute_metric,
    find_untold_sds,
    fit_encoder,
    make_design,
    recentre,
)
from paincast.models.prior.posterior import Posterior, Rows, code_sites, draw_coefficients, update_prior
from paincast.models.prior.response import LEAST_SITE_SD, MOST_DRAWS
from paincast.models.prior.soft_labels import fit_soft_labels
from paincast.models.survival.duration import SMALLEST, DurationModel, compute_log_odds, fit_overall_hazard
from paincast.models.survival.hazard import HazardModel, expand_periods
from paincast.models.survival.response import DurationResponse, explain_hazards
from paincast.outcomes.labels import DIED, LOST_RELIEF
from paincast.settings import UncertaintySettings

FloatArray = npt.NDArray[np.float64]

HAZARD_UNITS = (1.4, 2.8)
"""Units of effects on hazards, and of their difference at the first visit, in those of an effect on a response: effects
add up over the visits, so that a smaller one on each hazard does the same to the probability that relief lasts."""


@dataclass(frozen=True, kw_only=True)
class DurationPrior:
    """A prior over the hazards of losing relief.

    Parameters
    ----------
    prior : EvidencePrior
        Of the hazards; ``unexplained`` is not used.
    months : tuple of float
        The visits.
    unexplained : ndarray of shape (n_months,)
        By visit, the variance of individual log odds that relief lasts which neither the columns nor missing values
        explain.
    """

    prior: EvidencePrior
    months: tuple[float, ...]
    unexplained: FloatArray


def make_duration_prior(
    episodes: pd.DataFrame,
    months: tuple[float, ...],
    survival: FloatArray,
    *,
    splines: bool = True,
    real: pd.DataFrame | None = None,
    contract: Contract = BUILT_IN,
) -> DurationPrior:
    """Make the prior of hazards that follows draws of the evidence.

    A patient counts at a visit as far as relief lasted until then.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Reference patients, with the columns that the model may use.
    months : tuple of float
        The visits.
    survival : ndarray of shape (n, n_months, n_draws)
        Probability of relief at every visit up to each month, under each draw of the evidence.
    splines, real, contract
        As for :func:`paincast.models.prior.gaussian.make_evidence_prior`.
    """
    encoder = fit_encoder(episodes, real, splines=splines, contract=contract)
    matrix = encoder.transform(episodes)
    means, (n, n_months, n_draws) = matrix.mean(axis=0), survival.shape
    visits = np.repeat(np.arange(n_months), n)
    design = make_design(np.tile(matrix - means, (n_months, 1)), visits, n_months)
    at_risk = np.concatenate([np.ones((1, n, n_draws)), survival.swapaxes(0, 1)[:-1]])
    hazards = 1.0 - survival.swapaxes(0, 1) / at_risk
    log_odds = compute_log_odds(hazards).reshape(-1, n_draws)
    at_risk = at_risk.reshape(-1, n_draws)
    spreads = np.concatenate([unit * encoder.spreads for unit in HAZARD_UNITS])
    fitted = fit_soft_labels(design, log_odds, spreads, at_risk)
    sds = np.tile(find_untold_sds(matrix, encoder, episodes), len(HAZARD_UNITS)) / spreads
    prior = EvidencePrior(
        encoder=encoder,
        means=means,
        mean=fitted.mean(axis=0),
        covariance=np.cov(fitted.T) + np.diag(np.concatenate([np.zeros(n_months), sds**2])),
        metric=compute_metric(design, at_risk.mean(axis=1)),
        has_effects=True,
        unexplained=0.0,
        episodes=episodes,
        spreads=spreads,
        n_levels=n_months,
    )
    return DurationPrior(prior=prior, months=months, unexplained=_measure_unexplained(prior, matrix, fitted, survival))


def _measure_unexplained(
    prior: EvidencePrior, matrix: FloatArray, fitted: FloatArray, survival: FloatArray
) -> FloatArray:
    """Measure by visit how far the fitted log odds that relief lasts are from those of the draws."""
    served = np.array([make_hazards(values, prior).survival(matrix) for values in fitted])
    distances = compute_log_odds(survival) - compute_log_odds(served.transpose(1, 2, 0))
    centre = make_hazards(prior.mean, prior)
    due_to_missing = []
    for visit in range(prior.n_levels):
        parts = explain_hazards(centre, prior.means, matrix - prior.means, visit + 1)[1]
        due_to_missing.append(average_missing_variance(prior.episodes, parts, prior.encoder.owners))
    return np.asarray(np.maximum(0.0, (distances**2).mean(axis=(0, 2)) - due_to_missing))


def make_hazards(values: FloatArray, prior: EvidencePrior) -> HazardModel:
    """Make hazards from the log odds of the mean patient at each visit and the coefficients."""
    n_levels, n_encoded = prior.n_levels, len(prior.means)
    coefficients, first = values[n_levels : n_levels + n_encoded], values[n_levels + n_encoded :]
    intercepts = values[:n_levels] - prior.means @ coefficients
    intercepts[0] -= prior.means @ first
    return HazardModel(intercepts=intercepts, coefficients=coefficients, first=first)


@dataclass(frozen=True, kw_only=True)
class DurationFit:
    """A prior of hazards and what patients made of it.

    Parameters
    ----------
    prior : EvidencePrior
        The prior, centred at the mean of the patients, if there are any.
    posterior : Posterior
        Levels and coefficients.
    model : DurationModel
        The served model; its refits are draws with the mean and the covariance of the posterior.
    """

    prior: EvidencePrior
    posterior: Posterior
    model: DurationModel


def fit_durations_with_prior(
    prior: DurationPrior,
    episodes: pd.DataFrame,
    months: FloatArray,
    status: FloatArray,
    weights: FloatArray,
    settings: UncertaintySettings,
    rng: np.random.Generator,
) -> DurationFit:
    """Update a prior of hazards by patients.

    Death is a competing event: its hazards, which no prior tells, are the overall ones of the patients.

    Parameters
    ----------
    prior : DurationPrior
        What is known before.
    episodes : DataFrame of shape (n, ...)
        Episodes; none leave the prior as it is.
    months, status : ndarray of shape (n,)
        Month of loss of relief, death or last visit, and which it was; missing for patients never seen.
    weights : ndarray of shape (n,)
        Weights of the episodes, for example the inverse probability of being seen.
    settings : UncertaintySettings
        Number of draws, and the least difference between sites.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    DurationFit
    """
    seen = np.isfinite(months) & (weights > 0)
    centred, rows, death = prior.prior, None, None
    if seen.any():
        rows = _make_rows(prior, episodes.loc[seen], months[seen], status[seen], weights[seen], settings.min_site_sd)
        centred = recentre(prior.prior, rows.matrix, rows.weights, rows.visits)
        if (status[seen] == DIED).any():
            death = fit_overall_hazard(months, status, prior.months, len(centred.means), weights, DIED)
    posterior = update_prior(centred, rows)
    draws = draw_coefficients(posterior, centred.metric, min(settings.refits, MOST_DRAWS), rng)
    model = DurationModel(
        encoder=centred.encoder,
        cuts=prior.months,
        relief=make_hazards(posterior.mean, centred),
        death=death,
        refits=tuple(make_hazards(values, centred) for values in draws),
        selection=PlainTable({"belief": name, "weight": weight} for name, weight in posterior.weights.items()),
    )
    return DurationFit(prior=centred, posterior=posterior, model=model)


def _make_rows(
    prior: DurationPrior,
    episodes: pd.DataFrame,
    months: FloatArray,
    status: FloatArray,
    weights: FloatArray,
    site_sd: float,
) -> Rows:
    """Expand patients to the visits at which they were at risk; their weights add up to the effective sample size."""
    periods = expand_periods(months, status, prior.months, LOST_RELIEF)
    sizes = weights * compute_effective_size(weights) / weights.sum()
    return Rows(
        matrix=prior.prior.encoder.transform(episodes)[periods.row],
        outcome=periods.event,
        weights=sizes[periods.row],
        sites=code_sites(episodes["site_id"])[periods.row],
        site_sd=max(site_sd, LEAST_SITE_SD),
        visits=periods.interval,
    )


def make_prior_duration_response(
    fit: DurationFit,
    unexplained: FloatArray,
    episodes: pd.DataFrame,
    horizon_months: float,
    settings: UncertaintySettings,
) -> DurationResponse:
    """Make the response of a duration at one horizon.

    Parameters
    ----------
    fit : DurationFit
        From :func:`fit_durations_with_prior`.
    unexplained : ndarray of shape (n_months,)
        By visit, the variance of the individual's log odds; 0 for the share among patients with the same record.
    episodes : DataFrame of shape (n, ...)
        The patients it was fitted to; none if there are none.
    horizon_months : float
        The horizon in months, within the visits.
    settings : UncertaintySettings
        The least difference between sites.
    """
    prior, model = fit.prior, fit.model
    described = episodes if len(episodes) else prior.episodes
    n_visits = int(np.searchsorted(model.cuts, horizon_months + SMALLEST, side="right"))
    away = prior.encoder.transform(described) - prior.means
    parts = explain_hazards(model.relief, prior.means, away, n_visits)[1]
    missing = compute_missing_variances(described, parts, prior.encoder.owners)
    between_sites = settings.min_site_sd**2
    return DurationResponse(
        model=model,
        domain=fit_domain(prior.encoder, pd.concat([prior.episodes, episodes], ignore_index=True)),
        means=prior.means,
        horizon_months=horizon_months,
        missing_variances=missing,
        uncertainty_components=UncertaintyComponents(
            between_sites=between_sites,
            missing=missing,
            unexplained=max(0.0, float(unexplained[n_visits - 1]) - between_sites) if unexplained.any() else 0.0,
            evidence_share=fit.posterior.evidence_share,
        ),
        shows_reasons=fit.posterior.tells_patients_apart,
    )
