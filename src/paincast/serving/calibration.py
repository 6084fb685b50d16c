"""Compute the calibration of saved models on a simulated cohort, as points to plot."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.eligibility import select_evaluable
from paincast.evaluation.performance.calibration_by_groups import compute_calibration_by_groups
from paincast.outcomes import compute_outcome, get_outcome
from paincast.predictor import Predictor

COLUMNS = ("technique", "outcome", "bin", "predicted", "observed", "lower", "upper", "n")


def compute_external_calibration(models: Mapping[str, Predictor], cohort: Cohort) -> pd.DataFrame:
    """Compare predicted with observed frequencies in groups of predictions, for each model of a binary outcome.

    Parameters
    ----------
    models : mapping of str to Predictor
        From :func:`paincast.serving.predict.load_models`.
    cohort : Cohort
        Patients that the models were not trained on.

    Returns
    -------
    DataFrame
        ``technique, outcome`` and the columns of
        :func:`~paincast.evaluation.performance.calibration_by_groups.compute_calibration_by_groups`. No rows for a
        cohort with real patients: the groups would disclose counts that ``flow.csv`` hides.
    """
    curves = [pd.DataFrame(columns=list(COLUMNS))]
    for model in models.values() if cohort.basis == "synthetic" else ():
        outcome = get_outcome(model.outcome)
        part = cohort.select_technique(model.technique)
        if outcome.kind != "binary" or part.episodes.empty:
            continue
        labels = compute_outcome(
            part.episodes, part.visits, part.events, outcome, model.horizon_months, model.window_months
        ).value
        answers = model.predict_episodes(part.episodes)
        rows = select_evaluable(labels, answers["abstained"])
        if rows.any():
            curve = compute_calibration_by_groups(labels[rows], answers.loc[rows, "probability"])
            curves.append(curve.assign(technique=model.technique, outcome=model.outcome)[list(COLUMNS)])
    filled = [curve for curve in curves if not curve.empty]
    return pd.concat(filled, ignore_index=True) if filled else curves[0]
