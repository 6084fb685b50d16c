"""The models that are compared: ours, and peers by their documented good practice, on the same rows and columns.

None of them sees more than training episodes and outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, ndtri
from skill_measures import Prediction
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from paincast.models.response import fit_response_model
from paincast.schema import EPISODES, TECHNIQUES, model_columns
from paincast.settings import TrainingSettings

FloatArray = npt.NDArray[np.float64]
Frames = Mapping[str, pd.DataFrame]
Outcomes = Mapping[str, FloatArray]
Predict = Callable[[pd.DataFrame], Prediction]
Fit = Callable[[Frames, Outcomes, str, np.random.Generator], Predict]
Make = Callable[[pd.DataFrame, int], Any]

FOLDS = 5
PENALTIES = np.logspace(-4, 2, 13)
"""Grid of C: from a model that is nearly the overall risk to one that is nearly free."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A model to compare.

    Parameters
    ----------
    fit : callable
        ``fit(episodes_by_technique, outcome_by_technique, technique, rng)`` gives a function that predicts; outcomes
        are NaN where follow-up is missing.
    told : str
        What it is, for the table.
    pooled : bool
        Whether one fit serves all techniques.
    """

    fit: Fit
    told: str
    pooled: bool = False


def fit_ours(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:
    """Fit a response model of this package with its default settings."""
    settings = TrainingSettings(jobs=1)
    own, outcome = take_known(episodes[technique], outcomes[technique])
    model = fit_response_model(own, outcome, settings, rng)

    def predict(asked: pd.DataFrame) -> Prediction:
        margins = model.margins(asked)
        reach = ndtri(0.5 + settings.uncertainty.level / 2) * model.margin_spread(asked)
        return Prediction(probability=expit(margins), lower=expit(margins - reach), upper=expit(margins + reach))

    return predict


def take_known(episodes: pd.DataFrame, outcome: FloatArray) -> tuple[pd.DataFrame, FloatArray]:
    """Keep the episodes whose outcome is known."""
    known = np.isfinite(outcome)
    return episodes.loc[known].reset_index(drop=True), outcome[known]


def make_plain(episodes: pd.DataFrame) -> pd.DataFrame:
    """Give the columns a model may see as numbers and categories, skewed numbers on the log scale, missing as missing."""
    held = {}
    for column in model_columns():
        values = episodes[column.name]
        if column.type == "category":
            held[column.name] = pd.Categorical(values, categories=list(column.categories))
        elif column.type == "boolean":
            held[column.name] = values.astype("Float64").to_numpy(float, na_value=np.nan)
        else:
            numbers = values.to_numpy(float, na_value=np.nan)
            held[column.name] = np.log1p(numbers) if EPISODES[column.name].log_scale else numbers
    return pd.DataFrame(held, index=episodes.index)


def list_varying(frame: pd.DataFrame) -> list[str]:
    """List the columns with more than one value in training; the others say nothing."""
    return [str(name) for name in frame if frame[name].nunique() > 1]


def fit_alone(make: Make) -> Fit:
    """Fit an estimator to the episodes of the technique only."""

    def fit(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:
        own, outcome = take_known(episodes[technique], outcomes[technique])
        return _fit_estimator(make, make_plain(own), outcome, rng, make_plain)

    return fit


def fit_pooled(make: Make) -> Fit:
    """Fit an estimator to the episodes of all techniques, the technique being one of the columns."""

    def fit(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:  # noqa: ARG001
        known = [take_known(episodes[name], outcomes[name]) for name in episodes]
        pooled = pd.concat([add_technique(own) for own, _ in known], ignore_index=True)
        return _fit_estimator(make, pooled, np.concatenate([outcome for _, outcome in known]), rng, add_technique)

    return fit


def add_technique(episodes: pd.DataFrame) -> pd.DataFrame:
    """Give the plain columns with the technique as one more."""
    return make_plain(episodes).assign(technique=pd.Categorical(episodes["technique"], categories=list(TECHNIQUES)))


def _fit_estimator(
    make: Make,
    frame: pd.DataFrame,
    outcome: FloatArray,
    rng: np.random.Generator,
    prepare: Callable[[pd.DataFrame], pd.DataFrame],
) -> Predict:
    columns = list_varying(frame)
    estimator = make(frame[columns], int(rng.integers(2**31))).fit(frame[columns], outcome.astype(int))

    def predict(asked: pd.DataFrame) -> Prediction:
        return Prediction(probability=estimator.predict_proba(prepare(asked)[columns])[:, 1])

    return predict


def make_encoder(*, sparse: bool = False, indicators: bool = False) -> ColumnTransformer:
    """Impute, scale numbers and write categories one-hot.

    Marks of what was missing are left out: with them the peers did worse at either size, for values are missing at
    random here.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=indicators), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=sparse),
    )
    return ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("words", words, make_column_selector(dtype_include="category")),
        ]
    )


def make_logistic(frame: pd.DataFrame, seed: int) -> Any:  # noqa: ARG001
    """Logistic regression with the default ridge penalty of scikit-learn."""
    return make_pipeline(make_encoder(), LogisticRegression(max_iter=2000))


def make_logistic_cv(frame: pd.DataFrame, seed: int) -> Any:  # noqa: ARG001
    """Logistic regression, ridge penalty by cross-validated log loss."""
    return make_pipeline(make_encoder(), _cross_validate(seed))


def _cross_validate(seed: int, **more: Any) -> LogisticRegressionCV:
    # Rows come technique by technique and indication by indication: without a shuffle a fold would be one of them.
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    settings = {"Cs": PENALTIES, "cv": folds, "scoring": "neg_log_loss", "max_iter": 2000, "l1_ratios": (0.0,)}
    return LogisticRegressionCV(**{**settings, "use_legacy_attributes": False, **more})


def make_histogram_boosting(frame: pd.DataFrame, seed: int) -> Any:  # noqa: ARG001
    """Histogram gradient boosting: slow learning, small trees, stopped early on held-out log loss."""
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=500,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        l2_regularization=1.0,
        categorical_features="from_dtype",
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=20,
        random_state=seed,
    )


PEERS: Mapping[str, Peer] = {
    "ours": Peer(fit=fit_ours, told="paincast, default settings"),
    "logistic": Peer(fit=fit_alone(make_logistic), told="LogisticRegression, imputation, one-hot"),
    "logistic_cv": Peer(fit=fit_alone(make_logistic_cv), told="LogisticRegressionCV, ridge, log loss"),
    "hgb": Peer(fit=fit_alone(make_histogram_boosting), told="HistGradientBoosting, early stopping"),
    "pooled": Peer(fit=fit_pooled(make_logistic_cv), told="LogisticRegressionCV, technique as a column", pooled=True),
}


def check_names(names: Sequence[str]) -> list[str]:
    """Refuse names that no peer has."""
    unknown = sorted(set(names) - set(PEERS))
    if unknown:
        raise SystemExit(f"no such peer: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return list(names)
