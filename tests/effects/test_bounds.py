"""Bounds of hidden confounding: goldens of another implementation, known values and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.effects import bounds
from paincast.effects.arms import Arms
from paincast.effects.bounds import (
    benchmark_strengths,
    compute_bounds,
    compute_e_value,
    compute_e_values,
    compute_robustness_value,
)
from paincast.effects.nuisance import Nuisance, assign_folds, compute_residuals, fit_nuisance
from paincast.effects.propensity import fit_propensity
from paincast.errors import SettingsError

GOLDEN = Path(__file__).parents[1] / "golden"
Invent = Callable[..., Arms]


def fit(arms: Arms, seed: int = 1) -> Nuisance:
    return fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, np.random.default_rng(seed))))


@pytest.fixture(scope="module")
def golden() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "effects_sensitivity.csv")


@pytest.fixture(scope="module")
def golden_arms(golden: pd.DataFrame) -> Arms:
    codes = np.arange(len(golden))
    return Arms(
        strategies=("a", "b"),
        episodes=golden,
        strategy=golden["strategy"].to_numpy(),
        outcome=golden["outcome"].to_numpy(float),
        patient=codes,
        site=np.zeros_like(codes),
        matrix=golden[["x0", "x1", "x2"]].to_numpy(),
        columns=("x0", "x1", "x2"),
        common=np.ones(3, dtype=bool),
    )


def take_nuisance(golden: pd.DataFrame, arms: Arms, suffix: str = "") -> Nuisance:
    chosen = golden[f"propensity{suffix}"].to_numpy()
    propensity, observation = np.column_stack([1.0 - chosen, chosen]), np.ones((len(golden), 2))
    response = golden[[f"response_0{suffix}", f"response_1{suffix}"]].to_numpy()
    return Nuisance(
        fold=golden["fold"].to_numpy(),
        propensity=propensity,
        observation=observation,
        response=response,
        scores=response + compute_residuals(arms, propensity, observation, response),
    )


def test_bounds_are_those_of_doubleml(golden: pd.DataFrame, golden_arms: Arms) -> None:
    nuisance = take_nuisance(golden, golden_arms)
    for expected in pd.read_csv(GOLDEN / "effects_sensitivity_expected.csv").to_dict("records"):
        strength = {name: expected[name] for name in ("outcome_r2", "strategy_r2")}
        [told] = compute_bounds(golden_arms, nuisance, **strength).to_dict("records")
        for name in ("estimate", "lower_bound", "upper_bound", "robustness_value"):
            assert told[name] == pytest.approx(expected[name], abs=1e-6)
        # DoubleML 0.11 adds the influence of the scale to that of the contrast with its sign turned round (its scaled
        # score is divided by -1), so that it exchanges the standard errors of the two bounds.
        below, above = told["lower_bound"] - told["lower"], told["upper"] - told["upper_bound"]
        assert below == pytest.approx(expected["upper"] - expected["upper_bound"], rel=2e-3)
        assert above == pytest.approx(expected["lower_bound"] - expected["lower"], rel=2e-3)


def test_the_standard_error_of_a_bound_is_its_spread() -> None:
    """The nuisance functions are the true ones; a rare strategy makes the two bounds differ in their spread."""
    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        n = 400
        strategy = (rng.random(n) < 0.15).astype(np.int64)
        outcome = (rng.random(n) < np.where(strategy == 1, 0.05, 0.3)).astype(float)
        codes, ones = np.arange(n), np.ones((n, 1))
        arms = Arms(
            strategies=("a", "b"),
            episodes=pd.DataFrame(),
            strategy=strategy,
            outcome=outcome,
            patient=codes,
            site=np.zeros_like(codes),
            matrix=ones,
            columns=("x",),
            common=np.array([True]),
        )
        known = {"propensity": ones * [0.85, 0.15], "observation": ones * [1.0, 1.0], "response": ones * [0.3, 0.05]}
        scores = known["response"] + compute_residuals(arms, **known)
        nuisance = Nuisance(fold=codes % 2, scores=scores, **known)
        found.append(compute_bounds(arms, nuisance, 0.5, 0.5, 0.6827).iloc[0])
    table = pd.DataFrame(found)
    below, above = table["lower_bound"] - table["lower"], table["upper"] - table["upper_bound"]
    assert abs(below.mean() / above.mean() - 1.0) > 0.1
    assert below.mean() / table["lower_bound"].std() == pytest.approx(1.0, abs=0.17)
    assert above.mean() / table["upper_bound"].std() == pytest.approx(1.0, abs=0.17)


def test_benchmarked_strengths_are_those_of_doubleml(
    golden: pd.DataFrame, golden_arms: Arms, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = take_nuisance(golden, golden_arms, "_short")
    monkeypatch.setattr(bounds, "fit_propensity", lambda *_: None)
    monkeypatch.setattr(bounds, "fit_nuisance", lambda *_: short)
    [expected] = pd.read_csv(GOLDEN / "effects_sensitivity_benchmark.csv").to_dict("records")
    told = benchmark_strengths(golden_arms, take_nuisance(golden, golden_arms)).iloc[0]
    assert told["outcome_r2"] == pytest.approx(expected["outcome_r2"], abs=1e-6)
    assert told["strategy_r2"] == pytest.approx(expected["strategy_r2"], abs=1e-6)


def test_the_covariate_that_confounds_is_the_strongest(invent_arms: Invent) -> None:
    arms = invent_arms(n=2000)
    named = replace(arms, columns=("w", "w=missing", "y=a", "y=b"))
    table = benchmark_strengths(named, fit(named))
    assert table["covariate"].tolist() == ["w", "y"]
    assert table["outcome_r2"].iloc[0] > 0.05
    assert table["strategy_r2"].iloc[0] > 0.05
    assert table["change"].iloc[0] > 0.05
    assert (table.iloc[1][["outcome_r2", "strategy_r2"]] < 0.02).all()


@pytest.mark.parametrize("k", [2, 3])
def test_no_confounder_leaves_the_contrast_and_stronger_ones_widen(invent_arms: Invent, k: int) -> None:
    arms = invent_arms(n=2000, k=k, lost=0.3)
    nuisance = fit(arms)
    none, weak, strong = (compute_bounds(arms, nuisance, r2, r2) for r2 in (0.0, 0.03, 0.1))
    np.testing.assert_allclose(none["lower_bound"], none["estimate"])
    np.testing.assert_allclose(none["upper_bound"], none["estimate"])
    assert (strong["lower_bound"] < weak["lower_bound"]).all()
    assert (strong["upper_bound"] > weak["upper_bound"]).all()
    assert (weak["robustness_value"] == strong["robustness_value"]).all()
    assert len(weak) == k - 1


@pytest.mark.parametrize(("outcome_r2", "strategy_r2"), [(-0.1, 0.1), (1.1, 0.1), (0.1, 1.0), (0.1, float("nan"))])
def test_strengths_are_shares(invent_arms: Invent, outcome_r2: float, strategy_r2: float) -> None:
    arms = invent_arms(n=300)
    with pytest.raises(SettingsError) as refused:
        compute_bounds(arms, fit(arms), outcome_r2, strategy_r2)
    assert refused.value.code == "PC-EFFECTS-20"


def test_at_the_robustness_value_a_bound_is_zero(invent_arms: Invent) -> None:
    arms = invent_arms(n=2000, effects=(0.0, 0.8))
    nuisance = fit(arms)
    first = compute_bounds(arms, nuisance, 0.0, 0.0).iloc[0]
    value, of_interval = first["robustness_value"], first["robustness_value_of_interval"]
    assert 0.0 < of_interval < value
    assert compute_bounds(arms, nuisance, value, value).iloc[0]["lower_bound"] == pytest.approx(0.0, abs=1e-9)
    assert compute_bounds(arms, nuisance, of_interval, of_interval).iloc[0]["lower"] == pytest.approx(0.0, abs=1e-9)


def test_an_interval_that_holds_zero_needs_no_confounder(invent_arms: Invent) -> None:
    arms = invent_arms(n=1500, effects=(0.0, 0.0), seed=2)
    told = compute_bounds(arms, fit(arms), 0.03, 0.03).iloc[0]
    assert told["robustness_value_of_interval"] == 0.0
    assert compute_robustness_value(0.0, 1.0) == 0.0


@pytest.mark.slow
def test_bounds_of_the_true_strength_hold_the_truth(invent_arms: Invent) -> None:
    """The first covariate is hidden; its strengths are benchmarked before it is taken away."""
    held = 0
    for seed in range(3):
        arms = invent_arms(seed, n=3000, effects=(0.0, 0.0))
        strength = benchmark_strengths(arms, fit(arms, seed)).iloc[0]
        blind = replace(arms, matrix=arms.matrix[:, 1:], columns=arms.columns[1:], common=arms.common[1:])
        told = compute_bounds(blind, fit(blind, seed), strength["outcome_r2"], strength["strategy_r2"]).iloc[0]
        assert told["estimate"] > 0.1
        held += told["lower"] <= 0.0 <= told["upper"]
    assert held == 3


@pytest.mark.parametrize(
    ("risk_ratio", "expected"),
    [(3.9, 7.26), (1.8, 3.0), (0.80, 1.81), (1.0, 1.0), (2.0, 3.41)],
)
def test_e_values_that_were_published(risk_ratio: float, expected: float) -> None:
    assert compute_e_value(risk_ratio) == pytest.approx(expected, abs=0.005)


def test_e_values_of_a_comparison(invent_arms: Invent) -> None:
    arms = invent_arms(n=4000, k=3, effects=(0.0, 0.6, 0.0), confounding=0.0)
    nuisance = fit(arms)
    table = compute_e_values(arms, nuisance)
    risks = nuisance.scores.mean(axis=0)
    np.testing.assert_allclose(table["risk_ratio"], risks[1:] / risks[0])
    assert 1.0 < table["e_value_of_interval"].iloc[0] < table["e_value"].iloc[0]
    assert table["e_value_of_interval"].iloc[1] == 1.0
