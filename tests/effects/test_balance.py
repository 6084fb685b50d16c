"""Diagnostics: what they are where it is known, and that they find what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paincast.effects.arms import Arms
from paincast.effects.balance import Diagnostic, compute_balance, compute_diagnostics
from paincast.effects.nuisance import assign_folds
from paincast.effects.propensity import Propensity, compute_preference, count_preference, fit_propensity


def diagnose(arms: Arms) -> tuple[Propensity, pd.DataFrame, dict[str, Diagnostic]]:
    propensity = fit_propensity(arms, assign_folds(arms, np.random.default_rng(1)))
    balance = compute_balance(arms, propensity)
    return propensity, balance, {one.name: one for one in compute_diagnostics(arms, propensity, balance)}


@pytest.mark.parametrize("k", [2, 3])
def test_randomised_arms_pass(invent_arms: Callable[..., Arms], k: int) -> None:
    _, balance, found = diagnose(invent_arms(k=k, n=4000, confounding=0.0))
    assert all(one.passed for one in found.values())
    pairs = k * (k - 1) // 2
    assert len(found) == 2 * pairs + k
    assert len(balance) == 3 * 4 * pairs


def test_weighting_takes_away_what_confounds(invent_arms: Callable[..., Arms]) -> None:
    _, balance, _ = diagnose(invent_arms(n=6000, confounding=0.8))
    first = balance[balance["column"] == "w"].iloc[0]
    assert first["unweighted"] > 0.5
    assert abs(first["weighted"]) < 0.05


@pytest.mark.parametrize("confounding", [3.0, 8.0])
def test_arms_without_overlap_fail(invent_arms: Callable[..., Arms], confounding: float) -> None:
    _, _, found = diagnose(invent_arms(n=4000, confounding=confounding))
    assert not found["share in equipoise, a and b"].passed


def test_a_group_that_never_gets_a_strategy_fails(
    invent_arms: Callable[..., Arms], take_rows: Callable[[Arms, np.ndarray], Arms]
) -> None:
    arms = invent_arms(n=6000, confounding=0.0)
    never = (arms.matrix[:, 1] > 0.8) & (arms.strategy == 1)
    _, _, found = diagnose(take_rows(arms, np.flatnonzero(~never)))
    assert not found["standardised difference, a and b"].passed


def test_rare_columns_are_left_out(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms()
    without = replace(arms, common=np.array([True, True, True, False]))
    changed = replace(without, matrix=arms.matrix * [1.0, 1.0, 1.0, 50.0])
    one, other = (diagnose(each) for each in (without, changed))
    np.testing.assert_array_equal(one[0].held_out, other[0].held_out)
    assert "z" not in set(one[1]["column"])


def test_preference_does_not_depend_on_how_common_a_strategy_is() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=200_000)
    medians = []
    for intercept in (-2.0, 0.0, 2.0):
        chance = 1 / (1 + np.exp(-intercept - 0.5 * x))
        strategy = (rng.random(len(x)) < chance).astype(int)
        score = compute_preference(np.column_stack([1 - chance, chance]), strategy, (0, 1))
        medians.append(np.median(score))
    assert np.ptp(medians) < 0.06


def test_the_preference_of_a_pair_ignores_other_strategies(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(k=3)
    propensity, _, _ = diagnose(arms)
    forth = compute_preference(propensity.fitted, arms.strategy, (0, 2))
    back = compute_preference(propensity.fitted, arms.strategy, (2, 0))
    np.testing.assert_allclose(forth, 1 - back)
    halved = propensity.fitted * [0.5, 1.0, 0.5]
    np.testing.assert_allclose(compute_preference(halved, arms.strategy, (0, 2)), forth)


def test_histograms_count_every_episode_of_a_pair(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(k=3)
    propensity, _, _ = diagnose(arms)
    counts = count_preference(arms, propensity)
    totals = counts.groupby(["first", "second", "strategy"])["n"].sum()
    assert len(totals) == 6
    for (_, _, name), n in totals.items():
        assert n == (arms.strategy == arms.strategies.index(name)).sum()


def test_a_value_that_is_no_number_does_not_pass() -> None:
    assert not Diagnostic(name="x", value=np.nan, limit=1.0).passed
    assert not Diagnostic(name="x", value=np.nan, limit=1.0, is_upper=True).passed
