"""Borrowing between techniques: what all of them share is fitted together, and each is shrunk towards it.

A technique's own model starts from coefficients that hold for all techniques: one for each encoded column, and one for
the *direction score*, the sum of the predictors that evidence on the technique at hand says point one way, whatever
they are. Only signs of published predictors are used, no sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.features import FittedEncoder
from paincast.models.binary.penalised import SCORE_FACTOR, fit_penalised
from paincast.splits import make_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]

LEVEL_FACTOR = 0.02
"""Penalty of the level of each technique: hardly any."""

L1_RATIO = 0.5


@dataclass(frozen=True, kw_only=True)
class Part:
    """Episodes of one technique, encoded, as they enter the fit of what techniques share.

    Parameters
    ----------
    technique : str
        The technique.
    names : tuple of str
        Names of the encoded columns.
    matrix : ndarray of shape (n, n_encoded)
        Encoded columns in units of :attr:`paincast.features.FittedEncoder.spreads`.
    score : ndarray of shape (n,)
        Direction score.
    outcome, weights : ndarray of shape (n,)
        0 or 1, and weights of the rows.
    patients : ndarray of shape (n,)
        Patient of each row.
    """

    technique: str
    names: tuple[str, ...]
    matrix: FloatArray
    score: FloatArray
    outcome: FloatArray
    weights: FloatArray
    patients: npt.NDArray[np.object_]

    def take(self, rows: npt.NDArray[np.generic]) -> Part:
        """Keep some rows."""
        kept = {name: getattr(self, name)[rows] for name in ("matrix", "score", "outcome", "weights", "patients")}
        return Part(technique=self.technique, names=self.names, **kept)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What techniques share: log odds ratios by encoded column, in units of its spread, and of the direction score."""

    coefficients: Mapping[str, float]
    score: float


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Other techniques to borrow from.

    Parameters
    ----------
    parts : tuple of Part
        Their episodes; none of a patient who is also among those of the technique at hand.
    penalty : float
        Elastic-net penalty of what is shared, chosen by cross-validation among the other techniques.
    """

    parts: tuple[Part, ...] = ()
    penalty: float = 0.03


def weigh_directions(encoder: FittedEncoder, directions: Mapping[str, int]) -> FloatArray:
    """Give the weight of each encoded column in the direction score: a yes counts 1, a number half its z-score."""
    flags = encoder.spreads < 1.0
    signs = np.array([directions.get(str(name), 0) for name in encoder.get_feature_names_out()], dtype=float)
    return np.where(flags, signs, 0.5 * signs)


def make_part(
    technique: str,
    encoder: FittedEncoder,
    matrix: FloatArray,
    directions: Mapping[str, int],
    outcome: FloatArray,
    weights: FloatArray,
    patients: npt.NDArray[np.object_],
) -> Part:
    """Put encoded episodes of a technique in the form in which techniques are fitted together."""
    return Part(
        technique=technique,
        names=tuple(map(str, encoder.get_feature_names_out())),
        matrix=matrix / encoder.spreads,
        score=matrix @ weigh_directions(encoder, directions),
        outcome=outcome,
        weights=weights,
        patients=patients,
    )


def make_pool(
    parts: Sequence[Part],
    patients: npt.NDArray[np.object_],
    rng: np.random.Generator,
    *,
    penalties: Sequence[float],
    most_rows: int,
    folds: int = 3,
) -> Pool:
    """Gather other techniques to borrow from and choose the penalty of what they share.

    Parameters
    ----------
    parts : sequence of Part
        Other techniques.
    patients : ndarray
        Patients of the technique at hand: their episodes elsewhere are left out, so that no split is crossed.
    rng : numpy.random.Generator
        Source of folds, and of the choice of rows.
    penalties : sequence of float
        Penalties to choose from by grouped cross-validation on log loss.
    most_rows : int
        Most episodes taken of a technique.
    folds : int
        Folds of the choice.
    """
    take_rng, fold_rng = rng.spawn(2)
    own = set(patients.tolist())
    kept = [_thin(part, own, most_rows, child) for part, child in zip(parts, take_rng.spawn(len(parts)), strict=True)]
    kept = [part for part in kept if 0 < part.outcome.sum() < len(part.outcome)]
    if not kept:
        return Pool()
    if len(penalties) == 1:
        return Pool(parts=tuple(kept), penalty=penalties[0])
    design, outcome, weights, factors, _ = _stack(kept)
    groups = np.concatenate([part.patients for part in kept])
    losses = np.zeros(len(penalties))
    for train, test in make_folds(outcome, groups, folds, fold_rng):
        for place, penalty in enumerate(penalties):
            fitted = fit_penalised(
                design[train], outcome[train], weights[train], penalty=penalty, l1_ratio=L1_RATIO, factors=factors
            )
            linear_predictor = fitted.intercept + design[test] @ fitted.coefficients
            losses[place] += weights[test] @ compute_log_loss(linear_predictor, outcome[test])
    return Pool(parts=tuple(kept), penalty=penalties[int(np.argmin(losses))])


def _thin(part: Part, own: set[object], most_rows: int, rng: np.random.Generator) -> Part:
    rows = np.flatnonzero([patient not in own for patient in part.patients])
    return part.take(rng.permutation(rows)[:most_rows])


def fit_shared(pool: Pool, own: Part, pool_weights: FloatArray | None = None) -> Shared:
    """Fit what all techniques share, the one at hand among them.

    Parameters
    ----------
    pool : Pool
        Other techniques.
    own : Part
        Training rows of the technique at hand.
    pool_weights : ndarray, optional
        Weights that multiply those of the pool's rows, for refits.

    Returns
    -------
    Shared
        Coefficients of the columns of ``own``, and of the direction score.
    """
    design, outcome, weights, factors, union = _stack([own, *pool.parts])
    if pool_weights is not None:
        weights = np.concatenate([own.weights, weights[len(own.weights) :] * pool_weights])
    fitted = fit_penalised(design, outcome, weights, penalty=pool.penalty, l1_ratio=L1_RATIO, factors=factors)
    held = dict(zip(union, fitted.coefficients, strict=False))
    return Shared(
        coefficients={name: float(held[name]) for name in own.names}, score=float(fitted.coefficients[len(union)])
    )


def _stack(parts: Sequence[Part]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, list[str]]:
    """Give design (columns, score, levels of techniques), outcome, weights, penalty factors and names of columns."""
    union = list(dict.fromkeys(name for part in parts for name in part.names))
    place = {name: position for position, name in enumerate(union)}
    levels = len(parts) if len(parts) > 1 else 0
    design = np.zeros((sum(len(part.outcome) for part in parts), len(union) + 1 + levels), order="F")
    start = 0
    for number, part in enumerate(parts):
        rows = slice(start, start + len(part.outcome))
        design[rows, [place[name] for name in part.names]] = part.matrix - part.matrix.mean(axis=0)
        design[rows, len(union)] = part.score - part.score.mean()
        if levels:
            design[rows, len(union) + 1 + number] = 1.0
        start += len(part.outcome)
    factors = np.concatenate([np.ones(len(union)), [SCORE_FACTOR], np.full(levels, LEVEL_FACTOR)])
    outcome = np.concatenate([part.outcome for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    return design, outcome, weights, factors, union
