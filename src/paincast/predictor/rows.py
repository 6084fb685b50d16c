"""The rows of predictions: their columns, and those without an answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paincast.schema import RESEARCH_MARK

PREDICTION_COLUMNS = (
    "episode_id",
    "patient_id",
    "technique",
    "outcome",
    "horizon_months",
    "probability",
    "lower",
    "upper",
    "expected",
    "expected_lower",
    "expected_upper",
    "level",
    "control_probability",
    "eligible",
    "ineligible_because",
    "cautions",
    "in_domain",
    "abstained",
    "abstained_because",
    "basis",
    "n_real",
    "use",
    "model_version",
    "reasons_for",
    "reasons_against",
    "not_assessed",
)
"""What a prediction returns, in order.

``lower`` and ``upper`` bound the individual's probability, ``expected_lower`` and ``expected_upper`` the individual's
change of pain, at ``level``. Of ``relief_duration`` the probability is that relief lasts beyond the horizon, and
``expected`` the median in months, where it lies within the months that are modelled. Of ``pain_change`` there is no
probability, and ``expected`` is the median in points: below 0 is less pain. ``use`` is ``research use only``, or empty
for a champion whose gate allows care: see :attr:`Predictor.mark`. ``not_assessed`` names the contraindications of the
technique that could not be assessed, because what they ask of the patient is unknown.
"""

ANSWERS = ("probability", "lower", "upper", "expected", "expected_lower", "expected_upper")


def make_abstentions(
    episodes: pd.DataFrame, technique: str | pd.Series, outcome: str, because: str | pd.Series
) -> pd.DataFrame:
    """Make prediction rows without an answer, of which eligibility and domain are unknown.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Patients.
    technique : str or Series
        Technique asked about.
    outcome : str
        Question asked.
    because : str or Series
        Reason for not answering.

    Returns
    -------
    DataFrame of shape (n, len(PREDICTION_COLUMNS))
    """
    no_reasons: pd.Series = pd.Series([[] for _ in range(len(episodes))], index=episodes.index, dtype=object)
    rows = pd.DataFrame(
        {
            "episode_id": episodes["episode_id"],
            "patient_id": episodes["patient_id"],
            "technique": technique,
            "outcome": outcome,
            "horizon_months": np.nan,
            **dict.fromkeys(ANSWERS, np.nan),
            "level": np.nan,
            "control_probability": np.nan,
            "eligible": pd.array([pd.NA] * len(episodes), dtype="boolean"),
            "ineligible_because": "",
            "cautions": "",
            "in_domain": pd.array([pd.NA] * len(episodes), dtype="boolean"),
            "abstained": True,
            "abstained_because": because,
            "basis": "",
            "n_real": 0,
            "use": RESEARCH_MARK,
            "model_version": "",
            "reasons_for": no_reasons,
            "reasons_against": no_reasons,
            "not_assessed": "",
        },
        index=episodes.index,
    )
    return rows[list(PREDICTION_COLUMNS)]
