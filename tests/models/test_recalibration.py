"""Recalibration on other patients: chosen by a closed testing procedure, judged on those left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2

from paincast.errors import RefusalError
from paincast.models.calibration import recalibration
from paincast.models.calibration.recalibration import (
    UpdateRows,
    allows_slope,
    choose_recalibration,
    cross_fit_recalibration,
)
from paincast.statistics import compute_log_loss


def make_rows(n: int, intercept: float, slope: float, seed: int = 0) -> UpdateRows:
    rng = np.random.default_rng(seed)
    score = rng.normal(0.0, 1.2, n)
    outcome = (rng.random(n) < expit(intercept + slope * score)).astype(float)
    return UpdateRows(linear_predictor=score, outcome=outcome, weights=np.ones(n), patients=np.arange(n))


@pytest.mark.parametrize(
    ("intercept", "slope", "method"),
    [(0.0, 1.0, "original"), (-1.0, 1.0, "intercept"), (-0.5, 0.4, "intercept_and_slope")],
)
def test_what_changed_is_what_is_updated(intercept, slope, method):
    chosen = choose_recalibration(make_rows(3000, intercept, slope), with_slope=True)
    assert chosen.method == method
    assert chosen.calibration.intercept == pytest.approx(intercept, abs=0.12)
    assert chosen.calibration.slope == pytest.approx(slope, abs=0.1)


def test_a_good_model_is_left_alone_in_nineteen_of_twenty_cohorts():
    changed = [choose_recalibration(make_rows(300, 0.0, 1.0, seed), with_slope=True).method for seed in range(400)]
    share = np.mean([method != "original" for method in changed])
    assert 0.02 < share < 0.09


def test_the_ratio_is_that_of_the_likelihoods():
    rows = make_rows(500, -0.4, 1.0)

    def loss(intercept: float) -> float:
        return float(compute_log_loss(intercept + rows.linear_predictor, rows.outcome).sum())

    fitted = minimize(lambda parameters: loss(parameters[0]), [0.0])
    [test] = choose_recalibration(rows, with_slope=False).table.to_dict("records")
    assert test["statistic"] == pytest.approx(2 * (loss(0.0) - fitted.fun), rel=1e-6)
    assert test["p_value"] == pytest.approx(chi2.sf(test["statistic"], 1))


def test_rows_of_one_patient_do_not_count_as_many():
    rows = make_rows(200, -0.3, 1.0)
    again = np.repeat(np.arange(200), 3)
    tripled = rows.take(again)
    one, many = (choose_recalibration(part, with_slope=True).table["statistic"] for part in (rows, tripled))
    assert many.to_numpy() == pytest.approx(one.to_numpy(), rel=0.05)
    weighted = replace(rows, weights=np.full(200, 7.0))
    same = choose_recalibration(weighted, with_slope=False).table["statistic"]
    assert same.to_numpy() == pytest.approx(choose_recalibration(rows, with_slope=False).table["statistic"].to_numpy())


def test_no_patient_takes_part_in_the_update_that_predicts_this_patient(monkeypatch):
    single = make_rows(120, -1.0, 1.0)
    rows = replace(single.take(np.repeat(np.arange(120), 2)), patients=np.repeat(np.arange(120), 2))
    trained_on = []

    def choose(train, *, with_slope):
        trained_on.append(set(train.patients))
        return choose_recalibration(train, with_slope=with_slope)

    monkeypatch.setattr(recalibration, "choose_recalibration", choose)
    updated = cross_fit_recalibration(rows, np.random.default_rng(1), with_slope=True)
    absent = [sum(patient not in patients for patients in trained_on) for patient in range(120)]
    assert set(absent) == {recalibration.REPEATS}
    assert compute_log_loss(updated, rows.outcome).mean() < compute_log_loss(rows.linear_predictor, rows.outcome).mean()


def test_events_decide_how_much_may_be_updated():
    rows = make_rows(400, -1.0, 1.0)
    events, others = np.flatnonzero(rows.outcome == 1), np.flatnonzero(rows.outcome == 0)
    assert allows_slope(rows.take(np.append(events[:20], others)))
    assert not allows_slope(rows.take(np.append(events[:19], others)))
    for n, told in ((9, "9 patients"), (3, "fewer than 5 patients")):
        with pytest.raises(RefusalError, match=told) as refused:
            allows_slope(rows.take(np.append(events[:n], others)))
        assert refused.value.code == "PC-MODEL-31"
