"""The truth of a simulated cohort: the bound on AUROC, the leak verdict, and what is read from a folder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from paincast.cohort.tables import Cohort, conform, save_cohort
from paincast.errors import DataError, RefusalError, SettingsError
from paincast.evaluation.performance.concordance import compute_concordance
from paincast.evaluation.performance.estimators import make_auroc
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.predictions import check_predictions
from paincast.evaluation.resampling import resample_patient_weights
from paincast.evaluation.simulated.truth import (
    check_against_truth,
    compute_bayes_bound,
    is_leak,
    load_truth,
    load_whole_truth,
    refuse_leak,
)
from paincast.statistics import compute_clustered_error

TRUTH = pd.DataFrame(
    {
        "episode_id": ["e1", "e2"],
        "indication": ["lumbar_facet"] * 2,
        "option": [0, 1],
        "opioid_user": [True, False],
        "shared": [0.1, -0.1],
        "effect_0": [0.5, -0.5],
        "propensity_0": [0.5, 0.6],
        "propensity_1": [0.5, 0.4],
        "selection_0": [0.9, 0.8],
        "selection_1": [1.0, 1.0],
    }
)
QUESTION = {
    "indication": "lumbar_facet",
    "approach": None,
    "record": "",
    "effect": 0,
    "outcome": "pain_response",
    "month": 6.0,
    "intercept": 0.2,
    "strength": 1.0,
    "shared_strength": 1.0,
    "control_intercept": -1.0,
    "control_strength": 0.5,
    "persistence": np.nan,
}
OPTIONS = pd.DataFrame(
    [
        {**QUESTION, "option": 0, "technique": "facet_rfa"},
        {**QUESTION, "option": 1, "technique": "facet_joint_injection", "intercept": -0.4},
    ]
).astype({"approach": "str"})


def make_probability(log_odds):
    return 1.0 / (1.0 + np.exp(-log_odds))


def make_rows(n, seed, *, noise=0.3, skill=1.0, leak=0.0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.3, 1.2, size=n)
    truth = make_probability(log_odds)
    outcome = (rng.random(n) < truth).astype(float)
    score = skill * log_odds + noise * rng.normal(size=n) + leak * (outcome - truth)
    return outcome, make_probability(score), truth


def save(folder, *, basis="synthetic", **extras):
    ids = {"episode_id": ["e1", "e2"], "patient_id": ["p1", "p2"], "technique": ["facet_rfa"] * 2}
    empty = pd.DataFrame({"episode_id": pd.Series(dtype="str")})
    cohort = Cohort(
        episodes=conform("episodes", pd.DataFrame(ids)),
        visits=conform("visits", empty),
        events=conform("events", empty),
        basis=basis,
    )
    save_cohort(cohort, folder, extras=extras)
    return folder


def count_pairs(score, chance):
    """Concordance by the double sum over pairs of different rows."""
    pairs = chance[:, None] * (1 - chance[None, :])
    np.fill_diagonal(pairs, 0.0)
    won = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
    return (pairs * won).sum() / pairs.sum()


@settings(deadline=None)
@given(chance=arrays(float, st.integers(2, 40), elements=st.floats(0.01, 0.99).map(lambda p: round(p, 2))))
def test_the_bound_is_the_double_sum(chance):
    assert compute_bayes_bound(chance)[0] == pytest.approx(count_pairs(chance, chance), abs=1e-10)


@settings(deadline=None)
@given(
    chance=arrays(float, 25, elements=st.floats(0.01, 0.99)),
    score=arrays(float, 25, elements=st.floats(0.0, 1.0).map(lambda p: round(p, 1))),
)
def test_no_ranking_is_expected_to_beat_the_truth(chance, score):
    assert compute_concordance(score, chance).estimate <= compute_bayes_bound(chance)[0] + 1e-12


def test_with_outcomes_concordance_is_the_auroc():
    outcome, probability, _ = make_rows(200, 1)
    concordance = compute_concordance(probability.round(1), outcome)
    assert concordance.estimate == pytest.approx(roc_auc_score(outcome, probability.round(1)), abs=1e-12)
    assert concordance.influence.sum() == pytest.approx(0.0, abs=1e-12)


def test_the_bound_and_its_error_are_those_of_drawn_outcomes():
    truth = make_rows(150, 2)[2]
    rng = np.random.default_rng(3)
    drawn = [compute_concordance(truth, (rng.random(150) < truth).astype(float)).estimate for _ in range(3000)]
    bound, standard_error = compute_bayes_bound(truth)
    assert np.mean(drawn) == pytest.approx(bound, abs=0.003)
    assert np.std(drawn) == pytest.approx(standard_error, rel=0.06)


def test_the_bound_does_not_shrink_with_the_cohort():
    bounds = [np.mean([compute_bayes_bound(make_rows(n, seed)[2])[0] for seed in range(400)]) for n in (20, 400)]
    assert bounds[0] == pytest.approx(bounds[1], abs=0.01)


def test_the_paired_error_is_that_of_a_patient_bootstrap():
    outcome, probability, truth = (np.repeat(part, 3) for part in make_rows(150, 4, noise=1.0))
    patients = np.repeat(np.arange(150), 3)
    estimates = []
    for score in (probability, truth):
        rows = check_predictions(outcome, score, patients)
        blocks = resample_patient_weights(rows, 2000, np.random.default_rng(5))
        estimates.append(np.concatenate([make_auroc(rows)(weights) for weights in blocks]))
    influence = [compute_concordance(score, outcome).influence for score in (probability, truth)]
    error = compute_clustered_error(influence[0] - influence[1], patients)
    assert error == pytest.approx(np.std(estimates[0] - estimates[1]), rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.5])
def test_honest_models_are_not_called_leaks(noise):
    refused = 0
    for seed in range(300):
        outcome, probability, truth = make_rows(300, seed, noise=noise)
        try:
            refuse_leak(outcome, probability, truth, None)
        except RefusalError:
            refused += 1
    assert refused <= 3


def test_a_leak_is_refused_with_its_numbers():
    outcome, probability, truth = make_rows(1500, 7, leak=0.5)
    with pytest.raises(
        RefusalError, match=r"leak: the AUROC 0\.\d+ exceeds that of the true probabilities on the same"
    ):
        refuse_leak(outcome, probability, truth, np.arange(1500))


def test_the_paired_comparison_sees_what_the_expectation_misses():
    found = {"paired": 0, "expected": 0}
    for seed in range(40):
        outcome, probability, truth = make_rows(1500, seed, leak=0.2)
        observed, best = (compute_concordance(score, outcome) for score in (probability, truth))
        error = compute_clustered_error(observed.influence - best.influence, np.arange(1500))
        bound, bound_error = compute_bayes_bound(truth)
        found["paired"] += is_leak(observed.estimate, error, best.estimate)
        found["expected"] += is_leak(observed.estimate, bound_error, bound)
    assert found["paired"] >= 36
    assert found["expected"] <= 28


def test_outcomes_made_to_fit_the_truth_exceed_the_expectation():
    truth = make_rows(400, 8)[2]
    outcome = (truth > np.median(truth)).astype(float)
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVALUATION-22"):
        refuse_leak(outcome, truth, truth, None)


def test_what_cannot_be_checked_has_not_passed():
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVALUATION-21"):
        refuse_leak(np.zeros(20), np.linspace(0.1, 0.3, 20), np.linspace(0.1, 0.3, 20), None)


def test_the_truth_itself_is_no_leak_and_has_no_regret():
    outcome, _, truth = make_rows(500, 9)
    refuse_leak(outcome, truth, truth, None)
    frame = check_against_truth(outcome, truth, truth, None).set_index("metric")
    for metric in ("auroc_above_truth", "mean_absolute_error_of_probability", "regret"):
        assert frame.loc[metric, "estimate"] == pytest.approx(0.0, abs=1e-12)


def test_frame_against_truth():
    outcome, probability, truth = make_rows(800, 10, noise=0.8)
    frame = check_against_truth(outcome, probability, truth, None, group="site-2")
    assert tuple(frame.columns) == METRIC_COLUMNS
    assert set(frame["n"]) == {800}
    assert set(frame["group"]) == {"site-2"}
    assert (frame["lower"] < frame["estimate"]).all()
    assert (frame["estimate"] < frame["upper"]).all()
    estimates = frame.set_index("metric")["estimate"]
    assert estimates["mean_absolute_error_of_probability"] == pytest.approx(np.abs(probability - truth).mean())
    assert estimates["auroc_above_truth"] == pytest.approx(
        roc_auc_score(outcome, probability) - roc_auc_score(outcome, truth)
    )
    assert estimates["bayes_optimal_auroc"] == pytest.approx(compute_bayes_bound(truth)[0])


def test_regret_is_the_expected_excess_of_the_log_loss():
    outcome, probability, truth = make_rows(200_000, 11, noise=0.8)
    regret = check_against_truth(outcome, probability, truth, None).set_index("metric").loc["regret"]
    excess = log_loss(outcome, probability) - log_loss(outcome, truth)
    assert regret["estimate"] == pytest.approx(excess, abs=0.004)
    assert regret["lower"] > 0


def test_certain_truth_and_certain_predictions_have_a_finite_regret():
    frame = check_against_truth([0, 1, 0, 1], [0.0, 0.9, 0.2, 1.0], [0.0, 1.0, 0.3, 0.8], None).set_index("metric")
    assert np.isfinite(frame.loc["regret", "estimate"])
    assert "2 of 4 probabilities moved" in frame.loc["regret", "method"]


def test_one_outcome_class_leaves_a_gap_with_its_reason():
    frame = check_against_truth(np.zeros(20), np.full(20, 0.2), np.linspace(0.1, 0.3, 20), None).set_index("metric")
    gap = frame.loc["auroc_above_truth"]
    assert gap[["estimate", "lower", "upper"]].isna().all()
    assert gap["method"].startswith("not estimable: one outcome class")


@pytest.mark.parametrize(
    ("truth", "message"),
    [([0.1, np.nan], "true_probability: 1 of 2 values are missing"), ([0.1], "true_probability has 1 rows")],
)
def test_bad_rows_are_refused(truth, message):
    with pytest.raises(DataError, match=message):
        check_against_truth([0, 1], [0.2, 0.4], truth, None)


def test_truth_and_propensity_are_read_back(tmp_path):
    folder = save(tmp_path / "cohort", truth=TRUTH, truth_options=OPTIONS)
    known = load_truth(folder, technique="facet_rfa", outcome="pain_response", month=6)
    assert known["probability"].to_numpy() == pytest.approx(make_probability(np.array([0.8, -0.4])))
    assert known["control_probability"].to_numpy() == pytest.approx(make_probability(np.array([-0.65, -1.35])))
    assert load_truth(folder)["technique"].value_counts().to_dict() == {"facet_rfa": 2, "facet_joint_injection": 2}
    assert load_truth(folder, month=3).empty
    propensity = load_whole_truth(str(folder)).propensity.query("technique == 'facet_rfa'")
    assert propensity["probability"].tolist() == [0.5, 0.6]
    assert propensity["selection"].tolist() == [0.9, 0.8]


def test_a_question_that_the_truth_does_not_hold_is_refused(tmp_path):
    folder = save(tmp_path / "cohort", truth=TRUTH, truth_options=OPTIONS)
    with pytest.raises(SettingsError, match="outcome: unknown name 'pain_respons'; did you mean 'pain_response'"):
        load_truth(folder, outcome="pain_respons")
    with pytest.raises(SettingsError, match="technique: unknown name 'si_joint_rfa'"):
        load_truth(folder, technique="si_joint_rfa")


def test_a_changed_truth_is_refused(tmp_path):
    folder = save(tmp_path / "cohort", truth=TRUTH, truth_options=OPTIONS)
    TRUTH.assign(effect_0=0.5).to_parquet(folder / "truth.parquet")
    with pytest.raises(DataError, match=r"truth\.parquet .* cohort\.json"):
        load_truth(folder)


def test_a_cohort_without_truth_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"lacks truth\.parquet"):
        load_truth(save(tmp_path / "cohort"))
    with pytest.raises(DataError, match=r"lacks truth_options\.parquet"):
        load_truth(save(tmp_path / "half", truth=TRUTH))
    with pytest.raises(DataError, check=lambda error: error.code == "PC-COHORT-02"):
        load_truth(tmp_path / "nowhere")


def test_a_real_cohort_has_no_known_truth(tmp_path):
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-EVALUATION-23"):
        load_truth(save(tmp_path / "cohort", basis="real", truth=TRUTH))


def test_a_truth_of_another_form_is_refused(tmp_path):
    folder = save(tmp_path / "cohort", truth=TRUTH.drop(columns=["shared", "effect_0"]))
    with pytest.raises(DataError, match=r"truth\.parquet lacks shared, effect_0"):
        load_truth(folder)


def test_a_truth_that_is_the_same_for_all_is_no_reason_to_cry_leak():
    rng = np.random.default_rng(11)
    outcome = (rng.random(300) < 0.2).astype(float)
    noise = expit(rng.normal(0.0, 1.0, 300))
    refuse_leak(outcome, noise, np.full(300, 0.2), np.arange(300))
    with pytest.raises(RefusalError, match="leak"):
        refuse_leak(outcome, 0.1 + 0.5 * outcome + 0.3 * noise, np.full(300, 0.2), np.arange(300))
