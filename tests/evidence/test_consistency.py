"""Records agree with themselves: what predictors imply, which complications count, and what a curve may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from paincast.evidence import load_records
from paincast.evidence.figures import Baseline, PredictorEffect, Record
from paincast.schema import EPISODES
from paincast.settings import SCENARIOS

SIMULATED = [record for record in load_records() if record.response]
ids = [record.id for record in SIMULATED]


def spread_of(effect: PredictorEffect, record: Record) -> float:
    """Compute the standard deviation of a transformed predictor from its prevalence or the record's baseline."""
    if effect.prevalence is not None:
        return math.sqrt(effect.prevalence * (1 - effect.prevalence))
    baseline, units = record.baseline[effect.column], float(effect.transform.value)
    if effect.transform.kind == "per_sd":
        return 1.0
    if baseline.shares:
        values, shares = np.array(list(baseline.shares), dtype=float), np.array(list(baseline.shares.values()))
        return float(math.sqrt(shares @ values**2 - (shares @ values) ** 2) / units)
    if baseline.sd:
        return baseline.sd / units
    assert baseline.median
    assert baseline.log_sd
    variance = baseline.log_sd**2
    return baseline.median * math.exp(variance / 2) * math.sqrt(math.expm1(variance)) / units


def compute_auc(spread: float, share: float) -> float:
    """Compute the best area under the curve for a normal linear predictor, by quadrature."""
    z = np.linspace(-8, 8, 4001)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weight @ expit(middle + spread * z) < share else (low, middle)
    responds = weight * expit(low + spread * z)
    fails = weight - responds
    below = np.cumsum(fails) - fails / 2
    return float(responds @ below / (responds.sum() * fails.sum()))


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_predictors_imply_the_ceiling_that_the_record_states(record: Record) -> None:
    implied = record.implied
    assert implied is not None
    assert implied.tag == "DERIVED"
    assert len(record.active_predictors) == implied.active_predictors
    spread = math.sqrt(
        sum((math.log(effect.odds_ratio) * spread_of(effect, record)) ** 2 for effect in record.active_predictors)
    )
    assert spread == pytest.approx(implied.sd_linear_predictor, abs=0.03)
    assert record.curve
    assert record.primary_month
    auc = compute_auc(spread, record.curve[record.primary_month])
    assert auc == pytest.approx(implied.bayes_optimal_auc, abs=0.02)


def share_of(effect: PredictorEffect, baseline: Baseline) -> float:
    """Compute the share of patients in whom a transformed column is true."""
    value, kind = effect.transform.value, effect.transform.kind
    if baseline.shares:
        return sum(
            share for key, share in baseline.shares.items() if (key == value if kind == "equals" else key >= value)
        )
    if kind == "equals":
        assert baseline.share is not None
        return baseline.share if value else 1 - baseline.share
    if baseline.mean is not None:
        assert baseline.sd
        below = norm.cdf((float(value) - baseline.mean) / baseline.sd)
    else:
        assert baseline.median
        assert baseline.log_sd
        below = norm.cdf(math.log(max(float(value), 1e-9) / baseline.median) / baseline.log_sd)
    among = baseline.share if effect.column == "opioid_mme" and baseline.share is not None else 1.0
    return float(below if kind == "below" else among * (1 - below))


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_baselines_give_the_prevalence_of_predictors(record: Record) -> None:
    for effect in record.predictors:
        if effect.prevalence is None or effect.column == "work_status":  # work depends on retirement as well
            continue
        share = share_of(effect, record.baseline[effect.column])
        assert share == pytest.approx(effect.prevalence, abs=0.101), effect.meaning


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
def test_every_scenario_has_a_rate_and_the_literature_meets_the_curve(record: Record) -> None:
    assert record.scenarios is not None
    assert set(record.scenarios) == set(SCENARIOS)
    assert record.scenarios["pragmatic"] <= record.scenarios["literature"] <= record.scenarios["seed_optimistic"]
    assert record.curve
    assert record.primary_month

    assert record.curve[record.primary_month] == pytest.approx(record.scenarios["literature"], abs=1e-9)
    for month, (low, high) in (record.response.range if record.response else {}).items():
        assert low <= record.curve[month] <= high


@pytest.mark.parametrize("record", SIMULATED, ids=ids)
def test_responders_are_fewer_without_the_procedure(record: Record) -> None:
    assert record.control_response is not None
    assert record.curve
    assert record.control_response.share < record.curve[min(record.curve)]


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
