"""What is measured of one fitted model on a test cohort whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit, xlogy
from skill_worlds import Labelled

from paincast.evaluation.performance.concordance import compute_concordance
from paincast.evaluation.predictions import PROBABILITY_FLOOR
from paincast.statistics import compute_clustered_error

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Probabilities, and the ends of their 90 % interval where a model gives one; each of shape (n,)."""

    probability: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None


def measure(prediction: Prediction, test: Labelled) -> dict[str, Any]:
    """Hold predictions against the truth.

    ``regret`` is the expected log loss above that of the truth, ``slope`` and ``oe`` are those of infinitely many
    outcomes drawn from the truth, ``auroc_gap`` is the expected AUROC of the truth above that of the model, and
    ``leak_z`` the AUROC of the model above that of the truth on the outcomes that happened, in standard errors of the
    paired difference. ``oe_seen`` is O/E among those not lost to follow-up: what a registry could check. Loss depends
    on the outcome itself, so a model that is right among those seen overstates the response of all.
    """
    probability = np.clip(prediction.probability, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    bound = compute_concordance(test.truth, test.truth).estimate
    reached = compute_concordance(probability, test.truth).estimate
    intercept, slope = fit_recalibration(logit(probability), test.truth)
    return {
        "regret": float(np.mean(expected_loss(test.truth, probability) - expected_loss(test.truth, test.truth))),
        "mae": float(np.mean(np.abs(probability - test.truth))),
        "slope": slope,
        "intercept": intercept,
        "oe": float(test.truth.mean() / probability.mean()),
        "auroc": reached,
        "auroc_bound": bound,
        "auroc_gap": bound - reached,
        **compare_auroc(probability, test),
        **measure_coverage(prediction, test.truth),
    }


def expected_loss(truth: FloatArray, probability: FloatArray) -> FloatArray:
    """Compute the log loss, in nats, expected for each row."""
    return np.asarray(-xlogy(truth, probability) - xlogy(1.0 - truth, 1.0 - probability))


def fit_recalibration(linear_predictor: FloatArray, truth: FloatArray) -> tuple[float, float]:
    """Fit ``logit(truth) ~ intercept + slope * linear_predictor`` by maximum expected likelihood.

    Returns
    -------
    intercept, slope : float
        NaN where all linear predictors are the same.
    """
    centre, spread = float(linear_predictor.mean()), float(linear_predictor.std())
    if spread < 1e-6:
        return np.nan, np.nan
    design = np.column_stack([np.ones_like(linear_predictor), (linear_predictor - centre) / spread])
    coefficients = np.array([logit(truth.mean()), 0.0])
    for _ in range(50):
        fitted = expit(design @ coefficients)
        information = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
        step = np.linalg.solve(information, design.T @ (truth - fitted))
        coefficients += step
        if np.abs(step).max() < 1e-10:
            break
    slope = float(coefficients[1]) / spread
    return float(coefficients[0]) - slope * centre, slope


def compare_auroc(probability: FloatArray, test: Labelled) -> dict[str, float]:
    """Compare the AUROC of model and truth on the outcomes that were seen, and those outcomes with the predictions."""
    seen = np.isfinite(test.outcome)
    outcome = test.outcome[seen]
    model, best = (compute_concordance(score[seen], outcome) for score in (probability, test.truth))
    patients = pd.factorize(test.episodes["patient_id"][seen])[0]
    error = compute_clustered_error(model.influence - best.influence, patients)
    difference = model.estimate - best.estimate
    return {
        "auroc_seen": model.estimate,
        "auroc_se": error,
        "leak_z": difference / error if error > 0 else 0.0,
        "oe_seen": float(outcome.mean() / probability[seen].mean()),
    }


def measure_coverage(prediction: Prediction, truth: FloatArray) -> dict[str, float]:
    """Compute how often the interval holds the truth: over all, and by tenth of the predicted probability."""
    if prediction.lower is None or prediction.upper is None:
        return {}
    held = (prediction.lower <= truth) & (truth <= prediction.upper)
    tenths = np.array_split(np.argsort(prediction.probability, kind="stable"), 10)
    by_tenth = {f"coverage_{place + 1}": float(held[rows].mean()) for place, rows in enumerate(tenths)}
    return {
        "coverage": float(held.mean()),
        "width": float(np.mean(prediction.upper - prediction.lower)),
        **by_tenth,
    }
