"""What is known before any patient is seen: a Gaussian prior over the coefficients of a logistic model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast import features
from paincast.contract import BUILT_IN, Contract
from paincast.features import FittedEncoder
from paincast.models.binary.uncertainty_components import compute_missing_variances
from paincast.models.prior.soft_labels import fit_soft_labels

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

UNTOLD_SD = 0.05
"""Standard deviation of an effect, per unit of its column, that is added to what the draws of the evidence say."""

NEW_SD = 0.3
"""The same of a category that no reference patient has."""

RECORDED_SD = 0.1
"""The same of all columns together that no reference patient has recorded and real patients have."""


@dataclass(frozen=True, kw_only=True)
class EvidencePrior:
    """A Gaussian prior over the levels and the coefficients of a logistic model.

    An outcome at one month has one level. A duration has a level for each visit, and its coefficients stand twice:
    those of all visits, and what is different at the first.

    Parameters
    ----------
    encoder : FittedEncoder
        Of the columns, fitted without outcomes.
    means : ndarray of shape (n_encoded,)
        Means of the columns among the reference patients.
    mean : ndarray of shape (n_levels + n_coefficients,)
        Expected log odds of the mean patient, then the expected coefficients.
    covariance : ndarray of shape (n_levels + n_coefficients, n_levels + n_coefficients)
        Their covariance.
    metric : ndarray of shape (n_levels + n_coefficients, n_levels + n_coefficients)
        Mean product of the columns of the design (:func:`make_design`) over the reference patients: with it, a
        covariance of coefficients becomes a mean variance of log odds.
    has_effects : bool
        Whether the evidence tells of effects; else it tells of the level alone.
    unexplained : float
        Variance of individual log odds that neither the columns nor missing values explain.
    episodes : DataFrame of shape (n, ...)
        The reference patients.
    spreads : ndarray of shape (n_coefficients,)
        Unit of each coefficient, in which effects that evidence does not tell have a standard deviation.
    n_levels : int
        Number of levels.
    """

    encoder: FittedEncoder
    means: FloatArray
    mean: FloatArray
    covariance: FloatArray
    metric: FloatArray
    has_effects: bool
    unexplained: float
    episodes: pd.DataFrame
    spreads: FloatArray
    n_levels: int = 1

    @property
    def encodes_patients(self) -> bool:
        """Whether columns that no reference patient has recorded are encoded on real patients."""
        return any(bool(self.episodes[name].isna().all()) for name in self.encoder.owners)


def make_evidence_prior(
    episodes: pd.DataFrame,
    log_odds: FloatArray,
    *,
    splines: bool = True,
    real: pd.DataFrame | None = None,
    contract: Contract = BUILT_IN,
) -> EvidencePrior:
    """Make the prior that follows draws of the evidence.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Reference patients, with the columns that the model may use.
    log_odds : ndarray of shape (n, n_draws)
        Log odds of the outcome of each under each draw of the evidence.
    splines : bool
        Whether numbers are encoded as splines.
    real : DataFrame of shape (m, ...), optional
        Real patients: their categories and columns that no reference patient has are encoded too.
    contract : Contract
        Declares the columns.

    Returns
    -------
    EvidencePrior
    """
    encoder = fit_encoder(episodes, real, splines=splines, contract=contract)
    matrix = encoder.transform(episodes)
    means = matrix.mean(axis=0)
    centred = matrix - means
    design = make_design(centred)
    fitted = fit_soft_labels(design, log_odds, encoder.spreads)
    coefficients = fitted[:, 1:]
    due_to_missing = average_missing_variance(episodes, centred * coefficients.mean(axis=0), encoder.owners)
    distances = log_odds - design @ fitted.T
    untold = np.concatenate([[0.0], (find_untold_sds(matrix, encoder, episodes) / encoder.spreads) ** 2])
    return EvidencePrior(
        encoder=encoder,
        means=means,
        mean=fitted.mean(axis=0),
        covariance=np.cov(fitted.T) + np.diag(untold),
        metric=compute_metric(design),
        has_effects=True,
        unexplained=max(0.0, float((distances**2).mean() - due_to_missing)),
        episodes=episodes,
        spreads=encoder.spreads,
    )


def fit_encoder(
    episodes: pd.DataFrame, real: pd.DataFrame | None, *, splines: bool, contract: Contract = BUILT_IN
) -> FittedEncoder:
    """Fit an encoder to reference patients, with the categories and columns of real ones that these do not have."""
    encoder = features.EpisodeEncoder(splines=splines, contract=contract).fit(episodes)
    return encoder if real is None else encoder.add_levels(real).add_recorded(real)


def find_untold_sds(matrix: FloatArray, encoder: FittedEncoder, episodes: pd.DataFrame) -> FloatArray:
    """Find the standard deviation of each effect, per unit of its column, that is added to what draws say.

    Columns that no reference patient has recorded share one variance, however many they are.
    """
    is_new = np.array([bool(episodes[name].isna().all()) for name in encoder.owners], dtype=bool)
    n_new = len({name for name, new in zip(encoder.owners, is_new, strict=True) if new})
    sds = np.where(matrix.std(axis=0) > 0, UNTOLD_SD, NEW_SD)
    return np.where(is_new, RECORDED_SD / np.sqrt(max(n_new, 1)), sds)


def average_missing_variance(episodes: pd.DataFrame, contributions: FloatArray, owners: Sequence[str]) -> float:
    """Average over patients the variance that is due to their missing values."""
    missing = compute_missing_variances(episodes, contributions, owners)
    return float(sum(variance * float(episodes[name].isna().mean()) for name, variance in missing.items()))


def make_level_prior(
    log_odds: float, sd: float, episodes: pd.DataFrame, *, splines: bool = True, contract: Contract = BUILT_IN
) -> EvidencePrior:
    """Make a prior on the level alone, of evidence that tells how many respond but not who.

    Parameters
    ----------
    log_odds, sd : float
        Mean and standard deviation of the log odds of the mean patient.
    episodes : DataFrame of shape (n, ...)
        Patients on whom the columns are encoded.
    splines : bool
        Whether numbers are encoded as splines.
    contract : Contract
        Declares the columns.
    """
    encoder = features.EpisodeEncoder(splines=splines, contract=contract).fit(episodes)
    matrix = encoder.transform(episodes)
    means = matrix.mean(axis=0)
    return EvidencePrior(
        encoder=encoder,
        means=means,
        mean=np.concatenate([[log_odds], np.zeros(matrix.shape[1])]),
        covariance=np.diag(np.concatenate([[sd**2], (UNTOLD_SD / encoder.spreads) ** 2])),
        metric=compute_metric(make_design(matrix - means)),
        has_effects=False,
        unexplained=0.0,
        episodes=episodes,
        spreads=encoder.spreads,
    )


def recentre(
    prior: EvidencePrior, matrix: FloatArray, weights: FloatArray, visits: IntArray | None = None
) -> EvidencePrior:
    """Let the levels be those of the mean of other patients; half of the metric is theirs.

    Levels and effects have scales of their own, so the levels must be those of the patients who are seen.

    Parameters
    ----------
    prior : EvidencePrior
        The prior.
    matrix : ndarray of shape (n, n_encoded)
        The patients, encoded.
    weights : ndarray of shape (n,)
        Their weights.
    visits : ndarray of int, shape (n,), optional
        As for :func:`make_design`.
    """
    means = np.average(matrix, axis=0, weights=weights)
    n_levels, n_encoded = prior.n_levels, len(means)
    shift = np.eye(len(prior.mean))
    shift[:n_levels, n_levels : n_levels + n_encoded] = means - prior.means
    if len(prior.mean) > n_levels + n_encoded:
        shift[0, n_levels + n_encoded :] = means - prior.means
    back = np.linalg.inv(shift)
    theirs = compute_metric(make_design(matrix - means, visits, n_levels), weights)
    return replace(
        prior,
        means=means,
        mean=shift @ prior.mean,
        covariance=shift @ prior.covariance @ shift.T,
        metric=(back.T @ prior.metric @ back + theirs) / 2.0,
    )


def make_design(centred: FloatArray, visits: IntArray | None = None, n_levels: int = 1) -> FloatArray:
    """Make the design of the model: levels, centred columns and, for a duration, these again at the first visit.

    Parameters
    ----------
    centred : ndarray of shape (n, n_encoded)
        Columns with mean 0.
    visits : ndarray of int, shape (n,), optional
        Number of the visit at which a row is at risk, from 0; by default the outcome is one at a single month.
    n_levels : int
        Number of visits.

    Examples
    --------
    >>> make_design(np.array([[2.0], [3.0]]), np.array([0, 1]), 2).tolist()
    [[1.0, 0.0, 2.0, 2.0], [0.0, 1.0, 3.0, 0.0]]
    """
    if visits is None:
        return np.column_stack([np.ones(len(centred)), centred])
    levels = np.equal.outer(visits, np.arange(n_levels)).astype(float)
    return np.column_stack([levels, centred, centred * (visits == 0)[:, None]])


def compute_metric(design: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Compute the weighted mean product of the columns of a design, shape (n_columns, n_columns)."""
    weight = np.ones(len(design)) if weights is None else weights
    return np.asarray(design.T @ (weight[:, None] * design) / weight.sum())
