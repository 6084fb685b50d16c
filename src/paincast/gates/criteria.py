"""The criteria of a gate, each a pure function of the evidence and the settings of the gate, and the gate itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from paincast.gates.elsewhere import assess_o_e_elsewhere, assess_slope_elsewhere
from paincast.gates.findings import (
    assess_interval,
    assess_within,
    is_number,
    leave_out,
    list_rows,
    make_finding,
    read_interval,
    show,
)
from paincast.gates.net_benefit import assess_net_benefit
from paincast.gates.patients import (
    CIRCULAR,
    assess_basis,
    assess_follow_up,
    assess_n_real,
    assess_sample_size,
    assess_stability,
    assess_subgroups,
    assess_tipping_point,
)
from paincast.gates.verdict import FAILED, MISSING, NOT_ASKED, PASSED, GateEvidence, GateFinding, GateVerdict
from paincast.settings import GateSettings

WITHIN_FOLDS, LOESS = "auroc_within_folds", "ici_loess"


def gate(evidence: GateEvidence, criteria: GateSettings) -> GateVerdict:
    """Judge evidence by the criteria of a gate.

    Limits apply to the bounds of intervals: an imprecise estimate fails like a bad one. Subgroups are an exception, as
    they are many and small: a subgroup fails only if its whole interval is outside the limits. Observed / expected is
    judged in held-out sites or years and in other cohorts, never out of fold, where it is 1 by construction.

    Parameters
    ----------
    evidence : GateEvidence
        Evidence on the model.
    criteria : GateSettings
        Requirements; checked by :func:`paincast.settings.check_settings`.

    Returns
    -------
    GateVerdict
        A finding for every criterion. A missing number fails, and so does a duplicate.

    Examples
    --------
    >>> verdict = gate(GateEvidence(kind="binary", basis="synthetic", n_real=0), GateSettings())
    >>> verdict.findings[0].reason
    'based on simulated patients only, which is for research use'
    """
    findings = tuple(judge(evidence, criteria) for judge in CRITERIA.values())
    return GateVerdict(gate=criteria.name, research_use=criteria.research_use, findings=findings)


def _assess_confidence(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    required = f"intervals of at least {criteria.confidence:.1%}"
    if not is_number(evidence.confidence):
        return make_finding("confidence", MISSING, required, "the confidence of the intervals is not recorded")
    confidence = float(evidence.confidence or 0.0)
    is_met = confidence >= criteria.confidence - 1e-9
    return make_finding("confidence", is_met, required, f"intervals of {confidence:.1%}")


def _assess_leak(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    highest = criteria.auroc[1]
    required = f"an AUROC that is possible: interval not wholly above {highest:g}, nor above that of the truth"
    if evidence.is_number:
        return leave_out("leak", True)
    bounds = [("auroc", highest, "the AUROC")]
    if evidence.basis == "synthetic":
        bounds.append(("auroc_above_truth", 0.0, "the AUROC above that of the true probabilities"))
    reasons = []
    for metric, bound, name in bounds:
        row = read_interval(evidence.metrics, metric)
        if isinstance(row, str):
            return make_finding("leak", MISSING, required, row)
        reasons.append(f"{name} {show(row)}")
        if row["lower"] > bound:
            reason = f"{reasons[-1]}: something known only later reaches the model"
            return make_finding("leak", FAILED, required, reason)
    return make_finding("leak", PASSED, required, "; ".join(reasons))


def _assess_auroc(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the AUROC within folds; pooled, which lies too low without skill, where the folds are not known."""
    lowest = criteria.auroc[0]
    if evidence.is_number:
        return leave_out("auroc", True)
    metric = WITHIN_FOLDS if list_rows(evidence.metrics, "metric", WITHIN_FOLDS) else "auroc"
    words = "within folds" if metric == WITHIN_FOLDS else "pooled over folds"
    required = f"tells patients apart: lower bound of the AUROC {words} above {lowest:g}"
    return assess_interval(evidence, metric, required, lambda low, _: low > lowest, name="auroc")


def _assess_gain(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge whether the model is better than telling every patient the overall risk."""
    if not criteria.log_loss_gain or evidence.is_number:
        return leave_out("gain", evidence.is_number)
    required = "better than telling everybody the overall risk: lower bound of the gain in log loss above 0"
    return assess_interval(evidence, "log_loss_gain", required, lambda low, _: low > 0, name="gain")


def _assess_slope(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    finding = assess_within(evidence, "calibration_slope", criteria.calibration_slope)
    if evidence.basis != "synthetic" or finding.status not in (FAILED, PASSED):
        return finding
    return make_finding("calibration_slope", NOT_ASKED, finding.required, f"{finding.reason}; {CIRCULAR}")


def _assess_ici(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the larger of two: the spline smooths steps away, which loess follows."""
    largest = criteria.ici
    if largest is None or evidence.is_number:
        return leave_out("ici", evidence.is_number)
    required = f"upper bound at most {largest:g}, by spline and by loess"
    names = ["ici", *([LOESS] if list_rows(evidence.metrics, "metric", LOESS) else [])]
    rows = [read_interval(evidence.metrics, name) for name in names]
    absent = [row for row in rows if isinstance(row, str)]
    if absent:
        return make_finding("ici", MISSING, required, absent[0])
    row = max((row for row in rows if not isinstance(row, str)), key=lambda row: row["upper"])
    return make_finding("ici", row["upper"] <= largest, required, show(row))


def _assess_coverage(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    margin = criteria.coverage_margin
    if margin is None or not evidence.is_number:
        return leave_out("coverage", not evidence.is_number)
    if not is_number(evidence.level):
        return make_finding("coverage", MISSING, f"within {margin:g} of its level", "its level is not recorded")
    level = float(evidence.level or 0.0)
    return assess_within(evidence, "coverage", [level - margin, level + margin], numbers=True)


def _assess_pinball_gain(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    if not criteria.pinball_gain or not evidence.is_number:
        return leave_out("pinball_gain", not evidence.is_number)
    return assess_interval(evidence, "pinball_gain", "lower bound above 0", lambda low, _: low > 0)


def _assess_card(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    if not criteria.card_items:
        return leave_out("model_card", False)
    required = f"filled: {', '.join(criteria.card_items)}"
    if evidence.card_items is None:
        return make_finding("model_card", MISSING, required, "there is no model card")
    absent = [item for item in criteria.card_items if item not in evidence.card_items]
    reason = f"missing: {', '.join(absent)}" if absent else f"{len(criteria.card_items)} items are filled"
    return make_finding("model_card", MISSING if absent else PASSED, required, reason)


Criterion = Callable[[GateEvidence, GateSettings], GateFinding]

CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "basis": assess_basis,
        "n_real": assess_n_real,
        "sample_size": assess_sample_size,
        "stability": assess_stability,
        "follow_up": assess_follow_up,
        "tipping_point": assess_tipping_point,
        "confidence": _assess_confidence,
        "leak": _assess_leak,
        "auroc": _assess_auroc,
        "gain": _assess_gain,
        "calibration_slope": _assess_slope,
        "ici": _assess_ici,
        "o_e_elsewhere": assess_o_e_elsewhere,
        "slope_elsewhere": assess_slope_elsewhere,
        "net_benefit": assess_net_benefit,
        "subgroups": assess_subgroups,
        "coverage": _assess_coverage,
        "pinball_gain": _assess_pinball_gain,
        "model_card": _assess_card,
    }
)
"""Criteria by name; each returns a finding of that name."""
