"""The rows one model is trained on: the outcome asked of a cohort, and who was left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.errors import RefusalError
from paincast.evidence.records import primary_horizon
from paincast.outcomes import Outcome, compute_outcome, get_outcome, visit_window
from paincast.settings import OutcomeSettings

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What one model is trained on.

    Parameters
    ----------
    technique : str
        The technique.
    outcome : Outcome
        The question.
    horizon_months : float
        The month at which it is asked.
    window_months : tuple of float
        First and last month, included, of the visits that answer for it.
    cohort : Cohort
        All episodes of the technique.
    flow : DataFrame
        Who was counted in and who was left out: ``step, n``.
    episodes : DataFrame of shape (n, ...)
        Episodes with a known outcome.
    observed : ndarray of shape (n,)
        Their outcome, 0 or 1.
    """

    technique: str
    outcome: Outcome
    horizon_months: float
    window_months: tuple[float, float]
    cohort: Cohort
    flow: pd.DataFrame
    episodes: pd.DataFrame
    observed: FloatArray


def make_training_set(technique: str, cohort: Cohort, settings: OutcomeSettings) -> TrainingSet:
    """Ask the outcome of the episodes of one technique, and count who was left out and why.

    Parameters
    ----------
    technique : str
        The technique.
    cohort : Cohort
        The cohort.
    settings : OutcomeSettings
        Outcome, horizon and visit window.

    Returns
    -------
    TrainingSet

    Raises
    ------
    RefusalError
        If no visit answers: which months were asked, and which the cohort holds.
    """
    own = cohort.select_technique(technique)
    outcome = get_outcome(settings.name)
    horizon = settings.horizon_months or primary_horizon(technique)
    first, last = settings.window_months or visit_window(horizon)
    answers = compute_outcome(own.episodes, own.visits, outcome, horizon, (first, last))
    known = answers.notna()
    if not known.any():
        raise RefusalError(_say_no_answer(own, outcome, horizon, (first, last)))
    before = own.episodes[outcome.measure].notna()
    counts = {
        "episodes of the technique": len(own.episodes),
        f"with {outcome.measure} before the procedure": int(before.sum()),
        f"with follow-up in months {first:g} to {last:g}": int(known.sum()),
        "with the outcome": int(answers.sum()),
        "patients with follow-up": own.episodes.loc[known, "patient_id"].nunique(),
    }
    return TrainingSet(
        technique=technique,
        outcome=outcome,
        horizon_months=horizon,
        window_months=(first, last),
        cohort=own,
        flow=pd.DataFrame({"step": list(counts), "n": list(counts.values())}),
        episodes=own.episodes.loc[known].reset_index(drop=True),
        observed=answers[known].to_numpy(float),
    )


def _say_no_answer(cohort: Cohort, outcome: Outcome, horizon: float, window: tuple[float, float]) -> str:
    held = cohort.visits.loc[cohort.visits[outcome.measure].notna(), "month"]
    when = f"visits lie between months {held.min():g} and {held.max():g}" if len(held) else "there is no visit with it"
    return (
        f"no visit with {outcome.measure} in months {window[0]:g} to {window[1]:g} answers for month {horizon:g}; "
        f"{when}; set outcome.horizon_months to a month that was asked"
    )
