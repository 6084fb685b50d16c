"""The response model of a chosen level: what is served, with refits for its interval and its domain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.features import EpisodeEncoder
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.penalised import find_level
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import fit_uncertainty_components
from paincast.models.domain import fit_domain
from paincast.models.updating.levels import Level, Rows, blend, recalibrate_evidence
from paincast.models.updating.prior_evidence import BLENDED, EVIDENCE, OVERALL_RISK, Evidence, make_constant
from paincast.settings import TrainingSettings
from paincast.statistics import draw_bayesian_bootstrap_weights

FloatArray = npt.NDArray[np.float64]


def make_level_model(
    evidence: Evidence,
    level: Level,
    rows: Rows,
    linear_predictor: FloatArray,
    table: pd.DataFrame,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> ResponseModel:
    """Make the response model of a level other than ``real``.

    Refits take the uncertainty of the evidence (its own refits), that of the real rows (Bayesian-bootstrap weights of
    patients) and, for ``blended``, that of the weight (drawn from those that cross-validation could not tell from the
    best). Those of ``average`` are refits of its members, drawn by their shares.

    Parameters
    ----------
    evidence : Evidence
        What is known beforehand.
    level : Level
        Fitted to the real rows.
    rows : Rows
        Real rows with a known outcome.
    linear_predictor : ndarray of shape (n,)
        Cross-fitted log odds of the level for these rows.
    table : DataFrame
        Comparison of the levels, kept as the model's selection.
    settings : TrainingSettings
        Number of refits, penalties.
    rng : numpy.random.Generator
        Source of the weights.
    """
    if level.name == EVIDENCE and evidence.response is not None:
        return replace(evidence.response, selection=table)
    models = [level.model, *_refit(evidence, level, rows, settings, rng)]
    encoder, training = evidence.encoder, rows.sample.episodes
    if evidence.episodes is not None:
        training = pd.concat([evidence.episodes, training], ignore_index=True)
    if not encoder.owners:
        # The same log odds for everyone, on columns that tell who is far from those it was seen in.
        encoder = EpisodeEncoder().fit(training)
        models = [make_constant(one.intercept, len(encoder.owners)) for one in models]
    sample = rows.sample
    contributions = models[0].contributions(encoder.transform(sample.episodes))[1]
    return ResponseModel(
        encoder=encoder,
        model=models[0],
        refits=tuple(models[1:]),
        uncertainty_components=fit_uncertainty_components(
            sample.episodes,
            sample.outcome,
            sample.weights,
            linear_predictor,
            contributions,
            encoder.owners,
            min_site_sd=settings.uncertainty.min_site_sd,
        ),
        domain=fit_domain(encoder, training),
        candidate=replace(level.candidate, parameters=_list_parameters(level)),
        calibration=level.calibration,
        selection=table,
    )


def _list_parameters(level: Level) -> dict[str, object]:
    weights = {one.name: one.weights[0] for one in (level, *level.members) if one.name == BLENDED}
    averaged = {"averaged": len(level.members)} if level.members else {}
    return averaged | ({"synthetic_weight": weights[BLENDED]} if weights else {})


def _refit(
    evidence: Evidence, level: Level, rows: Rows, settings: TrainingSettings, rng: np.random.Generator
) -> list[LinearModel]:
    streams = rng.spawn(settings.uncertainty.refits)
    return [_refit_once(evidence, level, rows, settings, number, child) for number, child in enumerate(streams)]


def _refit_once(
    evidence: Evidence,
    level: Level,
    rows: Rows,
    settings: TrainingSettings,
    number: int,
    rng: np.random.Generator,
) -> LinearModel:
    real_rng, simulated_rng, choice_rng = rng.spawn(3)
    if level.members:
        level = level.members[int(choice_rng.choice(len(level.members), p=level.shares))]
    drawn = draw_bayesian_bootstrap_weights(rows.sample.patients, real_rng)
    weights = rows.sample.weights * drawn
    if level.name == OVERALL_RISK:
        return make_constant(find_level(rows.sample.outcome, weights, np.zeros(len(weights))))
    if level.name == BLENDED:
        return blend(
            evidence,
            rows,
            float(choice_rng.choice(level.weights)),
            settings.model,
            weights=drawn,
            simulated_weights=draw_bayesian_bootstrap_weights(evidence.patients, simulated_rng),
        )
    base = evidence.refits[number % len(evidence.refits)]
    if level.name == EVIDENCE:
        return base
    return base.recalibrate(recalibrate_evidence(level.name, base, rows, weights, settings))
