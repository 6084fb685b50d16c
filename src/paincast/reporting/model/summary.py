"""Summaries for the terminal and the notes of a run: across techniques, of predictions, and of a cohort's size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from paincast.disclosure.flow import ANSWERED_AT
from paincast.evaluation.names import format_estimate
from paincast.evaluation.validation.delta_adjusted import O_E_LIMITS
from paincast.evaluation.validation.sample_size import overall_risk_margin
from paincast.outcomes import split_name
from paincast.predictor import Predictor

HEADLINES = {
    "auroc": "AUROC",
    "auroc_within_folds": "AUROC within folds",
    "scaled_brier": "scaled Brier",
    "log_loss_gain": "gain over overall risk",
    "calibration_slope": "slope",
}
"""Metrics out of fold; observed / expected is not among them, for it is 1 by construction there."""

FURTHER = {
    "concordance_uno": "concordance",
    "integrated_brier": "integrated Brier",
    "coverage": "interval holds",
    "mean_absolute_error": "mean error",
}
"""Metrics of times and of changes."""

SHOWN = ("patient", "technique", "outcome", "month", "probability", "expected", "control arm", "basis", "says")
"""Columns of predictions for reading, in order."""


def summarize_training(
    trained: Mapping[str, tuple[Predictor, pd.DataFrame, str, pd.DataFrame | None, pd.DataFrame]],
    refused: Mapping[str, str],
) -> pd.DataFrame:
    """Summarize a training run in one row per technique, outcome and month.

    Parameters
    ----------
    trained : mapping of str to (Predictor, DataFrame, str, DataFrame or None, DataFrame)
        By name (:func:`paincast.outcomes.name_model`) the model, its out-of-fold metrics, observed / expected in
        held-out sites or years (:func:`paincast.reporting.model.validation.find_elsewhere`), the episodes needed and
        available, and its flow.
    refused : mapping of str to str
        Why no model was made, by name.

    Returns
    -------
    DataFrame of str
        Technique, outcome, basis, n, share with the outcome, month, model, headline metrics with intervals, metrics of
        times and changes where there are any, and a note.
    """
    rows: list[dict[str, str]] = [_summarize_model(*model) for model in trained.values()]
    for name, reason in refused.items():
        technique, outcome, month = split_name(name)
        shown = {} if month is None else {"month": f"{month:g}"}
        rows.append({"technique": technique, "outcome": outcome, **shown, "note": f"no model: {reason}"})
    table = pd.DataFrame(rows).fillna("")
    return table[[name for name in table if name != "note"] + ["note"]]


def _summarize_model(
    predictor: Predictor, metrics: pd.DataFrame, elsewhere: str, sizes: pd.DataFrame | None, flow: pd.DataFrame
) -> dict[str, str]:
    numbers: dict[Hashable, Any] = {row["metric"]: row for row in metrics.to_dict("records")}
    further = "; ".join(
        f"{title} {_format(numbers[metric], metric)}" for metric, title in FURTHER.items() if metric in numbers
    )
    share = "" if predictor.n_events is None else f"{predictor.n_events / predictor.n_training:.0%}"
    return {
        "technique": predictor.technique,
        "outcome": predictor.outcome,
        "basis": predictor.basis,
        "n": str(predictor.n_training),
        "with outcome": share,
        "month": f"{predictor.horizon_months:g}",
        "model": predictor.response.kind,
        **{title: _format(numbers[metric], metric) for metric, title in HEADLINES.items() if metric in numbers},
        **({} if predictor.n_events is None else {"O/E elsewhere": elsewhere}),
        **({"times and changes": further} if further else {}),
        "note": "; ".join(
            filter(
                None,
                [_note_other_month(predictor, flow), _note_sample_size(predictor, sizes), _note_no_skill(predictor)],
            )
        ),
    }


def _note_other_month(predictor: Predictor, flow: pd.DataFrame) -> str:
    """Tell the most common month of the visits that gave the outcome, if none was in the month of the model."""
    counts = flow.set_index("step")["n"]
    counts = counts[counts.index.str.startswith(ANSWERED_AT)]
    months = counts.index.str.removeprefix(ANSWERED_AT).astype(int)
    if counts.empty or round(predictor.horizon_months) in months:
        return ""
    return f"outcome seen at month {months[int(counts.to_numpy().argmax())]}, not {predictor.horizon_months:g}"


def _note_sample_size(predictor: Predictor, sizes: pd.DataFrame | None) -> str:
    if sizes is None or predictor.basis == "synthetic" or sizes["met"].all():
        return ""
    return f"too few episodes: {sizes['n'].max()} needed"


def _note_no_skill(predictor: Predictor) -> str:
    return "" if predictor.response.shows_reasons else "no better than the overall risk: no reasons"


def _format(row: Mapping[Hashable, Any], metric: str) -> str:
    return format_estimate(row, digits=3 if metric == "log_loss_gain" else 2, no_interval="")


def summarize_predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Format predictions for reading: every answer, the months without one, and for a patient without any the reason.

    Parameters
    ----------
    rows : DataFrame of shape (n, len(PREDICTION_COLUMNS))
        Predictions of a few patients.

    Returns
    -------
    DataFrame of str
        Patient, technique, outcome where there are several, month, answer with its interval, what a matching control
        arm had, what the model stands on and may be used for, the strongest reason each way, and the unknown value that
        could move the answer most.
    """
    lines = []
    for patient, predictions in rows.groupby("episode_id", sort=False):
        answered = predictions[~predictions["abstained"].astype(bool)]
        # A patient who is answered at one month is told of the others too.
        asked = predictions.set_index(["technique", "outcome"]).index
        shown = asked.isin(answered.set_index(["technique", "outcome"]).index)
        lines += [_write_row(row) for _, row in predictions[shown].iterrows()]
        if answered.empty:
            lines.append({"patient": str(patient), "technique": "none", "says": _select_reason(predictions)})
    table = pd.DataFrame(lines).fillna("")
    several = rows.loc[~rows["abstained"].astype(bool), "outcome"].nunique() > 1
    return table[[name for name in SHOWN if name in table and (several or name != "outcome")]]


def _write_row(row: pd.Series) -> dict[str, str]:
    if not row["abstained"]:
        return _write_answer(row)
    asked = {"patient": str(row["episode_id"]), "technique": row["technique"], "outcome": row["outcome"]}
    return {**asked, "month": f"{row['horizon_months']:g}", "probability": "none", "says": row["abstained_because"]}


def _write_answer(row: pd.Series) -> dict[str, str]:
    control = row["control_probability"]
    ineligible = f"NOT ELIGIBLE: {row['ineligible_because']}" if row["ineligible_because"] else ""
    care = f"care: {row['cautions']}" if row["cautions"] else ""
    unassessed = f"not assessed: {row['not_assessed']}" if row["not_assessed"] else ""
    unknown = [f"unknown: {item['variable']} (±{_get_size(item):.2f})" for item in row["missing_values"][:1]]
    reasons = [*row["reasons_for"][:1], *row["reasons_against"][:1]]
    strongest = [f"{reason['variable']} {reason['value']} ({_get_size(reason):+.2f})" for reason in reasons]
    return {
        "patient": str(row["episode_id"]),
        "technique": row["technique"],
        "outcome": row["outcome"],
        "month": f"{row['horizon_months']:g}",
        **_write_numbers(row),
        "control arm": "none fits" if np.isnan(control) else f"{control:.0%} {row['control_arm']}",
        "basis": _format_basis(row),
        "says": "; ".join(part for part in [ineligible, *strongest, *unknown, care, unassessed] if part),
    }


def _format_basis(row: pd.Series) -> str:
    count = "" if row["basis"] == "synthetic" else f"n = {row['n_real']:g}"
    return ", ".join(part for part in (row["basis"], count, row["use"]) if part)


def _write_numbers(row: pd.Series) -> dict[str, str]:
    if np.isnan(row["probability"]):
        change = f"{row['expected']:+.1f}"
        if np.isnan(row["expected_lower"]):
            return {"probability": "", "expected": f"{change} points"}
        limits = f"({row['expected_lower']:+.1f} to {row['expected_upper']:+.1f})"
        return {"probability": "", "expected": f"{change} {limits} points, {row['level']:.0%} interval"}
    limits = "" if np.isnan(row["lower"]) else f" ({row['lower']:.0%} to {row['upper']:.0%})"
    answer = f"{row['probability']:.0%}{limits}"
    return {"probability": answer} | ({} if np.isnan(row["expected"]) else {"expected": f"{row['expected']:g} months"})


def _get_size(reason: Mapping[str, Any]) -> float:
    return float(next(size for name, size in reason.items() if name not in ("variable", "value")))


def _select_reason(predictions: pd.DataFrame) -> str:
    """Prefer ineligibility, then a reason other than the indication: most techniques treat another indication."""
    other = predictions[~predictions["abstained_because"].str.contains("the indication is not one")]
    rows = other if len(other) else predictions
    ineligible = rows[rows["ineligible_because"] != ""]
    row = (ineligible if len(ineligible) else rows).iloc[0]
    verdict = f"NOT ELIGIBLE for {row['technique']}: {row['ineligible_because']}" if row["ineligible_because"] else ""
    return "; ".join(filter(None, (verdict, str(row["abstained_because"]))))


def describe_precision(predictor: Predictor, sizes: pd.DataFrame) -> str:
    """Describe how precisely the training cohort estimates the overall risk, and the sizes that would be needed.

    Parameters
    ----------
    predictor : Predictor
        A trained model.
    sizes : DataFrame
        From :func:`paincast.evaluation.validation.sample_size.assess_sample_size`.

    Returns
    -------
    str
    """
    margin = overall_risk_margin((predictor.n_events or 0) / predictor.n_training, predictor.n_training)
    needed = "; ".join(f"{row.n} for {row.criterion}" for row in sizes.itertuples())
    verdict = "enough" if sizes["met"].all() else "too few"
    if predictor.basis == "synthetic":
        verdict = "none, for simulated patients can be made in any number"
    return (
        f"{predictor.n_training} episodes estimate the overall risk to within ±{margin:.2f}. Needed: {needed}. "
        f"Verdict: {verdict}."
    )


def describe_refits(metrics: pd.DataFrame) -> str:
    """Describe how far a patient's probability would move had the model been fitted to other patients.

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
    most_patients = "" if np.isnan(most) else f", and by {most:.3f} or less for 95 % of them"
    return (
        f"Fitted to other patients like these, the model would move a patient's probability by "
        f"{mean['estimate']:.3f}{interval} on average{most_patients}: its mean absolute prediction error over refits, "
        "which says nothing about the distance from the truth."
    )


def describe_loss(weights: pd.DataFrame, loss: pd.DataFrame, tipping_point: pd.DataFrame) -> str:
    """Describe how many were lost to follow-up, what weighting for them changed, and where the verdict would tip.

    Parameters
    ----------
    weights : DataFrame
        From :func:`paincast.models.observation_weights.summarize_weights`.
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
        return f"The outcome is known of all {counts['asked']:.0f} episodes."
    lost = f"{counts['lost']:.0f} of {counts['asked']:.0f} were lost to follow-up. {_describe_weights(counts)}"
    is_weighted = _is_weighted(counts)
    if "o_e_ratio" not in set(loss["metric"]):
        coverage = _format_both(loss, "coverage", is_weighted)
        return (
            f"{lost} Share of changes within the interval: {coverage}. There is no tipping point analysis of a number."
        )
    odds = [f"{odds:.2g}" for odds in tipping_point.loc[tipping_point["tips"], "odds_ratio"]]
    limits = f"{O_E_LIMITS[0]:g} or {O_E_LIMITS[1]:g}"
    crossing = f"It crosses {limits} where the odds of those lost are {' or '.join(odds)} times the predicted ones."
    verdict = crossing if odds else f"None of the odds tried for those lost takes it across {limits}."
    return f"{lost} Observed / expected: {_format_both(loss, 'o_e_ratio', is_weighted)}. {verdict}"


def _is_weighted(counts: pd.Series) -> bool:
    return not (counts["smallest weight"] == counts["largest weight"] == 1.0)


def _describe_weights(counts: pd.Series) -> str:
    if not _is_weighted(counts):
        return "No weights were used: too few were lost to estimate them, or weighting is off."
    return f"With weights, effective sample size {counts['effective sample size']:.0f}."


def _format_both(loss: pd.DataFrame, metric: str, is_weighted: bool) -> str:
    row = loss.set_index("metric").loc[metric]
    if np.isnan(row["complete_case_estimate"]):
        return "not shown"
    complete = f"{row['complete_case_estimate']:.2f} among complete cases"
    return f"{row['weighted_estimate']:.2f} weighted, {complete}" if is_weighted else complete
