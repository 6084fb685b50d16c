"""Diagnostics: what they are where it is known, and that they find what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paincast.effects.arms import Arms
from paincast.effects.balance import (
    LARGEST_DIFFERENCE,
    Diagnostic,
    compute_balance,
    compute_diagnostics,
    compute_unadjusted,
    judge_unadjusted,
    reach_of_chance,
)
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


def look_aside(arms: Arms, aside: np.ndarray, reasons: dict[str, str] | None = None) -> pd.DataFrame:
    """Compare further columns that are not adjusted for."""
    propensity = fit_propensity(arms, assign_folds(arms, np.random.default_rng(1)))
    columns = tuple(f"column_{place}" for place in range(aside.shape[1]))
    beside = replace(arms, matrix=aside, columns=columns, common=np.ones(aside.shape[1], dtype=bool))
    return compute_unadjusted(beside, propensity, reasons or {})


def test_columns_that_decide_nothing_rarely_fail_for_not_being_adjusted_for(invent_arms: Callable[..., Arms]) -> None:
    fails = []
    for seed in range(12):
        noise = np.random.default_rng(100 + seed).normal(size=(1200, 12)) + np.arange(12) % 2 * 3.0
        found = list(judge_unadjusted(look_aside(invent_arms(seed, n=1200), noise)))
        assert [one.name for one in found] == ["standardised difference of columns not adjusted for, a and b"]
        fails.append(not found[0].passed)
    assert sum(fails) <= 3


@pytest.mark.parametrize("k", [2, 3])
def test_a_confounder_that_is_not_adjusted_for_fails_and_is_named(invent_arms: Callable[..., Arms], k: int) -> None:
    arms = invent_arms(n=3000, k=k)
    noise = np.random.default_rng(3).normal(size=(3000, 5))
    noise[:, 3] += 0.4 * arms.strategy
    table = look_aside(arms, noise)
    failed = [one for one in judge_unadjusted(table) if not one.passed]
    assert any(one.name.endswith(f", a and {'abc'[k - 1]}") for one in failed)
    assert set(table.loc[table["weighted"].abs() > table["limit"], "column"]) == {"column_3"}
    pairs = k * (k - 1) // 2
    assert len(table) == pairs * 5 * 3


def test_what_is_left_out_on_purpose_is_compared_and_not_judged(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(n=3000)
    aside = np.column_stack([arms.strategy + np.random.default_rng(2).normal(size=3000)])
    table = look_aside(arms, aside, {"column_0": "an instrument", "elsewhere": "not recorded here"})
    assert list(judge_unadjusted(table)) == []
    assert dict(zip(table["column"], table["reason"], strict=True)) == {
        "column_0": "an instrument",
        "elsewhere": "not recorded here",
    }
    assert table.loc[table["part"] == "column_0", "weighted"].item() > 0.5
    assert table.loc[table["column"] == "elsewhere", ["unweighted", "weighted", "limit"]].isna().all(axis=None)


def test_the_limit_is_what_chance_allows_among_so_many(invent_arms: Callable[..., Arms]) -> None:
    noise = np.random.default_rng(2).normal(size=(20_000, 40))
    small = look_aside(invent_arms(n=1000, confounding=0.0), noise[:1000])["limit"].unique()
    assert small == pytest.approx([reach_of_chance(120) * np.sqrt(2 / 500)], rel=0.05)
    assert look_aside(invent_arms(n=20_000), noise)["limit"].unique().tolist() == [LARGEST_DIFFERENCE]


def test_without_further_columns_there_is_nothing_to_judge(invent_arms: Callable[..., Arms]) -> None:
    table = look_aside(invent_arms(), np.empty((3000, 0)))
    assert len(table) == 0
    assert list(judge_unadjusted(table)) == []


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
