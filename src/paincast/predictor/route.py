"""The one way from a table of patients to answers: read, check, answer, say what was left out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.rejects import NOTHING_LOST, WHOLE_COLUMN, list_unreadable
from paincast.cohort.validate import validate_patients
from paincast.predictor.rows import PREDICTION_COLUMNS

Answer = Callable[[pd.DataFrame, pd.Series], pd.DataFrame]
"""Given episodes of the contract and the columns of each that could not be read, gives rows indexed like them."""


def answer_patients(patients: PatientRows, answer: Answer) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check patients and have them answered.

    Parameters
    ----------
    patients : PatientRows
        From :func:`paincast.cohort.reading.patients.read_patients`.
    answer : callable
        What predicts or abstains for those that can be read.

    Returns
    -------
    predictions : DataFrame
        As ``answer`` gives them, indexed by the place of the patient; ``cautions`` names the columns of a patient that
        could not be used. A patient left out as a whole has no row.
    rejects : DataFrame
        As of :func:`paincast.cohort.validate.validate_patients`.
    """
    episodes, rejects = validate_patients(patients)
    left_out = rejects.loc[rejects["action"] == "row left out", "row"]
    places = pd.Index(patients.places[~np.isin(patients.places, left_out)])
    unreadable = list_unreadable(rejects[~rejects["rule"].isin(NOTHING_LOST)], places)
    predictions = answer(episodes.set_axis(places, axis="index"), unreadable)
    notes = unreadable.map(lambda names: f"left out as unusable: {', '.join(names)}" if names else "")
    noted = predictions.index.to_series().map(notes).astype("str")
    both = (predictions["cautions"] != "") & (noted != "")
    cautions = predictions["cautions"] + both.map({True: "; ", False: ""}) + noted
    return predictions.assign(cautions=cautions), rejects


def explain_left_out(rejects: pd.DataFrame) -> pd.Series:
    """Give the reason of each patient that was left out as a whole, indexed by place."""
    whole = (rejects["action"] == "row left out") & (rejects["row"] != WHOLE_COLUMN)
    rows = rejects[whole & ~rejects["rule"].isin(NOTHING_LOST)].drop_duplicates("row").set_index("row")
    return rows["column"] + ": " + rows["rule"] + " (allowed: " + rows["allowed"] + ")"


def restore_index(predictions: pd.DataFrame, patients: PatientRows) -> pd.DataFrame:
    """Index predictions like the patients, instead of by their places.

    A level of the index that is named like a column of predictions loses its name: a frame in which a name means two
    things can be neither grouped nor merged by it.
    """
    found = pd.Index(patients.places).get_indexer(predictions.index)
    # Only a row that a reader of files left out is not among the rows, and there the index counts places.
    labels = patients.rows.index.take(found) if (found >= 0).all() else predictions.index - 1
    names = [None if name in PREDICTION_COLUMNS else name for name in labels.names]
    return predictions.set_axis(labels.set_names(names), axis="index")


def warn_of_rejects(rejects: pd.DataFrame, *, stacklevel: int = 3) -> None:
    """Warn, by column and rule, of values that were left out before predicting."""
    if len(rejects):
        kinds = Counter(zip(rejects["column"], rejects["rule"], strict=True))
        counted = "; ".join(f"{column}: {rule} ({n})" for (column, rule), n in kinds.items())
        warnings.warn(f"left out before predicting: {counted}", UserWarning, stacklevel=stacklevel)
