"""Whether the research gate refuses useless models and lets good ones pass, and whether net benefit is claimed without.

Run with: OMP_NUM_THREADS=1 python benchmarks/gates.py [cohorts] [processes]

No model is fitted: each cohort holds log odds as a cross-fitted model would give them, and outcomes drawn from what is
true of them. All evidence of the gate is computed from these as a training computes it; refits are the log odds plus
coefficients drawn with the error of a logistic model of ten columns.

- useless: outcomes that have nothing to do with the predictions ("permuted"), whose spread is 0.05 to 0.7 log odds, and
  predictions twice as extreme as they should be ("slope 0.5"), whose AUROC is 0.55 to 0.75.
- good: slopes of 0.9 to 1.1, AUROC 0.68 to 0.75.

15 % of the patients are lost at random; 20 to 70 % of the others have the outcome. "One site": no site was held out.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special
from scipy.stats import beta

from paincast.cli.hydra_app import read_gate
from paincast.evaluation.assessment import list_thresholds
from paincast.evaluation.groups.subgroups import compute_metrics_by_group
from paincast.evaluation.performance.calibration_curve import compute_calibration_curve
from paincast.evaluation.performance.decision import compute_decision_curve
from paincast.evaluation.performance.discrimination import compute_auroc_within_folds
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, compute_metrics
from paincast.evaluation.validation.delta_adjusted import compute_tipping_point
from paincast.evaluation.validation.overall_risk import compute_log_loss_gain
from paincast.evaluation.validation.sample_size import assess_sample_size
from paincast.evaluation.validation.stability import compute_effective_df
from paincast.gates import FAILED, GateEvidence, gate
from paincast.gates.net_benefit import find_least_gains
from paincast.settings import CARD_ITEMS, EvaluationSettings, GateSettings

COLUMNS, REFITS, FOLDS, RESAMPLES = 10, 30, 5, 100
LOST = 0.15

Draw = Callable[[np.random.Generator], tuple[float, float]]
"""Draws the spread of the predicted log odds and the calibration slope."""


def spread_of(auroc: float, slope: float) -> float:
    """Give the spread of predictions that have an AUROC and a slope, were their log odds normal in either class."""
    return float(np.sqrt(2.0) * special.ndtri(auroc)) / slope


def draw_good(rng: np.random.Generator) -> tuple[float, float]:
    slope = rng.uniform(0.9, 1.1)
    return spread_of(rng.uniform(0.68, 0.75), slope), slope


SCENARIOS: dict[str, tuple[Draw, tuple[int, ...]]] = {
    "good": (draw_good, (1500,)),
    "permuted": (lambda rng: (float(np.exp(rng.uniform(np.log(0.05), np.log(0.7)))), 0.0), (1500, 150)),
    "slope 0.5": (lambda rng: (spread_of(rng.uniform(0.55, 0.75), 0.5), 0.5), (1500, 150)),
}


@dataclass(frozen=True)
class Cohort:
    """Log odds and outcomes of simulated patients with follow-up, evidence from them, and the largest true gain."""

    outcome: np.ndarray
    predicted: np.ndarray
    evidence: GateEvidence
    true_gain: float
    rng: np.random.Generator


def make_cohort(n: int, spread: float, slope: float, rng: np.random.Generator) -> Cohort:
    """Make a cohort with the evidence that is quick to compute: all but the ICI and the subgroups."""
    asked, mean = round(n / (1.0 - LOST)), float(special.logit(rng.uniform(0.2, 0.7)))
    columns = rng.normal(size=(asked, COLUMNS))
    log_odds = mean + spread * columns[:, 0]
    truth = special.expit(mean + slope * (log_odds - mean))
    outcome = (rng.random(asked) < truth).astype(float)
    lost = rng.permutation(asked) >= n
    observed, seen = np.where(lost, np.nan, outcome), ~lost
    known, predicted = outcome[seen], special.expit(log_odds[seen])
    folds = rng.integers(FOLDS, size=(1, n))
    errors = rng.normal(size=(REFITS, COLUMNS)) / np.sqrt((predicted * (1.0 - predicted)).sum())
    refits = log_odds[seen] + errors @ columns[seen].T
    drawn = {"patients": None, "rng": rng, "resamples": RESAMPLES}
    share, thresholds = float(known.mean()), list_thresholds(EvaluationSettings(), float(known.mean()))
    df = compute_effective_df(log_odds[seen], refits)
    metrics = [
        compute_metrics(known, predicted, **drawn),
        compute_auroc_within_folds(known, log_odds[None, seen], folds, patients=None),
        compute_log_loss_gain(known, predicted, patients=None),
    ]
    evidence = GateEvidence(
        kind="binary",
        basis="real",
        n_real=n,
        confidence=0.95,
        level=0.9,
        metrics=pd.concat(metrics, ignore_index=True)[list(METRIC_COLUMNS)],
        decision_curve=compute_decision_curve(known, predicted, thresholds=thresholds, base_rate=None, **drawn),
        sample_size=assess_sample_size(n=n, prevalence=share, effective_df=df, auroc=0.7),
        loss=pd.DataFrame({"measure": ["asked", "lost"], "value": [float(asked), float(lost.sum())]}),
        tipping_point=compute_tipping_point(observed, log_odds),
        card_items=frozenset(CARD_ITEMS),
    )
    return Cohort(known, predicted, evidence, compute_true_gain(mean, spread, slope, thresholds), rng)


def complete(cohort: Cohort) -> GateEvidence:
    """Add the ICI and the subgroups."""
    n, rng = len(cohort.outcome), cohort.rng
    indices = compute_calibration_curve(
        cohort.outcome, cohort.predicted, patients=None, rng=rng, resamples=RESAMPLES
    ).indices
    groups = pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], n),
            "payer": rng.choice(["public", "private", "workers", "self", "other"], n, p=[0.4, 0.3, 0.15, 0.1, 0.05]),
        }
    )
    return replace(
        cohort.evidence,
        metrics=pd.concat([cohort.evidence.metrics, indices], ignore_index=True),
        subgroups=compute_metrics_by_group(cohort.outcome, cohort.predicted, groups, patients=None),
    )


def compute_true_gain(mean: float, spread: float, slope: float, thresholds: list[float]) -> float:
    """Compute the largest gain, over the thresholds, that the model has over the better of treating all and none."""
    log_odds = mean + spread * special.ndtri((np.arange(20_000) + 0.5) / 20_000)
    truth, predicted = special.expit(mean + slope * (log_odds - mean)), special.expit(log_odds)
    gains = []
    for threshold in thresholds:
        benefit = truth - threshold / (1.0 - threshold) * (1.0 - truth)
        gains.append((benefit * (predicted >= threshold)).mean() - max(benefit.mean(), 0.0))
    return max(gains)


def judge(name: str, n: int, seed: int, criteria: GateSettings) -> tuple[bool, bool, float, list[str]]:
    """Judge one cohort: research gate, net benefit, true gain in net benefit, and the criteria that refuse.

    A criterion that fails refuses whatever the others say: then ICI and subgroups are not computed.
    """
    rng = np.random.default_rng([seed, n, list(SCENARIOS).index(name)])
    cohort = make_cohort(n, *SCENARIOS[name][0](rng), rng)
    verdict = gate(cohort.evidence, criteria)
    if not any(finding.status == FAILED for finding in verdict.unmet):
        verdict = gate(complete(cohort), criteria)
    gains = [row for row in find_least_gains(cohort.evidence.decision_curve).values() if row]
    has_benefit = any(row["lower"] > 0 for row in gains if np.isfinite(row["lower"]))
    refusing = [finding.criterion for finding in verdict.unmet if finding.status == FAILED]
    return verdict.passed, has_benefit, cohort.true_gain, refusing


def show_share(count: int, total: int) -> str:
    """Write a share with the 95 % interval of Clopper and Pearson."""
    lower = 0.0 if count == 0 else float(beta.ppf(0.025, count, total - count + 1))
    upper = 1.0 if count == total else float(beta.ppf(0.975, count + 1, total - count))
    return f"{count / total:.1%} ({lower:.1%} to {upper:.1%})"


def main(cohorts: int, processes: int) -> None:
    rows, refusals, criteria = [], {}, read_gate("research")
    for name, (_, sizes) in SCENARIOS.items():
        for n in sizes:
            found = Parallel(n_jobs=processes)(delayed(judge)(name, n, seed, criteria) for seed in range(cohorts))
            passed, benefit = (sum(part) for part in list(zip(*found, strict=True))[:2])
            false_benefit = sum(shown and true <= 0.0005 for _, shown, true, _ in found)
            rows.append(
                {
                    "models": name,
                    "n": n,
                    "research gate": show_share(passed, cohorts),
                    "net benefit": show_share(benefit, cohorts),
                    "without a true gain": show_share(false_benefit, cohorts),
                    "true gain, mean": f"{np.mean([true for _, _, true, _ in found]):.3f}",
                }
            )
            counts = Counter(criterion for *_, unmet in found for criterion in unmet)
            refusals[f"{name}, {n}"] = ", ".join(f"{key} {count / cohorts:.0%}" for key, count in counts.most_common(6))
            print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
    print("\nRefused by:")
    for key, told in refusals.items():
        print(f"  {key}: {told or 'nothing'}")


if __name__ == "__main__":
    given = [int(part) for part in sys.argv[1:]]
    main(*given, *(500, -1)[len(given) :])
