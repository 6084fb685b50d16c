"""Small made-up cohorts with a known mechanism."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.cohort.tables import conform
from paincast.models.binary.response import ResponseModel
from paincast.models.calibration.affine import read_calibration
from paincast.models.calibration.calibrated import apply_calibration

MakeEpisodes = Callable[..., tuple[pd.DataFrame, np.ndarray, np.ndarray]]

EARLIER_CALIBRATIONS = {
    "isotonic": {"knots": [-2.0, -0.5, 1.0], "probabilities": [0.1, 0.4, 0.8]},
    "venn_abers": {
        "lower_knots": [-1.0, 0.5],
        "lower_values": [0.1, 0.3, 0.6],
        "upper_knots": [-1.0, 0.5],
        "upper_values": [0.2, 0.4, 0.7],
    },
}
"""Calibrations that are no longer fitted, as bundles of earlier versions hold them."""


def calibrate_as_earlier(response: ResponseModel, method: str) -> ResponseModel:
    """Give a model without calibration, and its refits, a calibration that only bundles of earlier versions hold."""
    calibration = read_calibration({"method": method, **EARLIER_CALIBRATIONS[method]})
    refits = tuple(apply_calibration(model, calibration) for model in response.refits)
    model = apply_calibration(response.model, calibration)
    return replace(response, model=model, refits=refits, calibration=calibration)


@pytest.fixture
def make_episodes() -> MakeEpisodes:
    """Make episodes of facet ablation, their outcome and its true probability."""

    def make(n: int, seed: int = 0, repeats: float = 0.1) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        patients = np.where(rng.random(n) < repeats, np.maximum(np.arange(n) - 1, 0), np.arange(n))
        depression = rng.random(n) < 0.3
        blocks = rng.integers(0, 3, n).astype(float)
        odi = rng.normal(40, 12, n).clip(0, 100)
        probability = expit(-0.4 - 0.8 * depression + 0.6 * (blocks - 1) - 0.03 * (odi - 40))
        episodes = pd.DataFrame(
            {
                "episode_id": [f"e{i}" for i in range(n)],
                "patient_id": [f"p{i}" for i in patients],
                "technique": "facet_rfa",
                "indication": "lumbar_facet",
                "pain_nrs": rng.integers(4, 11, n),
                "age_years": rng.normal(55, 12, n).clip(18, 95),
                "odi": np.where(rng.random(n) < 0.1, np.nan, odi),
                "depression": depression,
                "diagnostic_blocks_positive": blocks,
                "pain_duration_months": rng.lognormal(3, 1, n),
                "work_status": rng.choice(["working", "retired", "not_working"], n),
                "payer": rng.choice(["public", "private"], n),
            }
        )
        return conform("episodes", episodes), (rng.random(n) < probability).astype(float), probability

    return make
