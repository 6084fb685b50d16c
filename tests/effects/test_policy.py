"""The value of policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paincast.effects.arms import Arms
from paincast.effects.individual import estimate_individual_contrasts
from paincast.effects.nuisance import Nuisance, assign_folds, fit_nuisance
from paincast.effects.policy import (
    INDIVIDUAL,
    SINGLE,
    USUAL,
    compute_policy_curve,
    compute_policy_value,
    recommend,
)
from paincast.effects.propensity import fit_propensity
from paincast.statistics import compute_clustered_error

Invent = Callable[..., Arms]


def fit(arms: Arms, seed: int = 1) -> Nuisance:
    return fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, np.random.default_rng(seed))))


def draw_outcomes(arms: Arms, slope: float, seed: int) -> tuple[Arms, np.ndarray]:
    """Let the second covariate act by a slope of opposite sign under two strategies; return the true risks too."""
    log_odds = 0.5 * arms.matrix[:, :1] + slope * np.array([-1.0, 1.0]) * arms.matrix[:, 1:2]
    risks = 1.0 / (1.0 + np.exp(-log_odds))
    uniform = np.random.default_rng(seed).random(len(risks))
    drawn = (uniform < risks[np.arange(len(risks)), arms.strategy]).astype(float)
    return replace(arms, outcome=np.where(arms.known, drawn, np.nan)), risks


def read(table: pd.DataFrame, policy: str, against: str = "") -> pd.Series:
    return table.set_index(["policy", "against"]).loc[(policy, against)]


def test_the_value_of_a_policy_is_found(invent_arms: Invent) -> None:
    errors = []
    for seed in range(8):
        arms, risks = draw_outcomes(invent_arms(seed, n=3000, lost=0.3), 0.8, seed)
        nuisance = fit(arms, seed)
        contrasts = risks - risks[:, :1]
        table = compute_policy_value(arms, nuisance, contrasts)
        told, gain = read(table, INDIVIDUAL), read(table, INDIVIDUAL, SINGLE)
        errors.append((told["estimate"] - risks.max(axis=1).mean()) / told["standard_error"])
        assert gain["lower"] > 0
        usual = read(table, USUAL)
        as_treated = risks[np.arange(3000), arms.strategy].mean()
        assert abs(usual["estimate"] - as_treated) < 3.5 * usual["standard_error"]
    assert np.max(np.abs(errors)) < 3.0
    assert abs(np.mean(errors)) < 1.1


@pytest.mark.slow
def test_without_an_effect_following_contrasts_gains_nothing(invent_arms: Invent) -> None:
    gains, found = [], 0
    for seed in range(10):
        arms, _ = draw_outcomes(invent_arms(seed, n=1000), 0.0, seed)
        nuisance = fit(arms, seed)
        gain = read(
            compute_policy_value(arms, nuisance, estimate_individual_contrasts(arms, nuisance)), INDIVIDUAL, SINGLE
        )
        gains.append(gain["estimate"])
        found += gain["lower"] > 0
    assert abs(np.mean(gains)) < 0.02
    assert found <= 2


def test_one_strategy_for_all_is_the_best_single_strategy(invent_arms: Invent) -> None:
    arms = invent_arms(n=2000, effects=(0.0, 0.8))
    nuisance = fit(arms)
    better = int(np.argmax(nuisance.scores.mean(axis=0)))
    same = np.zeros(nuisance.scores.shape)
    same[:, 1] = 0.1 if better else -0.1
    table = compute_policy_value(arms, nuisance, same)
    assert read(table, INDIVIDUAL)["estimate"] == pytest.approx(nuisance.scores[:, better].mean())
    assert read(table, INDIVIDUAL, SINGLE)["estimate"] == 0.0


def test_patients_and_sites_are_the_units_of_the_standard_error(invent_arms: Invent) -> None:
    arms, risks = draw_outcomes(invent_arms(n=2000), 0.8, 1)
    nuisance, contrasts = fit(arms), risks - risks[:, :1]
    alone = replace(arms, site=np.zeros(2000, dtype=np.int64))
    told = read(compute_policy_value(alone, nuisance, contrasts), INDIVIDUAL)
    values = nuisance.scores[np.arange(2000), recommend(contrasts)]
    by_patient = compute_clustered_error((values - values.mean()) / 2000, arms.patient)
    assert told["standard_error"] == pytest.approx(by_patient)
    order = np.argsort(values)
    together = replace(alone, site=np.argsort(order) // 250)
    assert read(compute_policy_value(together, nuisance, contrasts), INDIVIDUAL)["standard_error"] > 3.0 * by_patient


def test_the_curve_leads_from_one_strategy_to_the_other(invent_arms: Invent) -> None:
    arms, risks = draw_outcomes(invent_arms(n=4000), 0.8, 1)
    nuisance = fit(arms)
    curve = compute_policy_curve(arms, nuisance, risks - risks[:, :1])
    reference, other = nuisance.scores.mean(axis=0)
    assert curve["estimate"].iloc[0] == curve["at_random"].iloc[0] == pytest.approx(reference)
    assert curve["estimate"].iloc[-1] == curve["at_random"].iloc[-1] == pytest.approx(other)
    assert np.isnan(curve["threshold"].iloc[0])
    assert curve["threshold"].iloc[1:].is_monotonic_decreasing
    middle = curve[curve["share"].between(0.3, 0.7)]
    assert (middle["lower"] > middle["at_random"]).all()


def test_of_three_strategies_the_best_other_is_given(invent_arms: Invent) -> None:
    arms = invent_arms(n=1500, k=3)
    nuisance = fit(arms)
    contrasts = np.tile([0.0, 0.1, 0.2], (1500, 1))
    assert (recommend(contrasts) == 2).all()
    curve = compute_policy_curve(arms, nuisance, contrasts)
    assert curve["estimate"].iloc[-1] == pytest.approx(nuisance.scores[:, 2].mean())
