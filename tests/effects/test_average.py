"""Average contrasts: invariances, unbiasedness where the truth is known, and goldens of another implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.effects import nuisance as nuisance_module
from paincast.effects import ridge
from paincast.effects.arms import Arms
from paincast.effects.average import ATE, ATO, compute_contrasts, compute_risks
from paincast.effects.nuisance import Nuisance, assign_folds, fit_nuisance
from paincast.effects.propensity import Propensity, fit_propensity
from paincast.statistics import compute_clustered_error, compute_two_way_error

GOLDEN = Path(__file__).parents[1] / "golden"


def estimate(arms: Arms, seed: int = 1) -> tuple[Nuisance, pd.DataFrame]:
    found = fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, np.random.default_rng(seed))))
    return found, compute_contrasts(arms, found)


def true_risks(arms: Arms, effects: tuple[float, ...]) -> np.ndarray:
    return np.array([np.mean(1 / (1 + np.exp(-0.8 * arms.matrix[:, 0] - effect))) for effect in effects])


def test_propensities_sum_to_one_and_folds_keep_patients_together(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(k=3)
    arms = replace(arms, patient=arms.patient // 2)
    found, _ = estimate(arms)
    np.testing.assert_allclose(found.propensity.sum(axis=1), 1.0)
    assert (pd.Series(found.fold).groupby(arms.patient).nunique() == 1).all()
    counts = pd.crosstab(found.fold, arms.strategy)
    assert (counts.max() - counts.min() <= 0.2 * counts.mean()).all()


def test_the_order_of_rows_does_not_matter(
    invent_arms: Callable[..., Arms], take_rows: Callable[[Arms, np.ndarray], Arms]
) -> None:
    arms = invent_arms(lost=0.3)
    fold = assign_folds(arms, np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(len(fold))
    mixed = take_rows(arms, order)
    scores = fit_nuisance(arms, fit_propensity(arms, fold)).scores
    again = fit_nuisance(mixed, fit_propensity(mixed, fold[order])).scores
    np.testing.assert_allclose(again, scores[order], atol=1e-7)


def test_another_reference_flips_the_sign(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(lost=0.2)
    fold = assign_folds(arms, np.random.default_rng(1))
    turned = replace(arms, strategies=arms.strategies[::-1], strategy=1 - arms.strategy)
    one, other = (compute_contrasts(each, fit_nuisance(each, fit_propensity(each, fold))) for each in (arms, turned))
    np.testing.assert_allclose(one["estimate"], -other["estimate"], atol=1e-8)
    np.testing.assert_allclose(one["standard_error"], other["standard_error"], atol=1e-8)


def test_where_chance_assigns_the_difference_in_shares_is_recovered(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(n=8000, confounding=0.0)
    _, contrasts = estimate(arms)
    naive = arms.outcome[arms.strategy == 1].mean() - arms.outcome[arms.strategy == 0].mean()
    for row in contrasts.itertuples():
        assert abs(row.estimate - naive) < row.standard_error
        assert row.lower < row.estimate < row.upper


@pytest.mark.parametrize("k", [2, 3])
def test_confounding_and_loss_are_undone(invent_arms: Callable[..., Arms], k: int) -> None:
    effects = (0.0, 0.5, -0.5)[:k]
    errors, naive_errors, risks = [], [], []
    for seed in range(6):
        arms = invent_arms(seed, n=4000, k=k, effects=effects, lost=0.5)
        found, contrasts = estimate(arms, seed)
        truth = true_risks(arms, effects)
        own = contrasts[contrasts["population"] == ATE]
        errors.append((own["estimate"] - (truth[1:] - truth[0])) / own["standard_error"])
        shares = pd.Series(arms.outcome).groupby(arms.strategy).mean().to_numpy()
        naive_errors.append(np.abs(shares[1:] - shares[0] - truth[1:] + truth[0]).max())
        risks.append((compute_risks(arms, found)["estimate"] - truth).abs().max())
    assert np.abs(np.mean(errors, axis=0)).max() < 2.0 / np.sqrt(6) * 1.5
    assert min(naive_errors) > 0.06
    assert np.mean(risks) < 0.04


def test_patients_in_equipoise_have_their_own_contrast(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms(n=8000, confounding=1.5, effects=(0.0, 0.8))
    found, contrasts = estimate(arms)
    overlap = found.propensity.prod(axis=1)
    log_odds = 0.8 * arms.matrix[:, 0]
    difference = 1 / (1 + np.exp(-log_odds - 0.8)) - 1 / (1 + np.exp(-log_odds))
    own = contrasts[contrasts["population"] == ATO].iloc[0]
    assert own["lower"] < np.average(difference, weights=overlap) < own["upper"]
    assert own["standard_error"] < contrasts.loc[contrasts["population"] == ATE, "standard_error"].iloc[0]


def test_no_outcome_stands_for_more_than_a_hundred(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms()
    tiny = np.full((len(arms.strategy), 2), 1e-9)
    residuals = nuisance_module.compute_residuals(arms, tiny, np.ones_like(tiny), np.zeros_like(tiny))
    assert residuals.max() == pytest.approx(1.0 / nuisance_module.SMALLEST)


def test_standard_errors_keep_sites_together() -> None:
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(20), 50)
    influence = rng.normal(size=20)[site] + rng.normal(size=1000)
    influence -= influence.mean()
    by_patient = compute_clustered_error(influence, np.arange(1000))
    both = compute_two_way_error(influence, np.arange(1000), site)
    assert both == pytest.approx(compute_clustered_error(influence, site), rel=0.05)
    assert both > 3 * by_patient
    unrelated = rng.permutation(site)
    assert compute_two_way_error(influence, np.arange(1000), unrelated) >= by_patient
    assert compute_two_way_error(influence, np.arange(1000), np.zeros(1000)) == by_patient


def read_golden(name: str) -> tuple[Arms, np.ndarray, pd.DataFrame]:
    rows = pd.read_csv(GOLDEN / f"effects_{name}.csv")
    covariates = [column for column in rows if column.startswith("x")]
    strategies = tuple(f"s{code}" for code in sorted(rows["strategy"].unique()))
    arms = Arms(
        strategies=strategies,
        episodes=rows[covariates],
        strategy=rows["strategy"].to_numpy(),
        outcome=rows["outcome"].to_numpy(float),
        patient=np.arange(len(rows)),
        site=np.zeros(len(rows), dtype=np.int64),
        matrix=rows[covariates].to_numpy(float),
        columns=tuple(covariates),
        common=np.ones(len(covariates), dtype=bool),
    )
    expected = pd.read_csv(GOLDEN / "effects_expected.csv")
    return arms, rows["fold"].to_numpy(), expected[expected["data"] == name]


@pytest.mark.parametrize("name", ["two", "three"])
def test_doubleml_finds_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "PRIOR_SDS", (1.0,))
    arms, fold, expected = read_golden(name)
    found = fit_nuisance(arms, fit_propensity(arms, fold))
    own = compute_contrasts(arms, found).query("population == @ATE")
    np.testing.assert_allclose(own["estimate"], expected["estimate"], atol=2e-5)
    # Of patients alone, whose variance has the factor n / (n - 1).
    np.testing.assert_allclose(own["standard_error"], expected["standard_error"], rtol=2e-3)


def test_doubleml_weights_loss_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "PRIOR_SDS", (1.0,))
    arms, fold, expected = read_golden("lost")
    found = fit_nuisance(arms, fit_propensity(arms, fold))
    own = compute_contrasts(arms, found).query("population == @ATE")
    # Its model of observation is one for both strategies, ours is one for each.
    np.testing.assert_allclose(own["estimate"], expected["estimate"], atol=3e-3)
    np.testing.assert_allclose(own["standard_error"], expected["standard_error"], rtol=0.02)


def test_propensities_are_those_of_the_fold(invent_arms: Callable[..., Arms]) -> None:
    arms = invent_arms()
    found = fit_propensity(arms, assign_folds(arms, np.random.default_rng(1)))
    assert isinstance(found, Propensity)
    assert not np.array_equal(found.held_out, found.fitted)
