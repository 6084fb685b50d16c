"""Time the bootstrap of the metrics against a loop that draws, sorts and fits each resample on its own; and the curves.

Run with: OMP_NUM_THREADS=1 python benchmarks/metrics.py [rows] [resamples of the loop]

The first call, which loads the machine code or makes it, is timed apart.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from paincast.evaluation.performance.calibration_curve import compute_calibration_curve
from paincast.evaluation.performance.decision import compute_decision_curve
from paincast.evaluation.performance.metrics import compute_metrics

RESAMPLES = 1000


def make_rows(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    log_odds = rng.normal(-0.3, 1.2, size=n)
    outcome = (rng.random(n) < 1.0 / (1.0 + np.exp(-log_odds))).astype(float)
    return outcome, 1.0 / (1.0 + np.exp(-1.5 * log_odds)), rng.integers(int(0.8 * n), size=n)


def find_intercept(outcome: np.ndarray, log_odds: np.ndarray) -> float:
    intercept = 0.0
    for _ in range(25):
        fitted = 1.0 / (1.0 + np.exp(-intercept - log_odds))
        step = (outcome - fitted).sum() / (fitted * (1.0 - fitted)).sum()
        intercept += step
        if abs(step) < 1e-9:
            break
    return intercept


def find_error(outcome: np.ndarray, probability: np.ndarray) -> float:
    tenth = pd.qcut(probability, 10, labels=False, duplicates="drop")
    gaps = np.bincount(tenth, outcome - probability)
    return float(np.abs(gaps).sum() / len(outcome))


def loop(outcome: np.ndarray, probability: np.ndarray, patients: np.ndarray, resamples: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows_of = pd.Series(np.arange(len(patients))).groupby(patients).apply(np.array).to_list()
    estimates = []
    for _ in range(resamples):
        drawn = np.concatenate([rows_of[patient] for patient in rng.integers(len(rows_of), size=len(rows_of))])
        y, p = outcome[drawn], probability[drawn]
        log_odds = np.log(p / (1.0 - p))
        slope = LogisticRegression(C=np.inf, tol=1e-8).fit(log_odds[:, None], y).coef_[0, 0]
        brier, rate = brier_score_loss(y, p), y.mean()
        ranks = roc_auc_score(y, p), average_precision_score(y, p)
        accuracy = log_loss(y, p), brier, 1.0 - brier / (rate * (1.0 - rate)), y.sum() / p.sum()
        estimates.append((*ranks, *accuracy, find_intercept(y, log_odds), slope, find_error(y, p)))
    return pd.DataFrame(np.quantile(estimates, [0.025, 0.975], axis=0).T, columns=["lower", "upper"])


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    looped = int(sys.argv[2]) if len(sys.argv) > 2 else RESAMPLES
    outcome, probability, patients = make_rows(n)
    first_clock = time.perf_counter()
    compute_metrics(outcome, probability, patients=patients, rng=np.random.default_rng(4), resamples=RESAMPLES)
    first_clock = time.perf_counter() - first_clock
    clock, started = time.perf_counter(), time.process_time()
    batched = compute_metrics(
        outcome, probability, patients=patients, rng=np.random.default_rng(3), resamples=RESAMPLES
    )
    batched_seconds, clock = time.process_time() - started, time.perf_counter() - clock
    started = time.process_time()
    naive = loop(outcome, probability, patients, looped)
    naive_seconds = (time.process_time() - started) * RESAMPLES / looped
    table = batched[["metric", "lower", "upper"]].join(naive.add_prefix("loop_"))
    print(table.to_string(index=False, float_format="%.4f"))
    print(
        f"{n} rows, {RESAMPLES} resamples, processor time: batched {batched_seconds:.2f} s, loop {naive_seconds:.1f} s",
        end="",
    )
    print(f" (from {looped} resamples), ratio {naive_seconds / batched_seconds:.0f}")
    print(f"on the clock: first call {first_clock:.2f} s, later ones {clock:.2f} s")
    rows = {"patients": patients, "rng": np.random.default_rng(5), "resamples": RESAMPLES}
    clock = time.perf_counter()
    compute_calibration_curve(outcome, probability, **rows)
    print(f"flexible curve with band, ICI, E50, E90 and Emax: {time.perf_counter() - clock:.2f} s on the clock")
    clock = time.perf_counter()
    compute_decision_curve(outcome, probability, thresholds=np.linspace(0.2, 0.7, 51), base_rate=0.5, **rows)
    print(f"decision curves at 51 thresholds: {time.perf_counter() - clock:.2f} s on the clock")


if __name__ == "__main__":
    main()
