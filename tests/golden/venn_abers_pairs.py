"""Write venn_abers_pairs.csv: the pairs of probabilities that the package venn-abers (1.5.4) gives for made-up margins.

Run it where that package is installed: python tests/golden/venn_abers_pairs.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    from venn_abers import VennAbers

    rng = np.random.default_rng(1)
    # Two decimals, so that there are ties; the rows asked about are half of them new.
    margin = np.round(rng.normal(0, 1.2, 240), 2)
    outcome = (rng.random(240) < 1 / (1 + np.exp(-0.7 * margin))).astype(int)
    asked = np.concatenate([margin[:120], np.round(rng.normal(0, 2, 120), 3)])

    def pack(values: np.ndarray) -> np.ndarray:
        probability = 1 / (1 + np.exp(-values))
        return np.column_stack([1 - probability, probability])

    calibrator = VennAbers()
    calibrator.fit(pack(margin), outcome)
    merged, pair = calibrator.predict_proba(pack(asked))
    table = pd.DataFrame({"margin": margin, "outcome": outcome, "asked": asked})
    table = table.assign(lower=pair[:, 0], upper=pair[:, 1], probability=merged[:, 1])
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.12g")


if __name__ == "__main__":
    main()
