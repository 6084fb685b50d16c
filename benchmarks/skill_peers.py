"""The models that are compared: ours, and peers by their documented good practice, on the same rows and columns.

None of them sees more than training episodes and outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skill_automl import BUDGET_SECONDS, fit_elsewhere
from skill_measures import Prediction
from skill_tuned import (
    NO_SIGNS,
    TRIALS,
    TechniqueProducts,
    keep_numbers,
    make_explainable_boosting,
    make_light_boosting,
    make_tuned_boosting,
)
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from paincast.contract import BUILT_IN
from paincast.evidence.expected_signs import load_expected_signs
from paincast.schema import EPISODES, TECHNIQUES

FloatArray = npt.NDArray[np.float64]
Frames = Mapping[str, pd.DataFrame]
Outcomes = Mapping[str, FloatArray]
Predict = Callable[[pd.DataFrame], Prediction]
Fit = Callable[[Frames, Outcomes, str, np.random.Generator], Predict]
Make = Callable[[pd.DataFrame, int], Any]

OURS = "ours"
POOLED = "ours_pooled"
ALONE = "ours_alone"
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
        Whether it learns from all techniques.
    asked_only : bool
        Whether it runs only where it is named, for what it takes.
    """

    fit: Fit
    told: str
    pooled: bool = False
    asked_only: bool = False


def fit_ours(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:
    """Update the published evidence by the episodes of the technique, as a rehearsal does, with default settings."""
    from paincast.evidence.records import primary_horizon
    from paincast.models.prior.gaussian import make_evidence_prior
    from paincast.models.prior.response import MOST_DRAWS, fit_with_prior, make_prior_response
    from paincast.settings import TrainingSettings, UncertaintySettings
    from paincast.simulator.evidence_draws import draw_evidence

    settings = TrainingSettings(jobs=1, uncertainty=UncertaintySettings(refits=MOST_DRAWS))
    prior_rng, fit_rng, draw_rng = rng.spawn(3)
    drawn = draw_evidence(technique, "pain_response", primary_horizon(technique), scenario="literature", rng=prior_rng)
    prior = make_evidence_prior(drawn.episodes, drawn.log_odds)
    own, outcome = episodes[technique].assign(site_id=None), outcomes[technique]
    fit = fit_with_prior(prior, own, outcome, settings, fit_rng)
    model = make_prior_response(fit, own.loc[np.isfinite(outcome)], settings, draw_rng, individual=True)
    return _predict_interval(model, settings.uncertainty.confidence)


def fit_without_prior(
    episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator, *, borrows: bool = True
) -> Predict:
    """Fit a response model as techniques without a prior get it, the other techniques beside it."""
    from paincast.models.binary.response import fit_response_model
    from paincast.models.binary.surroundings import make_parts, make_surroundings
    from paincast.settings import TrainingSettings

    settings = TrainingSettings(jobs=1)
    part_rng, pool_rng, fit_rng = rng.spawn(3)
    beside = {name: (episodes[name], outcomes[name]) for name in episodes if borrows or name == technique}
    parts = make_parts(beside, settings, part_rng)
    around = make_surroundings(technique, episodes[technique], parts, settings, pool_rng)
    model = fit_response_model(episodes[technique], outcomes[technique], settings, fit_rng, surroundings=around)
    return _predict_interval(model, settings.uncertainty.confidence)


def _predict_interval(model: Any, confidence: float) -> Predict:
    def predict(asked: pd.DataFrame) -> Prediction:
        answer = model.answer(asked, confidence)
        return Prediction(**{name: answer[name].to_numpy(float) for name in ("probability", "lower", "upper")})

    return predict


def take_known(episodes: pd.DataFrame, outcome: FloatArray) -> tuple[pd.DataFrame, FloatArray]:
    """Keep the episodes whose outcome is known."""
    known = np.isfinite(outcome)
    return episodes.loc[known].reset_index(drop=True), outcome[known]


def make_plain(episodes: pd.DataFrame) -> pd.DataFrame:
    """Give the columns a model may see as numbers and categories; skewed numbers on the log scale."""
    held = {}
    for column in BUILT_IN.model_columns:
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


def fit_alone(make: Make, *, signed: bool = False) -> Fit:
    """Fit an estimator to the episodes of the technique only; ``signed`` gives it the signs that our trees get."""

    def fit(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:
        own, outcome = take_known(episodes[technique], outcomes[technique])
        told = partial(make, signs=load_expected_signs(technique, strong=True)) if signed else make
        return _fit_estimator(told, make_plain(own), outcome, rng, make_plain)

    return fit


def fit_pooled(make: Make) -> Fit:
    """Fit an estimator to the episodes of all techniques, the technique being one of the columns."""

    def fit(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:  # noqa: ARG001
        known = [take_known(episodes[name], outcomes[name]) for name in episodes]
        pooled = pd.concat([add_technique(own) for own, _ in known], ignore_index=True)
        return _fit_estimator(make, pooled, np.concatenate([outcome for _, outcome in known]), rng, add_technique)

    return fit


def fit_automl(name: str) -> Fit:
    """Fit an automatic learner in its own environment to the episodes of the technique only."""

    def fit(episodes: Frames, outcomes: Outcomes, technique: str, rng: np.random.Generator) -> Predict:
        own, outcome = take_known(episodes[technique], outcomes[technique])
        frame = make_plain(own)
        columns = list_varying(frame)
        ask = fit_elsewhere(name, frame[columns], outcome, int(rng.integers(2**31)))
        return lambda asked: Prediction(probability=ask(make_plain(asked)[columns]))

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

    Without marks of what was missing the peers that train per technique did better at either size (two seeds). The
    pooled model did better with them at n = 150 and worse at 2,000, so it is compared both ways.
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
    settings = {"Cs": PENALTIES, "cv": _shuffle(seed), "scoring": "neg_log_loss", "max_iter": 2000, "l1_ratios": (0.0,)}
    return LogisticRegressionCV(**{**settings, "use_legacy_attributes": False, **more})


def _shuffle(seed: int) -> StratifiedKFold:
    # Rows come technique by technique and indication by indication: without a shuffle a fold would be one of them.
    return StratifiedKFold(FOLDS, shuffle=True, random_state=seed)


def make_histogram_boosting(frame: pd.DataFrame, seed: int, signs: Mapping[str, int] = NO_SIGNS) -> Any:
    """Histogram gradient boosting: slow learning, small trees, stopped early on held-out log loss."""
    return HistGradientBoostingClassifier(
        monotonic_cst=keep_numbers(signs, frame) or None,
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


def make_tuned_histogram_boosting(frame: pd.DataFrame, seed: int, signs: Mapping[str, int] = NO_SIGNS) -> Any:
    """Histogram gradient boosting, rounds and size of trees by cross-validated log loss."""
    model = make_histogram_boosting(frame, seed, signs).set_params(early_stopping=False)
    grid = {"max_iter": (40, 80, 160), "max_leaf_nodes": (2, 4, 8)}
    return GridSearchCV(model, grid, scoring="neg_log_loss", cv=_shuffle(seed))


def make_elastic_net(frame: pd.DataFrame, seed: int) -> Any:  # noqa: ARG001
    """Logistic regression, elastic net, both penalties by cross-validated log loss."""
    mixes = {"l1_ratios": (0.1, 0.5, 1.0), "solver": "saga", "tol": 1e-3, "max_iter": 500}
    return make_pipeline(make_encoder(), _cross_validate(seed, Cs=np.logspace(-2.5, 0.5, 9), **mixes))


def make_marked_logistic_cv(frame: pd.DataFrame, seed: int) -> Any:  # noqa: ARG001
    """The same, with marks of what was missing: between techniques they tell which columns a technique records."""
    return make_pipeline(make_encoder(indicators=True), _cross_validate(seed))


def make_pooled_products(frame: pd.DataFrame, seed: int) -> Any:  # noqa: ARG001
    """Logistic regression, shared slopes and a deviation for each technique, ridge by cross-validated log loss."""
    return make_pipeline(TechniqueProducts(make_encoder()), _cross_validate(seed, Cs=np.logspace(-4, 0, 9)))


PEERS: Mapping[str, Peer] = {
    OURS: Peer(fit=fit_ours, told="paincast, published evidence updated by the patients"),
    POOLED: Peer(fit=fit_without_prior, told="paincast, no evidence, other techniques beside"),
    ALONE: Peer(
        fit=partial(fit_without_prior, borrows=False),
        told="paincast, no evidence, no other techniques",
        asked_only=True,
    ),
    "logistic": Peer(fit=fit_alone(make_logistic), told="LogisticRegression, imputation, one-hot"),
    "logistic_cv": Peer(fit=fit_alone(make_logistic_cv), told="LogisticRegressionCV, ridge, log loss"),
    "elastic_net": Peer(fit=fit_alone(make_elastic_net), told="LogisticRegressionCV, elastic net, log loss"),
    "hgb": Peer(fit=fit_alone(make_histogram_boosting), told="HistGradientBoosting, early stopping"),
    "hgb_tuned": Peer(fit=fit_alone(make_tuned_histogram_boosting), told="HistGradientBoosting, grid of 9"),
    "xgboost": Peer(fit=fit_alone(make_tuned_boosting), told=f"XGBoost, {TRIALS} trials of optuna, sigmoid"),
    "hgb_signs": Peer(
        fit=fit_alone(make_tuned_histogram_boosting, signed=True), told="HistGradientBoosting, grid of 9, with signs"
    ),
    "xgboost_signs": Peer(
        fit=fit_alone(make_tuned_boosting, signed=True), told=f"XGBoost, {TRIALS} trials of optuna, sigmoid, with signs"
    ),
    "lightgbm": Peer(fit=fit_alone(make_light_boosting), told="LightGBM, grid of 9", asked_only=True),
    "lightgbm_signs": Peer(
        fit=fit_alone(make_light_boosting, signed=True), told="LightGBM, grid of 9, with signs", asked_only=True
    ),
    "ebm": Peer(fit=fit_alone(make_explainable_boosting), told="explainable boosting machine, time bounded"),
    "pooled": Peer(fit=fit_pooled(make_logistic_cv), told="LogisticRegressionCV, technique as a column", pooled=True),
    "pooled_marked": Peer(
        fit=fit_pooled(make_marked_logistic_cv), told="the same, with marks of missing values", pooled=True
    ),
    "pooled_products": Peer(
        fit=fit_pooled(make_pooled_products), told="LogisticRegressionCV, technique x column", pooled=True
    ),
    "pooled_hgb": Peer(
        fit=fit_pooled(make_histogram_boosting), told="HistGradientBoosting, technique as a column", pooled=True
    ),
    "flaml": Peer(fit=fit_automl("flaml"), told=f"FLAML, {BUDGET_SECONDS} s a technique", asked_only=True),
    "autogluon": Peer(fit=fit_automl("autogluon"), told=f"AutoGluon, {BUDGET_SECONDS} s a technique", asked_only=True),
}


def list_usual() -> list[str]:
    """List the peers of a run in which none is named."""
    return [name for name, peer in PEERS.items() if not peer.asked_only]


def check_names(names: Sequence[str]) -> list[str]:
    """Refuse names that no peer has."""
    unknown = sorted(set(names) - set(PEERS))
    if unknown:
        raise SystemExit(f"no such peer: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return list(names)
