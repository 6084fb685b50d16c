"""The simulator keeps its promises: the benchmark's checks on smaller cohorts, with limits that chance respects.

Seeds are fixed. A limit on many standard normal values together is the one that chance passes in one of a hundred
choices of seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
import simulator_claims as claims
import simulator_rates as rates
from scipy.special import expit, logit
from scipy.stats import norm

from paincast.settings import SCENARIOS
from paincast.simulator import Assumptions

pytestmark = pytest.mark.slow


def limit_of(values: int, share: float = 0.01) -> float:
    return float(norm.isf(share / (2 * values)))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_marginal_response_meets_every_curve(scenario: str) -> None:
    found = claims.check_marginals(3_000, [scenario])
    assert len(found) > 15
    # Half a standard error more than chance alone: the intercepts are solved on a population of finite size.
    assert found["z"].abs().max() < limit_of(int(found["months"].sum())) + 0.5
    assert found["truth_pp"].abs().max() < 1.5


def test_the_best_auc_is_the_one_that_the_record_implies() -> None:
    found = claims.check_ceilings(5_000)
    assert found["implied"].notna().all()
    assert (found["independent"] - found["implied"]).abs().max() < 0.025
    assert found["default"].between(0.54, 0.79).all()


def test_the_true_probability_is_the_one_that_generates() -> None:
    found = claims.check_truth(150_000)
    assert len(found) == 20
    assert found["z"].abs().max() < limit_of(20)
    assert (found["observed"].iloc[-1] - found["observed"].iloc[0]) > 0.5


def test_every_outcome_asked_of_the_visits_has_its_true_probability() -> None:
    found = claims.check_outcomes(60_000)
    assert {"function_response", "satisfaction", "opioid_reduction", "relief_duration"} <= set(found["outcome"])
    assert found["largest |z| of bins"].max() < limit_of(20 * len(found))
    assert found["n"].min() > 10_000


def test_a_logistic_regression_recovers_every_odds_ratio() -> None:
    found = claims.check_effects(8_000)
    assert len(found) > 150
    assert found["z"].abs().max() < limit_of(len(found))
    assert found["z"].std() == pytest.approx(1.0, abs=0.2)
    strong = found[np.log(found["odds_ratio"]).abs() > 0.5]
    assert (np.sign(np.log(strong["recovered"])) == np.sign(np.log(strong["odds_ratio"]))).mean() > 0.95


def test_noise_is_independent_of_every_covariate() -> None:
    found = rates.check_independence(2_500, seeds=5)
    assert {"response", "visit held", "missing bmi"} <= set(found["mechanism"])
    assert found["ok"].all(), found.to_string()
    assert found["sd of z"].max() < 1.2


def test_confounding_bites_and_the_true_propensity_heals() -> None:
    found = claims.compare_techniques(*claims.CONTRASTS[0], 50_000)
    z = found.set_index(["assignment", "estimate"])["z"].abs()
    assert z["confounded", "naive"] > 3
    assert z["confounded", "weighted"] < 3
    assert z["randomised", "weighted"] < 3


def test_events_and_deaths_have_their_rates() -> None:
    found = rates.check_events(5_000)
    assert {"complication", "surgery", "explant"} <= {str(event).partition(":")[0] for event in found["event"]}
    assert found["event"].str.startswith("death").any()
    assert found["ok"].all(), found[~found["ok"]].to_string()


def test_values_are_missing_as_often_as_set() -> None:
    found = rates.check_missing(30_000)
    assert set(found["place"]) == {"before", "visit"}
    assert found["setting"].max() == Assumptions().missing["catastrophizing_pcs"]
    assert found["ok"].all(), found[~found["ok"]].to_string()


def test_loss_to_follow_up_depends_on_response_as_set() -> None:
    found = rates.check_loss(30_000)
    assert set(found["responds"]) == {"yes", "no"}
    assert found["ok"].all(), found[~found["ok"]].to_string()


def test_correlations_are_the_documented_ones() -> None:
    found = rates.check_correlations(40_000)
    assert found["largest_deviation"].max() < 0.04
    assert found["largest |z| of the others"].max() < 4.5


def test_a_wrong_truth_is_noticed() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.2, 0.8, 150_000)
    y = (rng.random(len(p)) < expit(logit(p) + 0.1)).astype(float)
    assert claims.bin_truth(p, y, 20)["z"].abs().max() > limit_of(20)


def test_a_wrong_rate_is_noticed() -> None:
    rows = [rates.judge_rate(0.11, 10_000, 0.10), rates.judge_rate(0.10, 10_000, 0.10)]
    found = rates.close_rates(rows)
    assert found["ok"].tolist() == [False, True]
