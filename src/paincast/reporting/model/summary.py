"""The few lines that are read first: a table across techniques, and what a cohort of this size can know."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from paincast.evaluation.validation.delta_adjusted import O_E_LIMITS
from paincast.evaluation.validation.sample_size import compute_development_sizes, overall_risk_margin
from paincast.predictor import Predictor

HEADLINES = {
    "auroc": "AUROC",
    "o_e_ratio": "O/E",
    "calibration_intercept": "intercept",
    "calibration_slope": "slope",
}

FURTHER = {
    "concordance_uno": "concordance",
    "integrated_brier": "integrated Brier",
    "coverage": "interval holds",
    "mean_absolute_error": "mean error",
}
"""What is said of times and of changes."""


SHOWN = ("patient", "technique", "outcome", "month", "probability", "expected", "without", "basis", "says")
"""Columns of answers written for reading, in order."""


def summarize_training(
    trained: Mapping[str, tuple[Predictor, pd.DataFrame]], refused: Mapping[str, str]
) -> pd.DataFrame:
    """Summarize a training run in one row per technique and outcome.

    Parameters
    ----------
    trained : mapping of str to (Predictor, DataFrame)
        Model and out-of-fold metrics by ``technique/outcome``.
    refused : mapping of str to str
        Why no model was made, by ``technique/outcome``.

    Returns
    -------
    DataFrame of str
        Technique, outcome, basis, n, share with the outcome, month, model, headline metrics with intervals, where there
        are outcomes of other kinds what is said of times and changes, and a note.
    """
    rows: list[dict[str, str]] = [_summarize_model(predictor, metrics) for predictor, metrics in trained.values()]
    for name, reason in refused.items():
        technique, _, outcome = name.partition("/")
        rows.append({"technique": technique, "outcome": outcome, "note": f"no model: {reason}"})
    table = pd.DataFrame(rows).fillna("")
    return table[[name for name in table if name != "note"] + ["note"]]


def _summarize_model(predictor: Predictor, metrics: pd.DataFrame) -> dict[str, str]:
    numbers: dict[Hashable, Any] = {row["metric"]: row for row in metrics.to_dict("records")}
    further = "; ".join(f"{title} {_show(numbers[metric])}" for metric, title in FURTHER.items() if metric in numbers)
    share = "" if predictor.n_events is None else f"{predictor.n_events / predictor.n_training:.0%}"
    return {
        "technique": predictor.technique,
        "outcome": predictor.outcome,
        "basis": predictor.basis,
        "n": str(predictor.n_training),
        "with outcome": share,
        "month": f"{predictor.horizon_months:g}",
        "model": predictor.response.kind,
        **{title: _show(numbers[metric]) for metric, title in HEADLINES.items() if metric in numbers},
        **({"times and changes": further} if further else {}),
        "note": _note_size(predictor),
    }


def _note_size(predictor: Predictor) -> str:
    if predictor.n_events is None:
        return ""
    sizes = judge_sample_size(predictor)
    return "" if sizes["met"].all() else f"too few episodes: {sizes['n'].max()} needed"


def _show(row: Mapping[Hashable, Any]) -> str:
    if np.isnan(row["estimate"]):
        return "not estimable"
    if np.isnan(row["lower"]):
        return f"{row['estimate']:.2f}"
    return f"{row['estimate']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"


def judge_sample_size(predictor: Predictor, *, anticipated_auroc: float = 0.7) -> pd.DataFrame:
    """Hold the training cohort against the sizes that developing such a model needs.

    Parameters
    ----------
    predictor : Predictor
        A trained model.
    anticipated_auroc : float
        What models of response to pain procedures are known to reach, not what this one was measured at.

    Returns
    -------
    DataFrame
        ``criterion, n, available, met``.

    Raises
    ------
    TypeError
        If the outcome is a number: the criteria are those of a probability.
    """
    if predictor.n_events is None:
        raise TypeError(f"{predictor.outcome} has no share with the outcome")
    sizes = compute_development_sizes(
        auroc=anticipated_auroc,
        prevalence=predictor.n_events / predictor.n_training,
        parameters=max(len(predictor.response.encoder.owners), 1),
    )
    return sizes.assign(available=predictor.n_training, met=sizes["n"] <= predictor.n_training)


def summarize_predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Write predictions for reading: every answer, and for a patient without any the plainest reason why.

    Parameters
    ----------
    rows : DataFrame of shape (n, len(PREDICTION_COLUMNS))
        Predictions of a few patients.

    Returns
    -------
    DataFrame of str
        Patient, technique, outcome where there are several, month, answer with its interval, response without the
        procedure, what the model stands on and may be used for, and the strongest reason each way.
    """
    lines = []
    for patient, own in rows.groupby("episode_id", sort=False):
        answered = own[~own["abstained"].astype(bool)]
        lines += [_write_answer(row) for _, row in answered.iterrows()]
        if answered.empty:
            lines.append({"patient": str(patient), "technique": "none", "says": _plainest_reason(own)})
    table = pd.DataFrame(lines).fillna("")
    several = rows.loc[~rows["abstained"].astype(bool), "outcome"].nunique() > 1
    return table[[name for name in SHOWN if name in table and (several or name != "outcome")]]


def _write_answer(row: pd.Series) -> dict[str, str]:
    control = row["control_probability"]
    barred = f"NOT ELIGIBLE: {row['ineligible_because']}" if row["ineligible_because"] else ""
    care = f"care: {row['cautions']}" if row["cautions"] else ""
    unknown = f"not assessed: {row['not_assessed']}" if row["not_assessed"] else ""
    reasons = [*row["reasons_for"][:1], *row["reasons_against"][:1]]
    told = [f"{reason['variable']} {reason['value']} ({_read_size(reason):+.2f})" for reason in reasons]
    return {
        "patient": row["episode_id"],
        "technique": row["technique"],
        "outcome": row["outcome"],
        "month": f"{row['horizon_months']:g}",
        **_write_numbers(row),
        "without": "unknown" if np.isnan(control) else f"{control:.0%}",
        "basis": _say_basis(row),
        "says": "; ".join(part for part in [barred, *told, care, unknown] if part),
    }


def _say_basis(row: pd.Series) -> str:
    counted = "" if row["basis"] == "synthetic" else f"n = {row['n_real']:g}"
    return ", ".join(part for part in (row["basis"], counted, row["use"]) if part)


def _write_numbers(row: pd.Series) -> dict[str, str]:
    if np.isnan(row["probability"]):
        told = f"{row['expected']:+.1f} ({row['expected_lower']:+.1f} to {row['expected_upper']:+.1f})"
        return {"probability": "", "expected": f"{told} points, {row['level']:.0%} interval"}
    told = f"{row['probability']:.0%} ({row['lower']:.0%} to {row['upper']:.0%})"
    return {"probability": told} | ({} if np.isnan(row["expected"]) else {"expected": f"{row['expected']:g} months"})


def _read_size(reason: Mapping[str, Any]) -> float:
    return float(next(size for name, size in reason.items() if name not in ("variable", "value")))


def _plainest_reason(own: pd.DataFrame) -> str:
    """Prefer what bars the procedure, then a reason other than the indication: most techniques treat another one."""
    telling = own[~own["abstained_because"].str.contains("the indication is not one")]
    rows = telling if len(telling) else own
    barred = rows[rows["ineligible_because"] != ""]
    row = (barred if len(barred) else rows).iloc[0]
    said = f"NOT ELIGIBLE for {row['technique']}: {row['ineligible_because']}" if row["ineligible_because"] else ""
    return "; ".join(filter(None, (said, str(row["abstained_because"]))))


def say_precision(predictor: Predictor) -> str:
    """Say how well the training cohort knows the overall risk, beside the sizes that would be needed.

    Parameters
    ----------
    predictor : Predictor
        A trained model.

    Returns
    -------
    str
    """
    verdict = judge_sample_size(predictor)
    margin = overall_risk_margin((predictor.n_events or 0) / predictor.n_training, predictor.n_training)
    judged = "enough" if verdict["met"].all() else "too few"
    needed = "; ".join(f"{row.n} for {row.criterion}" for row in verdict.itertuples())
    return (
        f"{predictor.n_training} episodes know the overall risk to within ±{margin:.2f}. Needed for "
        f"{len(predictor.response.encoder.owners)} parameters: {needed}. Verdict: {judged}."
    )


def say_instability(metrics: pd.DataFrame) -> str:
    """Say how far a patient's probability would move had the model been fitted to other patients.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability`.

    Returns
    -------
    str
    """
    rows: dict[Hashable, Any] = {row["metric"]: row for row in metrics.to_dict("records")}
    mean, most = rows["instability_mean"], rows["instability_q95"]["estimate"]
    interval = "" if np.isnan(mean["lower"]) else f" ({mean['lower']:.3f} to {mean['upper']:.3f})"
    told = "" if np.isnan(most) else f", and by {most:.3f} or less for 95 % of them"
    return (
        f"Fitted to other patients like these, the model would move a patient's probability by "
        f"{mean['estimate']:.3f}{interval} on average{told}: its mean absolute prediction error over refits, which "
        "says nothing of the distance from the truth."
    )


def say_loss(weights: pd.DataFrame, loss: pd.DataFrame, tipping_point: pd.DataFrame) -> str:
    """Say how many were lost to follow-up, what weighting for them changed, and when the verdict would tip.

    Parameters
    ----------
    weights : DataFrame
        From :func:`paincast.models.observation.summarize_weights`.
    loss : DataFrame
        Metrics weighted and of complete cases: ``metric, weighted_estimate, complete_case_estimate``.
    tipping_point : DataFrame
        From :func:`paincast.evaluation.validation.delta_adjusted.compute_tipping_point`.

    Returns
    -------
    str
    """
    counts = weights.set_index("measure")["value"]
    if not counts["lost"]:
        return f"All {counts['asked']:.0f} episodes of whom the outcome was asked have an answer."
    lost = f"{counts['lost']:.0f} of {counts['asked']:.0f} were lost to follow-up. {_say_weights(counts)}"
    is_weighted = _is_weighted(counts)
    if "o_e_ratio" not in set(loss["metric"]):
        told = _say_both(loss, "coverage", is_weighted)
        return (
            f"{lost} Share of changes that the interval holds: {told}. No sweep over those lost is made for a number."
        )
    odds = [f"{odds:.2g}" for odds in tipping_point.loc[tipping_point["tips"], "odds_ratio"]]
    limits = f"{O_E_LIMITS[0]:g} or {O_E_LIMITS[1]:g}"
    tipped = f"It crosses {limits} where the odds of those lost are {' or '.join(odds)} times the predicted ones."
    told = tipped if odds else f"No odds of those lost that were tried take it across {limits}."
    return f"{lost} Observed / expected: {_say_both(loss, 'o_e_ratio', is_weighted)}. {told}"


def _is_weighted(counts: pd.Series) -> bool:
    return not (counts["smallest weight"] == counts["largest weight"] == 1.0)


def _say_weights(counts: pd.Series) -> str:
    if not _is_weighted(counts):
        return "Those followed were not weighted for them: too few were lost to say who is, or weighting is off."
    return f"Weights for those followed: effective sample size {counts['effective sample size']:.0f}."


def _say_both(loss: pd.DataFrame, metric: str, is_weighted: bool) -> str:
    row = loss.set_index("metric").loc[metric]
    if np.isnan(row["complete_case_estimate"]):
        return "not shown"
    complete = f"{row['complete_case_estimate']:.2f} among complete cases"
    return f"{row['weighted_estimate']:.2f} weighted, {complete}" if is_weighted else complete
