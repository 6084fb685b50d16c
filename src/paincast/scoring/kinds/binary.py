"""What any model of a binary outcome answers: probability, limits, shares of the uncertainty, reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.scoring.functions import expit
from paincast.scoring.kinds.encoding import Encoded, Encoding, encode
from paincast.scoring.kinds.log_odds import LogOdds, contribute_each, predict_each
from paincast.scoring.kinds.score import (
    Beliefs,
    Request,
    Score,
    Uncertainty,
    average_squares,
    describe_log_odds,
    find_strongest,
    score_blocks,
)
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BinaryPlan:
    """A model of a binary outcome, of any kind, and its draws.

    Parameters
    ----------
    encoding : Encoding
        How patients are encoded.
    served : LogOdds
        The model.
    draws : tuple of LogOdds
        Its draws or refits.
    uncertainty : Uncertainty
        Variances beside theirs.
    beliefs : Beliefs
        What makes a contribution certain enough.
    """

    encoding: Encoding
    served: LogOdds
    draws: tuple[LogOdds, ...]
    uncertainty: Uncertainty
    beliefs: Beliefs


def score_binary(plan: BinaryPlan, patients: Patients, request: Request) -> Score:
    """Score patients.

    Parameters
    ----------
    plan : BinaryPlan
        The model.
    patients : Patients
        Patients, n of them.
    request : Request
        What is computed.
    """

    def score_block(encoded: Encoded, rows: slice) -> Score:  # noqa: ARG001 (other kinds need the rows)
        log_odds = plan.served.predict(encoded)
        numbers = {"probability": expit(log_odds)}
        if request.interval:
            variances = compute_variances(plan, encoded, log_odds)
            numbers = describe_log_odds(log_odds, variances, request.level)
        models = (plan.served, *plan.draws) if request.most else ()
        parts = (part for _, part in contribute_each(models, encoded))
        strongest = find_strongest(parts, encoded, plan.beliefs, most=request.most)
        return Score(numbers, encoded.far, encoded.squared_distance, strongest)

    return score_blocks(encode(plan.encoding, patients, compiled=request.compiled), score_block)


def compute_variances(plan: BinaryPlan, encoded: Encoded, log_odds: FloatArray) -> dict[str, FloatArray]:
    """Compute the variance of each patient's log odds, by where it comes from."""
    refitting = average_squares(log_odds, predict_each(plan.draws, encoded))
    return plan.uncertainty.divide(refitting, encoded.missing)
