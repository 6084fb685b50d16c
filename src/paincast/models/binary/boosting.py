"""Gradient-boosted trees by XGBoost on an encoded matrix, alone or on top of a linear predictor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import special, xgboost
from paincast.disclosure.rounding import round_digits
from paincast.files.bounded import parse_json
from paincast.files.declared_schema import SchemaWriter
from paincast.files.json_schema import Check, compile_schema
from paincast.files.serialization import from_plain, to_plain
from paincast.models.binary.logistic import LinearModel, round_logistic
from paincast.models.binary.model_kind import ModelKind
from paincast.models.booster_file import check_booster
from paincast.models.calibration.affine import AffineCalibration
from paincast.schema import MINIMUM_CELL
from paincast.settings import ModelSettings

if TYPE_CHECKING:
    import optuna

FloatArray = npt.NDArray[np.float64]

COVER = MINIMUM_CELL / 4
"""Largest cover of a node with the minimum number of patients: each patient adds p * (1 - p), at most a quarter."""

LEAF_DIGITS = 3

MOST_TREES = 400
"""Most trees of a search, if the settings name no number."""

PATIENCE = 20
"""A search adds trees until this many in a row have not improved the log loss of the held-out rows."""

CONSTRAINED = "constrained"
"""Parameter that states whether trees follow the expected signs."""

LINEAR = "linear"
"""Attribute of a stored booster that holds the linear predictor which its trees carry on."""


class HeldOut(NamedTuple):
    """Encoded rows that are not fitted, with outcome and weights: trees are added while these are predicted better."""

    matrix: FloatArray
    outcome: FloatArray
    weights: FloatArray


@dataclass(frozen=True, kw_only=True)
class BoostedModel:
    """Gradient-boosted trees on an encoded matrix.

    Parameters
    ----------
    booster : xgboost.Booster
        Trees whose sum, with the base score, is the log odds.
    """

    booster: xgboost.Booster

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,)."""
        if not matrix.size:
            return np.asarray(self.booster.predict(_pack(matrix), output_margin=True), dtype=float)
        # The same digits, without a copy of the matrix for each model.
        return np.asarray(self.booster.inplace_predict(matrix, predict_type="margin"), dtype=float)

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return int(self.booster.num_boosted_rounds())

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the linear predictor.

        Path-dependent TreeSHAP (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), as built into XGBoost.
        """
        if not matrix.size:
            return self.linear_predictor(matrix), np.zeros(matrix.shape)
        values = np.asarray(self.booster.predict(_pack(matrix), pred_contribs=True), dtype=float)
        return values[:, -1], values[:, :-1]

    def recalibrate(self, calibration: AffineCalibration) -> BoostedModel:
        """Fold an affine calibration into the leaves (times the slope) and the base score (shifted)."""
        model = json.loads(self.booster.save_raw("json"))
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
            leaf = np.array(tree["left_children"]) == -1
            conditions = np.array(tree["split_conditions"])
            tree["split_conditions"] = np.where(leaf, conditions * calibration.slope, conditions).tolist()
            tree["base_weights"] = (np.array(tree["base_weights"]) * calibration.slope).tolist()
        parameters = model["learner"]["learner_model_param"]
        base = float(str(parameters["base_score"]).strip("[]"))
        shifted = special.expit(calibration.intercept + calibration.slope * special.logit(base))
        parameters["base_score"] = f"[{shifted:.9E}]"
        return BoostedModel(booster=read_booster(json.dumps(model).encode()))


def fit_boosted(
    matrix: FloatArray,
    outcome: FloatArray,
    *,
    parameters: dict[str, Any],
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    monotone: tuple[int, ...] = (),
    held_out: HeldOut | None = None,
) -> BoostedModel:
    """Fit gradient-boosted trees on log loss.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes; missing values are NaN and each split learns where they go.
    outcome : ndarray of shape (n,)
        0 or 1, both present.
    parameters : dict
        ``n_estimators`` and parameters of XGBoost.
    rng : numpy.random.Generator
        Source of the seed of row and column sampling.
    weights : ndarray of shape (n,), optional
        Weights of the rows.
    monotone : tuple of {-1, 0, 1}
        Direction imposed on each column; empty for none.
    held_out : HeldOut, optional
        With these, ``n_estimators`` is the most trees, and those are kept that predict the held-out rows best.
    """
    settings, rounds = _configure(parameters, rng)
    settings["base_score"] = float(np.average(outcome, weights=weights))
    if any(monotone):
        settings["monotone_constraints"] = monotone
    watched = None if held_out is None else _pack(*held_out)
    return BoostedModel(booster=_train(settings, _pack(matrix, outcome, weights), rounds, watched))


def _train(
    settings: dict[str, Any], packed: xgboost.DMatrix, rounds: int, watched: xgboost.DMatrix | None
) -> xgboost.Booster:
    """Train trees; with watched rows, stop where more trees predict these no better."""
    if watched is None:
        return xgboost.train(settings, packed, num_boost_round=rounds)
    booster = xgboost.train(
        settings,
        packed,
        num_boost_round=rounds,
        evals=[(watched, "held_out")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    return booster[: booster.best_iteration + 1]


def _configure(parameters: dict[str, Any], rng: np.random.Generator) -> tuple[dict[str, Any], int]:
    """Give the settings of XGBoost on one thread, and the number of trees."""
    fixed = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "verbosity": 0}
    own = {name: value for name, value in parameters.items() if name not in ("n_estimators", CONSTRAINED)}
    return {**fixed, "seed": int(rng.integers(2**31)), **own}, int(parameters["n_estimators"])


def read_booster(raw: bytes) -> xgboost.Booster:
    """Read a booster from its JSON or UBJ bytes, for prediction on one thread."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(raw))
    booster.set_param({"nthread": 1})
    return booster


def list_boosting(settings: ModelSettings, *, borrows: bool) -> Sequence[Mapping[str, Any]]:  # noqa: ARG001 (of every kind)
    """Return the parameters that a search tries first."""
    return settings.boosting


def list_signed_boosting(settings: ModelSettings, *, borrows: bool) -> Sequence[Mapping[str, Any]]:
    """Return the same with the expected signs and without."""
    listed = list_boosting(settings, borrows=borrows)
    return [{**parameters, CONSTRAINED: constrained} for parameters in listed for constrained in (True, False)]


def suggest_signed_boosting(trial: optuna.Trial) -> dict[str, Any]:
    """Suggest parameters of XGBoost, and whether trees follow the expected signs."""
    return {**suggest_boosting(trial), CONSTRAINED: trial.suggest_categorical(CONSTRAINED, [True, False])}


def suggest_boosting(trial: optuna.Trial) -> dict[str, Any]:
    """Suggest parameters of XGBoost; the number of trees is found by held-out rows."""
    return {
        "max_depth": trial.suggest_int("max_depth", 1, 5),
        "learning_rate": trial.suggest_float("learning_rate", 0.04, 0.1, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 2.0, 60.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1.0, 100.0, log=True),
        "reg_alpha": trial.suggest_float("reg_alpha", 0.1, 10.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
    }


def round_trees(model: BoostedModel, flags: Sequence[bool], n: int) -> BoostedModel:  # noqa: ARG001 (of every kind)
    """Round leaves and covers, and remove other statistics of the training patients from the trees.

    SHAP values only need the covers; the cover of a node remains the sum of its children, so that they add up.
    """
    state = json.loads(model.booster.save_raw("json"))
    for tree in state["learner"]["gradient_booster"]["model"]["trees"]:
        left, right = tree["left_children"], tree["right_children"]
        covers = [max(1, round(cover / COVER)) * COVER for cover in tree["sum_hessian"]]
        # Children have higher numbers than their parent.
        for node in reversed(range(len(left))):
            if left[node] == -1:
                tree["split_conditions"][node] = round_digits(tree["split_conditions"][node], LEAF_DIGITS)
            else:
                covers[node] = covers[left[node]] + covers[right[node]]
        tree["sum_hessian"] = covers
        tree["loss_changes"] = [0.0] * len(left)
        tree["base_weights"] = [0.0] * len(left)
    return BoostedModel(booster=read_booster(json.dumps(state).encode()))


def _write_trees(model: BoostedModel) -> bytes:
    return bytes(model.booster.save_raw("ubj"))


def _read_trees(raw: bytes) -> BoostedModel:
    check_booster(raw)
    return BoostedModel(booster=read_booster(raw))


def _pack(matrix: FloatArray, outcome: FloatArray | None = None, weights: FloatArray | None = None) -> xgboost.DMatrix:
    return xgboost.DMatrix(matrix, label=outcome, weight=weights, nthread=1)


@dataclass(frozen=True, kw_only=True)
class BoostedLinearModel:
    """A linear predictor and trees that carry it on, for the interactions and bends that it misses.

    Parameters
    ----------
    linear : LinearModel
        The linear predictor.
    trees : BoostedModel
        Trees on the same columns, whose sum is added to it.
    """

    linear: LinearModel
    trees: BoostedModel

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return self.trees.n_trees

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,)."""
        return self.linear.linear_predictor(matrix) + self.trees.linear_predictor(matrix)

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded): the sums of those of both parts."""
        (base, values), (added, further) = self.linear.contributions(matrix), self.trees.contributions(matrix)
        return base + added, values + further

    def recalibrate(self, calibration: AffineCalibration) -> BoostedLinearModel:
        """Fold an affine calibration into both parts."""
        slope = AffineCalibration(0.0, calibration.slope)
        return BoostedLinearModel(linear=self.linear.recalibrate(calibration), trees=self.trees.recalibrate(slope))


def fit_boosted_linear(
    matrix: FloatArray,
    outcome: FloatArray,
    *,
    linear: LinearModel,
    parameters: dict[str, Any],
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    held_out: HeldOut | None = None,
) -> BoostedLinearModel:
    """Fit trees that carry on a linear predictor.

    Parameters
    ----------
    matrix, outcome, parameters, rng, weights, held_out
        As for :func:`fit_boosted`, without missing values.
    linear : LinearModel
        Kept as it is; its log odds are the base margin of the trees.
    """
    settings, rounds = _configure(parameters, rng)
    packed = _pack(matrix, outcome, weights)
    packed.set_base_margin(linear.linear_predictor(matrix))
    watched = None
    if held_out is not None:
        watched = _pack(*held_out)
        watched.set_base_margin(linear.linear_predictor(held_out.matrix))
    booster = _train({**settings, "base_score": 0.5}, packed, rounds, watched)
    return BoostedLinearModel(linear=linear, trees=BoostedModel(booster=booster))


def round_boosted_linear(model: BoostedLinearModel, flags: Sequence[bool], n: int) -> BoostedLinearModel:
    """Round what both parts hold of real patients."""
    return BoostedLinearModel(linear=round_logistic(model.linear, flags, n), trees=round_trees(model.trees, flags, n))


@cache
def _compile_linear_schema() -> Check:
    return compile_schema(SchemaWriter({}).describe_fields(LinearModel))


def _write_both(model: BoostedLinearModel) -> bytes:
    booster = model.trees.booster.copy()
    booster.set_attr(**{LINEAR: json.dumps(to_plain(model.linear))})
    return bytes(booster.save_raw("ubj"))


def _read_both(raw: bytes) -> BoostedLinearModel:
    check_booster(raw)
    booster = read_booster(raw)
    state = parse_json(str(booster.attr(LINEAR)).encode(), LINEAR)
    _compile_linear_schema()(state)
    linear: LinearModel = from_plain(state, LinearModel)
    return BoostedLinearModel(linear=linear, trees=BoostedModel(booster=booster))


XGBOOST = ModelKind(
    name="xgboost",
    model_type=BoostedModel,
    fit=fit_boosted,
    list_parameters=list_signed_boosting,
    round_model=round_trees,
    native_missing=True,
    flexible=True,
    takes_monotone=True,
    suggest=suggest_signed_boosting,
    write_file=_write_trees,
    read_file=_read_trees,
)

BOOSTED_LINEAR = ModelKind(
    name="boosted_logistic",
    model_type=BoostedLinearModel,
    fit=fit_boosted_linear,
    list_parameters=list_boosting,
    round_model=round_boosted_linear,
    flexible=True,
    carries=True,
    suggest=suggest_boosting,
    write_file=_write_both,
    read_file=_read_both,
)
