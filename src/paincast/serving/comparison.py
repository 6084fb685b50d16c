"""Compare champion and candidate on the same rows of a cohort that neither was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.disclosure.metrics import choose_suppressed_steps, describe_too_few
from paincast.disclosure.rounding import round_measured
from paincast.eligibility import select_evaluable
from paincast.errors import RefusalError
from paincast.evaluation.validation.paired import compare_predictions
from paincast.fingerprints import Fingerprints
from paincast.outcomes import compute_outcome
from paincast.predictor import Predictor
from paincast.serving.overlap import separate_trained_on

OVERLAPS = ("champion was trained on", "candidate was trained on")
STEPS = ("episodes", "followed up", "champion abstains", "candidate abstains", "compared")


def compare_models(
    champion: Predictor,
    candidate: Predictor,
    cohort: Cohort,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
    fingerprints: Mapping[str, Fingerprints] = MappingProxyType({}),
    exclude_overlap: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare two models of the same outcome on the episodes for which both predict.

    Parameters
    ----------
    champion, candidate : Predictor
        Models of the same technique, outcome, horizon and window.
    cohort : Cohort
        A cohort that neither was trained on.
    rng : Generator
        Source of the resamples.
    resamples : int
        Bootstrap resamples of patients.
    confidence : float
        Coverage of the intervals.
    fingerprints : mapping of str to Fingerprints
        Fingerprints of the training patients, by version: :func:`paincast.fingerprints.find_fingerprints`.
    exclude_overlap : bool
        Whether to leave out patients that a model was trained on, instead of refusing the cohort.

    Returns
    -------
    table : DataFrame
        See :func:`paincast.evaluation.validation.paired.compare_predictions`.
    flow : DataFrame
        ``step, n``: numbers of episodes compared and left out; the first rows state in words how many of the patients
        each model was trained on. For real patients, a count that would disclose a small number is ``hidden``.

    Raises
    ------
    RefusalError
        If the models differ in technique, outcome, horizon or window, the outcome is continuous, there is nobody to
        compare, or a model was trained on patients of the cohort and ``exclude_overlap`` is false.
    """
    _require_one_question(champion, candidate)
    pair = (champion, candidate)
    others, trained_on = separate_trained_on(pair, cohort, fingerprints, exclude=exclude_overlap)
    part = others.select_technique(champion.technique)
    question = champion.question.answered_by(candidate.measures)
    outcome = compute_outcome(
        part.episodes, part.visits, part.events, question, champion.horizon_months, champion.window_months
    ).value
    answers = [model.predict_episodes(part.episodes, allow_contradicted=True) for model in pair]
    followed = outcome.notna()
    abstained = [rows["abstained"].astype(bool) for rows in answers]
    compared = select_evaluable(outcome, *abstained)
    flow = _count_steps(cohort, followed, abstained, int(compared.sum()), trained_on)
    few = "" if cohort.basis == "synthetic" else describe_too_few(outcome[compared])
    if compared.any() and few:
        raise RefusalError(
            f"the models cannot be compared on this cohort ({champion.technique}): {few}", code="PC-SERVING-08"
        )
    if not compared.any():
        steps = "; ".join(f"{step}: {n}" for step, n in flow.itertuples(index=False))
        raise RefusalError(
            f"there is nobody to compare the models on ({champion.technique}, {steps}; {cohort.describe_techniques()})",
            code="PC-SERVING-09",
        )
    table = compare_predictions(
        outcome[compared],
        *(rows.loc[compared, "probability"] for rows in answers),
        patients=part.episodes.loc[compared, "patient_id"].to_numpy(object),
        rng=rng,
        resamples=resamples,
        confidence=confidence,
    )
    return table if cohort.basis == "synthetic" else round_measured(table), flow


def _count_steps(
    cohort: Cohort, followed: pd.Series, abstained: list[pd.Series], n_compared: int, trained_on: list[str]
) -> pd.DataFrame:
    """Count the episodes compared and left out; for real patients, hide counts that disclose small numbers."""
    counts = [len(followed), int(followed.sum()), *(int((followed & mask).sum()) for mask in abstained), n_compared]
    hidden: set[str] = set()
    if cohort.basis != "synthetic":
        masks = [mask[followed].to_numpy(bool) for mask in abstained]
        hidden = choose_suppressed_steps(counts[0], counts[1], n_compared, masks)
    kinds = ["episodes", "followed_up", "abstained", "abstained", "evaluated"]
    shown = ["hidden" if kind in hidden else n for kind, n in zip(kinds, counts, strict=True)]
    return pd.DataFrame({"step": [*OVERLAPS, *STEPS], "n": [*trained_on, *shown]})


def _require_one_question(champion: Predictor, candidate: Predictor) -> None:
    for name in ("technique", "outcome", "horizon_months", "window_months"):
        first, second = getattr(champion, name), getattr(candidate, name)
        if first != second:
            raise RefusalError(
                f"the models answer different questions: {name} of the champion is {first}, of the candidate {second}",
                code="PC-SERVING-10",
            )
    if champion.measures and not set(champion.measures) & set(candidate.measures):
        raise RefusalError(
            f"the models are answered by different instruments: the champion by {', '.join(champion.measures)}, the "
            f"candidate by {', '.join(candidate.measures)}",
            code="PC-SERVING-30",
        )
    if champion.question.kind == "continuous":
        raise RefusalError(f"{champion.outcome} is a number; only probabilities can be compared", code="PC-SERVING-11")
