"""Records agree with themselves: what predictors imply, which complications count, and what a curve may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from paincast.evaluation.simulated.truth import compute_bayes_bound
from paincast.evidence import load_records
from paincast.evidence.figures import Record
from paincast.evidence.synthesis.odds import measure_spread, share_true
from paincast.schema import EPISODES
from paincast.settings import SCENARIOS

SIMULATED = [record for record in load_records() if record.response]
ids = [record.id for record in SIMULATED]


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_what_the_predictors_imply_is_what_drawn_patients_show(record: Record) -> None:
    """Draw independent predictors, and compare spread and area under the curve with those of the record."""
    assert record.implied
    assert len(record.active_predictors) == record.implied.active_predictors
    assert record.curve
    assert record.primary_month
    random = np.random.default_rng(1)
    margin = np.zeros(200_000)
    for effect in record.active_predictors:
        baseline = record.baseline[effect.column]
        if effect.transform.kind in ("per", "per_sd"):
            unit = float(effect.transform.value) if effect.transform.kind == "per" else (baseline.sd or 1.0)
            margin += effect.log_odds * random.normal(0.0, (measure_spread(baseline) or 1.0) / unit, len(margin))
        else:
            margin += effect.log_odds * (random.random(len(margin)) < share_true(effect.transform, baseline))
    assert margin.std() == pytest.approx(record.implied.sd_linear_predictor, abs=0.02)
    shift = brentq(lambda level: expit(margin + level).mean() - record.curve[record.primary_month], -20, 20)
    auc = compute_bayes_bound(expit(margin + shift))[0]
    assert auc == pytest.approx(record.implied.bayes_optimal_auc, abs=0.015)


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_every_predictor_can_be_drawn_and_compared(record: Record) -> None:
    for effect in record.predictors:
        column = EPISODES[effect.column]
        value = effect.transform.value
        if column.type == "category":
            assert value in column.categories, effect.meaning
        elif column.type == "boolean":
            assert isinstance(value, bool), effect.meaning
        else:
            assert effect.transform.kind != "equals", effect.meaning
        assert effect.finding, effect.meaning


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_every_scenario_has_a_rate_and_every_point_lies_in_its_intervals(record: Record) -> None:
    assert record.scenarios is not None
    assert set(record.scenarios) == set(SCENARIOS)
    assert record.response
    assert record.primary_month
    assert record.response.months[record.primary_month] == record.scenarios["literature"]
    for point in record.response.points.values():
        assert point.predicted_lower < point.lower < point.share < point.upper < point.predicted_upper
        assert (point.n > 0) == bool(point.source) == (point.support in ("counted", "near month", "other outcome"))


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_a_predictor_that_no_study_sizes_says_so(record: Record) -> None:
    for effect in record.predictors:
        assert (effect.basis in ("size", "null")) == (effect.tag == "FOUND"), effect.meaning
        assert effect.sd > 0
        lower, upper = effect.interval
        assert lower < math.exp(effect.log_odds) < upper


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_a_column_has_one_threshold_in_each_direction(record: Record) -> None:
    """An association counts once: two numbers of a column would add it twice."""
    seen = [(effect.column, effect.transform.kind, str(effect.transform.value)) for effect in record.predictors]
    by_column = {column: [item for item in seen if item[0] == column] for column, *_ in seen}
    for column, items in by_column.items():
        kinds = {kind for _, kind, _ in items}
        assert len(items) == 1 or kinds in ({"equals"}, {"at_least", "below"}), column


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_a_predictor_is_true_of_some_patients_and_not_of_all(record: Record) -> None:
    for effect in record.predictors:
        passed = effect.column == "stimulation_trial_success"  # by definition of who is implanted
        if effect.transform.kind not in ("per", "per_sd") and not passed:
            share = share_true(effect.transform, record.baseline.get(effect.column))
            assert 0.01 < share < 0.99, effect.meaning


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_control_arms_have_fewer_responders_than_the_curve_at_their_month(record: Record) -> None:
    """No control lies above its curve unless a trial says so; no trial does today."""
    assert record.response
    for comparator in record.own_comparators:
        months = [month for month in record.response.points if abs(comparator.month - month) <= month / 2]
        for month in months if comparator.outcome == "pain_response" else []:
            assert comparator.share < record.response.points[month].share
    for month, untreated in record.untreated.items():
        assert 0 < untreated.lower < untreated.share < untreated.upper < 1
        assert month in record.response.points


@pytest.mark.parametrize("record", load_records(), ids=lambda record: record.id)
def test_a_complication_is_counted_once(record: Record) -> None:
    kinds = [item.kind for item in record.counted_complications]
    assert len(kinds) == len(set(kinds))
    assert all(item.rate[0] <= item.rate[1] for item in record.complications if item.rate)


@pytest.mark.parametrize("record", load_records(), ids=lambda record: record.id)
def test_a_record_says_how_sure_it_is_and_what_is_not_known(record: Record) -> None:
    assert record.title
    assert record.certainty
    assert record.not_known
    assert bool(record.gap) == (record.primary_month is None)
    for rate in record.published:
        assert rate.ci95 is None or rate.ci95[0] <= rate.share <= rate.ci95[1]
        assert 0 <= rate.share <= 1
