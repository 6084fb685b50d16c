"""Durations and changes of pain, learnt with and without published evidence, on the same simulated registries.

python benchmarks/prior_alone.py                       two techniques, 150 and 600 episodes, two registries: 6 minutes
python benchmarks/prior_alone.py --n 150 --seeds 5 --techniques facet_rfa

Patients of a registry teach the models (`cohort.rehearse`); measures are those of a training, out of fold. The
simulator follows the evidence, which favours the prior.
"""

from __future__ import annotations

import argparse
import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from simulator_sample import as_markdown

from paincast.evidence import simulated_techniques
from paincast.training import train

MEASURES = {
    "pain_change": ("pinball_loss", "coverage", "mean_width"),
    "relief_duration": ("log_loss", "integrated_brier"),
}


def measure(technique: str, outcome: str, n: int, seed: int, *, prior: bool) -> dict[str, float]:
    """Train a model on a registry and read its out-of-fold measures."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "models_folder": folder,
            "cohort.episodes_per_technique": n,
            "cohort.seed": seed,
            "cohort.rehearse": True,
            "model.prior": prior,
        }
        result = train(
            technique=technique, outcome=outcome, model="logistic", evaluation="quick", tracking="off", **settings
        )
    metrics = result.trained[f"{technique}/{outcome}"].metrics.set_index("metric")["estimate"]
    return {name: float(metrics[name]) for name in MEASURES[outcome]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", nargs="+", type=int, default=[150, 600])
    parser.add_argument("--seeds", type=int, default=2, help="how many registries")
    parser.add_argument(
        "--techniques", nargs="+", choices=simulated_techniques(), default=["epidural_steroid_injection", "facet_rfa"]
    )
    asked = parser.parse_args()
    for outcome, names in MEASURES.items():
        rows = []
        for n in asked.n:
            pairs = [
                {prior: measure(technique, outcome, n, seed, prior=prior) for prior in (True, False)}
                for technique in asked.techniques
                for seed in range(1, asked.seeds + 1)
            ]
            for name in names:
                with_prior, alone = (np.array([pair[prior][name] for pair in pairs]) for prior in (True, False))
                rows.append(
                    {
                        "n": n,
                        "measure": name,
                        "with the evidence": with_prior.mean(),
                        "patients alone": alone.mean(),
                        "lower with the evidence": f"{int((with_prior < alone).sum())} of {len(pairs)}",
                    }
                )
        print(f"\n### {outcome}\n\n{as_markdown(pd.DataFrame(rows))}")


if __name__ == "__main__":
    main()
