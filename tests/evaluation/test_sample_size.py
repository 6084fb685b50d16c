"""Minimum sizes against figures computed elsewhere, and against what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, ndtri
from sklearn.metrics import roc_auc_score

from paincast.errors import SettingsError
from paincast.evaluation.validation.sample_size import (
    assess_sample_size,
    compute_cox_snell,
    compute_development_sizes,
    compute_validation_sizes,
    overall_risk_margin,
)

# Largest of the three development minima, from an independent calculation by simulation (four figures at best).
DEVELOPMENT = [
    (0.65, 0.5, 12, 1505), (0.65, 0.5, 20, 2502), (0.65, 0.5, 30, 3751), (0.70, 0.5, 12, 833), (0.70, 0.5, 20, 1386),
    (0.70, 0.5, 30, 2083), (0.70, 0.35, 20, 1514), (0.75, 0.5, 12, 521), (0.75, 0.5, 20, 868), (0.75, 0.5, 30, 1302),
    (0.80, 0.5, 20, 584), (0.80, 0.5, 30, 876),
]  # fmt: skip
VALIDATION = [
    (0.65, 0.5, [1548, 100, 460]), (0.70, 0.5, [937, 100, 420]), (0.70, 0.35, [996, 186, 460]),
    (0.75, 0.5, [651, 100, 365]), (0.80, 0.5, [504, 100, 305]),
]  # fmt: skip


@pytest.mark.parametrize(("auroc", "prevalence", "parameters", "expected"), DEVELOPMENT)
def test_development_sizes_agree_with_the_reference(auroc, prevalence, parameters, expected):
    sizes = compute_development_sizes(auroc=auroc, prevalence=prevalence, parameters=parameters)
    assert sizes["n"].max() == pytest.approx(expected, rel=0.004)


@pytest.mark.parametrize(("auroc", "prevalence", "expected"), VALIDATION)
def test_validation_sizes_agree_with_the_reference(auroc, prevalence, expected):
    sizes = compute_validation_sizes(auroc=auroc, prevalence=prevalence)["n"]
    assert sizes.tolist() == pytest.approx(expected, rel=0.015)


def test_cox_snell_is_what_a_large_sample_of_such_patients_shows():
    rng = np.random.default_rng(1)
    auroc, prevalence, n = 0.72, 0.4, 400_000
    distance = np.sqrt(2) * ndtri(auroc)
    outcome = rng.random(n) < prevalence
    score = rng.normal(size=n) + distance * outcome
    log_odds = np.log(prevalence / (1 - prevalence)) + distance * score - distance**2 / 2
    gain = np.mean(np.log(np.where(outcome, expit(log_odds), expit(-log_odds))))
    null = prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence)
    assert roc_auc_score(outcome, score) == pytest.approx(auroc, abs=0.003)
    assert compute_cox_snell(auroc, prevalence) == pytest.approx(1 - np.exp(-2 * (gain - null)), abs=0.004)


def test_margin_and_size_of_the_overall_risk_agree():
    needed = compute_development_sizes(auroc=0.7, prevalence=0.3, parameters=5)["n"].iloc[2]
    assert overall_risk_margin(0.3, needed) <= 0.05 < overall_risk_margin(0.3, needed - 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"auroc": 0.5}, "auroc=0.5 is not allowed"),
        ({"prevalence": 1.0}, "prevalence=1 is not allowed"),
        ({"parameters": 0}, "parameters=0 is not allowed"),
    ],
)
def test_figures_out_of_range_are_refused(change, words):
    with pytest.raises(SettingsError, match=words):
        compute_development_sizes(**{"auroc": 0.7, "prevalence": 0.5, "parameters": 3, **change})


def test_the_served_model_needs_patients_for_its_effective_degrees_of_freedom_not_for_its_columns():
    few, many = (assess_sample_size(n=900, prevalence=0.4, effective_df=df, auroc=0.7) for df in (8.2, 67))
    assert few["met"].all()
    assert many["met"].tolist() == [False, True]
    assert "8.2 effective degrees of freedom at an AUROC of 0.7" in few["criterion"].iloc[0]


def test_without_refits_only_the_overall_risk_is_assessed():
    table = assess_sample_size(n=300, prevalence=0.5, effective_df=None, auroc=0.7)
    assert table[["n", "available", "met"]].to_numpy().tolist() == [[385, 300, False]]
