"""Model the change of pain in points: conditional quantiles, conformalized to give the interval nominal coverage.

The change is the score after minus the score before the procedure: below 0 is less pain. Quantiles are fitted to the
change as a share of the score before, for which the lower limit of the scale is the same for all patients, and reported
in points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from paincast import features
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.disclosure.flow import format_counts_together
from paincast.errors import RefusalError
from paincast.features import FittedEncoder
from paincast.models.continuous.quantiles import conformalize, fit_quantile
from paincast.progress import SILENT, Progress
from paincast.settings import ChangeSettings
from paincast.splits import Fold, count_smaller_class, make_folds
from paincast.statistics import draw_bayesian_bootstrap_weights

FloatArray = npt.NDArray[np.float64]

MEASURE = "pain_nrs"
HIGHEST_SCORE = 10.0
NAMES = ("lower", "median", "upper")


def list_quantiles(level: float) -> tuple[float, float, float]:
    """List the quantiles of an interval: lower limit, median and upper limit."""
    return (1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0


@dataclass(frozen=True, kw_only=True)
class ChangeModel:
    """Median change of pain and its interval, for patients like those it was fitted on.

    Parameters
    ----------
    encoder : FittedEncoder
        Fitted encoder.
    coefficients : ndarray of shape (3, 1 + n_encoded)
        Coefficients (intercept first) of lower limit, median and upper limit of the change as a share of the score
        before.
    corrections : tuple of float
        Conformal corrections subtracted from the lower limit and added to the upper limit, as shares.
    level : float
        Level of the interval.
    penalty : float
        The chosen penalty.
    medians : tuple of ndarray of shape (1 + n_encoded,)
        Coefficients of the median refitted to reweighted patients; empty in models of earlier versions.
    """

    encoder: FittedEncoder
    coefficients: FloatArray
    corrections: tuple[float, float]
    level: float
    penalty: float
    medians: tuple[FloatArray, ...] = ()

    state_version: ClassVar[int] = 1

    def predict(self, episodes: pd.DataFrame) -> pd.DataFrame:
        """Predict the median change in points with its interval.

        Parameters
        ----------
        episodes : DataFrame of shape (n, ...)
            Episodes in the types of the contract.

        Returns
        -------
        DataFrame of shape (n, 3)
            ``lower, median, upper``, indexed like ``episodes``, in ascending order and within the limits of the scale;
            missing if the score before is missing.

        References
        ----------
        Chernozhukov V et al. Econometrica 2010;78:1093-1125. doi:10.3982/ECTA7880 (quantiles put in order)
        """
        shares = _predict_shares(self.coefficients, self.encoder.transform(episodes))
        shares += np.array([-self.corrections[0], 0.0, self.corrections[1]])
        before = _read_before(episodes)
        points = np.clip(shares * _limit_scale(before)[:, None], -before[:, None], (HIGHEST_SCORE - before)[:, None])
        # A correction may move a limit past the median, which must stay inside the interval.
        points[:, 0] = np.minimum(points[:, 0], points[:, 1])
        points[:, 2] = np.maximum(points[:, 2], points[:, 1])
        return pd.DataFrame(points, columns=list(NAMES), index=episodes.index)


def fit_change_model(
    episodes: pd.DataFrame,
    change: FloatArray,
    settings: ChangeSettings,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    *,
    refits: int = 0,
    contract: Contract = BUILT_IN,
) -> ChangeModel:
    """Select a penalty by grouped cross-validation, fit three quantiles and conformalize their interval.

    The conformal scores come from the held-out folds, whereas the served quantiles are fitted to all rows: coverage is
    at least nominal for exchangeable patients, up to the stability of the fit. Weights of the rows are used in the
    selection and the fit; the conformal scores are unweighted.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes of a technique, in the types of the contract.
    change : ndarray of shape (n,)
        Score after minus score before the procedure; rows with a missing change are left out.
    settings : ChangeSettings
        Penalties, folds and level.
    rng : numpy.random.Generator
        Source of the folds.
    weights : ndarray of shape (n,), optional
        Weights of the episodes, for example the inverse probability of being observed.
    refits : int
        Number of refits of the median to Bayesian-bootstrap weights of patients.
    contract : Contract
        Declares the columns.

    Returns
    -------
    ChangeModel

    Raises
    ------
    RefusalError
        If too few episodes have a known change.

    References
    ----------
    Romano Y, Patterson E, Candès E. NeurIPS 2019. doi:10.48550/arXiv.1905.03222
    Barber RF et al. Ann Stat 2021;49:486-507. doi:10.1214/20-AOS1965 (scores of held-out folds)
    """
    weight = np.ones(len(episodes)) if weights is None else np.asarray(weights, dtype=float)
    known = np.isfinite(change) & np.isfinite(_read_before(episodes)) & (weight > 0)
    if known.sum() < settings.minimum_episodes:
        (n_known,) = format_counts_together(int(known.sum()))
        raise RefusalError(
            f"{n_known} episodes with a known change of pain; at least {settings.minimum_episodes} are needed",
            code="PC-MODEL-10",
        )
    observed, weight = episodes.loc[known].reset_index(drop=True), weight[known]
    before = _read_before(observed)
    share = change[known] / _limit_scale(before)
    # A loss in shares, weighted by the score before, is a loss in points.
    weight = weight * _limit_scale(before)
    with threadpool_limits(limits=1, user_api="blas"):
        folds = _make_folds(share, observed["patient_id"].to_numpy(object), settings.folds, rng)
        penalty, held_out = _choose_penalty(observed, share, weight, folds, settings, contract)
        encoder = features.EpisodeEncoder(contract=contract).fit(observed)
        matrix = encoder.transform(observed)
        coefficients = _fit_quantiles(matrix, share, weight, penalty, settings)
        medians = tuple(
            fit_quantile(
                matrix,
                share,
                0.5,
                penalty=penalty,
                bandwidth=settings.bandwidth,
                weights=weight * draw_bayesian_bootstrap_weights(observed["patient_id"], child),
                start=coefficients[1],
            )
            for child in rng.spawn(refits)
        )
    return ChangeModel(
        encoder=encoder,
        coefficients=coefficients,
        corrections=conformalize(held_out, share, settings.confidence),
        level=settings.confidence,
        penalty=penalty,
        medians=medians,
    )


def cross_fit_change(
    episodes: pd.DataFrame,
    change: FloatArray,
    settings: ChangeSettings,
    rng: np.random.Generator,
    *,
    folds: int = 5,
    weights: FloatArray | None = None,
    progress: Progress = SILENT,
    contract: Contract = BUILT_IN,
) -> pd.DataFrame:
    """Predict every episode with a model not fitted on its patient; selection is repeated in each fold.

    Parameters
    ----------
    episodes, change, settings, rng, weights, contract
        As for :func:`fit_change_model`.
    folds : int
        Outer folds.
    progress : Progress
        Advanced by each fold.

    Returns
    -------
    DataFrame of shape (n, 3)
        ``lower, median, upper``, indexed like ``episodes``.
    """
    fold_rng, *streams = rng.spawn(1 + folds)
    splits = _make_folds(change, episodes["patient_id"].to_numpy(object), folds, fold_rng)
    parts = []
    progress.expect(folds)
    for (train, test), child in zip(splits, streams, strict=False):
        weight = None if weights is None else weights[train]
        model = fit_change_model(episodes.iloc[train], change[train], settings, child, weight, contract=contract)
        parts.append(model.predict(episodes.iloc[test]).set_axis(test))
        progress.advance()
    return pd.concat(parts).sort_index().set_axis(episodes.index)


def _choose_penalty(
    episodes: pd.DataFrame,
    share: FloatArray,
    weights: FloatArray,
    folds: list[Fold],
    settings: ChangeSettings,
    contract: Contract,
) -> tuple[float, FloatArray]:
    penalties = sorted(settings.penalties, reverse=True)
    held_out = np.empty((len(penalties), len(share), 3))
    for train, test in folds:
        encoder = features.EpisodeEncoder(contract=contract).fit(episodes.iloc[train])
        matrix, other = encoder.transform(episodes.iloc[train]), encoder.transform(episodes.iloc[test])
        start: FloatArray | None = None
        for index, penalty in enumerate(penalties):
            start = _fit_quantiles(matrix, share[train], weights[train], penalty, settings, start)
            held_out[index, test] = _predict_shares(start, other)
    error = share[:, None] - held_out
    quantiles = np.array(list_quantiles(settings.confidence))
    losses = np.maximum(quantiles * error, (quantiles - 1.0) * error).sum(axis=2) @ weights
    best = int(np.argmin(losses))
    return penalties[best], held_out[best]


def _fit_quantiles(
    matrix: FloatArray,
    share: FloatArray,
    weights: FloatArray,
    penalty: float,
    settings: ChangeSettings,
    starts: FloatArray | None = None,
) -> FloatArray:
    return np.array(
        [
            fit_quantile(
                matrix,
                share,
                quantile,
                penalty=penalty,
                bandwidth=settings.bandwidth,
                weights=weights,
                start=None if starts is None else starts[index],
            )
            for index, quantile in enumerate(list_quantiles(settings.confidence))
        ]
    )


def _predict_shares(coefficients: FloatArray, matrix: FloatArray) -> FloatArray:
    # A matrix product sums in an order that depends on the number of rows.
    added = np.einsum("ij,kj->ik", np.ascontiguousarray(matrix), coefficients[:, 1:])
    return np.sort(coefficients[:, 0] + added, axis=1)


def _make_folds(
    values: FloatArray, patients: npt.NDArray[np.object_], n_folds: int, rng: np.random.Generator
) -> list[Fold]:
    """Make folds stratified by whether a value is above the median; not stratified if all values are the same."""
    high = (values > np.nanmedian(values)).astype(float)
    if count_smaller_class(high, patients) < 2:
        high = (np.arange(len(values)) % 2).astype(float)
    return make_folds(high, patients, n_folds, rng)


def _read_before(episodes: pd.DataFrame) -> FloatArray:
    return np.asarray(episodes[MEASURE].to_numpy(float, na_value=np.nan), dtype=float)


def read_scale(episodes: pd.DataFrame) -> FloatArray:
    """Return the denominator of shares, shape (n,): the score before the procedure, but at least 1."""
    return _limit_scale(_read_before(episodes))


def _limit_scale(before: FloatArray) -> FloatArray:
    return np.maximum(before, 1.0)
