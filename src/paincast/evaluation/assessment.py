"""Assess predicted probabilities: calibration curve, decision curve, metrics by group, and loss to follow-up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.cuts import choose_cuts, make_release_rule
from paincast.disclosure.metrics import suppress_thresholds
from paincast.disclosure.rounding import round_suppressed
from paincast.evaluation.expected import find_expected_response
from paincast.evaluation.groups.subgroups import MISSING, compute_metrics_by_group, make_audit_attributes, pool_groups
from paincast.evaluation.performance.calibration_by_groups import (
    compute_calibration_by_groups,
    compute_risk_histogram,
    list_group_cuts,
)
from paincast.evaluation.performance.calibration_curve import compute_calibration_curve
from paincast.evaluation.performance.decision import compute_decision_curve
from paincast.evaluation.performance.discrimination import compute_auroc_delong
from paincast.evaluation.performance.metrics import compute_metrics
from paincast.settings import EvaluationSettings
from paincast.statistics import compute_clustered_mean
from paincast.training_set import TrainingSet

FloatArray = npt.NDArray[np.float64]

SITE, YEAR = "site", "procedure_year"
THRESHOLD_STEP = 0.02
"""Distance between the thresholds of the decision curve."""

ODDS_RANGE = 2.0
"""Thresholds that follow the event rate reach from its odds divided by this to its odds times this."""

FEWEST_THRESHOLDS = 9


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Tables that assess predicted probabilities; every row describes a group of patients.

    Parameters
    ----------
    metrics : DataFrame
        ``auroc_delong`` (of complete cases), ``ici``, ``e50``, ``e90`` and ``emax``, in the columns of metrics.
    calibration : DataFrame
        From :func:`paincast.evaluation.performance.calibration_by_groups.compute_calibration_by_groups`.
    histogram : DataFrame
        From :func:`paincast.evaluation.performance.calibration_by_groups.compute_risk_histogram`.
    curve : DataFrame
        From :func:`~paincast.evaluation.performance.calibration_curve.compute_calibration_curve`; empty where there
        is none.
    decision_curve : DataFrame
        From :func:`paincast.evaluation.performance.decision.compute_decision_curve`, without the thresholds that would
        disclose small groups of patients.
    expected_response : DataFrame
        From :func:`paincast.evaluation.expected.find_expected_response`: the reference rate of the decision curve.
    subgroups, sites, years : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group`; empty where the cohort does not
        record them.
    pooled : DataFrame
        Sites and years pooled, with the prediction interval of a new one.
    """

    metrics: pd.DataFrame
    calibration: pd.DataFrame
    histogram: pd.DataFrame
    curve: pd.DataFrame
    decision_curve: pd.DataFrame
    expected_response: pd.DataFrame
    subgroups: pd.DataFrame
    sites: pd.DataFrame
    years: pd.DataFrame
    pooled: pd.DataFrame

    def list_tables(self) -> dict[str, pd.DataFrame]:
        """List the tables that are not empty, by the name under which they are logged."""
        tables = {
            "calibration_flexible": self.curve,
            "decision_curve": self.decision_curve,
            "expected_response": self.expected_response,
            "subgroups": self.subgroups,
            "sites": self.sites,
            "years": self.years,
            "pooled": self.pooled,
        }
        return {name: table for name, table in tables.items() if len(table)}


def assess_predictions(
    data: TrainingSet,
    probability: FloatArray,
    weights: FloatArray,
    settings: EvaluationSettings,
    rng: np.random.Generator,
    *,
    scenario: str = "literature",
) -> Assessment:
    """Assess predicted probabilities of episodes with a known outcome, weighted for loss to follow-up.

    Sites are numbered from the largest; site names are not returned.

    Parameters
    ----------
    data : TrainingSet
        Episodes, with the outcomes of those followed up.
    probability : ndarray of shape (n,)
        Probability of every eligible episode, from a model that has not seen its outcome: out of fold, or of another
        cohort.
    weights : ndarray of shape (n,)
        Weights for loss to follow-up.
    settings : EvaluationSettings
        Resamples, confidence and range of thresholds.
    rng : numpy.random.Generator
        Source of the resamples.
    scenario : str
        Evidence scenario whose expected response is the reference rate of the decision curve.
    """
    known = data.known
    episodes, outcome, predicted = data.episodes[known], data.observed[known], probability[known]
    patients, outcome_weights = episodes["patient_id"].to_numpy(object), weights[known]
    attributes = make_audit_attributes(episodes, data.contract)
    calibration_rng, decision_rng = rng.spawn(2)
    confidence = settings.confidence
    flexible = compute_calibration_curve(
        outcome,
        predicted,
        patients=patients,
        rng=calibration_rng,
        resamples=settings.resamples,
        confidence=confidence,
        weights=outcome_weights,
    )
    expected = find_expected_response(data, scenario)
    thresholds = list_thresholds(settings, float(np.average(outcome, weights=outcome_weights)))
    shown = thresholds if data.cohort.basis == "synthetic" else choose_shown(outcome, predicted, patients, thresholds)
    # Simulated patients need no protection: their groups are quantiles, and every threshold is published.
    published_cuts = [] if data.cohort.basis == "synthetic" else shown
    cuts = list_group_cuts(outcome, predicted, patients=patients, published_cuts=published_cuts)
    return Assessment(
        metrics=pd.concat(
            [
                compute_auroc_delong(outcome, predicted, patients=patients, confidence=confidence),
                flexible.indices,
            ],
            ignore_index=True,
        ),
        calibration=compute_calibration_by_groups(
            outcome, predicted, patients=patients, published_cuts=published_cuts, confidence=confidence
        ),
        histogram=compute_risk_histogram(predicted, patients=patients, published_cuts=[*cuts, *published_cuts]),
        curve=flexible.curve,
        decision_curve=suppress_thresholds(
            compute_decision_curve(
                outcome,
                predicted,
                patients=patients,
                thresholds=thresholds,
                base_rate=expected.share,
                rng=decision_rng,
                resamples=settings.resamples,
                confidence=confidence,
                weights=outcome_weights,
            ),
            shown,
        ),
        expected_response=expected.table,
        **_measure_groups(attributes, episodes, outcome, predicted, outcome_weights, confidence),
    )


def measure_with_weights(
    data: TrainingSet,
    probability: FloatArray,
    weights: FloatArray,
    settings: EvaluationSettings,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute metrics weighted for loss to follow-up and complete-case metrics, on the same resamples.

    Parameters
    ----------
    data, probability, weights, settings, rng
        As for :func:`assess_predictions`.

    Returns
    -------
    weighted, complete : DataFrame
        From :func:`paincast.evaluation.performance.metrics.compute_metrics`; the same where every weight is 1.
    """
    known = data.known
    seed = int(rng.integers(2**63))
    known_weights = None if np.allclose(weights[known], 1.0) else weights[known]
    weighted, complete = (
        compute_metrics(
            data.observed[known],
            probability[known],
            patients=data.episodes.loc[known, "patient_id"].to_numpy(object),
            rng=np.random.default_rng(seed),
            resamples=settings.resamples,
            confidence=settings.confidence,
            weights=metric_weights,
        )
        for metric_weights in (known_weights, None)
    )
    return weighted, complete


def compare_with_complete_cases(weighted: pd.DataFrame, complete: pd.DataFrame) -> pd.DataFrame:
    """Tabulate metrics weighted for loss to follow-up beside complete-case metrics."""
    columns = ["estimate", "lower", "upper"]
    estimates = {
        f"{name}_{column}": frame[column]
        for name, frame in (("weighted", weighted), ("complete_case", complete))
        for column in columns
    }
    difference = weighted["estimate"] - complete["estimate"]
    return pd.DataFrame({"metric": weighted["metric"], **estimates, "difference": difference, "n": weighted["n"]})


def compare_risk_with_intervals(
    data: TrainingSet, answers: pd.DataFrame, weights: FloatArray, settings: EvaluationSettings
) -> pd.DataFrame:
    """Tabulate the observed risk beside the mean prediction and the mean limits of the individual intervals.

    Parameters
    ----------
    data, weights, settings
        As for :func:`assess_predictions`.
    answers : DataFrame of shape (n, ...)
        ``probability, lower, upper, level`` of every eligible episode.

    Returns
    -------
    DataFrame
        ``measure, estimate, lower, upper, n, method``: ``observed_risk``, ``mean_probability``, ``mean_lower`` and
        ``mean_upper``; the last two are descriptions and have no interval.
    """
    known = data.known
    patients, given = data.episodes.loc[known, "patient_id"].to_numpy(object), weights[known]
    values = {"observed_risk": data.observed[known]} | {
        measure: answers.loc[known, name].to_numpy(float)
        for measure, name in (("mean_probability", "probability"), ("mean_lower", "lower"), ("mean_upper", "upper"))
    }
    means = {name: compute_clustered_mean(rows, patients, settings.confidence, given) for name, rows in values.items()}
    limits = [(max(low, 0.0), min(high, 1.0)) for _, low, high in means.values()]
    level = f"mean limit of the individual intervals at level {answers.loc[known, 'level'].iloc[0]:g}"
    method = f"mean; clustered standard error, {len(set(patients))} patients"
    return pd.DataFrame(
        {
            "measure": list(means),
            "estimate": [estimate for estimate, _, _ in means.values()],
            "lower": [low for low, _ in limits[:2]] + [np.nan, np.nan],
            "upper": [high for _, high in limits[:2]] + [np.nan, np.nan],
            "n": int(known.sum()),
            "method": [method, method, level, level],
        }
    )


def _measure_groups(
    attributes: pd.DataFrame,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    predicted: FloatArray,
    weights: FloatArray,
    confidence: float,
) -> dict[str, pd.DataFrame]:
    """Compute metrics by subgroup, site and year; pool sites and years."""
    patients = episodes["patient_id"].to_numpy(object)
    attributes = attributes.assign(**{SITE: number_sites(episodes["site_id"]).fillna(MISSING)})
    named = attributes[[name for name in attributes if (attributes[name] != MISSING).any()]]
    grouped = compute_metrics_by_group(
        outcome, predicted, named, patients=patients, confidence=confidence, weights=weights
    )
    # Counts as floats: a suppressed count is then NaN, as it is when the table is read back from its file.
    grouped = grouped.astype({"n": "float64", "n_patients": "float64", "n_events": "float64"})
    along = grouped["attribute"].isin([SITE, YEAR])
    pooled = pool_groups(grouped[along], confidence=confidence)
    grouped = round_suppressed(grouped)
    return {
        "subgroups": grouped[~along].reset_index(drop=True),
        "sites": grouped[grouped["attribute"] == SITE].reset_index(drop=True),
        "years": grouped[grouped["attribute"] == YEAR].reset_index(drop=True),
        "pooled": pooled,
    }


def choose_shown(
    outcome: FloatArray, predicted: FloatArray, patients: npt.NDArray[np.object_], thresholds: list[float]
) -> list[float]:
    """Choose thresholds such that each interval between them has no patients, or 5 with and 5 without the outcome.

    Examples
    --------
    >>> outcome, predicted = np.array([0, 1] * 10), np.repeat([0.15, 0.25, 0.35, 0.45], 5)
    >>> choose_shown(outcome, predicted, np.arange(20), [0.2, 0.3, 0.4, 0.5])
    [0.3, 0.5]
    """
    return choose_cuts(predicted, thresholds, make_release_rule(pd.factorize(patients)[0], outcome))


def list_thresholds(settings: EvaluationSettings, event_rate: float) -> list[float]:
    """List the thresholds of the decision curve, including both ends of the range.

    Without a range in the settings it follows the event rate, rounded to whole percent: from half its odds to twice
    its odds. There a prognosis could change a decision; far from the event rate everybody is treated, or nobody.

    Examples
    --------
    >>> list_thresholds(EvaluationSettings(threshold_range=[0.2, 0.25]), 0.4)
    [0.2, 0.225, 0.25]
    >>> list_thresholds(EvaluationSettings(), 0.1)[::4]
    [0.05, 0.115, 0.18]
    """
    if settings.threshold_range is not None:
        lowest, highest = settings.threshold_range
        points = max(2, round((highest - lowest) / THRESHOLD_STEP) + 1)
    else:
        rate = float(np.clip(round(event_rate, 2), 0.02, 0.98))
        odds = rate / (1.0 - rate)
        lowest, highest = (round(part / (1.0 + part), 2) for part in (odds / ODDS_RANGE, odds * ODDS_RANGE))
        points = max(FEWEST_THRESHOLDS, round((highest - lowest) / THRESHOLD_STEP) + 1)
    return [round(float(cut), 6) for cut in np.linspace(lowest, highest, points)]


def number_sites(sites: pd.Series) -> pd.Series:
    """Replace site names by numbers, from the largest site, so that no hospital is named.

    Examples
    --------
    >>> number_sites(pd.Series(["St Elsewhere", "Mercy", "Mercy", None])).tolist()
    ['2', '1', '1', None]
    """
    ranked = sites.value_counts().index
    width = len(str(len(ranked)))
    numbers = {site: str(rank).zfill(width) for rank, site in enumerate(ranked, 1)}
    return sites.map(numbers).astype(object).where(sites.notna(), None)
