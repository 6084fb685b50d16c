"""Trees that carry on the linear predictor of a prior, where cross-validation shows that they find what it misses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.models.binary.boosting import BOOSTED_LINEAR, BoostedLinearModel, HeldOut, fit_boosted_linear
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.search import search_parameters
from paincast.models.choice import compare_losses, find_simplest
from paincast.models.prior.posterior import Rows
from paincast.settings import ModelSettings
from paincast.splits import count_smaller_class, make_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]
FitLinear = Callable[[Rows], LinearModel]
"""Updates the prior by some rows and returns the linear model."""


class ChosenTrees(NamedTuple):
    """Parameters of trees, and the log odds, shape (n,), that they and the linear predictor give rows held out."""

    parameters: dict[str, Any]
    linear_predictor: FloatArray


def choose_trees(
    rows: Rows,
    patients: npt.NDArray[np.object_],
    fit_linear: FitLinear,
    settings: ModelSettings,
    rng: np.random.Generator,
) -> ChosenTrees | None:
    """Choose the parameters of trees that carry on the linear predictor; None where it is served alone.

    Parameters are searched for by cross-validation, the prior updated anew in each fold. Both models are then compared
    on other folds, for those of the search favour what was found on them; trees are chosen where their log loss is
    lower by more than ``settings.standard_errors`` standard errors of the paired difference between patients.

    Parameters
    ----------
    rows : Rows
        The patients.
    patients : ndarray of shape (n,)
        Patient of each row.
    fit_linear : callable
        Updates the prior.
    settings : ModelSettings
        Candidates, folds, trials, and from how many patients of the smaller class trees are tried.
    rng : numpy.random.Generator
        Source of folds and sampling.
    """
    affordable = count_smaller_class(rows.outcome) >= settings.minimum_flexible
    if "xgboost" not in settings.candidates or not affordable:
        return None
    fold_rng, search_rng, other_rng, fit_rng = rng.spawn(4)
    folds = make_folds(rows.outcome, patients, settings.selection_folds, fold_rng)
    linear = [fit_linear(rows.take(train)) for train, _ in folds]
    losses = [
        compute_log_loss(model.linear_predictor(rows.matrix[test]), rows.outcome[test])
        for model, (_, test) in zip(linear, folds, strict=True)
    ]

    def score_fold(parameters: dict[str, Any], number: int, seed: int) -> tuple[FloatArray, int]:
        train, test = folds[number]
        held_out = HeldOut(rows.matrix[test], rows.outcome[test], rows.weights[test])
        rng = np.random.default_rng(seed)
        model = carry_on(linear[number], rows.take(train), parameters, rng, held_out=held_out)
        return compute_log_loss(model.linear_predictor(held_out.matrix), held_out.outcome), model.n_trees

    parameters = search_parameters(
        score_fold,
        [(rows.weights[test], loss) for loss, (_, test) in zip(losses, folds, strict=True)],
        settings,
        search_rng,
        kind=BOOSTED_LINEAR,
        smaller_class=count_smaller_class(rows.outcome),
        asked_of=rows.matrix.tobytes() + rows.outcome.tobytes(),
    )
    if parameters is None:
        return None
    alone, carried = np.empty(len(rows.outcome)), np.empty(len(rows.outcome))
    other_folds = make_folds(rows.outcome, patients, settings.selection_folds, other_rng)
    for (train, test), child in zip(other_folds, fit_rng.spawn(len(other_folds)), strict=True):
        model = fit_linear(rows.take(train))
        served = carry_on(model, rows.take(train), parameters, child)
        alone[test] = model.linear_predictor(rows.matrix[test])
        carried[test] = served.linear_predictor(rows.matrix[test])
    compared = compare_losses(
        compute_log_loss(np.array([alone, carried]), rows.outcome), weights=rows.weights, groups=patients
    )
    return ChosenTrees(parameters, carried) if find_simplest(compared, settings.standard_errors) == 1 else None


def carry_on(
    linear: LinearModel,
    rows: Rows,
    parameters: dict[str, Any],
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    held_out: HeldOut | None = None,
) -> BoostedLinearModel:
    """Fit trees on top of a linear predictor; ``weights`` multiply those of the rows."""
    return fit_boosted_linear(
        rows.matrix,
        rows.outcome,
        linear=linear,
        parameters=parameters,
        rng=rng,
        weights=rows.weights if weights is None else rows.weights * weights,
        held_out=held_out,
    )
