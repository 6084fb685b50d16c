"""How often the individual's interval holds the true probability, on fresh simulated patients.

Usage: python benchmarks/intervals.py [EPISODES ...]
"""

from __future__ import annotations

import sys
import tempfile

import numpy as np
import pandas as pd

from paincast.cohort.simulate import simulate_cohort
from paincast.settings import CohortSettings, EvaluationSettings, TrackingSettings, TrainingSettings
from paincast.training import train

SEEDS = (1, 2, 3)
FRESH_EPISODES = 4000
FRESH_SEED = 1001


def measure_coverage(episodes: int, seed: int) -> pd.DataFrame:
    """Train on a simulated cohort and hold each interval against the truth of fresh patients."""
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingSettings(
            cohort=CohortSettings(episodes_per_technique=episodes, seed=seed),
            evaluation=EvaluationSettings(folds=2, resamples=50),
            tracking=TrackingSettings(enabled=False),
            models_folder=folder,
            progress=False,
        )
        trained = {one.predictor.technique: one for one in train(settings).trained.values()}
    cohort, truth = simulate_cohort(
        techniques=list(trained), episodes_per_technique=FRESH_EPISODES, seed=FRESH_SEED + seed
    )
    rows = []
    for technique, one in trained.items():
        patients = cohort.select_technique(technique).episodes
        answers = one.predictor.predict(patients)
        known = truth.probabilities.query("technique == @technique and outcome == 'pain_response'")
        known = known[known["month"] == one.predictor.horizon_months].set_index("episode_id")["probability"]
        true = patients["episode_id"].map(known)
        held = answers["lower"].le(true) & answers["upper"].ge(true)
        told = ~answers["abstained"]
        rows.append(
            {
                "episodes": episodes,
                "technique": technique,
                "coverage": held[told].mean(),
                "width": (answers["upper"] - answers["lower"])[told].mean(),
                "error": (answers["probability"] - true)[told].abs().mean(),
                "abstained": 1 - told.mean(),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Print a table of coverage by technique and size, averaged over the seeds."""
    sizes = [int(size) for size in sys.argv[1:]] or [300, 1500]
    measured = pd.concat([measure_coverage(size, seed) for size in sizes for seed in SEEDS])
    table = measured.groupby(["episodes", "technique"], sort=False).agg(["mean", "min", "max"])
    shown = table.apply(lambda column: column.map("{:.2f}".format))
    print(shown.to_string())
    print(f"mean coverage: {np.round(measured.groupby('episodes')['coverage'].mean(), 3).to_dict()}")


if __name__ == "__main__":
    main()
