"""The response model as a scikit-learn classifier on a numeric matrix, for comparisons and pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from paincast.errors import SettingsError, suggest_name
from paincast.models.binary.kinds import KINDS, fit_candidate
from paincast.models.binary.model_kind import Candidate
from paincast.models.calibration.affine import IDENTITY, Calibration, fit_calibration
from paincast.models.calibration.calibrated import apply_calibration
from paincast.models.choice import compare_losses, find_simplest
from paincast.settings import ModelSettings
from paincast.splits import Fold, count_smaller_class, make_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]


class ResponseClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Select, fit and calibrate a model of a binary outcome on a numeric matrix.

    The steps are those of :func:`paincast.models.binary.response.fit_response_model`, except for those that need the
    data contract (encoding by declared types, domain, rules). Candidates are compared by cross-validated log loss, with
    the rows of a patient kept together; the simplest within ``standard_errors`` of the best is fitted to all rows and
    calibrated on its cross-fitted linear predictors. Missing values are allowed: trees handle them directly; for a
    linear model they are imputed by means and marked by indicator columns.

    Parameters
    ----------
    kinds : sequence of str
        Kinds of candidates: ``logistic`` (penalised), ``ebm`` (additive steps; needs the extra ``ebm``) and
        ``xgboost``, with the parameter sets at which a search would start.
    calibration : str
        Method of calibration, one of :data:`paincast.settings.CALIBRATION_METHODS`.
    folds : int
        Folds of the cross-validation.
    standard_errors : float
        How many standard errors of the paired difference the chosen candidate may be worse than the best.
    random_state : int, RandomState or None
        Source of folds and sampling.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The two labels in sorted order; probabilities are those of the second.
    n_features_in_ : int
        Number of columns in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all are strings.
    candidate_ : Candidate
        The chosen candidate.
    selection_ : DataFrame
        One row per candidate: ``candidate, kind, log_loss, excess, excess_se, chosen``; None if the smaller class
        had too few patients for a comparison, in which case the simplest candidate is used.
    calibration_ : Calibration
        Calibration of the linear predictors of the chosen model.
    model_ : LinearModel, AdditiveModel or BoostedModel
        Its linear predictor is the decision function.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = np.where(rng.random(200) < expit(2 * X[:, 0]), "relief", "none")
    >>> classifier = ResponseClassifier(kinds=["logistic"], random_state=0).fit(X, y)
    >>> classifier.predict([[2.0, 0.0], [-2.0, 0.0]]).tolist()
    ['relief', 'none']
    """

    def __init__(
        self,
        *,
        kinds: Sequence[str] = ("logistic", "xgboost"),
        calibration: str = "affine",
        folds: int = 5,
        standard_errors: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.kinds = kinds
        self.calibration = calibration
        self.folds = folds
        self.standard_errors = standard_errors
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Select, fit and calibrate.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, n_features)
            Numbers; NaN where missing.
        y : array-like of shape (n,)
            Two different labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows; rows of weight 0 are left out.
        groups : array-like of shape (n,), optional
            Patient of each row; by default each row is a patient.

        Returns
        -------
        ResponseClassifier

        Raises
        ------
        ValueError
            If the input is not valid or does not have two classes with positive weight.
        SettingsError
            If a kind or calibration is unknown, or ``ebm`` is requested and interpret-core is not installed.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        patients = np.arange(len(X)) if groups is None else np.asarray(groups)
        check_consistent_length(X, patients)
        self.classes_ = _find_classes(y, weights)
        kept = weights > 0
        outcome = (y[kept] == self.classes_[1]).astype(np.float64)
        state = check_random_state(self.random_state)
        rng = np.random.default_rng(state.randint(2**31))
        # The matrices are small: several BLAS threads would be slower than one.
        with threadpool_limits(limits=1, user_api="blas"):
            self._fit_rows(X[kept], outcome, weights[kept], pd.factorize(patients[kept])[0], rng)
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return the log odds of the second class, shape (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return np.asarray(self.model_.linear_predictor(self._encode(X)), dtype=np.float64)

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class, shape (n, 2)."""
        linear_predictor = self.decision_function(X)
        return np.column_stack([expit(-linear_predictor), expit(linear_predictor)])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the more probable class, shape (n,)."""
        above = self.decision_function(X) > 0
        return np.asarray(self.classes_[above.astype(int)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def _fit_rows(
        self,
        X: FloatArray,
        outcome: FloatArray,
        weights: FloatArray,
        patients: npt.NDArray[np.intp],
        rng: np.random.Generator,
    ) -> None:
        fold_rng, select_rng, fit_rng = rng.spawn(3)
        candidates = _list_candidates(self.kinds)
        calibration: Calibration = IDENTITY
        smaller_class = count_smaller_class(outcome, patients)
        if smaller_class < 2:
            position, self.selection_ = 0, None
        else:
            folds = make_folds(outcome, patients.astype(object), self.folds, fold_rng)
            linear_predictor = _cross_fit(candidates, X, outcome, weights, folds, select_rng)
            losses = compute_log_loss(linear_predictor, outcome)
            table = compare_losses(losses, weights=weights, groups=patients)
            position = find_simplest(table, self.standard_errors)
            table.insert(0, "candidate", [candidate.label for candidate in candidates])
            table.insert(1, "kind", [candidate.kind for candidate in candidates])
            self.selection_ = table.assign(chosen=table.index == position)
            calibration = fit_calibration(
                self.calibration, linear_predictor[position], outcome, weights, patients=patients
            )
        self.candidate_ = candidates[position]
        self.calibration_ = calibration
        self.encoder_ = _fit_encoder(X, self.candidate_)
        fitted = fit_candidate(self.candidate_, self._encode(X), outcome, fit_rng, weights)
        self.model_ = apply_calibration(fitted, calibration)

    def _encode(self, X: FloatArray) -> FloatArray:
        return X if self.encoder_ is None else np.asarray(self.encoder_.transform(X), dtype=np.float64)


def _find_classes(y: npt.NDArray[Any], weights: FloatArray) -> npt.NDArray[Any]:
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind != "binary":
        raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
    classes = np.unique(y)
    counted = len(np.unique(y[weights > 0]))
    if counted < 2:
        raise ValueError(f"{counted} class has rows of weight above 0; two classes are needed")
    return classes


def _list_candidates(kinds: Sequence[str]) -> tuple[Candidate, ...]:
    for name in kinds:
        if name not in KINDS:
            raise SettingsError(f"kinds: unknown name '{name}'; {suggest_name(name, tuple(KINDS))}", code="PC-MODEL-11")
    if not kinds:
        raise SettingsError(f"kinds is empty; allowed: {', '.join(KINDS)}", code="PC-MODEL-12")
    chosen = [kind for name, kind in KINDS.items() if name in kinds]
    for kind in chosen:
        if kind.require_library:
            kind.require_library(f"kinds: '{kind.name}'", "kinds")
    return tuple(candidate for kind in chosen for candidate in kind.list_candidates(ModelSettings()))


def _fit_encoder(X: FloatArray, candidate: Candidate) -> Pipeline | None:
    if KINDS[candidate.kind].native_missing:
        return None
    filled = SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True)
    return make_pipeline(filled, StandardScaler()).fit(X)


def _cross_fit(
    candidates: Sequence[Candidate],
    X: FloatArray,
    outcome: FloatArray,
    weights: FloatArray,
    folds: Sequence[Fold],
    rng: np.random.Generator,
) -> FloatArray:
    """Cross-fit linear predictors, shape (n_candidates, n); 0 if the other folds have a single class."""
    linear_predictor = np.zeros((len(candidates), len(outcome)))
    for train, test in folds:
        if len(np.unique(outcome[train])) < 2:
            continue
        natives = {KINDS[candidate.kind].native_missing: candidate for candidate in candidates}
        encoders = {native: _fit_encoder(X[train], candidate) for native, candidate in natives.items()}
        for position, candidate in enumerate(candidates):
            encoder = encoders[KINDS[candidate.kind].native_missing]
            fitted_on, held_out = (part if encoder is None else encoder.transform(part) for part in (X[train], X[test]))
            model = fit_candidate(candidate, fitted_on, outcome[train], rng, weights[train])
            linear_predictor[position, test] = model.linear_predictor(held_out)
    return linear_predictor
