"""Define the columns of predictions, and make the rows of abstentions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from paincast.deferred import pandas as pd
from paincast.predictor.answering.controls import CONTROL_COLUMNS
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.validation import VALIDATION_COLUMNS
from paincast.schema import RESEARCH_MARK
from paincast.scoring.reasons import REASONS, WORDED_REASON

UNCERTAINTY_COLUMNS = ("uncertainty_evidence", "uncertainty_model", "uncertainty_site", "uncertainty_missing")

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
    "missing_values",
    *UNCERTAINTY_COLUMNS,
    *VALIDATION_COLUMNS,
    *CONTROL_COLUMNS[1:],
    "contract",
)
"""Columns of a prediction, in order.

``technique`` and ``outcome`` are empty in the only row of a patient of whom no technique is asked.
``lower`` and ``upper`` are the limits of the individual's probability, ``expected_lower`` and ``expected_upper`` those
of the individual's change of pain, at ``level``. For ``relief_duration``, the probability is that of relief beyond the
horizon, and ``expected`` is the median in months, if it is within the modelled months. For ``pain_change``, there is no
probability, and ``expected`` is the median in points: below 0 is less pain. ``use`` is ``research use only``, or empty
for a champion whose gate allows use in care: see :attr:`Predictor.mark`. ``not_assessed`` names the contraindications
of the technique that could not be assessed, because the values they need are unknown. ``reasons_for`` and
``reasons_against`` are known values whose direction has a probability of at least nine in ten; ``missing_values``
lists what is unknown, with half the width at ``level`` of the contribution of those whose value is known.
``uncertainty_evidence``
and the three after it are shares of the variance of a patient's log odds, which add up to 1: what studies disagree
about, the model (chance among its patients, and what its columns do not explain), the site, and missing values (for
``pain_change``, of the log odds of half relief); they are empty for durations and changes that patients speak of alone.
``validated_on`` lists the
real cohorts on which the model was evaluated, the worst first, whose patients and ratio of observed to expected with
its interval are ``validated_n``, ``validated_o_e``, ``validated_lower`` and ``validated_upper``.
``control_probability`` is the share with the outcome in the control arms of trials, only where outcome, month (within
half), indication and kind of arm fit; ``control_lower`` and ``control_upper`` are its 95 % interval, ``control_month``,
``control_arm``, ``control_definition`` and ``control_tag`` say what was counted, ``control_because`` why nothing is
shown. ``contract`` is the digest of what a registry declared for the model; empty for the built-in contract.
"""

SERVED_COLUMNS = (
    *(name for name in PREDICTION_COLUMNS if name != "horizon_months"),
    "horizon_months",
    "input_rejects",
)
"""Columns of a prediction by MLflow. The probability is the first number, which tools take that are asked for one."""

LISTS = ("reasons_for", "reasons_against", "missing_values")
"""Columns that hold a list for each row."""

ANSWERS = ("probability", "lower", "upper", "expected", "expected_lower", "expected_upper")

TYPES = {
    **dict.fromkeys(("horizon_months", *ANSWERS, "level"), pa.float64()),
    **dict.fromkeys(("control_probability", "control_lower", "control_upper", "control_month"), pa.float64()),
    **dict.fromkeys((*UNCERTAINTY_COLUMNS, *VALIDATION_COLUMNS[1:]), pa.float64()),
    **dict.fromkeys(("eligible", "in_domain", "abstained"), pa.bool_()),
    **dict.fromkeys(LISTS, REASONS),
    "n_real": pa.int64(),
}
"""Types of the columns that are not text."""

PREDICTION_SCHEMA = pa.schema([(column, TYPES.get(column, pa.string())) for column in PREDICTION_COLUMNS])
"""Types of the predictions in a Parquet file."""

CODED_SCHEMA = pa.schema(
    [
        field.with_type(pa.list_(WORDED_REASON))
        if field.name in LISTS
        else field.with_type(pa.dictionary(pa.int32(), pa.string()))
        if pa.types.is_string(field.type) and field.name not in ID_COLUMNS
        else field
        for field in PREDICTION_SCHEMA
    ]
)
"""Types of the predictions as they are made: texts that repeat are dictionaries."""


def make_abstentions(
    episodes: pd.DataFrame, technique: str | pd.Series, outcome: str, because: str | pd.Series
) -> pd.DataFrame:
    """Make prediction rows of abstentions, with unknown eligibility and domain.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Patients.
    technique : str or Series
        Requested technique.
    outcome : str
        Name of the outcome.
    because : str or Series
        Reason for the abstention.

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
            **dict.fromkeys(LISTS, no_reasons),
            **dict.fromkeys(UNCERTAINTY_COLUMNS, np.nan),
            "not_assessed": "",
            "validated_on": "",
            **dict.fromkeys(VALIDATION_COLUMNS[1:], np.nan),
            **dict.fromkeys(("control_lower", "control_upper", "control_month"), np.nan),
            **dict.fromkeys(("control_arm", "control_definition", "control_tag", "control_because"), ""),
            "contract": "",
        },
        index=episodes.index,
    )
    return rows[list(PREDICTION_COLUMNS)]
