"""The truth of a simulated cohort, and what it says of a model. The only module that reads it."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from paincast.cohort.tables import read_manifest, read_table
from paincast.errors import DataError, LeakError, RefusalError
from paincast.evaluation.performance.concordance import compute_concordance
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.predictions import (
    PROBABILITY_FLOOR,
    FloatArray,
    IntArray,
    check_outcome,
    check_patients,
    check_probability,
)
from paincast.evaluation.resampling import check_confidence
from paincast.simulator.truth import OPTION_COLUMNS, Truth
from paincast.statistics import compute_clustered_error

LEAK_STANDARD_ERRORS = 3.0
"""How many standard errors above the bound an AUROC must lie to be called a leak."""


def load_truth(
    folder: str | Path,
    *,
    technique: str | None = None,
    outcome: str | None = None,
    month: float | None = None,
    by_approach: bool = False,
) -> pd.DataFrame:
    """Read the probabilities behind the outcomes of a simulated cohort.

    The truth is stored as sums of predictors and intercepts. Probabilities are computed for the technique, outcome and
    month that are wanted: those of a whole large cohort would be a very long table.

    Parameters
    ----------
    folder : str or Path
        Folder of the cohort.
    technique, outcome, month
        What is wanted; by default all.
    by_approach : bool
        One row for each approach, instead of one for the approach received or the average of the others.

    Returns
    -------
    DataFrame
        Long: ``episode_id, technique, outcome, month, probability, control_probability``; after ``technique`` also
        ``approach`` where asked.

    Raises
    ------
    RefusalError
        If the cohort is not simulated.
    DataError
        If the folder is not a cohort, or the truth is missing, changed or not of this form.
    SettingsError
        If there is no such technique or outcome in it.
    """
    truth = load_whole_truth(folder)
    return truth.expand(technique=technique, outcome=outcome, month=month, by_approach=by_approach)


def match_truth(
    truth: pd.DataFrame, episodes: pd.Series, *, technique: str, outcome: str, horizon_months: float
) -> pd.Series:
    """Look up the true probability of each episode, for one technique, outcome and month.

    Parameters
    ----------
    truth : DataFrame
        From :func:`load_truth`, or the probabilities of a simulated truth.
    episodes : Series of shape (n,)
        Ids of the episodes.
    technique, outcome : str
        Of the model.
    horizon_months : float
        Month of the outcome.

    Returns
    -------
    Series of shape (n,)
        Indexed like ``episodes``; NaN where the truth has no such outcome or month.
    """
    is_wanted = (truth["technique"] == technique) & (truth["outcome"] == outcome)
    is_wanted &= np.isclose(truth["month"], horizon_months)
    return episodes.map(truth.loc[is_wanted].set_index("episode_id")["probability"])


def load_whole_truth(folder: str | Path) -> Truth:
    """Read the truth of a simulated cohort as it is kept: sums of predictors, propensities, latent factors, intercepts.

    Raises
    ------
    RefusalError
        If the cohort is not simulated.
    DataError
        If the folder is not a cohort, or the truth is missing, changed or not of this form.
    """
    episodes = _read_simulated(Path(folder), "truth", ("episode_id", "indication", "option", "shared", "effect_0"))
    options = _read_simulated(Path(folder), "truth_options", OPTION_COLUMNS)
    return Truth(episodes=episodes.astype({"episode_id": "str", "indication": "str"}), options=options)


def compute_bayes_bound(true_probability: Any) -> tuple[float, float]:
    """Compute the highest AUROC that any prediction can be expected to reach on these rows.

    No ranking has a higher expected share of concordant pairs than the one by the true probabilities p. The bound is

        sum_{i != j} p_i (1 - p_j) ([p_i > p_j] + [p_i = p_j] / 2) / sum_{i != j} p_i (1 - p_j),

    which needs no outcome. Pairs of a row with itself are left out: they would pull the bound towards 0.5, by about
    1/(2n), and call good models of small cohorts leaks.

    Parameters
    ----------
    true_probability : array-like of shape (n,)
        Probability with which each outcome was generated.

    Returns
    -------
    bound : float
        Expected AUROC of the true probabilities; NaN when no pair of a case and a non-case can arise.
    standard_error : float
        Standard deviation, over draws of independent outcomes from the true probabilities, of the AUROC that the true
        probabilities reach (first-order).

    Raises
    ------
    DataError
        If there are no rows or a probability is not allowed.

    Examples
    --------
    >>> bound, _ = compute_bayes_bound([0.2, 0.8])
    >>> round(bound, 3)
    0.941
    """
    truth = check_probability(true_probability, n=np.size(true_probability), name="true_probability")
    if not len(truth):
        raise DataError("true_probability has 0 rows; give at least one", code="PC-EVALUATION-20")
    expected = compute_concordance(truth, truth)
    return expected.estimate, float(np.sqrt(truth * (1.0 - truth) @ expected.derivative**2))


def is_leak(auroc: float, auroc_se: float, bound: float, *, standard_errors: float = LEAK_STANDARD_ERRORS) -> bool:
    """Return whether an AUROC lies above a bound by more than chance allows.

    Parameters
    ----------
    auroc : float
        AUROC of the model.
    auroc_se : float
        Standard error of the difference between ``auroc`` and ``bound``.
    bound : float
        Highest AUROC that can be reached without a leak.
    standard_errors : float
        How many standard errors are allowed to chance.

    Returns
    -------
    bool

    Raises
    ------
    RefusalError
        If one of the numbers is missing: what cannot be checked has not passed.

    Examples
    --------
    >>> is_leak(0.82, 0.01, 0.75), is_leak(0.76, 0.01, 0.75)
    (True, False)
    """
    if not np.isfinite([auroc, auroc_se, bound]).all():
        raise RefusalError(
            "leakage cannot be checked: the AUROC is not estimable, the rows hold too few of one class",
            code="PC-EVALUATION-21",
        )
    return bool(auroc - bound > standard_errors * auroc_se + 1e-9)


def check_against_truth(
    outcome: Any,
    probability: Any,
    true_probability: Any,
    patients: Any,
    *,
    confidence: float = 0.95,
    group: str = "overall",
) -> pd.DataFrame:
    """Compare predictions with the probabilities that generated the outcomes.

    ``bayes_optimal_auroc``
        Expected AUROC of the truth (:func:`compute_bayes_bound`); its interval is the range in which outcomes drawn
        from the truth put it.
    ``auroc_above_truth``
        AUROC of the predictions minus AUROC of the truth on the same outcomes. At or below 0 up to chance, unless
        something of the outcome reached the model.
    ``mean_absolute_error_of_probability``
        Mean distance of predicted and true probability.
    ``regret``
        Log loss, in nats, that is expected above that of the truth: the mean Kullback–Leibler divergence. It does not
        depend on the outcomes drawn.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1, as observed.
    probability : array-like of shape (n,)
        Predicted out of sample.
    true_probability : array-like of shape (n,)
        True probability of the same outcome of the same rows.
    patients : array-like of shape (n,) or None
        Who each row belongs to; with None each row is a patient.
    confidence : float
        Coverage of the intervals, from 0.5 to 0.999.
    group : str
        Label of these rows.

    Returns
    -------
    DataFrame
        Rows of ``metric, group, estimate, lower, upper, n, method``.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If ``confidence`` is not allowed.
    """
    check_confidence(confidence)
    outcomes, predicted, truth, patient = _check_rows(outcome, probability, true_probability, patients)
    difference = _compare_auroc(outcomes, predicted, truth, patient)
    divergence, clipped = _compute_divergence(predicted, truth)
    percent = f"{100 * confidence:g} %"
    clustered = f"normal {percent}, standard error over {int(patient.max()) + 1} patients"
    moved = f"; {clipped} of {len(truth)} probabilities moved to {PROBABILITY_FLOOR:g} from 0 or 1" if clipped else ""
    table = [
        ("bayes_optimal_auroc", compute_bayes_bound(truth), (0, 1), f"expectation; {percent} range of outcomes drawn"),
        ("auroc_above_truth", difference, (-1, 1), f"paired on the same outcomes; {clustered}"),
        ("mean_absolute_error_of_probability", _average(np.abs(predicted - truth), patient), (0, 1), clustered),
        ("regret", _average(divergence, patient), (0, np.inf), f"in nats; {clustered}{moved}"),
    ]
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    rows = []
    for metric, (estimate, se), allowed, method in table:
        lower, upper = np.clip([estimate - z * se, estimate + z * se], *allowed)
        described = method if np.isfinite(lower) else "not estimable: one outcome class, or one patient, only"
        rows.append((metric, group, estimate, lower, upper, len(truth), described))
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def refuse_leak(
    outcome: Any,
    probability: Any,
    true_probability: Any,
    patients: Any,
    *,
    standard_errors: float = LEAK_STANDARD_ERRORS,
) -> None:
    """Raise when predictions rank outcomes better than the truth can.

    The AUROC is held against two bounds. The sharper is the AUROC of the truth **on the same outcomes**: chance moves
    both alike and largely cancels, and so does what changed the outcomes that were seen (loss to follow-up, rounding);
    its standard error is that of the paired difference, clustered by patient. The other is the expectation over the
    true probabilities, with the spread of the truth's own AUROC: it holds where the outcomes themselves have been
    tampered with, so that truth and model rise together. Where the truth hardly differs between patients, as of
    complications, its own AUROC has no spread, and the standard error of the difference is taken. The verdict uses no
    random numbers.

    A model whose AUROC stays below the bound is not proven free of leakage: a weak model may leak and stay below.

    Parameters
    ----------
    outcome, probability, true_probability, patients
        As in :func:`check_against_truth`.
    standard_errors : float
        How many standard errors are allowed to chance.

    Raises
    ------
    LeakError
        If a bound is exceeded.
    RefusalError
        If one cannot be checked because an outcome class is missing.
    DataError
        If rows are missing, of unequal number or not allowed.
    """
    outcomes, predicted, truth, patient = _check_rows(outcome, probability, true_probability, patients)
    auroc = compute_concordance(predicted, outcomes).estimate
    difference, difference_se = _compare_auroc(outcomes, predicted, truth, patient)
    expected, expected_se = compute_bayes_bound(truth)
    bounds = (
        ("that of the true probabilities on the same outcomes", auroc - difference, difference_se),
        ("the highest that can be expected", expected, max(expected_se, difference_se)),
    )
    for name, bound, se in bounds:
        if is_leak(auroc, se, bound, standard_errors=standard_errors):
            raise LeakError(
                f"leak: the AUROC {auroc:.3f} exceeds {name}, {bound:.3f}, by more than {standard_errors:g} standard "
                f"errors of {se:.4f} (n = {len(truth)}); something known only after the procedure reaches the model: "
                "check its predictors and the splits",
                code="PC-EVALUATION-22",
            )


def _read_simulated(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    manifest = read_manifest(folder)
    if manifest.get("basis") != "synthetic":
        raise RefusalError(
            f"{folder} is not simulated (basis {manifest.get('basis')}): its truth is unknown", code="PC-EVALUATION-23"
        )
    frame = read_table(folder, name, manifest)
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise DataError(
            f"{folder / name}.parquet lacks {', '.join(absent)}; simulate the cohort again", code="PC-EVALUATION-24"
        )
    return frame


def _check_rows(
    outcome: Any, probability: Any, true_probability: Any, patients: Any
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    outcomes = check_outcome(outcome)
    n = len(outcomes)
    predicted = check_probability(probability, n=n)
    truth = check_probability(true_probability, n=n, name="true_probability")
    return outcomes, predicted, truth, check_patients(patients, n=n)


def _compare_auroc(
    outcome: FloatArray, predicted: FloatArray, truth: FloatArray, patient: IntArray
) -> tuple[float, float]:
    model, best = (compute_concordance(score, outcome) for score in (predicted, truth))
    return model.estimate - best.estimate, compute_clustered_error(model.influence - best.influence, patient)


def _average(values: FloatArray, patient: IntArray) -> tuple[float, float]:
    mean = float(values.mean())
    return mean, compute_clustered_error((values - mean) / len(values), patient)


def _compute_divergence(predicted: FloatArray, truth: FloatArray) -> tuple[FloatArray, int]:
    clipped = np.clip(predicted, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    divergence = rel_entr(truth, clipped) + rel_entr(1.0 - truth, 1.0 - clipped)
    return np.asarray(divergence, dtype=np.float64), int((clipped != predicted).sum())
