"""Calibration for benefit and C-for-benefit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paincast.effects.arms import Arms
from paincast.effects.benefit import compute_benefit_calibration, compute_benefit_concordance, compute_benefit_slope
from paincast.effects.nuisance import Nuisance, assign_folds, fit_nuisance
from paincast.effects.propensity import fit_propensity

Invent = Callable[..., Arms]


@pytest.fixture
def known(invent_arms: Invent) -> tuple[Arms, Nuisance, np.ndarray]:
    """Confounded arms whose true contrasts are known: the second covariate decides who gains."""
    arms = invent_arms(n=8000, confounding=0.7)
    log_odds = 0.6 * arms.matrix[:, :1] + np.array([-0.8, 0.8]) * arms.matrix[:, 1:2]
    risks = 1.0 / (1.0 + np.exp(-log_odds))
    uniform = np.random.default_rng(8).random(len(risks))
    arms = replace(arms, outcome=(uniform < risks[np.arange(len(risks)), arms.strategy]).astype(float))
    nuisance = fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, np.random.default_rng(1))))
    return arms, nuisance, risks - risks[:, :1]


def read_slope(table: pd.DataFrame) -> pd.Series:
    return table.set_index("metric").loc["benefit_slope"]


def test_true_contrasts_are_calibrated(known: tuple[Arms, Nuisance, np.ndarray]) -> None:
    arms, nuisance, contrasts = known
    groups = compute_benefit_calibration(arms, nuisance, contrasts)
    assert groups["n"].sum() == len(contrasts)
    assert groups["predicted"].is_monotonic_increasing
    assert ((groups["predicted"] - groups["estimate"]).abs() < 3.0 * groups["standard_error"]).all()
    slope = read_slope(compute_benefit_slope(arms, nuisance, contrasts))
    assert abs(slope["estimate"] - 1.0) < 2.5 * slope["standard_error"]


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_predictions_too_far_apart_or_too_near_show_in_the_slope(
    known: tuple[Arms, Nuisance, np.ndarray], factor: float
) -> None:
    arms, nuisance, contrasts = known
    right, wrong = (read_slope(compute_benefit_slope(arms, nuisance, each)) for each in (contrasts, factor * contrasts))
    np.testing.assert_allclose(wrong["estimate"] * factor, right["estimate"])
    np.testing.assert_allclose(wrong["standard_error"] * factor, right["standard_error"])


def test_equal_predictions_give_one_group_and_no_slope(known: tuple[Arms, Nuisance, np.ndarray]) -> None:
    arms, nuisance, contrasts = known
    constant = np.broadcast_to([0.0, 0.1], contrasts.shape)
    assert len(compute_benefit_calibration(arms, nuisance, constant)) == 1
    table = compute_benefit_slope(arms, nuisance, constant).set_index("metric")
    assert np.isnan(table.loc["benefit_slope", "estimate"])
    gap = nuisance.scores @ [-1.0, 1.0]
    np.testing.assert_allclose(table.loc["benefit_in_the_large", "estimate"], gap.mean() - 0.1)


def test_concordance_tells_useful_predictions_from_noise(known: tuple[Arms, Nuisance, np.ndarray]) -> None:
    arms, _, contrasts = known
    noise = np.column_stack([np.zeros(len(contrasts)), np.random.default_rng(1).normal(size=len(contrasts))])
    useful, useless, opposite = (
        compute_benefit_concordance(arms, each).iloc[0] for each in (contrasts, noise, -contrasts)
    )
    assert useful["lower"] > 0.55
    assert useless["lower"] < 0.5 < useless["upper"]
    assert opposite["upper"] < 0.45
    assert useful["n"] == min(np.bincount(arms.strategy))


def test_concordance_is_that_of_all_pairs_of_pairs() -> None:
    """Four pairs by hand: benefits 1, 0, 0, -1 with predictions 0.4, 0.3, 0.2, 0.1, one pair out of order."""
    outcome = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    predicted = np.array([0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4])
    arms = Arms(
        strategies=("a", "b"),
        episodes=pd.DataFrame(),
        strategy=np.repeat([1, 0], 4),
        outcome=outcome,
        patient=np.arange(8),
        site=np.zeros(8, dtype=np.int64),
        matrix=np.empty((8, 0)),
        columns=(),
        common=np.empty(0, dtype=bool),
    )
    [row] = compute_benefit_concordance(arms, np.column_stack([np.zeros(8), predicted])).to_dict("records")
    assert row["estimate"] == 1.0
    [turned] = compute_benefit_concordance(arms, np.column_stack([np.zeros(8), -predicted])).to_dict("records")
    assert turned["estimate"] == 0.0
    [swapped] = compute_benefit_concordance(
        replace(arms, outcome=np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])),
        np.column_stack([np.zeros(8), predicted]),
    ).to_dict("records")
    # Benefits 0, -1, 0, 1: of the five pairs that differ one is out of order.
    np.testing.assert_allclose(swapped["estimate"], 4 / 5)


def test_the_standard_error_of_the_concordance_is_its_spread(invent_arms: Invent) -> None:
    found = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        arms = invent_arms(seed, n=600, confounding=0.0)
        risks = 1.0 / (1.0 + np.exp(-np.array([-0.8, 0.8]) * arms.matrix[:, 1:2]))
        arms = replace(arms, outcome=(rng.random(600) < risks[np.arange(600), arms.strategy]).astype(float))
        found.append(compute_benefit_concordance(arms, risks - risks[:, :1]).iloc[0])
    table = pd.DataFrame(found)
    assert 0.75 < table["standard_error"].mean() / table["estimate"].std() < 1.3
