"""The levels between what evidence says and what real patients say, each fitted to real rows.

All are linear in the log odds. From those that stand most on evidence to those that stand least [1]_ [2]_:

=================== ================================================================================================
level               what it is
=================== ================================================================================================
evidence            the model of a simulated cohort (or a published rate) as it is
intercept           the same with the level of risk of the real patients
intercept_and_slope the same with its log odds stretched or shrunk as well
blended             one penalised refit on the simulated rows, weighted, and the real ones
overall_risk        the share of the real patients with the outcome; in place of the three where nothing is simulated
average             the log odds of all these, averaged by how well each predicts real patients
real                the usual choice among penalised models, on the real rows alone
=================== ================================================================================================

References
----------
.. [1] Steyerberg EW et al. Validation and updating of predictive logistic regression models. Stat Med 2004;23:2567-86.
   doi:10.1002/sim.1844
.. [2] Ibrahim JG, Chen MH. Power prior distributions for regression models. Stat Sci 2000;15:46-60.
   doi:10.1214/ss/1009212673 (rows of another source with a weight below 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.features import EpisodeEncoder
from paincast.models.binary.logistic import LinearModel, average_linear
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.penalised import find_level, fit_penalised
from paincast.models.binary.selection import Sample, encode_sample, select_candidate
from paincast.models.calibration.affine import IDENTITY, AffineCalibration, fit_affine_calibration
from paincast.models.choice import compare_losses
from paincast.models.updating.prior_evidence import (
    AVERAGE,
    BLENDED,
    EVIDENCE,
    INTERCEPT,
    OVERALL_RISK,
    REAL,
    Evidence,
    make_constant,
)
from paincast.settings import ModelSettings, TrainingSettings
from paincast.splits import count_smaller_class, make_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]

LINEAR = Candidate(kind="logistic", parameters={})

SOURCE_FACTOR = 1e-4
"""Penalty of the difference in the level of risk between simulated and real rows: hardly any."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Real rows with a known outcome, encoded once as the evidence sees them.

    Parameters
    ----------
    sample : Sample
        The rows.
    matrix : ndarray of shape (n, n_encoded)
        By the encoder of the evidence, which no real row has shaped.
    """

    sample: Sample
    matrix: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> Rows:
        """Keep some rows."""
        return Rows(sample=self.sample.take(rows), matrix=self.matrix[rows])


def make_rows(evidence: Evidence, episodes: pd.DataFrame, outcome: FloatArray, weights: FloatArray) -> Rows:
    """Encode real rows; outcome and weights are those of :class:`paincast.models.binary.selection.Sample`."""
    sample = Sample(episodes=episodes, outcome=outcome, weights=weights)
    return Rows(sample=sample, matrix=evidence.encoder.transform(episodes))


@dataclass(frozen=True, kw_only=True)
class Level:
    """One fitted level.

    Parameters
    ----------
    name : str
        Which one.
    model : LinearModel
        On the columns of ``encoder``.
    encoder : EpisodeEncoder, optional
        None means that of the evidence.
    calibration : AffineCalibration
        What was folded into the model of the level before.
    candidate : Candidate
        What was chosen, for the level ``real``.
    weights : tuple of float
        Of ``blended``: the weight of a simulated row that was chosen, and then the others that cross-validation could
        not tell from it.
    members : tuple of Level
        Of ``average``: what was averaged.
    shares : tuple of float
        Their shares, which add up to 1.
    """

    name: str
    model: LinearModel
    encoder: EpisodeEncoder | None = None
    calibration: AffineCalibration = IDENTITY
    candidate: Candidate = LINEAR
    weights: tuple[float, ...] = ()
    members: tuple[Level, ...] = ()
    shares: tuple[float, ...] = ()

    def linear_predictor(self, rows: Rows) -> FloatArray:
        """Give the log odds of rows, shape (n,)."""
        if self.encoder is None:
            return self.model.linear_predictor(rows.matrix)
        return self.model.linear_predictor(self.encoder.transform(rows.sample.episodes))


def fit_level(name: str, evidence: Evidence, rows: Rows, settings: TrainingSettings, rng: np.random.Generator) -> Level:
    """Fit one level to real rows.

    Parameters
    ----------
    name : str
        One of ``evidence.levels``.
    evidence : Evidence
        What is known beforehand.
    rows : Rows
        Real rows, both classes among them.
    settings : TrainingSettings
        Candidates, penalties and weights.
    rng : numpy.random.Generator
        Source of folds.
    """
    if name == REAL:
        return _fit_real(rows, settings, rng)
    if name == OVERALL_RISK:
        risk = find_level(rows.sample.outcome, rows.sample.weights, np.zeros(len(rows.sample.outcome)))
        return Level(name=name, model=make_constant(risk))
    assert evidence.model is not None
    if name == EVIDENCE:
        return Level(name=name, model=evidence.model)
    if name == BLENDED:
        weights = _list_weights(evidence, rows, settings, rng)
        return Level(name=name, model=blend(evidence, rows, weights[0], settings.model), weights=weights)
    calibration = recalibrate_evidence(name, evidence.model, rows, rows.sample.weights, settings)
    return Level(name=name, model=evidence.model.recalibrate(calibration), calibration=calibration)


def average_levels(members: Sequence[Level], shares: FloatArray) -> Level:
    """Average levels on the columns of the evidence; those without a share are left out."""
    kept = [(level, float(share)) for level, share in zip(members, shares, strict=True) if share > 0.0]
    levels, weights = zip(*kept, strict=True)
    model = average_linear([level.model for level in levels], np.array(weights))
    return Level(name=AVERAGE, model=model, members=levels, shares=weights)


def recalibrate_evidence(
    name: str, model: LinearModel, rows: Rows, weights: FloatArray, settings: TrainingSettings
) -> AffineCalibration:
    """Fit the intercept, or intercept and slope, that bring a model of the evidence to the real rows."""
    linear_predictor, outcome = model.linear_predictor(rows.matrix), rows.sample.outcome
    if name == INTERCEPT:
        return AffineCalibration(find_level(outcome, weights, linear_predictor), 1.0)
    prior = settings.ladder.slope_prior_sd
    return fit_affine_calibration(linear_predictor, outcome, slope_prior_sd=prior, weights=weights)


def blend(
    evidence: Evidence,
    rows: Rows,
    weight: float,
    settings: ModelSettings,
    *,
    weights: FloatArray | None = None,
    simulated_weights: FloatArray | None = None,
) -> LinearModel:
    """Refit one ridge-penalised logistic model on simulated rows, weighted, and real ones.

    The two share coefficients, not the level of risk: simulated rows say which patients fare better, real ones how many
    do. The penalty is that of the loosest of ``settings.ridge_prior_sds``.

    Parameters
    ----------
    evidence : Evidence
        With simulated rows.
    rows : Rows
        Real rows.
    weight : float
        Weight of a simulated row beside a real one.
    settings : ModelSettings
        Penalty.
    weights, simulated_weights : ndarray, optional
        Multiply the weights of the real and of the simulated rows; real rows of weight 0 are not fitted to.
    """
    real = rows.sample.weights if weights is None else rows.sample.weights * weights
    simulated = weight * (evidence.weights if simulated_weights is None else evidence.weights * simulated_weights)
    spreads = evidence.encoder.spreads
    source = np.concatenate([np.ones(len(simulated)), np.zeros(len(real))])
    design = np.column_stack([np.concatenate([evidence.matrix, rows.matrix]) / spreads, source])
    total = np.concatenate([simulated, real])
    fitted = fit_penalised(
        design,
        np.concatenate([evidence.outcome, rows.sample.outcome]),
        total,
        penalty=1.0 / max(settings.ridge_prior_sds) ** 2 / float(total.sum()),
        l1_ratio=0.0,
        factors=np.concatenate([np.ones(len(spreads)), [SOURCE_FACTOR]]),
    )
    return LinearModel(
        intercept=fitted.intercept,
        coefficients=fitted.coefficients[:-1] / spreads,
        means=np.average(rows.matrix, axis=0, weights=real),
    )


def _list_weights(
    evidence: Evidence, rows: Rows, settings: TrainingSettings, rng: np.random.Generator
) -> tuple[float, ...]:
    """Choose the weight of a simulated row by cross-validation on the real rows, and name those as good."""
    grid = sorted(settings.ladder.synthetic_weights, reverse=True)
    sample = rows.sample
    if len(grid) == 1 or count_smaller_class(sample.outcome, sample.patients) < 2:
        return (grid[0],)
    linear_predictor = np.zeros((len(grid), len(sample.outcome)))
    for train, test in make_folds(sample.outcome, sample.patients, settings.model.selection_folds, rng):
        kept = np.zeros(len(sample.outcome))
        kept[train] = 1.0
        for place, weight in enumerate(grid):
            model = blend(evidence, rows, weight, settings.model, weights=kept)
            linear_predictor[place, test] = model.linear_predictor(rows.matrix[test])
    table = compare_losses(
        compute_log_loss(linear_predictor, sample.outcome), weights=sample.weights, groups=sample.patients
    )
    best = int(np.argmin(table["log_loss"]))
    alike = np.flatnonzero(table["excess"] <= table["excess_se"])
    return (grid[best], *(grid[place] for place in alike if place != best))


def _fit_real(rows: Rows, settings: TrainingSettings, rng: np.random.Generator) -> Level:
    """Choose and calibrate a model on real rows alone; the overall risk where a class is too small to be split."""
    sample = rows.sample
    if count_smaller_class(sample.outcome, sample.patients) < 2:
        risk = find_level(sample.outcome, sample.weights, np.zeros(len(sample.outcome)))
        return Level(name=REAL, model=make_constant(risk, rows.matrix.shape[1]))
    selection_rng, fit_rng = rng.spawn(2)
    own = make_real_settings(settings)
    selection = select_candidate(sample, own.model, selection_rng)
    encoded = encode_sample(sample, own.model)
    model = selection.fit(encoded, fit_rng)
    assert isinstance(model, LinearModel)
    calibration = IDENTITY
    if settings.calibration.method == "affine":
        linear_predictor, prior = selection.chosen_linear_predictor, settings.calibration.slope_prior_sd
        calibration = fit_affine_calibration(
            linear_predictor, sample.outcome, slope_prior_sd=prior, weights=sample.weights
        )
    return Level(
        name=REAL,
        model=model.recalibrate(calibration),
        encoder=encoded.encoders[False],
        calibration=calibration,
        candidate=selection.chosen,
    )


def make_real_settings(settings: TrainingSettings) -> TrainingSettings:
    """Give the settings with which real rows speak alone: linear models that borrow nothing and are given no signs."""
    alone = replace(settings.model, candidates=["logistic"], borrowing=[0.0], directions=False, monotone=False)
    return replace(settings, model=alone)
