"""Individual contrasts: what they find, what they must not see, and invariances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from paincast.effects.arms import Arms
from paincast.effects.individual import estimate_individual_contrasts
from paincast.effects.nuisance import Nuisance, assign_folds, fit_nuisance
from paincast.effects.propensity import fit_propensity

Invent = Callable[..., Arms]


def fit(arms: Arms, seed: int = 1) -> Nuisance:
    return fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, np.random.default_rng(seed))))


def compute_risk(log_odds: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))


def let_covariates_decide(arms: Arms, seed: int = 5) -> tuple[Arms, np.ndarray]:
    """Let the second covariate decide which strategy is better; return the true risks too."""
    k = len(arms.strategies)
    direction = np.linspace(-1.0, 1.0, k)
    risks = compute_risk(0.5 * arms.matrix[:, :1] + 1.2 * direction * arms.matrix[:, 1:2])
    uniform = np.random.default_rng(seed).random(len(risks))
    outcome = (uniform < risks[np.arange(len(risks)), arms.strategy]).astype(float)
    return replace(arms, outcome=np.where(arms.known, outcome, np.nan)), risks


@pytest.mark.parametrize("k", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_who_gains_is_found(invent_arms: Invent, k: int) -> None:
    arms, risks = let_covariates_decide(invent_arms(n=1500, k=k, lost=0.2))
    contrasts = estimate_individual_contrasts(arms, fit(arms))
    assert contrasts.shape == risks.shape
    assert (contrasts[:, 0] == 0).all()
    for place in range(1, k):
        truth = risks[:, place] - risks[:, 0]
        error = np.sqrt(np.mean((contrasts[:, place] - truth) ** 2))
        assert error < 0.5 * truth.std()


def test_where_nothing_tells_patients_apart_contrasts_are_nearly_the_same(invent_arms: Invent) -> None:
    arms = invent_arms(n=2000)
    uniform = np.random.default_rng(3).random(2000)
    arms = replace(arms, outcome=(uniform < 0.4 + 0.2 * arms.strategy).astype(float))
    contrasts = estimate_individual_contrasts(arms, fit(arms))[:, 1]
    assert contrasts.std() < 0.05
    assert abs(contrasts.mean() - 0.2) < 0.06


def test_no_outcome_of_a_fold_reaches_its_contrasts(invent_arms: Invent) -> None:
    """Outcomes of a fold are turned round: the contrasts of its patients stay as they are."""
    arms, _ = let_covariates_decide(invent_arms(n=800, lost=0.2))
    nuisance = fit(arms)
    own = nuisance.fold == 2
    turned = replace(arms, outcome=np.where(own, 1.0 - arms.outcome, arms.outcome))
    first, second = (
        estimate_individual_contrasts(each, replace(fit(each), fold=nuisance.fold)) for each in (arms, turned)
    )
    np.testing.assert_array_equal(first[own], second[own])
    assert np.abs(first[~own] - second[~own]).max() > 0.01


@pytest.mark.slow
def test_the_order_of_rows_does_not_matter(invent_arms: Invent, take_rows: Callable[[Arms, np.ndarray], Arms]) -> None:
    arms, _ = let_covariates_decide(invent_arms(n=800))
    nuisance = fit(arms)
    order = np.random.default_rng(2).permutation(800)
    mixed = Nuisance(**{name: values[order] for name, values in vars(nuisance).items()})
    contrasts = estimate_individual_contrasts(arms, nuisance)
    again = estimate_individual_contrasts(take_rows(arms, order), mixed)
    np.testing.assert_allclose(again, contrasts[order], atol=1e-4)


@pytest.mark.slow
def test_another_reference_flips_the_sign(invent_arms: Invent) -> None:
    arms, _ = let_covariates_decide(invent_arms(n=800))
    nuisance = fit(arms)
    turned = replace(arms, strategies=arms.strategies[::-1], strategy=1 - arms.strategy)
    flipped = {name: values[:, ::-1] if values.ndim == 2 else values for name, values in vars(nuisance).items()}
    contrasts = estimate_individual_contrasts(arms, nuisance)
    again = estimate_individual_contrasts(turned, Nuisance(**flipped))
    np.testing.assert_allclose(again[:, 1], -contrasts[:, 1], atol=1e-3)


@pytest.mark.slow
def test_one_kind_of_outcome_in_a_strategy_gives_contrasts_all_the_same(invent_arms: Invent) -> None:
    arms, _ = let_covariates_decide(invent_arms(n=800))
    arms = replace(arms, outcome=np.where(arms.strategy == 1, 1.0, arms.outcome))
    contrasts = estimate_individual_contrasts(arms, fit(arms))
    assert np.isfinite(contrasts).all()
    assert contrasts[:, 1].mean() > 0.3
