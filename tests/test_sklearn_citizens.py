"""What is offered to scikit-learn behaves as scikit-learn expects; each exception has its reason."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from paincast.contract import BUILT_IN
from paincast.errors import DataError, SettingsError
from paincast.features import EpisodeEncoder
from paincast.models.estimator import ResponseClassifier

pytestmark = pytest.mark.slow

HAS_ADDITIVE = find_spec("interpret") is not None
QUICK = {"folds": 3, "random_state": 0}
# Columns on the log scale come last: scikit-learn's matrices hold negative numbers.
NUMBERS = [
    column.name
    for column in sorted(BUILT_IN.model_columns, key=lambda column: column.log_scale)
    if column.type == "number"
]


class ContractColumns(TransformerMixin, BaseEstimator):
    """Give the columns of a plain matrix the names of numeric columns of the data contract.

    The checks of scikit-learn know nothing but plain matrices; behind this step they reach the encoder.
    """

    def fit(self, X, y=None):  # noqa: ARG002 (scikit-learn passes the outcome)
        validate_data(self, X, dtype=float, ensure_all_finite="allow-nan")
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, ensure_all_finite="allow-nan", reset=False)
        return pd.DataFrame(X, columns=NUMBERS[: X.shape[1]])

    def get_feature_names_out(self, input_features=None):  # noqa: ARG002 (ditto)
        return np.array(NUMBERS[: self.n_features_in_], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def list_expected(estimator):
    if isinstance(estimator, ResponseClassifier) and {"logistic", "ebm"} & set(estimator.kinds):
        torn = "folds are drawn over rows: a row given twice may stand in two folds, one of weight 2 in one only"
        cut = "; additive steps are cut at quantiles of rows, whatever their weight" if "ebm" in estimator.kinds else ""
        return {"check_sample_weight_equivalence_on_dense_data": torn + cut}
    if isinstance(estimator, Pipeline):
        in_place = "a pipeline fits its steps in place"
        return {
            "check_estimators_overwrite_params": in_place,
            "check_dont_overwrite_parameters": in_place,
            "check_estimators_nan_inf": "a pipeline does not pass on that its steps take missing values",
        }
    return {}


@parametrize_with_checks(
    [
        ResponseClassifier(kinds=["logistic"]),
        ResponseClassifier(kinds=["xgboost"]),
        *([ResponseClassifier(kinds=["ebm"])] if HAS_ADDITIVE else []),
        make_pipeline(ContractColumns(), EpisodeEncoder()),
        make_pipeline(ContractColumns(), EpisodeEncoder(native_missing=True)),
    ],
    expected_failed_checks=list_expected,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def make_rows(n=240, seed=0):
    """A table of two measurements with gaps, and labels that depend on the first."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n))
    labels = np.where(rng.random(n) < expit(1.5 * first), "relief", "none")
    return pd.DataFrame({"first": first, "second": np.where(rng.random(n) < 0.2, np.nan, second)}), labels


def test_labels_names_and_counts_are_kept():
    X, y = make_rows()
    fitted = ResponseClassifier(kinds=["logistic"], **QUICK).fit(X, y)
    assert fitted.classes_.tolist() == ["none", "relief"]
    assert fitted.feature_names_in_.tolist() == ["first", "second"]
    assert fitted.n_features_in_ == 2
    assert set(fitted.predict(X)) == {"none", "relief"}
    np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], expit(fitted.decision_function(X)))
    assert fitted.selection_["chosen"].sum() == 1
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.rename(columns={"first": "third"}))


def test_pipeline_cross_validation_and_clone():
    X, y = make_rows()
    classifier = ResponseClassifier(**QUICK)
    scores = cross_val_score(make_pipeline(StandardScaler(), classifier), X, y, scoring="roc_auc", cv=3)
    assert scores.mean() > 0.7
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params()
    np.testing.assert_array_equal(copied.fit(X, y).predict_proba(X), classifier.fit(X, y).predict_proba(X))


def test_output_of_earlier_steps_may_be_a_table():
    X, y = make_rows()
    pipeline = make_pipeline(StandardScaler(), ResponseClassifier(kinds=["logistic"], **QUICK))
    as_table = clone(pipeline).set_output(transform="pandas").fit(X, y)
    assert as_table[-1].feature_names_in_.tolist() == ["first", "second"]
    np.testing.assert_allclose(as_table.predict_proba(X), pipeline.fit(X, y).predict_proba(X))


def test_patients_and_weights_are_routed_to_the_classifier():
    X, y = make_rows()
    patients, weights = np.arange(len(X)) // 3, np.ones(len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = ResponseClassifier(kinds=["logistic"], **QUICK)
        classifier.set_fit_request(sample_weight=True, groups=True).set_score_request(sample_weight=True)
        found = cross_validate(
            classifier, X, y, cv=GroupKFold(3), params={"groups": patients, "sample_weight": weights}
        )
    assert len(found["test_score"]) == 3


def test_rows_of_a_patient_stay_in_one_fold():
    rng = np.random.default_rng(1)
    # Outcomes belong to patients and nothing predicts them: with rows torn apart, trees recognize the patient.
    X, y = np.repeat(rng.normal(size=(60, 3)), 8, axis=0), np.repeat(rng.integers(0, 2, 60), 8)
    patients = np.repeat(np.arange(60), 8)
    losses = [
        ResponseClassifier(kinds=["xgboost"], **QUICK).fit(X, y, groups=groups).selection_["log_loss"].min()
        for groups in (None, patients)
    ]
    assert losses[0] < 0.6 < losses[1]


def test_a_weight_of_zero_is_a_row_left_out():
    X, y = make_rows()
    weights = np.repeat([1.0, 0.0], [200, 40])
    weighted = ResponseClassifier(**QUICK).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(
        weighted.predict_proba(X), ResponseClassifier(**QUICK).fit(X[:200], y[:200]).predict_proba(X)
    )


@pytest.mark.parametrize("calibration", ["none", "affine", "auto"])
def test_every_calibration_may_be_asked_for(calibration):
    X, y = make_rows()
    fitted = ResponseClassifier(kinds=["logistic"], calibration=calibration, **QUICK).fit(X, y)
    assert np.isfinite(fitted.decision_function(X)).all()


def test_unknown_calibration_is_named():
    X, y = make_rows(60)
    with pytest.raises(SettingsError, match="did you mean 'affine'"):
        ResponseClassifier(calibration="afine", kinds=["logistic"], **QUICK).fit(X, y)


@pytest.mark.parametrize(("kinds", "told"), [(["xgbost"], "did you mean 'xgboost'"), ([], "kinds is empty")])
def test_unknown_kinds_are_named(kinds, told):
    X, y = make_rows(60)
    with pytest.raises(SettingsError, match=told):
        ResponseClassifier(kinds=kinds).fit(X, y)


def test_one_patient_in_a_class_gets_the_simplest_model_without_comparison():
    X, y = np.arange(20.0)[:, None], np.repeat([0, 1], [19, 1])
    fitted = ResponseClassifier(**QUICK).fit(X, y)
    assert fitted.selection_ is None
    assert fitted.candidate_.kind == "logistic"
    assert fitted.predict_proba(X)[:, 1].mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    "kind",
    [
        "logistic",
        "xgboost",
        pytest.param("ebm", marks=pytest.mark.skipif(not HAS_ADDITIVE, reason="needs the extra 'ebm'")),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda X: np.column_stack([X, np.full((len(X), 1), 3.0)]),
        lambda X: np.column_stack([X, np.full((len(X), 1), np.nan)]),
        lambda X: np.column_stack([X, np.random.default_rng(0).normal(size=(len(X), 400))]),
        lambda X: np.zeros((len(X), 2)),
    ],
    ids=["constant", "all missing", "more columns than rows", "nothing varies"],
)
def test_odd_matrices_give_a_sensible_model(kind, make):
    X, y = make_rows()
    fitted = ResponseClassifier(kinds=[kind], **QUICK).fit(make(X), y)
    probability = fitted.predict_proba(make(X))[:, 1]
    assert probability.mean() == pytest.approx((y == "relief").mean(), abs=0.03)


def test_perfect_separation_is_held_back():
    X = np.linspace(-1, 1, 100)[:, None]
    probability = ResponseClassifier(**QUICK).fit(X, (X[:, 0] > 0).astype(int)).predict_proba(X)[:, 1]
    assert 0 < probability.min() < probability.max() < 1


def test_one_class_is_refused_in_words():
    with pytest.raises(ValueError, match="1 class has rows of weight above 0"):
        ResponseClassifier().fit(np.zeros((5, 1)), np.ones(5))
    with pytest.raises(ValueError, match="1 class has rows of weight above 0"):
        ResponseClassifier().fit(np.zeros((4, 1)), [0, 1, 0, 1], sample_weight=[1, 0, 1, 0])


@pytest.mark.skipif(not HAS_ADDITIVE, reason="needs the extra 'ebm'")
def test_additive_steps_are_compared_between_linear_models_and_trees():
    X, y = make_rows()
    fitted = ResponseClassifier(kinds=["xgboost", "ebm", "logistic"], **QUICK).fit(X, y)
    assert fitted.selection_["kind"].unique().tolist() == ["logistic", "ebm", "xgboost"]
    additive = clone(fitted).set_params(kinds=["ebm"]).fit(X, y)
    assert additive.candidate_.kind == "ebm"
    assert additive.predict_proba(pd.DataFrame({"first": [2.0, -2.0], "second": np.nan}))[:, 1] @ [1, -1] > 0.4


def test_additive_steps_without_their_library_are_refused_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "interpret", None)
    with pytest.raises(SettingsError, match=r"kinds: 'ebm' needs interpret-core.*pip install paincast\[ebm\]"):
        ResponseClassifier(kinds=["logistic", "ebm"]).fit(*make_rows())


def test_encoder_gives_a_table_with_the_index_of_the_episodes():
    table = pd.DataFrame({"age_years": [40.0, 60.0, np.nan], "sex": ["female", "male", "male"]}, index=[7, 8, 9])
    encoded = EpisodeEncoder().set_output(transform="pandas").fit_transform(table)
    assert encoded.columns.tolist() == ["age_years", "sex=male", "sex=female"]
    assert encoded.index.tolist() == [7, 8, 9]


def test_encoder_refuses_a_plain_matrix():
    with pytest.raises(DataError, match="must be a DataFrame with the columns of the contract, not ndarray"):
        EpisodeEncoder().fit(np.zeros((3, 2)))


def test_encoder_and_classifier_make_a_pipeline():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"age_years": rng.normal(50, 10, 200), "sex": rng.choice(["female", "male"], 200)})
    y = (rng.random(200) < expit((table["age_years"] - 50) / 8)).astype(int)
    for native in (False, True):
        pipeline = make_pipeline(EpisodeEncoder(native_missing=native), ResponseClassifier(**QUICK))
        assert cross_val_score(pipeline, table, y, scoring="roc_auc", cv=3).mean() > 0.65
