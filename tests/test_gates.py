"""The gate: what it refuses and why, what it accepts, and what holds for any evidence."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.errors import SettingsError
from paincast.evaluation.groups.subgroups import compute_metrics_by_group
from paincast.evaluation.performance.decision import DECISION_COLUMNS, compute_decision_curve
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, compute_metrics
from paincast.evaluation.validation.overall_risk import compute_log_loss_gain
from paincast.gates import CRITERIA, GateEvidence, GateVerdict, gate
from paincast.gates.net_benefit import describe_gains
from paincast.reporting.figures.review import describe_decision_curve
from paincast.schema import RESEARCH_MARK
from paincast.settings import CARD_ITEMS, GateSettings, TrainingSettings, check_settings

RESEARCH = GateSettings(
    name="research", research_use=True, bases=["synthetic", "blended", "real"], minimum_real=0, held_out=False
)
GOOD = {
    "auroc": (0.70, 0.66, 0.74),
    "auroc_within_folds": (0.70, 0.66, 0.74),
    "log_loss_gain": (0.06, 0.04, 0.08),
    "auroc_above_truth": (-0.02, -0.04, 0.01),
    "calibration_slope": (1.0, 0.87, 1.13),
    "ici": (0.02, 0.01, 0.04),
    "ici_loess": (0.03, 0.01, 0.04),
}
NUMBER = {"coverage": (0.80, 0.77, 0.83), "pinball_gain": (0.2, 0.1, 0.3)}
NAN = (np.nan, np.nan, np.nan)


def make_table(rows: dict[str, tuple[float, float, float]], *, metric: str = "", n: int = 2000) -> pd.DataFrame:
    """Make rows by metric or, with ``metric``, rows of one metric by group."""
    table = [(metric or name, name if metric else "overall", *interval, n, "a test") for name, interval in rows.items()]
    return pd.DataFrame(table, columns=list(METRIC_COLUMNS))


def make_curve(lower: dict[float, tuple[float, float]]) -> pd.DataFrame:
    """Make a decision curve from the lower ends of the band of what is gained over treating all and treating none."""
    rows = [
        (
            *("net_benefit_difference", "overall", low + 0.01, low + 0.005, low + 0.015, 2000, "a test"),
            *(threshold, "model", versus, low, low + 0.02),
        )
        for threshold, both in lower.items()
        for versus, low in zip(("treat_all", "treat_none"), both, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(DECISION_COLUMNS))


def make_held_out(
    interval: tuple[float, float, float], metric: str = "o_e_ratio", n_groups: float = 6.0
) -> pd.DataFrame:
    """Make the table of held-out sites with one mean over them."""
    names = ("estimate", "lower", "upper")
    pooled = {"metric": metric, "n_groups": n_groups, "predicted_lower": 0.7, "predicted_upper": 1.4}
    return pd.DataFrame([{"metric": metric, "n_groups": np.nan}, {**pooled, **dict(zip(names, interval, strict=True))}])


def make_tipping(*odds: float) -> pd.DataFrame:
    """Make a tipping point analysis whose verdict changes at some odds."""
    shifts = sorted({*np.linspace(-2, 2, 9), *np.log(odds)})
    low, high = min([*np.log(odds), 99]), max([*np.log(odds), -99])
    holds = [low <= shift <= high or len(odds) == 0 for shift in shifts]
    return pd.DataFrame(
        {
            "shift": shifts,
            "odds_ratio": np.exp(shifts),
            "verdict": np.where(holds, "calibrated in the large", "predictions too low"),
            "tips": np.isin(shifts, np.log(odds)),
        }
    )


def make_loss(asked: float, lost: float) -> pd.DataFrame:
    return pd.DataFrame({"measure": ["asked", "observed", "lost"], "value": [asked, asked - lost, lost]})


def make_validation(n: float, interval: tuple[float, float, float], *, contradicts: bool) -> pd.DataFrame:
    names = ("estimate", "lower", "upper")
    row = {"group": "elsewhere", "n": n, "contradicts": contradicts, **dict(zip(names, interval, strict=True))}
    return pd.DataFrame([row])


def make_evidence(**changes: object) -> GateEvidence:
    """Make evidence that passes, and change the overall metrics or a field of it."""
    fields = {name: value for name, value in changes.items() if name in GateEvidence.__dataclass_fields__}
    metrics = {name: value for name, value in changes.items() if name not in fields}
    good = GateEvidence(
        kind="binary",
        basis="real",
        n_real=2000,
        confidence=0.95,
        level=0.8,
        metrics=make_table({**GOOD, **metrics}),
        subgroups=make_table({"sex: female": (1.02, 0.9, 1.1), "sex: male": (0.98, 0.9, 1.1)}, metric="o_e_ratio"),
        decision_curve=make_curve({0.3: (0.01, -0.02), 0.5: (0.02, 0.03), 0.6: (0.05, -0.01)}),
        sample_size=pd.DataFrame({"criterion": ["shrinkage"], "n": [900], "available": [2000], "met": [True]}),
        instability=make_table({"instability_mean": (0.03, 0.02, 0.04), "interval_width": (0.21, 0.2, 0.22)}),
        loss=make_loss(2200, 200),
        tipping_point=make_tipping(0.4, 2.5),
        held_out={"held_out_site": make_held_out((1.02, 0.9, 1.15))},
        card_items=frozenset({"limits", *CARD_ITEMS}),
    )
    return replace(good, **fields)


def list_unmet(verdict: GateVerdict) -> dict[str, str]:
    return {finding.criterion: finding.status for finding in verdict.unmet}


def reason_of(verdict: GateVerdict, criterion: str) -> str:
    return next(finding.reason for finding in verdict.findings if finding.criterion == criterion)


def test_a_good_model_passes_with_a_reason_for_every_criterion():
    verdict = gate(make_evidence(), GateSettings(card_items=["limits"]))
    assert verdict.passed
    assert verdict.mark == ""
    assert verdict.describe() == "passes gate 'default' (16 criteria)"
    assert list(verdict.to_frame()["criterion"]) == list(CRITERIA)
    assert (verdict.to_frame()["reason"] != "").all()
    said = reason_of(verdict, "net_benefit")
    assert "at 1 of 3 thresholds; most clearly at 0.5, by 0.03 (0.02 to 0.04)" in said


@pytest.mark.parametrize(
    ("metric", "interval", "criterion"),
    [
        ("calibration_slope", (0.9, 0.79, 0.95), "calibration_slope"),
        ("calibration_slope", (1.1, 1.07, 1.26), "calibration_slope"),
        ("ici", (0.04, 0.02, 0.051), "ici"),
        ("ici_loess", (0.04, 0.02, 0.051), "ici"),
        ("auroc_within_folds", (0.53, 0.5, 0.56), "auroc"),
        ("log_loss_gain", (0.01, 0.0, 0.02), "gain"),
        ("auroc", (0.97, 0.96, 0.98), "leak"),
    ],
)
def test_bounds_count_and_not_estimates(metric, interval, criterion):
    verdict = gate(make_evidence(**{metric: interval}), GateSettings())
    assert list_unmet(verdict) == {criterion: "failed"}
    assert f"({interval[1]:.3g} to {interval[2]:.3g})" in verdict.unmet[0].reason


def test_a_model_that_treats_nobody_gains_nothing_though_treating_all_does_harm():
    rng = np.random.default_rng(3)
    outcome, probability = rng.random(800) < 0.4, rng.uniform(0.38, 0.42, 800)
    curve = compute_decision_curve(
        outcome, probability, patients=None, thresholds=[0.3, 0.5, 0.7], base_rate=None, rng=rng, resamples=100
    )
    over_all = curve[(curve["versus"] == "treat_all") & (curve["threshold"] == 0.7)].iloc[0]
    assert over_all["lower"] > 0
    assert "net_benefit" in list_unmet(gate(make_evidence(decision_curve=curve), GateSettings()))
    verdict = gate(make_evidence(decision_curve=make_curve({0.6: (0.05, -0.01)})), GateSettings())
    assert list_unmet(verdict) == {"net_benefit": "failed"}


NOT_TOLD = (np.nan, np.nan)


@pytest.mark.parametrize(
    ("lower", "status", "facts"),
    [
        ({0.3: (0.01, 0.02), 0.5: (0.02, 0.03)}, "passed", ["at 2 of 2 thresholds", "at 0.5, by 0.03 (0.02 to 0.04)"]),
        ({0.3: (0.01, 0.02), 0.5: NOT_TOLD}, "passed", ["at 1 of 1 thresholds (1 more are hidden)"]),
        ({0.3: (-0.005, 0.02), 0.5: (-0.01, 0.0)}, "failed", ["any of 2", "0.005 (-0.005 to 0.015) at 0.3", "chance"]),
        ({0.3: (-0.018, 0.1), 0.5: (0.1, -0.05)}, "failed", ["any of 2", "at 0.3, by 0.008 (-0.002 to 0.018)"]),
        ({0.3: (-0.01, 0.0), 0.5: (-0.03, 0.0)}, "failed", ["any of 2", "at best the same"]),
        ({0.3: NOT_TOLD, 0.5: (np.nan, 0.1)}, "missing", []),
    ],
)
def test_net_benefit_is_told_in_words_that_fit_its_sign(lower, status, facts):
    curve = make_curve(lower)
    verdict = gate(make_evidence(decision_curve=curve), GateSettings())
    finding = next(one for one in verdict.findings if one.criterion == "net_benefit")
    assert finding.status == status
    said = describe_gains(curve) if status == "missing" else finding.reason
    assert all(fact in said for fact in facts)
    assert ("most clearly" in said) is (status == "passed")
    assert not re.search(r"by -", said)
    assert describe_decision_curve(curve).count(describe_gains(curve)) == 1


def test_a_model_that_is_the_same_as_treating_none_everywhere_has_no_interval_and_gains_nothing():
    rng = np.random.default_rng(3)
    outcome = (np.arange(200) < 20).astype(float)
    curve = compute_decision_curve(
        outcome, np.full(200, 0.1), patients=None, thresholds=[0.3, 0.5], base_rate=None, rng=rng, resamples=100
    )
    verdict = gate(make_evidence(decision_curve=curve), GateSettings())
    assert list_unmet(verdict) == {"net_benefit": "failed"}
    assert "any of 2 thresholds; at best the same" in reason_of(verdict, "net_benefit")


def test_without_a_told_threshold_no_gain_is_claimed():
    assert "at none of 0 thresholds" in describe_gains(None)
    assert "at none of 2 thresholds" in describe_gains(make_curve({0.3: NOT_TOLD, 0.5: NOT_TOLD}))
    one_sided = make_curve({0.3: (0.1, 0.1)}).query("versus == 'treat_all'")
    assert "at none of 1 thresholds" in describe_gains(one_sided)


def test_probabilities_that_are_too_extreme_are_refused():
    rng = np.random.default_rng(4)
    log_odds = rng.normal(0.0, 1.0, 3000)
    outcome = rng.random(3000) < 1.0 / (1.0 + np.exp(-log_odds))

    def judge(factor: float) -> dict[str, str]:
        probability = 1.0 / (1.0 + np.exp(-factor * log_odds))
        metrics = compute_metrics(outcome, probability, patients=None, rng=np.random.default_rng(1), resamples=100)
        gain = compute_log_loss_gain(outcome, probability, patients=None)
        evidence = make_evidence(metrics=pd.concat([metrics, gain], ignore_index=True))
        return list_unmet(gate(evidence, GateSettings(ici=None)))

    assert judge(1.0) == {}
    assert judge(2.0) == {"calibration_slope": "failed", "stability": "failed"}


def test_a_model_above_its_truth_is_refused_even_for_research():
    leaked = make_evidence(basis="synthetic", n_real=0, auroc_above_truth=(0.1, 0.05, 0.15))
    verdict = gate(leaked, RESEARCH)
    assert list_unmet(verdict) == {"leak": "failed"}
    assert "above that of the true probabilities 0.1 (0.05 to 0.15)" in verdict.unmet[0].reason


def test_a_simulated_model_that_was_not_held_against_its_truth_is_refused():
    verdict = gate(make_evidence(basis="synthetic", n_real=0, auroc_above_truth=NAN), RESEARCH)
    assert list_unmet(verdict) == {"leak": "missing"}


def test_too_few_patients_are_refused():
    sizes = pd.DataFrame({"criterion": ["shrinkage", "risk"], "n": [900, 380], "available": 400, "met": [False, True]})
    verdict = gate(make_evidence(n_real=47, sample_size=sizes), GateSettings())
    assert list_unmet(verdict) == {"n_real": "failed", "sample_size": "failed"}
    assert reason_of(verdict, "sample_size") == "400 of 900 for shrinkage"


def test_simulated_patients_alone_make_no_champion_but_for_research():
    synthetic = make_evidence(basis="synthetic", n_real=0)
    verdict = gate(synthetic, GateSettings(minimum_real=0))
    assert list_unmet(verdict) == {"basis": "failed"}
    assert "for research use" in verdict.unmet[0].reason
    assert list_unmet(gate(synthetic, GateSettings(minimum_real=0, bases=["synthetic"]))) == {"basis": "failed"}
    accepted = gate(synthetic, RESEARCH)
    assert accepted.passed
    assert accepted.mark == RESEARCH_MARK
    assert RESEARCH_MARK in accepted.describe()


def test_a_basis_that_the_gate_does_not_name_is_refused():
    assert list_unmet(gate(make_evidence(basis="blended"), GateSettings(bases=["real"]))) == {"basis": "failed"}


@pytest.mark.parametrize(
    ("changes", "criterion"),
    [
        ({"n_real": None}, "n_real"),
        ({"confidence": None}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"sample_size": None}, "sample_size"),
        ({"sample_size": pd.DataFrame({"criterion": ["a"], "n": [9], "available": [9], "met": [None]})}, "sample_size"),
        ({"decision_curve": None}, "net_benefit"),
        ({"decision_curve": make_curve({0.3: (np.nan, 0.1)})}, "net_benefit"),
        ({"subgroups": None}, "subgroups"),
        ({"subgroups": make_table({"site: a": NAN}, metric="o_e_ratio")}, "subgroups"),
        ({"subgroups": make_table({"site: a": NAN}, metric="o_e_ratio", n=9)}, "subgroups"),
        ({"calibration_slope": NAN}, "calibration_slope"),
        ({"calibration_slope": (1.0, np.nan, 1.1)}, "calibration_slope"),
        ({"calibration_slope": (1.0, -np.inf, 1.1)}, "calibration_slope"),
        ({"calibration_slope": (1.0, 1.1, 0.9)}, "calibration_slope"),
        ({"ici": NAN}, "ici"),
        ({"card_items": None}, "model_card"),
        ({"card_items": frozenset()}, "model_card"),
    ],
)
def test_what_is_missing_fails(changes, criterion):
    verdict = gate(make_evidence(**changes), GateSettings(card_items=["limits"]))
    also = {"stability": "missing"} if criterion in ("confidence", "calibration_slope") else {}
    assert list_unmet(verdict) == {criterion: "missing", **also}


def test_a_metric_that_stands_twice_is_not_chosen_from():
    twice = pd.concat([make_table(GOOD), make_table({"ici": (0.01, 0.0, 0.02)})], ignore_index=True)
    verdict = gate(make_evidence(metrics=twice), GateSettings())
    assert list_unmet(verdict) == {"ici": "missing"}
    assert verdict.unmet[0].reason == "ici stands 2 times in the metrics"


@pytest.mark.parametrize(
    ("held_out", "validations", "default", "research"),
    [
        ({}, None, "missing", "not asked"),
        ({"held_out_site": make_held_out((1.0, 0.85, 1.2))}, None, "passed", "passed"),
        ({"held_out_site": make_held_out((1.0, 0.6, 1.6), n_groups=2)}, None, "failed", "passed"),
        ({"held_out_year": make_held_out((1.6, 1.3, 1.9))}, None, "failed", "failed"),
        ({}, make_validation(400, (1.0, 0.85, 1.2), contradicts=False), "passed", "passed"),
        ({}, make_validation(30, (1.0, 0.5, 2.0), contradicts=False), "failed", "passed"),
        (
            {"held_out_site": make_held_out((1.0, 0.9, 1.1))},
            make_validation(110, (0.18, 0.08, 0.3), contradicts=True),
            "failed",
            "failed",
        ),
    ],
)
def test_observed_over_expected_is_judged_elsewhere_and_unknown_does_not_refuse_research(
    held_out, validations, default, research
):
    evidence = make_evidence(held_out=held_out, validations=validations)
    for criteria, status in ((GateSettings(), default), (RESEARCH, research)):
        finding = next(one for one in gate(evidence, criteria).findings if one.criterion == "o_e_elsewhere")
        assert finding.status == status
        assert finding.reason
    assert gate(evidence, GateSettings(o_e_ratio=None)).passed


def test_why_calibration_elsewhere_is_unknown_is_told():
    parts = pd.DataFrame(
        {"part": ["held_out_site"], "status": ["cannot be measured"], "says": ["cannot be held out: one site"]}
    )
    verdict = gate(make_evidence(held_out={"internal_validation": parts}), RESEARCH)
    assert verdict.passed
    assert reason_of(verdict, "o_e_elsewhere") == reason_of(verdict, "slope_elsewhere")
    assert "not known: one site" in reason_of(verdict, "o_e_elsewhere")


def test_observed_over_expected_out_of_fold_is_not_looked_at():
    assert gate(make_evidence(o_e_ratio=(3.0, 2.9, 3.1)), GateSettings()).passed


def test_the_slope_elsewhere_is_judged_where_it_is_known():
    slope = pd.concat([make_held_out((1.0, 0.9, 1.1)), make_held_out((0.5, 0.4, 0.6), "calibration_slope")])
    verdict = gate(make_evidence(held_out={"held_out_site": slope}), RESEARCH)
    assert list_unmet(verdict) == {"slope_elsewhere": "failed"}
    assert "over 6 sites held out; a new one may have 0.7 to 1.4" in verdict.unmet[0].reason


@pytest.mark.parametrize(
    ("loss", "default", "research"),
    [
        (make_loss(1000, 200), "passed", "passed"),
        (make_loss(1000, 400), "failed", "passed"),
        (make_loss(1000, 670), "failed", "failed"),
        (make_loss(np.nan, np.nan), "passed", "passed"),
        (None, "missing", "missing"),
        (pd.DataFrame({"measure": ["observed"], "value": [9.0]}), "missing", "missing"),
    ],
)
def test_many_lost_to_follow_up_refuse_a_model(loss, default, research):
    wider = replace(RESEARCH, lost_share=0.5)
    for criteria, status in ((GateSettings(), default), (wider, research)):
        unmet = list_unmet(gate(make_evidence(loss=loss), criteria))
        assert unmet == ({} if status == "passed" else {"follow_up": status})


@pytest.mark.parametrize(
    ("table", "status"),
    [
        (make_tipping(), "passed"),
        (make_tipping(0.5, 2.0), "passed"),
        (make_tipping(0.8), "failed"),
        (make_tipping(0.5, 1.3), "failed"),
        (make_tipping().assign(verdict="predictions too low"), "failed"),
        (None, "missing"),
    ],
)
def test_a_verdict_that_hangs_on_those_lost_is_refused(table, status):
    unmet = list_unmet(gate(make_evidence(tipping_point=table), GateSettings()))
    assert unmet == ({} if status == "passed" else {"tipping_point": status})
    few = gate(make_evidence(tipping_point=None, loss=make_loss(np.nan, np.nan)), GateSettings())
    assert few.passed


def test_a_probable_slope_is_asked_for_and_the_width_of_the_answers_told():
    wide = make_evidence(calibration_slope=(1.0, 0.81, 1.2))
    verdict = gate(wide, GateSettings())
    assert list_unmet(verdict) == {}
    refused = gate(wide, GateSettings(slope_probability=0.9))
    assert list_unmet(refused) == {"stability": "failed"}
    assert "87%; intervals of individuals are on average this wide: 0.21" in refused.unmet[0].reason


def test_the_number_of_simulated_patients_is_not_judged():
    sizes = pd.DataFrame({"criterion": ["shrinkage"], "n": [900], "available": 400, "met": [False]})
    verdict = gate(make_evidence(basis="synthetic", n_real=0, sample_size=sizes), RESEARCH)
    assert verdict.passed
    assert "any number" in reason_of(verdict, "sample_size")


def test_a_pooled_auroc_is_judged_where_the_folds_are_not_known():
    metrics = make_table({name: row for name, row in GOOD.items() if name != "auroc_within_folds"})
    verdict = gate(make_evidence(metrics=metrics), GateSettings())
    assert verdict.passed
    assert "pooled" in next(one.required for one in verdict.findings if one.criterion == "auroc")


def test_narrow_intervals_of_low_coverage_are_refused():
    assert list_unmet(gate(make_evidence(confidence=0.5), RESEARCH)) == {"confidence": "failed", "stability": "failed"}


def test_only_subgroups_wholly_outside_are_held_against_a_model():
    groups = {"imprecise": (1.2, 0.9, 1.6), "wrong": (1.6, 1.3, 1.9), "low": (0.6, 0.5, 0.79)}
    verdict = gate(make_evidence(subgroups=make_table(groups, metric="o_e_ratio")), GateSettings())
    assert list_unmet(verdict) == {"subgroups": "failed"}
    assert verdict.unmet[0].reason.startswith("wrong: 1.6 (1.3 to 1.9); low: 0.6 (0.5 to 0.79); 0 of 3 could show")


def test_a_subgroup_too_small_for_an_interval_is_told_and_no_bar():
    small = make_table({"rare": NAN}, metric="o_e_ratio", n=20)
    groups = pd.concat([make_evidence().subgroups, small], ignore_index=True)
    verdict = gate(make_evidence(subgroups=groups), GateSettings())
    assert verdict.passed
    assert reason_of(verdict, "subgroups").startswith("2 subgroups with an interval; 1 too small for one; 2 of 2 could")


def test_of_many_levels_the_shrunken_interval_is_judged():
    wrong = make_table({"year: 2019": (1.6, 1.3, 1.9)}, metric="o_e_ratio")
    shrunken = wrong.assign(shrunken=1.15, shrunken_lower=1.0, shrunken_upper=1.3)
    assert gate(make_evidence(subgroups=shrunken), GateSettings()).passed
    unknown = wrong.assign(shrunken=np.nan, shrunken_lower=np.nan, shrunken_upper=np.nan)
    assert list_unmet(gate(make_evidence(subgroups=unknown), GateSettings())) == {"subgroups": "failed"}


@pytest.mark.parametrize("n_small", [6, 30])
def test_subgroups_as_they_are_computed_are_judged(n_small):
    rng = np.random.default_rng(2)
    probability = rng.uniform(0.2, 0.8, 900)
    levels = pd.DataFrame({"sex": ["a"] * n_small + ["b"] * 400 + ["c"] * (500 - n_small)})
    table = compute_metrics_by_group(rng.random(900) < probability, probability, levels, patients=None)
    verdict = gate(make_evidence(subgroups=table), GateSettings())
    assert verdict.passed
    told = "; 1 too small for one" if n_small == 6 else ""
    assert reason_of(verdict, "subgroups").startswith(f"{3 - (n_small == 6)} subgroups with an interval{told}; ")


@pytest.mark.parametrize(
    ("changes", "unmet"),
    [
        ({}, {}),
        ({"coverage": (0.7, 0.67, 0.73)}, {"coverage": "failed"}),
        ({"pinball_gain": (0.1, -0.1, 0.3)}, {"pinball_gain": "failed"}),
        ({"pinball_gain": NAN}, {"pinball_gain": "missing"}),
    ],
)
def test_a_number_is_judged_by_its_interval_and_not_by_probabilities(changes, unmet):
    evidence = make_evidence(kind="continuous", metrics=make_table({**NUMBER, **changes}))
    assert list_unmet(gate(evidence, GateSettings())) == unmet
    assert list_unmet(gate(replace(evidence, level=None), GateSettings())) == {**unmet, "coverage": "missing"}


def test_a_gate_tells_what_it_leaves_out():
    lenient = GateSettings(
        calibration_slope=None,
        slope_probability=None,
        ici=None,
        net_benefit=False,
        sample_size=False,
        lost_share=None,
        log_loss_gain=False,
        tipping_odds=None,
        o_e_ratio=None,
        card_items=[],
    )
    absent = {"decision_curve": None, "sample_size": None, "loss": None, "tipping_point": None, "held_out": {}}
    verdict = gate(make_evidence(calibration_slope=NAN, ici=NAN, **absent), lenient)
    assert verdict.passed
    left_out = verdict.to_frame().query("reason == 'the gate leaves it out'")["criterion"]
    performance = {"gain", "calibration_slope", "stability", "ici", "o_e_elsewhere", "slope_elsewhere", "net_benefit"}
    assert performance | {"sample_size", "follow_up", "tipping_point", "model_card"} == set(left_out)


ends = st.floats(0.0, 2.0) | st.just(float("nan"))
intervals = st.tuples(ends, ends, ends)
evidences = st.builds(
    lambda basis, n_real, kind, held: make_evidence(
        basis=basis, n_real=n_real, kind=kind, metrics=make_table(held) if held else None
    ),
    st.sampled_from(["synthetic", "real", "blended"]),
    st.none() | st.integers(0, 5000),
    st.sampled_from(["binary", "time_to_event", "continuous"]),
    st.dictionaries(st.sampled_from([*GOOD, *NUMBER]), intervals),
)
gates = st.sampled_from([GateSettings(), RESEARCH, GateSettings(net_benefit=False, ici=None)])


@pytest.mark.slow
@given(evidences, gates)
def test_every_criterion_gets_one_finding_and_the_same_twice(evidence, criteria):
    verdict = gate(evidence, criteria)
    assert [finding.criterion for finding in verdict.findings] == list(CRITERIA)
    assert verdict == gate(evidence, criteria)
    assert verdict.passed == set(verdict.to_frame()["status"]).issubset({"passed", "not asked"})
    assert all(finding.reason for finding in verdict.findings)


@pytest.mark.slow
@given(evidences)
def test_no_gate_but_one_for_research_lets_synthetic_through(evidence):
    assert not gate(replace(evidence, basis="synthetic"), GateSettings(bases=["synthetic", "real"])).passed


@given(st.sampled_from(list(GOOD)), st.integers(0, 2))
def test_taking_a_number_away_never_helps(metric, place):
    interval = [*GOOD[metric]]
    interval[place] = float("nan")
    before = gate(make_evidence(basis="synthetic"), RESEARCH)
    after = gate(make_evidence(basis="synthetic", **{metric: tuple(interval)}), RESEARCH)
    assert before.passed
    assert not after.passed


@pytest.mark.slow
@given(st.floats(0.81, 1.24), st.floats(0.0, 0.4), st.floats(0.0, 0.4))
def test_a_wider_interval_never_passes_where_a_narrower_fails(centre, narrow, more):
    def passes(reach: float) -> bool:
        slope = (centre, centre - reach, centre + reach)
        return gate(make_evidence(calibration_slope=slope), GateSettings()).passed

    assert passes(narrow) or not passes(narrow + more)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "../mine"}, r"gate\.name: '\.\./mine' is not allowed; use letters"),
        ({"bases": []}, r"gate\.bases is empty"),
        ({"bases": ["reel"]}, r"gate\.bases: unknown name 'reel'; did you mean 'real'"),
        ({"bases": ["synthetic"]}, r"set gate\.research_use=true"),
        ({"calibration_slope": [1.25, 0.8]}, r"gate\.calibration_slope .*two increasing .*0 to 10"),
        ({"auroc": [0.5, 1.5]}, r"gate\.auroc=1\.5 .*0 to 1"),
        ({"ici": -0.1}, r"gate\.ici=-0\.1 is out of range"),
        ({"confidence": 1.0}, r"gate\.confidence=1 is out of range"),
        ({"minimum_real": -1}, r"gate\.minimum_real=-1 is out of range"),
    ],
)
def test_criteria_that_make_no_sense_are_refused(changed, told):
    with pytest.raises(SettingsError, match=told):
        check_settings(TrainingSettings(gate=GateSettings(**changed)))
