"""Optimism: against rms::validate, against the truth, patients kept together, jobs, progress, and honest gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.errors import DataError, RefusalError, SettingsError
from paincast.evaluation.performance.weighted_logistic import fit_weighted_logistic
from paincast.evaluation.validation import optimism
from paincast.evaluation.validation.optimism import OPTIMISM_COLUMNS, compute_optimism, draw_rows

GOLDEN = Path(__file__).parents[1] / "golden"


class Logistic:
    """Maximum likelihood on all columns."""

    def __init__(self, predictors, outcome):
        self.columns = np.column_stack([np.ones(len(outcome)), predictors])
        self.outcome = outcome

    def __call__(self, drawn, rng):
        del rng
        n, k = len(drawn), self.columns.shape[1]
        theta = fit_weighted_logistic(
            np.ones((1, n)), self.outcome[drawn], self.columns[drawn], np.zeros(n), np.zeros(k)
        )[0]
        return 1.0 / (1.0 + np.exp(-self.columns @ theta))


def make_model(n=120, k=6, seed=0):
    rng = np.random.default_rng(seed)
    predictors = rng.normal(size=(n, k))
    outcome = (rng.random(n) < 1 / (1 + np.exp(-predictors[:, 0]))).astype(float)
    return Logistic(predictors, outcome), outcome


def compute(model, outcome, *, seed=1, **more):
    settings = {"patients": None, "resamples": 50, **more}
    return compute_optimism(model, outcome, rng=np.random.default_rng(seed), **settings).set_index("metric")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["calibrated", "overfitted", "tiny"])
def test_corrected_indices_agree_with_validate(name, monkeypatch):
    rows = pd.read_csv(GOLDEN / f"optimism_{name}.csv")
    draws = iter(pd.read_csv(GOLDEN / f"optimism_{name}_draws.csv", header=None).to_numpy())
    expected = pd.read_csv(GOLDEN / "optimism_expected.csv").query("set == @name").set_index("metric")
    monkeypatch.setattr(optimism, "draw_rows", lambda patient, rng: next(draws))  # noqa: ARG005
    monkeypatch.setattr(optimism, "check_resamples", lambda resamples: None)  # noqa: ARG005
    outcome = rows["y"].to_numpy(float)
    got = compute(Logistic(rows.drop(columns="y").to_numpy(), outcome), outcome, resamples=40)
    for metric, row in expected.iterrows():
        assert got.loc[metric, "apparent"] == pytest.approx(row["apparent"], abs=1e-6)
        assert got.loc[metric, "optimism"] == pytest.approx(row["optimism"], abs=1e-6)
        assert got.loc[metric, "estimate"] == pytest.approx(row["corrected"], abs=1e-6)


@pytest.mark.slow
def test_the_corrected_auroc_is_nearer_to_that_of_new_patients():
    apparent, corrected, fresh = [], [], []
    for seed in range(30):
        model, outcome = make_model(n=80, k=8, seed=seed)
        found = compute(model, outcome, seed=seed).loc["auroc"]
        apparent.append(found["apparent"])
        corrected.append(found["estimate"])
        new, new_outcome = make_model(n=4000, k=8, seed=1000 + seed)
        n, k = 80, 9
        theta = fit_weighted_logistic(np.ones((1, n)), outcome, model.columns, np.zeros(n), np.zeros(k))[0]
        score = new.columns @ theta
        cases, others = score[new_outcome == 1], score[new_outcome == 0]
        fresh.append((cases[:, None] > others[None, ::7]).mean())
    excess = np.mean(apparent) - np.mean(fresh)
    assert excess > 0.04
    assert abs(np.mean(corrected) - np.mean(fresh)) < 0.5 * excess


def test_the_table_says_what_it_is():
    found = compute_optimism(*make_model(), patients=None, rng=np.random.default_rng(1), resamples=50, group="all")
    assert tuple(found.columns) == OPTIMISM_COLUMNS
    np.testing.assert_allclose(found["estimate"], found["apparent"] - found["optimism"])
    auroc = found.iloc[0]
    assert auroc["lower"] < auroc["estimate"] < auroc["upper"]
    assert auroc["optimism"] > 0
    slope = found.set_index("metric").loc["calibration_slope"]
    assert slope["apparent"] == pytest.approx(1.0, abs=1e-6)
    assert slope["estimate"] < 1
    assert "all resamples agree" in slope["method"]


@pytest.mark.slow
def test_jobs_change_nothing_and_progress_is_counted(counted_steps):
    predictor = make_model()[0].columns[:, 1]
    outcome = make_model()[1]

    def fit(drawn, rng):
        return 1.0 / (1.0 + np.exp(-predictor - outcome[drawn].mean() - 0.1 * rng.normal()))

    one = compute(fit, outcome, progress=counted_steps)
    two = compute(fit, outcome, jobs=2)
    pd.testing.assert_frame_equal(one, two)
    assert (counted_steps.done, counted_steps.expected) == ([1.0] * 50, 50)


def test_patients_are_drawn_whole():
    patient = np.array([2, 0, 1, 0, 2, 2, 1])
    for seed in range(20):
        drawn = draw_rows(patient, np.random.default_rng(seed))
        counts = np.bincount(drawn, minlength=7)
        for one in range(3):
            assert len(set(counts[patient == one])) == 1
        assert sum(counts[np.array([1, 2, 0])]) == 3


def test_refused_resamples_are_counted_and_too_many_leave_nothing():
    model, outcome = make_model()

    def refuse(every):
        calls = iter(range(10**6))

        def fit(drawn, rng):
            if next(calls) % every == every - 1:
                raise RefusalError("too few")
            return model(drawn, rng)

        return fit

    few = compute(refuse(25), outcome)
    assert few["estimate"].notna().all()
    assert "2 resamples not estimable and left out" in few.loc["auroc", "method"]
    many = compute(refuse(3), outcome)
    assert many["estimate"].isna().all()
    assert many.loc["auroc", "apparent"] > 0.5
    assert many["method"].str.contains("of 50 resamples not estimable").all()


def test_weights_count_in_the_metrics():
    model, outcome = make_model()
    weights = 1.0 + (np.arange(120) % 2)
    assert compute(model, outcome, weights=weights).loc["brier", "apparent"] == pytest.approx(
        np.average((model(np.arange(120), None) - outcome) ** 2, weights=weights)
    )


def test_those_lost_to_follow_up_are_drawn_and_not_scored():
    model, outcome = make_model()
    lost = np.arange(120) % 6 == 0
    drawn_lost = []

    def fit(drawn, rng):
        drawn_lost.append(lost[drawn].sum())
        return model(drawn[~lost[drawn]], rng)

    found = compute(fit, np.where(lost, np.nan, outcome))
    assert set(found["n"]) == {100}
    assert min(drawn_lost) > 0
    known = model(np.flatnonzero(~lost), None)[~lost]
    assert found.loc["brier", "apparent"] == pytest.approx(((known - outcome[~lost]) ** 2).mean())


def test_bad_input_is_refused():
    model, outcome = make_model()
    with pytest.raises(SettingsError, match=r"resamples=10 .*50 to"):
        compute(model, outcome, resamples=10)
    with pytest.raises(DataError, match="weights: 120 finite numbers above 0"):
        compute(model, outcome, weights=[1.0, 2.0])
    with pytest.raises(DataError, match="outcome: 1 of 2 values are not allowed"):
        compute(model, [0, 2])
    with pytest.raises(DataError, match="0 rows to evaluate"):
        compute(model, np.full(120, np.nan))
    with pytest.raises(DataError, match="probability: 120 of 120 values are missing"):
        compute(lambda drawn, rng: np.full(120, np.nan), outcome)  # noqa: ARG005
