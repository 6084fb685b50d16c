"""How often the intervals of ICI, E50, E90 and Emax hold the true distance, and how often a gate's limit is kept.

Run with: OMP_NUM_THREADS=1 python benchmarks/calibration_coverage.py [simulations] [resamples] [sizes]

Patients have log odds with mean -0.2 and spread 0.7 (AUROC about 0.69); what is true of them is a function of what is
predicted. The true distances are those of the population that the patients are drawn from. The ICI is measured twice:
by spline and by loess.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from paincast.evaluation.performance.calibration_curve import INDICES, LOESS, compute_calibration_curve

MEAN, SPREAD = -0.2, 0.7
LIMIT = 0.05
"""Largest upper limit of the ICI that the default gate lets pass."""

TRUTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "calibrated": lambda log_odds: log_odds,
    "too low by 0.22": lambda log_odds: log_odds + 0.22,
    "too low by 0.5": lambda log_odds: log_odds + 0.5,
    "slope 0.7": lambda log_odds: 0.7 * log_odds,
    "slope 0.5": lambda log_odds: 0.5 * log_odds,
    "slope 1.6": lambda log_odds: 1.6 * log_odds,
    "bent": lambda log_odds: log_odds + 0.35 * (np.abs(log_odds - MEAN) - 0.56),
    "in steps of 0.5": lambda log_odds: log_odds + np.where(np.floor((log_odds - MEAN) / 0.7) % 2 == 0, 0.5, -0.5),
    "bent more": lambda log_odds: log_odds + 0.9 * (np.abs(log_odds - MEAN) - 0.56),
}


def find_true_indices(truth: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    log_odds = MEAN + SPREAD * ndtri((np.arange(100_000) + 0.5) / 100_000)
    distance = np.abs(expit(truth(log_odds)) - expit(log_odds))
    return np.array([distance.mean(), *np.quantile(distance, [0.5, 0.9]), np.nan, distance.mean()])


def simulate(name: str, n: int, simulations: int, resamples: int, seed: int) -> list[dict[str, object]]:
    rng, truth = np.random.default_rng(seed), TRUTHS[name]
    found = []
    for _ in range(simulations):
        log_odds = rng.normal(MEAN, SPREAD, n)
        outcome = rng.random(n) < expit(truth(log_odds))
        table = compute_calibration_curve(outcome, expit(log_odds), patients=None, rng=rng, resamples=resamples)
        # The largest distance is that of the patients at hand: a normal spread has no last patient.
        largest = np.abs(expit(truth(log_odds)) - expit(log_odds)).max()
        found.append(table.indices.set_index("metric")[["estimate", "lower", "upper"]].assign(largest=largest))
    rows = []
    for index, true in zip((*INDICES, LOESS), find_true_indices(truth), strict=True):
        own = pd.DataFrame([one.loc[index] for one in found]).dropna()
        true_ones = own["largest"] if np.isnan(true) else pd.Series(true, index=own.index)
        rows.append(
            {
                "n": n,
                "patients": name,
                "index": index,
                "true": true_ones.mean(),
                "estimate": own["estimate"].mean(),
                "lower": own["lower"].mean(),
                "upper": own["upper"].mean(),
                "covers": ((own["lower"] <= true_ones + 1e-12) & (true_ones <= own["upper"])).mean(),
                "upper holds": (true_ones <= own["upper"]).mean(),
                "holds its estimate": own["estimate"].between(own["lower"], own["upper"]).mean(),
                f"upper at most {LIMIT:g}": (own["upper"] <= LIMIT).mean() if index.startswith("ici") else np.nan,
            }
        )
    return rows


def main() -> None:
    given = [*sys.argv[1:], *("400", "200", "200,500,1200,2000")[len(sys.argv) - 1 :]]
    simulations, resamples = int(given[0]), int(given[1])
    cells = [(int(n), name) for n in given[2].split(",") for name in TRUTHS]
    rows = [row for seed, (n, name) in enumerate(cells) for row in simulate(name, n, simulations, resamples, seed)]
    table = pd.DataFrame(rows).set_index(["index", "n", "patients"]).loc[[*INDICES, LOESS]]
    print(table.to_string(float_format="%.3f", na_rep=""))


if __name__ == "__main__":
    main()
