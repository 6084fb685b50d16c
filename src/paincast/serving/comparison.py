"""Champion against candidate on the same rows of a cohort that neither was trained on."""

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
from paincast.outcomes import compute_outcome, get_outcome
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
    """Compare two models that answer the same question, on the episodes for which both do.

    Parameters
    ----------
    champion, candidate : Predictor
        Models of one technique, outcome, horizon and window.
    cohort : Cohort
        A cohort that neither was trained on.
    rng : Generator
        Source of the resamples.
    resamples : int
        Bootstrap resamples of patients.
    confidence : float
        Coverage of the intervals.
    fingerprints : mapping of str to Fingerprints
        Of the patients the models were trained on, by version: :func:`paincast.fingerprints.find_fingerprints`.
    exclude_overlap : bool
        Whether patients that a model was trained on are left out, instead of the cohort being refused.

    Returns
    -------
    table : DataFrame
        As of :func:`paincast.evaluation.validation.paired.compare_predictions`.
    flow : DataFrame
        ``step, n``: who is compared and who is left out; first on how many patients each model was trained, in words.
        Of real patients a count that tells of few is ``hidden``.

    Raises
    ------
    RefusalError
        If the models answer different questions, the outcome is a number, there is nobody to compare, or patients that
        a model was trained on are in the cohort and not to be left out.
    """
    _require_one_question(champion, candidate)
    pair = (champion, candidate)
    others, trained_on = separate_trained_on(pair, cohort, fingerprints, exclude=exclude_overlap)
    part = others.select_technique(champion.technique)
    question = get_outcome(champion.outcome)
    outcome = compute_outcome(
        part.episodes, part.visits, part.events, question, champion.horizon_months, champion.window_months
    ).value
    answers = [model.predict_episodes(part.episodes) for model in pair]
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
        told = "; ".join(f"{step}: {n}" for step, n in flow.itertuples(index=False))
        raise RefusalError(
            f"there is nobody to compare the models on ({champion.technique}, {told}; {cohort.describe_techniques()})",
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
    """Count who is compared and who is left out; of real patients not where few would be told."""
    counts = [len(followed), int(followed.sum()), *(int((followed & one).sum()) for one in abstained), n_compared]
    hidden: set[str] = set()
    if cohort.basis != "synthetic":
        masks = [one[followed].to_numpy(bool) for one in abstained]
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
    if get_outcome(champion.outcome).kind == "continuous":
        raise RefusalError(f"{champion.outcome} is a number; what is compared are probabilities", code="PC-SERVING-11")
